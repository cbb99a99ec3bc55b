//! Periods in the notation of command-line arguments.

use std::str::FromStr;

use jiff::{
    Span, SpanFieldwise, Timestamp, ToSpan, ZonedDateTime,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use super::Interval;

/// A point or span of time as users write it. Its meaning depends on `now` and the time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// `7d`, `12h`, `90min`, `2w`: that long ago; days and weeks follow the calendar.
    Ago(SpanFieldwise),
    /// `2026-11-24`: the whole day.
    Day(Date),
    /// `2026-11`: the whole month.
    Month(Date),
    /// `2026-11-24T18:30`: in local time.
    Local(DateTime),
    /// `2026-11-24T18:30:00+01:00`: with an offset.
    Exact(Timestamp),
    /// `today`.
    Today,
    /// `yesterday`.
    Yesterday,
}

/// The text is not a valid [`Moment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give a time such as 7d, 12h, yesterday, 2026-11, 2026-11-24 or 2026-11-24T18:30")]
pub struct MomentError;

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let text = text.trim();
        match text {
            "today" => return Ok(Self::Today),
            "yesterday" => return Ok(Self::Yesterday),
            _ => {}
        }
        if let Some(month) = month(text) {
            return Ok(Self::Month(month));
        }
        if let Some(span) = ago(text) {
            return Ok(Self::Ago(span.fieldwise()));
        }
        if text.len() == "2026-11-24".len() {
            return text.parse().map(Self::Day).map_err(|_| MomentError);
        }
        // The civil time parser accepts a text with an offset too, so this one comes first.
        if let Ok(exact) = text.parse() {
            return Ok(Self::Exact(exact));
        }
        text.parse().map(Self::Local).map_err(|_| MomentError)
    }
}

/// `2026-11`.
fn month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

/// `7d`.
fn ago(text: &str) -> Option<Span> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit())?;
    let number: i64 = text[..unit].parse().ok()?;
    let span = Span::new();
    match text[unit..].trim_start() {
        "min" => span.try_minutes(number),
        "h" => span.try_hours(number),
        "d" => span.try_days(number),
        "w" => span.try_weeks(number),
        _ => return None,
    }
    .ok()
}

impl Moment {
    /// Its start.
    fn begin(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = ZonedDateTime::new(now, zone.clone());
        let moment = match *self {
            Self::Ago(span) => now.checked_sub(span.0).ok()?,
            Self::Day(date) | Self::Month(date) => date.to_zoned_datetime(zone.clone()).ok()?,
            Self::Local(time) => time.to_zoned_datetime(zone.clone()).ok()?,
            Self::Exact(time) => return Some(time),
            Self::Today => now.date().to_zoned_datetime(zone.clone()).ok()?,
            Self::Yesterday => now.date().yesterday().ok()?.to_zoned_datetime(zone.clone()).ok()?,
        };
        Some(moment.timestamp())
    }

    /// Its exclusive end: that of a day is midnight, a point in time ends where it starts.
    fn end(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = ZonedDateTime::new(now, zone.clone()).date();
        let after = match *self {
            Self::Day(date) => date.tomorrow().ok()?,
            Self::Month(date) => date.checked_add(1.month()).ok()?,
            Self::Today => today.tomorrow().ok()?,
            Self::Yesterday => today,
            _ => return self.begin(now, zone),
        };
        Some(after.to_zoned_datetime(zone.clone()).ok()?.timestamp())
    }
}

/// The period that the user asks for; without limits it is the whole journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The start.
    pub since: Option<Moment>,
    /// The end; a day or a month is included.
    pub until: Option<Moment>,
}

impl Period {
    /// One month.
    pub fn month(month: Moment) -> Self {
        Self { since: Some(month), until: Some(month) }
    }

    /// The interval in absolute time.
    pub fn resolve(&self, now: Timestamp, zone: &TimeZone) -> Interval {
        let from = self.since.and_then(|moment| moment.begin(now, zone));
        let to = self.until.and_then(|moment| moment.end(now, zone));
        Interval::new(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX))
    }
}
