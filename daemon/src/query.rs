//! `tailwater query`: one read of the target, printed as a table, JSON lines or CSV. Values are text as Postgres
//! prints them.

use tailwater_core::{Error, Result};
use tailwater_duckdb::Answer;

use crate::cli::{Exit, QueryFormat, say};
use crate::config::Pipeline;
use crate::kinds;

/// Asks the target and prints the answer.
///
/// # Errors
/// `Operator` where the target cannot be asked, or not this.
pub(crate) async fn query(pipeline: Pipeline, sql: String, format: QueryFormat) -> Result<Exit> {
    let answer = tokio::task::spawn_blocking(move || kinds::query(&pipeline, &sql)).await;
    let answer =
        answer.map_err(|error| Error::transient("TW-CLI-006", format!("ask the target: {error}")))??;
    let text = match format {
        QueryFormat::Table => table(&answer),
        QueryFormat::Json => json(&answer),
        QueryFormat::Csv => csv(&answer),
    };
    if !text.is_empty() {
        say(text.trim_end_matches('\n'));
    }
    Ok(Exit::Success)
}

/// Columns aligned. A line break inside a value would break the picture, so it is shown as `\n`.
fn table(answer: &Answer) -> String {
    let cell = |value: &Option<String>| match value {
        Some(text) => text.replace('\n', "\\n"),
        None => "NULL".to_owned(),
    };
    let rows: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |index: usize, name: &String| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.chain([name]).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> =
        answer.columns.iter().enumerate().map(|(index, name)| width(index, name)).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(text, &width)| format!("{text:<width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let rows: String = rows.iter().map(|row| line(row)).collect();
    let count = match answer.rows.len() {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    };
    format!("{}{}{rows}({count})\n", line(&answer.columns), line(&rule))
}

/// One object per row, in the order of the columns. A second column of the same name gets a number.
fn json(answer: &Answer) -> String {
    let mut names: Vec<String> = Vec::new();
    for column in &answer.columns {
        let taken = |name: &String| names.contains(name);
        let numbered = (2..).map(|number| format!("{column}_{number}"));
        names.extend(std::iter::once(column.clone()).chain(numbered).find(|name| !taken(name)));
    }
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "null".to_owned(), quote);
    let object = |row: &Vec<Option<String>>| {
        let fields: Vec<String> =
            names.iter().zip(row).map(|(name, field)| format!("{}:{}", quote(name), value(field))).collect();
        format!("{{{}}}\n", fields.join(","))
    };
    answer.rows.iter().map(object).collect()
}

/// RFC 4180 with a header. NULL is nothing, the empty text is `""`.
fn csv(answer: &Answer) -> String {
    let field = |text: &str| {
        if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let header: Vec<String> = answer.columns.iter().map(|name| field(name)).collect();
    let row = |row: &Vec<Option<String>>| {
        let fields: Vec<String> =
            row.iter().map(|value| value.as_deref().map(field).unwrap_or_default()).collect();
        format!("{}\n", fields.join(","))
    };
    let rows: String = answer.rows.iter().map(row).collect();
    format!("{}\n{rows}", header.join(","))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn answer() -> Answer {
        let text = |text: &str| Some(text.to_owned());
        Answer {
            columns: vec!["id".into(), "note".into(), "id".into()],
            rows: vec![
                vec![text("1"), text("two\nlines, \"quoted\""), text("7")],
                vec![text("20"), None, text("")],
            ],
        }
    }

    #[test]
    fn as_a_table() {
        expect![[r#"
            id  note                  id
            --  --------------------  --
            1   two\nlines, "quoted"  7
            20  NULL
            (2 rows)
        "#]]
        .assert_eq(&table(&answer()));
    }

    #[test]
    fn as_json() {
        expect![[r#"
            {"id":"1","note":"two\nlines, \"quoted\"","id_2":"7"}
            {"id":"20","note":null,"id_2":""}
        "#]]
        .assert_eq(&json(&answer()));
    }

    #[test]
    fn as_csv() {
        expect![[r#"
            id,note,id
            1,"two
            lines, ""quoted""",7
            20,,""
        "#]]
        .assert_eq(&csv(&answer()));
    }
}
