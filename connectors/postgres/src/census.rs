//! Every table of the database at one moment, and what a row of such readings proves: which tables the stream has
//! carried since they were created, and which are wanted without being published.
//!
//! A table is carried from its birth where an earlier reading of this stream lacks it, the publication held all tables
//! then and is still the same one, its rows lie in files that were never rewritten (an unlogged table that became a
//! logged one was), and none of its rows went by under a name that is not wanted or as part of another table. All that
//! was there when the stream began is unproven: it may have been left out, or out of the log, before.

use std::collections::{BTreeMap, BTreeSet};

use tailwater_core::Result;
use tailwater_core::error::Doing as _;
use tracing::warn;

use crate::answer::Fields;
use crate::assemble::Assembler;
use crate::catalog::{Part, TableRow};
use crate::config::Config;
use crate::connection::Connection;
use crate::error;
use crate::quote;
use crate::setup;

/// What one reading shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The publication, where it holds all tables: as [`TableRow::all_tables`] names it.
    all_tables: Option<String>,
    /// All tables, wanted or not.
    pub(crate) tables: BTreeSet<u32>,
    /// Names, as SQL, of those that `tables` wants and the publication lacks.
    unpublished: BTreeMap<u32, String>,
}

/// A table and the partitioned tables above it. `pg_partition_ancestors` is asked of partitions only.
const TABLES: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'r', c.relpersistence = 'p',
           CASE WHEN c.relispartition THEN
               (SELECT string_agg(a.relid::oid::text, ',') FROM pg_partition_ancestors(c.oid) a WHERE a.relid <> c.oid)
           END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'";

/// Reads it. `parts` are the published tables that are wanted.
///
/// # Errors
/// Those of the connection.
pub(crate) async fn read(
    connection: &mut Connection,
    config: &Config,
    parts: &BTreeMap<u32, Part>,
) -> Result<Census> {
    let sql = format!(
        "SELECT p.oid || ' ' || p.xmin FROM pg_publication p WHERE p.pubname = {} AND p.puballtables AND p.pubinsert",
        quote::literal(&config.publication)
    );
    let all_tables = connection.query(&sql).await.doing(|| "read the publication")?;
    let all_tables = all_tables.into_iter().flatten().flatten().next();
    let mut census = Census { all_tables, ..Census::default() };
    let (mut wanted, mut above) = (Vec::new(), BTreeMap::new());
    for row in &connection.query(TABLES).await.doing(|| "list the tables")? {
        let row = Fields(row);
        let oid: u32 = row.number(0)?;
        census.tables.insert(oid);
        above.insert(oid, row.numbers(5)?);
        let (schema, name) = (row.text(1)?, row.text(2)?);
        if config.tables.matches(schema, name) {
            wanted.push((oid, row.flag(3)? && row.flag(4)?, quote::qualified(schema, name)));
        }
    }
    census.unpublished = unpublished(&wanted, &above, parts);
    Ok(census)
}

/// Of the wanted tables (oid, whether it has rows of its own in the log, name) those of which nothing arrives. What is
/// below a wanted table arrives with that; one that has only partitions is there where they are.
fn unpublished(
    wanted: &[(u32, bool, String)],
    above: &BTreeMap<u32, Vec<u32>>,
    parts: &BTreeMap<u32, Part>,
) -> BTreeMap<u32, String> {
    let over = |oid: &u32| above.get(oid).map(Vec::as_slice).unwrap_or_default();
    let oids: BTreeSet<u32> = wanted.iter().map(|(oid, ..)| *oid).collect();
    let top = wanted.iter().filter(|(oid, ..)| !over(oid).iter().any(|root| oids.contains(root)));
    let lacking = top.filter(|(oid, has_rows, _)| {
        let below = || above.iter().filter(|(_, roots)| roots.contains(oid)).map(|(leaf, _)| leaf);
        let has_rows = *has_rows || below().next().is_some();
        has_rows && !parts.contains_key(oid) && !below().any(|leaf| parts.contains_key(leaf))
    });
    lacking.map(|(oid, _, name)| (*oid, name.clone())).collect()
}

/// What the readings of one stream have shown so far.
#[derive(Debug, Default)]
pub(crate) struct Register {
    all_tables: Option<String>,
    /// The tables of the last reading, where there was one.
    tables: Option<BTreeSet<u32>>,
    /// Those of them that an earlier reading lacks.
    born: BTreeSet<u32>,
    /// Unpublished tables that have been told of.
    told: BTreeSet<u32>,
}

impl Register {
    /// Takes in another reading.
    pub(crate) fn read(&mut self, census: &Census, config: &Config) {
        match &self.tables {
            Some(before) if self.all_tables == census.all_tables => {
                self.born.extend(census.tables.difference(before));
                self.born.retain(|oid| census.tables.contains(oid));
            }
            Some(_) | None => self.born.clear(),
        }
        self.all_tables.clone_from(&census.all_tables);
        self.tables = Some(census.tables.clone());
        self.tell(census, config);
    }

    /// Whether the stream has carried every row of the table, as the catalogue has it now, that there ever was.
    pub(crate) fn proves_whole(&self, row: &TableRow, assembler: &Assembler) -> bool {
        if let Some(known) = assembler.followed(row.oid) {
            return known.streamed_from_birth;
        }
        let newer = |oid: &u32| {
            self.born.contains(oid) || self.tables.as_ref().is_some_and(|tables| !tables.contains(oid))
        };
        let held_all = self.all_tables.as_ref().is_some_and(|ours| row.all_tables.contains(ours));
        let heaps_newer = row
            .heaps
            .iter()
            .all(|heap| newer(heap) && (*heap == row.oid || assembler.shape(*heap).is_none()));
        held_all && newer(&row.oid) && heaps_newer && !row.rewritten && !assembler.has_passed_over(row.oid)
    }

    fn tell(&mut self, census: &Census, config: &Config) {
        for (oid, name) in &census.unpublished {
            if !self.told.insert(*oid) {
                continue;
            }
            let afresh = "`tailwater drop`, and start with an empty target";
            let remedy = match config.publication_is_given {
                true => format!(
                    "{}; then {afresh}",
                    setup::add_sql(&config.publication, std::slice::from_ref(name))
                ),
                false => format!("{afresh}: the publication is made anew with it"),
            };
            warn!(
                "{name} is wanted by `tables`, but publication {} lacks it: nothing of it arrives [{}]; to have it: {remedy}",
                config.publication,
                error::TABLES_LEFT_OUT,
            );
        }
        self.told.retain(|oid| census.unpublished.contains_key(oid));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tailwater_core::{Batch, Table};

    use super::*;
    use crate::kinds::Types;
    use crate::lsn::Lsn;
    use crate::pgoutput::ReplicaIdentity;
    use tailwater_core::pattern::Patterns;

    fn config() -> Config {
        let url = "postgres://u@localhost/d".parse().unwrap();
        Config::new("shop", url, Patterns::parse(["*.*"]).unwrap())
    }

    fn census(publication: Option<&str>, tables: &[u32]) -> Census {
        let all_tables = publication.map(str::to_owned);
        Census { all_tables, tables: tables.iter().copied().collect(), unpublished: BTreeMap::new() }
    }

    fn row(oid: u32, heaps: &[u32], publication: &str) -> TableRow {
        TableRow {
            oid,
            schema: "public".into(),
            name: "t".into(),
            partitioned: heaps != [oid],
            identity: ReplicaIdentity::Default,
            primary_key: Vec::new(),
            identity_index: Vec::new(),
            declared_key: Vec::new(),
            rewritten: false,
            heaps: heaps.to_vec(),
            all_tables: vec!["1 7".into(), publication.into()],
            listed: false,
            columns: Vec::new(),
            types: Arc::new(Types::default()),
        }
    }

    #[test]
    fn a_table_is_whole_only_where_an_earlier_reading_lacks_it() {
        let (mut register, mut assembler) = (Register::default(), Assembler::new(Lsn(1), 0));
        let proves = |register: &Register, assembler: &Assembler, oid, heaps: &[u32]| {
            register.proves_whole(&row(oid, heaps, "5 100"), assembler)
        };
        assert!(!proves(&register, &assembler, 9, &[9]), "nothing was read yet");
        register.read(&census(Some("5 100"), &[1, 2]), &config());
        assert!(proves(&register, &assembler, 9, &[9]));
        assert!(!proves(&register, &assembler, 1, &[1]));
        assert!(!proves(&register, &assembler, 9, &[2]), "an old table was attached to it");
        assert!(!register.proves_whole(&row(9, &[9], "5 101"), &assembler), "the publication was altered");
        let rewritten = TableRow { rewritten: true, ..row(9, &[9], "5 100") };
        assert!(!register.proves_whole(&rewritten, &assembler));
        // Still so when it has been read.
        register.read(&census(Some("5 100"), &[1, 2, 9, 10]), &config());
        register.read(&census(Some("5 100"), &[1, 2, 9, 10]), &config());
        assert!(proves(&register, &assembler, 9, &[10]) && !proves(&register, &assembler, 1, &[1]));
        // A partition of which rows came before is no part from the beginning.
        let table = Table {
            id: 10,
            schema: "public".into(),
            name: "leaf".into(),
            columns: Vec::new(),
            key: Vec::new(),
            declared_key: Vec::new(),
            streamed_from_birth: true,
        };
        assembler.reshape(&Arc::new(table), &mut Batch::default()).unwrap();
        assert!(!proves(&register, &assembler, 9, &[10]));
        // The publication was made anew: nobody knows what it was in between.
        register.read(&census(Some("6 102"), &[1, 2, 9, 11]), &config());
        assert!(!register.proves_whole(&row(11, &[11], "6 102"), &assembler));
        assert!(register.proves_whole(&row(12, &[12], "6 102"), &assembler));
        register.read(&census(None, &[1, 2]), &config());
        assert!(!register.proves_whole(&row(12, &[12], "6 102"), &assembler));
    }

    #[test]
    fn wanted_tables_of_which_nothing_arrives() {
        let check = |wanted: &[(u32, bool)], above: &[(u32, &[u32])], published: &[u32], expected: &[u32]| {
            let wanted: Vec<_> =
                wanted.iter().map(|&(oid, has_rows)| (oid, has_rows, oid.to_string())).collect();
            let above = above.iter().map(|&(oid, roots)| (oid, roots.to_vec())).collect();
            let part = || Part { columns: Vec::new(), row_filter: None };
            let parts = published.iter().map(|&oid| (oid, part())).collect();
            let found: Vec<u32> = unpublished(&wanted, &above, &parts).into_keys().collect();
            assert_eq!(found, expected, "{wanted:?} {above:?} {published:?}");
        };
        check(&[(1, true), (2, true)], &[(1, &[]), (2, &[])], &[1], &[2]);
        // Unlogged, or partitioned without a partition.
        check(&[(1, false)], &[(1, &[])], &[], &[]);
        // Root 1 with leaf 2: published as one, by the leaf, not at all; and the leaf alone wanted.
        let tree: &[(u32, &[u32])] = &[(1, &[]), (2, &[1])];
        check(&[(1, false), (2, true)], tree, &[1], &[]);
        check(&[(1, false), (2, true)], tree, &[2], &[]);
        check(&[(1, false), (2, true)], tree, &[], &[1]);
        check(&[(2, true)], tree, &[], &[2]);
    }
}
