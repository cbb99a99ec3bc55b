//! The one owner of stdout: whole lines, in order, never torn, never waiting for the host in vain.
//!
//! The host reads stdout through a pipe. When it stops reading, a plain write would block the whole
//! process, readiness answers included; so a pipe is written without blocking. What does not fit
//! waits here, in order and bounded, and is finished when the pipe takes more. Usually everything
//! fits, and a line costs one system call.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
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

use crate::{Limits, line::Line};

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
pub struct LineWriter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sink: Sink,
    queue: Mutex<Queue>,
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
struct Queue {
    lines: VecDeque<Waiting>,
    bytes: usize,
    pumped: bool,
    error: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct Waiting {
    line: Line,
    written: usize,
    done: oneshot::Sender<()>,
}

impl LineWriter {
    /// Takes over the process's stdout. Call it once, inside a runtime.
    pub fn stdout(limits: &Limits) -> Result<Self, StdoutError> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned().map_err(StdoutError::Open)?;
        Self::to(descriptor.into(), limits)
    }

    /// Writes to `file`, without blocking when it is a pipe. Call it inside a runtime.
    pub fn to(file: File, limits: &Limits) -> Result<Self, StdoutError> {
        let is_pipe = file.metadata().map_err(StdoutError::Open)?.file_type().is_fifo();
        let sink = if is_pipe {
            Sink::Pipe(pipe::Sender::from_file(file).map_err(StdoutError::Open)?)
        } else {
            Sink::Other(file)
        };
        Ok(Self(Arc::new(Shared {
            sink,
            queue: Mutex::default(),
            broken: Notify::new(),
            patience: limits.line,
            most_bytes: limits.waiting_bytes,
        })))
    }

    /// Writes lines and returns when the last one has been written completely, within
    /// [`Limits::line`] for all of them.
    ///
    /// After an error nothing more of the lines will be written, with one exception: of a line whose
    /// beginning the pipe has taken, the rest follows when the pipe takes more. The same holds when
    /// the returned future is dropped.
    pub async fn write(&self, lines: impl IntoIterator<Item = Line>) -> Result<(), StdoutError> {
        let patience = self.0.patience;
        let write = async {
            for line in lines {
                if let Some(done) = self.write_or_queue(line)? {
                    done.await.map_err(|_| self.0.error())?;
                }
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

    fn write_or_queue(&self, line: Line) -> Result<Option<oneshot::Receiver<()>>, StdoutError> {
        let mut queue = self.0.queue();
        queue.drop_abandoned();
        let written = if queue.lines.is_empty() {
            self.0.try_write(&mut queue, line.as_bytes())?
        } else {
            0
        };
        let rest = line.as_bytes().len() - written;
        if rest == 0 {
            return Ok(None);
        }
        if written == 0 && queue.bytes + rest > self.0.most_bytes {
            return Err(StdoutError::Full(queue.bytes));
        }
        let (done, receiver) = oneshot::channel();
        queue.bytes += line.as_bytes().len();
        queue.lines.push_back(Waiting { line, written, done });
        if !queue.pumped {
            queue.pumped = true;
            tokio::spawn(pump(Arc::clone(&self.0)));
        }
        Ok(Some(receiver))
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self) -> StdoutError {
        StdoutError::Write(self.queue().error.unwrap_or(io::ErrorKind::Other).into())
    }

    /// Returns how much of `bytes`, the rest of a line, the sink has taken; 0 when it is full.
    fn try_write(&self, queue: &mut Queue, bytes: &[u8]) -> Result<usize, StdoutError> {
        if let Some(kind) = queue.error {
            return Err(StdoutError::Write(kind.into()));
        }
        match self.sink.write(bytes) {
            Ok(written) => Ok(written),
            Err(source) => {
                queue.error = Some(source.kind());
                self.broken.notify_one();
                Err(StdoutError::Write(source))
            }
        }
    }

    /// Writes what the sink takes and tells whether nothing waits any more.
    fn drain(&self) -> bool {
        let mut queue = self.queue();
        loop {
            queue.drop_abandoned();
            let Some(mut first) = queue.lines.pop_front() else { break };
            let length = first.line.as_bytes().len();
            let rest = &first.line.as_bytes()[first.written..];
            let Ok(written) = self.try_write(&mut queue, rest) else {
                // Dropping the senders tells the waiting writers.
                queue.lines.clear();
                break;
            };
            first.written += written;
            if first.written < length {
                queue.lines.push_front(first);
                return false;
            }
            queue.bytes -= length;
            // A writer that has gone away needs no word.
            let _ = first.done.send(());
        }
        queue.bytes = 0;
        queue.pumped = false;
        true
    }
}

impl Queue {
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
}

impl Sink {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => match pipe.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                other => other,
            },
            Self::Other(file) => (&*file).write_all(bytes).map(|()| bytes.len()),
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
async fn pump(shared: Arc<Shared>) {
    loop {
        // An error of the pipe shows again, with its reason, in the write.
        let _ = shared.sink.writable().await;
        if shared.drain() {
            break;
        }
    }
}

/// Writes the process's last line, as far as stdout takes it.
pub(crate) fn write_last(line: &Line) {
    let mut stdout = io::stdout().lock();
    // What cannot be said on stdout can be said nowhere.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}
