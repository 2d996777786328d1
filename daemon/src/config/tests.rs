//! Each way in which a pipeline file can be wrong, with what a person then reads.

use std::path::Path;

use expect_test::{Expect, expect};
use tailwater_core::checkpoint::replace_file;

use super::{load, pipeline};

mod kafka;

const GOOD: &str = r#"
[source.postgres]
url = "postgres://cdc:${env:PGPASSWORD}@db.example:5432/shop?sslmode=verify-full"
tables = ["public.*", "!public.audit_*"]

[sink.duckdb]
path = "shop.duckdb"
"#;

fn read(file: &str, text: &str) -> Result<pipeline::Pipeline, tailwater_core::Error> {
    let env = [("PGPASSWORD".to_owned(), "tr@tra".to_owned())].into();
    pipeline::parse(Path::new(file), text.trim_start().to_owned(), &env)
}

/// Replaces `good` by `bad` in the file that is right, and expects this complaint.
fn check(good: &str, bad: &str, expected: Expect) {
    assert!(GOOD.contains(good), "{good}");
    expected.assert_eq(&read("shop.toml", &GOOD.replace(good, bad)).unwrap_err().to_string());
}

#[test]
fn what_the_readme_shows_is_all_a_user_must_write() {
    let pipeline = read("pipelines/shop.toml", GOOD).unwrap();
    assert_eq!(pipeline.name, "shop");
    let pipeline::Source::Postgres(source) = &pipeline.source else { panic!("another source") };
    assert_eq!((source.slot.as_str(), source.publication.as_str()), ("tailwater_shop", "tailwater_shop"));
    assert!(!source.publication_is_given);
    let pipeline::Sink::DuckDb(sink) = &pipeline.sink else { panic!("{:?}", pipeline.sink) };
    assert_eq!(sink.path, Path::new("pipelines/shop.duckdb"), "paths start at the file's folder");
    assert!(!format!("{pipeline:?}").contains("tr@tra"), "a secret is printed");
}

#[test]
fn every_option_is_in_the_manual() {
    let manual = include_str!("../../../docs/OPERATING.md");
    let sinks = [pipeline::DUCKDB, pipeline::KAFKA, pipeline::KAFKA_TOPIC, pipeline::STDOUT];
    for keys in [pipeline::POSTGRES, pipeline::PIPELINE].into_iter().chain(sinks) {
        for key in keys {
            assert!(manual.contains(&format!("\n| `{key}` | ")), "{key}");
        }
    }
    use tailwater_kafka::debezium::Config;
    for option in [Config::OPTIONS, Config::ROW_OPTIONS].concat() {
        assert!(manual.contains(&format!("\n| `{option}` | ")), "{option}");
    }
}

#[test]
fn every_option_is_taken() {
    let text = r#"
        [source.postgres]
        url = "postgres://cdc@db/shop"
        tables = ["shop.*"]
        slot = "mine"
        publication = "Mine too"
        copy_workers = 2
        copy_range = "64MiB"
        idle_position_interval = "10s"
        [sink.stdout]
        format = "json"
        position = "p.json"
        [pipeline]
        batch_size = "1MB"
    "#;
    let pipeline = read("shop.toml", text).unwrap();
    let pipeline::Source::Postgres(source) = &pipeline.source else { panic!("another source") };
    assert_eq!((source.slot.as_str(), source.publication.as_str()), ("mine", "Mine too"));
    assert!(source.publication_is_given);
    assert_eq!((source.copy_workers, source.copy_range_bytes), (2, 64 << 20));
    assert_eq!(source.idle_position_interval.as_secs(), 10);
    assert_eq!(pipeline.options.batch_bytes, 1_000_000);
    assert!(matches!(pipeline.sink, pipeline::Sink::Stdout(_)));
}

#[test]
fn a_wrong_key_or_section_is_named_with_the_nearest() {
    check(
        "tables",
        "tabels",
        expect![
            "shop.toml:3:1: unknown key `tabels` in [source.postgres]; did you mean `tables`? [TW-CFG-003]"
        ],
    );
    check(
        "[sink.duckdb]",
        "[sink.duckbd]",
        expect!["shop.toml:5:7: unknown section [sink.duckbd]; did you mean `duckdb`? [TW-CFG-003]"],
    );
    check(
        "[sink.duckdb]",
        "[sink.warehouse]",
        expect![
            "shop.toml:5:7: unknown section [sink.warehouse]; there may be `duckdb`, `kafka` or `stdout` [TW-CFG-003]"
        ],
    );
    check(
        "[source.postgres]",
        "[sources.postgres]",
        expect!["shop.toml:1:2: unknown section [sources]; did you mean `source`? [TW-CFG-003]"],
    );
    check(
        "[source.postgres]",
        "name = 1\n[source.postgres]",
        expect![
            "shop.toml:1:1: unknown key `name` at the top; there may be `source`, `sink` or `pipeline` [TW-CFG-003]"
        ],
    );
}

#[test]
fn a_wrong_value_is_named_with_what_is_wanted() {
    check(
        "\"shop.duckdb\"",
        "7",
        expect!["shop.toml:6:8: `path` is a number, but must be a string, in quotes [TW-CFG-004]"],
    );
    check(
        "\"shop.duckdb\"",
        "\":memory:\"",
        expect![[r#"shop.toml:6:8: ":memory:" names no file; the position lives in it [TW-CFG-005]"#]],
    );
    check(
        "[\"public.*\", \"!public.audit_*\"]",
        "\"public.*\"",
        expect![[
            r#"shop.toml:3:10: `tables` is a string, but must be a list of strings: tables = ["public.*", "!public.audit_*"] [TW-CFG-004]"#
        ]],
    );
    check(
        "\"!public.audit_*\"",
        "true",
        expect!["shop.toml:3:23: `tables` is true or false, but must be a string, in quotes [TW-CFG-004]"],
    );
    check(
        "\"!public.audit_*\"",
        "\"audit\"",
        expect![[r#"
            shop.toml:3:23: table pattern "audit", column 6: the schema is missing: no `.` follows [TW-CORE-007]
              to mend it: write schema and table: "public.audit""#]],
    );
    check(
        "postgres://",
        "postgers://",
        expect![
            "shop.toml:2:7: read the connection URL: it begins neither with postgres:// nor with postgresql:// [TW-PG-001]"
        ],
    );
    check(
        "sslmode=",
        "ssl_mode=",
        expect![[r#"
        shop.toml:2:7: read the connection URL: parameter `ssl_mode` is not known here; the nearest that is: `sslmode` [TW-PG-001]
          to mend it: one of application_name, channel_binding, connect_timeout, dbname, host, options, password, port, sslcert, sslkey, sslmode, sslnegotiation, sslrootcert, target_session_attrs, user"#]],
    );
    check(
        "verify-full",
        "verify-fall",
        expect![[r#"
        shop.toml:2:7: read the connection URL: sslmode is not `verify-fall`; the nearest valid value: `verify-full` [TW-PG-001]
          to mend it: sslmode= one of disable, allow, prefer, require, verify-ca, verify-full"#]],
    );
    check(
        "tables",
        "slot = \"Müll\"\ntables",
        expect![[
            r#"shop.toml:3:8: `slot` is "Müll", but Postgres takes only a-z, 0-9 and _ in it, at most 63 of them [TW-CFG-005]"#
        ]],
    );
    check(
        "tables",
        "copy_workers = 0\ntables",
        expect!["shop.toml:3:16: `copy_workers` is 0, but may be 1 to 64 [TW-CFG-005]"],
    );
    check(
        "tables",
        "copy_workers = \"3\"\ntables",
        expect!["shop.toml:3:16: `copy_workers` is a string, but must be a whole number [TW-CFG-004]"],
    );
}

#[test]
fn a_wrong_unit_is_named_with_the_nearest() {
    let with = |line: &str| format!("path = \"shop.duckdb\"\n{line}");
    check(
        "path = \"shop.duckdb\"",
        &with("memory_limit = \"1gb\""),
        expect!["shop.toml:7:16: `memory_limit` has the unknown unit `gb`; did you mean `GB`? [TW-CFG-005]"],
    );
    check(
        "path = \"shop.duckdb\"",
        &with("memory_limit = \"1\""),
        expect![[
            r#"shop.toml:7:16: `memory_limit` lacks its unit: write "4MB" (units: `B`, `kB`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB` or `GiB`) [TW-CFG-005]"#
        ]],
    );
    check(
        "path = \"shop.duckdb\"",
        &with("memory_limit = 1000"),
        expect![[
            r#"shop.toml:7:16: `memory_limit` lacks its unit: write "4MB" (units: `B`, `kB`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB` or `GiB`) [TW-CFG-005]"#
        ]],
    );
    check(
        "path = \"shop.duckdb\"",
        &with("[pipeline]\nbatch_size = \"much\""),
        expect![[
            r#"shop.toml:8:14: `batch_size` must start with a whole number and end with a unit: "4MB" [TW-CFG-005]"#
        ]],
    );
    check(
        "path = \"shop.duckdb\"",
        &with("threads = 0"),
        expect!["shop.toml:7:11: `threads` is 0, but may be 1 to 1024 [TW-CFG-005]"],
    );
}

#[test]
fn something_missing_is_named_with_what_to_write() {
    check(
        "path = \"shop.duckdb\"",
        "",
        expect![[r#"
        shop.toml:5:7: [sink.duckdb] lacks `path` [TW-CFG-006]
          to mend it: write below [sink.duckdb]: path = "shop.duckdb""#]],
    );
    check(
        "tables = [\"public.*\", \"!public.audit_*\"]",
        "",
        expect![[r#"
        shop.toml:1:9: [source.postgres] lacks `tables` [TW-CFG-006]
          to mend it: write below [source.postgres]: tables = ["public.*", "!public.audit_*"]"#]],
    );
    check(
        "[sink.duckdb]\npath = \"shop.duckdb\"",
        "",
        expect![[r#"
            shop.toml: a pipeline needs a sink [TW-CFG-006]
              to mend it: write [sink.duckdb] or [sink.kafka] or [sink.stdout], see docs/OPERATING.md"#]],
    );
    check(
        "[sink.duckdb]\npath = \"shop.duckdb\"",
        "[sink]",
        expect![
            "shop.toml:5:2: [sink] names no kind; there may be `duckdb`, `kafka` or `stdout` [TW-CFG-006]"
        ],
    );
    check(
        "[sink.duckdb]",
        "[sink.stdout]\n[sink.duckdb]",
        expect!["shop.toml:6:7: a second sink: a pipeline has exactly one [TW-CFG-006]"],
    );
}

#[test]
fn a_reference_that_leads_nowhere_is_named_and_its_place() {
    check(
        "${env:PGPASSWORD}",
        "${env:PGPASSWROD}",
        expect![[r#"
        shop.toml:2:23: the environment variable PGPASSWROD is not set, but PGPASSWORD is [TW-CFG-007]
          to mend it: export PGPASSWROD=…, or write a plain `${` as `$${`"#]],
    );
    check(
        "${env:PGPASSWORD}",
        "${file:/nonexistent/password}",
        expect![[r#"
        shop.toml:2:23: read /nonexistent/password: No such file or directory (os error 2) [TW-CFG-007]
          to mend it: create /nonexistent/password readable by this user"#]],
    );
    check(
        "${env:PGPASSWORD}",
        "${var:PGPASSWORD}",
        expect![[r#"
        shop.toml:2:23: unknown reference `${var:…}`; there may be `env` or `file` [TW-CFG-007]
          to mend it: write ${env:NAME} or ${file:PATH}; for a plain `${` write `$${`"#]],
    );
    check(
        "${env:PGPASSWORD}",
        "${PGPASSWORD}",
        expect![[r#"
        shop.toml:2:23: `${PGPASSWORD}` does not say what it refers to [TW-CFG-007]
          to mend it: write ${env:PGPASSWORD} or ${file:PGPASSWORD}; for a plain `${` write `$${`"#]],
    );
}

#[test]
fn what_is_no_toml_is_named() {
    check(
        "\"shop.duckdb\"",
        "shop.duckdb",
        expect!["shop.toml:6:8: string values must be quoted, expected literal string [TW-CFG-002]"],
    );
    check(
        "path = \"shop.duckdb\"",
        "path = \"a\"\npath = \"b\"",
        expect!["shop.toml:7:1: duplicate key [TW-CFG-002]"],
    );
}

#[test]
fn a_file_name_that_makes_no_slot_is_refused() {
    expect![[r#"
        Ladenhüter.toml: "Ladenhüter" makes no pipeline name: slot and publication are named after it [TW-CFG-008]
          to mend it: rename the file to at most 53 of a-z, 0-9, _ and -, for example shop.toml"#]].assert_eq(&read("Ladenhüter.toml", GOOD).unwrap_err().to_string());
    assert_eq!(read("My-Shop.eu.toml", GOOD).unwrap().name, "my_shop_eu");
    assert!(read(&format!("{}.toml", "x".repeat(53)), GOOD).is_ok());
    assert!(read(&format!("{}.toml", "x".repeat(54)), GOOD).is_err());
}

#[test]
fn two_pipelines_share_neither_a_slot_nor_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = GOOD.replace("${env:PGPASSWORD}", "x");
    let write = |name: &str, text: &str| replace_file(&folder.path().join(name), text.as_bytes()).unwrap();
    write("a.toml", &good);
    write(
        "b.toml",
        &good.replace("tables", "slot = \"tailwater_a\"\ntables").replace("shop.duckdb", "b.duckdb"),
    );
    write("c.toml", &good.replace("shop.duckdb", "./shop.duckdb"));
    write("d.toml", &good.replace("shop.duckdb", "d.duckdb"));
    let (pipelines, errors) = load(&[folder.path().to_path_buf()]);
    assert_eq!(pipelines.len(), 4);
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let folder = folder.path().canonicalize().unwrap().display().to_string();
    expect![[r#"
        FOLDER/b.toml:4:1: the slot tailwater_a of db.example:5432/shop is used by FOLDER/a.toml already [TW-CFG-009]
          to mend it: slot = "…" with another name, or keep one of the two pipelines
        FOLDER/c.toml:7:8: the file FOLDER/shop.duckdb is used by FOLDER/a.toml already [TW-CFG-009]
          to mend it: give each pipeline a file of its own"#]].assert_eq(&text.join("\n").replace(&folder, "FOLDER"));
}

#[test]
fn a_folder_without_pipelines_and_a_missing_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, errors) = load(&[folder.path().to_path_buf(), folder.path().join("none.toml")]);
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let folder = folder.path().display().to_string();
    expect![[r#"
        FOLDER: holds no pipeline file [TW-CFG-001]
          to mend it: write FOLDER/shop.toml, see docs/OPERATING.md
        FOLDER/none.toml: No such file or directory (os error 2) [TW-CFG-001]
          to mend it: name a pipeline file, or a folder that holds *.toml files"#]]
    .assert_eq(&text.join("\n").replace(&folder, "FOLDER"));
}
