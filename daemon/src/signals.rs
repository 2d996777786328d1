//! SIGTERM and Ctrl-C, heard on a thread of their own: whatever the pipelines are busy with, the process ends in time.

use std::time::Duration;

use tailwater_core::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::Exit;

/// A clean stop takes no longer: whoever sent the signal may be about to send a harder one.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// From here on the first signal cancels `stop`. A second one ends the process at once, and so does a stop that takes
/// too long; both are safe, because a target never holds more or less than whole transactions and their position.
///
/// # Errors
/// `Transient` where the process cannot listen to signals.
pub(crate) fn cancel_on_signal(stop: CancellationToken) -> Result<()> {
    let trouble =
        |error: std::io::Error| Error::transient("TW-CLI-001", format!("listen to signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(trouble)?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::listen().map_err(trouble)?
    };
    let listen = move || {
        let exit = runtime.block_on(async {
            signals.next().await;
            info!("stopping; a second signal stops at once");
            stop.cancel();
            tokio::select! {
                () = signals.next() => Exit::Interrupted,
                () = tokio::time::sleep(STOP_WITHIN) => Exit::GaveUp,
            }
        });
        if exit == Exit::GaveUp {
            warn!(
                "not stopped within {STOP_WITHIN:?}; giving up, the next run goes on from what the target holds"
            );
        }
        std::process::exit(exit.code().into());
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop).map_err(trouble)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
