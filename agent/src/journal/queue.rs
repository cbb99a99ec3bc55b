//! The bounded queue between the callers that append and the thread that writes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{Digest, chain::RecordPosition, record::Entry, state::JournalState};
use crate::clock::Stamp;

/// The largest number of records that wait in memory.
pub(super) const CAPACITY: usize = 1_000;
/// The largest number of records that the thread takes at once.
const BATCH: usize = 64;

/// The outcome of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is on disk and survives a power cut.
    Durable {
        /// Its number.
        seq: u64,
        /// Its hash.
        digest: Digest,
    },
    /// It waits in memory until the journal can be written again.
    Waiting,
    /// It is lost: too many records wait, the journal is closed, or the record is too long.
    Dropped,
}

/// The next task of the thread.
pub(super) enum JournalWork {
    /// Append these; they stay in the queue until [`JournalQueue::written`].
    Append(Vec<(Entry, Stamp)>),
    /// Overwrite the alive file.
    Alive(Stamp),
    /// End the thread.
    Stop,
}

pub(super) struct JournalQueue {
    state: Mutex<JournalQueueState>,
    changed: Condvar,
    published: watch::Sender<JournalState>,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct JournalQueueState {
    waiting: VecDeque<WaitingRecord>,
    /// The records that were lost after the last waiting one.
    dropped: Option<Dropped>,
    /// After a failure: records are not written before this moment.
    retry_at: Option<Instant>,
    alive: Option<Stamp>,
    closing: bool,
}

struct WaitingRecord {
    entry: Entry,
    at: Stamp,
    caller: Option<oneshot::Sender<Appended>>,
}

struct Dropped {
    count: u64,
    since: Stamp,
    last: Stamp,
}

impl JournalQueue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            published: watch::Sender::default(),
            ended: watch::Sender::default(),
        }
    }

    /// Adds a record, or counts it as dropped. Never waits for the disk.
    pub(super) fn push(&self, entry: Entry, at: Stamp) -> oneshot::Receiver<Appended> {
        let (caller, answer) = oneshot::channel();
        let mut state = self.lock();
        // The `records_dropped` record needs room too, to stand in the position of the lost ones.
        let needed = 1 + usize::from(state.dropped.is_some());
        if state.closing || state.waiting.len() + needed > CAPACITY {
            let dropped = state.dropped.get_or_insert(Dropped { count: 0, since: at, last: at });
            dropped.count += 1;
            dropped.last = at;
            self.published.send_modify(|seen| seen.dropped += 1);
            // The caller may have dropped its receiver, here and below.
            let _ = caller.send(Appended::Dropped);
            return answer;
        }
        state.note_dropped();
        let caller = if state.retry_at.is_some() {
            let _ = caller.send(Appended::Waiting);
            let waiting = state.waiting.len() + 1;
            self.published.send_modify(|seen| seen.waiting = waiting);
            None
        } else {
            Some(caller)
        };
        state.waiting.push_back(WaitingRecord { entry, at, caller });
        drop(state);
        self.changed.notify_all();
        answer
    }

    pub(super) fn note_alive(&self, at: Stamp) {
        self.lock().alive = Some(at);
        self.changed.notify_all();
    }

    /// Waits for the next task.
    pub(super) fn next(&self) -> JournalWork {
        let mut state = self.lock();
        loop {
            if let Some(at) = state.alive.take() {
                return JournalWork::Alive(at);
            }
            if state.waiting.is_empty() {
                state.note_dropped();
            }
            let wait = state.retry_at.map(|at| at.saturating_duration_since(Instant::now()));
            let is_due = state.closing || wait.is_none_or(|wait| wait.is_zero());
            if is_due && !state.waiting.is_empty() {
                let batch = state.waiting.iter().take(BATCH);
                return JournalWork::Append(batch.map(|one| (one.entry.clone(), one.at)).collect());
            }
            if state.closing && state.waiting.is_empty() {
                return JournalWork::Stop;
            }
            state = match wait {
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The first records of the queue are written; `None` stands for one that is too long.
    pub(super) fn written(&self, positions: Vec<Option<RecordPosition>>) {
        let mut state = self.lock();
        state.retry_at = None;
        let mut head = None;
        let mut unwritable = 0;
        let mut answers = Vec::with_capacity(positions.len());
        for position in positions {
            let Some(WaitingRecord { caller, .. }) = state.waiting.pop_front() else { break };
            let appended = if let Some((seq, digest)) = position {
                head = Some(ispmon_wire::JournalHead { seq, head: digest.to_string() });
                Appended::Durable { seq, digest }
            } else {
                unwritable += 1;
                Appended::Dropped
            };
            answers.extend(caller.map(|caller| (caller, appended)));
        }
        let waiting = state.waiting.len();
        self.published.send_modify(|seen| {
            seen.head = head.or_else(|| seen.head.take());
            seen.waiting = waiting;
            seen.dropped += unwritable;
            (seen.problem, seen.advice) = (None, None);
        });
        // After the state, so that a caller that sees its result finds the record in the state.
        for (caller, appended) in answers {
            let _ = caller.send(appended);
        }
    }

    /// Nothing was written; everything waits until `retry_at`. Returns whether the thread continues.
    pub(super) fn not_written(
        &self,
        problem: String,
        advice: Option<String>,
        retry_at: Instant,
    ) -> bool {
        let mut state = self.lock();
        state.retry_at = Some(retry_at);
        self.report(problem, advice, state.waiting.len());
        // After the state, so that a caller that sees its result finds the problem in the state.
        for caller in state.waiting.iter_mut().filter_map(|one| one.caller.take()) {
            let _ = caller.send(Appended::Waiting);
        }
        !state.closing
    }

    /// Reports why records wait although the thread has not failed.
    pub(super) fn report_stalled(&self, problem: String) {
        let state = self.lock();
        self.report(problem, None, state.waiting.len());
    }

    fn report(&self, problem: String, advice: Option<String>, waiting: usize) {
        self.published.send_modify(|seen| {
            seen.waiting = waiting;
            (seen.problem, seen.advice) = (Some(problem), advice);
        });
    }

    /// Sets the newest durable record.
    pub(super) fn set_head(&self, head: Option<&RecordPosition>) {
        let head = head
            .map(|(seq, digest)| ispmon_wire::JournalHead { seq: *seq, head: digest.to_string() });
        self.published.send_modify(|seen| seen.head = head);
    }

    /// Takes no more records; the thread tries once more to write the waiting ones, then ends.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Marks the thread as ended.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<JournalState> {
        self.published.subscribe()
    }

    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, JournalQueueState> {
        // No code that holds the lock panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JournalQueueState {
    fn note_dropped(&mut self) {
        if let Some(Dropped { count, since, last }) = self.dropped.take() {
            let entry = Entry::RecordsDropped { count, since };
            self.waiting.push_back(WaitingRecord { entry, at: last, caller: None });
        }
    }
}
