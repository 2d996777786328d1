//! The MySQL and MariaDB sources: the binary log, and the first copy.

pub mod binlog;
pub mod ddl;
pub mod error;
mod pending;
pub mod shapes;
