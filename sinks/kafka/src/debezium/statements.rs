//! `include.schema.changes`: a record of each statement that makes, changes or removes a captured table or its database, in a
//! topic of its own. What the statement made of the table is told from the table's shape; nothing is parsed here.

use std::sync::Arc;

use tailwater_core::{Column, Event, Statement, Table, Verb};

use super::binlog;
use super::config::Config;
use super::envelope::{Filling, Moment, number, text_of};
use super::headers::Headers;
use super::source::Connector;
use super::sql::{Sql, split};
use super::text;
use crate::encode::Records;
use crate::routes::Route;

/// The schema of the tables in a value, from behind that of its source.
const TABLES_SCHEMA: &str = concat!(
    r#"{"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,"field":"databaseName"},"#,
    r#"{"type":"string","optional":true,"field":"schemaName"},{"type":"string","optional":true,"field":"ddl"},"#,
    r#"{"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,"field":"type"},"#,
    r#"{"type":"string","optional":false,"field":"id"},{"type":"struct","fields":["#,
    r#"{"type":"string","optional":true,"field":"defaultCharsetName"},"#,
    r#"{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"primaryKeyColumnNames"},"#,
    r#"{"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,"field":"name"},"#,
    r#"{"type":"int32","optional":false,"field":"jdbcType"},{"type":"int32","optional":true,"field":"nativeType"},"#,
    r#"{"type":"string","optional":false,"field":"typeName"},{"type":"string","optional":true,"field":"typeExpression"},"#,
    r#"{"type":"string","optional":true,"field":"charsetName"},{"type":"int32","optional":true,"field":"length"},"#,
    r#"{"type":"int32","optional":true,"field":"scale"},{"type":"int32","optional":false,"field":"position"},"#,
    r#"{"type":"boolean","optional":true,"field":"optional"},{"type":"boolean","optional":true,"field":"autoIncremented"},"#,
    r#"{"type":"boolean","optional":true,"field":"generated"},{"type":"string","optional":true,"field":"comment"},"#,
    r#"{"type":"string","optional":true,"field":"defaultValueExpression"},"#,
    r#"{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"enumValues"}],"#,
    r#""optional":false,"name":"io.debezium.connector.schema.Column","version":1},"optional":false,"field":"columns"},"#,
    r#"{"type":"string","optional":true,"field":"comment"}],"#,
    r#""optional":true,"name":"io.debezium.connector.schema.Table","version":1,"field":"table"}],"#,
    r#""optional":false,"name":"io.debezium.connector.schema.Change","version":1},"optional":false,"field":"tableChanges"}"#,
);

/// What a record is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Making<'m> {
    pub(crate) config: &'m Config,
    pub(crate) connector: &'static Connector,
    pub(crate) moment: &'m Moment,
    pub(crate) headers: &'m Headers,
    pub(crate) route: Route,
}

impl Making<'_> {
    /// Adds the record of a statement.
    pub(crate) fn record(&self, event: &Event<'_>, statement: &Statement<'_>, out: &mut Records) {
        let schemas = self.config.schemas;
        let end: &[u8] = if schemas { b"}}" } else { b"}" };
        let key = out.write(|out| {
            if schemas {
                self.key_schema(out);
            }
            out.extend_from_slice(b"{\"databaseName\":");
            text::string(out, statement.database);
            out.extend_from_slice(end);
        });
        let value = out.write(|out| {
            if schemas {
                self.value_schema(out);
            }
            self.value(event, statement, out);
            out.extend_from_slice(end);
        });
        out.add(self.route, Some(key), Some(value));
        self.headers.write(out);
    }

    fn key_schema(&self, out: &mut Vec<u8>) {
        let schema = format!(
            "{{\"schema\":{{\"type\":\"struct\",\"fields\":[{{\"type\":\"string\",\"optional\":false,\"field\":\"databaseName\"}}],\
             \"optional\":false,\"name\":\"io.debezium.connector.{}.SchemaChangeKey\",\"version\":1}},\"payload\":",
            self.connector.name
        );
        out.extend_from_slice(schema.as_bytes());
    }

    fn value_schema(&self, out: &mut Vec<u8>) {
        let schema = format!(
            "{{\"schema\":{{\"type\":\"struct\",\"fields\":[{},{TABLES_SCHEMA}],\
             \"optional\":false,\"name\":\"io.debezium.connector.{}.SchemaChangeValue\",\"version\":1}},\"payload\":",
            self.connector.schema(),
            self.connector.name
        );
        out.extend_from_slice(schema.as_bytes());
    }

    /// All but its closing brace.
    fn value(&self, event: &Event<'_>, statement: &Statement<'_>, out: &mut Vec<u8>) {
        let table = statement.table.map(|(_, table)| table.name.as_str());
        let parts = self.connector.table_parts(&String::from_utf8_lossy(statement.database), table);
        let snapshot = if statement.copied { "true" } else { "false" };
        let filling = Filling { snapshot, table: &parts, log_offset: event.log_offset, log_row: 0 };
        self.moment.source_alone(out, &filling);
        out.extend_from_slice(b",\"ts_ms\":");
        number(out, self.moment.now_ms());
        out.extend_from_slice(b",\"databaseName\":");
        text::string(out, statement.database);
        out.extend_from_slice(b",\"schemaName\":null,\"ddl\":");
        text::string(out, statement.text);
        out.extend_from_slice(b",\"tableChanges\":[");
        if let Some((verb, table)) = statement.table {
            self.change(verb, table, statement.charset, out);
        }
        out.push(b']');
    }

    /// Nothing, where it is not known what the table is like.
    fn change(&self, verb: Verb, table: &Arc<Table>, charset: &[u8], out: &mut Vec<u8>) {
        let kind: &[u8] = match verb {
            Verb::Create => b"CREATE",
            Verb::Alter => b"ALTER",
            Verb::Drop => b"DROP",
        };
        if verb != Verb::Drop && table.columns.is_empty() {
            return;
        }
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind);
        out.extend_from_slice(b"\",\"id\":");
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        text::string(out, format!("{}.{}", quoted(&table.schema), quoted(&table.name)).as_bytes());
        out.extend_from_slice(b",\"table\":");
        if verb == Verb::Drop {
            out.extend_from_slice(b"null}");
            return;
        }
        out.extend_from_slice(b"{\"defaultCharsetName\":");
        string_or_null(out, charset);
        out.extend_from_slice(b",\"primaryKeyColumnNames\":[");
        let key = table.declared_key.iter().filter_map(|&index| table.columns.get(index));
        listed(out, key, |out, column| text::string(out, column.name.as_bytes()));
        out.extend_from_slice(b"],\"columns\":[");
        let numbered = table.columns.iter().zip(1_usize..);
        listed(out, numbered, |out, (column, place)| self.column(column, place, out));
        out.extend_from_slice(b"],\"comment\":null}}");
    }

    fn column(&self, column: &Column, place: usize, out: &mut Vec<u8>) {
        let kind = Kind::of(column);
        let flag = |is: bool| if is { "true" } else { "false" };
        let size = |size: Option<u32>| size.map_or_else(|| "null".to_owned(), |size| size.to_string());
        let name = text_of(&kind.name);
        out.extend_from_slice(b"{\"name\":");
        text::string(out, column.name.as_bytes());
        let typed = format!(
            ",\"jdbcType\":{},\"nativeType\":null,\"typeName\":{name},\"typeExpression\":{name},\"charsetName\":",
            kind.jdbc
        );
        out.extend_from_slice(typed.as_bytes());
        string_or_null(out, column.declared.charset.as_bytes());
        // To Debezium's parser, what numbers itself is what is generated.
        let numbered = flag(column.declared.numbered);
        let more = format!(
            ",\"length\":{},\"scale\":{},\"position\":{place},\"optional\":{},\"autoIncremented\":{numbered},\
             \"generated\":{numbered},\"comment\":null,\"defaultValueExpression\":",
            size(kind.length),
            size(kind.scale),
            flag(!column.declared.not_null)
        );
        out.extend_from_slice(more.as_bytes());
        let dialect = self.connector.dialect;
        let default = column.declared.default.as_deref();
        match default.and_then(|default| binlog::default_text(default, &Sql::of(column, dialect), dialect)) {
            Some(default) => text::string(out, default.as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"enumValues\":");
        if column.declared.labels.is_empty() {
            out.extend_from_slice(b"null}");
            return;
        }
        out.push(b'[');
        listed(out, column.declared.labels.iter(), |out, label| {
            text::string(out, format!("'{}'", label.replace('\'', "''")).as_bytes());
        });
        out.extend_from_slice(b"]}");
    }
}

/// A type in Debezium's words: the server's in capitals, its number in JDBC, what stands in parentheses.
struct Kind {
    name: String,
    jdbc: i32,
    length: Option<u32>,
    scale: Option<u32>,
}

impl Kind {
    fn of(column: &Column) -> Self {
        let spelled = column.declared.base_type.as_str();
        let (name, arguments) = split(spelled);
        let word = spelled.split(['(', ' ']).next().unwrap_or_default();
        let labels = u32::try_from(column.declared.labels.len()).unwrap_or(u32::MAX);
        let mut sizes = arguments.split(',').map(|size| size.trim().parse().ok());
        let (length, scale) = match word {
            "enum" => (Some(1), None),
            // With the commas between them.
            "set" => (Some(labels.saturating_mul(2).saturating_sub(1)), None),
            _ => (sizes.next().flatten(), sizes.next().flatten()),
        };
        // Labels may hold anything.
        let name = if column.declared.labels.is_empty() { name.as_str() } else { word };
        Self { name: name.to_uppercase(), jdbc: jdbc(word), length, scale }
    }
}

/// The numbers of `java.sql.Types`.
fn jdbc(word: &str) -> i32 {
    match word {
        "tinyint" | "smallint" => 5,
        "mediumint" | "int" | "year" => 4,
        "bigint" => -5,
        "float" => 6,
        "double" => 8,
        "decimal" => 3,
        "bit" => -7,
        "char" | "enum" | "set" => 1,
        "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => 12,
        "binary" => -2,
        "varbinary" => -3,
        "tinyblob" | "blob" | "mediumblob" | "longblob" => 2004,
        "date" => 91,
        "time" => 92,
        "datetime" => 93,
        "timestamp" => 2014,
        _ => 1111,
    }
}

fn string_or_null(out: &mut Vec<u8>, value: &[u8]) {
    if value.is_empty() { out.extend_from_slice(b"null") } else { text::string(out, value) }
}

fn listed<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}
