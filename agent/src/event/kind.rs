//! The fixed part of a log event: its name, its `MESSAGE_ID`, its level and its entry in the message catalog.

use tracing::Level;

/// What all log events of one kind have in common.
#[derive(Debug)]
pub struct EventKind {
    /// The name in the field `ISPMON_EVENT`, such as `incident_closed`.
    pub name: &'static str,
    /// 32 hexadecimal digits: `journalctl MESSAGE_ID=…` finds events of this kind by it, and the catalog
    /// explains them by it. An id never changes and is never used again.
    pub message_id: &'static str,
    /// `info` when all is well, `warn` when somebody may have to act, `error` when a request was not carried
    /// out, `debug` for what happens all the time.
    pub level: Level,
    /// The entry in the catalog; `None` when the sentence says everything.
    pub explanation: Option<Explanation>,
}

/// One entry of the message catalog, which `journalctl -x` shows below the sentence.
#[derive(Debug)]
pub struct Explanation {
    /// The heading. `@NAME@` stands for the value of a field.
    pub subject: &'static str,
    /// Paragraphs, separated by empty lines; `@NAME@` stands for the value of a field. A line that begins with
    /// spaces stays as it is.
    pub text: &'static str,
}

impl EventKind {
    /// A kind of event without an entry in the catalog.
    pub(super) const fn new(name: &'static str, message_id: &'static str, level: Level) -> Self {
        Self { name, message_id, level, explanation: None }
    }

    /// The same kind with an entry in the catalog.
    pub(super) const fn explained(self, subject: &'static str, text: &'static str) -> Self {
        Self { explanation: Some(Explanation { subject, text }), ..self }
    }
}
