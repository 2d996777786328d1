//! Reads what the servers' own client prints under `--xml`, the only form of its that tells NULL from `NULL`.

use super::Row;

/// Every row, of every result.
pub(super) fn parse(printed: &[u8]) -> Vec<Row> {
    let text = std::str::from_utf8(printed).expect("the client prints UTF-8; HEX() is for what is none");
    let mut rows = Vec::new();
    let mut rest = text;
    loop {
        // Markup in values is escaped, so what looks like a tag is one.
        let Some(start) = rest.find('<') else { return rows };
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("<row>") {
            rows.push(Vec::new());
            rest = after;
        } else if let Some(after) = rest.strip_prefix("<field name=\"") {
            let name_end = after.find('"').unwrap();
            let after = &after[name_end + 1..];
            let (value, after) = match after.strip_prefix(" xsi:nil=\"true\"") {
                Some(after) => (None, after),
                None => {
                    let value = after.strip_prefix('>').unwrap();
                    let end = value.find("</field>").unwrap();
                    (Some(unescape(&value[..end])), &value[end..])
                }
            };
            rows.last_mut().unwrap().push(value);
            rest = after;
        } else {
            // Another tag, in which our statement may stand.
            rest = &rest[1..];
        }
    }
}

fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}
