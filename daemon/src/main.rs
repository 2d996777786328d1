//! The binary `tailwater`. Everything lives in the library beside it, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tailwater::cli::main()
}
