//! The days and months of a time zone, whose lengths vary.

use jiff::{Timestamp, ToSpan, ZonedDateTime, civil::Date, tz::TimeZone};

use super::Interval;

/// A day or a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarPart {
    /// Its first day.
    pub date: Date,
    /// From its start to the start of the next one: a day has 23 or 25 hours when the clocks
    /// change.
    pub time: Interval,
}

/// The whole days that overlap `interval`.
pub fn days(interval: Interval, zone: &TimeZone) -> Vec<CalendarPart> {
    parts(interval, zone, |date| date, jiff::civil::Date::tomorrow)
}

/// The whole months that overlap `interval`.
pub fn months(interval: Interval, zone: &TimeZone) -> Vec<CalendarPart> {
    parts(interval, zone, Date::first_of_month, |date| date.checked_add(1.month()))
}

fn parts(
    interval: Interval,
    zone: &TimeZone,
    first: impl Fn(Date) -> Date,
    next: impl Fn(Date) -> Result<Date, jiff::Error>,
) -> Vec<CalendarPart> {
    let mut parts = Vec::new();
    let mut date = first(ZonedDateTime::new(interval.from, zone.clone()).date());
    while let Some(from) = begin(date, zone)
        && (from < interval.to || parts.is_empty())
        && let Ok(after) = next(date)
        && let Some(to) = begin(after, zone)
    {
        parts.push(CalendarPart { date, time: Interval::new(from, to) });
        date = after;
    }
    parts
}

/// The start of a day.
fn begin(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    date.to_zoned_datetime(zone.clone()).ok().map(|zoned| zoned.timestamp())
}
