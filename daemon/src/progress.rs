//! What a person sees while pipelines run: bars for the first copy on a terminal, plain log lines elsewhere, and
//! a line about the stream now and then. Reads [`Status`] only; draws or logs only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tailwater_core::Position;
use tailwater_core::status::{Phase, Status, Watcher};
use tokio::time::MissedTickBehavior;
use tracing::info;

use crate::logs::{BARS, console_is_terminal};

const REDRAW_EVERY: Duration = Duration::from_millis(200);
const COPY_LINE_EVERY: Duration = Duration::from_secs(5);
const STREAM_LINE_EVERY: Duration = Duration::from_secs(60);

/// Shows the pipelines until it is dropped.
pub(crate) async fn show(watchers: Vec<(String, Watcher)>) {
    let terminal = console_is_terminal();
    let mut views: Vec<View> = watchers.into_iter().map(|(name, watcher)| View::new(name, watcher)).collect();
    let mut tick = tokio::time::interval(REDRAW_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for view in &mut views {
            view.update(terminal);
        }
    }
}

/// One pipeline.
struct View {
    name: String,
    watcher: Watcher,
    copy: Option<CopyView>,
    line_at: Instant,
    events_at_line: u64,
}

struct CopyView {
    started: Instant,
    /// Rows that an earlier process had copied: they say nothing about the rate.
    rows_before: u64,
    bars: HashMap<String, ProgressBar>,
}

impl View {
    fn new(name: String, watcher: Watcher) -> Self {
        Self { name, watcher, copy: None, line_at: Instant::now(), events_at_line: 0 }
    }

    fn update(&mut self, terminal: bool) {
        let status = self.watcher.borrow_and_update().clone();
        match status.phase {
            Phase::Copying => self.copying(&status.position, terminal),
            Phase::Streaming => {
                self.copy_ended();
                self.streaming(&status);
            }
            Phase::Starting | Phase::Stopped => self.copy_ended(),
        }
    }

    fn copying(&mut self, position: &Position, terminal: bool) {
        if !position.copying() {
            return;
        }
        let totals = CopyTotals::of(position);
        let copy = self.copy.get_or_insert_with(|| CopyView {
            started: Instant::now(),
            rows_before: totals.rows,
            bars: HashMap::new(),
        });
        if terminal {
            draw(&mut copy.bars, &self.name, position);
        } else if self.line_at.elapsed() >= COPY_LINE_EVERY {
            self.line_at = Instant::now();
            let rate = totals.rate(copy.rows_before, copy.started.elapsed());
            info!(pipeline = self.name, "copying: {}", totals.describe(rate));
        }
    }

    fn copy_ended(&mut self) {
        for (_, bar) in self.copy.take().into_iter().flat_map(|copy| copy.bars) {
            bar.finish_and_clear();
        }
    }

    fn streaming(&mut self, status: &Status) {
        if self.line_at.elapsed() < STREAM_LINE_EVERY {
            return;
        }
        self.line_at = Instant::now();
        let changes = status.events.saturating_sub(self.events_at_line);
        self.events_at_line = status.events;
        info!(
            pipeline = self.name,
            position = %status.position,
            changes,
            behind_bytes = status.behind_bytes,
            "following"
        );
    }
}

/// One bar per table that is being copied or waits for it.
fn draw(bars: &mut HashMap<String, ProgressBar>, pipeline: &str, position: &Position) {
    for (table, progress) in &position.copies {
        let bar = bars.entry(table.clone()).or_insert_with(|| {
            let bar = BARS.add(ProgressBar::new(progress.rows_estimated).with_style(copy_style()));
            bar.set_message(format!("{pipeline} {table}"));
            bar.with_position(progress.rows)
        });
        // Estimates come from statistics: a bar never claims to be beyond its end.
        bar.set_length(progress.rows_estimated.max(progress.rows));
        bar.set_position(progress.rows);
        if progress.done && !bar.is_finished() {
            bar.set_length(progress.rows);
            bar.finish();
        }
    }
}

/// The look of every bar that counts rows.
pub(crate) fn copy_style() -> ProgressStyle {
    ProgressStyle::with_template(
        "  {msg:32!} {bar:30} {human_pos:>11}/{human_len} rows {per_sec:>14} {eta:>4} left",
    )
    .unwrap_or_else(|_template| ProgressStyle::default_bar())
}

/// The first copy as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyTotals {
    pub(crate) rows: u64,
    pub(crate) rows_estimated: u64,
    pub(crate) tables: usize,
    pub(crate) tables_done: usize,
}

impl CopyTotals {
    pub(crate) fn of(position: &Position) -> Self {
        let mut totals = Self { rows: 0, rows_estimated: 0, tables: position.copies.len(), tables_done: 0 };
        for progress in position.copies.values() {
            totals.rows += progress.rows;
            let expected =
                if progress.done { progress.rows } else { progress.rows_estimated.max(progress.rows) };
            totals.rows_estimated += expected;
            totals.tables_done += usize::from(progress.done);
        }
        totals
    }

    /// Rows per second since `rows_before`.
    pub(crate) fn rate(&self, rows_before: u64, elapsed: Duration) -> u64 {
        let millis = elapsed.as_millis().max(1);
        let copied = u128::from(self.rows.saturating_sub(rows_before));
        u64::try_from(copied * 1000 / millis).unwrap_or(u64::MAX)
    }

    /// One line: how much, how fast, how long still.
    pub(crate) fn describe(&self, rate: u64) -> String {
        let left = self.rows_estimated.saturating_sub(self.rows);
        let time_left = match left.checked_div(rate) {
            Some(seconds) => format!("about {seconds} s left"),
            None => "time left unknown".to_owned(),
        };
        // Tables that were never analysed have no estimate.
        let of = match self.rows_estimated {
            0 => String::new(),
            estimated => format!(" of about {}", HumanCount(estimated)),
        };
        format!(
            "{}{of} rows, {} of {} tables, {} rows/s, {time_left}",
            HumanCount(self.rows),
            self.tables_done,
            self.tables,
            HumanCount(rate),
        )
    }
}

#[cfg(test)]
mod tests {
    use tailwater_core::CopyProgress;

    use super::*;

    #[test]
    fn adds_up_tables_and_never_trusts_an_estimate_below_the_rows() {
        let mut position = Position::default();
        let mut table = |name: &str, rows, rows_estimated, done| {
            let progress = CopyProgress { rows, rows_estimated, done, resume: None };
            position.copies.insert(name.to_owned(), progress);
        };
        table("public.a", 5_000, 9_000, true);
        table("public.b", 700, 600, false);
        table("public.c", 0, 10_000, false);
        let totals = CopyTotals::of(&position);
        assert_eq!(totals, CopyTotals { rows: 5_700, rows_estimated: 15_700, tables: 3, tables_done: 1 });
        let rate = totals.rate(700, Duration::from_secs(5));
        assert_eq!(
            totals.describe(rate),
            "5,700 of about 15,700 rows, 1 of 3 tables, 1,000 rows/s, about 10 s left"
        );
        assert!(totals.describe(0).ends_with("time left unknown"));
    }
}
