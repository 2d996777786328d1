//! That the tables of edge values can be made on every server, and that what the server is said to hold is what was put
//! there: a wrong oracle would make every other comparison worthless.

use std::collections::BTreeSet;

use tailwater_integration_tests::mysql::values::{self, Phase, SCHEMA, SECOND};
use tailwater_integration_tests::mysql::{Installation, Server, characters, truth};

fn goes_through(installation: Installation) {
    let server = Server::start(installation, &[]);
    values::run(&server, Phase::Create);
    values::run(&server, Phase::Fill);
    let filled = truth::all(&server, SCHEMA);
    let edges = values::edges(installation);
    assert_eq!(filled.len(), edges.len());
    for table in &edges {
        let found = &filled[&table.table];
        assert_eq!(found.rows.len(), table.values.len(), "{}", table.table);
        for ((row, value), id) in found.rows.iter().zip(&table.values).zip(1..) {
            assert_eq!(row[0], Some(format!("{id}")));
            assert_eq!(row[1].is_none(), *value == "NULL", "{}: {value} is {row:?}", table.table);
            assert_eq!(row[2].as_deref(), Some("end"));
        }
    }
    values::run(&server, Phase::Insert);
    let inserted = truth::all(&server, SCHEMA);
    for table in &edges {
        let count = table.values.len();
        let (first, second) = inserted[&table.table].rows.split_at(count);
        let values = |rows: &[Vec<Option<String>>]| rows.iter().map(|row| row[1].clone()).collect::<Vec<_>>();
        assert_eq!(values(first), values(second), "{}", table.table);
        assert_eq!(second[0][0], Some(format!("{}", SECOND + 1)));
    }
    values::run(&server, Phase::Update);
    let updated = truth::all(&server, SCHEMA);
    for table in &edges {
        let (before, after, count) =
            (&filled[&table.table].rows, &updated[&table.table].rows, table.values.len());
        for index in 0..count {
            assert_eq!(after[index][1], before[(index + 1) % count][1], "{}", table.table);
        }
    }
    values::run(&server, Phase::Delete);
    for schema in ["odd \"schema\".with'quotes", "odd"] {
        let odd = truth::all(&server, schema);
        assert!(odd.len() >= 8, "{odd:?}");
        assert!(odd.values().all(|table| !table.rows.is_empty()));
    }
}

/// Each column's type, the expression that was put in, and the text that must come out.
fn spelled(server: &Server, expected: &[(&str, &str, &str)]) {
    server.execute("CREATE DATABASE spelled CHARACTER SET utf8mb4");
    for (index, (column, value, text)) in expected.iter().enumerate() {
        server.execute(&format!(
            "SET time_zone = '+00:00', sql_mode = ''; USE spelled;
             CREATE TABLE s{index} (id INT PRIMARY KEY, v {column}); INSERT INTO s{index} VALUES (1, {value})"
        ));
        let found = truth::table(server, "spelled", &format!("s{index}"));
        assert_eq!(found.rows[0][1].as_deref(), Some(*text), "{column} of {value}");
    }
}

const EVERYWHERE: &[(&str, &str, &str)] = &[
    ("TINYINT(3) ZEROFILL", "7", "7"),
    ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
    ("YEAR", "'0000'", "0"),
    ("FLOAT", "16777216", "1.6777216e+07"),
    ("FLOAT", "123456.7", "123456.7"),
    ("FLOAT", "0.1", "0.1"),
    ("FLOAT", "1e-5", "1e-05"),
    ("FLOAT(7,3)", "-0.001", "-0.001"),
    ("DOUBLE", "1e15", "1e+15"),
    ("DOUBLE", "1e14", "100000000000000"),
    ("DOUBLE", "1.7976931348623157e308", "1.7976931348623157e+308"),
    ("DOUBLE", "0.30000000000000004", "0.30000000000000004"),
    ("DECIMAL(10,2) ZEROFILL", "1.5", "1.50"),
    ("DECIMAL(65,30)", "-0.000000000000000000000000000001", "-0.000000000000000000000000000001"),
    ("DATE", "'2026-00-00'", "2026-00-00"),
    ("TIME(6)", "'-838:59:58.5'", "-838:59:58.500000"),
    ("DATETIME(3)", "'2026-11-21 04:05:06.12'", "2026-11-21 04:05:06.120"),
    ("TIMESTAMP(6) NULL", "'2026-11-21 04:05:06.12'", "2026-11-21 04:05:06.120000+00"),
    ("TIMESTAMP NULL", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00+00"),
    ("BIT(10)", "b'101'", "0000000101"),
    ("BIT(64)", "18446744073709551615", "1111111111111111111111111111111111111111111111111111111111111111"),
    ("ENUM('a','b')", "'c'", ""),
    ("SET('a','b','c')", "'c,a'", "a,c"),
    ("VARCHAR(9) CHARACTER SET utf16", "'\u{1f600}'", "\u{1f600}"),
    ("BINARY(4)", "X'0100'", "\\x01000000"),
    ("VARBINARY(4)", "X'0100'", "\\x0100"),
    ("POINT", "ST_GeomFromText('POINT(1 2)')", "\\x000000000101000000000000000000f03f0000000000000040"),
];

#[test]
fn mysql_9_7_goes_through() {
    let installation = Installation::mysql97();
    goes_through(installation);
    let server = Server::start(installation, &[]);
    spelled(&server, EVERYWHERE);
    server.execute("DROP DATABASE spelled");
    spelled(
        &server,
        &[
            (
                "JSON",
                "'{\"bb\":1.0,\"a\":[18446744073709551615]}'",
                "{\"a\": [18446744073709551615], \"bb\": 1.0}",
            ),
            ("VECTOR(3)", "TO_VECTOR('[1,2.5,1e6]')", "{1,2.5,1e+06}"),
        ],
    );
}

#[test]
fn mysql_5_6_goes_through() {
    let installation = Installation::mysql56();
    goes_through(installation);
    spelled(&Server::start(installation, &[]), EVERYWHERE);
}

#[test]
fn mariadb_10_11_goes_through() {
    let installation = Installation::mariadb1011();
    goes_through(installation);
    spelled(&Server::start(installation, &[]), EVERYWHERE);
}

#[test]
fn mariadb_11_8_goes_through() {
    let installation = Installation::mariadb118();
    goes_through(installation);
    let server = Server::start(installation, &[]);
    spelled(&server, EVERYWHERE);
    server.execute("DROP DATABASE spelled");
    spelled(
        &server,
        &[
            ("TIMESTAMP NULL", "'2106-02-07 06:28:15'", "2106-02-07 06:28:15+00"),
            ("VECTOR(2)", "VEC_FromText('[1,-0.1]')", "{1,-0.1}"),
            ("UUID", "'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),
            ("INET6", "'2001:DB8::'", "2001:db8::"),
            ("VARCHAR(99) COMPRESSED", "REPEAT('x', 99)", &"x".repeat(99)),
        ],
    );
}

#[test]
fn every_server_holds_every_character() {
    for installation in Installation::all() {
        let server = Server::start(installation, &[]);
        for phase in [Phase::Create, Phase::Fill, Phase::Insert, Phase::Update, Phase::Delete] {
            characters::run(&server, phase);
        }
        let found = truth::all(&server, characters::SCHEMA);
        let sets = characters::sets(&server);
        assert!(sets.len() >= 38, "{sets:?}");
        // What a set has comes back as it was put in, apart from the `x` of the update.
        let held = |set: &str| {
            let rows = found[set].rows.iter().filter_map(|row| row[1].as_deref());
            let text: BTreeSet<char> = rows.flat_map(str::chars).collect();
            text.len()
        };
        for set in &sets {
            assert!(held(set) >= 95, "{}: {set} holds {}", installation.name(), held(set));
        }
        assert_eq!(held("utf8mb4"), held("utf32"));
        assert_eq!(held("utf8mb4"), held("utf16"));
        assert!(held("sjis") > 4000 && held("gbk") > 14000, "{} {}", held("sjis"), held("gbk"));
    }
}
