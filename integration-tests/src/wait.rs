//! Waiting for what must become true, with a bound: tests never sleep for luck.

use std::time::{Duration, Instant};

/// Asks `condition` until it gives something, and returns that.
///
/// # Panics
/// Where it gave nothing within `bound`; says `what` was waited for.
pub async fn wait_for<T>(what: &str, bound: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {bound:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
