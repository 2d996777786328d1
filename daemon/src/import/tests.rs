//! What comes out of files as people have them, and what is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use expect_test::{Expect, expect};

use super::connector::Connector;
use super::convert::{Start, convert};
use super::given::Given;
use super::mysql::Kind;

/// Every property that release 3.6.3 of the connector, its engine, and Kafka Connect 4.3 have, as their own classes say.
const NAMES: &str = include_str!("names.txt");

/// Those of the MySQL connector, which has all that MariaDB's has.
const NAMES_OF_MYSQL: &str = include_str!("names-mysql.txt");

const CONNECTOR: &str = "io.debezium.connector.postgresql.PostgresConnector";

/// A connector with what every one needs, and these properties.
fn connector(more: &[(&str, &str)]) -> Given {
    let mut config: BTreeMap<&str, &str> = BTreeMap::from([
        ("connector.class", CONNECTOR),
        ("database.hostname", "db.example"),
        ("database.user", "cdc"),
        ("database.dbname", "shop"),
        ("topic.prefix", "shop"),
        ("plugin.name", "pgoutput"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ]);
    config.extend(more.iter().copied());
    Given::parse(&serde_json::to_string(&config).unwrap()).unwrap()
}

/// The codes and messages of what is refused.
fn problems(more: &[(&str, &str)]) -> Vec<String> {
    let errors = convert(&connector(more), Start::Copy, "f").err().unwrap_or_default();
    errors.iter().map(|error| format!("{} {}", error.code(), error.message())).collect()
}

/// The text, which the daemon's own reader must take.
fn text(given: &Given, start: Start) -> String {
    let text = convert(given, start, "given").unwrap_or_else(|errors| panic!("{errors:?}"));
    let folder = tempfile::tempdir().unwrap();
    let variables = ["PGPASSWORD", "MYSQL_PWD", "KAFKA_BROKERS", "KAFKA_PASSWORD", "DB_PASSWORD"];
    let variables = variables.map(|name| (name.to_owned(), "x:1".to_owned()));
    let file = folder.path().join("shop.toml");
    crate::config::parse(&file, text.clone(), &BTreeMap::from(variables))
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    text
}

fn check(given: &Given, start: Start, expected: &Expect) {
    expected.assert_eq(&text(given, start));
}

#[test]
fn every_property_of_the_release_is_known() {
    for (names, least, connector) in [
        (NAMES, 150, Connector::Postgres),
        (NAMES_OF_MYSQL, 120, Connector::Mysql(Kind::MySql)),
        (NAMES_OF_MYSQL, 120, Connector::Mysql(Kind::MariaDb)),
    ] {
        let unknown: Vec<&str> = names.lines().filter(|name| connector.meaning(name).is_none()).collect();
        assert!(names.lines().count() > least && unknown.is_empty(), "{connector:?}: {unknown:?}");
    }
}

#[test]
fn defaults_written_out_change_nothing() {
    let config = [
        ("table.ignore.builtin", "true"),
        ("transforms", ""),
        ("slot.stream.params", ""),
        ("include.unknown.datatypes", "False"),
        ("skip.messages.without.change", "false"),
        ("topic.delimiter", "."),
        ("xmin.fetch.interval.ms", "0"),
        ("skipped.operations", "t"),
        ("snapshot.mode", "initial"),
        ("snapshot.query.mode", "select_all"),
        ("topic.naming.strategy", "io.debezium.schema.SchemaTopicNamingStrategy"),
        ("publication.autocreate.mode", "all_tables"),
        ("lsn.flush.mode", "connector"),
        ("topic.creation.groups", ""),
        ("errors.tolerance", "none"),
    ];
    text(&connector(&config), Start::Copy);
}

#[test]
fn a_connector_becomes_a_pipeline() {
    let config = [
        ("database.password", "hidden"),
        ("database.port", "5433"),
        ("database.sslmode", "verify-full"),
        ("table.include.list", "public.orders,sales\\.(a|b_.*)"),
        ("table.exclude.list", "sales\\.b_old"),
        ("slot.name", "dbz"),
        ("publication.name", "dbz_pub"),
        ("value.converter.schemas.enable", "false"),
        ("key.converter.schemas.enable", "false"),
        ("decimal.handling.mode", "String"),
        ("heartbeat.interval.ms", "10000"),
        ("max.batch.size", "4096"),
        ("topic.creation.default.partitions", "6"),
        ("topic.creation.default.replication.factor", "3"),
        ("topic.creation.default.cleanup.policy", "compact"),
        ("producer.override.compression.type", "zstd"),
        ("producer.override.acks", "all"),
    ];
    check(
        &connector(&config),
        Start::Copy,
        &expect![[r##"
        # Made by `tailwater import-debezium` from given.
        #
        # What needs no setting here:
        #   max.batch.size: tuning of Debezium's own workings; nothing here corresponds to it
        #   producer.override.acks: the guarantee needs acknowledgement by all replicas and numbered requests, always

        [source.postgres]
        # database.password: a password is never copied. Set the variable, or refer to a file: ${file:PATH}
        url = "postgres://cdc:${env:PGPASSWORD}@db.example:5433/shop?sslmode=verify-full"
        # Debezium's lists do not heed the case of letters, `tables` does.
        tables = ["public.orders", "sales.a", "sales.b_*", "!sales.b_old"]
        # Debezium's own slot. For a first copy it must be gone: drop it, or name another here.
        slot = "dbz"
        publication = "dbz_pub"

        [sink.kafka]
        # A connector does not know its brokers; they are the worker's bootstrap.servers. Write them here, or
        # import with --worker and the worker's properties.
        brokers = "${env:KAFKA_BROKERS}"
        prefix = "shop"

        [sink.kafka.debezium]
        schemas.enable = false
        decimal.handling.mode = "string"
        heartbeat.interval.ms = 10000

        [sink.kafka.properties]
        "compression.type" = "zstd"

        [[sink.kafka.topics]]
        topic = "*"
        partitions = 6
        replication = 3
        configs = { "cleanup.policy" = "compact" }
    "##]],
    );
}

#[test]
fn debezium_servers_properties_become_a_pipeline() {
    let given = Given::parse(
        "debezium.source.connector.class=io.debezium.connector.postgresql.PostgresConnector
debezium.source.offset.storage.file.filename=data/offsets.dat
debezium.source.database.hostname=localhost
debezium.source.database.user=postgres
debezium.source.database.password=${DB_PASSWORD}
debezium.source.database.dbname=postgres
debezium.source.topic.prefix=tutorial
debezium.source.schema.include.list=inventory
debezium.source.plugin.name=pgoutput
debezium.sink.type=kafka
debezium.sink.kafka.producer.bootstrap.servers=k:9092
debezium.sink.kafka.producer.security.protocol=SASL_SSL
debezium.sink.kafka.producer.sasl.mechanism=SCRAM-SHA-512
debezium.sink.kafka.producer.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \\
    required username=\"al\" password=\"hidden\";
debezium.format.schemas.enable=false
quarkus.log.console.json=false",
    )
    .unwrap();
    check(
        &given,
        Start::GoOn,
        &expect![[r##"
        # Made by `tailwater import-debezium` from given.
        #
        # What needs no setting here:
        #   debezium.format.schemas.enable: it is so here too
        #   debezium.source.offset.storage.file.filename: the position is kept in a topic of its own, with the records
        #   quarkus.log.console.json: it concerns Debezium Server's own process
        #   debezium.sink.kafka.producer.sasl.jaas.config: its user is below [sink.kafka.properties]; a password is never copied: set the variable

        [source.postgres]
        # debezium.source.database.password: a password is never copied. Set the variable, or refer to a file: ${file:PATH}
        url = "postgres://postgres:${env:DB_PASSWORD}@localhost:5432/postgres"
        # Debezium's lists do not heed the case of letters, `tables` does.
        tables = ["inventory.*"]
        slot = "debezium"
        publication = "dbz_publication"

        [sink.kafka]
        brokers = "k:9092"
        prefix = "tutorial"

        [sink.kafka.debezium]
        schemas.enable = false

        [sink.kafka.properties]
        "sasl.mechanisms" = "SCRAM-SHA-512"
        "sasl.password" = "${env:KAFKA_PASSWORD}"
        "sasl.username" = "al"
        "security.protocol" = "SASL_SSL"
    "##]],
    );
}

#[test]
fn a_worker_tells_brokers_and_converters() {
    let mut given = connector(&[]);
    given.add_worker("bootstrap.servers=k:9092\nkey.converter=org.apache.kafka.connect.json.JsonConverter\nproducer.client.id=me\nproducer.linger.ms=7");
    let text = text(&given, Start::Copy);
    assert!(text.contains("brokers = \"k:9092\"") && text.contains("\"client.id\" = \"me\""), "{text}");
    assert!(!text.contains("\"linger.ms\""), "{text}");
}

#[test]
fn a_worker_that_says_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    };
    let refused = |file, worker: &str| {
        let worker = Some(folder.path().join(worker));
        let import = super::Import { file, output: None, worker, offsets: None, offsets_topic: None };
        super::read(&import).unwrap_err().to_string().replace(&folder.path().display().to_string(), "")
    };
    let json = file("c.json", "{\"connector.class\":\"x\"}");
    let server = file("application.properties", "debezium.source.topic.prefix=x");
    file("worker.properties", "bootstrap.servers=k:9092");
    expect![[r#"
        --worker /c.json: it has no bootstrap.servers [TW-IMP-001]
          to mend it: give the properties that the Connect worker is started with"#]]
    .assert_eq(&refused(json, "c.json"));
    expect![[r#"
        --worker /worker.properties: Debezium Server has no worker [TW-IMP-001]
          to mend it: leave it out: application.properties says it all"#]]
    .assert_eq(&refused(server, "worker.properties"));
}

#[test]
fn schemas_of_debezium_server_are_named_as_its_file_has_them() {
    let file = "debezium.source.connector.class=io.debezium.connector.postgresql.PostgresConnector\n\
        debezium.source.topic.prefix=x\ndebezium.source.plugin.name=pgoutput\ndebezium.source.database.hostname=h\n\
        debezium.source.database.user=u\ndebezium.source.database.dbname=d\n\
        debezium.sink.type=kafka\ndebezium.sink.kafka.producer.bootstrap.servers=k:1\ndebezium.format.value.schemas.enable=false";
    let errors = convert(&Given::parse(file).unwrap(), Start::Copy, "f").unwrap_err();
    expect![[r#"
        `debezium.format.key.schemas.enable` cannot be carried over, and without it other data would be written [TW-IMP-004]
          to mend it: keys and values have schemas both or not at all here: set debezium.format.key.schemas.enable and debezium.format.value.schemas.enable to the same; true is the default of both"#]].assert_eq(&errors.iter().map(ToString::to_string).collect::<String>());
}

#[test]
fn words_are_read_in_any_case_as_debezium_reads_them() {
    let config = [
        ("plugin.name", "PgOutput"),
        ("slot.name", "dbz"),
        ("value.converter.schemas.enable", "False"),
        ("key.converter.schemas.enable", "FALSE"),
        ("provide.transaction.metadata", "True"),
    ];
    let text = text(&connector(&config), Start::GoOn);
    for line in ["slot = \"dbz\"", "schemas.enable = false", "provide.transaction.metadata = true"] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

#[test]
fn no_secret_is_copied() {
    let mut secrets = vec![("database.password", "hidden")];
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"al\" password=\"hidden\";";
    secrets.push(("producer.override.sasl.jaas.config", jaas));
    assert!(!text(&connector(&secrets), Start::Copy).contains("hidden"));
    let refused = [
        ("producer.override.ssl.keystore.password", "hidden"),
        ("database.sslpassword", "hidden"),
        ("pasword", "hidden"),
    ];
    let problems = problems(&refused);
    assert!(problems.len() == 3 && !problems.concat().contains("hidden"), "{problems:?}");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let config = [
        ("colum.exclude.list", "a"),
        ("column.exclude.list", "a.b.c"),
        ("column.mask.with.5.chars", "a.b.c"),
        ("transforms", "route"),
        ("transforms.route.type", "x"),
        ("converters", "geo"),
        ("geo.type", "x"),
        ("table.include.list", "a.b,a\\.[cd]"),
        ("snapshot.mode", "never"),
        ("value.converter", "io.confluent.connect.avro.AvroConverter"),
        ("binary.handling.mode", "octal"),
        ("topic.prefix", ""),
        ("database.port", "5x32"),
    ];
    expect![[r#"
        TW-IMP-003 `colum.exclude.list` is no property that this connector of Debezium 3.6.3 or Kafka Connect has
        TW-IMP-004 `column.exclude.list` cannot be carried over, and without it other data would be written
        TW-IMP-004 `column.mask.with.5.chars` cannot be carried over, and without it other data would be written
        TW-IMP-004 `converters` cannot be carried over, and without it other data would be written
        TW-IMP-004 `snapshot.mode` cannot be carried over, and without it other data would be written
        TW-IMP-004 `transforms` cannot be carried over, and without it other data would be written
        TW-IMP-004 `transforms.route.type` cannot be carried over, and without it other data would be written
        TW-IMP-005 `database.port` is no port
        TW-IMP-006 `table.include.list` holds the regular expression "a\\.[cd]", which `tables` has no equal of
        TW-IMP-005 `topic.prefix` is missing
        TW-IMP-004 `value.converter` cannot be carried over, and without it other data would be written
        TW-IMP-005 `binary.handling.mode` is none of bytes, base64, base64-url-safe, hex"#]].assert_eq(&problems(&config).join("\n"));
}

#[test]
fn one_transform_is_a_format() {
    let flat = [
        ("transforms", " unwrap "),
        ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
        ("transforms.unwrap.delete.tombstone.handling.mode", "REWRITE"),
        ("transforms.unwrap.add.fields", "op, source.lsn:place"),
        ("transforms.unwrap.add.fields.prefix", ""),
        ("transforms.unwrap.add.headers", "db"),
        ("transforms.unwrap.replace.null.with.default", "true"),
        ("decimal.handling.mode", "string"),
    ];
    let text = text(&connector(&flat), Start::Copy);
    let sink = text.find("[sink.kafka]").map(|start| &text[start..]).unwrap();
    expect![[r#"
        [sink.kafka]
        # A connector does not know its brokers; they are the worker's bootstrap.servers. Write them here, or
        # import with --worker and the worker's properties.
        brokers = "${env:KAFKA_BROKERS}"
        prefix = "shop"
        format = "row"

        [sink.kafka.debezium]
        schemas.enable = true
        decimal.handling.mode = "string"
        "add.fields" = "op, source.lsn:place"
        "add.fields.prefix" = ""
        "add.headers" = "db"
        "delete.tombstone.handling.mode" = "rewrite"
        "replace.null.with.default" = "true"
    "#]]
    .assert_eq(sink);
}

#[test]
fn other_transforms_are_refused() {
    let flat = |more: &[(&'static str, &'static str)]| {
        let unwrap = [
            ("transforms", "unwrap"),
            ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
        ];
        problems(&[&unwrap, more].concat())
    };
    let all = [
        flat(&[("transforms.unwrap.predicate", "isRow"), ("predicates", "isRow")]),
        flat(&[("transforms.unwrap.drop.tombstones", "false")]),
        flat(&[("transforms.unwrap.add.field", "op"), ("transforms.unwrap.add.headers", "nothing")]),
        flat(&[("transforms.unwrap.route.by.field", "kind")]),
        flat(&[("transforms", "unwrap,route"), ("transforms.route.type", "x")]),
    ];
    expect![[r#"
        TW-IMP-004 `transforms.unwrap.predicate` cannot be carried over, and without it other data would be written

        TW-IMP-004 `transforms.unwrap.drop.tombstones` cannot be carried over, and without it other data would be written

        TW-IMP-003 `transforms.unwrap.add.field` is no option that ExtractNewRecordState of 3.6.3 has
        TW-IMP-005 `transforms.unwrap.add.headers` names "nothing", which is neither op, ts_ms, ts_us, ts_ns nor a field of source or transaction

        TW-IMP-005 `transforms.unwrap.route.by.field` is not supported: which topics there are would depend on the rows; set `topic` in [sink.kafka]

        TW-IMP-004 `transforms` cannot be carried over, and without it other data would be written
        TW-IMP-004 `transforms.route.type` cannot be carried over, and without it other data would be written
        TW-IMP-004 `transforms.unwrap.type` cannot be carried over, and without it other data would be written"#]].assert_eq(&all.map(|problems| problems.join("\n")).join("\n\n"));
    let flat = [("transforms", "u"), ("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState")];
    let errors = convert(&connector(&flat), Start::GoOn, "f").unwrap_err();
    assert!(errors.iter().any(|error| error.to_string().contains("start without offsets")), "{errors:?}");
}

#[test]
fn what_concerns_the_snapshot_matters_only_where_there_is_one() {
    for config in [("snapshot.mode", "no_data"), ("snapshot.select.statement.overrides", "a.b")] {
        assert_eq!(problems(&[config]).len(), 1, "{config:?}");
        text(&connector(&[config]), Start::GoOn);
    }
    assert!(convert(&connector(&[("slot.drop.on.stop", "true")]), Start::GoOn, "f").is_err());
    assert!(convert(&connector(&[("plugin.name", "decoderbufs")]), Start::GoOn, "f").is_err());
}

#[test]
fn other_connectors_are_named() {
    let check = |class: &str, expected: &str| {
        let errors = convert(&connector(&[("connector.class", class)]), Start::Copy, "f").unwrap_err();
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(error.code() == "TW-IMP-002" && error.message().contains(expected), "{error}");
    };
    check(
        "io.debezium.connector.oracle.OracleConnector",
        "reads Oracle, and this release has no such source yet",
    );
    check("MongoDbConnector", "MongoDB");
    check("org.example.MySql", "no connector of Debezium");
    check("org.example.Postgres", "no connector of Debezium");
    text(&connector(&[("connector.class", "PostgresConnector")]), Start::Copy);
}

/// A connector for MySQL or MariaDB with what every one needs, and these properties.
fn binlog_connector(class: &str, more: &[(&str, &str)]) -> Given {
    let mut config: BTreeMap<&str, &str> = BTreeMap::from([
        ("connector.class", class),
        ("database.hostname", "db.example"),
        ("database.user", "cdc"),
        ("database.server.id", "5400"),
        ("topic.prefix", "shop"),
        ("schema.history.internal.kafka.topic", "history"),
        ("schema.history.internal.kafka.bootstrap.servers", "k:9092"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ]);
    config.extend(more.iter().copied());
    Given::parse(&serde_json::to_string(&config).unwrap()).unwrap()
}

const MYSQL: &str = "io.debezium.connector.mysql.MySqlConnector";
const MARIADB: &str = "io.debezium.connector.mariadb.MariaDbConnector";

#[test]
fn a_connector_for_mysql_becomes_a_pipeline() {
    let config = [
        ("database.password", "hidden"),
        ("database.port", "3307"),
        ("database.ssl.mode", "verify_identity"),
        ("database.include.list", "shop,sales"),
        ("table.exclude.list", "shop\\.audit_.*"),
        ("include.schema.changes", "False"),
        ("bigint.unsigned.handling.mode", "Precise"),
        ("time.precision.mode", "connect"),
        ("snapshot.locking.mode", "none"),
        ("gtid.source.filter.dml.events", "true"),
        ("heartbeat.interval.ms", "500"),
    ];
    check(
        &binlog_connector(MYSQL, &config),
        Start::GoOn,
        &expect![[r##"
        # Made by `tailwater import-debezium` from given.
        #
        # What needs no setting here:
        #   database.server.id: the pipeline has a number of its own, made of its name; server_id = … gives it another
        #   gtid.source.filter.dml.events: it goes with gtid.source.includes and gtid.source.excludes
        #   schema.history.internal.kafka.bootstrap.servers: no history of schemas is kept: the log says what its columns are
        #   schema.history.internal.kafka.topic: no history of schemas is kept: the log says what its columns are
        #   snapshot.locking.mode: a setting of Debezium's snapshot that changes none of its rows

        [source.mysql]
        # database.password: a password is never copied. Set the variable, or refer to a file: ${file:PATH}
        url = "mysql://cdc:${env:MYSQL_PWD}@db.example:3307?ssl-mode=VERIFY_IDENTITY"
        # Debezium's lists do not heed the case of letters, `tables` does.
        tables = ["shop.*", "sales.*", "!shop.audit_*"]

        [sink.kafka]
        # A connector does not know its brokers; they are the worker's bootstrap.servers. Write them here, or
        # import with --worker and the worker's properties.
        brokers = "${env:KAFKA_BROKERS}"
        prefix = "shop"

        [sink.kafka.debezium]
        schemas.enable = true
        bigint.unsigned.handling.mode = "precise"
        heartbeat.interval.ms = 500
        time.precision.mode = "connect"
        include.schema.changes = false
    "##]],
    );
}

#[test]
fn a_connector_for_mariadb_with_defaults_becomes_a_pipeline() {
    let config = [("database.ssl.mode", "trust"), ("snapshot.mode", "no_data")];
    check(
        &binlog_connector(MARIADB, &config),
        Start::GoOn,
        &expect![[r##"
        # Made by `tailwater import-debezium` from given.
        #
        # What needs no setting here:
        #   database.server.id: the pipeline has a number of its own, made of its name; server_id = … gives it another
        #   schema.history.internal.kafka.bootstrap.servers: no history of schemas is kept: the log says what its columns are
        #   schema.history.internal.kafka.topic: no history of schemas is kept: the log says what its columns are
        #   snapshot.mode: Tailwater copies once, where it has no position to go on from

        [source.mariadb]
        url = "mariadb://cdc@db.example:3306?ssl-mode=REQUIRED"
        tables = ["*.*", "!mysql.*", "!sys.*"]

        [sink.kafka]
        # A connector does not know its brokers; they are the worker's bootstrap.servers. Write them here, or
        # import with --worker and the worker's properties.
        brokers = "${env:KAFKA_BROKERS}"
        prefix = "shop"

        [sink.kafka.debezium]
        schemas.enable = true
        # Debezium's default. Where nobody reads the topic of the prefix, write false.
        include.schema.changes = true
    "##]],
    );
    let config = [("table.exclude.list", "shop.audit"), ("database.ssl.mode", "${env:MODE}")];
    let errors = convert(&binlog_connector(MARIADB, &config), Start::Copy, "f");
    let text = errors.unwrap();
    for line in [
        "tables = [\"!shop.audit\", \"!mysql.*\", \"!sys.*\"]",
        "url = \"mariadb://cdc@db.example:3306?ssl-mode=${env:MODE}\"",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

#[test]
fn what_mysql_cannot_carry_over_is_told_at_once() {
    let config = [
        ("slot.name", "dbz"),
        ("column.exclude.list", "a.b.c"),
        ("column.mask.hash.SHA-256.with.salt.x", "a.b.c"),
        ("gtid.source.includes", "3e11fa47-71ca-11e1-9e33-c80aa9429562"),
        ("include.query", "true"),
        ("include.schema.comments", "true"),
        ("database.ssl.truststore", "store.jks"),
        ("database.ssl.mode", "sometimes"),
        ("database.initial.statements", "SET x"),
        ("database.protocol", "jdbc:mysql:aws"),
        ("database.whitelist", "a"),
        ("snapshot.mode", "schema_only"),
        ("schema.include.list", "a"),
    ];
    let errors = convert(&binlog_connector(MYSQL, &config), Start::Copy, "f").unwrap_err();
    let problems: Vec<String> =
        errors.iter().map(|error| format!("{} {}", error.code(), error.message())).collect();
    expect![[r#"
        TW-IMP-004 `column.exclude.list` cannot be carried over, and without it other data would be written
        TW-IMP-004 `column.mask.hash.SHA-256.with.salt.x` cannot be carried over, and without it other data would be written
        TW-IMP-004 `database.initial.statements` cannot be carried over, and without it other data would be written
        TW-IMP-004 `database.protocol` cannot be carried over, and without it other data would be written
        TW-IMP-004 `database.ssl.truststore` cannot be carried over, and without it other data would be written
        TW-IMP-004 `database.whitelist` cannot be carried over, and without it other data would be written
        TW-IMP-004 `gtid.source.includes` cannot be carried over, and without it other data would be written
        TW-IMP-004 `include.query` cannot be carried over, and without it other data would be written
        TW-IMP-004 `include.schema.comments` cannot be carried over, and without it other data would be written
        TW-IMP-003 `schema.include.list` is no property that this connector of Debezium 3.6.3 or Kafka Connect has
        TW-IMP-003 `slot.name` is no property that this connector of Debezium 3.6.3 or Kafka Connect has
        TW-IMP-004 `snapshot.mode` cannot be carried over, and without it other data would be written
        TW-IMP-005 `database.ssl.mode` is none of disabled, preferred, required, verify_ca, verify_identity, nor MariaDB's disable, trust, verify-ca, verify-full"#]].assert_eq(&problems.join("\n"));
}

#[test]
fn what_mysql_has_by_default_changes_nothing() {
    let config = [
        ("include.query", "false"),
        ("include.schema.comments", "false"),
        ("database.protocol", "jdbc:mysql"),
        ("database.jdbc.driver", "com.mysql.cj.jdbc.Driver"),
        ("enable.time.adjuster", "true"),
        ("table.ignore.builtin", "true"),
        ("connect.keep.alive", "true"),
        ("inconsistent.schema.handling.mode", "fail"),
        ("min.row.count.to.stream.results", "1000"),
    ];
    text(&binlog_connector(MYSQL, &config), Start::Copy);
}
