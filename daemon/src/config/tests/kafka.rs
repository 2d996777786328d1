//! `[sink.kafka]`: what is taken, and what a person reads where it is wrong.

use std::path::Path;

use expect_test::{Expect, expect};

use super::super::pipeline;
use super::{GOOD, read};

const KAFKA: &str = r#"
[sink.kafka]
brokers = "one:9093,two:9093"
prefix = "cdc"
topic = "{prefix}.{table}"
format = "json"
delivery = "at-least-once"
partition_change = "accept"
position_topic = "where"
buffer = "64MiB"
oauth_token_file = "token"

[[sink.kafka.topics]]
topic = "cdc.*"
partitions = 6
replication = 3
configs = { "retention.ms" = -1, "cleanup.policy" = "compact" }

[sink.kafka.properties]
"compression.type" = "zstd"
"sasl.password" = "${env:PGPASSWORD}"
"ssl.ca.location" = "ca.pem"
"linger.ms" = 10
"#;

#[test]
fn brokers_are_hosts_with_ports() {
    let check = |brokers: &str, fits: bool| {
        let file = with_kafka(&format!("[sink.kafka]\nbrokers = {brokers:?}\n"));
        let answer = read("shop.toml", &file).map(drop).map_err(|error| error.to_string());
        assert_eq!(answer.is_ok(), fits, "{brokers:?}: {answer:?}");
        // Whoever writes a login there reads it nowhere else.
        assert!(!answer.is_err_and(|error| error.contains("secret")));
    };
    for right in
        ["one", "one:9092", " one:9092 , two-2.example:1,", "[::1]:9092", "127.0.0.1:9", "SASL_SSL://a:9"]
    {
        check(right, true);
    }
    for wrong in
        ["", " ", ",", "one:", "one:0", "one:65536", ":9092", "http://one:9", "me:secret@one:9092", "a b:9"]
    {
        check(wrong, false);
    }
}

#[test]
fn secrets_are_references() {
    let properties = |line: &str| {
        let sink = format!("[sink.kafka]\nbrokers = \"one:9092\"\n[sink.kafka.properties]\n{line}\n");
        read("shop.toml", &with_kafka(&sink)).map(drop).map_err(|error| error.to_string())
    };
    properties("\"sasl.password\" = \"${env:PGPASSWORD}\"").unwrap();
    let error = properties("\"sasl.password\" = \"secret\"").unwrap_err();
    assert!(error.contains("`sasl.password` is a secret") && !error.contains("\"secret"), "{error}");
    let error = properties("\"security.protocol\" = \"${env:PGPASSWORD}\"").unwrap_err();
    assert!(error.contains("`security.protocol`") && !error.contains("tr@tra"), "{error}");
}

/// The file that is right, with the sink that follows.
fn with_kafka(sink: &str) -> String {
    GOOD.split("[sink").next().unwrap().to_owned() + sink.trim_start()
}

#[test]
fn every_option_is_taken_and_no_secret_printed() {
    let pipeline = read("pipelines/shop.toml", &with_kafka(KAFKA)).unwrap();
    let pipeline::Sink::Kafka(sink) = &pipeline.sink else { panic!("{:?}", pipeline.sink) };
    assert_eq!((sink.pipeline.as_str(), sink.brokers.as_str()), ("shop", "one:9093,two:9093"));
    assert_eq!(sink.naming.topic("public", "t"), "cdc.t");
    assert_eq!(
        (sink.format, sink.delivery),
        (tailwater_kafka::Format::Json, tailwater_kafka::Delivery::AtLeastOnce)
    );
    assert_eq!(sink.partition_change, tailwater_kafka::PartitionChange::Accept);
    assert_eq!((sink.position_topic.as_str(), sink.buffer_bytes), ("where", 64 << 20));
    assert_eq!(sink.oauth_token_file.as_deref(), Some(Path::new("pipelines/token")));
    let [topic] = sink.topics.as_slice() else { panic!("{:?}", sink.topics) };
    assert_eq!((topic.topic.as_str(), topic.partitions, topic.replication), ("cdc.*", Some(6), Some(3)));
    let configs: Vec<_> = topic.configs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(configs, [("retention.ms", "-1"), ("cleanup.policy", "compact")]);
    let mut expected = tailwater_kafka::Properties::default();
    for (name, value) in [
        ("compression.type", "zstd"),
        ("sasl.password", "tr@tra"),
        ("ssl.ca.location", "pipelines/ca.pem"),
        ("linger.ms", "10"),
    ] {
        expected.set(name, value.to_owned(), |_, _| String::new()).unwrap();
    }
    assert_eq!(sink.properties, expected);
    assert!(!format!("{pipeline:?}").contains("tr@tra"), "a secret is printed");
}

/// Replaces `good` by `bad` in the sink that is right, and expects this complaint.
fn check(good: &str, bad: &str, expected: Expect) {
    assert!(KAFKA.contains(good), "{good}");
    let text = with_kafka(&KAFKA.replace(good, bad));
    expected.assert_eq(&read("shop.toml", &text).unwrap_err().to_string());
}

#[test]
fn a_wrong_option_is_named_with_its_place() {
    check(
        "prefix =",
        "prefx =",
        expect!["shop.toml:7:1: unknown key `prefx` in [sink.kafka]; did you mean `prefix`? [TW-CFG-003]"],
    );
    check(
        "brokers = \"one:9093,two:9093\"",
        "",
        expect![[r#"
        shop.toml:5:7: [sink.kafka] lacks `brokers` [TW-CFG-006]
          to mend it: write below [sink.kafka]: brokers = "kafka.example:9092""#]],
    );
    check(
        "{prefix}.{table}",
        "{prefix}.{tabel}",
        expect![
            "shop.toml:8:9: `topic` holds {tabel}; there may be {prefix}, {schema} and {table} [TW-CFG-005]"
        ],
    );
    check(
        "\"json\"",
        "\"jsn\"",
        expect![[r#"shop.toml:9:10: `format` is "jsn"; did you mean `json`? [TW-CFG-005]"#]],
    );
    check(
        "\"at-least-once\"",
        "\"exactly_once\"",
        expect![[
            r#"shop.toml:10:12: `delivery` is "exactly_once"; did you mean `exactly-once`? [TW-CFG-005]"#
        ]],
    );
}

#[test]
fn a_wrong_topic_or_property_is_named_with_its_place() {
    check(
        "partitions = 6",
        "partition = 6",
        expect![
            "shop.toml:18:1: unknown key `partition` in [sink.kafka.topics]; did you mean `partitions`? [TW-CFG-003]"
        ],
    );
    check(
        "partitions = 6",
        "partitions = 0",
        expect!["shop.toml:18:14: `partitions` is 0, but may be 1 to 10000 [TW-CFG-005]"],
    );
    check(
        "[[sink.kafka.topics]]",
        "[sink.kafka.topics]",
        expect![
            "shop.toml:16:13: `topics` is a table; write [[sink.kafka.topics]] above its settings [TW-CFG-004]"
        ],
    );
    check(
        "\"compression.type\"",
        "\"compresion.type\"",
        expect![[r#"
        shop.toml:23:1: `compresion.type` is no property of librdkafka; did you mean `compression.type`? [TW-KAFKA-009]
          to mend it: use a name of librdkafka's CONFIGURATION.md"#]],
    );
    check(
        "\"compression.type\"",
        "compression.type",
        expect![[r#"shop.toml:23:1: put the name in quotes: "compression.…" = "…" [TW-CFG-004]"#]],
    );
    check(
        "\"linger.ms\" = 10",
        "\"acks\" = 1",
        expect![[r#"
        shop.toml:26:1: `acks` cannot be set: without acknowledgement by all replicas, and numbered requests, records could be lost, repeated or change places [TW-KAFKA-009]
          to mend it: remove `acks` from [sink.kafka.properties]"#]],
    );
    check(
        "\"linger.ms\" = 10",
        "\"linger.ms\" = -10",
        expect![[r#"
            shop.toml:26:1: librdkafka refuses `linger.ms`: Configuration property "queue.buffering.max.ms" value -10 is outside allowed range 0..900000 [TW-KAFKA-009]
              to mend it: write a value that librdkafka's CONFIGURATION.md has for it below [sink.kafka.properties]"#]],
    );
    check(
        "\"zstd\"",
        "[\"zstd\"]",
        expect![
            "shop.toml:23:22: `compression.type` is a list, but must be a string, in quotes [TW-CFG-004]"
        ],
    );
}

#[test]
fn debeziums_options_are_taken_by_their_names() {
    let sink = "[sink.kafka]\nbrokers = \"one:9092\"\n[sink.kafka.debezium]\ntopic.prefix = \"server1\"\n\
        decimal.handling.mode = \"string\"\n\"time.precision.mode\" = \"connect\"\nschemas.enable = true\n";
    let pipeline = read("shop.toml", &with_kafka(sink)).unwrap();
    let pipeline::Sink::Kafka(sink) = &pipeline.sink else { panic!("{:?}", pipeline.sink) };
    let mut expected = tailwater_kafka::debezium::Config::new("server1");
    for (name, value) in
        [("decimal.handling.mode", "string"), ("time.precision.mode", "connect"), ("schemas.enable", "true")]
    {
        expected.set(name, value).unwrap();
    }
    assert_eq!((sink.format, &sink.debezium), (tailwater_kafka::Format::Debezium, &expected));
    assert_eq!(sink.naming.topic("public", "t"), "server1.public.t");
    // Every option that is listed is one, and every one is listed.
    use tailwater_kafka::debezium::Config;
    for name in [Config::OPTIONS, Config::ROW_OPTIONS].concat() {
        let refused = expected.set(name, "\0");
        assert!(!refused.is_err_and(|why| why.contains("is not an option")), "{name}");
    }
}

/// Who is to tell statements, and who is to write them.
#[test]
fn statements_are_told_where_the_sink_wants_them() {
    let check = |source: &str, options: &str, expected: (Option<bool>, bool)| {
        let text = format!(
            "[source.{source}]\nurl = \"{source}://u@h/d\"\ntables = [\"a.*\"]\n[sink.kafka]\nbrokers = \"one:9092\"\n{options}"
        );
        let pipeline = read("shop.toml", &text).unwrap();
        let pipeline::Sink::Kafka(sink) = &pipeline.sink else { panic!("{:?}", pipeline.sink) };
        let told = match &pipeline.source {
            pipeline::Source::Mysql(mysql) => Some(mysql.statements),
            pipeline::Source::Postgres(_) => None,
        };
        assert_eq!((told, sink.debezium.schema_changes), expected, "{text}");
    };
    let wanted = "[sink.kafka.debezium]\n\"include.schema.changes\" = true\n";
    check("mysql", wanted, (Some(true), true));
    check("mariadb", wanted, (Some(true), true));
    check("mysql", "", (Some(false), false));
    check("postgres", wanted, (None, false));
}

#[test]
fn a_wrong_option_of_debezium_is_named_with_its_place() {
    let check = |line: &str, expected: Expect| {
        let sink = format!("[sink.kafka]\nbrokers = \"one:9092\"\n[sink.kafka.debezium]\n{line}\n");
        expected.assert_eq(&read("shop.toml", &with_kafka(&sink)).unwrap_err().to_string());
    };
    check(
        "decimal.handling.mod = \"string\"",
        expect![
            "shop.toml:8:18: `decimal.handling.mod` is no option of [sink.kafka.debezium]; did you mean `decimal.handling.mode`? [TW-CFG-003]"
        ],
    );
    check(
        "decimal.handling.mode = \"strin\"",
        expect!["shop.toml:8:25: `decimal.handling.mode` is none of precise, double, string [TW-CFG-005]"],
    );
    check(
        "tombstones.on.delete = 1",
        expect!["shop.toml:8:24: `tombstones.on.delete` is neither true nor false [TW-CFG-005]"],
    );
    check("a.b = 1\n\"a.b\" = 2", expect!["shop.toml:9:1: `a.b` is there twice [TW-CFG-005]"]);
    check(
        "\"add.fields\" = \"op\"",
        expect![[r#"shop.toml:8:1: `add.fields` is for `format = "row"` [TW-CFG-005]"#]],
    );
    let sink = "[sink.kafka]\nbrokers = \"one:9092\"\nformat = \"json\"\n[sink.kafka.debezium]\nschemas.enable = true\n";
    expect![[r#"shop.toml:9:9: `schemas.enable` is for `format = "debezium"` or `"row"` [TW-CFG-005]"#]]
        .assert_eq(&read("shop.toml", &with_kafka(sink)).unwrap_err().to_string());
}

#[test]
fn rows_have_options_of_their_own() {
    let with = |lines: &str| {
        let sink = "[sink.kafka]\nbrokers = \"one:9092\"\nformat = \"row\"\n[sink.kafka.debezium]\n";
        read("shop.toml", &with_kafka(&format!("{sink}{lines}\n")))
    };
    let pipeline = with(
        "delete.tombstone.handling.mode = \"rewrite\"\n\"add.fields\" = \"op,source.ts_ms:AT\"\n\
         \"add.fields.prefix\" = \"\"\n\"add.headers\" = \"table\"\ndecimal.handling.mode = \"string\"",
    );
    let pipeline::Sink::Kafka(sink) = pipeline.unwrap().sink else { panic!("another sink") };
    let mut expected = tailwater_kafka::debezium::Config::new("shop");
    for (name, value) in [
        ("delete.tombstone.handling.mode", "rewrite"),
        ("add.fields", "op,source.ts_ms:AT"),
        ("add.fields.prefix", ""),
        ("add.headers", "table"),
        ("decimal.handling.mode", "string"),
    ] {
        expected.set(name, value).unwrap();
    }
    assert_eq!((sink.format, &sink.debezium), (tailwater_kafka::Format::Row, &expected));
    for (line, expected) in [
        (
            "add.fields = \"op\"\nadd.fields.prefix = \"_\"",
            expect![[r#"
            shop.toml:10:5: cannot extend value of type string with a dotted key [TW-CFG-002]
              to mend it: where one name is the beginning of another, put both in quotes: "add.fields" = …"#]],
        ),
        (
            "add.fields.prefix = \"_\"\nadd.fields = \"op\"",
            expect![[r#"
            shop.toml:10:5: duplicate key [TW-CFG-002]
              to mend it: where one name is the beginning of another, put both in quotes: "add.fields" = …"#]],
        ),
        (
            "delete.tombstone.handling.mode = \"none\"",
            expect![
                "shop.toml:9:34: `delete.tombstone.handling.mode` is none of drop, tombstone, rewrite, rewrite-with-tombstone, delete-to-tombstone [TW-CFG-005]"
            ],
        ),
        (
            "\"add.headers\" = \"op,file,nothing\"",
            expect![[
                r#"shop.toml:9:17: `add.headers` names "nothing", which is neither op, ts_ms, ts_us, ts_ns nor a field of source or transaction [TW-CFG-005]"#
            ]],
        ),
        (
            "route.by.field = \"x\"",
            expect![
                "shop.toml:9:18: `route.by.field` is not supported: which topics there are would depend on the rows; set `topic` in [sink.kafka] [TW-CFG-005]"
            ],
        ),
        (
            "drop.fields.header.name = \"x\"",
            expect![
                "shop.toml:9:27: `drop.fields.header.name` is not supported: no record has a header that names fields to be dropped; leave columns out of the publication [TW-CFG-005]"
            ],
        ),
        (
            "message.key.columns = \"public.t\"",
            expect![[
                r#"shop.toml:9:23: `message.key.columns` "public.t" lacks `:` before its columns [TW-CFG-005]"#
            ]],
        ),
    ] {
        expected.assert_eq(&with(line).unwrap_err().to_string());
    }
}
