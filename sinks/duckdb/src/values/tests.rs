//! Round trips through a real `DuckDB` file: what went in comes out, or did not fit. The texts of the edge tables are
//! what `PostgreSQL` 15 prints.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tailwater_core::Type;

use super::{ColumnType, Fit, Parser, render};
use crate::chunk::Chunk;
use crate::database::{Appender, Database};

/// Writes each text to a table of that type, has `DuckDB` store it in a file, and reads it from there. `None` is one
/// that did not fit.
fn round_trip(kind: &ColumnType, texts: &[&str]) -> Vec<Option<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.duckdb");
    let fits = write(&file, kind, texts);
    let database = Database::open(&file, &[("access_mode", "READ_ONLY")]).unwrap();
    let connection = database.connect().unwrap();
    let mut result = connection.query("SELECT v FROM t ORDER BY n").unwrap();
    let mut values = Vec::new();
    while let Some(rows) = result.next_rows().unwrap() {
        let columns = rows.columns().unwrap();
        for row in 0..rows.len() {
            let mut text = Vec::new();
            assert!(render(&columns[0], row, &mut text), "a NULL that nobody wrote");
            values.push(String::from_utf8(text).unwrap());
        }
    }
    let mut values = values.into_iter();
    let trip: Vec<_> = fits.iter().map(|fit| (*fit == Fit::Yes).then(|| values.next().unwrap())).collect();
    assert_eq!(values.next(), None, "more values than were written");
    trip
}

fn write(file: &std::path::Path, kind: &ColumnType, texts: &[&str]) -> Vec<Fit> {
    let connection = Database::open(file, &[]).unwrap().connect().unwrap();
    connection.execute(&format!("CREATE TABLE t (n BIGINT, v {kind})")).unwrap();
    let mut appender = Appender::new(&connection, None, "main", "t").unwrap();
    let mut chunk = Chunk::new(&[ColumnType::BigInt, kind.clone()]).unwrap();
    let (mut parser, mut fits, mut number) = (Parser::default(), Vec::new(), 0_i64);
    for texts in texts.chunks(Chunk::CAPACITY) {
        let mut rows = 0;
        for text in texts {
            let fit = parser.write(kind, text.as_bytes(), &mut chunk.columns()[1], rows).unwrap();
            if fit == Fit::Yes {
                chunk.columns()[0].put(rows, number);
                rows += 1;
                number += 1;
            }
            fits.push(fit);
        }
        chunk.set_len(rows);
        appender.append(&chunk).unwrap();
        chunk.reset();
    }
    appender.close().unwrap();
    connection.execute("CHECKPOINT").unwrap();
    fits
}

/// Every text comes out as it is, but for those listed, which do not fit.
fn check(kind: &Type, texts: &[&str], expected: &Expect) {
    let column = ColumnType::of(kind);
    let mut report = format!("{column}");
    for (text, back) in texts.iter().zip(round_trip(&column, texts)) {
        match back {
            Some(back) => assert_eq!(back, *text, "{column}"),
            None => write!(report, "\nno room for {text}").unwrap(),
        }
    }
    expected.assert_eq(&report);
}

/// [`check`] for texts that are joined by `; `.
fn check_line(kind: &Type, texts: &str, expected: &Expect) {
    check(kind, &texts.split("; ").collect::<Vec<_>>(), expected);
}

fn numeric(precision: u16, scale: i16) -> Type {
    Type::Numeric { limits: Some((precision, scale)) }
}

fn array(element: Type) -> Type {
    Type::Array(Box::new(element))
}

#[test]
fn integers() {
    check_line(
        &Type::Bool,
        "t; f; true; ",
        &expect![[r#"
        BOOLEAN
        no room for true
        no room for "#]],
    );
    check_line(
        &Type::Int2,
        "0; -32768; 32767; 32768; -0; 007; +1; ; -",
        &expect![[r#"
        SMALLINT
        no room for 32768
        no room for -0
        no room for 007
        no room for +1
        no room for 
        no room for -"#]],
    );
    check_line(
        &Type::Int4,
        "2147483647; -2147483648; 2147483648",
        &expect![[r#"
        INTEGER
        no room for 2147483648"#]],
    );
    check_line(
        &Type::Int8,
        "9223372036854775807; -9223372036854775808; 9223372036854775808; 18446744073709551616; \
         +0000000000000000001",
        &expect![[r#"
            BIGINT
            no room for 9223372036854775808
            no room for 18446744073709551616
            no room for +0000000000000000001"#]],
    );
    check_line(
        &Type::UInt4,
        "0; 4294967295; 4294967296; -1",
        &expect![[r#"
        UINTEGER
        no room for 4294967296
        no room for -1"#]],
    );
    check_line(
        &Type::UInt8,
        "0; 18446744073709551615; 18446744073709551616; -1; 01",
        &expect![[r#"
            UBIGINT
            no room for 18446744073709551616
            no room for -1
            no room for 01"#]],
    );
}

#[test]
fn decimals() {
    check_line(
        &numeric(10, 2),
        "0.00; -0.01; 99999999.99; -99999999.99; NaN; 1; 1.2; 1.234; -0.00; 100000000.00; .10",
        &expect![[r#"
            DECIMAL(10,2)
            no room for NaN
            no room for 1
            no room for 1.2
            no room for 1.234
            no room for -0.00
            no room for 100000000.00
            no room for .10"#]],
    );
    check_line(
        &numeric(4, 0),
        "9999; -1; 10000; 1.0",
        &expect![[r#"
        DECIMAL(4,0)
        no room for 10000
        no room for 1.0"#]],
    );
    check_line(
        &numeric(2, 2),
        "0.99; -0.01; 1.00",
        &expect![[r#"
        DECIMAL(2,2)
        no room for 1.00"#]],
    );
    check_line(&numeric(9, 9), "0.123456789; 0.000000000", &expect!["DECIMAL(9,9)"]);
    check_line(
        &numeric(38, 10),
        "9999999999999999999999999999.9999999999; -9999999999999999999999999999.9999999999; \
         0.0000000001; Infinity",
        &expect![[r#"
            DECIMAL(38,10)
            no room for Infinity"#]],
    );
    check_line(&numeric(38, 38), "0.99999999999999999999999999999999999999", &expect!["DECIMAL(38,38)"]);
    for limits in [None, Some((39, 0)), Some((5, -2)), Some((2, 5))] {
        check_line(&Type::Numeric { limits }, "NaN; -0.000; 1e400 need not occur", &expect!["VARCHAR"]);
    }
}

#[test]
fn floats() {
    check_line(
        &Type::Float8,
        "0; NaN; Infinity; -Infinity; 0.1; -0.30000000000000004; 100000; 123456789012345; 1e+15; \
         1.2345678901234568e+17; 1e+22; 1e+23; 0.0001; 1e-05; 5e-324; 1.7976931348623157e+308; \
         2.2250738585072014e-308; 9.999999999999999e+22; 9.007199254740992e+15; 1.0000076293945312; \
         1.1258999068426242e+15; -0; 1e5; 1.0; 1.50; inf; nan; 1e400; +1; .5",
        &expect![[r#"
            DOUBLE
            no room for 1e+23
            no room for -0
            no room for 1e5
            no room for 1.0
            no room for 1.50
            no room for inf
            no room for nan
            no room for 1e400
            no room for +1
            no room for .5"#]],
    );
    check_line(
        &Type::Float4,
        "0; NaN; Infinity; 0.1; 100000; 1e+06; 999999; 1e-05; 1e-45; 3.4028235e+38; 1.1754944e-38; \
         1000000; -0; 3.4028236e+38",
        &expect![[r#"
            FLOAT
            no room for 1000000
            no room for -0
            no room for 3.4028236e+38"#]],
    );
}

#[test]
fn negative_zero_would_be_lost_and_is_refused() {
    // What DuckDB makes of it: should this fail one day, `-0` can be let in.
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("t.duckdb");
    {
        let connection = Database::open(&file, &[]).unwrap().connect().unwrap();
        connection
            .execute("CREATE TABLE t AS SELECT CASE WHEN n % 2 = 0 THEN '0' ELSE '-0' END::DOUBLE AS v FROM range(5000) r(n)")
            .unwrap();
        connection.execute("CHECKPOINT").unwrap();
    }
    let connection = Database::open(&file, &[]).unwrap().connect().unwrap();
    let rows =
        connection.query("SELECT count(DISTINCT v::VARCHAR) FROM t").unwrap().next_rows().unwrap().unwrap();
    assert_eq!(rows.columns().unwrap()[0].get::<i64>(0), 1);
}

#[test]
fn dates_and_times() {
    check_line(
        &Type::Date,
        "1970-01-01; 2000-02-29; 4713-11-24 BC; 0001-12-31 BC; 0001-01-01; 5874897-12-31; infinity; \
         -infinity; 1900-02-29; 2026-13-01; 0000-01-01; 00001-01-01; 2026-1-1; 2026-01-01 bc; 26-01-01",
        &expect![[r#"
            DATE
            no room for 1900-02-29
            no room for 2026-13-01
            no room for 0000-01-01
            no room for 00001-01-01
            no room for 2026-1-1
            no room for 2026-01-01 bc
            no room for 26-01-01"#]],
    );
    check_line(
        &Type::Time,
        "00:00:00; 24:00:00; 23:59:59.999999; 04:05:06.7; 24:00:01; 04:05:60; 04:60:00; \
         4:05:06; 04:05",
        &expect![[r#"
            TIME
            no room for 24:00:01
            no room for 04:05:60
            no room for 04:60:00
            no room for 4:05:06
            no room for 04:05"#]],
    );
    check_line(
        &Type::TimeTz,
        "04:05:06.789+02; 04:05:06-07:30; 04:05:06-07:30:15; 24:00:00+00; 00:00:00+15:59:59; \
         00:00:00-15:59:59; 00:00:00-00:00:01; 00:00:00+16; 00:00:00-00; 00:00:00+02:00; 00:00:00",
        &expect![[r#"
            TIMETZ
            no room for 00:00:00+16
            no room for 00:00:00-00
            no room for 00:00:00+02:00
            no room for 00:00:00"#]],
    );
    check_line(
        &Type::Timestamp,
        "2026-11-21 04:05:06.789; 4713-11-24 00:00:00 BC; 0001-12-31 23:59:59.999999 BC; \
         1969-12-31 23:59:59.999999; infinity; -infinity; 294247-01-10 04:00:54.775806; \
         294247-01-10 04:00:54.775807; 294276-12-31 23:59:59.999999; 2026-11-21 24:00:00; 2026-11-21; \
         2026-11-21 04:05:06+00",
        &expect![[r#"
            TIMESTAMP
            no room for 294247-01-10 04:00:54.775807
            no room for 294276-12-31 23:59:59.999999
            no room for 2026-11-21 24:00:00
            no room for 2026-11-21
            no room for 2026-11-21 04:05:06+00"#]],
    );
    check_line(
        &Type::TimestampTz,
        "2026-11-21 04:05:06.789+00; 4713-11-24 00:00:00+00 BC; infinity; -infinity; \
         294276-12-31 23:59:59.999999+00; 2026-11-21 04:05:06; 2026-11-21 04:05:06+01",
        &expect![[r#"
            TIMESTAMPTZ
            no room for 294276-12-31 23:59:59.999999+00
            no room for 2026-11-21 04:05:06
            no room for 2026-11-21 04:05:06+01"#]],
    );
}

#[test]
fn zeros_at_the_end_of_a_fraction_make_no_text_of_a_moment() {
    for (kind, given, held) in [
        (ColumnType::Timestamp, "2026-11-21 04:05:06.120000", "2026-11-21 04:05:06.12"),
        (ColumnType::TimestampTz, "2026-11-21 04:05:06.000+00", "2026-11-21 04:05:06+00"),
        (ColumnType::Time, "04:05:06.100", "04:05:06.1"),
    ] {
        assert_eq!(round_trip(&kind, &[given]), [Some(held.to_owned())]);
    }
}

#[test]
fn intervals() {
    check_line(
        &Type::Interval,
        "00:00:00; 1 year 2 mons -3 days +04:05:06.789; 1 year 2 mons 3 days 04:05:06.789; -1 years; \
         -1 mons +1 day; 1 mon; 30 days; 720:00:00; -00:00:00.000001; -178956970 years -8 mons; \
         178956970 years 7 mons; -2147483648 days; 2562047788:00:54.775807; -2562047788:00:54.775808; \
         infinity; -infinity; 178956970 years 8 mons; 2147483648 days; 2562047788:00:54.775808; \
         13 mons; 1 years; 1 day 00:00:00; 1:00:00; -0 days; ; P1Y; 1 fortnight",
        &expect![[r#"
            INTERVAL
            no room for infinity
            no room for -infinity
            no room for 178956970 years 8 mons
            no room for 2147483648 days
            no room for 2562047788:00:54.775808
            no room for 13 mons
            no room for 1 years
            no room for 1 day 00:00:00
            no room for 1:00:00
            no room for -0 days
            no room for 
            no room for P1Y
            no room for 1 fortnight"#]],
    );
}

#[test]
fn bytes_and_texts() {
    check(
        &Type::Bytes,
        &["\\x", "\\x00ff", "\\xdeadbeefdeadbeefdeadbeefdeadbeef", "\\x0", "\\xFF", "x", "\\000"],
        &expect![[r#"
            BLOB
            no room for \x0
            no room for \xFF
            no room for x
            no room for \000"#]],
    );
    check(
        &Type::Uuid,
        &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "0d2f1a3b-4c5d-6e7f-8091-a2b3c4d5e6f7",
            "0D2F1A3B-4C5D-6E7F-8091-A2B3C4D5E6F7",
            "0d2f",
            "0d2f1a3b4c5d-6e7f-8091-a2b3-c4d5e6f7",
        ],
        &expect![[r#"
            UUID
            no room for 0D2F1A3B-4C5D-6E7F-8091-A2B3C4D5E6F7
            no room for 0d2f
            no room for 0d2f1a3b4c5d-6e7f-8091-a2b3-c4d5e6f7"#]],
    );
    let long = "ä".repeat(100_000);
    let texts =
        ["", "123456789012", "1234567890123", "it's", "tab\tnewline\nquote\"", "ünïcödé", &long, "NULL"];
    check(&Type::Text, &texts, &expect!["VARCHAR"]);
    check(&Type::Other, &["[1,3)", "(1,\"a b\")", "'a':1 'b':2"], &expect!["VARCHAR"]);
    check(
        &Type::Json,
        &[
            "{\"a\": [1, 1e400, 1.0], \"a\": null}",
            "[]",
            "null",
            "{\"a\":\"\\u0000\"}",
            "12345678901234567890123.0",
        ],
        &expect!["JSON"],
    );
}

#[test]
fn arrays() {
    check(
        &array(Type::Text),
        &[
            "{}",
            "{NULL}",
            "{\"NULL\",\"null\",nullable}",
            "{\"\",\"a b\",\"a,b\",\"{\",\"}\",\"\\\"\",\"\\\\\",ä}",
            "{\"a\tb\",\"a\nb\",\"a\rb\",\"a\u{b}b\",\"a\u{c}b\"}",
            "{{a},{b}}",
            "[0:1]={a,b}",
            "{a",
            "a",
        ],
        &expect![[r#"
            VARCHAR[]
            no room for {{a},{b}}
            no room for [0:1]={a,b}
            no room for {a
            no room for a"#]],
    );
    check(
        &array(Type::Int4),
        &["{1,2,NULL,-3}", "{}", "{1,2147483648}", "{1,x}", "{1,2}"],
        &expect![[r#"
        INTEGER[]
        no room for {1,2147483648}
        no room for {1,x}"#]],
    );
    check(&array(Type::Bool), &["{t,f,NULL}"], &expect!["BOOLEAN[]"]);
    check(
        &array(Type::Float8),
        &["{1.5,NaN,1e+22}", "{1,-0}"],
        &expect![[r#"
        DOUBLE[]
        no room for {1,-0}"#]],
    );
    check(
        &array(numeric(10, 2)),
        &["{1.50,NULL}", "{NaN}"],
        &expect![[r#"
        DECIMAL(10,2)[]
        no room for {NaN}"#]],
    );
    check(&array(Type::Numeric { limits: None }), &["{1.50,NaN,1e1}"], &expect!["VARCHAR[]"]);
    check(&array(Type::Bytes), &["{\"\\\\x00ff\",\"\\\\x\",NULL}"], &expect!["BLOB[]"]);
    check(
        &array(Type::Interval),
        &["{\"1 year -1 mons\",00:00:01}", "{infinity}"],
        &expect![[r#"
        INTERVAL[]
        no room for {"1 year -1 mons",00:00:01}
        no room for {infinity}"#]],
    );
    check(
        &array(Type::TimestampTz),
        &["{\"2026-11-21 04:05:06.789+00\",infinity}"],
        &expect!["TIMESTAMPTZ[]"],
    );
    check(&array(Type::Json), &["{\"{\\\"a\\\": 1}\",NULL}"], &expect!["JSON[]"]);
    check(&array(Type::Uuid), &["{0d2f1a3b-4c5d-6e7f-8091-a2b3c4d5e6f7}"], &expect!["UUID[]"]);
    check(&array(array(Type::Int4)), &["{{1}}"], &expect!["VARCHAR"]);
}

#[test]
fn text_that_is_not_utf8_is_an_error() {
    let mut chunk =
        Chunk::new(&[ColumnType::Varchar, ColumnType::List(Box::new(ColumnType::Varchar))]).unwrap();
    let mut parser = Parser::default();
    let error = parser.write(&ColumnType::Varchar, b"ab\xff", &mut chunk.columns()[0], 0).unwrap_err();
    assert_eq!(error.code(), "TW-DUCK-014");
    assert!(error.message().contains("byte 2"), "{error}");
    let kind = ColumnType::List(Box::new(ColumnType::Varchar));
    assert!(parser.write(&kind, b"{\"\xff\"}", &mut chunk.columns()[1], 0).is_err());
    assert_eq!(chunk.columns()[1].elements_len(), 0, "the element that failed is forgotten");
}

#[test]
fn long_columns_of_lists_keep_their_nulls() {
    let texts: Vec<String> = (0..5000)
        .map(|n| match n % 4 {
            0 => "{}".to_owned(),
            1 => "{NULL,NULL,NULL}".to_owned(),
            2 => format!("{{{n},NULL,text-{n}-that-is-longer-than-twelve}}"),
            _ => "{a,b,c,d,e,f,g,h,i,j}".to_owned(),
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    check(&array(Type::Text), &texts, &expect!["VARCHAR[]"]);
}

fn element() -> impl Strategy<Value = Option<String>> {
    proptest::option::weighted(0.8, "[a-cäN\\\\\"{},\\s]{0,15}|null|NULL")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_text_comes_back(texts in proptest::collection::vec("\\PC{0,40}", 1..300)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let back = round_trip(&ColumnType::Varchar, &texts);
        prop_assert_eq!(back.iter().map(|text| text.as_deref().unwrap()).collect::<Vec<_>>(), texts);
    }

    /// Quoting every element, which Postgres does not: the text that comes out is read again, to the same elements.
    #[test]
    fn any_array_of_text_comes_back(arrays in proptest::collection::vec(proptest::collection::vec(element(), 0..6), 1..200)) {
        let kind = ColumnType::List(Box::new(ColumnType::Varchar));
        let quoted: Vec<String> = arrays.iter().map(|array| {
            let elements: Vec<String> = array.iter().map(|element| match element {
                None => "NULL".to_owned(),
                Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            }).collect();
            format!("{{{}}}", elements.join(","))
        }).collect();
        let quoted: Vec<&str> = quoted.iter().map(String::as_str).collect();
        let once: Vec<String> = round_trip(&kind, &quoted).into_iter().map(Option::unwrap).collect();
        for (array, text) in arrays.iter().zip(&once) {
            let mut found = Vec::new();
            for token in tailwater_core::array::Array::parse(text.as_bytes()).unwrap().tokens() {
                match token.unwrap() {
                    tailwater_core::array::Token::Null => found.push(None),
                    tailwater_core::array::Token::Element(element) => {
                        found.push(Some(String::from_utf8(element.text().into_owned()).unwrap()));
                    }
                    tailwater_core::array::Token::Open | tailwater_core::array::Token::Close => {}
                }
            }
            prop_assert_eq!(&found, array);
        }
        let once: Vec<&str> = once.iter().map(String::as_str).collect();
        let twice: Vec<String> = round_trip(&kind, &once).into_iter().map(Option::unwrap).collect();
        prop_assert_eq!(twice, once);
    }
}
