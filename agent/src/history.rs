//! The recorded past: pure functions of the journal's records, `now` and the time zone.
//!
//! - [`Collector`] takes the records one by one and builds a [`History`]: every incident in its
//!   newest form, every gap, every hourly summary, all in corrected wall-clock times.
//! - [`PastIncident`] is one incident, [`Downtime`] a period without internet in it, with the
//!   responsible party.
//! - [`Account`] adds them up over a period: availability per party, downtime, count, longest, mean
//!   time to repair. Availability always refers to the *monitored* time, and is always shown with
//!   the share of the period that was monitored.
//! - [`QualitySummary`] is loss and latency, by time and by the hour of the day.
//! - [`Period`] is a period that the user asks for, in everyday notation.

mod account;
mod boot_clocks;
mod calendar;
mod collect;
mod incident;
mod interval;
mod past;
mod period;
mod quality;
mod ratio;

pub use account::{Account, DowntimeFigures, Unaccounted};
pub use calendar::{CalendarPart, days, months};
pub use collect::Collector;
pub use incident::{Downtime, PastIncident, PastSegment};
pub use interval::Interval;
pub use past::{History, RecordedHour, Unmonitored};
pub use period::{Moment, MomentError, Period};
pub use quality::{QualityPart, QualitySummary};
pub use ratio::Ratio;

#[cfg(test)]
mod tests;
