//! The journal's state as other parts of the agent see it.

use ispmon_wire::JournalHead;

/// The state of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The newest durable record; `None` while there is none.
    pub head: Option<JournalHead>,
    /// How many records wait in memory and are not durable yet.
    pub waiting: usize,
    /// How many records of this run were lost: the queue was full or closed, or the record too
    /// long.
    pub dropped: u64,
    /// Why records wait, as a sentence; `None` while writing works.
    pub problem: Option<String>,
    /// What the user can do about the problem, as a sentence; `None` when nothing is known to help.
    pub advice: Option<String>,
}
