//! Servers of one's own for a while: for `tailwater demo`, for tests and for benchmarks. One is found on the machine (a
//! Postgres that is not there is fetched), runs on loopback or a Unix socket, and is gone without a trace when it is
//! dropped or when this process dies. It keeps no promises about the data: nothing is flushed to disk. Connecting is the
//! caller's work.
//!
//! | code | kind | meaning | cure |
//! |---|---|---|---|
//! | TW-DEMO-001 | Operator | that version of Postgres is not known here | ask for one of 14 to 18 |
//! | TW-DEMO-002 | Transient | Postgres cannot be fetched | let the machine reach Maven Central, or install Postgres |
//! | TW-DEMO-003 | Operator | the fetched programs do not run on this system | install Postgres |
//! | TW-DEMO-004 | Operator | a folder is out of reach for the server's user, or belongs to somebody else | use another folder |
//! | TW-DEMO-005 | Operator | a file or process cannot be handled as needed | the message says what the system answered |
//! | TW-DEMO-006 | Operator | the server does not start, or does not stop | the message ends with the server's own last words |
//! | TW-DEMO-007 | Operator | there is no MySQL or MariaDB on this machine that could be started | install it; in a checkout `scripts/fetch-mysql` |

mod account;
pub mod mysql;
pub mod postgres;
mod process;

pub use account::Account;
pub use mysql::Mysql;
pub use postgres::{Postgres, Step, Wanted, versions};
