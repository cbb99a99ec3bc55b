//! The fixed part of a log event: its name, its `MESSAGE_ID`, its level and its entry in the message catalog.

use tracing::Level;

/// The part that all log events of one kind share.
#[derive(Debug)]
pub struct EventKind {
    /// The name in the field `ISPMON_EVENT`, such as `incident_closed`.
    pub name: &'static str,
    /// 32 hexadecimal digits, by which `journalctl MESSAGE_ID=…` finds events of this kind and the catalog
    /// explains them. An id never changes and is never reused.
    pub message_id: &'static str,
    /// `info` for a normal change of state, `warn` when the owner may have to act, `error` when a request
    /// was refused or the agent has a defect, `debug` for what happens all the time.
    pub level: Level,
    /// The entry in the catalog; `None` when the sentence needs no explanation.
    pub explanation: Option<Explanation>,
}

/// One entry of the message catalog, which `journalctl -x` shows below the sentence.
#[derive(Debug)]
pub struct Explanation {
    /// The heading. `@NAME@` is replaced by the value of a field.
    pub subject: &'static str,
    /// Paragraphs, separated by empty lines; `@NAME@` is replaced by the value of a field. A paragraph that
    /// begins with spaces is not wrapped.
    pub text: &'static str,
}

impl EventKind {
    /// Creates a kind of event without an entry in the catalog.
    pub(super) const fn new(name: &'static str, message_id: &'static str, level: Level) -> Self {
        Self { name, message_id, level, explanation: None }
    }

    /// Adds an entry in the catalog.
    pub(super) const fn explained(self, subject: &'static str, text: &'static str) -> Self {
        Self { explanation: Some(Explanation { subject, text }), ..self }
    }
}
