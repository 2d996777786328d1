//! `include.schema.changes`, through a broker: each statement once, in the order of the log, among the rows of its table, with
//! the program killed again and again meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tailwater_integration_tests::kafka::{self, Broker};
use tailwater_integration_tests::mysql::{Installation, Server};
use tailwater_integration_tests::{Program, Random};

use crate::trouble::seed;

const PATIENCE: Duration = Duration::from_secs(120);
const KILLS: u32 = 8;

/// The payloads of a topic's values, in order.
fn values(broker: &Broker, topic: &str) -> Vec<Value> {
    let records = broker.read(topic).into_iter();
    records.map(|record| serde_json::from_str(&record.value.unwrap()).unwrap()).collect()
}

/// Alters a table and writes into it, one after the other, until it is told to stop. Returns the statements on the table.
fn alter(server: &Server, stop: &AtomicBool) -> Vec<String> {
    let mut statements = Vec::new();
    let mut session = server.session();
    session.run("USE shop");
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let statement = match number % 4 {
            0 => format!("ALTER TABLE t ADD c{number} INT"),
            1 => format!("ALTER TABLE t DROP COLUMN c{}", number - 1),
            2 => format!("CREATE TABLE u{number} (id INT PRIMARY KEY, n INT) SELECT {number} AS id, 1 AS n"),
            _ => format!("DROP TABLE u{}", number - 1),
        };
        session.run(&statement);
        session.run(&format!("INSERT INTO t (id) VALUES ({number})"));
        statements.push(statement);
    }
    statements
}

/// What is told of a statement, as far as it is the same in the log of both servers.
fn heard(value: &Value) -> String {
    let text = value["ddl"].as_str().unwrap();
    let quoted = text.replace("`shop`.", "").replace('`', "");
    quoted.split('\n').next().unwrap().trim_end_matches(" (").to_owned()
}

fn said(statement: &str) -> String {
    let created = statement.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split(' ').next());
    created.map_or_else(|| statement.to_owned(), |table| format!("CREATE TABLE {table}"))
}

async fn each_statement_comes_once(installation: Installation, kind: &str) {
    let server = Server::start(installation, &[]);
    server.execute(
        "CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (-1)",
    );
    let broker = kafka::shared();
    let name = format!("statements_{kind}");
    let sink = format!(
        "[sink.kafka]\nbrokers = \"{}\"\nprefix = \"{name}\"\n\n\
         [[sink.kafka.topics]]\ntopic = \"*\"\npartitions = 1\n\n\
         [sink.kafka.debezium]\n\"include.schema.changes\" = true\n",
        broker.address()
    );
    let program = Program::between(kind, &server.url(), &name, &["shop.*"], &sink);
    program.catch_up(PATIENCE).await;
    let copied = values(&broker, &name);
    let texts: Vec<String> = copied.iter().map(heard).collect();
    assert_eq!(texts.len(), 6, "{texts:?}");
    assert_eq!(
        texts[1..5],
        ["DROP TABLE IF EXISTS t", "DROP DATABASE IF EXISTS shop", texts[3].as_str(), "USE shop"]
    );
    assert!(copied.iter().all(|value| value["source"]["snapshot"] == "true"), "{copied:?}");

    let (stop, mut random) = (AtomicBool::new(false), Random::new(seed()));
    let statements = std::thread::scope(|scope| {
        let altering = scope.spawn(|| alter(&server, &stop));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..KILLS {
                    let mut process = program.start(&[]);
                    tokio::time::sleep(Duration::from_millis(300 + random.below(1500))).await;
                    assert!(process.runs(), "{}", program.log());
                    process.kill();
                }
            });
        });
        stop.store(true, Ordering::Relaxed);
        altering.join().unwrap()
    });
    program.catch_up(PATIENCE).await;
    let told: Vec<Value> = values(&broker, &name).split_off(copied.len());
    let texts: Vec<String> = told.iter().map(heard).collect();
    let wanted: Vec<String> = statements.iter().map(|statement| said(statement)).collect();
    assert!(wanted.len() > 20, "{wanted:?}");
    let parts = texts.iter().zip(&wanted).position(|(told, wanted)| told != wanted);
    assert_eq!((parts, texts.len()), (None, wanted.len()), "{:?}", parts.map(|at| (&texts[at], &wanted[at])));
    check_tables(&told);
    // And the rows between them, each once too.
    let rows = values(&broker, &format!("{name}.shop.t")).len();
    assert_eq!(rows, wanted.len() + 1);
    println!("{kind}: {} statements, {} of them with their columns", told.len(), with_columns(&told));
}

fn with_columns(told: &[Value]) -> usize {
    told.iter().filter(|value| !value["tableChanges"].as_array().unwrap().is_empty()).count()
}

/// Where columns are told, they are those that the statement made; otherwise nothing is.
fn check_tables(told: &[Value]) {
    for value in told {
        let text = heard(value);
        let [change] = value["tableChanges"].as_array().unwrap().as_slice() else {
            assert!(!text.starts_with("DROP"), "{value}");
            continue;
        };
        let names: Vec<&str> = match change["table"]["columns"].as_array() {
            Some(columns) => columns.iter().map(|column| column["name"].as_str().unwrap()).collect(),
            None => Vec::new(),
        };
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["ALTER", "TABLE", "t", "ADD", column, "INT"] => assert_eq!(names, ["id", column], "{value}"),
            ["ALTER", ..] => assert_eq!(names, ["id"], "{value}"),
            ["CREATE", ..] => assert_eq!(names, ["id", "n"], "{value}"),
            ["DROP", "TABLE", _] => {
                assert_eq!((names.len(), &change["type"]), (0, &Value::from("DROP")), "{value}")
            }
            _ => panic!("{value}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_of_mysql_comes_once_through_kills() {
    each_statement_comes_once(Installation::mysql97(), "mysql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_of_mariadb_comes_once_through_kills() {
    each_statement_comes_once(Installation::mariadb118(), "mariadb").await;
}
