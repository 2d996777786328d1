//! The statements that would bring about what the first copy finds: told before its rows, where statements are asked for.
//! In the order, and in the words, of Debezium's connectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use tailwater_core::error::Doing as _;
use tailwater_core::{Batch, Result, Statement, Table, Verb};

use crate::connection::Connection;
use crate::ddl::Name;
use crate::error;
use crate::quote::{identifier, literal, qualified};
use crate::shapes::{bare, table_id};

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Preface(Vec<Said>);

#[derive(Debug)]
struct Said {
    database: String,
    text: String,
    table: Option<(Verb, Arc<Table>)>,
    charset: String,
}

impl Preface {
    /// Asks the server, in the session of a snapshot, for what makes these tables.
    ///
    /// # Errors
    /// Those of the server.
    pub(crate) async fn read(session: &mut Connection, tables: &[&Arc<Table>]) -> Result<Self> {
        let mut said = Vec::new();
        let sql = "SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server";
        let [charset, collation] = two(session, sql).await?;
        let text = format!("SET character_set_server={charset}, collation_server={collation}");
        said.push(Said { database: String::new(), text, table: None, charset: String::new() });
        let mut databases: BTreeMap<&str, BTreeMap<&str, &Arc<Table>>> = BTreeMap::new();
        for table in tables {
            databases.entry(&table.schema).or_default().insert(&table.name, table);
        }
        for table in databases.values().flat_map(BTreeMap::values) {
            let name = Name { schema: table.schema.clone(), table: table.name.clone() };
            let text = format!("DROP TABLE IF EXISTS {}", qualified(&name.schema, &name.table));
            let gone = Some((Verb::Drop, Arc::new(bare(&name, table_id(&name)))));
            said.push(Said { database: name.schema, text, table: gone, charset: String::new() });
        }
        for (database, tables) in databases {
            said.extend(of_database(session, database).await?);
            for table in tables.into_values() {
                said.push(of_table(session, table).await.doing(|| format!("look at {}", table.full_name()))?);
            }
        }
        Ok(Self(said))
    }

    /// Puts them into a batch.
    ///
    /// # Errors
    /// As [`Batch::statement`].
    pub(crate) fn tell(&self, batch: &mut Batch) -> Result<()> {
        self.0.iter().try_for_each(|said| {
            batch.statement(&Statement {
                database: said.database.as_bytes(),
                text: said.text.as_bytes(),
                table: said.table.as_ref().map(|(verb, table)| (*verb, table)),
                charset: said.charset.as_bytes(),
                copied: true,
            })
        })
    }
}

async fn of_database(session: &mut Connection, database: &str) -> Result<[Said; 3]> {
    let sql = format!(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata \
         WHERE schema_name = {}",
        literal(database)
    );
    let [charset, collation] = two(session, &sql).await?;
    let name = identifier(database);
    let texts = [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("CREATE DATABASE {name} CHARSET {charset} COLLATE {collation}"),
        format!("USE {name}"),
    ];
    Ok(texts.map(|text| Said { database: database.to_owned(), text, table: None, charset: String::new() }))
}

async fn of_table(session: &mut Connection, table: &Arc<Table>) -> Result<Said> {
    let (schema, name) = (&table.schema, &table.name);
    let [_, text] = two(session, &format!("SHOW CREATE TABLE {}", qualified(schema, name))).await?;
    let sql = format!(
        "SELECT '', coalesce(table_collation, '') FROM information_schema.tables \
         WHERE table_schema = {} AND table_name = {}",
        literal(schema),
        literal(name)
    );
    let [_, collation] = two(session, &sql).await?;
    let charset = collation.split('_').next().unwrap_or_default().to_owned();
    let table = Some((Verb::Create, Arc::clone(table)));
    Ok(Said { database: schema.clone(), text, table, charset })
}

/// The first two fields of the first row.
async fn two(session: &mut Connection, sql: &str) -> Result<[String; 2]> {
    let row = session.query(sql).await?.into_iter().next().unwrap_or_default();
    let mut fields = row.into_iter().flatten();
    match (fields.next(), fields.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        (Some(_) | None, _) => Err(error::protocol("an answer lacks a field")),
    }
}
