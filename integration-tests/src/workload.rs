//! A shop whose tables are written to in every way that Postgres knows, the same for the same seed: what the kill
//! tests, the proxy tests and the comparisons run while something goes wrong.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Client, Random};

/// The tables that [`create`] makes, all in schema `public`.
pub const TABLES: [&str; 7] = ["customers", "products", "orders", "order_lines", "carts", "visits", "ledger"];

const SCHEMA: &str = "
    CREATE TYPE mood AS ENUM ('glad', 'so-so', 'cross');
    CREATE TABLE customers (
        id int8 PRIMARY KEY, name text NOT NULL, mood mood, tags text[], details jsonb, letter text,
        joined timestamptz NOT NULL DEFAULT clock_timestamp());
    ALTER TABLE customers ALTER letter SET STORAGE EXTERNAL;
    CREATE TABLE products (sku text PRIMARY KEY, name text, price numeric(12,2), weight float8, picture bytea);
    CREATE TABLE orders (id int8 PRIMARY KEY, customer int8, token uuid, total numeric, placed timestamp, \"Note\" text);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE TABLE order_lines (
        order_id int8, line int2, sku text, quantity int4, on_day date, PRIMARY KEY (order_id, line));
    CREATE TABLE carts (id int8 PRIMARY KEY, contents jsonb);
    CREATE TABLE visits (customer int8, path text, took interval);
    CREATE TABLE ledger (account int4, amount numeric, remark text);
    ALTER TABLE ledger REPLICA IDENTITY FULL;
";

/// Makes the empty tables.
pub async fn create(client: &Client) {
    client.run(SCHEMA).await;
}

/// One writer. Several may write at once, each with a number of its own: they make different rows, and change each
/// other's.
pub struct Workload {
    random: Random,
    writer: u64,
    made: u64,
    /// Whether tables are truncated now and then.
    pub truncates: bool,
    /// What has been done so far.
    pub totals: Totals,
}

/// How much a writer has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Transactions committed.
    pub committed: u64,
    /// Transactions rolled back on purpose.
    pub rolled_back: u64,
    /// Transactions that failed: a deadlock, a server that was killed.
    pub failed: u64,
}

const WRITERS_MAX: u64 = 16;

impl Workload {
    /// The writer of that number below 16.
    ///
    /// # Panics
    /// Where the number is larger.
    #[must_use]
    pub fn new(seed: u64, writer: u64) -> Self {
        assert!(writer < WRITERS_MAX, "there is no writer {writer}");
        Self {
            random: Random::new(seed ^ writer << 32),
            writer,
            made: 0,
            truncates: true,
            totals: Totals::default(),
        }
    }

    /// Writes until told to stop; connects again whenever the connection is lost.
    pub async fn run(&mut self, url: &str, stop: &CancellationToken) -> Totals {
        while !stop.is_cancelled() {
            match Client::open(url).await {
                Ok(client) => {
                    while !stop.is_cancelled() && !client.is_closed() {
                        self.transaction(&client).await;
                    }
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.totals
    }

    /// Writes this many transactions.
    pub async fn write(&mut self, client: &Client, transactions: u64) -> Totals {
        for _ in 0..transactions {
            self.transaction(client).await;
        }
        self.totals
    }

    /// One transaction of one to thirty statements, some inside savepoints, sometimes rolled back.
    async fn transaction(&mut self, client: &Client) {
        let mut script = String::from("BEGIN;");
        let statements = if self.random.one_in(20) { 30 } else { self.random.within(1..5) };
        for _ in 0..statements {
            let statement = self.statement();
            match self.random.below(8) {
                0 => script.push_str(&format!("SAVEPOINT a; {statement}; ROLLBACK TO a;")),
                1 => script.push_str(&format!("SAVEPOINT a; {statement}; RELEASE a;")),
                _ => script.push_str(&format!("{statement};")),
            }
        }
        let keep = !self.random.one_in(10);
        script.push_str(if keep { "COMMIT" } else { "ROLLBACK" });
        match (client.batch_execute(&script).await, keep) {
            (Ok(()), true) => self.totals.committed += 1,
            (Ok(()), false) => self.totals.rolled_back += 1,
            (Err(_), _) => {
                self.totals.failed += 1;
                // Leaves the failed transaction; a lost connection is noticed by the caller.
                client.batch_execute("ROLLBACK").await.ok();
            }
        }
    }

    fn statement(&mut self) -> String {
        let (new, some) = (self.new_id(), self.some_id());
        let number = self.random.below(100_000);
        match self.random.below(24) {
            0..3 => self.new_customer(new),
            3 => format!("UPDATE customers SET mood = 'cross', details = NULL WHERE id = {some}"),
            4 => format!("UPDATE customers SET letter = {} WHERE id = {some}", self.letter()),
            5 => format!("DELETE FROM customers WHERE id = {some}"),
            6 => format!("UPDATE customers SET id = {new} WHERE id = {some}"),
            7 => format!(
                "INSERT INTO products VALUES ('sku-{new}', 'thing', {number}.{:02}, {number}e-7, '\\x00ff{number:06}') \
                 ON CONFLICT DO NOTHING",
                number % 100
            ),
            8 => format!("UPDATE products SET price = price * 1.1, weight = 'NaN' WHERE sku = 'sku-{some}'"),
            9 => format!("UPDATE products SET sku = 'sku-{new}' WHERE sku = 'sku-{some}'"),
            10..13 => format!(
                "INSERT INTO orders VALUES ({new}, {some}, gen_random_uuid(), {number}, clock_timestamp(), \
                 E'line\\nbreak\\t{number}') ON CONFLICT DO NOTHING; \
                 INSERT INTO order_lines SELECT {new}, n, 'sku-' || n, n, current_date + n \
                 FROM generate_series(1, {}) n ON CONFLICT DO NOTHING",
                self.random.within(1..6)
            ),
            13 => format!("UPDATE orders SET total = total + 1, \"Note\" = NULL WHERE id = {some}"),
            14 => format!(
                "DELETE FROM orders WHERE id = {some}; DELETE FROM order_lines WHERE order_id = {some}"
            ),
            15 => format!("UPDATE order_lines SET line = line + 100 WHERE order_id = {some} AND line < 100"),
            16 | 17 => {
                format!("INSERT INTO carts VALUES ({new}, '{{\"n\": {number}}}') ON CONFLICT DO NOTHING")
            }
            18 => match self.random.one_in(10) && self.truncates {
                true => "TRUNCATE carts".to_owned(),
                false => format!("DELETE FROM carts WHERE id <= {some}"),
            },
            19 | 20 => format!("INSERT INTO visits VALUES ({some}, '/ä/{number}', '{number} s')"),
            // Few different rows, so that some are there twice and one of them must be found.
            21 | 22 => format!("INSERT INTO ledger VALUES ({}, {}, NULL)", number % 5, number % 3),
            _ => format!(
                "DELETE FROM ledger WHERE ctid = (SELECT ctid FROM ledger WHERE account = {} LIMIT 1); \
                 UPDATE ledger SET amount = amount + 0.5, remark = 'moved' \
                 WHERE ctid = (SELECT ctid FROM ledger WHERE account = {} LIMIT 1)",
                number % 5,
                number % 7
            ),
        }
    }

    fn new_customer(&mut self, id: u64) -> String {
        let mood = self.random.pick(&["'glad'", "'so-so'", "'cross'", "NULL"]).to_owned();
        let letter = self.letter();
        format!(
            "INSERT INTO customers VALUES ({id}, 'Zoë {id}', {mood}, '{{\"a b\",NULL,c}}', '{{\"id\": [{id}, 1.50]}}', \
             {letter}) ON CONFLICT DO NOTHING"
        )
    }

    /// Text that is sometimes long enough to be stored apart, and then not sent with an update of something else.
    fn letter(&mut self) -> String {
        match self.random.below(4) {
            0 => "NULL".to_owned(),
            1 => format!("repeat('long letter {} ', 400)", self.random.below(1000)),
            _ => format!("'short letter {}'", self.random.below(1000)),
        }
    }

    fn new_id(&mut self) -> u64 {
        self.made += 1;
        self.made * WRITERS_MAX + self.writer
    }

    /// An id that somebody may have made. It may be gone: then nothing happens, which must work too.
    fn some_id(&mut self) -> u64 {
        self.random.below(self.made + 1) * WRITERS_MAX + self.random.below(2)
    }
}
