//! What the demo shows: bars and live lines on a terminal, plain lines elsewhere. Draws only; decides nothing.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::cli::say;
use crate::logs::{BARS, console_is_terminal};
use crate::progress::{CopyTotals, copy_style};

const COPYING: &str = "first copy";
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(2);

/// The state of the demo at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Since traffic began.
    pub(super) elapsed: Duration,
    /// How long traffic runs.
    pub(super) length: Duration,
    /// The first copy, while it is under way, and its rows per second.
    pub(super) copy: Option<(CopyTotals, u64)>,
    /// What the target holds.
    pub(super) position: String,
    /// Changes per second at the source, and into the target.
    pub(super) rates: (u64, u64),
    /// What the target lacks of the log, and the age of the oldest change in it.
    pub(super) lag: Option<(String, Duration)>,
    /// Table, rows at the source, rows in the target.
    pub(super) tables: Vec<(&'static str, Option<u64>, Option<u64>)>,
}

/// Where it is shown.
pub(super) enum Display {
    Terminal(Lines),
    Plain { line_at: Option<Instant> },
}

/// The live lines at the bottom of a terminal.
pub(super) struct Lines {
    source: &'static str,
    work: ProgressBar,
    stream: ProgressBar,
    tables: Vec<ProgressBar>,
    time: ProgressBar,
}

impl Display {
    /// `source` is how a person calls it.
    pub(super) fn new(source: &'static str) -> Self {
        if !console_is_terminal() {
            return Self::Plain { line_at: None };
        }
        let line = || BARS.add(ProgressBar::no_length().with_style(text_style()));
        let work = BARS.add(ProgressBar::new(0).with_style(fill_style()));
        let (stream, tables) = (line(), super::shop::TABLES.iter().map(|_| line()).collect());
        let time = BARS.add(ProgressBar::new(0).with_style(time_style()));
        Self::Terminal(Lines { source, work, stream, tables, time })
    }

    /// Something worth a line of its own that stays.
    pub(super) fn note(&self, text: &str) {
        match self {
            Self::Terminal(_) => BARS.suspend(|| say(text)),
            Self::Plain { .. } => say(text),
        }
    }

    /// Work with a known end before traffic begins.
    pub(super) fn work(&self, what: &str, done: u64, of: u64) {
        if let Self::Terminal(lines) = self {
            lines.work.set_length(of);
            lines.work.set_position(done);
            lines.work.set_message(what.to_owned());
        }
    }

    /// The latest state.
    pub(super) fn show(&mut self, view: &View) {
        match self {
            Self::Terminal(lines) => lines.show(view),
            Self::Plain { line_at } => {
                if line_at.is_none_or(|at| at.elapsed() >= PLAIN_LINE_EVERY) {
                    *line_at = Some(Instant::now());
                    say(&format!(
                        "{:>3} s  {}\n       {}",
                        view.elapsed.as_secs(),
                        stream(view),
                        tables(view)
                    ));
                }
            }
        }
    }

    /// Takes the live lines away.
    pub(super) fn end(&self) {
        if let Self::Terminal(lines) = self {
            [&lines.work, &lines.stream, &lines.time]
                .into_iter()
                .chain(&lines.tables)
                .for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl Lines {
    fn copying(&self, totals: &CopyTotals) {
        if self.work.message() != COPYING {
            self.work.reset();
            self.work.set_style(copy_style());
            self.work.set_message(COPYING);
        }
        self.work.set_length(totals.rows_estimated);
        self.work.set_position(totals.rows);
    }

    fn show(&self, view: &View) {
        match view.copy {
            Some((totals, _)) => self.copying(&totals),
            // Before its first position there is nothing to say about the copy yet.
            None if view.position.is_empty() => {}
            None => self.work.finish_and_clear(),
        }
        self.stream.set_message(stream(view));
        for (line, (table, source, target)) in self.tables.iter().zip(&view.tables) {
            line.set_message(format!(
                "  {table:<12} {:>12} in {} {:>12} in DuckDB",
                count(*source),
                self.source,
                count(*target)
            ));
        }
        self.time.set_length(view.length.as_secs());
        self.time.set_position(view.elapsed.min(view.length).as_secs());
    }
}

fn stream(view: &View) -> String {
    if let Some((totals, rate)) = view.copy {
        return format!("copying: {}", totals.describe(rate));
    }
    if view.position.is_empty() {
        return "starting".to_owned();
    }
    let lag = match &view.lag {
        Some((distance, age)) => format!("lag {:.1} s ({distance})", age.as_secs_f64()),
        None => "lag unknown".to_owned(),
    };
    let (source, target) = view.rates;
    let (source, target, position) = (HumanCount(source), HumanCount(target), &view.position);
    format!("following: {source} changes/s at the source, {target} arriving, {lag}, position {position}")
}

/// Rows at the source and in the target, on one line.
fn tables(view: &View) -> String {
    let table = |(table, source, target): &(&str, Option<u64>, Option<u64>)| {
        format!("{table} {}/{}", count(*source), count(*target))
    };
    view.tables.iter().map(table).collect::<Vec<_>>().join("  ")
}

fn count(rows: Option<u64>) -> String {
    rows.map_or_else(|| "-".to_owned(), |rows| HumanCount(rows).to_string())
}

fn text_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_template| ProgressStyle::default_bar())
}

fn fill_style() -> ProgressStyle {
    let template = "  {msg:32!} {bar:30} {pos:>11} of {len} tables";
    ProgressStyle::with_template(template).unwrap_or_else(|_template| ProgressStyle::default_bar())
}

fn time_style() -> ProgressStyle {
    let template = "  traffic runs                     {bar:30} {pos:>11} of {len} s";
    ProgressStyle::with_template(template).unwrap_or_else(|_template| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_plain_line_holds_all_that_matters() {
        let mut view = View {
            position: "0/16B3748".into(),
            rates: (1_843, 1_840),
            lag: Some(("12.06 KiB".into(), Duration::from_millis(120))),
            tables: vec![("customers", Some(50_000), Some(49_000)), ("carts", Some(7), None)],
            ..View::default()
        };
        expect!["following: 1,843 changes/s at the source, 1,840 arriving, lag 0.1 s (12.06 KiB), position 0/16B3748"]
            .assert_eq(&stream(&view));
        expect!["customers 50,000/49,000  carts 7/-"].assert_eq(&tables(&view));
        view.copy = Some((CopyTotals { rows: 5, rows_estimated: 10, tables: 2, tables_done: 1 }, 1));
        expect!["copying: 5 of about 10 rows, 1 of 2 tables, 1 rows/s, about 5 s left"]
            .assert_eq(&stream(&view));
    }
}
