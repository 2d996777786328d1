//! Sinks that misbehave around a real one: that wait, and that fail before or after they have written.

use std::sync::{Arc, Condvar, Mutex};

use tailwater_core::{Batch, Error, Guarantee, Position, Result, Sink};

/// Whether writes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// So many pass before it is closed.
    Closing(u64),
    Closed,
    Broken,
}

/// Holds up the writes of every [`Gated`] sink that has a clone of it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(State::Open), Condvar::new())))
    }
}

impl Gate {
    /// Writes wait.
    pub fn close(&self) {
        self.set(State::Closed);
    }

    /// This many writes pass, and the next ones wait.
    pub fn close_after(&self, writes: u64) {
        self.set(if writes == 0 { State::Closed } else { State::Closing(writes) });
    }

    /// Writes pass.
    pub fn open(&self) {
        self.set(State::Open);
    }

    /// Writes fail, also those that wait: the sink ends as if its process had been killed before them.
    pub fn break_down(&self) {
        self.set(State::Broken);
    }

    fn set(&self, state: State) {
        *self.0.0.lock().unwrap() = state;
        self.0.1.notify_all();
    }

    fn pass(&self) -> Result<()> {
        let mut state =
            self.0.1.wait_while(self.0.0.lock().unwrap(), |state| *state == State::Closed).unwrap();
        match *state {
            State::Broken => return Err(planned()),
            State::Closing(1) => *state = State::Closed,
            State::Closing(left) => *state = State::Closing(left - 1),
            State::Open | State::Closed => {}
        }
        Ok(())
    }
}

/// A sink behind a [`Gate`].
pub struct Gated<K> {
    /// What is behind it.
    pub sink: K,
    /// What is before it.
    pub gate: Gate,
}

impl<K: Sink> Sink for Gated<K> {
    fn guarantee(&self) -> Guarantee {
        self.sink.guarantee()
    }

    fn open(&mut self) -> Result<Option<Position>> {
        self.sink.open()
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.gate.pass()?;
        self.sink.write(batch)
    }

    fn close(&mut self) -> Result<()> {
        self.sink.close()
    }
}

/// A sink that fails once, as a target that is killed would.
pub struct Failing<K> {
    /// What works until then.
    pub sink: K,
    /// Writes that succeed before it.
    pub writes: u64,
    /// Whether the failing write takes effect all the same, and only the answer is lost.
    pub after_effect: bool,
}

impl<K: Sink> Sink for Failing<K> {
    fn guarantee(&self) -> Guarantee {
        self.sink.guarantee()
    }

    fn open(&mut self) -> Result<Option<Position>> {
        self.sink.open()
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        if self.writes == 0 {
            if self.after_effect {
                self.sink.write(batch)?;
            }
            return Err(planned());
        }
        self.writes -= 1;
        self.sink.write(batch)
    }

    fn close(&mut self) -> Result<()> {
        self.sink.close()
    }
}

/// The code of the failures made here.
pub const PLANNED: &str = "TW-TEST-001";

fn planned() -> Error {
    Error::transient(PLANNED, "the test makes this write fail")
}
