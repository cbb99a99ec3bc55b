//! The settings of the incident machine.

use std::time::Duration;

/// The settings that decide how fast the machine reacts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineSettings {
    /// The grace period after a start, a resume or a link-up: no incident opens unless a round was good
    /// first.
    pub grace: Duration,
    /// Limits that are the same on every device; only tests change them.
    pub limits: MachineLimits,
}

/// Times and counts that are the same on every device. Tests that simulate an hour in a minute scale
/// them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineLimits {
    /// How long the same refusal must last before the cause is `credentials`: 10 minutes.
    pub credentials_after: Duration,
    /// How many incidents within `unstable_within` make a flapping connection: 6.
    pub unstable_after: usize,
    /// The period of `unstable_after`: 30 minutes.
    pub unstable_within: Duration,
    /// How long a flapping connection must stay up to count as stable again: 10 minutes.
    pub unstable_quiet: Duration,
    /// The shortest time between two progress records of a flapping connection: 15 minutes.
    pub progress_every: Duration,
    /// The period over which loss and latency are measured: 5 minutes.
    pub quality_window: Duration,
    /// How long another cause must hold before it begins a new segment: 3 seconds, the time for one
    /// more probe of each kind.
    pub cause_holds: Duration,
}

impl Default for MachineLimits {
    fn default() -> Self {
        Self {
            credentials_after: Duration::from_mins(10),
            unstable_after: 6,
            unstable_within: Duration::from_mins(30),
            unstable_quiet: Duration::from_mins(10),
            progress_every: Duration::from_mins(15),
            quality_window: Duration::from_mins(5),
            cause_holds: Duration::from_secs(3),
        }
    }
}

impl Default for MachineSettings {
    fn default() -> Self {
        Self { grace: Duration::from_mins(1), limits: MachineLimits::default() }
    }
}
