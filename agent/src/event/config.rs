//! The configuration: advice about it, and the results of a reload.

use std::fmt;

use tracing::Level;

use super::{EventKind, LogEvent};

pub(super) const KINDS: &[&EventKind] =
    &[ADVICE, RELOADED, RELOADED_UNCHANGED, RELOAD_REFUSED, RELOAD_KEPT_OLD];

const ADVICE: &EventKind =
    &EventKind::new("advice", "b680696aea874b7b983d17c691411a2b", Level::WARN);

/// A part of the set-up should be checked.
pub struct Advice<'a> {
    /// The whole sentence.
    pub advice: &'a dyn fmt::Display,
}

impl LogEvent for Advice<'_> {
    fn kind(&self) -> &'static EventKind {
        ADVICE
    }
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice.fmt(formatter)
    }
}

const RELOADED: &EventKind =
    &EventKind::new("reloaded", "474993852eb64a29a407cdca308a13db", Level::INFO);

/// A new configuration is in use.
pub struct ConfigReloaded;

impl LogEvent for ConfigReloaded {
    fn kind(&self) -> &'static EventKind {
        RELOADED
    }
}

impl fmt::Display for ConfigReloaded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("The new configuration is in use.")
    }
}

const RELOADED_UNCHANGED: &EventKind =
    &EventKind::new("reloaded_unchanged", "451359e16f8d4b6daf2dbcf588b43912", Level::INFO);

/// The configuration was read again and is the same.
pub struct ConfigUnchanged;

impl LogEvent for ConfigUnchanged {
    fn kind(&self) -> &'static EventKind {
        RELOADED_UNCHANGED
    }
}

impl fmt::Display for ConfigUnchanged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("The configuration was read again; nothing in it has changed.")
    }
}

const RELOAD_REFUSED: &EventKind =
    &EventKind::new("reload_refused", "bccac3fc45d34feb85f599be8402ea26", Level::ERROR).explained(
        "The new configuration is refused",
        "There is one such message for each reason. The agent goes on with its previous configuration.\n\n\
         Correct /etc/ispmon/agent.toml, look at it with `ispmon-agent config`, and reload the service again.",
    );

/// A new configuration is refused; there is one event for each reason.
pub struct ReloadRefused<'a> {
    /// The reason.
    pub problem: &'a dyn fmt::Display,
}

impl LogEvent for ReloadRefused<'_> {
    fn kind(&self) -> &'static EventKind {
        RELOAD_REFUSED
    }
}

impl fmt::Display for ReloadRefused<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "The new configuration is refused: {}", self.problem)
    }
}

const RELOAD_KEPT_OLD: &EventKind =
    &EventKind::new("reload_kept_old", "855f2f9cf3b14f22a5b8fe3ffbdf4d04", Level::ERROR).explained(
        "The agent goes on with the old configuration",
        "The reasons are in the messages before this one.",
    );

/// The old configuration stays in use, for the reasons logged just before.
pub struct OldConfigKept;

impl LogEvent for OldConfigKept {
    fn kind(&self) -> &'static EventKind {
        RELOAD_KEPT_OLD
    }
}

impl fmt::Display for OldConfigKept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("The agent goes on with the old configuration.")
    }
}
