//! One row of a timeline, and random choices that all rows share.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::query::Trace;

pub(super) const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A row of the table, and when a query can see it.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) trace: Trace,
    pub(super) visible: Timestamp,
}

/// Returns a line that becomes visible at once, seconds later, far too late, or before its own
/// time.
pub(super) fn arrival(random: &mut Rng, timestamp: Timestamp, message: String) -> Arrival {
    let delay = match random.u8(0..10) {
        0..6 => SignedDuration::ZERO,
        // The clock of the machine that wrote the line is fast.
        6 => SignedDuration::from_secs(random.i64(-30..0)),
        7 | 8 => SignedDuration::from_secs(random.i64(1..203)),
        _ => SignedDuration::from_mins(random.i64(3..90)),
    };
    Arrival { trace: Trace { timestamp, message }, visible: timestamp + delay }
}

/// Returns another spelling of the same device's name.
pub(super) fn spelling(random: &mut Rng, device: &str) -> String {
    let cased = match random.u8(0..3) {
        0 => device.to_owned(),
        1 => device.chars().flat_map(char::to_uppercase).collect(),
        _ => device.chars().flat_map(char::to_lowercase).collect(),
    };
    let pad = ["", "", " ", "  ", "\t"];
    format!("{}{cased}{}", choice(random, &pad), choice(random, &pad))
}

/// Returns one of the values.
pub(super) fn choice<T: Clone>(random: &mut Rng, values: &[T]) -> T {
    values[random.usize(..values.len())].clone()
}
