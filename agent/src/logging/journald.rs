//! journald's native protocol, through tracing-journald.
//!
//! That crate is a tracing layer. It sends where a tracing event is made, and a journald that is stopped blocks the
//! sender for ever. So log events go through the queue as for every output, and only the log's thread makes
//! tracing events of them, for a subscriber of its own.

use std::io;

use tracing::{Dispatch, dispatcher, level_filters::LevelFilter};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{filter::filter_fn, layer::SubscriberExt};

use super::line::EventLine;
use crate::event;

/// The name by which `journalctl -t` finds the lines.
const IDENTIFIER: &str = "ispmon-agent";

/// A connection to journald. It survives journald's restart: each line is sent to the socket's path.
pub(super) struct Journald {
    dispatch: Dispatch,
}

impl Journald {
    /// Connects; waits for as long as journald is stopped.
    ///
    /// # Errors
    /// Nobody listens.
    pub(super) fn connect() -> io::Result<Self> {
        let layer = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier(IDENTIFIER.to_owned())
            // What is an event for a person stays below what may need one: `-p warning` shows the latter.
            .with_priority_mappings(PriorityMappings {
                error: Priority::Error,
                warn: Priority::Warning,
                info: Priority::Informational,
                debug: Priority::Debug,
                trace: Priority::Debug,
            });
        // It must not make the rest of the program compute events that nobody reads.
        let ours = filter_fn(|metadata| metadata.target() == event::TARGET)
            .with_max_level_hint(LevelFilter::DEBUG);
        let subscriber = tracing_subscriber::registry().with(ours).with(layer);
        Ok(Self { dispatch: Dispatch::new(subscriber) })
    }

    /// Sends a line; waits for as long as journald is stopped. journald dates it by its arrival, so the true
    /// time is a field.
    pub(super) fn write(&self, line: &EventLine) {
        let mut fields = line.fields.clone();
        fields.set("ispmon_time", line.at);
        dispatcher::with_default(&self.dispatch, || {
            event::send_to_tracing(line.level, &fields, &line.sentence());
        });
    }
}
