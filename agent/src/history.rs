//! What the record says about the past: pure functions of its records, `now` and the time zone.
//!
//! - [`Collector`] takes the records one by one and makes a [`History`] of them: every incident in its
//!   newest form, every gap, every hourly summary, all in corrected wall-clock times.
//! - [`PastIncident`] is one incident, [`Downtime`] a time without internet in it, and whose it was.
//! - [`Account`] adds them up over a time: availability per party, downtime, count, longest, mean time
//!   to repair. Availability is always over the time that was *monitored*, and never alone: the share of
//!   the time that was watched stands beside it.
//! - [`QualitySummary`] is loss and latency, by time and by the hour of the day.
//! - [`Period`] is the time that somebody asks about, in the words in which people ask.

mod account;
mod calendar;
mod collect;
mod incident;
mod interval;
mod period;
mod quality;
mod ratio;
mod walls;

pub use account::{Account, DowntimeFigures, Unaccounted};
pub use calendar::{CalendarPart, days, months};
pub use collect::{Collector, Head, History, Unmonitored};
pub use incident::{Downtime, PastIncident, PastSegment};
pub use interval::Interval;
pub use period::{Moment, MomentError, Period};
pub use quality::{HourOfRecord, QualityPart, QualitySummary};
pub use ratio::Ratio;

#[cfg(test)]
mod tests;
