//! Deserialisers that prefer a bounded value to a refusal: a heartbeat with an odd number is still a heartbeat.

use serde::{Deserialize, Deserializer};

use crate::limits;

/// Reads any number, or null, as seconds between 0 and [`limits::QUIET_SECONDS`].
pub(crate) fn quiet_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    // A cast from f64 saturates, and NaN becomes 0.
    Ok((seconds(deserializer)? as u32).min(limits::QUIET_SECONDS))
}

/// Reads any number, or null, as whole seconds, never below 0.
pub(crate) fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(seconds(deserializer)? as u64)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or_default())
}
