//! `tailwater drop`: removes what a pipeline made at its source, after asking. The target is never touched.

use std::io::{IsTerminal as _, Write as _};

use tailwater_core::{Error, Result};

use crate::cli::{Exit, say};
use crate::config::{Pipeline, Source};
use crate::kinds;

/// Asks, unless `yes`, and removes slot and publication.
///
/// # Errors
/// `Operator` where the pipeline runs, nobody can be asked, or the source refuses.
pub(crate) async fn drop(pipeline: &Pipeline, yes: bool) -> Result<Exit> {
    // The server itself refuses only while the pipeline is connected.
    if kinds::runs(pipeline) {
        let message = format!("the pipeline {} runs", pipeline.name);
        return Err(Error::operator("TW-CLI-008", message).remedy("stop it first"));
    }
    let what = describe(pipeline);
    if !yes && !ask(&format!("Remove {what}? The target's data stays. [y/N] "))? {
        say("nothing removed");
        return Ok(Exit::Success);
    }
    let removed = kinds::drop(pipeline).await?;
    if removed.is_empty() {
        say(&format!("nothing to remove of {what}"));
    }
    removed.iter().for_each(|thing| say(&format!("removed {thing}")));
    Ok(Exit::Success)
}

fn describe(pipeline: &Pipeline) -> String {
    match &pipeline.source {
        Source::Postgres(config) => {
            let hosts: Vec<String> = config.url.hosts.iter().map(ToString::to_string).collect();
            let publication = if config.publication_is_given {
                String::new()
            } else {
                format!(" and the publication {}", config.publication)
            };
            format!("the slot {}{publication} of {}/{}", config.slot, hosts.join(","), config.url.database)
        }
        Source::Mysql(config) => format!("what the pipeline made at {}", config.url.host),
    }
}

fn ask(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(
            Error::operator("TW-CLI-004", "nobody can be asked: this is no terminal").remedy("add --yes")
        );
    }
    let mut answer = String::new();
    let mut console = std::io::stderr().lock();
    write!(console, "{question}")
        .and_then(|()| console.flush())
        .and_then(|()| std::io::stdin().read_line(&mut answer))
        .map_err(|error| Error::operator("TW-CLI-004", format!("ask: {error}")).remedy("add --yes"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
