//! How a table is cut into pieces that several sessions copy at a time. Pure.

use crate::catalog::Published;
use crate::quote;

/// One `COPY`: some pages of one heap, into one target table.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// Number of the table in the copy.
    pub(crate) table: usize,
    /// What reads it.
    pub(crate) sql: String,
    /// What to call it.
    pub(crate) what: String,
}

/// Cuts a table into ranges of pages. The last one of each heap is open: it may have grown.
pub(crate) fn cut(index: usize, published: &Published, range_bytes: u64) -> Vec<Range> {
    let pages_max = (range_bytes / 8192).max(1);
    let columns: Vec<String> =
        published.table.columns.iter().map(|column| quote::identifier(&column.name)).collect();
    let columns = columns.join(", ");
    let mut ranges = Vec::new();
    for heap in &published.heaps {
        let mut first = 0;
        loop {
            let next = first + pages_max;
            let last = next >= heap.pages;
            let mut conditions = Vec::new();
            if first > 0 {
                conditions.push(format!("ctid >= '({first},0)'::tid"));
            }
            if !last {
                conditions.push(format!("ctid < '({next},0)'::tid"));
            }
            conditions.extend(published.row_filter.iter().map(|filter| format!("({filter})")));
            let filter = if conditions.is_empty() {
                String::new()
            } else {
                format!(" WHERE {}", conditions.join(" AND "))
            };
            let sql = format!("COPY (SELECT {columns} FROM ONLY {}{filter}) TO STDOUT", heap.sql_name);
            ranges.push(Range { table: index, sql, what: format!("{} from page {first}", heap.sql_name) });
            if last {
                break;
            }
            first = next;
        }
    }
    ranges
}
