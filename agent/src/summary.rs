//! The counters of one hour, which the monitor counts, the journal stores and the quality is computed
//! from.

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// Counters of one hour, or of the monitored part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Start of the period.
    pub from: Stamp,
    /// End of the period.
    pub to: Stamp,
    /// How long the agent monitored within it, in milliseconds.
    pub observed_ms: u64,
    /// Rounds that were probed because of a doubt.
    pub rounds: u32,
    /// How many of those rounds failed.
    pub rounds_failed: u32,
    /// Scheduled probes.
    pub probes: u32,
    /// Scheduled probes that were not answered within a second, or could not be sent for lack of a
    /// carrier or route.
    pub lost: u32,
    /// Round-trip times of the answered probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<Quantiles>,
    /// Heartbeats that were delivered.
    pub beats: u32,
    /// Heartbeats that failed.
    pub beats_failed: u32,
    /// Failures that were too short to be incidents.
    pub blips: u32,
}

/// A distribution of round-trip times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The maximum.
    pub max: f64,
}
