//! The MySQL and MariaDB sources: the binary log, and the first copy.

pub mod assemble;
pub mod binlog;
pub mod ddl;
pub mod error;
mod followed;
pub mod gtid;
mod open;
mod pending;
pub mod place;
pub mod shapes;
