//! The one owner of stdout: whole lines, in order, never torn, never waiting for the host in vain.
//!
//! The host reads stdout through a pipe. When it stops reading, a plain write would block the whole
//! process, readiness answers included; so a pipe is written without blocking. What does not fit
//! waits here, in order and bounded, and is finished when the pipe takes more. Usually everything
//! fits, and the lines of all requests that were ready at once go out in one system call: waking
//! the reader for each of them would cost more than all else that a heartbeat takes.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSlice, Write},
    os::{fd::AsFd, unix::fs::FileTypeExt},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::unix::pipe,
    sync::{Notify, oneshot},
    time::timeout,
};

use crate::{ServerLimits, line::TraceLine};

/// How many lines one system call takes at most.
const LINES_PER_WRITE: usize = 64;

/// Why a line was not written.
#[derive(Debug, Error)]
pub enum StdoutError {
    /// Stdout cannot be taken over.
    #[error("cannot take over stdout")]
    Open(#[source] io::Error),
    /// Stdout takes nothing any more, and never will.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
    /// The line waited for as long as it may: the host does not read.
    #[error("stdout has not been read for {0:?}")]
    Late(Duration),
    /// Too much waits already.
    #[error("{0} bytes wait for stdout to be read")]
    Full(usize),
}

/// Writes lines to stdout. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct LineWriter(Arc<StdoutShared>);

#[derive(Debug)]
struct StdoutShared {
    sink: Sink,
    queue: Mutex<StdoutQueue>,
    broken: Notify,
    patience: Duration,
    most_bytes: usize,
}

#[derive(Debug)]
enum Sink {
    Pipe(pipe::Sender),
    /// A file or a terminal, written to by hand or in tests: writes may block.
    Other(File),
}

#[derive(Debug, Default)]
struct StdoutQueue {
    lines: VecDeque<WaitingLine>,
    bytes: usize,
    pumped: bool,
    error: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct WaitingLine {
    line: TraceLine,
    written: usize,
    done: oneshot::Sender<()>,
}

impl LineWriter {
    /// Takes over the process's stdout. Call it once, inside a runtime.
    pub fn stdout(limits: &ServerLimits) -> Result<Self, StdoutError> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned().map_err(StdoutError::Open)?;
        Self::to(descriptor.into(), limits)
    }

    /// Writes to `file`, without blocking when it is a pipe. Call it inside a runtime.
    pub fn to(file: File, limits: &ServerLimits) -> Result<Self, StdoutError> {
        let is_pipe = file.metadata().map_err(StdoutError::Open)?.file_type().is_fifo();
        let sink = if is_pipe {
            Sink::Pipe(pipe::Sender::from_file(file).map_err(StdoutError::Open)?)
        } else {
            Sink::Other(file)
        };
        Ok(Self(Arc::new(StdoutShared {
            sink,
            queue: Mutex::default(),
            broken: Notify::new(),
            patience: limits.line,
            most_bytes: limits.waiting_bytes,
        })))
    }

    /// Writes lines and returns when the last one has been written completely, within
    /// [`ServerLimits::line`] for all of them.
    ///
    /// After an error nothing more of the lines will be written, with one exception: of a line whose
    /// beginning the pipe has taken, the rest follows when the pipe takes more. The same holds when
    /// the returned future is dropped.
    pub async fn write(
        &self,
        lines: impl IntoIterator<Item = TraceLine>,
    ) -> Result<(), StdoutError> {
        let patience = self.0.patience;
        let write = async {
            for line in lines {
                self.queue(line)?.await.map_err(|_| self.0.error())?;
            }
            Ok(())
        };
        timeout(patience, write).await.unwrap_or(Err(StdoutError::Late(patience)))
    }

    /// Returns when stdout takes nothing any more.
    pub async fn broken(&self) -> StdoutError {
        self.0.broken.notified().await;
        self.0.error()
    }

    fn queue(&self, line: TraceLine) -> Result<oneshot::Receiver<()>, StdoutError> {
        let mut queue = self.0.queue();
        queue.drop_abandoned();
        if let Some(kind) = queue.error {
            return Err(StdoutError::Write(kind.into()));
        }
        let length = line.as_bytes().len();
        if queue.bytes + length > self.0.most_bytes {
            return Err(StdoutError::Full(queue.bytes));
        }
        let (done, receiver) = oneshot::channel();
        queue.bytes += length;
        queue.lines.push_back(WaitingLine { line, written: 0, done });
        if !queue.pumped {
            queue.pumped = true;
            // Its turn comes after the requests that are ready now, so their lines go out together.
            tokio::spawn(pump(Arc::clone(&self.0)));
        }
        Ok(receiver)
    }
}

impl StdoutShared {
    fn queue(&self) -> MutexGuard<'_, StdoutQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self) -> StdoutError {
        StdoutError::Write(self.queue().error.unwrap_or(io::ErrorKind::Other).into())
    }

    /// Writes what the sink takes and tells whether nothing waits any more.
    fn drain(&self) -> bool {
        let mut queue = self.queue();
        queue.drop_abandoned();
        while !queue.lines.is_empty() {
            match self.sink.write(&queue.lines) {
                Ok(0) => return false,
                Ok(written) => queue.wrote(written),
                Err(error) => {
                    queue.error = Some(error.kind());
                    // Dropping the senders tells the waiting writers.
                    queue.lines.clear();
                    self.broken.notify_one();
                }
            }
        }
        queue.bytes = 0;
        queue.pumped = false;
        true
    }
}

impl StdoutQueue {
    /// Forgets lines that nobody waits for and of which nothing has been written.
    fn drop_abandoned(&mut self) {
        let bytes = &mut self.bytes;
        self.lines.retain(|waiting| {
            let keep = waiting.written > 0 || !waiting.done.is_closed();
            if !keep {
                *bytes -= waiting.line.as_bytes().len();
            }
            keep
        });
    }

    /// Notes that the sink has taken the next `count` bytes, and tells the writers of whole lines.
    fn wrote(&mut self, mut count: usize) {
        while let Some(mut first) = self.lines.pop_front() {
            let length = first.line.as_bytes().len();
            let taken = count.min(length - first.written);
            first.written += taken;
            count -= taken;
            if first.written < length {
                self.lines.push_front(first);
                break;
            }
            self.bytes -= length;
            // A writer that has gone away needs no word.
            let _ = first.done.send(());
        }
    }
}

impl WaitingLine {
    fn rest(&self) -> &[u8] {
        &self.line.as_bytes()[self.written..]
    }
}

impl Sink {
    /// Returns how many bytes of the lines the sink has taken; 0 when it is full.
    fn write(&self, lines: &VecDeque<WaitingLine>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); LINES_PER_WRITE];
        let mut count = 0;
        for (slice, waiting) in slices.iter_mut().zip(lines) {
            *slice = IoSlice::new(waiting.rest());
            count += 1;
        }
        match self {
            Self::Pipe(pipe) => match pipe.try_write_vectored(&slices[..count]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                other => other,
            },
            Self::Other(file) => (&*file).write_vectored(&slices[..count]),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.writable().await,
            Self::Other(_) => Ok(()),
        }
    }
}

/// Finishes what waits, as the reader makes room, and ends when nothing waits.
async fn pump(shared: Arc<StdoutShared>) {
    loop {
        if shared.drain() {
            break;
        }
        // An error of the pipe shows again, with its reason, in the write.
        let _ = shared.sink.writable().await;
    }
}

/// Writes the process's last line, as far as stdout takes it.
pub(crate) fn write_last(line: &TraceLine) {
    let mut stdout = io::stdout().lock();
    // What cannot be said on stdout can be said nowhere.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}
