//! The fields of a log event for programs; the sentence is for people.
//!
//! tracing needs the names of fields at compile time, so all events share one list of names; fields without a
//! value are absent from an event.

#[cfg(target_os = "linux")]
use tracing::Level;

/// Calls a macro with the name of every field.
macro_rules! with_names {
    ($call:ident!($($arguments:tt)*)) => {
        $call! {
            $($arguments)*
            message_id
            ispmon_event
            ispmon_time
            ispmon_device
            ispmon_id
            ispmon_scope
            ispmon_cause
            ispmon_party
            ispmon_started
            ispmon_ended
            ispmon_duration_s
            ispmon_downtime_s
            ispmon_one_family_s
            ispmon_failures
            ispmon_reason
            ispmon_durable
            ispmon_quiet_s
            ispmon_count
            ispmon_by_ms
            ispmon_source
        }
    };
}

macro_rules! strings {
    ($($name:ident)*) => { &[$(stringify!($name),)*] };
}

#[cfg(target_os = "linux")]
macro_rules! log_at {
    ($level:expr, $fields:ident, $sentence:ident, $($name:ident)*) => {
        tracing::event!($level, $($name = $fields.get(stringify!($name)),)* "{}", $sentence)
    };
}

/// Names in lower case with their values, in the order in which they were added. journald shows the names in
/// upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// All possible names.
    pub const NAMES: &[&str] = with_names!(strings!());

    /// The value of a field, if the event has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All fields, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Adds a field. Its name must be one of [`NAMES`](Self::NAMES); any other is never logged.
    #[allow(clippy::needless_pass_by_value, reason = "callers pass numbers and names alike")]
    pub(crate) fn set(&mut self, name: &'static str, value: impl ToString) {
        debug_assert!(Self::NAMES.contains(&name), "{name} is missing in Fields::NAMES");
        self.0.push((name, value.to_string()));
    }

    /// Adds a field if there is a value.
    pub(super) fn set_optional(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

/// The target of the tracing events that [`send_to_tracing`] emits.
#[cfg(target_os = "linux")]
pub(crate) const TARGET: &str = module_path!();

/// Emits a sentence and its fields as a tracing event to the current subscriber.
#[cfg(target_os = "linux")]
pub(crate) fn send_to_tracing(level: Level, fields: &Fields, sentence: &str) {
    match level {
        Level::ERROR => with_names!(log_at!(Level::ERROR, fields, sentence,)),
        Level::WARN => with_names!(log_at!(Level::WARN, fields, sentence,)),
        Level::INFO => with_names!(log_at!(Level::INFO, fields, sentence,)),
        Level::DEBUG => with_names!(log_at!(Level::DEBUG, fields, sentence,)),
        Level::TRACE => with_names!(log_at!(Level::TRACE, fields, sentence,)),
    }
}
