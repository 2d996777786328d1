//! A connection that stays: the servers' own client, fed statement by statement.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command};

/// A client that waits for statements. Dropping it ends the connection, and with it an open transaction.
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Session {
    pub(super) fn open(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output, asked: 0 }
    }

    /// Runs statements, each ended by a semicolon, and returns the lines they print once all have been run.
    ///
    /// # Panics
    /// Where one fails; the connection has ended then.
    pub fn run(&mut self, sql: &str) -> Vec<String> {
        self.asked += 1;
        let mark = format!("-- end of {}", self.asked);
        let input = self.input.as_mut().unwrap();
        // Where the client has ended, its error is read below.
        input.write_all(format!("{sql}\n;SELECT '{mark}';\n").as_bytes()).and_then(|()| input.flush()).ok();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                let mut error = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
                panic!("{}\n{sql}", error.trim());
            }
            let line = line.trim_end_matches('\n');
            if line == mark {
                return lines;
            }
            lines.push(line.to_owned());
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may wait for a lock, or for a server that is halted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
