//! The connectors that are known here, and what differs between them: tables of properties, the source that they make,
//! and the decisions that only one of them asks for. A source that is added later is added here; the compiler names every
//! place that lacks it.

use tailwater_core::{Error, Result};

use super::convert::Conversion;
use super::given::Given;
use super::meaning::{self, Meaning, Table};
use super::mysql::Kind;
use super::{code, framework, mysql, postgres, relational};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connector {
    Postgres,
    Mysql(Kind),
}

/// The systems that Debezium has connectors for, by a word of the connector's class; and which are known here.
const CONNECTORS: &[(&str, &str, Option<Connector>)] = &[
    ("postgres", "Postgres", Some(Connector::Postgres)),
    ("mysql", "MySQL", Some(Connector::Mysql(Kind::MySql))),
    ("mariadb", "MariaDB", Some(Connector::Mysql(Kind::MariaDb))),
    ("mongodb", "MongoDB", None),
    ("oracle", "Oracle", None),
    ("sqlserver", "SQL Server", None),
    ("db2", "Db2", None),
    ("vitess", "Vitess", None),
    ("spanner", "Spanner", None),
    ("informix", "Informix", None),
    ("cassandra", "Cassandra", None),
];

impl Connector {
    /// Which one a configuration is of.
    ///
    /// # Errors
    /// `Operator` where there is no source here for what it reads.
    pub(super) fn of(given: &Given) -> Result<Self> {
        let Some(class) = given.get("connector.class") else {
            return Err(Error::operator(
                code::CONNECTOR,
                "there is no `connector.class`: it is no connector's configuration",
            )
            .remedy("give the file that the connector is started with"));
        };
        let folded = class.to_lowercase();
        let is_theirs = folded.starts_with("io.debezium.") || !folded.contains('.');
        match CONNECTORS.iter().find(|(word, ..)| folded.contains(word)) {
            Some((_, _, Some(connector))) if is_theirs => Ok(*connector),
            Some((_, _, Some(_))) | None => {
                Err(Error::operator(code::CONNECTOR, format!("{class} is no connector of Debezium")).remedy(
                    "import-debezium takes io.debezium.connector.postgresql.PostgresConnector, …mysql.MySqlConnector and …mariadb.MariaDbConnector",
                ))
            }
            Some((_, system, None)) => Err(Error::operator(
                code::CONNECTOR,
                format!("{class} reads {system}, and this release has no such source yet"),
            )
            .remedy("keep Debezium for it; connectors for Postgres, MySQL and MariaDB can be imported")),
        }
    }

    /// What its properties mean; the first table that has one counts.
    pub(super) fn tables(self) -> [Table; 3] {
        let own = match self {
            Self::Postgres => postgres::PROPERTIES,
            Self::Mysql(_) => mysql::PROPERTIES,
        };
        [own, relational::PROPERTIES, framework::PROPERTIES]
    }

    /// The meaning of a property.
    pub(super) fn meaning(self, name: &str) -> Option<Meaning> {
        meaning::find(&self.tables(), name)
    }

    /// Looks at properties of its own that decide something.
    pub(super) fn decide(self, conversion: &mut Conversion<'_>) {
        match self {
            Self::Postgres => postgres::decide(conversion),
            Self::Mysql(_) => {}
        }
    }

    /// The source's part of the pipeline file.
    pub(super) fn source(self, conversion: &mut Conversion<'_>) -> String {
        match self {
            Self::Postgres => postgres::source(conversion),
            Self::Mysql(kind) => mysql::source(conversion, kind),
        }
    }

    /// Options below `[sink.kafka.debezium]` whose defaults differ between connectors.
    pub(super) fn options(self, conversion: &Conversion<'_>, text: &mut String) {
        match self {
            Self::Postgres => {}
            Self::Mysql(_) => mysql::schema_changes(conversion, text),
        }
    }
}
