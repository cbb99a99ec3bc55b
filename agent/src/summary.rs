//! The figures of an hour, which the monitor counts, the journal keeps and the quality is judged by.

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// What an hour, or the watched part of it, was like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// From when.
    pub from: Stamp,
    /// Until when.
    pub to: Stamp,
    /// For how long of it the agent watched, in milliseconds.
    pub observed_ms: u64,
    /// How many rounds were made on doubt.
    pub rounds: u32,
    /// How many of them failed.
    pub rounds_failed: u32,
    /// How many scheduled probes there were.
    pub probes: u32,
    /// How many of them were not answered within a second, or could not be sent because there was no
    /// carrier or route.
    pub lost: u32,
    /// How long the others took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<Quantiles>,
    /// How many heartbeats were delivered.
    pub beats: u32,
    /// How many were not.
    pub beats_failed: u32,
    /// How many failures were too short to be incidents.
    pub blips: u32,
}

/// A distribution of round-trip times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}
