//! What is not compared of the records of statements, by the entries of `debezium/ALLOWED.md`.

use regex::Regex;

/// Whether it is the topic of statements.
pub(super) fn is_one(topic: &str) -> bool {
    ["golden", "go-lden"].contains(&topic)
}

/// Whether a record has a counterpart: not of the database that only tells that a step is done, and not those about no
/// captured table, which Debezium writes unless it is told not to.
pub(super) fn counts(value: &str, run: &str) -> bool {
    let not_captured = value.contains(r#""table":"","#)
        || (run == "statements-some" && value.contains("RENAME TABLE other TO other2"));
    !not_captured && !value.contains(r#""databaseName":"done""#)
}

/// Without what differs.
pub(super) fn plain(mut value: String) -> String {
    // A statement about several tables names them all, in Java's order of hashes.
    let about = Regex::new(r#""id":"\\"[^"]+\\"\.\\"([^"\\]+)\\"""#).unwrap();
    if let Some(table) = about.captures(&value).map(|found| found[1].to_owned()) {
        let several = Regex::new(r#""table":"[^"]+,[^"]+""#).unwrap();
        value = several.replace(&value, format!(r#""table":"{table}""#)).into_owned();
    }
    let mut replace = |pattern: &str, by: &str| {
        value = Regex::new(pattern).unwrap().replace_all(&value, by).into_owned();
    };
    // The number of the row before, and a connection where rows follow.
    replace(r#""row":\d+"#, r#""row":0"#);
    replace(r#""thread":\d+"#, r#""thread":null"#);
    // MariaDB: comments; how wide numbers are printed, and what JSON is, which the catalogue says of every column.
    replace(r#""comment":"[^"]*""#, r#""comment":null"#);
    replace(r#"((?:INT|INT UNSIGNED|YEAR)","charsetName":null,"length":)(?:null|\d+)"#, "${1}0");
    replace(
        r#""jdbcType":1111,"nativeType":null,"typeName":"JSON","typeExpression":"JSON","charsetName":null"#,
        r#""jdbcType":12,"nativeType":null,"typeName":"LONGTEXT","typeExpression":"LONGTEXT","charsetName":"utf8mb4""#,
    );
    // MySQL: a time that is set anew with each update is no number.
    replace(
        r#"("typeName":"TIMESTAMP".{0,120}?)"autoIncremented":true,"generated":true"#,
        r#"${1}"autoIncremented":false,"generated":false"#,
    );
    value
}
