//! What others see of the journal.

use ispmon_wire::JournalHead;

/// How the journal is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The newest durable record; `None` while there is none.
    pub head: Option<JournalHead>,
    /// How many records wait in memory: they are not yet durable.
    pub waiting: usize,
    /// How many records of this run were lost because memory was full.
    pub dropped: u64,
    /// Why records wait, as a sentence; `None` while all is well.
    pub problem: Option<String>,
    /// What a person can do about the problem, as a sentence, when there is such a thing.
    pub advice: Option<String>,
}
