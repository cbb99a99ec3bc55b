//! The thread that writes the status file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{Status, place::FILE_NAME};
use crate::{
    event::{LogEvent, StatusNotWritten},
    state_dir::file::{self, Durability},
};

/// Writes the newest status to a file, on a thread of its own.
///
/// A disk can hang for minutes, and no other part of the agent may wait for it. The queue holds one
/// status, and a newer one replaces it, so on a slow disk the file is merely less fresh. The file is
/// replaced atomically, so a reader sees the old or the new one. It is not fsynced: a power failure
/// ends the boot, and with it the content is obsolete.
///
/// A failure is logged once until the next success; monitoring continues.
#[derive(Debug)]
pub struct Publisher {
    slot: Arc<StatusSlot>,
}

/// The thread that writes the status file cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the thread that writes the status file cannot be started")]
pub struct PublishError(#[source] io::Error);

impl Publisher {
    /// Starts the thread. It writes to `status.json` in `folder`, which must exist by the first
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(folder: &Path) -> Result<Self, PublishError> {
        let slot = Arc::new(StatusSlot::default());
        let writer = Arc::clone(&slot);
        let path = folder.join(FILE_NAME);
        thread::Builder::new()
            .name("status".to_owned())
            .spawn(move || writer.write_each(|status| write(&path, status), log_failure(&path)))
            .map_err(PublishError)?;
        Ok(Self { slot })
    }

    /// Queues a status to be written. Never blocks.
    pub fn publish(&self, status: Status) {
        let mut state = self.slot.lock();
        state.waiting = Some(Box::new(status));
        drop(state);
        self.slot.changed.notify_all();
    }

    /// Waits, `limit` at most, until the newest status is written or the attempt has failed; returns
    /// whether that happened.
    pub fn flush(&self, limit: Duration) -> bool {
        let busy = |state: &mut PublisherState| state.waiting.is_some() || state.writing;
        let waited = self.slot.changed.wait_timeout_while(self.slot.lock(), limit, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Publisher {
    /// The thread writes the queued status and ends; the drop does not wait for it.
    fn drop(&mut self) {
        self.slot.lock().closed = true;
        self.slot.changed.notify_all();
    }
}

/// A queue for one status.
#[derive(Debug, Default)]
struct StatusSlot {
    state: Mutex<PublisherState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PublisherState {
    waiting: Option<Box<Status>>,
    writing: bool,
    closed: bool,
}

impl StatusSlot {
    fn lock(&self) -> MutexGuard<'_, PublisherState> {
        // No code panics halfway through a change of the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next status; `None` when the publisher was dropped.
    fn next(&self) -> Option<Box<Status>> {
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let idle = |state: &mut PublisherState| state.waiting.is_none() && !state.closed;
        let mut state =
            self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        let status = state.waiting.take();
        state.writing = status.is_some();
        status
    }

    /// Writes one status after the other, and reports the first failure of each series.
    fn write_each(
        &self,
        mut write: impl FnMut(&Status) -> io::Result<()>,
        mut tell: impl FnMut(&io::Error),
    ) {
        let mut failing = false;
        while let Some(status) = self.next() {
            let result = write(&status);
            if let Err(error) = &result
                && !failing
            {
                tell(error);
            }
            failing = result.is_err();
        }
    }
}

fn log_failure(path: &Path) -> impl FnMut(&io::Error) + use<> {
    let path: PathBuf = path.to_owned();
    move |error| StatusNotWritten { path: &path, error }.emit()
}

/// Replaces the file atomically; every user may read it.
fn write(path: &Path, status: &Status) -> io::Result<()> {
    let mut json = serde_json::to_vec_pretty(status)?;
    json.push(b'\n');
    file::replace(path, &path.with_extension("json.new"), &json, 0o644, Durability::Unsynced)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::mpsc};

    use super::*;
    use crate::status::{place, text::tests::status};

    /// Only ends a hung test.
    const PATIENCE: Duration = Duration::from_mins(1);

    fn numbered(pid: u32) -> Status {
        Status { pid, ..status() }
    }

    #[test]
    fn the_file_is_replaced_atomically_and_every_user_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let publisher = Publisher::start(folder.path()).expect("a thread");
        for pid in [1, 2] {
            publisher.publish(numbered(pid));
            assert!(publisher.flush(PATIENCE));
            assert_eq!(
                place::read(folder.path()).expect("the status can be read"),
                Some(numbered(pid))
            );
        }
        let file = fs::metadata(folder.path().join(FILE_NAME)).expect("the file exists");
        assert_eq!(file.permissions().mode() & 0o777, 0o644);
        let names: Vec<_> = fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, [FILE_NAME], "nothing else is left behind");
    }

    #[test]
    fn a_hung_disk_loses_only_superseded_statuses() {
        let slot = Arc::new(StatusSlot::default());
        let (started_sender, started) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let writer = Arc::clone(&slot);
        let thread = thread::spawn(move || {
            let write = |status: &Status| {
                let _ = started_sender.send(status.pid);
                let _ = gate.recv_timeout(PATIENCE);
                Ok(())
            };
            writer.write_each(write, |error| panic!("{error}"));
        });
        let publisher = Publisher { slot };
        publisher.publish(numbered(1));
        assert_eq!(started.recv_timeout(PATIENCE), Ok(1));
        for pid in [2, 3, 4] {
            publisher.publish(numbered(pid));
        }
        assert!(!publisher.flush(Duration::ZERO), "one is being written, one waits");
        go.send(()).expect("the first is being written");
        assert_eq!(started.recv_timeout(PATIENCE), Ok(4));
        go.send(()).expect("the last is being written");
        assert!(publisher.flush(PATIENCE));
        drop(publisher);
        thread.join().expect("the thread ends");
        assert_eq!(started.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn a_failure_is_reported_once_until_the_next_success() {
        let slot = StatusSlot::default();
        let results = [false, false, true, false];
        let mut reported = Vec::new();
        let mut number = 0;
        slot.lock().waiting = Some(Box::new(numbered(0)));
        slot.write_each(
            |_| {
                let is_written = results[number];
                number += 1;
                let mut state = slot.lock();
                if number < results.len() {
                    state.waiting = Some(Box::new(numbered(0)));
                }
                state.closed = number == results.len();
                if is_written { Ok(()) } else { Err(io::Error::other(number.to_string())) }
            },
            |error| reported.push(error.to_string()),
        );
        assert_eq!(reported, ["1", "4"]);
    }

    #[test]
    fn writing_fails_without_the_folder_and_works_once_it_exists() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gone").join(FILE_NAME);
        assert!(write(&path, &status()).is_err());
        fs::create_dir(folder.path().join("gone")).expect("the folder is created");
        write(&path, &status()).expect("the file is written");
    }
}
