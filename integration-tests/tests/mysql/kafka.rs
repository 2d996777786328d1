//! To Kafka, as a document per change: what is read back adds up to what the server holds.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_integration_tests::mysql::pipeline::Pipeline;
use tailwater_integration_tests::mysql::{Installation, Server, truth};
use tailwater_kafka::{Config, Format, Kafka, TopicSettings};

/// Rows by key, as the documents of a topic add up to them; and the types of the documents, in order.
fn added_up(broker: &Broker, topic: &str) -> (BTreeMap<String, Map<String, Value>>, Vec<String>) {
    let (mut rows, mut types) = (BTreeMap::new(), Vec::new());
    let key = |row: &Map<String, Value>| row["id"].to_string();
    for record in broker.read(topic) {
        let document: Value = serde_json::from_str(&record.value.unwrap()).unwrap();
        let (kind, data, old) =
            (document["type"].as_str().unwrap(), document["data"].as_object(), document["old"].as_object());
        types.push(kind.to_owned());
        let gone = if kind == "delete" { data } else { old };
        if let Some(gone) = gone {
            assert!(rows.remove(&key(gone)).is_some(), "{document}");
        }
        if let Some(data) = data.filter(|_| kind != "delete") {
            assert!(document.get("unsent").is_none(), "{document}");
            assert!(rows.insert(key(data), data.clone()).is_none(), "{document}");
        }
    }
    (rows, types)
}

/// The one value of bytes, as it travels and in base64.
const BYTES: (&str, &str) = ("\\x010000", "AQAA");

/// Whether a member says what the server does.
fn same(member: &Value, said: Option<&String>) -> bool {
    let Some(said) = said else { return member.is_null() };
    match member {
        Value::String(text) => text == said || (said.as_str(), text.as_str()) == BYTES,
        Value::Number(number) => number.to_string() == *said || number.as_f64() == said.parse().ok(),
        Value::Object(_) | Value::Array(_) => serde_json::from_str::<Value>(said).unwrap() == *member,
        Value::Null | Value::Bool(_) => false,
    }
}

fn check(server: &Server, broker: &Broker, topic: &str) -> Vec<String> {
    let (rows, types) = added_up(broker, topic);
    let said = truth::table(server, "shop", "t");
    assert_eq!(rows.len(), said.rows.len());
    for row in &said.rows {
        let held = &rows[row[0].as_ref().unwrap()];
        assert_eq!(held.len(), said.columns.len(), "{held:?}");
        for (column, value) in said.columns.iter().zip(row) {
            assert!(same(&held[&column.name], value.as_ref()), "{}: {held:?} is {value:?}", column.name);
        }
    }
    types
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_add_up_to_what_the_server_holds() {
    for installation in [Installation::mysql97(), Installation::mariadb118()] {
        let server = Server::start(installation, &[]);
        server.execute(
            "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
             CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(99), d DECIMAL(10,2), j JSON, at DATETIME(3),
                 b BINARY(3), e ENUM('x','y'), s SET('p','q'), n INT UNSIGNED);
             INSERT INTO t VALUES (18446744073709551615, 'say \\\"hi\\\"\\n\u{1f600}', -1.50, '{\\\"a\\\": [1, null]}',
                 '2026-11-21 04:05:06.12', X'0100', 'y', 'p,q', 4294967295), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        );
        let broker = kafka::shared();
        let name = format!("my_{}", installation.name());
        let pipeline = Pipeline::new(&server, &name, &["shop.*"]);
        let mut config = Config::new(&name, broker.address());
        config.format = Format::Json;
        let topic = "*".to_owned();
        config.topics =
            vec![TopicSettings { topic, partitions: Some(1), replication: Some(1), configs: vec![] }];
        let catch_up = async || {
            let caught_up = pipeline.catch_up_into(Kafka::new(config.clone())).await;
            caught_up.unwrap_or_else(|error| panic!("{error}"));
        };
        catch_up().await;
        let topic = format!("{name}.shop.t");
        check(&server, &broker, &topic);
        server.execute(
            "USE shop; INSERT INTO t (id, v) VALUES (3, 'three'), (4, 'four'); UPDATE t SET id = 5, v = NULL WHERE id = 4;
             UPDATE t SET d = 99.99 WHERE id IN (2, 3); DELETE FROM t WHERE id = 3",
        );
        catch_up().await;
        let types = check(&server, &broker, &topic);
        let count = |kind: &str| types.iter().filter(|found| *found == kind).count();
        assert_eq!((count("snapshot"), count("insert"), count("update"), count("delete")), (2, 2, 3, 1));
        server.execute("USE shop; ALTER TABLE t ADD z INT DEFAULT 7, DROP n; DELETE FROM t WHERE id <> 5; UPDATE t SET z = 8");
        catch_up().await;
        check(&server, &broker, &topic);
    }
}
