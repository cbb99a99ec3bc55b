//! Where log events go: the log of the process, once it has been started.

use std::sync::OnceLock;

use tracing::Level;

use super::{Fields, LogEvent};

/// Takes log events. It must not block: events come from the agent's event loop.
pub trait LogSink: Send + Sync {
    /// Whether events of this level are wanted now; the others are not even put into words.
    fn is_enabled(&self, level: Level) -> bool;

    /// Takes one event: its level, its sentence and its fields.
    fn take(&self, level: Level, sentence: String, fields: Fields);
}

static SINK: OnceLock<Box<dyn LogSink>> = OnceLock::new();

/// Sends all events of this process to `sink` from now on. Returns `false`, and changes nothing, when there is a
/// sink already.
pub fn set_sink(sink: Box<dyn LogSink>) -> bool {
    SINK.set(sink).is_ok()
}

/// Hands an event to the sink; drops it when there is none.
pub(super) fn emit(level: Level, event: &(impl LogEvent + ?Sized)) {
    if let Some(sink) = SINK.get().filter(|sink| sink.is_enabled(level)) {
        sink.take(level, event.to_string(), event.fields());
    }
}
