//! The journal's writer thread, and the handle that the rest of the agent uses.

use std::{
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, Sleep, sleep, timeout},
};

use super::{
    queue::{Appended, JournalQueue, JournalWork},
    record::Entry,
    recovered::Recovered,
    state::JournalState,
    storage::{StateFolder, Storage},
    writer::{JournalWriter, WriteError},
};
use crate::{clock::Stamp, error_chain::ErrorChain};

/// How long the start of the agent waits for the journal to be read. A hanging disk must not delay
/// heartbeats.
pub const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// After this time a record counts as waiting although the disk reported no error: a monitor that
/// waited longer would not probe meanwhile. A sync on a busy SD card takes tenths of a second.
const APPEND_LIMIT: Duration = Duration::from_secs(2);
/// The delay before a failed append is retried: the first value, doubled per failure up to the
/// second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// The journal of a running agent. Clones write to the same journal; dropping the last one ends its
/// thread.
#[derive(Clone)]
pub struct Journal {
    thread: Arc<Thread>,
}

struct Thread {
    queue: Arc<JournalQueue>,
    folder: Arc<Path>,
}

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another agent writes to the folder.
    #[error(
        "another agent{} keeps its journal in {} (it holds {}); stop that one, or give this one a folder of its own with --state-dir",
        holder.map(|id| format!(" (process {id})")).unwrap_or_default(), folder.display(), lock.display()
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
        /// The other agent's process id, if known.
        holder: Option<u32>,
    },
    /// The operating system refuses to start a thread.
    #[error("the thread of the journal cannot be started")]
    Thread(#[source] io::Error),
}

impl Journal {
    /// Opens the journal in a folder, which is created if it does not exist, and returns the state
    /// restored from it.
    ///
    /// An unusable folder is not an error: records wait in memory until it works, and
    /// [`Journal::state`] has the reason. This call blocks while the journal is read, up to
    /// [`OPEN_LIMIT`], so call it before the runtime starts.
    ///
    /// # Errors
    /// Every [`JournalError`].
    pub fn open(
        folder: &Path,
        device: &str,
        now: Stamp,
    ) -> Result<(Self, Recovered), JournalError> {
        Self::open_with_storage(
            StateFolder::new(folder),
            folder,
            device,
            now,
            JournalTimeouts::default(),
        )
    }

    pub(super) fn open_with_storage(
        storage: impl Storage + Send + 'static,
        folder: &Path,
        device: &str,
        now: Stamp,
        limits: JournalTimeouts,
    ) -> Result<(Self, Recovered), JournalError> {
        let queue = Arc::new(JournalQueue::new());
        let (sender, opened) = mpsc::sync_channel(1);
        let thread = Thread { queue: Arc::clone(&queue), folder: folder.into() };
        let work = {
            let (queue, folder) = (Arc::clone(&queue), Arc::clone(&thread.folder));
            let writer = JournalWriter::new(storage, device);
            move || {
                run_thread(&queue, writer, &folder, now, &sender, limits.retry);
                queue.end();
            }
        };
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(work)
            .map_err(JournalError::Thread)?;
        let recovered = match opened.recv_timeout(limits.open) {
            Ok(Ok(recovered)) => recovered,
            Ok(Err((lock, holder))) => {
                return Err(JournalError::Taken { folder: folder.to_owned(), lock, holder });
            }
            Err(_) => {
                let problem = unresponsive_disk(folder);
                queue.report_stalled(problem.clone());
                Recovered { notes: vec![problem], ..Recovered::default() }
            }
        };
        Ok((Self { thread: Arc::new(thread) }, recovered))
    }

    /// Appends a record of what happened at `at`. It is queued immediately, in call order; the
    /// future resolves to the outcome and need not be awaited.
    pub fn append(&self, entry: Entry, at: Stamp) -> Appending {
        let answer = self.thread.queue.push(entry, at);
        Appending { answer, limit: None, thread: Arc::clone(&self.thread) }
    }

    /// Notes that the agent was alive at this moment. Call it each minute.
    pub fn note_alive(&self, at: Stamp) {
        self.thread.queue.note_alive(at);
    }

    /// The current state of the journal.
    pub fn state(&self) -> JournalState {
        self.thread.queue.subscribe().borrow().clone()
    }

    /// A receiver of the state and its changes.
    pub fn subscribe(&self) -> watch::Receiver<JournalState> {
        self.thread.queue.subscribe()
    }

    /// The folder of the journal.
    pub fn folder(&self) -> &Path {
        &self.thread.folder
    }

    /// Takes no more records and waits until the queued ones are written, for at most `limit`;
    /// returns whether they are. After a complete close another agent can take the lock.
    pub async fn close(&self, limit: Duration) -> bool {
        self.thread.queue.close();
        let mut ended = self.thread.queue.ended();
        let in_time = timeout(limit, ended.wait_for(|ended| *ended)).await.is_ok();
        in_time && self.state().waiting == 0
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Journal").field("folder", &self.thread.folder).finish()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Time limits; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct JournalTimeouts {
    pub(super) open: Duration,
    pub(super) retry: (Duration, Duration),
}

impl Default for JournalTimeouts {
    fn default() -> Self {
        Self { open: OPEN_LIMIT, retry: RETRY }
    }
}

/// Resolves when a record is durable, waiting or lost: after 2 s at the latest.
#[must_use = "a record that may not be durable yet must not be acted upon"]
pub struct Appending {
    answer: oneshot::Receiver<Appended>,
    limit: Option<Pin<Box<Sleep>>>,
    thread: Arc<Thread>,
}

impl Future for Appending {
    type Output = Appended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Appended> {
        let this = &mut *self;
        if let Poll::Ready(answer) = Pin::new(&mut this.answer).poll(context) {
            // The sender is dropped unused only when the thread has ended.
            return Poll::Ready(answer.unwrap_or(Appended::Dropped));
        }
        let limit = this.limit.get_or_insert_with(|| Box::pin(sleep(APPEND_LIMIT)));
        ready!(limit.as_mut().poll(context));
        this.thread.queue.report_stalled(unresponsive_disk(&this.thread.folder));
        Poll::Ready(Appended::Waiting)
    }
}

impl fmt::Debug for Appending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Appending")
    }
}

fn unresponsive_disk(folder: &Path) -> String {
    format!("The disk of the journal in {} does not answer.", folder.display())
}

type Opened = Result<Recovered, (PathBuf, Option<u32>)>;

/// The body of the journal's thread.
fn run_thread(
    queue: &JournalQueue,
    mut writer: JournalWriter<impl Storage>,
    folder: &Path,
    now: Stamp,
    opened: &mpsc::SyncSender<Opened>,
    (first, most): (Duration, Duration),
) {
    let problem = |error: &WriteError| {
        format!("The journal in {} cannot be written: {}.", folder.display(), ErrorChain(error))
    };
    let answer = match writer.open(now) {
        Err(WriteError::Taken { lock, holder }) => Err((lock, holder)),
        Err(error) => {
            queue.not_written(problem(&error), error.advice(folder), Instant::now());
            Ok(Recovered::default())
        }
        Ok((recovered, error)) => {
            queue.set_head(writer.head());
            if let Some(error) = &error {
                queue.not_written(problem(error), error.advice(folder), Instant::now());
            }
            Ok(recovered)
        }
    };
    let refused = answer.is_err();
    // `send` fails when `open` gave up waiting; a folder that is taken is then retried like any
    // other that cannot be written.
    if opened.send(answer).is_ok() && refused {
        return;
    }
    let mut delay = first;
    loop {
        match queue.next() {
            JournalWork::Stop => return,
            JournalWork::Alive(at) => writer.note_alive(at),
            JournalWork::Append(batch) => {
                match writer.append(batch.iter().map(|(entry, at)| (entry, *at))) {
                    Ok(positions) => {
                        delay = first;
                        queue.written(positions);
                    }
                    Err(error) => {
                        let advice = error.advice(folder);
                        if !queue.not_written(problem(&error), advice, Instant::now() + delay) {
                            return;
                        }
                        delay = (delay * 2).min(most);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
