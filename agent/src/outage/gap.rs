//! Unmonitored periods.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::IncidentId;
use crate::clock::Stamp;

/// An unmonitored period: neither up nor down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The unique id of the gap.
    pub id: IncidentId,
    /// Why nothing was monitored.
    pub cause: GapCause,
    /// The last monitored moment. After a crash or a power cut it is the last one that was stored, up
    /// to a minute too early.
    pub started: Stamp,
    /// When monitoring resumed.
    pub ended: Stamp,
    /// How far `started` may be off, in seconds: 0 for an announced gap.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncertain_s: u32,
    /// Why this device could not send probes, such as `no_descriptors`; only for [`GapCause::Blind`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why nothing was monitored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The machine slept.
    Suspended,
    /// The agent was paused by a user.
    Paused,
    /// The agent was stopped cleanly.
    Stopped,
    /// The agent crashed or was killed: the same boot continued without it.
    Crashed,
    /// The machine went down without stopping the agent: a power cut, a panic, a hard reset.
    PowerLost,
    /// This device could not send probes for ten seconds or longer: no free descriptor, no memory, no
    /// free port.
    Blind,
}

impl GapCause {
    /// The name in the journal, on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::PowerLost => "power_lost",
            Self::Blind => "blind",
        }
    }

    /// Why nothing was monitored, as the end of a sentence for users.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Suspended => "the machine slept",
            Self::Paused => "the agent was paused",
            Self::Stopped => "the agent was stopped",
            Self::Crashed => "the agent ended without a stop",
            Self::PowerLost => "the machine went down without a stop",
            Self::Blind => "this device could not send probes",
        }
    }
}

impl fmt::Display for GapCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
