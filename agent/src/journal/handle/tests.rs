//! The writer thread and its handle, on real folders and on disks that hang.

use std::{
    fs,
    io::Read,
    sync::{Condvar, Mutex, PoisonError},
};

use jiff::Timestamp;

use super::*;
use crate::journal::{
    JournalReader, alive, last_alive,
    queue::CAPACITY,
    storage::{ClaimError, Current},
};

const DEVICE: &str = "dl-home";

fn at(seconds: u64) -> Stamp {
    let wall = Timestamp::from_second(1_800_000_000).expect("a time");
    let boot = crate::clock::BootId::UNKNOWN;
    Stamp { boot, boot_ms: 0, wall }.later(Duration::from_secs(seconds))
}

fn entry(text: &str) -> Entry {
    Entry::AgentStopped { reason: text.to_owned() }
}

/// Short limits: a test has no time for a minute of back-off.
fn soon() -> JournalTimeouts {
    let retry = (Duration::from_millis(1), Duration::from_millis(10));
    JournalTimeouts { open: Duration::from_mins(1), retry }
}

fn open(folder: &Path) -> Journal {
    let (journal, _) =
        Journal::open_with_storage(StateFolder::new(folder), folder, DEVICE, at(0), soon())
            .expect("the journal opens");
    journal
}

fn texts(folder: &Path) -> Vec<String> {
    let records = JournalReader::open(folder).expect("there is a journal");
    let text = |located: crate::journal::Located| match located.record.entry {
        Entry::AgentStopped { reason } => Some(reason),
        _ => None,
    };
    records.filter_map(|read| text(read.expect("the line is undamaged"))).collect()
}

/// Waits until the state of the journal satisfies `wanted`.
async fn until(journal: &Journal, wanted: impl FnMut(&JournalState) -> bool) -> JournalState {
    let mut state = journal.subscribe();
    let found = timeout(Duration::from_mins(1), state.wait_for(wanted)).await;
    found.expect("the state is reached in time").expect("the journal is still open").clone()
}

#[tokio::test]
async fn a_record_is_on_disk_when_its_future_resolves_to_durable() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("deeper/state");
    let journal = open(&folder);
    let appended = journal.append(entry("one"), at(1)).await;
    let Appended::Durable { seq: 2, digest } = appended else { panic!("{appended:?}") };
    let state = journal.state();
    assert_eq!(state.head.expect("the head is set").head, digest.as_str());
    assert_eq!((state.waiting, state.dropped, state.problem), (0, 0, None));
    assert_eq!(texts(&folder), ["one"]);
}

#[tokio::test]
async fn every_user_can_read_the_journal_and_only_the_owner_can_open_the_lock() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("state");
    let journal = open(&folder);
    journal.append(entry("one"), at(1)).await;
    journal.note_alive(at(60));
    assert!(journal.close(Duration::from_mins(1)).await);
    let mode = |name: &str| {
        let metadata = fs::metadata(folder.join(name)).expect("the file exists");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o755);
    assert_eq!([mode("journal.ndjson"), mode("alive"), mode("lock")], [0o644, 0o644, 0o600]);
    assert_eq!(last_alive(&folder), Some(at(60)));
}

#[tokio::test]
async fn a_second_agent_gets_the_process_id_of_the_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = open(folder.path());
    let Err(error) = Journal::open(folder.path(), DEVICE, at(0)) else {
        panic!("the lock is taken")
    };
    let text = error.to_string();
    let holder = format!("another agent (process {})", std::process::id());
    assert!(text.starts_with(&holder) && text.contains("lock"), "{text}");
    assert!(first.close(Duration::from_mins(1)).await);
    Journal::open(folder.path(), DEVICE, at(0)).expect("the first agent released the lock");
}

#[tokio::test]
async fn records_appended_before_a_close_are_written_and_later_ones_dropped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = open(folder.path());
    let early: Vec<_> =
        (0..100).map(|number| journal.append(entry(&number.to_string()), at(1))).collect();
    assert!(journal.close(Duration::from_mins(1)).await);
    assert_eq!(journal.append(entry("late"), at(2)).await, Appended::Dropped);
    assert_eq!(texts(folder.path()).len(), 100);
    for appending in early {
        assert!(matches!(appending.await, Appended::Durable { .. }));
    }
}

#[tokio::test]
async fn records_wait_for_a_folder_that_does_not_exist_yet() {
    let place = tempfile::tempdir().expect("a temporary folder");
    // A file where the folder's parent should be: no user, not even root, can create the folder.
    let parent = place.path().join("mount");
    fs::write(&parent, "").expect("a file");
    let folder = parent.join("ispmon");
    let journal = open(&folder);
    assert_eq!(journal.append(entry("one"), at(1)).await, Appended::Waiting);
    assert_eq!(journal.append(entry("two"), at(2)).await, Appended::Waiting);
    let state = until(&journal, |state| state.waiting == 2).await;
    let problem = state.problem.expect("the problem is reported");
    assert!(problem.contains("cannot be written: locking the folder fails: "), "{problem}");
    fs::remove_file(&parent).expect("it existed");
    let state = until(&journal, |state| state.waiting == 0).await;
    assert_eq!(state.problem, None);
    let records = JournalReader::open(&folder).expect("there is a journal now");
    let stamps: Vec<_> =
        records.map(|read| read.expect("the line is undamaged").record.at).collect();
    assert_eq!(stamps, [at(1), at(1), at(2)], "each record keeps the time at which it happened");
}

#[tokio::test]
async fn a_folder_that_is_deleted_while_the_agent_runs_is_recreated() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("state");
    let journal = open(&folder);
    journal.append(entry("one"), at(1)).await;
    fs::remove_dir_all(&folder).expect("it existed");
    let appended = journal.append(entry("two"), at(2)).await;
    assert!(matches!(appended, Appended::Durable { seq: 4, .. }), "{appended:?}");
    assert_eq!(texts(&folder), ["two"]);
    Journal::open(&folder, DEVICE, at(0)).expect_err("the new folder is locked as well");
}

/// A disk that hangs while the gate is shut.
struct Gated {
    folder: StateFolder,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(shut, |shut| *shut));
    }
}

impl Storage for Gated {
    fn claim(&mut self) -> Result<(), ClaimError> {
        self.gate.pass();
        self.folder.claim()
    }
    fn names(&self) -> io::Result<Vec<String>> {
        self.folder.names()
    }
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        self.folder.read(name)
    }
    fn open_current(&mut self, new: bool) -> io::Result<()> {
        self.folder.open_current(new)
    }
    fn close_current(&mut self) {
        self.folder.close_current();
    }
    fn current(&self) -> io::Result<Current> {
        self.folder.current()
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.folder.write(offset, bytes)
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.folder.cut(length)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.folder.sync()
    }
    fn sync_folder(&mut self) -> io::Result<()> {
        self.folder.sync_folder()
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }
    fn write_alive(&mut self, bytes: &[u8; alive::BYTES]) -> io::Result<()> {
        self.folder.write_alive(bytes)
    }
}

fn gated(folder: &Path, limits: JournalTimeouts) -> (Journal, Arc<Gate>, Recovered, OpenedAtLast) {
    let gate = Arc::new(Gate::default());
    let guard = OpenedAtLast(Arc::clone(&gate));
    if limits.open.is_zero() {
        gate.set(true);
    }
    let storage = Gated { folder: StateFolder::new(folder), gate: Arc::clone(&gate) };
    let (journal, recovered) = Journal::open_with_storage(storage, folder, DEVICE, at(0), limits)
        .expect("the journal opens");
    (journal, gate, recovered, guard)
}

/// Opens the gate at the end, so that no thread hangs after the test.
struct OpenedAtLast(Arc<Gate>);

impl Drop for OpenedAtLast {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_disk_delays_neither_the_agent_nor_its_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, gate, _, _guard) = gated(folder.path(), soon());
    gate.set(true);
    let begun = Instant::now();
    assert_eq!(journal.append(entry("one"), at(1)).await, Appended::Waiting);
    assert_eq!(begun.elapsed(), APPEND_LIMIT);
    let state = journal.state();
    assert!(state.problem.expect("the problem is reported").contains("does not answer"));
    assert_eq!(state.waiting, 1);
    assert!(!journal.close(Duration::from_millis(400)).await, "the disk still hangs");
}

#[tokio::test]
async fn a_disk_that_hangs_at_start_is_used_once_it_responds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let limits = JournalTimeouts { open: Duration::ZERO, ..soon() };
    let (journal, gate, recovered, _guard) = gated(folder.path(), limits);
    assert!(recovered.notes[0].contains("does not answer"), "{:?}", recovered.notes);
    let appending = journal.append(entry("one"), at(1));
    gate.set(false);
    assert!(matches!(appending.await, Appended::Durable { .. }));
    assert_eq!(journal.state().problem, None);
}

#[tokio::test]
async fn dropped_records_are_counted_in_their_position() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, gate, _, _guard) = gated(folder.path(), soon());
    gate.set(true);
    let surplus = 7;
    for number in 0..CAPACITY + surplus {
        drop(journal.append(entry(&number.to_string()), at(number as u64)));
    }
    assert_eq!(journal.append(entry("lost too"), at(2_000)).await, Appended::Dropped);
    assert_eq!(journal.state().dropped, 8);
    gate.set(false);
    until(&journal, |state| state.head.as_ref().is_some_and(|head| head.seq == 1_002)).await;
    let appended = journal.append(entry("after it"), at(3_000)).await;
    assert!(matches!(appended, Appended::Durable { seq: 1_003, .. }), "{appended:?}");
    let records = JournalReader::open(folder.path()).expect("there is a journal");
    let records: Vec<_> = records.map(|read| read.expect("the line is undamaged").record).collect();
    let dropped = &records[1 + CAPACITY];
    assert_eq!(dropped.entry, Entry::RecordsDropped { count: 8, since: at(1_000) });
    assert_eq!(dropped.at, at(2_000));
}
