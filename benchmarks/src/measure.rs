//! What a child process costs: wall and CPU seconds, peak memory, as the kernel accounts them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// What one run of one command cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From start to exit.
    pub(crate) wall_s: f64,
    /// User and system time of the process and of the children it waited for.
    pub(crate) cpu_s: f64,
    /// The largest resident set, MB of 10⁶ bytes. Read every 10 ms, so the last 10 ms are missing.
    pub(crate) peak_mb: f64,
}

/// The kernel counts CPU in these per second.
const TICKS_PER_S: f64 = 100.0;

/// Runs a command to its end, alone.
pub(crate) fn run(mut command: Command) -> Outcome<Cost> {
    let before = children_cpu_s()?;
    let started = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).spawn().map_err(|error| format!("start {command:?}: {error}"))?;
    let mut peak_mb: f64 = 0.0;
    let status = loop {
        peak_mb = peak_mb.max(peak_of(child.id()));
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let wall_s = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{command:?} ended with {status}"));
    }
    Ok(Cost { wall_s, cpu_s: children_cpu_s()? - before, peak_mb })
}

/// CPU seconds of the children this process has waited for.
fn children_cpu_s() -> Outcome<f64> {
    let fields = stat_fields("self")?;
    Ok((fields(13)? + fields(14)?) / TICKS_PER_S)
}

/// CPU seconds a running process has used.
pub(crate) fn cpu_s(pid: u32) -> Outcome<f64> {
    let fields = stat_fields(&pid.to_string())?;
    Ok((fields(11)? + fields(12)?) / TICKS_PER_S)
}

/// Fields of `/proc/PID/stat` after the command's name, by their place there from 0 (state).
fn stat_fields(pid: &str) -> Outcome<impl Fn(usize) -> Outcome<f64> + use<>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| error.to_string())?;
    let fields = stat.rsplit(')').next().unwrap_or_default().to_owned();
    Ok(move |index: usize| {
        let field = fields.split_whitespace().nth(index).and_then(|text| text.parse().ok());
        field.ok_or_else(|| "an unknown /proc/PID/stat".to_owned())
    })
}

/// The most memory a running process has had so far, MB of 10⁶ bytes.
pub(crate) fn peak_of(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
    kib * 1024.0 / 1e6
}

/// The middle one of several figures; they are sorted in place.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `1.62 (1.51–1.70)`: the median and the range.
pub(crate) fn spread(figures: &[f64]) -> String {
    let mut figures = figures.to_vec();
    let middle = median(&mut figures);
    let (low, high) = (figures.first().unwrap_or(&f64::NAN), figures.last().unwrap_or(&f64::NAN));
    format!("{middle:.2} ({low:.2}–{high:.2})")
}
