//! Tables whose shape changes, into DuckDB, with the server as oracle: the target ends equal to it, or the table stops.

use std::collections::HashSet;

use tailwater_integration_tests::mysql::pipeline::{Pipeline, holds_all};
use tailwater_integration_tests::mysql::{Installation, Server};

/// What a table is made of, its rows, and what is done to it; `{t}` is its name.
type Case = (&'static str, &'static str, &'static [&'static str]);

const IDS: &str = "(1, 10, 'a'), (2, NULL, 'b'), (3, -30, NULL)";
const PLAIN: &str = "id INT PRIMARY KEY, n INT, v VARCHAR(9)";

/// All of these end as at the server.
const KEPT: &[Case] = &[
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} ADD COLUMN x INT NOT NULL DEFAULT 7", "INSERT INTO {t} VALUES (9, 1, 'z', 8)"],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD y YEAR DEFAULT 1999", "INSERT INTO {t} (id) VALUES (9)"]),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD x INT", "UPDATE {t} SET x = 5 WHERE id = 2"]),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD x INT NOT NULL", "DELETE FROM {t} WHERE id = 2"]),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} ADD x VARCHAR(20) NOT NULL DEFAULT 'it''s'", "INSERT INTO {t} (id) VALUES (9)"],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD x DECIMAL(10,2) DEFAULT -1.5", "INSERT INTO {t} (id) VALUES (9)"]),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD (x INT DEFAULT 3, y VARCHAR(3))", "INSERT INTO {t} (id) VALUES (9)"]),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} ADD x ENUM('p','q') NOT NULL", "INSERT INTO {t} (id, x) VALUES (9, 'q')"],
    ),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} ADD x TIMESTAMP DEFAULT CURRENT_TIMESTAMP", "INSERT INTO {t} (id) VALUES (9)"],
    ),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} ADD x INT DEFAULT 3 FIRST, ADD y INT AFTER id", "INSERT INTO {t} (id) VALUES (9)"],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} DROP COLUMN n", "INSERT INTO {t} VALUES (9, 'z')"]),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} DROP n, ADD n VARCHAR(5) DEFAULT 'new'", "INSERT INTO {t} (id) VALUES (9)"],
    ),
    (
        PLAIN,
        IDS,
        &[
            "ALTER TABLE {t} DROP n",
            "ALTER TABLE {t} ADD n DATE",
            "INSERT INTO {t} (id, n) VALUES (9, '2026-11-21')",
        ],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} RENAME COLUMN n TO m", "INSERT INTO {t} (id, m) VALUES (9, 99)"]),
    (PLAIN, IDS, &["ALTER TABLE {t} CHANGE n m INT", "UPDATE {t} SET m = 4 WHERE id = 1"]),
    (
        PLAIN,
        "(1, 10, 'a'), (2, 20, NULL)",
        &[
            "ALTER TABLE {t} CHANGE n m BIGINT NOT NULL FIRST",
            "INSERT INTO {t} (id, m) VALUES (9, 99999999999)",
        ],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} CHANGE n m BIGINT", "INSERT INTO {t} (id, m) VALUES (9, 99999999999)"]),
    (
        "id INT PRIMARY KEY, a INT, b INT",
        "(1, 2, 3), (4, 5, 6)",
        &[
            "ALTER TABLE {t} RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            "INSERT INTO {t} (id, a, b) VALUES (9, 10, 11)",
        ],
    ),
    (
        "id INT PRIMARY KEY, a INT, b INT",
        "(1, 2, 3), (4, 5, 6)",
        &[
            "ALTER TABLE {t} RENAME COLUMN a TO c",
            "ALTER TABLE {t} RENAME COLUMN b TO a",
            "INSERT INTO {t} (id, a, c) VALUES (9, 10, 11)",
        ],
    ),
    (
        "id INT PRIMARY KEY, a INT, b INT",
        "(1, 2, 3), (4, 5, 6)",
        &["ALTER TABLE {t} DROP a, RENAME COLUMN b TO a", "INSERT INTO {t} (id, a) VALUES (9, 10)"],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} MODIFY n BIGINT", "INSERT INTO {t} (id, n) VALUES (9, 99999999999)"]),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} MODIFY v VARCHAR(300)", "INSERT INTO {t} (id, v) VALUES (9, REPEAT('y', 300))"],
    ),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} MODIFY v LONGTEXT", "INSERT INTO {t} (id, v) VALUES (9, REPEAT('y', 300))"],
    ),
    (
        PLAIN,
        IDS,
        &[
            "ALTER TABLE {t} MODIFY v VARCHAR(9) FIRST, MODIFY n INT AFTER v",
            "INSERT INTO {t} (id, v, n) VALUES (9, 'q', 4)",
        ],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} MODIFY n VARCHAR(20)", "INSERT INTO {t} (id, n) VALUES (9, 'text')"]),
    (PLAIN, IDS, &["ALTER TABLE {t} MODIFY n DECIMAL(12,2)", "INSERT INTO {t} (id, n) VALUES (9, 1.25)"]),
    (PLAIN, IDS, &["ALTER TABLE {t} MODIFY n DOUBLE", "INSERT INTO {t} (id, n) VALUES (9, 1.25)"]),
    (
        "id INT PRIMARY KEY, n TINYINT UNSIGNED",
        "(1, 255)",
        &["ALTER TABLE {t} MODIFY n INT UNSIGNED", "INSERT INTO {t} VALUES (9, 4294967295)"],
    ),
    (
        "id INT PRIMARY KEY, n INT UNSIGNED",
        "(1, 255)",
        &["ALTER TABLE {t} MODIFY n BIGINT UNSIGNED", "INSERT INTO {t} VALUES (9, 18446744073709551615)"],
    ),
    (
        "id INT PRIMARY KEY, n DECIMAL(10,2)",
        "(1, 1.25)",
        &["ALTER TABLE {t} MODIFY n DECIMAL(14,4)", "INSERT INTO {t} VALUES (9, 1.2345)"],
    ),
    (
        "id INT PRIMARY KEY, e ENUM('a','b')",
        "(1, 'a'), (2, 'b')",
        &["ALTER TABLE {t} MODIFY e ENUM('a','b','c')", "INSERT INTO {t} VALUES (9, 'c')"],
    ),
    (
        "id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET latin1",
        "(1, 'caf\u{e9}')",
        &["ALTER TABLE {t} CONVERT TO CHARACTER SET utf8mb4", "INSERT INTO {t} VALUES (9, '\u{1f600}')"],
    ),
    (
        PLAIN,
        IDS,
        &[
            "ALTER TABLE {t} ALTER n SET DEFAULT 5, ADD INDEX (v), COMMENT 'x'",
            "INSERT INTO {t} (id) VALUES (9)",
        ],
    ),
    (
        PLAIN,
        "(1, 10, 'a'), (2, 20, NULL)",
        &[
            "ALTER TABLE {t} MODIFY n INT NOT NULL DEFAULT 5, ADD x INT DEFAULT 1",
            "INSERT INTO {t} (id) VALUES (9)",
        ],
    ),
    (
        "id INT PRIMARY KEY, n INT NOT NULL",
        "(1, 10), (2, 20)",
        &[
            "ALTER TABLE {t} DROP PRIMARY KEY, ADD PRIMARY KEY (n)",
            "UPDATE {t} SET id = 7 WHERE n = 20",
            "DELETE FROM {t} WHERE n = 10",
        ],
    ),
    (
        "id INT PRIMARY KEY, n INT NOT NULL",
        "(1, 10), (2, 20)",
        &[
            "ALTER TABLE {t} DROP PRIMARY KEY",
            "UPDATE {t} SET id = 7 WHERE n = 20",
            "DELETE FROM {t} WHERE n = 10",
        ],
    ),
    (
        "a INT, n INT NOT NULL, UNIQUE (n)",
        "(1, 10), (NULL, 20)",
        &[
            "UPDATE {t} SET n = 30 WHERE n = 20",
            "DELETE FROM {t} WHERE n = 10",
            "INSERT INTO {t} VALUES (5, 6)",
        ],
    ),
    (
        "a INT NOT NULL, b INT NOT NULL, c INT NOT NULL, UNIQUE z (c, a), UNIQUE b (b)",
        "(1, 2, 3)",
        &["UPDATE {t} SET c = 4", "INSERT INTO {t} VALUES (5, 6, 7)"],
    ),
    ("a INT, b INT", "(1, 2), (1, 2), (NULL, 3)", &["ALTER TABLE {t} ADD PRIMARY KEY (b, a)"]),
    (
        "a INT, b INT",
        "(1, 2), (1, 2), (NULL, 3)",
        &[
            "DELETE FROM {t} WHERE b = 2 LIMIT 1",
            "ALTER TABLE {t} ADD c INT DEFAULT 4",
            "UPDATE {t} SET b = 9 WHERE a IS NULL",
        ],
    ),
    (PLAIN, IDS, &["TRUNCATE TABLE {t}", "INSERT INTO {t} VALUES (4, 4, 'd')"]),
    (
        PLAIN,
        IDS,
        &["TRUNCATE {t}", "ALTER TABLE {t} ADD x INT DEFAULT (1 + 1)", "INSERT INTO {t} (id) VALUES (4)"],
    ),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD x INT DEFAULT 5", "TRUNCATE {t}", "INSERT INTO {t} (id) VALUES (4)"]),
    (
        PLAIN,
        IDS,
        &[
            "DROP TABLE {t}",
            "CREATE TABLE {t} (id INT PRIMARY KEY, other DATE)",
            "INSERT INTO {t} VALUES (1, '2026-11-21')",
        ],
    ),
];

/// Of these the log does not tell what older rows hold.
const STOPPED: &[Case] = &[
    (PLAIN, IDS, &["ALTER TABLE {t} ADD y YEAR DEFAULT 99", "INSERT INTO {t} (id) VALUES (9)"]),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD x INT DEFAULT (1 + 2)", "INSERT INTO {t} (id) VALUES (9)"]),
    (PLAIN, IDS, &["ALTER TABLE {t} ADD x INT AS (n + 1) STORED", "INSERT INTO {t} (id) VALUES (9)"]),
    (
        PLAIN,
        IDS,
        &[
            "ALTER TABLE {t} ADD x DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3)",
            "INSERT INTO {t} (id) VALUES (9)",
        ],
    ),
    (
        "id INT PRIMARY KEY, b VARBINARY(9)",
        "(1, 'abc')",
        &["ALTER TABLE {t} MODIFY b TEXT", "INSERT INTO {t} VALUES (9, 'x')"],
    ),
    (
        "id INT PRIMARY KEY, b DOUBLE",
        "(1, 1e15)",
        &["ALTER TABLE {t} MODIFY b TEXT", "INSERT INTO {t} VALUES (9, 'x')"],
    ),
    (
        "id INT PRIMARY KEY, b SET('a','b')",
        "(1, 'a,b')",
        &["ALTER TABLE {t} MODIFY b SET('b','a')", "INSERT INTO {t} VALUES (9, 'a,b')"],
    ),
    (
        PLAIN,
        IDS,
        &["ALTER TABLE {t} ADD x INT AUTO_INCREMENT, ADD KEY (x)", "INSERT INTO {t} (id) VALUES (9)"],
    ),
];

fn cases() -> impl Iterator<Item = (String, Case, bool)> {
    let kept = KEPT.iter().map(|case| (*case, false));
    kept.chain(STOPPED.iter().map(|case| (*case, true)))
        .enumerate()
        .map(|(number, (case, stops))| (format!("r{number}"), case, stops))
}

fn create(server: &Server) {
    let mut sql =
        "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; SET time_zone = '+00:00';\n".to_owned();
    for (table, (columns, rows, _), _) in cases() {
        sql += &format!("CREATE TABLE {table} ({columns}); INSERT INTO {table} VALUES {rows};\n");
    }
    server.execute(&sql);
}

/// Runs the statements of that number of all cases; `false` where there are none. What the server refuses is skipped, and
/// its table noted.
fn step(server: &Server, number: usize, refused: &mut HashSet<String>) -> bool {
    let mut any = false;
    for (table, (_, _, statements), _) in cases() {
        let Some(statement) = statements.get(number) else { continue };
        any = true;
        // Not all of them are possible everywhere, with the rows that are there.
        let sql = statement.replace("{t}", &table);
        let sql = format!("USE shop; SET time_zone = '+00:00'; {sql}");
        if let Err(error) = server.try_execute(&sql) {
            eprintln!("{}: {statement}: {error}", server.installation().name());
            refused.insert(table);
        }
    }
    any
}

/// Every case that is not as it should be. Where the log names no columns, tables may stop because of that, after several
/// changes that nobody followed.
fn wrong(server: &Server, pipeline: &Pipeline, when: &str, unnamed: bool) -> Vec<String> {
    let stopped = pipeline.stopped();
    let mut wrong = Vec::new();
    let differences = pipeline.differences(server, "shop");
    for (table, (_, _, statements), stops) in cases() {
        let found = stopped.iter().find(|(name, _)| *name == format!("shop.{table}"));
        match found {
            Some((_, reason)) if unnamed && reason.starts_with("the log does not name") => {}
            Some((_, reason)) if !stops => wrong.push(format!("{when}: {statements:?} stops: {reason}")),
            Some(_) => {}
            None => {
                let difference = differences.get(&table);
                wrong.extend(difference.map(|difference| format!("{when}: {statements:?}: {difference}")));
            }
        }
    }
    wrong
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    /// While the pipeline runs.
    Running,
    /// With a start and an end of the pipeline between any two of a table's changes.
    StepByStep,
    /// All of them before the pipeline goes on.
    AtOnce,
}

async fn reshaped(installation: Installation, settings: &[&str], when: When) {
    let unnamed = when == When::AtOnce && !(installation.has_full_metadata() && settings.is_empty());
    let server = Server::start(installation, settings);
    create(&server);
    let pipeline = Pipeline::new(&server, "reshaped", &["shop.*"]);
    let catch_up = async || pipeline.catch_up().await.unwrap_or_else(|error| panic!("{error}"));
    catch_up().await;
    let mut found = wrong(&server, &pipeline, "copy", unnamed);
    let running = (when == When::Running).then(|| pipeline.start());
    let (mut number, mut refused) = (0, HashSet::new());
    while step(&server, number, &mut refused) {
        number += 1;
        if let Some(running) = &running {
            holds_all(&server, running).await;
        } else if when == When::StepByStep {
            catch_up().await;
            found.extend(wrong(&server, &pipeline, &format!("step {number}"), unnamed));
        }
    }
    match running {
        Some(running) => running.stop().await.unwrap(),
        None => catch_up().await,
    }
    found.extend(wrong(&server, &pipeline, "end", unnamed));
    let stopped = pipeline.stopped();
    for (table, (_, _, statements), stops) in cases() {
        if stops
            && !refused.contains(&table)
            && !stopped.iter().any(|(name, _)| *name == format!("shop.{table}"))
        {
            found.push(format!("{statements:?} stops nothing"));
        }
    }
    assert!(found.is_empty(), "{}: {} cases:\n{}", installation.name(), found.len(), found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_while_it_is_followed() {
    reshaped(Installation::mysql97(), &[], When::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_step_by_step() {
    reshaped(Installation::mysql97(), &[], When::StepByStep).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_while_nobody_followed() {
    reshaped(Installation::mysql97(), &[], When::AtOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11_8_while_it_is_followed() {
    reshaped(Installation::mariadb118(), &[], When::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11_8_step_by_step() {
    reshaped(Installation::mariadb118(), &[], When::StepByStep).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11_8_while_nobody_followed() {
    reshaped(Installation::mariadb118(), &[], When::AtOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_without_names_while_it_is_followed() {
    reshaped(Installation::mysql97(), &["binlog_row_metadata=MINIMAL"], When::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9_7_without_names_while_nobody_followed() {
    reshaped(Installation::mysql97(), &["binlog_row_metadata=MINIMAL"], When::AtOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_5_6_step_by_step() {
    reshaped(Installation::mysql56(), &[], When::StepByStep).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_10_11_with_nothing_of_its_columns_while_it_is_followed() {
    reshaped(Installation::mariadb1011(), &["binlog_row_metadata=NO_LOG"], When::Running).await;
}
