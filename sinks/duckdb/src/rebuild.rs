//! Copies the rows of a target into a new table of another shape. The way round what `ALTER TABLE` cannot do: change
//! values by our own rules, and change a table of which the same transaction has deleted rows.
//! [`store`](crate::store) puts the new table in the old one's place.

use tailwater_core::{Result, Value};

use crate::append::{self, Misfit, Place};
use crate::chunk::Chunk;
use crate::database::{Appender, Connection};
use crate::retype::{Characters, Length};
use crate::shape::{Held, Origin, quote};
use crate::state::Target;
use crate::values::{ColumnType, Parser, render};

/// Rendered values of the old rows, by row id.
const RENDERED: &str = "tailwater_rendered";
/// One row with the values that added columns have in all rows.
const CONSTANTS: &str = "tailwater_constants";
/// Rows rendered at a time.
const PAGE_ROWS: usize = 32 * Chunk::CAPACITY;

/// Makes the table `new` with `columns` from the rows of `target`, which is called `old`. Gives the columns it has: a
/// constant that does not fit its column's type makes it text.
pub(crate) fn copy_rows(
    connection: &Connection,
    target: &Target,
    (old, new): (&str, &str),
    mut columns: Vec<Held>,
    origins: &[Origin],
) -> Result<Vec<Held>> {
    let rendered: Vec<usize> = origins
        .iter()
        .filter_map(|origin| match origin {
            Origin::Render(index) | Origin::Characters(index, Characters { rendered: true, .. }) => {
                Some(*index)
            }
            Origin::Keep(_)
            | Origin::Cast(_)
            | Origin::Characters(..)
            | Origin::Null
            | Origin::Constant(_) => None,
        })
        .collect();
    if !rendered.is_empty() {
        render_columns(connection, target, old, &rendered)?;
    }
    stage_constants(connection, &mut columns, origins)?;
    let mut expressions = Vec::with_capacity(columns.len());
    for (index, (column, origin)) in columns.iter().zip(origins).enumerate() {
        let from = |old: usize| {
            target.columns.get(old).map(|held| format!("o.{}", quote(&held.name))).unwrap_or_default()
        };
        let expression = match origin {
            Origin::Keep(old) => from(*old),
            Origin::Cast(old) => format!("CAST({} AS {})", from(*old), column.kind),
            Origin::Characters(old, way) => characters(*way, &from(*old), *old),
            Origin::Render(old) => format!("r.c{old}"),
            Origin::Null => format!("CAST(NULL AS {})", column.kind),
            Origin::Constant(_) => format!("(SELECT c{index} FROM temp.main.{CONSTANTS})"),
        };
        expressions.push(format!("{expression} AS {}", quote(&column.name)));
    }
    let join = if rendered.is_empty() {
        String::new()
    } else {
        format!(" JOIN temp.main.{RENDERED} r ON r.id = o.rowid")
    };
    connection
        .execute(&format!("CREATE TABLE {new} AS SELECT {} FROM {old} o{join}", expressions.join(", ")))?;
    connection.execute(&format!(
        "DROP TABLE IF EXISTS temp.main.{RENDERED}; DROP TABLE IF EXISTS temp.main.{CONSTANTS}"
    ))?;
    Ok(columns)
}

fn characters(way: Characters, from: &str, index: usize) -> String {
    let mut text = if way.rendered { format!("r.c{index}") } else { format!("CAST({from} AS VARCHAR)") };
    if way.trimmed {
        text = format!("rtrim({text}, ' ')");
    }
    match way.length {
        Length::Any => text,
        Length::Most(length) => format!("left({text}, {length})"),
        Length::Exactly(length) => format!("rpad({text}, {length}, ' ')"),
    }
}

/// Renders columns as the text that Postgres prints, into a temporary table.
fn render_columns(connection: &Connection, target: &Target, old: &str, columns: &[usize]) -> Result<()> {
    let texts: Vec<String> = columns.iter().map(|column| format!("c{column} VARCHAR")).collect();
    connection
        .execute(&format!("CREATE OR REPLACE TEMP TABLE {RENDERED} (id BIGINT, {})", texts.join(", ")))?;
    let names: Vec<String> = columns
        .iter()
        .filter_map(|&column| target.columns.get(column))
        .map(|held| quote(&held.name))
        .collect();
    let mut types = vec![ColumnType::BigInt];
    types.extend(columns.iter().map(|_| ColumnType::Varchar));
    let mut last = -1;
    loop {
        let sql = format!(
            "SELECT rowid, {} FROM {old} WHERE rowid > {last} ORDER BY rowid LIMIT {PAGE_ROWS}",
            names.join(", ")
        );
        let page = render_page(connection, &sql, &types, &mut last)?;
        if page.is_empty() {
            return Ok(());
        }
        // The query is over: a second statement on the connection may begin.
        let mut appender = Appender::new(connection, Some("temp"), "main", RENDERED)?;
        for chunk in &page {
            appender.append(chunk)?;
        }
        appender.close()?;
    }
}

fn render_page(
    connection: &Connection,
    sql: &str,
    types: &[ColumnType],
    last: &mut i64,
) -> Result<Vec<Chunk>> {
    let mut page = Vec::new();
    let mut result = connection.query(sql)?;
    let (mut text, mut parser) = (Vec::new(), Parser::default());
    while let Some(rows) = result.next_rows()? {
        let vectors = rows.columns()?;
        let mut chunk = Chunk::new(types)?;
        for (index, (column, vector)) in chunk.columns().iter_mut().zip(&vectors).enumerate() {
            for row in 0..rows.len() {
                if index == 0 {
                    *last = vector.get(row);
                    column.put(row, *last);
                    continue;
                }
                text.clear();
                if render(vector, row, &mut text) {
                    parser.write(&ColumnType::Varchar, &text, column, row)?;
                } else {
                    column.put_null(row);
                }
            }
        }
        chunk.set_len(rows.len());
        page.push(chunk);
    }
    Ok(page)
}

/// Parses the values of added columns into a temporary table of one row.
fn stage_constants(connection: &Connection, columns: &mut [Held], origins: &[Origin]) -> Result<()> {
    let constants: Vec<(usize, &str)> = origins
        .iter()
        .enumerate()
        .filter_map(
            |(index, origin)| {
                if let Origin::Constant(text) = origin { Some((index, text.as_str())) } else { None }
            },
        )
        .collect();
    if constants.is_empty() {
        return Ok(());
    }
    loop {
        let held = constants.iter().filter_map(|&(index, _)| columns.get(index));
        let kinds: Vec<ColumnType> = held.map(|held| held.kind.clone()).collect();
        let list: Vec<String> =
            constants.iter().zip(&kinds).map(|((index, _), kind)| format!("c{index} {kind}")).collect();
        connection.execute(&format!("CREATE OR REPLACE TEMP TABLE {CONSTANTS} ({})", list.join(", ")))?;
        let value =
            |_, at: usize| constants.get(at).map_or(Value::Null, |(_, text)| Value::Text(text.as_bytes()));
        match append::append(connection, Place::temporary(CONSTANTS), &kinds, 0..1, value)? {
            None => return Ok(()),
            Some(Misfit { column, .. }) => {
                let index = constants.get(column).map(|&(index, _)| index);
                if let Some(held) = index.and_then(|index| columns.get_mut(index)) {
                    held.widen();
                }
            }
        }
    }
}
