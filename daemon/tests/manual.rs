//! The operator's manual against the code: every error code is in it, every option, every command.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn manual() -> String {
    fs::read_to_string(root().join("docs/OPERATING.md")).unwrap()
}

/// Every `TW-XX-nnn` in `text`.
fn codes(text: &str) -> BTreeSet<String> {
    let code = |(start, _): (usize, &str)| {
        let rest = text.get(start..)?;
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '-')?;
        let code = rest.get(..end)?;
        let number = code.rsplit('-').next()?;
        (number.len() == 3 && number.bytes().all(|digit| digit.is_ascii_digit())).then(|| code.to_owned())
    };
    text.match_indices("TW-").filter_map(code).collect()
}

fn codes_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(codes(&fs::read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn every_error_code_is_explained_and_none_is_made_up() {
    let mut used = BTreeSet::new();
    let parts = [
        "core",
        "connectors/mysql",
        "connectors/postgres",
        "sinks/duckdb",
        "sinks/kafka",
        "sinks/stdout",
        "daemon",
    ];
    for part in parts.map(|part| format!("{part}/src")) {
        codes_below(&root().join(part), &mut used);
    }
    let manual = manual();
    let explained: BTreeSet<String> =
        manual.lines().filter(|line| line.starts_with("| TW-")).flat_map(codes).collect();
    assert_eq!(used.difference(&explained).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the manual");
    assert_eq!(explained.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the code");
}
