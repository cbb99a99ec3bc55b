//! The only writer of stdout: writes whole lines, in order, and never blocks the process on a host
//! that does not read.
//!
//! The host reads stdout through a pipe. When it stops reading, a blocking write would block the
//! whole process, readiness responses included, so the pipe is written without blocking. What does
//! not fit stays in a bounded FIFO queue and is written when the pipe is writable again. Usually
//! everything fits, and the lines of all requests that are ready at once go out in one system call:
//! waking the reader for each line would cost more than the rest of a heartbeat's handling.

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

use crate::{limits::ServerLimits, line::TraceLine};

/// How many lines one system call writes at most.
const LINES_PER_WRITE: usize = 64;

/// Why a line was not written.
#[derive(Debug, Error)]
pub enum StdoutError {
    /// Stdout could not be opened.
    #[error("cannot take over stdout")]
    Open(#[source] io::Error),
    /// Stdout failed for good.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
    /// The line waited for the longest allowed time: the host does not read.
    #[error("stdout has not been read for {0:?}")]
    TimedOut(Duration),
    /// The queue is full; it holds this many bytes.
    #[error("{0} bytes wait for stdout to be read")]
    Full(usize),
}

/// Writes lines to stdout. Clones share one queue.
#[derive(Clone, Debug)]
pub struct LineWriter(Arc<StdoutShared>);

#[derive(Debug)]
struct StdoutShared {
    sink: Sink,
    queue: Mutex<StdoutQueue>,
    broken: Notify,
    write_timeout: Duration,
    max_queued_bytes: usize,
}

#[derive(Debug)]
enum Sink {
    Pipe(pipe::Sender),
    /// A file or a terminal, when started by hand or in tests: writes may block.
    Other(File),
}

#[derive(Debug, Default)]
struct StdoutQueue {
    lines: VecDeque<WaitingLine>,
    bytes: usize,
    has_writer_task: bool,
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
            write_timeout: limits.line_timeout,
            max_queued_bytes: limits.queued_bytes,
        })))
    }

    /// Writes lines and returns when the last one has been written completely, within
    /// [`ServerLimits::line_timeout`] for all of them.
    ///
    /// After an error none of the remaining lines is written, with one exception: a line that the
    /// pipe has taken in part is completed when the pipe is writable again. The same holds when the
    /// returned future is dropped.
    pub async fn write(
        &self,
        lines: impl IntoIterator<Item = TraceLine>,
    ) -> Result<(), StdoutError> {
        let patience = self.0.write_timeout;
        let write = async {
            for line in lines {
                self.queue(line)?.await.map_err(|_| self.0.error())?;
            }
            Ok(())
        };
        timeout(patience, write).await.unwrap_or(Err(StdoutError::TimedOut(patience)))
    }

    /// Returns when stdout has failed.
    pub async fn failed(&self) -> StdoutError {
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
        if queue.bytes + length > self.0.max_queued_bytes {
            return Err(StdoutError::Full(queue.bytes));
        }
        let (done, receiver) = oneshot::channel();
        queue.bytes += length;
        queue.lines.push_back(WaitingLine { line, written: 0, done });
        if !queue.has_writer_task {
            queue.has_writer_task = true;
            // The task runs after the requests that are ready now, so their lines go out together.
            tokio::spawn(write_queue(Arc::clone(&self.0)));
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

    /// Writes as much as the sink takes and returns whether the queue is empty.
    fn drain(&self) -> bool {
        let mut queue = self.queue();
        queue.drop_abandoned();
        while !queue.lines.is_empty() {
            match self.sink.write(&queue.lines) {
                Ok(0) => return false,
                Ok(written) => queue.advance(written),
                Err(error) => {
                    queue.error = Some(error.kind());
                    // Dropping the senders makes the waiting writers return the error.
                    queue.lines.clear();
                    self.broken.notify_one();
                }
            }
        }
        queue.bytes = 0;
        queue.has_writer_task = false;
        true
    }
}

impl StdoutQueue {
    /// Drops lines of which nothing has been written and whose writer has stopped waiting.
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

    /// Records that the sink has taken the next `count` bytes, and notifies the writers of
    /// completed lines.
    fn advance(&mut self, mut count: usize) {
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
            // The writer may have stopped waiting.
            let _ = first.done.send(());
        }
    }
}

impl WaitingLine {
    fn remaining(&self) -> &[u8] {
        &self.line.as_bytes()[self.written..]
    }
}

impl Sink {
    /// Writes to the sink and returns how many bytes it took; 0 when it is full.
    fn write(&self, lines: &VecDeque<WaitingLine>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); LINES_PER_WRITE];
        let mut count = 0;
        for (slice, waiting) in slices.iter_mut().zip(lines) {
            *slice = IoSlice::new(waiting.remaining());
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

/// Writes the queue as the pipe becomes writable, and ends when the queue is empty.
async fn write_queue(shared: Arc<StdoutShared>) {
    loop {
        if shared.drain() {
            break;
        }
        // The next write returns the pipe's error together with its reason.
        let _ = shared.sink.writable().await;
    }
}

/// Writes the last line of the process, on a best-effort basis.
pub(crate) fn write_last(line: &TraceLine) {
    let mut stdout = io::stdout().lock();
    // Stdout is the only output, so an error here cannot be reported.
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}
