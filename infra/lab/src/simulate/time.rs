//! Virtual time: whole milliseconds since the start of the simulated years.

use jiff::Timestamp;

/// A time or a duration in milliseconds.
pub type Millis = i64;

/// One second.
pub const SECOND: Millis = 1_000;
/// One minute.
pub const MINUTE: Millis = 60 * SECOND;
/// One hour.
pub const HOUR: Millis = 60 * MINUTE;
/// One day.
pub const DAY: Millis = 24 * HOUR;
/// A year of 365 days.
pub const YEAR: Millis = 365 * DAY;

/// The start of the simulated years: 1 January 2027, midnight UTC.
const START_SECOND: i64 = 1_798_761_600;

/// Converts virtual time to a calendar time.
pub fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(1_000 * START_SECOND + at).unwrap_or(Timestamp::MAX)
}

/// Converts a calendar time to virtual time.
pub fn millis(at: Timestamp) -> Millis {
    at.as_millisecond() - 1_000 * START_SECOND
}

/// Converts seconds to milliseconds.
pub fn seconds(seconds: f64) -> Millis {
    (seconds * 1_000.0).round() as Millis
}

/// A half-open interval of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its start.
    pub from: Millis,
    /// Its end, excluded.
    pub to: Millis,
}

impl Span {
    /// Whether it contains `at`.
    pub const fn contains(self, at: Millis) -> bool {
        self.from <= at && at < self.to
    }

    /// Its length.
    pub const fn length(self) -> Millis {
        self.to - self.from
    }

    /// The span in a sorted list without overlaps that contains `at`.
    pub fn at(spans: &[Self], at: Millis) -> Option<Self> {
        let ended = spans.partition_point(|span| span.to <= at);
        spans.get(ended).copied().filter(|span| span.contains(at))
    }

    /// The length of its overlap with another.
    pub fn overlap(self, other: Self) -> Millis {
        (self.to.min(other.to) - self.from.max(other.from)).max(0)
    }
}
