//! Scripts of events, and what becomes of them.

#![allow(clippy::wildcard_enum_match_arm, reason = "a rendering for tests")]

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tailwater_core::{Change, Row, Value};

use super::*;
use crate::binlog::columns::Stored;
use crate::binlog::event::{Columns, Gtid, MariaGtid, Query, RowsKind};
use crate::gtid::{GtidSet, MariaGtids};
use crate::shapes::ColumnFacts;

/// Rows as text: `1|a;2|NULL;`, the two images of an update as `1|a>1|b;`.
#[derive(Debug)]
struct Plain {
    kinds: Vec<Type>,
}

fn kind(stored: Stored) -> Type {
    match stored {
        Stored::Long => Type::Int4,
        Stored::Timestamp { .. } => Type::TimestampTz,
        _ => Type::Text,
    }
}

impl Images for Plain {
    fn compile(columns: &[Described], _hints: &[Hint]) -> Result<Self> {
        Ok(Self { kinds: columns.iter().map(|column| kind(column.stored)).collect() })
    }

    fn describe(map: &TableMap<'_>, _format: &Format) -> Result<Columns> {
        Ok(Columns { columns: described(std::str::from_utf8(map.optional).unwrap()) })
    }

    fn kinds(&self) -> impl Iterator<Item = &Type> {
        self.kinds.iter()
    }

    fn read(
        &self,
        rows: &Rows<'_>,
        batch: &mut Batch,
        each: &mut dyn FnMut(&mut Batch, ReadRow) -> Result<()>,
    ) -> Result<()> {
        for row in rows.images.split(|&byte| byte == b';').filter(|row| !row.is_empty()) {
            let mut sides = row.split(|&byte| byte == b'>').map(|side| {
                let values = side.split(|&byte| byte == b'|').map(|value| match value {
                    b"NULL" => Value::Null,
                    text => Value::Text(text),
                });
                batch.add_row(values).unwrap()
            });
            let (first, second) = (sides.next(), sides.next());
            let read = match rows.kind {
                RowsKind::Write => ReadRow { old: None, new: first },
                RowsKind::Update | RowsKind::PartialUpdate => ReadRow { old: first, new: second },
                RowsKind::Delete => ReadRow { old: first, new: None },
            };
            each(batch, read)?;
        }
        Ok(())
    }
}

/// `id int key, note varchar(20) not_null`
fn facts(columns: &str) -> Facts {
    let columns = columns.split(", ").map(|column| {
        let words: Vec<&str> = column.split(' ').collect();
        ColumnFacts {
            name: words[0].to_owned(),
            column_type: words[1].to_owned(),
            nullable: !words.contains(&"not_null") && !words.contains(&"key"),
            collation: Some(8),
            key: words.contains(&"key").then_some(0),
            visible: true,
            ..ColumnFacts::default()
        }
    });
    Facts { columns: columns.collect(), transactional: true, ..Facts::default() }
}

/// As in the log; without names where the first one has a question mark before it.
fn described(columns: &str) -> Vec<Described> {
    let told = facts(columns.trim_start_matches('?'));
    let told = told.columns.iter().map(|column| column.described().unwrap());
    if !columns.starts_with('?') {
        return told.collect();
    }
    let unnamed = |column: Described| Described {
        name: None,
        unsigned: None,
        collation: None,
        labels: Vec::new(),
        key: None,
        ..column
    };
    told.map(unnamed).collect()
}

/// A server's log, written as lines, and what its catalogue says meanwhile.
struct Play {
    assembler: Assembler<Plain>,
    batch: Batch,
    head: BTreeMap<String, Facts>,
    bodies: BTreeMap<u64, (String, String)>,
    log_pos: u32,
    zero_log_pos: bool,
    /// Whoever looks ahead finds that tables are altered later.
    behind: bool,
    lines: Vec<String>,
}

impl Play {
    fn new(tables: &str, place: Place, skip: u64) -> Self {
        let tables = Patterns::parse(tables.split(' ')).unwrap();
        let settings = Settings {
            tables,
            lower_case: false,
            source: "mysql x".to_owned(),
            unnamed: false,
            statements: false,
        };
        let mut batch = Batch::default();
        batch.reset(&Position::default(), 1 << 20);
        let mut assembler = Assembler::new(settings, place, skip);
        let format =
            Format { server_version: "9.7.4".to_owned(), checksummed: true, post_header_bytes: Vec::new() };
        let header = Header { timestamp: 0, kind: 15, server_id: 9, bytes: 100, log_pos: 0, flags: 0 };
        assembler.at(&header);
        assembler.apply(&header, &Event::Format(format), &mut batch).unwrap();
        Self {
            assembler,
            batch,
            head: BTreeMap::new(),
            bodies: BTreeMap::new(),
            log_pos: 1000,
            zero_log_pos: false,
            behind: false,
            lines: Vec::new(),
        }
    }

    fn run(&mut self, script: &str) -> Result<()> {
        script.lines().map(str::trim).filter(|line| !line.is_empty()).try_for_each(|line| self.line(line))
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "head" => {
                let (name, columns) = rest.split_once(' ').unwrap();
                self.head.insert(name.to_owned(), facts(columns));
                return Ok(());
            }
            "gone" => {
                self.head.remove(rest);
                return Ok(());
            }
            "behind" | "near" => {
                self.behind = verb == "behind";
                return Ok(());
            }
            "prime" => {
                let facts = self.head[rest].clone();
                self.assembler.prime(&name(rest), &facts);
                return Ok(());
            }
            _ => {}
        }
        self.log_pos += 100;
        let in_group = !matches!(verb, "gtid" | "maria" | "xid");
        let log_pos = if self.zero_log_pos && in_group { 0 } else { self.log_pos };
        let header =
            Header { timestamp: 1_700_000_000, kind: 0, server_id: 9, bytes: 100, log_pos, flags: 0 };
        self.assembler.at(&header);
        let step = self.event(&header, verb, rest)?;
        self.after(step)
    }

    fn after(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Continue => {}
            Step::Committed => self.flush(),
            Step::Asks => {
                let (asked, since) = self.assembler.asked().unwrap();
                assert!(since.is_none_or(|(_, offset)| *offset <= u64::from(self.log_pos)), "{since:?}");
                let facts = self.head.get(&format!("{}.{}", asked.schema, asked.table)).cloned();
                let answer = Answer { facts: facts.as_ref(), proven: since.is_some() && !self.behind };
                let step = self.assembler.answer(answer, &mut self.batch)?;
                self.after(step)?;
            }
        }
        Ok(())
    }

    fn event(&mut self, header: &Header, verb: &str, rest: &str) -> Result<Step> {
        let (number, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = number.parse().unwrap_or(0);
        if verb == "map" {
            let (table, columns) = tail.split_once(' ').unwrap();
            self.bodies.insert(number, (table.to_owned(), columns.to_owned()));
        }
        let (table, columns) = self.bodies.get(&number).cloned().unwrap_or_default();
        let split = name(if table.is_empty() { "x.x" } else { &table });
        let body = format!("{table} {columns}");
        let width = columns.split(", ").count();
        let present = vec![0xff; width.div_ceil(8)];
        let images = format!("{};", tail.replace(' ', ";"));
        let rows = |kind| {
            Event::Rows(Rows {
                kind,
                table: number,
                ends_statement: true,
                columns: width,
                first_present: &present,
                second_present: &present,
                images: images.as_bytes(),
                compressed: false,
            })
        };
        if let Some(event) = begins(verb, number, tail) {
            return self.assembler.apply(header, &event, &mut self.batch);
        }
        let event = match verb {
            "sql" => Event::Query(Query {
                thread: 1,
                error: 0,
                schema: b"shop",
                text: rest.as_bytes(),
                collation: None,
            }),
            "map" => Event::TableMap(TableMap {
                number,
                flags: 0,
                schema: split.schema.as_bytes(),
                table: split.table.as_bytes(),
                body: body.as_bytes(),
                types: &[],
                metadata: &[],
                nullable: &[],
                optional: columns.as_bytes(),
            }),
            "write" => rows(RowsKind::Write),
            "update" => rows(RowsKind::Update),
            "delete" => rows(RowsKind::Delete),
            "xid" => Event::Xid(1),
            "prepare" => Event::XaPrepare { one_phase: false, xid: rest.to_owned() },
            "prepare1" => Event::XaPrepare { one_phase: true, xid: rest.to_owned() },
            "incident" => Event::Incident { number: 1, message: b"LOST_EVENTS" },
            "rotate" => {
                let file = rest.as_bytes();
                self.log_pos = 4;
                return self.assembler.apply(header, &Event::Rotate { file, position: 4 }, &mut self.batch);
            }
            other => panic!("{other}"),
        };
        self.assembler.apply(header, &event, &mut self.batch)
    }

    fn flush(&mut self) {
        let lines: Vec<String> = self.batch.events().map(|event| render(&event)).collect();
        self.lines.extend(lines);
        let mut position = Position::default();
        self.assembler.mark(&mut position);
        self.lines.push(format!("at {position}"));
        self.batch.reset(&position, 1 << 20);
    }
}

/// The events that begin a transaction.
fn begins(verb: &str, number: u64, flags: &str) -> Option<Event<'static>> {
    Some(match verb {
        "gtid" => Event::Gtid(Gtid {
            uuid: [0x11; 16],
            tag: "",
            number,
            commit_time_us: 7,
            original_commit_time_us: 7,
            bytes: 0,
        }),
        "anonymous" => Event::Gtid(Gtid {
            uuid: [0; 16],
            tag: "",
            number: 0,
            commit_time_us: 7,
            original_commit_time_us: 7,
            bytes: number,
        }),
        "maria" => Event::MariaGtid(MariaGtid {
            domain: 0,
            sequence: number,
            flags: flags.parse().unwrap_or(0),
            xid: None,
        }),
        _ => return None,
    })
}

fn name(text: &str) -> Name {
    let (schema, table) = text.split_once('.').unwrap();
    Name { schema: schema.to_owned(), table: table.to_owned() }
}

fn render(event: &tailwater_core::Event<'_>) -> String {
    let row = |row: Row<'_>| {
        let values = row.values().map(|value| match value {
            Value::Unsent => "?".to_owned(),
            Value::Null => "∅".to_owned(),
            Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        });
        values.collect::<Vec<_>>().join(",")
    };
    let what = match event.change {
        Change::Insert { table, new } => format!("insert {} {}", table.name, row(new)),
        Change::Update { table, old, new } => {
            format!("update {} {} -> {}", table.name, old.map(row).unwrap_or_default(), row(new))
        }
        Change::Delete { table, old } => format!("delete {} {}", table.name, row(old)),
        Change::Truncate { table } => format!("truncate {}", table.name),
        Change::Drop { table } => format!("drop {}", table.name),
        Change::Shape { table } => shape(table),
        Change::Stop { table, reason } => {
            let reason = String::from_utf8_lossy(reason);
            format!("stop {}: {}…", table.name, reason.split(' ').take(9).collect::<Vec<_>>().join(" "))
        }
        Change::Statement(statement) => {
            let table = statement.table.map(|(verb, table)| {
                let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
                format!(" {verb:?} {}.{}({})", table.schema, table.name, columns.join(","))
            });
            format!("said {:?}{}", String::from_utf8_lossy(statement.text), table.unwrap_or_default())
        }
        other => format!("{other:?}"),
    };
    let id = event.transaction.id.replace("11111111-1111-1111-1111-111111111111", "u");
    format!("{id}#{} @{} {what}", event.ordinal, event.log_offset)
}

fn shape(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| {
        let fill = match &column.fill {
            Fill::Constant(text) => format!("={text}"),
            Fill::Renamed(id) => {
                let of = ["a", "b", "c", "id", "note", "a_tailwater_new", "b_tailwater_new"];
                format!("<{}", of.iter().find(|of| shapes::column_id(of) == *id).unwrap_or(&"?"))
            }
            Fill::Unknown(_) => String::new(),
            Fill::Null => "=NULL".to_owned(),
            Fill::Gone => "=GONE".to_owned(),
        };
        format!("{} {}{fill}", column.name, column.source_type)
    });
    let born = if table.streamed_from_birth { " born" } else { "" };
    format!("shape {}{born} ({}) key {:?}", table.name, columns.collect::<Vec<_>>().join(", "), table.key)
}

use tailwater_core::Fill;

fn gtids() -> Place {
    Place::Gtids(GtidSet::default())
}

fn maria() -> Place {
    Place::Maria(MariaGtids::default())
}

fn file() -> Place {
    Place::File { file: "b.1".to_owned(), offset: 1000 }
}

fn check(tables: &str, place: Place, script: &str, expected: &Expect) {
    let mut play = Play::new(tables, place, 0);
    if let Err(error) = play.run(script) {
        play.flush();
        play.lines.push(format!("{error}"));
    }
    expected.assert_eq(&(play.lines.join("\n").replace("11111111-1111-1111-1111-111111111111", "u") + "\n"));
}

#[test]
fn transactions_end_at_their_commit() {
    check(
        "shop.*",
        gtids(),
        "
        gtid 5
        sql BEGIN
        map 7 shop.t id int key, note text
        map 8 other.t id int
        write 7 1|a 2|NULL
        write 8 9
        update 7 1|a>1|b
        delete 7 2|NULL
        xid
        gtid 6
        sql BEGIN
        map 7 shop.t id int key, note text
        write 7 3|c
        sql COMMIT
        gtid 9
        sql CREATE USER x
        gtid 7
        sql BEGIN
        xid
        ",
        &expect![[r#"
            u:5#0 @1400 shape t (id int, note text) key [0]
            u:5#0 @1400 insert t 1,a
            u:5#1 @1400 insert t 2,∅
            u:5#2 @1600 update t 1,a -> 1,b
            u:5#3 @1700 delete t 2,∅
            at u:5
            u:6#0 @2200 insert t 3,c
            at u:5-6
            at u:5-6:9
            at u:5-7:9
        "#]],
    );
}

#[test]
fn mariadb_needs_no_begin_and_no_log_pos() {
    let script = "
        maria 5
        map 7 shop.t id int key
        write 7 1
        update 7 1>2
        xid
        maria 6 1
        sql CREATE USER x
        maria 7
        map 7 shop.t id int key
        write 7 3
        sql COMMIT
        ";
    let mut told = Vec::new();
    for zero_log_pos in [false, true] {
        let mut play = Play::new("shop.*", maria(), 0);
        play.zero_log_pos = zero_log_pos;
        play.run(script).unwrap();
        told.push(play.lines.join("\n") + "\n");
    }
    assert_eq!(told[0].lines().skip(4).collect::<Vec<_>>(), told[1].lines().skip(4).collect::<Vec<_>>());
    expect![[r#"
        0-9-5#0 @1200 shape t (id int) key [0]
        0-9-5#0 @1200 insert t 1
        0-9-5#1 @1300 update t 1 -> 2
        at 0-9-5
        at 0-9-6
        0-9-7#0 @1900 insert t 3
        at 0-9-7
    "#]]
    .assert_eq(&told[1]);
}

#[test]
fn without_gtids_a_place_in_the_file_is_the_position() {
    check(
        "shop.*",
        file(),
        "
        anonymous 400
        sql BEGIN
        map 7 shop.t id int key
        write 7 1
        xid
        sql BEGIN
        map 7 shop.t id int key
        write 7 2
        sql COMMIT
        rotate b.2
        sql DROP TABLE t
        ",
        &expect![[r#"
            b.1:1400#0 @1300 shape t (id int) key [0]
            b.1:1400#0 @1300 insert t 1
            at b.1:1500
            b.1:1500#0 @1700 insert t 2
            at b.1:1900
            b.2:4#0 @4 drop t
            at b.2:104
        "#]],
    );
}

#[test]
fn xa_waits_for_its_outcome() {
    check(
        "shop.*",
        gtids(),
        "
        gtid 1
        sql XA START X'61',X'',1
        map 7 shop.t id int key
        write 7 1
        sql XA END X'61',X'',1
        prepare X'61',X'',1
        gtid 2
        sql XA START X'62',X'',1
        map 7 shop.t id int key
        write 7 2
        sql XA END X'62',X'',1
        prepare X'62',X'',1
        gtid 3
        sql BEGIN
        map 7 shop.t id int key
        write 7 3
        xid
        gtid 4
        sql XA ROLLBACK 'b'
        gtid 5
        sql XA COMMIT 'a'
        gtid 6
        sql XA START X'63',X'',1
        map 7 shop.t id int key
        write 7 4
        sql XA END X'63',X'',1
        prepare1 X'63',X'',1
        gtid 7
        sql XA COMMIT 'never heard of'
        ",
        &expect![[r#"
            at start
            at start
            u:3#0 @2500 shape t (id int) key [0]
            u:3#0 @2500 insert t 3
            at u:3
            at u:2-4
            u:5#0 @1300 insert t 1
            at u:1-5
            u:6#0 @3400 insert t 4
            at u:1-6
            at u:1-7
        "#]],
    );
}

#[test]
fn xa_that_a_restart_could_not_go_back_to_is_refused() {
    check(
        "shop.t",
        maria(),
        "
        maria 1 64
        map 7 shop.other id int key
        write 7 1
        prepare X'61',X'',1
        maria 2 64
        map 8 shop.t id int key
        write 8 1
        prepare X'61',X'',1
        ",
        &expect![[r#"
            at 0-9-1
            at 0-9-1
            XA transaction X'61',X'',1 changed captured tables and is prepared, not committed [TW-MY-052]
              to mend it: XA transactions are carried from MySQL with gtid_mode=ON only: do not use XA on these tables, then copy everything afresh
        "#]],
    );
}

#[test]
fn statements_and_incidents_stop() {
    for (line, code) in [
        ("sql INSERT INTO t VALUES (1)", "TW-MY-048"),
        ("sql UPDATE t, u SET t.a = 1", "TW-MY-048"),
        ("sql SELECT f()", "TW-MY-048"),
        ("incident", "TW-MY-049"),
        ("write 99 1", "TW-MY-046"),
        ("gtid 9", "TW-MY-045"),
    ] {
        let mut play = Play::new("shop.*", gtids(), 0);
        play.run("gtid 1\nsql BEGIN").unwrap();
        assert_eq!(play.run(line).unwrap_err().code(), code, "{line}");
    }
    let mut play = Play::new("shop.*", gtids(), 0);
    play.run("gtid 1\nsql BEGIN\nsql INSERT INTO other.t VALUES (1)\nxid").unwrap();
    let rows = "gtid 2\nsql BEGIN\nmap 7 shop.t id int key\nwrite 7 1";
    play.run(rows).unwrap();
    assert_eq!(play.run("sql ROLLBACK").unwrap_err().code(), "TW-MY-054");
}

#[test]
fn names_come_from_the_log_and_not_from_todays_catalogue() {
    // Item 20: the catalogue is ahead; `a` went and `b` came in one ALTER.
    check(
        "shop.*",
        gtids(),
        "
        head shop.t id int key, b int
        prime shop.t
        gtid 1
        sql BEGIN
        map 7 shop.t id int key, a int
        write 7 1|10
        xid
        gtid 2
        sql ALTER TABLE t DROP COLUMN a, ADD COLUMN b INT NOT NULL DEFAULT 5
        gtid 3
        sql BEGIN
        map 8 shop.t id int key, b int not_null
        write 8 2|20
        xid
        ",
        &expect![[r#"
            u:1#0 @1300 shape t (id int, a int) key [0]
            u:1#0 @1300 insert t 1,10
            at u:1
            u:2#0 @1600 shape t (id int, b int=5) key [0]
            at u:1-2
            u:3#0 @2000 shape t (id int, b int) key [0]
            u:3#0 @2000 insert t 2,20
            at u:1-3
        "#]],
    );
}

#[test]
fn altered_columns_say_what_older_rows_hold() {
    check(
        "shop.*",
        gtids(),
        "
        head shop.t id int key, a int
        prime shop.t
        head shop.t id int key, b int, ts timestamp not_null, note varchar(20)
        gtid 1
        sql ALTER TABLE t CHANGE a b INT, ADD ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD note VARCHAR(20) DEFAULT 'x'
        gtid 2
        sql BEGIN
        map 8 shop.t id int key, b int, ts timestamp not_null, note varchar(20)
        write 8 2|20|2026-11-21|y
        xid
        gtid 3
        sql ALTER TABLE t FROBNICATE
        gtid 4
        sql BEGIN
        map 9 shop.t id int key, b int, c int
        write 9 2|20|1
        xid
        ",
        &expect![[r#"
            u:1#0 @1100 shape t (id int, b int<a, ts timestamp=2023-11-14 22:13:20+00, note varchar(20)=x) key [0]
            at u:1
            u:2#0 @1500 insert t 2,20,2026-11-21,y
            at u:1-2
            at u:1-3
            u:4#0 @2200 shape t (id int, b int, c int) key [0]
            u:4#0 @2200 insert t 2,20,1
            at u:1-4
        "#]],
    );
}

#[test]
fn a_name_that_another_column_had_is_another_column() {
    check(
        "shop.*",
        gtids(),
        "
        head shop.t id int key, a int, b int
        prime shop.t
        gtid 1
        sql ALTER TABLE t CHANGE a b INT, CHANGE b a INT
        gtid 2
        sql ALTER TABLE t DROP COLUMN note, ADD COLUMN note TEXT DEFAULT NULL
        gtid 3
        sql BEGIN
        map 8 shop.t id int key, b int, a int, note text
        write 8 2|20|30|x
        xid
        ",
        &expect![[r#"
            u:1#0 @1100 shape t (id int, a_tailwater_new int<b, b_tailwater_new int<a) key [0]
            u:1#0 @1100 shape t (id int, a int<a_tailwater_new, b int<b_tailwater_new) key [0]
            at u:1
            at u:1-2
            u:3#0 @1700 shape t (id int, b int, a int, note_tailwater_new text=NULL) key [0]
            u:3#0 @1700 shape t (id int, b int, a int, note text<?) key [0]
            u:3#0 @1700 insert t 2,20,30,x
            at u:1-3
        "#]],
    );
}

#[test]
fn a_table_is_emptied_whether_its_shape_is_known_or_not() {
    check(
        "shop.*",
        gtids(),
        "
        head shop.t id int key, a int
        gtid 1
        sql TRUNCATE t
        gtid 2
        sql BEGIN
        map 8 shop.t id int key
        write 8 2
        xid
        gtid 3
        sql TRUNCATE TABLE shop.t
        gtid 4
        sql TRUNCATE TABLE shop.gone
        gtid 5
        sql TRUNCATE TABLE other.t
        ",
        &expect![[r#"
            u:1#0 @1100 shape t (id int=GONE, a int=GONE) key [0]
            u:1#0 @1100 truncate t
            at u:1
            u:2#0 @1500 shape t (id int) key [0]
            u:2#0 @1500 insert t 2
            at u:1-2
            u:3#0 @1800 truncate t
            at u:1-3
            u:4#0 @2000 drop gone
            at u:1-4
            at u:1-5
        "#]],
    );
}

#[test]
fn what_comes_by_a_renaming_is_never_taken_for_whole() {
    // From where it was not carried; then a table that had no row yet.
    check(
        "shop.*",
        gtids(),
        "
        gtid 1
        sql BEGIN
        map 7 shop.t id int key
        write 7 1
        xid
        gtid 2
        sql RENAME TABLE t TO away.t, away._t_gho TO t
        gtid 3
        sql BEGIN
        map 8 shop.t id int key, a int
        write 8 2|3
        xid
        gtid 4
        sql CREATE TABLE new_t LIKE t
        gtid 5
        sql RENAME TABLE t TO old_t, new_t TO t
        gtid 6
        sql BEGIN
        map 9 shop.t id int key, a int
        write 9 2|3
        xid
        gtid 7
        sql ALTER TABLE t DROP PARTITION p0
        gtid 8
        sql DROP TABLE IF EXISTS t, other.t
        ",
        &expect![[r#"
            u:1#0 @1300 shape t (id int) key [0]
            u:1#0 @1300 insert t 1
            at u:1
            u:2#0 @1600 drop t
            u:2#0 @1600 drop t
            at u:1-2
            u:3#0 @2000 shape t (id int, a int) key [0]
            u:3#0 @2000 insert t 2,3
            at u:1-3
            at u:1-4
            at u:1-5
            u:6#0 @2900 shape t born (id int, a int) key [0]
            u:6#0 @2900 insert t 2,3
            at u:1-6
            u:7#0 @3200 stop t: DROP PARTITION: rows came or went that the log…
            at u:1-7
            u:8#0 @3400 drop t
            at u:1-8
        "#]],
    );
}

#[test]
fn a_renamed_table_stays_the_same_for_the_sink() {
    check(
        "shop.* !shop._*",
        gtids(),
        "
        head shop.t id int key
        prime shop.t
        head shop.u id int key
        gtid 1
        sql RENAME TABLE t TO u
        gtid 2
        sql BEGIN
        map 7 shop.u id int key
        write 7 1
        xid
        gtid 3
        sql CREATE TABLE t (id int primary key)
        gtid 4
        sql ALTER TABLE u RENAME TO v, ADD COLUMN a int DEFAULT 5
        gtid 5
        sql BEGIN
        map 8 shop.v id int key, a int
        write 8 1|5
        xid
        gtid 6
        sql RENAME TABLE v TO _hidden
        gtid 7
        sql DROP TABLE t
        ",
        &expect![[r#"
            u:1#0 @1100 shape u (id int) key [0]
            at u:1
            u:2#0 @1500 insert u 1
            at u:1-2
            u:3#0 @1800 shape t born (id int) key [0]
            at u:1-3
            at u:1-4
            u:5#0 @2400 shape v (id int, a int=5) key [0]
            u:5#0 @2400 insert v 1,5
            at u:1-5
            u:6#0 @2700 drop v
            at u:1-6
            u:7#0 @2900 drop t
            at u:1-7
        "#]],
    );
}

#[test]
fn tools_that_alter_a_table_in_a_copy_alter_that_table() {
    check(
        "shop.* !shop._*",
        gtids(),
        "
        head shop.t id int key, a int
        gtid 1
        sql BEGIN
        map 7 shop.t id int key
        write 7 1
        xid
        gtid 2
        sql CREATE TABLE _t_gho LIKE t
        gtid 3
        sql ALTER TABLE _t_gho ADD COLUMN a int NOT NULL DEFAULT 5
        gtid 4
        sql BEGIN
        map 8 shop._t_gho id int key, a int
        write 8 1|5
        xid
        gtid 5
        sql RENAME TABLE t TO _t_del, _t_gho TO t
        gtid 6
        sql BEGIN
        map 8 shop.t id int key, a int
        write 8 2|3
        xid
        gtid 7
        sql CREATE TABLE __t_new (id int primary key, a int)
        gtid 8
        sql ALTER TABLE __t_new CHANGE a b int
        gtid 9
        sql BEGIN
        map 9 shop.__t_new id int key, b int
        write 9 1|5
        xid
        gtid 10
        sql RENAME TABLE t TO _t_old, __t_new TO t
        gtid 11
        sql BEGIN
        map 9 shop.t id int key, b int
        write 9 4|5
        xid
        ",
        &expect![[r#"
            u:1#0 @1300 shape t (id int) key [0]
            u:1#0 @1300 insert t 1
            at u:1
            at u:1-2
            at u:1-3
            at u:1-4
            u:5#0 @2500 shape t (id int, a int=5) key [0]
            at u:1-5
            u:6#0 @2900 insert t 2,3
            at u:1-6
            at u:1-7
            at u:1-8
            at u:1-9
            at u:1-10
            u:11#0 @4500 shape t (id int, b int<a) key [0]
            u:11#0 @4500 insert t 4,5
            at u:1-11
        "#]],
    );
}

#[test]
fn a_name_alone_makes_no_copy() {
    // An empty table begins anew; one that was made for another table, or was not seen to be made, is no copy.
    check(
        "shop.* !shop._*",
        gtids(),
        "
        head shop.t id int key
        gtid 1
        sql BEGIN
        map 7 shop.t id int key
        write 7 1
        xid
        gtid 2
        sql CREATE TABLE _t_new LIKE t
        gtid 3
        sql RENAME TABLE t TO _t_old, _t_new TO t
        gtid 4
        sql RENAME TABLE t TO _t_old, _other_new TO t
        gtid 5
        sql RENAME TABLE t TO _t_del, _t_gho TO t
        ",
        &expect![[r#"
            u:1#0 @1300 shape t (id int) key [0]
            u:1#0 @1300 insert t 1
            at u:1
            at u:1-2
            u:3#0 @1800 drop t
            u:3#0 @1800 drop t
            u:3#0 @1800 shape t born (id int) key [0]
            at u:1-3
            u:4#0 @2000 drop t
            u:4#0 @2000 drop t
            u:4#0 @2000 shape t (id int) key [0]
            at u:1-4
            u:5#0 @2200 drop t
            u:5#0 @2200 drop t
            u:5#0 @2200 shape t (id int) key [0]
            at u:1-5
        "#]],
    );
}

#[test]
fn what_the_log_does_not_name_is_asked_for_and_remembered() {
    check(
        "shop.*",
        gtids(),
        "
        head shop.t id int key, note varchar(20)
        gtid 1
        sql BEGIN
        map 7 shop.t ?id int key, note varchar(20)
        write 7 1|a
        xid
        head shop.t this is not asked for
        behind
        gtid 2
        sql BEGIN
        map 8 shop.t ?id int key, note varchar(20)
        write 8 2|b
        xid
        gtid 3
        sql ALTER TABLE t ADD INDEX (note), ADD PARTITION (PARTITION p1 VALUES LESS THAN (3)), COMMENT 'x'
        gtid 4
        sql BEGIN
        map 9 shop.t ?id int key, note varchar(20)
        write 9 3|c
        xid
        gtid 5
        sql TRUNCATE TABLE t
        near
        head shop.t id int key, a int, note varchar(20)
        gtid 6
        sql ALTER TABLE t ADD COLUMN a int DEFAULT 5 AFTER id
        gtid 7
        sql BEGIN
        map 10 shop.t ?id int key, a int, note varchar(20)
        write 10 4|5|d
        xid
        gtid 8
        head shop.u this is not asked for
        sql RENAME TABLE t TO u
        gtid 9
        sql BEGIN
        map 10 shop.u ?id int key, a int, note varchar(20)
        write 10 5|6|e
        xid
        ",
        &expect![[r#"
            u:1#0 @1300 shape t (id int, note varchar(20)) key [0]
            u:1#0 @1300 insert t 1,a
            at u:1
            u:2#0 @1800 insert t 2,b
            at u:1-2
            at u:1-3
            u:4#0 @2500 insert t 3,c
            at u:1-4
            u:5#0 @2800 truncate t
            at u:1-5
            u:6#0 @3000 shape t (id int, a int=5, note varchar(20)) key [0]
            at u:1-6
            u:7#0 @3400 insert t 4,5,d
            at u:1-7
            u:8#0 @3700 shape u (id int, a int, note varchar(20)) key [0]
            at u:1-8
            u:9#0 @4100 insert u 5,6,e
            at u:1-9
        "#]],
    );
}

#[test]
fn a_table_that_cannot_be_told_is_stopped_alone() {
    check(
        "shop.*",
        gtids(),
        "
        head shop.t id int key, b int
        head shop.other id int key
        gtid 1
        sql BEGIN
        map 6 shop.other ?id int key
        write 6 1
        map 7 shop.t ?id int key, b int
        write 7 1|2
        xid
        behind
        gtid 2
        sql ALTER TABLE t DROP COLUMN b, ADD COLUMN c int
        gtid 3
        sql BEGIN
        map 8 shop.t ?id int key, b int
        write 8 2|3
        map 6 shop.other ?id int key
        write 6 2
        xid
        gtid 4
        sql TRUNCATE TABLE t
        near
        gtid 5
        sql ALTER TABLE t ADD COLUMN d int
        gtid 6
        sql BEGIN
        map 9 shop.t ?id int key, c int, d int
        write 9 4|5|6
        xid
        gtid 7
        sql DROP TABLE t
        gtid 8
        sql CREATE TABLE t (id int primary key, b int)
        gtid 9
        sql BEGIN
        map 10 shop.t ?id int key, b int
        write 10 5|6
        map 11 shop.other ?id varchar(20)
        write 11 5
        xid
        ",
        &expect![[r#"
            u:1#0 @1300 shape other (id int) key [0]
            u:1#0 @1300 insert other 1
            u:1#1 @1500 shape t (id int, b int) key [0]
            u:1#1 @1500 insert t 1,2
            at u:1
            at u:1-2
            u:3#0 @2100 stop t: the log does not name its columns, and it…
            u:3#0 @2400 insert other 2
            at u:1-3
            at u:1-4
            at u:1-5
            at u:1-6
            u:7#0 @3600 drop t
            at u:1-7
            u:8#0 @3800 shape t born (id int, b int) key [0]
            at u:1-8
            u:9#0 @4200 insert t 5,6
            u:9#1 @4300 stop other: the log does not name its columns, and has…
            at u:1-9
        "#]],
    );
}

#[test]
fn what_a_position_remembers_is_enough_to_go_on() {
    let mut before = Play::new("shop.* !shop._*", gtids(), 0);
    before
        .run(
            "
            head shop.t id int key, a int
            head shop.gone id int key
            gtid 1
            sql BEGIN
            map 7 shop.t ?id int key, a int
            write 7 1|2
            xid
            gtid 2
            sql RENAME TABLE t TO u
            gtid 3
            sql CREATE TABLE _u_gho LIKE u
            gtid 4
            sql ALTER TABLE _u_gho ADD COLUMN b int DEFAULT 7
            behind
            gtid 5
            sql BEGIN
            map 9 shop._u_gho ?id int key, a int, b int
            write 9 1|2|7
            map 8 shop.gone ?id int key
            write 8 1
            xid
            ",
        )
        .unwrap();
    let mut position = Position::default();
    before.assembler.mark(&mut position);
    let mut after = Play::new("shop.* !shop._*", before.assembler.place().clone(), 0);
    after.assembler.restore(&position.notes).unwrap();
    after
        .run(
            "
            behind
            gtid 6
            sql BEGIN
            map 1 shop.u ?id int key, a int
            write 1 3|4
            map 2 shop.gone ?id int key
            write 2 2
            xid
            near
            head shop.u id int key, a int, b int
            gtid 7
            sql RENAME TABLE u TO _u_del, _u_gho TO u
            ",
        )
        .unwrap();
    let notes: Vec<&String> = position.notes.values().collect();
    expect![[r#"
        [
            "{\"schema\":\"shop\",\"table\":\"_u_gho\",\"ghost\":{\"origins\":{\"b\":{\"Added\":[{\"Number\":\"7\"},1700000000]}},\"freed\":[],\"doubtful\":false}}",
            "{\"schema\":\"shop\",\"table\":\"gone\",\"stopped\":\"the log does not name its columns, and it was altered, renamed or dropped before anybody could ask what they were\"}",
            "{\"schema\":\"shop\",\"table\":\"u\",\"id\":15260619482415269668,\"known\":{\"columns\":[{\"name\":\"id\",\"column_type\":\"int\",\"collation\":8,\"key\":0,\"visible\":true},{\"name\":\"a\",\"column_type\":\"int\",\"nullable\":true,\"collation\":8,\"visible\":true}],\"transactional\":true}}",
        ]
        u:6#0 @1300 shape u (id int, a int) key [0]
        u:6#0 @1300 insert u 3,4
        at 11111111-1111-1111-1111-111111111111:1-6
        u:7#0 @1800 shape u (id int, a int, b int=7) key [0]
        at 11111111-1111-1111-1111-111111111111:1-7"#]].assert_eq(&format!("{notes:#?}\n{}", after.lines.join("\n")));
}

#[test]
fn what_a_table_was_altered_by_is_kept_until_the_sink_is_told() {
    // A table that is described and gets no row, then altered again.
    check(
        "shop.*",
        gtids(),
        "
        gtid 1
        sql BEGIN
        map 7 shop.t id int key, a int
        write 7 1|2
        xid
        head shop.t id int key, a int, b int
        gtid 2
        sql ALTER TABLE t DROP COLUMN a, ADD COLUMN a int DEFAULT 7
        gtid 3
        sql BEGIN
        map 8 shop.t id int key, a int
        xid
        gtid 4
        sql ALTER TABLE t RENAME COLUMN a TO c, ADD COLUMN b int
        gtid 5
        sql BEGIN
        map 9 shop.t id int key, c int, b int
        write 9 2|3|4
        xid
        ",
        &expect![[r#"
            u:1#0 @1300 shape t (id int, a int) key [0]
            u:1#0 @1300 insert t 1,2
            at u:1
            at u:1-2
            at u:1-3
            at u:1-4
            u:5#0 @2600 shape t (id int, c int=7, b int=NULL) key [0]
            u:5#0 @2600 insert t 2,3,4
            at u:1-5
        "#]],
    );
    // The same, with a restart after each transaction.
    let mut play = Play::new("shop.*", gtids(), 0);
    for script in [
        "gtid 1\nsql BEGIN\nmap 7 shop.t id int key, a int\nwrite 7 1|2\nxid",
        "head shop.t id int key, b int\nprime shop.t\ngtid 2\nsql ALTER TABLE t ADD COLUMN b int DEFAULT 7",
        "gtid 3\nsql ALTER TABLE t DROP COLUMN a\ngtid 4\nsql CREATE TABLE IF NOT EXISTS t (id int)",
        "gtid 5\nsql BEGIN\nmap 7 shop.t id int key, b int\nwrite 7 2|3\nxid",
    ] {
        play.run(script).unwrap();
        let mut position = Position::default();
        play.assembler.mark(&mut position);
        let lines = std::mem::take(&mut play.lines);
        play = Play::new("shop.*", play.assembler.place().clone(), 0);
        play.head.insert("shop.t".to_owned(), facts("id int key, b int"));
        play.assembler.prime(&name("shop.t"), &facts("id int key, b int"));
        play.assembler.restore(&position.notes).unwrap();
        play.lines = lines;
    }
    expect![[r#"
        u:1#0 @1300 shape t (id int, a int) key [0]
        u:1#0 @1300 insert t 1,2
        at 11111111-1111-1111-1111-111111111111:1
        at 11111111-1111-1111-1111-111111111111:1-2
        at 11111111-1111-1111-1111-111111111111:1-3
        at 11111111-1111-1111-1111-111111111111:1-4
        u:5#0 @1300 shape t (id int, b int=7) key [0]
        u:5#0 @1300 insert t 2,3
        at 11111111-1111-1111-1111-111111111111:1-5"#]]
    .assert_eq(&play.lines.join("\n"));
}

#[test]
fn rows_that_go_by_partitions_stop_both_tables() {
    check(
        "shop.*",
        gtids(),
        "
        gtid 1
        sql ALTER TABLE t EXCHANGE PARTITION p0 WITH TABLE u WITHOUT VALIDATION
        gtid 2
        sql ALTER TABLE v TRUNCATE PARTITION p0
        gtid 3
        sql BEGIN
        map 7 shop.u id int key
        write 7 1
        xid
        ",
        &expect![[r#"
            u:1#0 @1100 stop t: EXCHANGE PARTITION: rows came or went that the log…
            u:1#0 @1100 stop u: EXCHANGE PARTITION: rows came or went that the log…
            at u:1
            u:2#0 @1300 stop v: TRUNCATE PARTITION: rows came or went that the log…
            at u:1-2
            at u:1-3
        "#]],
    );
}

#[test]
fn tables_come_and_go() {
    check(
        "shop.* !shop.hidden",
        gtids(),
        "
        head shop.t id int key
        gtid 1
        sql CREATE TABLE t (id int primary key)
        gtid 2
        sql CREATE TABLE IF NOT EXISTS t (id int primary key)
        gtid 3
        sql CREATE TABLE hidden (id int primary key)
        gone shop.t
        gtid 4
        sql BEGIN
        sql CREATE TABLE u (id int) START TRANSACTION
        map 8 shop.u id int
        write 8 1
        xid
        gtid 5
        sql DROP DATABASE shop
        ",
        &expect![[r#"
            u:1#0 @1100 shape t born (id int) key [0]
            at u:1
            at u:1-2
            at u:1-3
            u:4#0 @2000 shape u born (id int) key []
            u:4#0 @2000 insert u 1
            at u:1-4
            u:5#0 @2300 drop t
            u:5#0 @2300 drop u
            at u:1-5
        "#]],
    );
}

/// Rows of several transactions, the way they come.
const SCRIPT: &str = "
    gtid 1
    sql BEGIN
    map 7 shop.t id int key
    write 7 1 2 3
    map 8 shop.u id int key
    write 8 4
    update 7 1>9
    delete 8 4
    xid
    gtid 2
    sql TRUNCATE t
    gtid 3
    sql XA START 'a'
    map 7 shop.t id int key
    write 7 5 6
    prepare X'61',X'',1
    gtid 4
    sql BEGIN
    map 8 shop.u id int key
    write 8 7 8
    xid
    gtid 5
    sql XA COMMIT 'a'
    ";

/// Counted events, and after each line of the log where it stands.
fn replay(script: &str, place: Place, skip: u64, lines: usize) -> (Vec<String>, Place, u64) {
    let mut play = Play::new("shop.*", place, skip);
    play.head.insert("shop.t".to_owned(), facts("id int key"));
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()).take(lines) {
        play.line(line).unwrap();
    }
    let mut position = Position::default();
    play.assembler.mark(&mut position);
    play.flush();
    let counted = |line: &&String| !line.contains(" shape ") && line.contains('#');
    let events = play.lines.iter().filter(counted).cloned().collect();
    (events, play.assembler.place().clone(), position.event)
}

#[test]
fn cut_anywhere_and_resumed_it_gives_the_same_events() {
    let (whole, ..) = replay(SCRIPT, gtids(), 0, usize::MAX);
    let lines = SCRIPT.lines().filter(|line| !line.trim().is_empty()).count();
    for cut in 0..=lines {
        let (mut before, place, skip) = replay(SCRIPT, gtids(), 0, cut);
        let (after, ..) = replay(SCRIPT, place.clone(), skip, usize::MAX);
        before.extend(after);
        // XA rows stand where their commit does.
        assert_eq!(before, whole, "cut after {cut} lines, at {place:?}+{skip}");
    }
}

proptest! {
    #[test]
    fn cut_inside_of_an_event_and_resumed_it_gives_the_same_events(first in 0_u64..6, second in 0_u64..6) {
        let (whole, ..) = replay(SCRIPT, gtids(), 0, usize::MAX);
        for skip in [first, second] {
            let (rest, ..) = replay(SCRIPT, gtids(), skip, usize::MAX);
            prop_assert_eq!(&rest[..], &whole[usize::try_from(skip).unwrap()..]);
        }
    }
}

/// Plays a script for somebody who wants the words of statements.
fn check_words(tables: &str, skip: u64, script: &str, expected: Expect) {
    let mut play = Play::new(tables, gtids(), skip);
    play.assembler.settings.statements = true;
    play.run(script).unwrap();
    expected.assert_eq(&format!("{}\n", play.lines.join("\n")));
}

#[test]
fn statements_come_with_their_transaction() {
    check_words(
        "shop.*",
        0,
        "
        head shop.t id int key, b int
        gtid 1
        sql CREATE TABLE t (id int primary key, b int)
        gtid 2
        sql CREATE TABLE IF NOT EXISTS t (id int)
        gtid 3
        sql CREATE TABLE elsewhere.t (id int)
        head shop.s id int key
        gtid 4
        sql CREATE TABLE s (id int primary key) START TRANSACTION
        map 7 shop.s id int key
        write 7 1
        xid
        gtid 5
        sql DROP TABLE `t`,`s` /* generated by server */
        gone shop.t
        gone shop.s
        gtid 6
        sql DROP DATABASE shop
        ",
        expect![[r#"
            u:1#0 @1100 shape t born (id int, b int) key [0]
            u:1#0 @1100 said "CREATE TABLE t (id int primary key, b int)" Create shop.t(id,b)
            at 11111111-1111-1111-1111-111111111111:1
            at 11111111-1111-1111-1111-111111111111:1-2
            at 11111111-1111-1111-1111-111111111111:1-3
            u:4#0 @1700 shape s born (id int) key [0]
            u:4#0 @1700 said "CREATE TABLE s (id int primary key) START TRANSACTION" Create shop.s(id)
            u:4#0 @1900 insert s 1
            at 11111111-1111-1111-1111-111111111111:1-4
            u:5#0 @2200 drop t
            u:5#0 @2200 drop s
            u:5#0 @2200 said "DROP TABLE `shop`.`t`" Drop shop.t()
            u:5#0 @2200 said "DROP TABLE `shop`.`s`" Drop shop.s()
            at 11111111-1111-1111-1111-111111111111:1-5
            u:6#0 @2400 said "DROP DATABASE shop"
            at 11111111-1111-1111-1111-111111111111:1-6
        "#]],
    );
}

/// What a table is like is told only where nobody altered it further on.
#[test]
fn statements_of_a_backlog_say_nothing_of_columns() {
    check_words(
        "shop.*",
        0,
        "
        head shop.t id int key, b int, c int
        behind
        gtid 1
        sql ALTER TABLE t ADD COLUMN b int
        near
        gtid 2
        sql ALTER TABLE t ADD COLUMN c int
        ",
        expect![[r#"
            u:1#0 @1100 said "ALTER TABLE t ADD COLUMN b int" Alter shop.t()
            at 11111111-1111-1111-1111-111111111111:1
            u:2#0 @1300 said "ALTER TABLE t ADD COLUMN c int" Alter shop.t(id,b,c)
            at 11111111-1111-1111-1111-111111111111:1-2
        "#]],
    );
}

/// What the target has of a transaction it has of its statement too.
#[test]
fn statements_are_not_told_again_with_the_rest_of_their_transaction() {
    check_words(
        "shop.*",
        1,
        "
        head shop.s id int key
        gtid 4
        sql CREATE TABLE s (id int primary key) START TRANSACTION
        map 7 shop.s id int key
        write 7 1 2
        xid
        ",
        expect![[r#"
            u:4#1 @1300 shape s born (id int) key [0]
            u:4#1 @1300 insert s 2
            at 11111111-1111-1111-1111-111111111111:4
        "#]],
    );
}
