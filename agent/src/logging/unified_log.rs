//! The unified log of macOS (`os_log`).
//!
//! Read it with `log show --predicate 'subsystem == "net.ispmon.agent"'`; category `outages` holds only
//! incidents and gaps. Own code over the small `oslog`, because tracing-oslog keeps every span's fields forever.

use oslog::{Level as LogType, OsLog};
use tracing::Level;

use super::line::EventLine;

/// The subsystem of every message.
const SUBSYSTEM: &str = "net.ispmon.agent";

/// One log for each category.
pub(super) struct UnifiedLog {
    agent: OsLog,
    outages: OsLog,
}

impl UnifiedLog {
    pub(super) fn open() -> Self {
        Self { agent: OsLog::new(SUBSYSTEM, "agent"), outages: OsLog::new(SUBSYSTEM, "outages") }
    }

    /// Writes a line, all of it public: it holds no secret, and private text would be hidden from the
    /// device's owner.
    pub(super) fn write(&self, line: &EventLine) {
        let sentence = line.single_line_text();
        match line.fields.get("ispmon_id") {
            Some(id) => {
                self.outages.with_level(log_type(line.level), &format!("{sentence} [{id}]"));
            }
            None => self.agent.with_level(log_type(line.level), &sentence),
        }
    }
}

/// The type for a level. macOS keeps `Info` in memory only, so level `info` becomes `Default`, which is stored.
fn log_type(level: Level) -> LogType {
    match level {
        Level::ERROR | Level::WARN => LogType::Error,
        Level::INFO => LogType::Default,
        Level::DEBUG | Level::TRACE => LogType::Debug,
    }
}
