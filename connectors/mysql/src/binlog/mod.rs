//! The binary log's events, decoded in place. Pure: bytes in, borrowed views out. Nothing here allocates per row or value.
//!
//! `header` checks one event and `decode` takes it apart into an `event`; `payload` walks those inside of a compressed
//! transaction, `compressed` inflates what MariaDB compressed; `table_map` says what a table's columns are; `rows`
//! walks the images of a rows event; `value` writes one value as text, in the form of its
//! [`Type`](tailwater_core::Type).

pub mod charset;
pub mod columns;
pub mod compressed;
mod decimal;
pub mod decode;
mod decode_gtid;
mod decode_rows;
pub mod event;
pub mod header;
pub mod json;
pub mod json_diff;
pub mod payload;
pub mod plan;
mod reader;
pub mod rows;
pub mod table_map;
pub(crate) mod temporal;
pub mod value;
