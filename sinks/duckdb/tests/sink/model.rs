//! Random transactions, cut into batches at random, killed at random: the target always holds exactly what a naive model
//! in memory holds after the last whole transaction. A seed that fails is printed; put it first to see it again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tailwater_core::{Batch, Column, Declared, Fill, Sink, Table, Type};

use crate::support::{Do, Target, add, position, type_id};

#[test]
fn random_histories_end_as_in_the_model() {
    for seed in 1..=12 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

/// A change with values of its own.
#[derive(Debug, Clone)]
enum Op {
    Insert(Arc<Table>, Vec<String>),
    Update(Arc<Table>, Option<Vec<String>>, Vec<String>),
    Delete(Arc<Table>, Vec<String>),
    Truncate(Arc<Table>),
    Shape(Arc<Table>),
    Drop(Arc<Table>),
}

type Contents = BTreeMap<String, Vec<String>>;

struct Transaction {
    ops: Vec<Op>,
    /// What all tables hold after it.
    after: Contents,
}

fn run(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let history = Model::default().history(&mut random);
    let mut target = Target::new();
    let (mut done, mut boundary, mut event) = (0, 0, 0);
    let mut announced = HashSet::new();
    let mut kills = 0;
    while done < history.len() {
        let mut batch = Batch::default();
        batch.reset(&target.held, 1 << 20);
        for _ in 0..random.below(20) {
            let Some(transaction) = history.get(boundary) else { break };
            batch.transaction(format_args!("{boundary}"), 0, 0, event as u64).unwrap();
            let Some(op) = transaction.ops.get(event) else {
                (boundary, event) = (boundary + 1, 0);
                continue;
            };
            if announced.insert(op.table().id) && random.below(2) == 0 {
                batch.shape(op.table());
            }
            op.add_to(&mut batch);
            event += 1;
        }
        batch.to = position(boundary, event as u64);
        target.sink.write(&batch).unwrap();
        target.held.clone_from(&batch.to);
        if event == 0 {
            done = boundary;
        }
        assert_eq!(contents(&target), expected(&history, done), "after {done} transactions");
        if kills < 3 && random.below(5) == 0 {
            kills += 1;
            target.crash();
            assert!(done == 0 || target.held == position(done, 0), "{:?} of {done}", target.held);
            (boundary, event) = (done, 0);
            announced.clear();
            assert_eq!(contents(&target), expected(&history, done), "killed after {done} transactions");
        }
    }
}

fn expected(history: &[Transaction], done: usize) -> Contents {
    done.checked_sub(1).map(|last| history[last].after.clone()).unwrap_or_default()
}

fn contents(target: &Target) -> Contents {
    let names = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'public'";
    target
        .rows(names)
        .into_iter()
        .map(|name| (name.clone(), target.rows(&format!("SELECT * FROM t.public.\"{name}\""))))
        .collect()
}

impl Op {
    fn table(&self) -> &Arc<Table> {
        match self {
            Self::Insert(table, _)
            | Self::Update(table, ..)
            | Self::Delete(table, _)
            | Self::Truncate(table)
            | Self::Shape(table)
            | Self::Drop(table) => table,
        }
    }

    fn add_to(&self, batch: &mut Batch) {
        fn borrowed(row: &[String]) -> Vec<&str> {
            row.iter().map(String::as_str).collect()
        }
        match self {
            Self::Insert(table, new) => add(batch, Do::Insert(table, &borrowed(new))),
            Self::Update(table, None, new) => add(batch, Do::Update(table, &borrowed(new))),
            Self::Update(table, Some(old), new) => {
                add(batch, Do::Change(table, &borrowed(old), &borrowed(new)));
            }
            Self::Delete(table, old) => add(batch, Do::Delete(table, &borrowed(old))),
            Self::Truncate(table) => add(batch, Do::Truncate(table)),
            Self::Shape(table) => add(batch, Do::Shape(table)),
            Self::Drop(table) => add(batch, Do::Drop(table)),
        }
    }
}

/// The source, as simple as it can be.
#[derive(Default)]
struct Model {
    tables: Vec<(Arc<Table>, Vec<Vec<String>>)>,
    next_table: u64,
    next_column: u32,
    next_name: u32,
}

impl Model {
    fn history(mut self, random: &mut Random) -> Vec<Transaction> {
        (0..25)
            .map(|_| {
                let mut ops = Vec::new();
                for _ in 0..random.below(12) {
                    self.step(random, &mut ops);
                }
                Transaction { ops, after: self.contents() }
            })
            .collect()
    }

    fn contents(&self) -> Contents {
        let lines = |rows: &Vec<Vec<String>>| {
            let mut lines: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
            lines.sort();
            lines
        };
        self.tables.iter().map(|(table, rows)| (table.name.clone(), lines(rows))).collect()
    }

    fn step(&mut self, random: &mut Random, ops: &mut Vec<Op>) {
        if self.tables.len() < 3 && (self.tables.is_empty() || random.below(20) == 0) {
            self.create(random, ops);
        }
        let at = random.below(self.tables.len());
        match random.below(40) {
            0..=13 => self.insert(at, random, ops),
            14..=25 => self.update(at, random, ops),
            26..=33 => self.delete(at, random, ops),
            34 => {
                self.tables[at].1.clear();
                ops.push(Op::Truncate(Arc::clone(&self.tables[at].0)));
            }
            35 if random.below(3) == 0 => {
                let (table, _) = self.tables.remove(at);
                ops.push(Op::Drop(table));
            }
            36 if self.tables.len() > 1 => self.swap_names(ops),
            _ => self.reshape(at, random, ops),
        }
    }

    fn create(&mut self, random: &mut Random, ops: &mut Vec<Op>) {
        self.next_table += 1;
        let keys = random.below(3);
        let mut columns = vec![self.column(&Type::Int4), self.column(&Type::Text)];
        for kind in kinds().iter().skip(random.below(3)) {
            columns.push(self.column(kind));
        }
        let name = self.name("t");
        let key = (0..keys).collect();
        let table = Table {
            id: self.next_table,
            schema: "public".into(),
            name,
            columns,
            key,
            declared_key: Vec::new(),
            streamed_from_birth: true,
        };
        let table = Arc::new(table);
        ops.push(Op::Shape(Arc::clone(&table)));
        self.tables.push((table, Vec::new()));
    }

    fn column(&mut self, kind: &Type) -> Column {
        self.next_column += 1;
        let source_type = format!("{kind:?}").to_lowercase();
        let source_type = if *kind == Type::Text { "text".to_owned() } else { source_type };
        Column {
            id: self.next_column,
            name: self.name("c"),
            kind: kind.clone(),
            type_id: type_id(&source_type),
            source_type,
            fill: Fill::Null,
            declared: Declared::default(),
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.next_name += 1;
        format!("{prefix}{}", self.next_name)
    }

    fn insert(&mut self, at: usize, random: &mut Random, ops: &mut Vec<Op>) {
        let (table, rows) = &mut self.tables[at];
        let row = random.row(table);
        if is_free(table, rows, &row) {
            rows.push(row.clone());
            ops.push(Op::Insert(Arc::clone(table), row));
        }
    }

    fn update(&mut self, at: usize, random: &mut Random, ops: &mut Vec<Op>) {
        let (table, rows) = &mut self.tables[at];
        if rows.is_empty() {
            return;
        }
        let old = rows.remove(random.below(rows.len()));
        let mut new = old.clone();
        for (index, column) in table.columns.iter().enumerate() {
            if !table.key.contains(&index) && random.below(2) == 0 {
                new[index] = random.value(&column.kind);
            }
        }
        if random.below(3) == 0 {
            for &index in &table.key {
                new[index] = random.key(&table.columns[index].kind);
            }
        }
        if !is_free(table, rows, &new) {
            rows.push(old);
            return;
        }
        rows.push(new.clone());
        let key_changed = table.key.iter().any(|&index| old[index] != new[index]);
        for (index, column) in table.columns.iter().enumerate() {
            let unchanged =
                column.kind == Type::Text && old[index] == new[index] && !table.key.contains(&index);
            if unchanged && random.below(2) == 0 {
                new[index] = "~".into();
            }
        }
        let whole = table.key.is_empty() || random.below(4) == 0;
        let old = (whole || key_changed).then(|| if whole { old } else { key_of(table, &old) });
        ops.push(Op::Update(Arc::clone(table), old, new));
    }

    fn delete(&mut self, at: usize, random: &mut Random, ops: &mut Vec<Op>) {
        let (table, rows) = &mut self.tables[at];
        if rows.is_empty() {
            return;
        }
        let old = rows.remove(random.below(rows.len()));
        let old = if table.key.is_empty() { old } else { key_of(table, &old) };
        ops.push(Op::Delete(Arc::clone(table), old));
    }

    fn swap_names(&mut self, ops: &mut Vec<Op>) {
        let (mut one, mut two) = ((*self.tables[0].0).clone(), (*self.tables[1].0).clone());
        std::mem::swap(&mut one.name, &mut two.name);
        for (at, table) in [one, two].into_iter().enumerate() {
            self.tables[at].0 = Arc::new(table);
            ops.push(Op::Shape(Arc::clone(&self.tables[at].0)));
        }
    }

    fn reshape(&mut self, at: usize, random: &mut Random, ops: &mut Vec<Op>) {
        let mut table = (*self.tables[at].0).clone();
        let last = table.columns.len() - 1;
        match random.below(5) {
            0 => {
                let kind = kinds()[random.below(kinds().len())].clone();
                let mut column = self.column(&kind);
                let mut fill = random.value(&kind);
                if fill == "NULL" || random.below(2) == 0 {
                    fill = "NULL".into();
                } else {
                    column.fill = Fill::Constant(fill.clone());
                }
                table.columns.push(column);
                self.tables[at].1.iter_mut().for_each(|row| row.push(fill.clone()));
            }
            1 if last > 1 => {
                let gone = 2 + random.below(last - 1);
                table.columns.remove(gone);
                self.tables[at].1.iter_mut().for_each(|row| drop(row.remove(gone)));
            }
            2 => table.name = self.name("t"),
            3 => {
                let (one, two) = (random.below(last + 1), random.below(last + 1));
                let name = table.columns[one].name.clone();
                let other = std::mem::replace(&mut table.columns[two].name, name);
                table.columns[one].name = other;
            }
            _ => self.retype(at, random, &mut table),
        }
        self.tables[at].0 = Arc::new(table);
        ops.push(Op::Shape(Arc::clone(&self.tables[at].0)));
    }

    fn retype(&mut self, at: usize, random: &mut Random, table: &mut Table) {
        let index = random.below(table.columns.len());
        let column = &mut table.columns[index];
        let to = match column.kind {
            Type::Int4 => Type::Int8,
            Type::Int8 | Type::Bool | Type::Numeric { .. } => Type::Text,
            _ => return,
        };
        if column.kind == Type::Bool {
            for row in &mut self.tables[at].1 {
                let text = match row[index].as_str() {
                    "t" => "true",
                    "f" => "false",
                    other => other,
                };
                row[index] = text.to_owned();
            }
        }
        column.source_type = if to == Type::Text { "text".into() } else { format!("{to:?}").to_lowercase() };
        column.type_id = type_id(&column.source_type);
        (column.kind, column.fill) = (to, Fill::Null);
    }
}

fn kinds() -> [Type; 7] {
    let numeric = Type::Numeric { limits: Some((8, 2)) };
    let list = Type::Array(Box::new(Type::Int4));
    [Type::Text, numeric, Type::Bool, Type::TimestampTz, Type::Int8, Type::Interval, list]
}

fn is_free(table: &Table, rows: &[Vec<String>], new: &[String]) -> bool {
    table.key.is_empty() || !rows.iter().any(|row| table.key.iter().all(|&index| row[index] == new[index]))
}

fn key_of(table: &Table, row: &[String]) -> Vec<String> {
    let cell =
        |(index, cell): (usize, &String)| if table.key.contains(&index) { cell.clone() } else { "~".into() };
    row.iter().enumerate().map(cell).collect()
}

/// Small and repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn row(&mut self, table: &Table) -> Vec<String> {
        let cell = |(index, column): (usize, &Column)| {
            if table.key.contains(&index) { self.key(&column.kind) } else { self.value(&column.kind) }
        };
        table.columns.iter().enumerate().map(cell).collect()
    }

    fn key(&mut self, kind: &Type) -> String {
        if *kind == Type::Text { format!("k{}", self.below(4)) } else { self.below(12).to_string() }
    }

    fn value(&mut self, kind: &Type) -> String {
        let rare = self.below(40) == 0;
        let number = self.below(5);
        let text = match kind {
            _ if self.below(6) == 0 => "NULL",
            Type::Text => ["", "it's \"quoted\"", "käse", "{x}", "a text longer than fits inline"][number],
            Type::Numeric { .. } if rare => "NaN",
            Type::Numeric { .. } => ["0.00", "-1.50", "99999.99", "2.00", "0.01"][number],
            Type::Bool => ["t", "f"][number % 2],
            Type::TimestampTz if rare => "294276-12-31 23:59:59.999999+00",
            Type::TimestampTz => {
                ["infinity", "2024-02-29 12:00:00.5+00", "0044-03-15 00:00:00+00 BC"][number % 3]
            }
            Type::Interval => ["1 mon", "30 days", "-00:00:01"][number % 3],
            Type::Array(_) if rare => "{{1,2},{3,4}}",
            Type::Array(_) => ["{}", "{1,NULL,3}", "{7}"][number % 3],
            _ => return self.below(1000).to_string(),
        };
        text.to_owned()
    }
}
