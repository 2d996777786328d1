//! The cases of the contract of sinks.

use std::sync::Arc;

use tailwater_core::{Column, Fill, Table};

use super::Do::{
    Copied, CopyEnd, CopyStart, Delete, Drop, Insert, Message, Shape, Truncate, Update, UpdateFrom,
};
use super::{Case, Session, Target, altered, at, begin, column, copying, notes, table};

/// Every case, with its name.
pub(super) fn all<T: Target>() -> Vec<(&'static str, Case<T>)> {
    vec![
        ("a new target holds no position", a_new_target_holds_no_position),
        ("rows and position are there after a write", rows_and_position_are_there_after_a_write),
        ("an empty batch moves the position", an_empty_batch_moves_the_position),
        ("many batches and reopenings", many_batches_and_reopenings),
        ("half a transaction is invisible, and forgotten when closed", half_is_forgotten_when_closed),
        ("half a transaction is forgotten when killed", half_is_forgotten_when_killed),
        ("a transaction of many batches appears at once", a_transaction_of_many_batches_appears_at_once),
        (
            "a transaction that ends without a change appears",
            a_transaction_that_ends_without_a_change_appears,
        ),
        ("the first copy", the_first_copy),
        ("a copy that starts again leaves nothing of the one before", a_copy_starts_again),
        ("an empty table is copied", an_empty_table_is_copied),
        ("null, empty and unsent are three things", null_empty_and_unsent),
        ("the same row many times in one transaction", the_same_row_many_times),
        ("the same row in several batches of one transaction", the_same_row_in_several_batches),
        ("a key changes", a_key_changes),
        ("keys change places", keys_change_places),
        ("a key of several columns", a_key_of_several_columns),
        ("a table without a key", a_table_without_a_key),
        ("truncate in the middle of a transaction", truncate_in_the_middle),
        ("several tables in one transaction", several_tables_in_one_transaction),
        ("columns are added", columns_are_added),
        ("columns are dropped and renamed", columns_are_dropped_and_renamed),
        ("a column is replaced by one of the same name", a_column_is_replaced),
        ("a column becomes wider", a_column_becomes_wider),
        ("a table is renamed", a_table_is_renamed),
        ("a table is dropped and made again", a_table_is_dropped_and_made_again),
        ("rows before and after a new shape in one transaction", rows_around_a_new_shape),
        ("odd identifiers", odd_identifiers),
        ("large values", large_values),
        ("messages do no harm", messages_do_no_harm),
    ]
}

fn a_new_target_holds_no_position<T: Target>(mut session: Session<T>) {
    assert_eq!(session.reopen(), None);
}

fn rows_and_position_are_there_after_a_write<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"]), Insert(&t, &["2", "b", "y"])]);
    session.check(&t, &[&["1", "a", "x"], &["2", "b", "y"]]);
}

fn an_empty_batch_moves_the_position<T: Target>(mut session: Session<T>) {
    session.write(at(1, 0), |_| {});
    assert_eq!(session.reopen(), Some(at(1, 0)));
    session.write(at(2, 0), |_| {});
    assert_eq!(session.reopen(), Some(at(2, 0)));
}

fn many_batches_and_reopenings<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t)]);
    let mut expected: Vec<[String; 3]> = Vec::new();
    for number in 0..20 {
        let row = [number.to_string(), format!("note {number}"), "x".to_owned()];
        let [id, note, long] = &row;
        session.transaction(&[Insert(&t, &[id, note, long])]);
        if number % 5 == 4 {
            session.reopen();
            // A source says the shape again after every start.
            session.transaction(&[Shape(&t), Update(&t, &["0", note, "~"])]);
            expected[0][1].clone_from(note);
        }
        expected.push(row);
    }
    let rows: Vec<Vec<&str>> = expected.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    session.check(&t, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

fn half_is_forgotten<T: Target>(mut session: Session<T>, kill: bool) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    let whole = session.end.clone();
    let first = [Insert(&t, &["2", "b", "y"]), Update(&t, &["1", "changed", "~"])];
    session.pieces(&[&first, &[Delete(&t, &["1", "~", "~"])]], true);
    session.check_now(&t, &[&["1", "a", "x"]]);
    if kill {
        session.sink = None;
    } else {
        session.close();
    }
    assert_eq!(session.open(), Some(whole), "the position is the one before the half");
    session.check_now(&t, &[&["1", "a", "x"]]);
    session.pieces(&[&[Shape(&t)], &first, &[Delete(&t, &["1", "~", "~"])]], false);
    session.check(&t, &[&["2", "b", "y"]]);
}

fn half_is_forgotten_when_closed<T: Target>(session: Session<T>) {
    half_is_forgotten(session, false);
}

fn half_is_forgotten_when_killed<T: Target>(session: Session<T>) {
    half_is_forgotten(session, true);
}

fn a_transaction_of_many_batches_appears_at_once<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    let (one, two, three) =
        ([Insert(&t, &["2", "b", "y"])], [Delete(&t, &["1", "~", "~"])], [Insert(&t, &["3", "c", "z"])]);
    session.pieces(&[&one, &two], true);
    session.check_now(&t, &[&["1", "a", "x"]]);
    let number = session.transactions + 1;
    session.write(at(number, 0), |batch| {
        begin(batch, number, 2);
        three.iter().for_each(|change| change.add(batch));
    });
    session.transactions = number;
    session.check(&t, &[&["2", "b", "y"], &["3", "c", "z"]]);
}

fn a_transaction_that_ends_without_a_change_appears<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t)]);
    session.pieces(&[&[Insert(&t, &["1", "a", "x"])], &[]], false);
    session.check(&t, &[&["1", "a", "x"]]);
}

fn copy<T: Target>(session: &mut Session<T>, t: &Arc<Table>, rows: &[&[&str]]) {
    session.write(copying(t, 0, false), |batch| {
        batch.transaction(format_args!("00000000"), 0, 0, 0).unwrap();
        CopyStart(t).add(batch);
    });
    for (index, row) in rows.iter().enumerate() {
        let index = index as u64;
        session.write(copying(t, index + 1, false), |batch| {
            batch.transaction(format_args!("00000000"), 0, 0, index).unwrap();
            Copied(t, row).add(batch);
        });
    }
}

fn end_of_copy<T: Target>(session: &mut Session<T>, t: &Arc<Table>, rows: u64) {
    session.write(copying(t, rows, true), |batch| {
        batch.transaction(format_args!("00000000"), 0, 0, rows).unwrap();
        CopyEnd(t).add(batch);
    });
    session.write(at(0, 0), |_| {});
}

fn the_first_copy<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.write(copying(&t, 0, false), |_| {});
    assert_eq!(session.reopen(), Some(copying(&t, 0, false)), "the announcement is durable");
    copy(&mut session, &t, &[&["1", "a", "NULL"], &["2", "b", ""]]);
    end_of_copy(&mut session, &t, 2);
    session.check(&t, &[&["1", "a", "NULL"], &["2", "b", ""]]);
    session.transaction(&[Shape(&t), Update(&t, &["1", "changed", "~"]), Delete(&t, &["2", "~", "~"])]);
    session.check(&t, &[&["1", "changed", "NULL"]]);
}

fn a_copy_starts_again<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.write(copying(&t, 0, false), |_| {});
    copy(&mut session, &t, &[&["1", "a", "x"], &["2", "b", "y"]]);
    let held = session.reopen().unwrap();
    assert!(held.copying(), "the copy is not whole: {held:?}");
    copy(&mut session, &t, &[&["2", "changed", "y"], &["3", "c", "z"]]);
    end_of_copy(&mut session, &t, 2);
    session.check(&t, &[&["2", "changed", "y"], &["3", "c", "z"]]);
}

fn an_empty_table_is_copied<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.write(copying(&t, 0, false), |_| {});
    copy(&mut session, &t, &[]);
    end_of_copy(&mut session, &t, 0);
    session.check(&t, &[]);
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    session.check(&t, &[&["1", "a", "x"]]);
}

fn null_empty_and_unsent<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[
        Shape(&t),
        Insert(&t, &["1", "NULL", "long"]),
        Insert(&t, &["2", "", "long"]),
        Insert(&t, &["3", "x", "NULL"]),
    ]);
    session.transaction(&[
        Update(&t, &["1", "", "~"]),
        Update(&t, &["2", "NULL", "~"]),
        Update(&t, &["3", "y", "~"]),
    ]);
    session.check(&t, &[&["1", "", "long"], &["2", "NULL", "long"], &["3", "y", "NULL"]]);
}

fn the_same_row_many_times<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[
        Shape(&t),
        Insert(&t, &["1", "a", "long"]),
        Update(&t, &["1", "b", "~"]),
        Update(&t, &["1", "c", "~"]),
        Insert(&t, &["2", "gone", "x"]),
        Delete(&t, &["2", "~", "~"]),
        Insert(&t, &["3", "gone", "x"]),
        Delete(&t, &["3", "~", "~"]),
        Insert(&t, &["3", "back", "y"]),
    ]);
    session.check(&t, &[&["1", "c", "long"], &["3", "back", "y"]]);
    session.transaction(&[
        Delete(&t, &["1", "~", "~"]),
        Insert(&t, &["1", "new", "z"]),
        Update(&t, &["1", "newer", "~"]),
        Update(&t, &["3", "changed", "~"]),
        Delete(&t, &["3", "~", "~"]),
    ]);
    session.check(&t, &[&["1", "newer", "z"]]);
}

fn the_same_row_in_several_batches<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "long"]), Insert(&t, &["2", "b", "long"])]);
    session.pieces(
        &[
            &[Update(&t, &["1", "b", "~"]), Delete(&t, &["2", "~", "~"])],
            &[Update(&t, &["1", "c", "~"]), Insert(&t, &["2", "new", "x"])],
            &[Delete(&t, &["1", "~", "~"]), Update(&t, &["2", "newer", "~"])],
            &[Insert(&t, &["1", "d", "short"])],
        ],
        false,
    );
    session.check(&t, &[&["1", "d", "short"], &["2", "newer", "x"]]);
}

fn a_key_changes<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "long"]), Insert(&t, &["5", "e", "other"])]);
    session.transaction(&[UpdateFrom(&t, &["1", "~", "~"], &["2", "a", "~"])]);
    session.check(&t, &[&["2", "a", "long"], &["5", "e", "other"]]);
    let back = [
        UpdateFrom(&t, &["2", "~", "~"], &["3", "b", "~"]),
        UpdateFrom(&t, &["3", "~", "~"], &["4", "c", "~"]),
        Insert(&t, &["2", "new", "x"]),
        UpdateFrom(&t, &["5", "e", "other"], &["5", "whole old row", "~"]),
    ];
    session.transaction(&back);
    session.check(&t, &[&["4", "c", "long"], &["2", "new", "x"], &["5", "whole old row", "other"]]);
}

fn keys_change_places<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "one"]), Insert(&t, &["2", "b", "two"])]);
    session.transaction(&[
        UpdateFrom(&t, &["1", "~", "~"], &["3", "a", "~"]),
        UpdateFrom(&t, &["2", "~", "~"], &["1", "b", "~"]),
        UpdateFrom(&t, &["3", "~", "~"], &["2", "a", "~"]),
    ]);
    session.check(&t, &[&["1", "b", "two"], &["2", "a", "one"]]);
}

fn a_key_of_several_columns<T: Target>(mut session: Session<T>) {
    let t = table(7, "pairs", "1 a int, 2 b text, 3 value text", 2);
    session.transaction(&[
        Shape(&t),
        Insert(&t, &["1", "x", "one"]),
        Insert(&t, &["1", "y", "two"]),
        Insert(&t, &["2", "", "three"]),
    ]);
    session.transaction(&[
        Update(&t, &["1", "y", "changed"]),
        Delete(&t, &["1", "x", "~"]),
        UpdateFrom(&t, &["2", "", "~"], &["2", "z", "~"]),
    ]);
    session.check(&t, &[&["1", "y", "changed"], &["2", "z", "three"]]);
}

fn a_table_without_a_key<T: Target>(mut session: Session<T>) {
    let t = table(7, "log", "1 a int, 2 b text", 0);
    session.transaction(&[
        Shape(&t),
        Insert(&t, &["1", "x"]),
        Insert(&t, &["1", "x"]),
        Insert(&t, &["NULL", "NULL"]),
    ]);
    session.transaction(&[Insert(&t, &["1", "x"])]);
    session.check(&t, &[&["1", "x"], &["1", "x"], &["1", "x"], &["NULL", "NULL"]]);
}

fn truncate_in_the_middle<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    session.transaction(&[
        Insert(&t, &["2", "b", "y"]),
        Truncate(&t),
        Insert(&t, &["1", "after", "z"]),
        Insert(&t, &["3", "c", "w"]),
        Update(&t, &["3", "d", "~"]),
    ]);
    session.check(&t, &[&["1", "after", "z"], &["3", "d", "w"]]);
    session.transaction(&[Delete(&t, &["1", "~", "~"]), Truncate(&t)]);
    session.check(&t, &[]);
}

fn several_tables_in_one_transaction<T: Target>(mut session: Session<T>) {
    let (a, b) = (table(1, "a", "1 id int, 2 x text", 1), table(2, "b", "1 id int, 2 x text", 1));
    session.transaction(&[
        Shape(&a),
        Insert(&a, &["1", "a"]),
        Shape(&b),
        Insert(&b, &["1", "b"]),
        Update(&a, &["1", "changed"]),
        Insert(&b, &["2", "b"]),
        Truncate(&a),
        Insert(&a, &["9", "last"]),
    ]);
    session.check(&a, &[&["9", "last"]]);
    session.check(&b, &[&["1", "b"], &["2", "b"]]);
}

fn columns_are_added<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    let wider = altered(&t, |t| {
        t.columns.push(column(4, "empty", "text"));
        t.columns.push(Column { fill: Fill::Constant("7".into()), ..column(5, "filled", "int") });
    });
    session.transaction(&[Shape(&wider), Insert(&wider, &["2", "b", "y", "z", "8"])]);
    session.check(&wider, &[&["1", "a", "x", "NULL", "7"], &["2", "b", "y", "z", "8"]]);
    session.transaction(&[Shape(&wider), Update(&wider, &["1", "c", "~", "~", "9"])]);
    session.check(&wider, &[&["1", "c", "x", "NULL", "9"], &["2", "b", "y", "z", "8"]]);
}

fn columns_are_dropped_and_renamed<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    let after = altered(&t, |t| {
        t.columns.remove(1);
        t.columns[1].name = "note".into();
    });
    session.transaction(&[Shape(&after), Insert(&after, &["2", "y"])]);
    session.check(&after, &[&["1", "x"], &["2", "y"]]);
}

fn a_column_is_replaced<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    let after = altered(&t, |t| {
        t.columns.remove(1);
        t.columns.push(column(4, "note", "text"));
    });
    session.transaction(&[Shape(&after), Insert(&after, &["2", "y", "new"])]);
    session.check(&after, &[&["1", "x", "NULL"], &["2", "y", "new"]]);
}

fn a_column_becomes_wider<T: Target>(mut session: Session<T>) {
    let t = table(7, "counters", "1 id int, 2 count int", 1);
    session.transaction(&[Shape(&t), Insert(&t, &["1", "2147483647"]), Insert(&t, &["2", "NULL"])]);
    let wider = table(7, "counters", "1 id int, 2 count bigint", 1);
    session.transaction(&[Shape(&wider), Insert(&wider, &["3", "9223372036854775807"])]);
    session.check(&wider, &[&["1", "2147483647"], &["2", "NULL"], &["3", "9223372036854775807"]]);
}

fn a_table_is_renamed<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    let renamed = altered(&t, |t| t.name = "remarks".into());
    session.transaction(&[Shape(&renamed), Insert(&renamed, &["2", "b", "y"])]);
    session.check(&renamed, &[&["1", "a", "x"], &["2", "b", "y"]]);
    session.check(&t, &[]);
}

fn a_table_is_dropped_and_made_again<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"])]);
    session.transaction(&[Drop(&t)]);
    let again = table(99, "notes", "1 id int, 2 other text", 1);
    session.transaction(&[Shape(&again), Insert(&again, &["1", "new"])]);
    session.check(&again, &[&["1", "new"]]);
}

fn rows_around_a_new_shape<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"]), Insert(&t, &["2", "b", "y"])]);
    let wider = altered(&t, |t| t.columns.push(column(4, "more", "text")));
    session.transaction(&[
        Update(&t, &["1", "before", "~"]),
        Delete(&t, &["2", "~", "~"]),
        Shape(&wider),
        Insert(&wider, &["3", "after", "z", "m"]),
        Update(&wider, &["1", "~", "~", "n"]),
    ]);
    session.check(&wider, &[&["1", "before", "x", "n"], &["3", "after", "z", "m"]]);
}

fn odd_identifiers<T: Target>(mut session: Session<T>) {
    for (id, (schema, name)) in [
        ("Select", "Order"),
        ("with \"quotes\"", "semi;colon -- and 'more'"),
        ("ünï", "日本語 🦆"),
        ("dots.in", "it.too"),
        (" ", "  "),
    ]
    .into_iter()
    .enumerate()
    {
        let mut columns =
            vec![column(1, "from", "int"), column(2, "a \"b\" c", "text"), column(3, "back\\slash", "text")];
        columns.push(column(4, "ünï.cödé", "text"));
        let (schema, name) = (schema.into(), name.into());
        let t = Arc::new(Table {
            id: id as u64 + 1,
            schema,
            name,
            columns,
            key: vec![0],
            declared_key: Vec::new(),
            streamed_from_birth: true,
        });
        session.transaction(&[
            Shape(&t),
            Insert(&t, &["1", "a", "b", "c"]),
            Insert(&t, &["2", "a", "b", "c"]),
        ]);
        session.transaction(&[Update(&t, &["1", "x", "~", "z"]), Delete(&t, &["2", "~", "~", "~"])]);
        session.check(&t, &[&["1", "x", "b", "z"]]);
    }
}

fn large_values<T: Target>(mut session: Session<T>) {
    let t = notes();
    let (large, larger) = ("0123456789abcdef".repeat(1 << 16), "ä\n\"".repeat(1 << 20));
    session.transaction(&[Shape(&t), Insert(&t, &["1", &large, &larger]), Insert(&t, &["2", "b", "y"])]);
    session.transaction(&[Update(&t, &["1", "small", "~"]), Update(&t, &["2", &large, "~"])]);
    session.check(&t, &[&["1", "small", &larger], &["2", &large, "y"]]);
}

fn messages_do_no_harm<T: Target>(mut session: Session<T>) {
    let t = notes();
    session.transaction(&[Message]);
    session.transaction(&[Shape(&t), Insert(&t, &["1", "a", "x"]), Message]);
    session.check(&t, &[&["1", "a", "x"]]);
}
