//! The destination of log events: the log of the process, once it has been started.

use std::sync::{Arc, OnceLock};

use tracing::Level;

use super::{Fields, LogEvent};

/// Receives log events. It must not block: the agent's event loop emits them.
pub trait LogSink: Send + Sync {
    /// Whether events of this level are logged now; for other levels no text is built.
    fn is_enabled(&self, level: Level) -> bool;

    /// Receives one event: its level, its sentence and its fields.
    fn log(&self, level: Level, sentence: String, fields: Fields);
}

static SINK: OnceLock<Arc<dyn LogSink>> = OnceLock::new();

/// Sends all events of this process to `sink` from now on. Returns `false`, and changes nothing, if a sink is
/// already set.
pub fn set_sink(sink: Arc<dyn LogSink>) -> bool {
    SINK.set(sink).is_ok()
}

/// Sends an event to the sink; drops it if none is set.
pub(super) fn emit(level: Level, event: &(impl LogEvent + ?Sized)) {
    if let Some(sink) = SINK.get().filter(|sink| sink.is_enabled(level)) {
        sink.log(level, event.to_string(), event.fields());
    }
}
