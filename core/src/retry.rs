//! How long to wait before another attempt. The only file that knows the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Capped, jittered, exponential: 0.2 s to 30 s, for ever.
#[derive(Debug)]
pub(crate) struct Retry(ExponentialBackoff);

impl Retry {
    pub(crate) fn new() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(200),
            current_interval: Duration::from_millis(200),
            max_interval: Duration::from_secs(30),
            multiplier: 2.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next wait.
    pub(crate) fn next_wait(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(Duration::from_secs(30))
    }

    /// Starts over, after progress.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_cap_and_starts_over() {
        let mut retry = Retry::new();
        assert!(retry.next_wait() <= Duration::from_millis(300));
        let late = (0..50).map(|_| retry.next_wait()).last().unwrap();
        assert!((Duration::from_secs(15)..=Duration::from_secs(45)).contains(&late), "{late:?}");
        retry.reset();
        assert!(retry.next_wait() <= Duration::from_millis(300));
    }
}
