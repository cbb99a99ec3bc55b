//! journald's native protocol, through tracing-journald.
//!
//! That crate is a tracing layer, which sends on the thread that emits a tracing event, and a stopped
//! journald blocks that thread forever. So log events pass through the queue as for every output, and only
//! the log's thread emits them as tracing events, to a subscriber of its own.

use std::io;

use tracing::{Dispatch, dispatcher, level_filters::LevelFilter};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{filter::filter_fn, layer::SubscriberExt};

use super::line::EventLine;
use crate::event;

/// The syslog identifier, by which `journalctl -t` finds the log lines.
const IDENTIFIER: &str = "ispmon-agent";

/// A connection to journald. It survives a restart of journald: each line is sent to the socket's path.
pub(super) struct Journald {
    dispatch: Dispatch,
}

impl Journald {
    /// Connects; waits for as long as journald is stopped.
    ///
    /// # Errors
    /// journald's socket does not exist or refuses the connection.
    pub(super) fn connect() -> io::Result<Self> {
        let layer = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier(IDENTIFIER.to_owned())
            // The crate's default logs `info` as notice and `debug` as informational. With these levels,
            // `-p notice` and `-p warning` show only what may require action.
            .with_priority_mappings(PriorityMappings {
                error: Priority::Error,
                warn: Priority::Warning,
                info: Priority::Informational,
                debug: Priority::Debug,
                trace: Priority::Debug,
            });
        // So that tracing calls in other crates stay disabled and cost nothing.
        let ours = filter_fn(|metadata| metadata.target() == event::TARGET)
            .with_max_level_hint(LevelFilter::DEBUG);
        let subscriber = tracing_subscriber::registry().with(ours).with(layer);
        Ok(Self { dispatch: Dispatch::new(subscriber) })
    }

    /// Sends a line; blocks while journald is stopped. journald stamps it with its arrival, so the time of
    /// the event is a field.
    pub(super) fn write(&self, line: &EventLine) {
        let mut fields = line.fields.clone();
        fields.set("ispmon_time", line.at);
        dispatcher::with_default(&self.dispatch, || {
            event::send_to_tracing(line.level, &fields, &line.single_line_text());
        });
    }
}
