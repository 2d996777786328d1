//! `tailwater position`: what the sink holds and how far behind the source that is. Reads only.

use std::fmt::Write as _;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use tailwater_core::status::Behind;
use tailwater_core::{Error, Position, Result};

use crate::cli::{Exit, say};
use crate::config::Pipeline;
use crate::kinds;

/// The answer, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report<'a> {
    pipeline: &'a str,
    /// `null` where the target has never been written to.
    position: Option<Position>,
    /// Tables that are written no more, with the reason.
    stopped: Vec<(String, String)>,
    /// Log the source has beyond the position; `null` where it does not answer.
    behind_bytes: Option<u64>,
    /// How long ago the source was as the target is now.
    behind_seconds: Option<f64>,
    /// Why the source does not answer.
    source_error: Option<String>,
}

/// Prints the position of one pipeline.
///
/// # Errors
/// Where the sink cannot be read. A source that does not answer is part of the answer.
pub(crate) async fn position(pipeline: &Pipeline, json: bool) -> Result<Exit> {
    let held = kinds::position(pipeline)?;
    let behind = match &held {
        Some(held) => kinds::behind(pipeline, &held.position).await.map(Some),
        None => Ok(None),
    };
    let (behind, source_error) = match behind {
        Ok(behind) => (behind, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let age = held.as_ref().and_then(|held| held.age).map(|age| age.as_secs_f64());
    let stopped = match &held {
        Some(held) => kinds::stopped_tables(pipeline, &held.position)?,
        None => Vec::new(),
    };
    let report = Report {
        pipeline: &pipeline.name,
        stopped,
        position: held.map(|held| held.position),
        behind_bytes: behind.map(|behind| behind.bytes),
        behind_seconds: behind.and_then(|behind| seconds(behind, age)),
        source_error,
    };
    if json {
        say(&serde_json::to_string(&report)
            .map_err(|error| Error::data("TW-CLI-003", format!("print the position as JSON: {error}")))?);
    } else {
        say(describe(&report).trim_end());
    }
    Ok(Exit::Success)
}

/// The server's own measure where it has one. Otherwise the target shows the source as it was when the position was
/// stored, because a pipeline that runs stores a new one at least every second in which the log grows.
fn seconds(behind: Behind, age: Option<f64>) -> Option<f64> {
    if behind.bytes == 0 { Some(0.0) } else { behind.seconds.or(age) }
}

fn describe(report: &Report<'_>) -> String {
    let mut text = format!("pipeline  {}\n", report.pipeline);
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        writeln!(text, "{name:<9} {value}").unwrap_or_default();
    };
    match &report.position {
        None => line("position", "none: the target has never been written to"),
        Some(position) => {
            line("source", &position.source);
            line("position", &position.to_string());
            for (table, copy) in &position.copies {
                let state = if copy.done { "done" } else { "under way" };
                let (rows, estimated) = (HumanCount(copy.rows), HumanCount(copy.rows_estimated));
                // A table that was never analysed has no estimate, and an estimate may be too low.
                let of = if copy.done || copy.rows_estimated < copy.rows.max(1) {
                    String::new()
                } else {
                    format!(" of about {estimated}")
                };
                line("copy", &format!("{table} {state}, {rows}{of} rows"));
            }
        }
    }
    for (table, reason) in &report.stopped {
        line("stopped", &format!("{table}: {reason}"));
    }
    match (report.behind_bytes, report.behind_seconds) {
        (Some(0), _) => line("behind", "nothing"),
        (Some(bytes), Some(seconds)) => line("behind", &format!("{}, {seconds:.1} s", HumanBytes(bytes))),
        (Some(bytes), None) => line("behind", &HumanBytes(bytes).to_string()),
        (None, _) => {}
    }
    if let Some(error) = &report.source_error {
        line("behind", &format!("unknown, the source does not answer: {error}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tailwater_core::CopyProgress;

    use super::*;

    #[test]
    fn says_what_the_sink_holds_and_what_it_lacks() {
        let mut position = Position {
            source: "postgres 7/1/shop".into(),
            stream: "0/16B3748".into(),
            ..Position::default()
        };
        let copy = CopyProgress { rows: 12_000, rows_estimated: 40_000, ..CopyProgress::default() };
        position.copies.insert("public.orders".into(), copy);
        let done = CopyProgress { rows: 100, done: true, ..CopyProgress::default() };
        position.copies.insert("public.customers".into(), done);
        position.copies.insert("public.never_analysed".into(), CopyProgress::default());
        let mut report = Report {
            pipeline: "shop",
            position: Some(position),
            stopped: vec![("public.late".into(), "it was published after the first copy".into())],
            behind_bytes: Some(2048),
            behind_seconds: Some(0.25),
            source_error: None,
        };
        expect![[r#"
            pipeline  shop
            source    postgres 7/1/shop
            position  0/16B3748
            copy      public.customers done, 100 rows
            copy      public.never_analysed under way, 0 rows
            copy      public.orders under way, 12,000 of about 40,000 rows
            stopped   public.late: it was published after the first copy
            behind    2.00 KiB, 0.2 s
        "#]]
        .assert_eq(&describe(&report));
        (report.position, report.stopped) = (None, Vec::new());
        (report.behind_bytes, report.source_error) = (None, Some("no route".into()));
        expect![[r#"
            pipeline  shop
            position  none: the target has never been written to
            behind    unknown, the source does not answer: no route
        "#]]
        .assert_eq(&describe(&report));
    }
}
