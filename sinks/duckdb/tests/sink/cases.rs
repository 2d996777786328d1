//! One test per trap.

use std::sync::Arc;

use tailwater_core::{CopyProgress, ErrorKind, Position, Sink};
use tailwater_duckdb::DuckDb;

use crate::support::Do::{Change, Copied, CopyEnd, CopyStart, Delete, Drop, Insert, Shape, Truncate, Update};
use crate::support::{Target, config, position, table};

#[test]
fn copies_and_follows() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4, 2 note text", 1);
    target.write(&[CopyStart(&t), Copied(&t, &["1", "a"]), Copied(&t, &["2", "NULL"]), CopyEnd(&t)]).unwrap();
    target.check("public.t", &["1|a", "2|NULL"]);
    target.write(&[Insert(&t, &["3", "c"]), Update(&t, &["1", "A"]), Delete(&t, &["2", "~"])]).unwrap();
    target.check("public.t", &["1|A", "3|c"]);
    target.write(&[Truncate(&t), Insert(&t, &["9", "z"])]).unwrap();
    target.check("public.t", &["9|z"]);
    target.reopen();
    assert_eq!(target.held, position(3, 0));
    target.check("public.t", &["9|z"]);
}

#[test]
fn interrupted_copy_starts_afresh() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4", 1);
    target.write(&[CopyStart(&t), Copied(&t, &["1"]), Copied(&t, &["2"])]).unwrap();
    target.reopen();
    let again = table(2, "public.t", "1 id int4", 1);
    target.write(&[CopyStart(&again), Copied(&again, &["1"]), CopyEnd(&again)]).unwrap();
    target.check("public.t", &["1"]);
    assert_eq!(target.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'public'"), ["t"]);
}

#[test]
fn what_an_interrupted_copy_left_behind_goes_with_the_next() {
    let mut target = Target::new();
    let copying = |tables: &[&str]| {
        let copies = tables.iter().map(|&table| (table.to_owned(), CopyProgress::default())).collect();
        Position { source: "test".into(), copies, ..Position::default() }
    };
    let state = "SELECT source_name, id::TEXT, state FROM t.tailwater.tables";
    let names = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'public'";
    let [a, b, c, e] = [(1, "a"), (2, "b"), (3, "c"), (5, "e")]
        .map(|(id, name)| table(id, &format!("public.{name}"), "1 id int4", 1));
    let d = table(4, "public.d", "1 id int4", 1);
    let d = Arc::new(tailwater_core::Table { columns: Vec::new(), key: Vec::new(), ..(*d).clone() });
    let all = copying(&["public.a", "public.b", "public.c", "public.d", "public.e"]);
    target.write_to(copying(&["public.a"]), &[]).unwrap();
    let starts = [&a, &b, &c, &d, &e].map(CopyStart);
    target.write_to(all.clone(), &starts).unwrap();
    target.write_to(all.clone(), &[Copied(&a, &["1"]), Copied(&b, &["1"])]).unwrap();
    target.write_to(all, &[Copied(&b, &["2"]), CopyEnd(&b)]).unwrap();
    assert_eq!(
        target.rows(state),
        ["a|1|copying", "b|2|following", "c|3|copying", "d|4|stopped", "e|5|copying"]
    );
    target.reopen();
    assert_eq!(target.rows(state)[0], "a|1|copying");
    target.reader().execute("CREATE TABLE public.mine (x INTEGER)").unwrap();
    // `a` was dropped, `b` renamed, `c` and `d` made anew, `e` renamed to what only its case tells from it.
    let [b2, c2, d2, e2] = [(2, "a"), (6, "c"), (7, "d"), (5, "E")]
        .map(|(id, name)| table(id, &format!("public.{name}"), "1 id int4", 1));
    let now = copying(&["public.a", "public.c", "public.d", "public.E"]);
    target.write_to(now.clone(), &[&b2, &c2, &d2, &e2].map(CopyStart)).unwrap();
    assert_eq!(target.rows(state), ["E|5|copying", "a|2|copying", "c|6|copying", "d|7|copying"]);
    target
        .write_to(now, &[Copied(&b2, &["7"]), CopyEnd(&b2), CopyEnd(&c2), CopyEnd(&d2), CopyEnd(&e2)])
        .unwrap();
    target.write(&[]).unwrap();
    assert_eq!(target.rows(state), ["E|5|following", "a|2|following", "c|6|following", "d|7|following"]);
    assert_eq!(target.rows(names), ["E", "a", "c", "d", "mine"]);
    target.check("public.a", &["7"]);
    // Once it streams, the copy of one table is no matter of the others.
    let one = Position { stream: "9".into(), ..copying(&["public.c"]) };
    target.write_to(one, &[CopyStart(&c2), CopyEnd(&c2)]).unwrap();
    target.check("public.a", &["7"]);
}

#[test]
fn half_a_transaction_is_never_visible() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4, 2 note text", 1);
    target.write(&[Shape(&t), Insert(&t, &["1", "a"])]).unwrap();
    target.write_to(position(1, 2), &[Insert(&t, &["2", "b"]), Update(&t, &["1", "A"])]).unwrap();
    target.check("public.t", &["1|a"]);
    target.write_to(position(1, 3), &[Update(&t, &["2", "B"])]).unwrap();
    target.check("public.t", &["1|a"]);
    let at = "SELECT position FROM t.tailwater.position";
    assert!(target.rows(at)[0].contains("\"event\":0"), "{:?}", target.rows(at));
    target.write_to(position(2, 0), &[Delete(&t, &["1", "~"])]).unwrap();
    target.check("public.t", &["2|B"]);
}

#[test]
fn close_and_kill_forget_an_unfinished_transaction() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4", 1);
    target.write(&[Insert(&t, &["1"])]).unwrap();
    target.write_to(position(1, 1), &[Insert(&t, &["2"])]).unwrap();
    target.sink.close().unwrap();
    target.reopen();
    assert_eq!(target.held, position(1, 0));
    target.write_to(position(1, 1), &[Delete(&t, &["1"])]).unwrap();
    target.reopen();
    assert_eq!(target.held, position(1, 0));
    target.check("public.t", &["1"]);
}

#[test]
fn one_batch_folds_every_kind_of_change_to_a_key() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4, 2 note text, 3 big text", 1);
    let rows = ["1", "2", "3", "4", "5"].map(|id| [id, "n", "BIG"]);
    let changes: Vec<_> = rows.iter().map(|row| Insert(&t, row)).collect();
    target.write(&changes).unwrap();
    target
        .write(&[
            // Inserted and updated with unsent TOAST, in one batch.
            Insert(&t, &["6", "n", "SIX"]),
            Update(&t, &["6", "m", "~"]),
            // Inserted and gone.
            Insert(&t, &["7", "n", "x"]),
            Delete(&t, &["7", "~", "~"]),
            // Gone and come again.
            Delete(&t, &["1", "~", "~"]),
            Insert(&t, &["1", "new", "ONE"]),
            // Changes of the key with unsent TOAST, repeatedly.
            Change(&t, &["2", "~", "~"], &["20", "n", "~"]),
            Change(&t, &["20", "~", "~"], &["21", "n2", "~"]),
            // Two keys swapped by way of a third.
            Change(&t, &["3", "~", "~"], &["30", "three", "~"]),
            Change(&t, &["4", "~", "~"], &["3", "four", "~"]),
            Change(&t, &["30", "~", "~"], &["4", "three", "~"]),
            // Updated twice, the first time with the value, then without.
            Update(&t, &["5", "n", "FIVE"]),
            Update(&t, &["5", "m", "~"]),
        ])
        .unwrap();
    target.check("public.t", &["1|new|ONE", "21|n2|BIG", "3|four|BIG", "4|three|BIG", "5|m|FIVE", "6|m|SIX"]);
}

#[test]
fn unsent_values_come_from_the_row_that_is_replaced() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4, 2 n int4, 3 big text", 1);
    target.write(&[Insert(&t, &["1", "1", "A"]), Insert(&t, &["2", "2", "NULL"])]).unwrap();
    target.write(&[Update(&t, &["1", "10", "~"]), Update(&t, &["2", "20", "~"])]).unwrap();
    target.check("public.t", &["1|10|A", "2|20|NULL"]);
    let error = target.write(&[Update(&t, &["9", "1", "~"])]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "TW-DUCK-022"));
    target.reopen();
    target.check("public.t", &["1|10|A", "2|20|NULL"]);
}

#[test]
fn rows_without_a_key_are_located_by_all_their_values() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 a int4, 2 b interval, 3 c float8", 0);
    let row: [&str; 3] = ["1", "1 mon", "0"];
    target.write(&[Insert(&t, &row), Insert(&t, &row), Insert(&t, &["1", "30 days", "-0"])]).unwrap();
    target.write(&[Change(&t, &row, &["2", "NULL", "NULL"]), Insert(&t, &row), Delete(&t, &row)]).unwrap();
    target.check("public.t", &["1|1 mon|0", "1|30 days|-0", "2|NULL|NULL"]);
    target.write(&[Delete(&t, &["2", "NULL", "NULL"]), Delete(&t, &["1", "30 days", "-0"])]).unwrap();
    target.check("public.t", &["1|1 mon|0"]);
    let error = target.write(&[Delete(&t, &["2", "NULL", "NULL"])]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "TW-DUCK-031"));
    target.reopen();
    for change in [Update(&t, &row), Delete(&t, &["1", "~", "~"])] {
        let error = target.write(&[change]).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-026"));
        assert!(error.to_string().contains("ALTER TABLE public.t REPLICA IDENTITY FULL"), "{error}");
        target.reopen();
    }
}

#[test]
fn shape_changes_come_with_the_rows_of_the_same_transaction() {
    let mut target = Target::new();
    let v1 = table(1, "public.t", "1 id int4, 2 note text, 3 price numeric(8,2)", 1);
    let v2 = table(1, "public.t", "1 id int8, 3 cost numeric(8,2), 4 flag bool=t, 5 extra text", 1);
    target.write(&[Insert(&v1, &["1", "a", "1.50"]), Insert(&v1, &["2", "b", "2.00"])]).unwrap();
    // Rows are deleted, then the shape changes: plain ALTER TABLE would fail at COMMIT.
    target
        .write(&[
            Delete(&v1, &["1", "~", "~"]),
            Shape(&v2),
            Insert(&v2, &["3000000000", "3.25", "f", "x"]),
            Update(&v2, &["2", "2.75", "f", "~"]),
        ])
        .unwrap();
    target.check("public.t", &["2|2.75|f|NULL", "3000000000|3.25|f|x"]);
    let types = "SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE schema_name = 'public'";
    assert_eq!(target.rows(types), ["cost DECIMAL(8,2)", "extra VARCHAR", "flag BOOLEAN", "id BIGINT"]);
    let v3 = table(1, "public.t", "1 id text, 3 cost text, 4 flag text", 1);
    target.write(&[Shape(&v3), Insert(&v3, &["4", "x", "y"])]).unwrap();
    target.check("public.t", &["2|2.75|false", "3000000000|3.25|false", "4|x|y"]);
}

#[test]
fn names_may_be_swapped_moved_and_taken_over() {
    let mut target = Target::new();
    let (a, b) = (table(1, "public.a", "1 x int4, 2 y int4", 1), table(2, "public.b", "1 x int4", 1));
    target.write(&[Insert(&a, &["1", "2"]), Insert(&b, &["5"])]).unwrap();
    let (a2, b2) = (table(1, "public.b", "1 y int4, 2 x int4", 1), table(2, "public.a", "1 x int4", 1));
    target.write(&[Delete(&b, &["5"]), Insert(&a2, &["3", "4"]), Insert(&b2, &["6"])]).unwrap();
    target.check("public.a", &["6"]);
    target.check("public.b", &["1|2", "3|4"]);
    assert_eq!(target.rows("SELECT y FROM t.public.b"), ["1", "3"]);
    let moved = table(1, "Other.b", "1 y int4, 2 x int4", 1);
    let case = table(2, "public.A", "1 x int4", 1);
    target.write(&[Shape(&moved), Shape(&case)]).unwrap();
    let names =
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name != 'tailwater'";
    assert_eq!(target.rows(names), ["Other.b", "public.A"]);
    target.check("\"Other\".b", &["1|2", "3|4"]);
    let fresh = table(3, "Other.b", "1 z text", 1);
    target.write(&[Drop(&moved), Insert(&fresh, &["new"])]).unwrap();
    target.check("\"Other\".b", &["new"]);
}

#[test]
fn what_cannot_be_kept_stops_its_table_only() {
    let mut target = Target::new();
    let (t, other) = (table(1, "public.t", "1 id int4", 1), table(2, "public.o", "1 id int4", 1));
    target.write(&[Insert(&t, &["1"]), Insert(&other, &["1"])]).unwrap();
    let unknown = table(1, "public.t", "1 id int4, 2 at timestamptz=?", 1);
    target.write(&[Shape(&unknown), Insert(&unknown, &["2", "NULL"]), Insert(&other, &["2"])]).unwrap();
    target.check("public.t", &["1"]);
    target.check("public.o", &["1", "2"]);
    target.reopen();
    target.write(&[Insert(&unknown, &["3", "NULL"]), Insert(&other, &["3"])]).unwrap();
    target.check("public.t", &["1"]);
    let state = "SELECT source_name, state, stopped_reason IS NOT NULL FROM t.tailwater.tables";
    assert_eq!(target.rows(state), ["o|following|f", "t|stopped|t"]);
    target.write(&[CopyStart(&unknown), Copied(&unknown, &["7", "NULL"])]).unwrap();
    target.check("public.t", &["7|NULL"]);
    // An empty table has nothing that could be lost.
    let empty = table(3, "public.e", "1 id int4", 1);
    let filled = table(3, "public.e", "1 id int4, 2 at timestamptz=?", 1);
    target.write(&[Shape(&empty), Shape(&filled), Insert(&filled, &["1", "NULL"])]).unwrap();
    target.check("public.e", &["1|NULL"]);
}

#[test]
fn a_column_that_came_and_went_leaves_the_rows() {
    let mut target = Target::new();
    let before = table(1, "public.t", "1 id int4, 2 note text", 1);
    let between = table(1, "public.t", "1 id int4, 2 note text, 3 x int4=gone", 1);
    target.write(&[Insert(&before, &["1", "a"]), Insert(&before, &["2", "b"])]).unwrap();
    let (insert, update) = (Insert(&between, &["3", "c", "5"]), Update(&between, &["1", "A", "6"]));
    target.write(&[Shape(&between), insert, update]).unwrap();
    target.check("public.t", &["1|A|6", "2|b|NULL", "3|c|5"]);
    target.write(&[Shape(&before), Delete(&before, &["2", "~"])]).unwrap();
    target.check("public.t", &["1|A", "3|c"]);
}

#[test]
fn characters_change_as_in_postgres() {
    let mut target = Target::new();
    let shapes = ["char(3)", "char(5)", "char(4)", "varchar(9)", "varchar(2)", "char(3)", "text"];
    let shapes = shapes.map(|kind| table(1, "public.t", &format!("1 id int4, 2 v {kind}"), 1));
    // Postgres counts code points: an accent of its own is one.
    let held = ["e\u{301} ", "e\u{301}   ", "e\u{301}  ", "e\u{301}", "e\u{301}", "e\u{301} ", "e\u{301}"];
    target.write(&[Insert(&shapes[0], &["1", held[0]]), Insert(&shapes[0], &["2", "NULL"])]).unwrap();
    for (shape, held) in shapes.iter().zip(held) {
        target.write(&[Shape(shape)]).unwrap();
        target.check("public.t", &[&format!("1|{held}"), "2|NULL"]);
    }
    let v = [("int4", "12"), ("varchar(5)", "12"), ("char(4)", "12  "), ("varchar(3)", "12")];
    for (kind, held) in v {
        let shape = table(2, "public.u", &format!("1 id int4, 2 v {kind}"), 1);
        target.write(&[Shape(&shape)]).unwrap();
        if kind == "int4" {
            target.write(&[Insert(&shape, &["1", "12"])]).unwrap();
        }
        target.check("public.u", &[&format!("1|{held}")]);
    }
}

#[test]
fn a_value_that_does_not_fit_makes_its_column_text() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id numeric(8,2), 2 at timestamptz, 3 list int4[]", 1);
    target.write(&[Insert(&t, &["1.50", "2024-01-02 03:04:05.6+00", "{1,NULL}"])]).unwrap();
    target
        .write(&[
            Insert(&t, &["NaN", "294276-12-31 23:59:59.999999+00", "{{1,2},{3,4}}"]),
            Update(&t, &["1.50", "~", "{2}"]),
        ])
        .unwrap();
    target.check(
        "public.t",
        &["1.50|2024-01-02 03:04:05.6+00|{2}", "NaN|294276-12-31 23:59:59.999999+00|{{1,2},{3,4}}"],
    );
    target.reopen();
    target.write(&[Delete(&t, &["NaN", "~", "~"]), Shape(&t), Insert(&t, &["2.00", "NULL", "{}"])]).unwrap();
    target.check("public.t", &["1.50|2024-01-02 03:04:05.6+00|{2}", "2.00|NULL|{}"]);
}

#[test]
fn names_that_differ_in_case_only_are_told_apart_or_refused() {
    let mut target = Target::new();
    let t = table(1, "public.t", "1 id int4, 2 Id int4, 3 rowid int4", 1);
    target.write(&[Insert(&t, &["1", "2", "3"]), Update(&t, &["1", "4", "~"])]).unwrap();
    assert_eq!(target.rows("SELECT id, \"Id_2\", rowid_3 FROM t.public.t"), ["1|4|3"]);
    let upper = table(2, "public.T", "1 id int4", 1);
    target.write(&[Insert(&upper, &["1"])]).unwrap();
    let stopped = target.rows("SELECT stopped_reason FROM t.tailwater.tables WHERE id = 2");
    assert!(stopped[0].contains("public.t"), "{stopped:?}");
}

#[test]
fn refuses_what_it_must_not_touch() {
    let mut target = Target::new();
    let ours = table(1, "tailwater.position", "1 id int4", 1);
    let error = target.write(&[Shape(&ours)]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-028"));
    target.reopen();
    let reader = target.reader();
    reader
        .execute(
            "CREATE SCHEMA public; CREATE TABLE public.mine (x INTEGER); INSERT INTO public.mine VALUES (1)",
        )
        .unwrap();
    let mine = table(1, "public.Mine", "1 id int4", 1);
    let error = target.write(&[CopyStart(&mine)]).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-029"));
    target.reopen();
    target.check("public.mine", &["1"]);
}

#[test]
fn refuses_another_pipeline_and_another_version() {
    let mut target = Target::new();
    target.write(&[]).unwrap();
    target.sink.close().unwrap();
    let mut config = config(&target.path);
    config.pipeline = "other".into();
    let error = DuckDb::new(config).open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-024"));
    target.reopen();
    target.reader().execute("UPDATE tailwater.position SET position = '{}'").unwrap();
    target.sink.close().unwrap();
    let error = Target::at(&target.path).err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-025"));
}

#[test]
fn another_key_is_followed_from_where_it_begins() {
    let mut target = Target::new();
    let by_id = table(1, "public.t", "1 id int4, 2 code text", 1);
    let mut by_code = (*by_id).clone();
    by_code.key = vec![1];
    let by_code = by_code.into();
    target.write(&[Insert(&by_id, &["1", "a"]), Insert(&by_id, &["2", "b"])]).unwrap();
    target.write(&[Update(&by_id, &["1", "c"]), Shape(&by_code), Update(&by_code, &["7", "c"])]).unwrap();
    target.write(&[Delete(&by_code, &["~", "b"])]).unwrap();
    target.check("public.t", &["7|c"]);
    assert_eq!(target.rows("SELECT key FROM t.tailwater.tables"), ["[\"code\"]"]);
}

/// DuckDB's log of deletes followed by a renaming in one transaction cannot be read again: it ends there without a word.
#[test]
fn a_table_renamed_after_deletes_survives_a_crash() {
    let mut target = Target::new();
    let (a, b) = (table(1, "public.a", "1 x int4", 1), table(1, "public.b", "1 x int4", 1));
    target.write(&[Insert(&a, &["1"]), Insert(&a, &["2"])]).unwrap();
    target.write(&[Delete(&a, &["1"]), Shape(&b), Insert(&b, &["3"])]).unwrap();
    target.write(&[Shape(&a), Delete(&a, &["2"]), Shape(&b)]).unwrap();
    target.crash();
    assert_eq!(target.held, position(3, 0));
    target.check("public.b", &["3"]);
}
