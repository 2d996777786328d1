//! Reads what the servers' own client prints under `--xml`, the only form of its that tells NULL from `NULL`.

use super::Row;

/// Every result, and its rows.
pub(super) fn parse(printed: &[u8]) -> Vec<Vec<Row>> {
    let mut rest = std::str::from_utf8(printed).expect("the client prints UTF-8; HEX() is for what is none");
    let mut results: Vec<Vec<Row>> = Vec::new();
    // Markup in values is escaped, so what looks like a tag is one.
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with("resultset ") {
            results.push(Vec::new());
        } else if rest.starts_with("row>") {
            results.last_mut().unwrap().push(Row::new());
        } else if let Some(after) = rest.strip_prefix("field name=\"") {
            let (_, after) = after.split_once('"').unwrap();
            let value = after.strip_prefix('>').map(|after| {
                let (value, after) = after.split_once("</field>").unwrap();
                rest = after;
                unescape(value)
            });
            assert!(value.is_some() || after.starts_with(" xsi:nil=\"true\""), "{after}");
            results.last_mut().unwrap().last_mut().unwrap().push(value);
        }
    }
    results
}

fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}
