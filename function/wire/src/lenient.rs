//! Deserializers that clamp a value instead of refusing it: a heartbeat with an odd number is still
//! a heartbeat.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use crate::limits;

/// Reads any number, or null, as seconds from 0 to [`limits::QUIET_SECONDS`].
pub(crate) fn quiet_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    // Bounded first, so the cast is lossless.
    Ok(count(deserializer)?.min(limits::QUIET_SECONDS.into()) as u32)
}

/// Reads any number, or null, as a whole number; negative ones become 0.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(LenientCount)
}

/// Reads any number, or null, as milliseconds; negative ones become 0.
pub(crate) fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or_default().max(0.0))
}

struct LenientCount;

impl Visitor<'_> for LenientCount {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        Ok(number.try_into().unwrap_or_default())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
        // The cast saturates: negative numbers become 0.
        Ok(number as u64)
    }

    fn visit_unit<E: de::Error>(self) -> Result<u64, E> {
        Ok(0)
    }
}
