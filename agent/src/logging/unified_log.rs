//! The unified log of macOS (`os_log`).
//!
//! Read it with `log show --predicate 'subsystem == "net.ispmon.agent"'`; category `outages` holds incidents
//! and gaps alone. Own code over the small `oslog`, because tracing-oslog keeps every span's fields for ever.

use oslog::{Level as LogType, OsLog};
use tracing::Level;

use super::line::EventLine;

/// The subsystem of every message.
const SUBSYSTEM: &str = "net.ispmon.agent";

/// The log, by category.
pub(super) struct UnifiedLog {
    agent: OsLog,
    outages: OsLog,
}

impl UnifiedLog {
    pub(super) fn open() -> Self {
        Self { agent: OsLog::new(SUBSYSTEM, "agent"), outages: OsLog::new(SUBSYSTEM, "outages") }
    }

    /// Writes a line, all of it public: it holds no secret, and a private one would be hidden from its
    /// owner.
    pub(super) fn write(&self, line: &EventLine) {
        let sentence = line.sentence();
        match line.fields.get("ispmon_id") {
            Some(id) => {
                self.outages.with_level(log_type(line.level), &format!("{sentence} [{id}]"));
            }
            None => self.agent.with_level(log_type(line.level), &sentence),
        }
    }
}

/// The type that stands for a level. `Info` is kept in memory only, so that what people look for later is at
/// `Default`.
fn log_type(level: Level) -> LogType {
    match level {
        Level::ERROR | Level::WARN => LogType::Error,
        Level::INFO => LogType::Default,
        Level::DEBUG | Level::TRACE => LogType::Debug,
    }
}
