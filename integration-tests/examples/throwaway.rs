//! Runs a command beside a throw-away server of the version that the tests use, with `URL` among its arguments replaced
//! by the JDBC url of that server. The first argument says whose it is: `postgres`, `mysql` or `mariadb`.
//! `scripts/capture-debezium` calls it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here ends the capture")]

use std::process::{Command, ExitCode};

use tailwater_integration_tests::mysql::{Installation, Server};
use tailwater_integration_tests::servers;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().unwrap().as_str() {
        "postgres" => {
            let server = servers::own(servers::any_version(), &[]).await;
            run(&format!("jdbc:postgresql://{}/", server.address()), arguments)
        }
        "mysql" => {
            let server = Server::start(Installation::mysql97(), &[]);
            run(&format!("jdbc:mysql://{}/?sslMode=DISABLED", server.address()), arguments)
        }
        "mariadb" => {
            let server = Server::start(Installation::mariadb118(), &[]);
            run(&format!("jdbc:mariadb://{}/", server.address()), arguments)
        }
        other => panic!("there is no {other}"),
    }
}

fn run(url: &str, mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let program = arguments.next().unwrap();
    let arguments = arguments.map(|argument| if argument == "URL" { url.to_owned() } else { argument });
    let status = tokio::task::block_in_place(|| Command::new(program).args(arguments).status()).unwrap();
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
