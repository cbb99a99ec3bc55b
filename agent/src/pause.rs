//! The limits of a pause.

use std::time::Duration;

/// The longest pause, which is the longest silence that a heartbeat can announce.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(ispmon_wire::limits::QUIET_SECONDS as u64);
/// The shortest pause.
pub const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
