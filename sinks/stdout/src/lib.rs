//! `[sink.stdout]`: one JSON line per change on standard output, the position in a file beside it.
//!
//! It is also the example of a sink: [`Sink`] is all there is to implement, `line` turns events into text and
//! knows nothing of files, and this file writes the text and then saves the position. Standard output has no
//! place for a position, so this is at-least-once: killed between the two, lines are written again after the restart,
//! with the same `source`, `position` and `ordinal`, by which a reader can drop them.
//!
//! ```text
//! {"type":"update","source":"…","schema":"public","table":"t","ts_us":1,"xid":7,"position":"0/16B3748","ordinal":0,
//!  "data":{"id":2,"note":"x"},"old":{"id":1},"unsent":["text"],"commit":true}
//! ```
//! (on one line). Types are `insert`, `update`, `delete` (its `data` is the old row, or the key of it), `truncate`,
//! `snapshot` (a row of the first copy, between `snapshot-start`, with the columns, and `snapshot-end`), `schema` (the
//! table has these columns from here on; comes after every restart too), `drop` and `message`. `old` holds what was sent of the old
//! row; `unsent` names the columns of `data` whose value did not change and did not come. The last line of a source
//! transaction has `commit`.

mod error;
mod line;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tailwater_core::checkpoint::Checkpoint;
pub use tailwater_core::line::Format;
use tailwater_core::{Batch, Guarantee, Position, Result, Sink};

use crate::line::Encoder;

/// Lines are handed on when this many bytes are waiting, and at the end of every batch.
const BUFFER_BYTES: usize = 256 << 10;
/// While a first copy is under way, the position is saved this often.
const COPY_INTERVAL: Duration = Duration::from_secs(1);

/// `[sink.stdout]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file that holds the position.
    pub position: PathBuf,
    /// How a line looks.
    pub format: Format,
}

impl Config {
    /// The position in this file, everything else as by default.
    #[must_use]
    pub fn new(position: PathBuf) -> Self {
        Self { position, format: Format::default() }
    }
}

/// What the position file of `config` holds; `None` where there is none yet.
///
/// # Errors
/// `Operator` where it cannot be read or is not a position.
pub fn position(config: &Config) -> Result<Option<Position>> {
    Checkpoint::new(&config.position).load()
}

/// The sink. Writes to standard output, or in tests to anything else.
#[derive(Debug)]
pub struct Stdout<W = StandardOutput> {
    writer: W,
    encoder: Encoder,
    position_file: PathBuf,
    /// When the position was saved last.
    saved: Option<Instant>,
    /// Held from `open` to `close`, so that no second process writes the same position.
    lock: Option<File>,
}

impl Stdout {
    /// A sink that writes to standard output.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_writer(config, StandardOutput::default())
    }
}

impl<W: Write + Send + 'static> Stdout<W> {
    /// A sink that writes to `writer`. Lines count as written when its `flush` returns.
    pub fn with_writer(config: Config, writer: W) -> Self {
        let encoder = Encoder::new(config.format);
        Self { writer, encoder, position_file: config.position, saved: None, lock: None }
    }

    fn hand_on(&mut self) -> Result<()> {
        write_all(&mut self.writer, self.encoder.complete_lines()).map_err(|error| error::output(&error))?;
        self.encoder.forget_complete_lines(BUFFER_BYTES);
        Ok(())
    }
}

impl<W: Write + Send + 'static> Sink for Stdout<W> {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn open(&mut self) -> Result<Option<Position>> {
        self.lock = Some(lock(&self.position_file)?);
        Checkpoint::new(&self.position_file).load()
    }

    /// Lines of a transaction that a later batch completes are written at once: it is committed at the source. Only
    /// the position waits for the boundary, and the last line until it is known whether it has `commit`.
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.encoder.source(&batch.to.source);
        for event in batch.events() {
            self.encoder.event(&event);
            if self.encoder.complete_lines().len() >= BUFFER_BYTES {
                self.hand_on()?;
            }
        }
        if batch.to.at_boundary() {
            self.encoder.boundary();
        }
        self.hand_on()?;
        // How far a copy is only informs: one that is interrupted starts afresh.
        let informs = batch.from.copying() && batch.to.copying();
        let recent = self.saved.is_some_and(|saved| saved.elapsed() < COPY_INTERVAL);
        if batch.to.at_boundary() && !(informs && recent) {
            self.writer.flush().map_err(|error| error::output(&error))?;
            Checkpoint::new(&self.position_file).save(&batch.to)?;
            self.saved = Some(Instant::now());
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.lock = None;
        Ok(())
    }
}

/// Like [`Write::write_all`], but also waits where somebody has made standard output non-blocking: to give up in
/// the middle would cut a line.
fn write_all(writer: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1))
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether some process writes lines and keeps this position.
#[must_use]
pub fn is_running(config: &Config) -> bool {
    let file = File::open(lock_path(&config.position));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn lock_path(position_file: &Path) -> PathBuf {
    let mut name = position_file.file_name().unwrap_or_default().to_os_string();
    name.push(".lock");
    position_file.with_file_name(name)
}

/// Creates the folder, proves that it can be written before the first line goes out, and keeps others away.
fn lock(position_file: &Path) -> Result<File> {
    let path = lock_path(position_file);
    let open = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).truncate(false).write(true).open(&path)
    };
    let file = open().map_err(|error| error::not_writable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(error::in_use(position_file)),
        Err(TryLockError::Error(error)) => Err(error::not_writable(&path, &error)),
    }
}

/// File descriptor 1, without the line buffer of the standard library. Its `flush` makes a file durable; what a
/// pipe's or a terminal's reader makes of the lines is its own matter.
#[derive(Debug, Default)]
pub struct StandardOutput {
    /// A duplicate of the descriptor; made at the first write.
    file: Option<File>,
}

impl StandardOutput {
    fn file(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(File::from(io::stdout().as_fd().try_clone_to_owned()?))),
        }
    }
}

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = self.file()?;
        if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
