//! Runs a command beside a throw-away Postgres of the version that the tests use, with `URL` among its arguments
//! replaced by the JDBC url of that server. `scripts/capture-debezium` calls it.

#![allow(clippy::unwrap_used, reason = "a failure here ends the capture")]

use std::process::{Command, ExitCode};

use tailwater_integration_tests::servers;

#[tokio::main]
async fn main() -> ExitCode {
    let server = servers::own(servers::any_version(), &[]).await;
    let url = format!("jdbc:postgresql://{}/", server.address());
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().unwrap();
    let arguments = arguments.map(|argument| if argument == "URL" { url.clone() } else { argument });
    let status = tokio::task::block_in_place(|| Command::new(program).args(arguments).status()).unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
