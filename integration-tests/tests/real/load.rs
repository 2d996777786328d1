//! What the tests under load share: writers in the background, the seed of a run, a look at the slot.

use tailwater_integration_tests::{Client, Workload};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Another one each time, unless `TAILWATER_SEED` repeats one. A test that fails shows it.
pub(crate) fn seed() -> u64 {
    let chosen = std::env::var("TAILWATER_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = chosen.unwrap_or_else(|| u64::from(std::process::id()));
    println!("TAILWATER_SEED={seed}");
    seed
}

/// Writers that go on until they are told to end.
pub(crate) struct Writers {
    stop: CancellationToken,
    tasks: JoinSet<u64>,
}

impl Writers {
    /// Two of them.
    pub(crate) fn start(url: &str, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for writer in 0..2 {
            let (url, stop) = (url.to_owned(), stop.clone());
            tasks.spawn(async move { Workload::new(seed, writer).run(&url, &stop).await.committed });
        }
        Self { stop, tasks }
    }

    /// Waits for their last transactions.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let committed: u64 = self.tasks.join_all().await.iter().sum();
        assert!(committed > 0, "the writers have written nothing");
    }
}

/// An expression on a slot; empty where there is none.
pub(crate) async fn slot(client: &Client, name: &str, expression: &str) -> String {
    client.value(&format!("SELECT {expression} FROM pg_replication_slots WHERE slot_name = '{name}'")).await
}
