//! Appends records: each is written, synced, and only then acknowledged.
//!
//! Recovery only reads and makes a plan. The first append carries the plan out; the part that makes
//! the newest record durable already happens before the first write of the alive file. So a folder
//! that cannot be written is still read, and whatever fails is retried with the next append.

mod recovery;

use std::{io, path::Path};

use super::{
    alive::Alive,
    chain::{NotedHash, RecordPosition},
    files,
    lines::LONGEST_LINE,
    record::{Digest, Entry, FORMAT, LARGEST_SEQ, Predecessor, Record},
    recovered::Recovered,
    storage::{ClaimError, Current, Storage},
};
use crate::clock::Stamp;
use recovery::RecoveryPlan;

/// The number of bytes after which a batch is written and synced, so that memory stays bounded when
/// a thousand records have waited.
const BATCH_BYTES: usize = 256 << 10;
/// More records than one append can write.
const APPENDED_AT_ONCE: u64 = 1 << 20;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("another agent{} uses this folder", holder.map(|id| format!(" (process {id})")).unwrap_or_default())]
    Taken { lock: std::path::PathBuf, holder: Option<u32> },
    #[error("{operation} fails")]
    Io {
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(
        "a record in this folder has the number {0}, and no larger one is left: move the files away"
    )]
    NumbersUsedUp(u64),
}

impl WriteError {
    /// What the user can do about it, as a sentence; `None` when nothing is known to help.
    pub(super) fn advice(&self, folder: &Path) -> Option<String> {
        let Self::Io { source, .. } = self else { return None };
        disk_advice(source.kind(), folder)
    }
}

/// What the user can do about a failed access to a file in `folder`, as a sentence; `None` when nothing is known to
/// help.
pub(crate) fn disk_advice(kind: io::ErrorKind, folder: &Path) -> Option<String> {
    let folder = folder.display();
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(format!("Make room on the disk of {folder}."))
        }
        io::ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid().as_raw();
            Some(format!("Give the folder to the agent's user: sudo chown -R {user} {folder}"))
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(format!(
            "Either the disk has failed and was made read-only, see the kernel log, or the sandbox of the service \
                 forbids it: systemd allows another folder by ReadWritePaths={folder} in a drop-in."
        )),
        _ => None,
    }
}

/// Adds the failed operation to an error.
fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> WriteError {
    move |source| WriteError::Io { operation, source }
}

impl From<ClaimError> for WriteError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Taken { lock, holder } => Self::Taken { lock, holder },
            ClaimError::Io(source) => failed("locking the folder")(source),
        }
    }
}

/// The action on the current file before a new chain can start in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CurrentFileAction {
    /// Nothing.
    Clear,
    /// It becomes a full file. `first_seq` is the number of its first record; it is truncated to
    /// `cut` bytes if it ends within a line.
    Roll { first_seq: u64, cut: Option<u64> },
    /// It is not a journal and is set aside.
    SetAside,
}

/// The content of the first record of a new chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ChainBeginning {
    reason: Option<String>,
    set_aside: Vec<String>,
    after: Option<Predecessor>,
}

/// The state of the current file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CurrentFile {
    /// The length in bytes up to which it holds acknowledged records.
    length: u64,
    /// The number of its first record; `None` while it is empty.
    first_seq: Option<u64>,
    opened: bool,
    /// There may be bytes after `length`.
    must_cut: bool,
    /// Its content or its truncation may not be durable: a killed run may have left it so.
    must_sync: bool,
}

/// The limits on stored files.
#[derive(Clone, Copy, Debug)]
struct FileLimits {
    file_bytes: u64,
    files: usize,
}

/// Writes the journal in one folder.
pub(super) struct JournalWriter<S> {
    storage: S,
    file_limits: FileLimits,
    device: String,
    /// Whether this process holds the lock and has read the folder since.
    is_ready: bool,
    /// The newest durable record; `None` when a new chain must start.
    head: Option<RecordPosition>,
    /// The highest number known to be in use.
    newest: u64,
    action: CurrentFileAction,
    beginning: ChainBeginning,
    file: Option<CurrentFile>,
    must_sync_folder: bool,
    /// When the agent was last known to run.
    alive_at: Option<Stamp>,
    /// How another process changed the current file since it was opened.
    changed: Option<String>,
}

impl<S: Storage> JournalWriter<S> {
    pub(super) fn new(storage: S, device: &str) -> Self {
        Self {
            storage,
            file_limits: FileLimits { file_bytes: files::FILE_BYTES, files: files::FILES },
            device: device.to_owned(),
            is_ready: false,
            head: None,
            newest: 0,
            action: CurrentFileAction::Clear,
            beginning: ChainBeginning::default(),
            file: None,
            // The previous run may have ended between creating a file and syncing its name.
            must_sync_folder: true,
            alive_at: None,
            changed: None,
        }
    }

    /// Locks and reads the folder, as far as either is possible now.
    ///
    /// # Errors
    /// [`WriteError::Taken`]: another agent holds the lock.
    pub(super) fn open(
        &mut self,
        now: Stamp,
    ) -> Result<(Recovered, Option<WriteError>), WriteError> {
        let claimed = match self.storage.claim().map_err(WriteError::from) {
            Err(taken @ WriteError::Taken { .. }) => return Err(taken),
            claimed => claimed,
        };
        let read = recovery::recover(&self.storage, &self.device, None, now);
        Ok(match (read, claimed) {
            (Ok((found, recovered)), claimed) => {
                self.apply_plan(found);
                self.is_ready = claimed.is_ok();
                (recovered, claimed.err())
            }
            (Err(_), Err(error)) => (Recovered::default(), Some(error)),
            (Err(source), Ok(())) => {
                (Recovered::default(), Some(failed("reading the journal")(source)))
            }
        })
    }

    fn apply_plan(&mut self, found: RecoveryPlan) {
        let RecoveryPlan { head, newest, action, reason, after, file } = found;
        self.head = head;
        self.newest = newest.max(self.newest);
        self.action = action;
        self.beginning = ChainBeginning { reason, set_aside: Vec::new(), after };
        self.file = file;
    }

    /// The newest durable record.
    pub(super) fn head(&self) -> Option<&RecordPosition> {
        self.head.as_ref()
    }

    /// Appends the first of these entries, up to one batch, and returns when they are durable.
    /// `None` stands for an entry that is too long to be a record.
    ///
    /// # Errors
    /// Nothing was written; a partial write is truncated now or before the next append.
    pub(super) fn append<'a>(
        &mut self,
        batch: impl IntoIterator<Item = (&'a Entry, Stamp)>,
    ) -> Result<Vec<Option<RecordPosition>>, WriteError> {
        let mut batch = batch.into_iter().peekable();
        let Some((_, now)) = batch.peek().copied() else { return Ok(Vec::new()) };
        self.prepare(now)?;
        if self.newest >= LARGEST_SEQ - APPENDED_AT_ONCE {
            return Err(WriteError::NumbersUsedUp(self.newest));
        }
        let mut bytes = Vec::new();
        let mut last = self.head.clone();
        let mut first_seq = None;
        if last.is_none() {
            let ChainBeginning { reason, set_aside, after } = self.beginning.clone();
            let device = self.device.clone();
            let entry = Entry::ChainStarted { format: FORMAT, device, reason, set_aside, after };
            let seq = self.newest + 1;
            last = push_line(&mut bytes, seq, Digest::none(), &entry, now);
            first_seq = Some(seq);
        }
        let mut written = Vec::new();
        for (entry, at) in batch {
            let (seq, prev) =
                last.clone().map_or((1, Digest::none()), |(seq, digest)| (seq + 1, digest));
            let position = push_line(&mut bytes, seq, prev, entry, at);
            if position.is_some() {
                first_seq.get_or_insert(seq);
                last.clone_from(&position);
            }
            written.push(position);
            if bytes.len() >= BATCH_BYTES {
                break;
            }
        }
        if let (Some(first_seq), Some(last)) = (first_seq, last) {
            self.write(&bytes, first_seq)?;
            self.newest = last.0;
            self.head = Some(last);
            self.beginning = ChainBeginning::default();
            // Only the alive file confirms the newest record.
            self.note_alive(self.alive_at.filter(|at| at.is_at_or_after(now)).unwrap_or(now));
        }
        Ok(written)
    }

    /// Overwrites the alive file. A failure only widens the uncertainty of a crash, so it is
    /// ignored.
    ///
    /// The file names the newest record, so that record must be durable first: otherwise a power
    /// cut could take away one that a killed run left unsynced, and it would look deleted.
    pub(super) fn note_alive(&mut self, at: Stamp) {
        if !self.is_ready {
            return;
        }
        self.alive_at = Some(at);
        let Some((seq, digest)) = &self.head else { return };
        let alive = Alive::new(at, *seq, digest).to_bytes();
        if self.make_durable().is_ok() {
            let _ = self.storage.write_alive(&alive);
        }
    }

    /// Prepares the folder and the current file for an append.
    fn prepare(&mut self, now: Stamp) -> Result<(), WriteError> {
        self.storage.claim()?;
        self.detect_change()?;
        if !self.is_ready {
            // The last acknowledged record is more reliable than the alive file.
            let known = self.head.as_ref();
            let known = known.map(|(seq, hash)| NotedHash { seq: *seq, hash: hash.to_string() });
            let (found, _) = recovery::recover(&self.storage, &self.device, known, now)
                .map_err(failed("reading the journal"))?;
            self.apply_plan(found);
            if let (Some(reason), Some(change)) = (&mut self.beginning.reason, self.changed.take())
            {
                *reason = format!("{change}: {reason}");
            }
            self.is_ready = true;
        }
        self.clear_current()?;
        self.make_durable()
    }

    /// Makes the content of the current file, up to its length, and its name durable.
    fn make_durable(&mut self) -> Result<(), WriteError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if !file.opened {
            if let Err(error) = self.storage.open_current(false) {
                // It is not the file that was read before.
                self.is_ready = false;
                return Err(failed("opening journal.ndjson")(error));
            }
            file.opened = true;
        }
        if file.must_cut {
            self.storage.cut(file.length).map_err(failed("cutting journal.ndjson"))?;
        }
        if file.must_sync {
            self.storage.sync().map_err(failed("syncing journal.ndjson"))?;
        }
        file.must_cut = false;
        file.must_sync = false;
        self.sync_folder()
    }

    /// Makes the names of the files durable, if any may not be.
    fn sync_folder(&mut self) -> Result<(), WriteError> {
        if self.must_sync_folder {
            self.storage.sync_folder().map_err(failed("syncing the folder"))?;
            self.must_sync_folder = false;
        }
        Ok(())
    }

    /// Detects that another process removed, replaced or wrote to the current file; then the folder
    /// is read again, as at start.
    fn detect_change(&mut self) -> Result<(), WriteError> {
        let Some(file) = self.file.filter(|file| self.is_ready && file.opened) else {
            return Ok(());
        };
        let what = match self.storage.current().map_err(failed("checking journal.ndjson"))? {
            Current::InPlace(length) if length == file.length || file.must_cut => return Ok(()),
            Current::InPlace(_) => "written to by something else",
            Current::Missing => "deleted",
            Current::Replaced => "replaced",
        };
        self.storage.close_current();
        self.file = None;
        self.is_ready = false;
        self.changed = Some(format!("{} was {what} while the agent ran", files::CURRENT));
        Ok(())
    }

    /// Moves the current file out of the way of a new chain.
    fn clear_current(&mut self) -> Result<(), WriteError> {
        match self.action.clone() {
            CurrentFileAction::Clear => return Ok(()),
            CurrentFileAction::Roll { first_seq, cut } => {
                self.storage
                    .open_current(false)
                    .and_then(|()| cut.map_or(Ok(()), |length| self.storage.cut(length)))
                    .and_then(|()| self.storage.sync())
                    .map_err(failed("syncing journal.ndjson"))?;
                self.roll(first_seq)?;
            }
            CurrentFileAction::SetAside => {
                let names = self.storage.names().map_err(failed("listing the folder"))?;
                let name = (1..=u32::MAX).map(files::set_aside).find(|name| !names.contains(name));
                let name = name.unwrap_or_default();
                self.storage
                    .rename(files::CURRENT, &name)
                    .map_err(failed("setting journal.ndjson aside"))?;
                self.beginning.set_aside.push(name);
                self.must_sync_folder = true;
            }
        }
        self.action = CurrentFileAction::Clear;
        self.file = None;
        Ok(())
    }

    /// Gives the current file its final name, and deletes the oldest files beyond the limit.
    fn roll(&mut self, first_seq: u64) -> Result<(), WriteError> {
        let names = self.storage.names().map_err(failed("listing the folder"))?;
        let name = files::free_rolled(first_seq, &names);
        self.storage.rename(files::CURRENT, &name).map_err(failed("renaming journal.ndjson"))?;
        self.storage.close_current();
        self.file = None;
        self.must_sync_folder = true;
        // If this fails, one file too many until the next time does no harm.
        let full = recovery::full_files(&self.storage).unwrap_or_default();
        let surplus = (full.len() + 1).saturating_sub(self.file_limits.files);
        for name in &full[..surplus] {
            let _ = self.storage.remove(name);
        }
        Ok(())
    }

    /// Appends bytes durably; `first_seq` is the number of the first record in them.
    fn write(&mut self, bytes: &[u8], first_seq: u64) -> Result<(), WriteError> {
        if let Some(CurrentFile { length, first_seq: Some(first_seq), .. }) = self.file
            && length + bytes.len() as u64 > self.file_limits.file_bytes
        {
            self.roll(first_seq)?;
        }
        let length = if let Some(file) = &self.file {
            file.length
        } else {
            if let Err(error) = self.storage.open_current(true) {
                // Another process may have created the file.
                self.is_ready = error.kind() != io::ErrorKind::AlreadyExists;
                return Err(failed("creating journal.ndjson")(error));
            }
            self.must_sync_folder = true;
            0
        };
        let created = CurrentFile {
            length,
            first_seq: None,
            opened: true,
            must_cut: false,
            must_sync: false,
        };
        let written = self
            .storage
            .write(length, bytes)
            .map_err(failed("writing journal.ndjson"))
            .and_then(|()| self.storage.sync().map_err(failed("syncing journal.ndjson")))
            .and_then(|()| self.sync_folder());
        let file = self.file.get_or_insert(created);
        if let Err(error) = written {
            // Now, so that no reader sees it; and again before the next append, in case this fails.
            let _ = self.storage.cut(length);
            file.must_cut = true;
            file.must_sync = true;
            return Err(error);
        }
        file.length += bytes.len() as u64;
        file.first_seq.get_or_insert(first_seq);
        Ok(())
    }
}

/// Adds a record as a line. Returns `None` and adds nothing if the line is too long.
fn push_line(
    bytes: &mut Vec<u8>,
    seq: u64,
    prev: Digest,
    entry: &Entry,
    at: Stamp,
) -> Option<RecordPosition> {
    let record = Record { seq, prev, at, entry: entry.clone() };
    // Writing to memory cannot fail, and every key is a string.
    let line = serde_json::to_vec(&record).ok().filter(|line| line.len() <= LONGEST_LINE)?;
    let digest = Digest::of(&line);
    bytes.extend_from_slice(&line);
    bytes.push(b'\n');
    Some((seq, digest))
}

#[cfg(test)]
mod tests;
