//! What the statements of QUERY events mean for rows and tables: a recogniser, not a parser of SQL. Pure; `assemble` asks.
//!
//! Names and columns come from the log's own metadata; this only tells which tables a statement speaks of, and where the
//! older values of a table's columns come from. Whatever is not understood of an `ALTER TABLE` is said to be so.

mod columns;
mod tokens;
mod told;

use tokens::Token;

pub use columns::{Change, Given};
pub(crate) use told::{Captured, Told, told};

/// A table's full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The database.
    pub schema: String,
    /// The table.
    pub table: String,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `BEGIN`, `START TRANSACTION`
    Begin,
    /// `COMMIT`
    Commit,
    /// `ROLLBACK` of everything.
    Rollback,
    /// `ROLLBACK TO`
    RollbackTo,
    /// `XA START`
    XaStart,
    /// `XA COMMIT`; the name as `X'…',X'…',1`.
    XaCommit(String),
    /// `XA ROLLBACK`; likewise.
    XaRollback(String),
    /// `TRUNCATE TABLE`
    Truncate(Name),
    /// `DROP TABLE`
    Drop(Vec<Name>),
    /// `DROP DATABASE`
    DropSchema(String),
    /// `RENAME TABLE`, one after the other.
    Rename(Vec<(Name, Name)>),
    /// `ALTER TABLE`, `DROP INDEX`
    Alter(Alter),
    /// `CREATE TABLE`
    Create(Create),
    /// Rows change in statement format. No name: which table's cannot be told.
    Rows(Option<Name>),
    /// Nothing that concerns rows or tables.
    Other,
}

/// `ALTER TABLE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alter {
    /// The table.
    pub table: Name,
    /// Its new name.
    pub rename: Option<Name>,
    /// What becomes of columns, in order.
    pub changes: Vec<Change>,
    /// Every clause was understood.
    pub understood: bool,
    /// Columns and keys are what they were.
    pub keeps_columns: bool,
    /// Rows come or go that the log does not carry: the clause that says so.
    pub moves_rows: Option<&'static str>,
    /// The table with which rows are exchanged.
    pub exchanges: Option<Name>,
}

/// `CREATE TABLE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The table.
    pub table: Name,
    /// `OR REPLACE`
    pub replaces: bool,
    /// `IF NOT EXISTS`: the table may have been there.
    pub perhaps: bool,
    /// `START TRANSACTION`: rows follow, in the same transaction.
    pub opens: bool,
}

/// How names are to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The default database.
    pub schema: &'a str,
    /// `lower_case_table_names` is not 0: names are stored in lower case.
    pub lower_case: bool,
}

impl Alter {
    fn of(table: Name) -> Self {
        let (changes, understood, keeps_columns) = (Vec::new(), true, false);
        let (rename, moves_rows, exchanges) = (None, None, None);
        Self { table, rename, changes, understood, keeps_columns, moves_rows, exchanges }
    }
}

impl Statement {
    /// Whether what a table is like, or what has its name, is another after it.
    #[must_use]
    pub fn reshapes(&self, name: &Name) -> bool {
        match self {
            Self::Drop(names) => names.contains(name),
            Self::DropSchema(schema) => *schema == name.schema,
            Self::Rename(pairs) => pairs.iter().any(|(from, to)| from == name || to == name),
            Self::Alter(alter) => {
                alter.rename.as_ref() == Some(name)
                    || (alter.table == *name && (alter.rename.is_some() || !alter.keeps_columns))
            }
            Self::Create(create) => create.table == *name,
            Self::Begin | Self::Commit | Self::Rollback | Self::RollbackTo | Self::Truncate(_) => false,
            Self::XaStart | Self::XaCommit(_) | Self::XaRollback(_) | Self::Rows(_) | Self::Other => false,
        }
    }

    /// Reads a statement. Never fails: what is not known concerns no rows.
    #[must_use]
    pub fn read(text: &str, reading: Reading<'_>) -> Self {
        // The most frequent by far.
        if text.eq_ignore_ascii_case("BEGIN") {
            return Self::Begin;
        }
        if text.eq_ignore_ascii_case("COMMIT") {
            return Self::Commit;
        }
        let tokens = tokens::tokens(text);
        Reader { rest: &tokens, reading }.statement().unwrap_or(Self::Rows(None))
    }
}

/// Reads words from the left.
#[derive(Debug, Clone, Copy)]
struct Reader<'t, 'a> {
    rest: &'t [Token<'a>],
    reading: Reading<'a>,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// `None` where a statement that is known does not go on as known.
    fn statement(&mut self) -> Option<Statement> {
        let Some(first) = self.rest.first() else { return Some(Statement::Other) };
        let Token::Word(word) = first else {
            // `(SELECT …)`, which may call a function that changes rows.
            return None;
        };
        let word = word.to_ascii_uppercase();
        self.step();
        match word.as_str() {
            "BEGIN" => Some(Statement::Begin),
            "START" if self.take("TRANSACTION") => Some(Statement::Begin),
            "COMMIT" => Some(Statement::Commit),
            "ROLLBACK" => {
                self.take("WORK");
                Some(if self.take("TO") { Statement::RollbackTo } else { Statement::Rollback })
            }
            "XA" => self.xa(),
            "TRUNCATE" => {
                self.take("TABLE");
                self.name().map(Statement::Truncate)
            }
            "DROP" => self.drop(),
            "RENAME" if self.take("TABLE") || self.take("TABLES") => self.rename(),
            "ALTER" => self.alter(),
            "CREATE" => self.create(),
            "SET" if self.take("STATEMENT") => {
                while !self.rest.is_empty() && !self.take("FOR") {
                    self.step();
                }
                self.statement()
            }
            "INSERT" | "REPLACE" => {
                self.take_all(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]);
                Some(Statement::Rows(self.name()))
            }
            "UPDATE" => Some(Statement::Rows(self.updated())),
            "DELETE" => Some(Statement::Rows(self.deleted())),
            "LOAD" if self.rest.first().is_some_and(|next| next.is("INDEX")) => Some(Statement::Other),
            "LOAD" => Some(Statement::Rows(self.loaded())),
            "ANALYZE" if self.maintains() => Some(Statement::Other),
            // They may call what changes rows; what they call is not told.
            "ANALYZE" | "WITH" | "CALL" | "DO" | "SELECT" | "VALUES" | "EXECUTE" | "IMPORT" | "TABLE" => None,
            _ => Some(Statement::Other),
        }
    }

    fn maintains(&self) -> bool {
        let words = ["TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"];
        self.rest.first().is_some_and(|next| words.iter().any(|word| next.is(word)))
    }

    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn take(&mut self, keyword: &str) -> bool {
        let taken = self.rest.first().is_some_and(|token| token.is(keyword));
        if taken {
            self.step();
        }
        taken
    }

    fn take_all(&mut self, keywords: &[&str]) {
        while keywords.iter().any(|keyword| self.take(keyword)) {}
    }

    fn take_mark(&mut self, mark: char) -> bool {
        let taken = self.rest.first() == Some(&Token::Mark(mark));
        if taken {
            self.step();
        }
        taken
    }

    fn if_exists(&mut self) -> bool {
        let taken = self.take("IF");
        self.take_all(&["NOT", "EXISTS"]);
        taken
    }

    /// `WAIT 5`, `NOWAIT`
    fn wait(&mut self) {
        if self.take("WAIT") {
            self.step();
        }
        self.take("NOWAIT");
    }

    fn part(&mut self) -> Option<&'t str> {
        let part = match self.rest.first()? {
            Token::Word(word) => word,
            Token::Quoted(name) | Token::Double(name) => name.as_ref(),
            Token::Text(_) | Token::Escaped | Token::Hex(_) | Token::Bits(_) | Token::Mark(_) => return None,
        };
        self.step();
        Some(part)
    }

    fn name(&mut self) -> Option<Name> {
        let first = if self.take_mark('.') { None } else { Some(self.part()?) };
        let second = if first.is_none() || self.take_mark('.') { Some(self.part()?) } else { None };
        let fold = |name: &str| if self.reading.lower_case { name.to_lowercase() } else { name.to_owned() };
        let (schema, table) = match (first, second) {
            (Some(schema), Some(table)) => (fold(schema), fold(table)),
            (Some(table), None) | (None, Some(table)) => (fold(self.reading.schema), fold(table)),
            (None, None) => return None,
        };
        Some(Name { schema, table })
    }

    fn xa(&mut self) -> Option<Statement> {
        if self.take("START") || self.take("BEGIN") {
            return Some(Statement::XaStart);
        }
        if self.take("COMMIT") {
            return self.xid().map(Statement::XaCommit);
        }
        if self.take("ROLLBACK") {
            return self.xid().map(Statement::XaRollback);
        }
        Some(Statement::Other)
    }

    /// `'gtrid'[,'bqual'[,format]]`, in the one form in which names of XA transactions are compared.
    fn xid(&mut self) -> Option<String> {
        let global = self.bytes()?;
        let branch = if self.take_mark(',') { self.bytes()? } else { String::new() };
        let format = if self.take_mark(',') {
            match self.rest.first()? {
                Token::Word(number) => number.parse().ok()?,
                Token::Hex(digits) => u64::from_str_radix(digits, 16).ok()?,
                Token::Quoted(_) | Token::Double(_) | Token::Text(_) => return None,
                Token::Escaped | Token::Bits(_) | Token::Mark(_) => return None,
            }
        } else {
            1
        };
        Some(format!("X'{global}',X'{branch}',{format}"))
    }

    fn bytes(&mut self) -> Option<String> {
        let hex = match self.rest.first()? {
            Token::Hex(digits) => digits.to_ascii_lowercase(),
            Token::Text(text) | Token::Double(text) => hex(text.as_bytes()),
            Token::Word(_) | Token::Quoted(_) | Token::Escaped | Token::Bits(_) | Token::Mark(_) => {
                return None;
            }
        };
        self.step();
        Some(hex)
    }

    fn drop(&mut self) -> Option<Statement> {
        if self.take("DATABASE") || self.take("SCHEMA") {
            self.if_exists();
            let name = self.part()?;
            let name = if self.reading.lower_case { name.to_lowercase() } else { name.to_owned() };
            return Some(Statement::DropSchema(name));
        }
        if self.take("INDEX") {
            return self.drop_index();
        }
        if !self.take("TABLE") && !self.take("TABLES") {
            return Some(Statement::Other);
        }
        self.if_exists();
        let mut names = vec![self.name()?];
        while self.take_mark(',') {
            names.push(self.name()?);
        }
        Some(Statement::Drop(names))
    }

    /// `CREATE UNIQUE INDEX … ON …`, which may give a table a key.
    fn unique_index(&mut self) -> Option<Statement> {
        while !self.rest.is_empty() && !self.take("ON") {
            self.step();
        }
        self.name().map(|table| Statement::Alter(Alter::of(table)))
    }

    /// `DROP INDEX … ON …`, which may take a table's key.
    fn drop_index(&mut self) -> Option<Statement> {
        self.if_exists();
        self.part()?;
        if !self.take("ON") {
            return None;
        }
        self.name().map(|table| Statement::Alter(Alter::of(table)))
    }

    fn rename(&mut self) -> Option<Statement> {
        self.if_exists();
        let mut renames = Vec::new();
        loop {
            let from = self.name()?;
            self.wait();
            if !self.take("TO") {
                return None;
            }
            renames.push((from, self.name()?));
            if !self.take_mark(',') {
                return Some(Statement::Rename(renames));
            }
        }
    }

    fn alter(&mut self) -> Option<Statement> {
        self.take_all(&["ONLINE", "OFFLINE"]);
        let ignores = self.take("IGNORE");
        self.take_all(&["ONLINE", "OFFLINE"]);
        if !self.take("TABLE") {
            return Some(Statement::Other);
        }
        self.if_exists();
        let table = self.name()?;
        self.wait();
        let mut alter = Alter::of(table);
        alter.keeps_columns = true;
        // Rows that would be twice in a unique index go, values that do not fit become others.
        alter.moves_rows = ignores.then_some("ALTER IGNORE TABLE");
        for clause in columns::clauses(self.rest) {
            columns::clause(Reader { rest: clause, ..*self }, &mut alter);
        }
        Some(Statement::Alter(alter))
    }

    fn create(&mut self) -> Option<Statement> {
        let replaces = self.take("OR") && self.take("REPLACE");
        self.take_all(&["ONLINE", "OFFLINE"]);
        if self.take("UNIQUE") {
            return self.unique_index();
        }
        if self.take("TEMPORARY") || !self.take("TABLE") {
            return Some(Statement::Other);
        }
        let perhaps = self.if_exists();
        let table = self.name()?;
        let opens = match self.rest {
            [.., start, transaction] => start.is("START") && transaction.is("TRANSACTION"),
            [] | [_] => false,
        };
        Some(Statement::Create(Create { table, replaces, perhaps, opens }))
    }

    /// The one table of an UPDATE.
    fn updated(&mut self) -> Option<Name> {
        self.take_all(&["LOW_PRIORITY", "IGNORE"]);
        let name = self.name()?;
        let set = self.rest.iter().position(|token| token.is("SET"))?;
        let between = self.rest.get(..set)?;
        let several = between.iter().any(|token| *token == Token::Mark(',') || token.is("JOIN"));
        (!several).then_some(name)
    }

    /// The one table of a DELETE.
    fn deleted(&mut self) -> Option<Name> {
        self.take_all(&["LOW_PRIORITY", "QUICK", "IGNORE"]);
        if !self.take("FROM") {
            return None;
        }
        let name = self.name()?;
        let several = *self.rest.first().unwrap_or(&Token::Mark(';')) == Token::Mark(',')
            || self.rest.iter().any(|token| token.is("USING"));
        (!several).then_some(name)
    }

    fn loaded(&mut self) -> Option<Name> {
        let into = self.rest.windows(2).position(|pair| match pair {
            [into, table] => into.is("INTO") && table.is("TABLE"),
            _ => false,
        })?;
        self.rest = self.rest.get(into + 2..)?;
        self.name()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests;
