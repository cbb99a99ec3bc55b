//! The history as people and programs read it: text, JSON, CSV, and one page of HTML.
//!
//! Every form is a pure function of a [`ReportOptions`]. Nothing is shown without the time that was watched.

mod csv;
mod html;
mod json;
mod text;
mod words;

use std::path::Path;

use jiff::{Timestamp, tz::TimeZone};

pub use csv::{incidents as csv_incidents, report as csv_report};
pub use html::page as html_page;
pub use json::{incidents as json_incidents, report as json_report};
pub use text::{incidents as text_incidents, report as text_report};

use crate::history::{Account, CalendarPart, Head, History, Interval, PastIncident, months};

/// What is shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions<'a> {
    /// The past.
    pub history: &'a History,
    /// The time that is asked about.
    pub period: Interval,
    /// The end of the record's chain, when there is a record.
    pub head: Option<&'a Head>,
    /// The folder of the record.
    pub folder: &'a Path,
    /// What is wrong with the record, as a sentence.
    pub damage: Option<&'a str>,
    /// The zone whose times are shown.
    pub zone: &'a TimeZone,
    /// The time of the report.
    pub now: Timestamp,
    /// The incident that is shown in full.
    pub incident: Option<&'a PastIncident>,
    /// Whether gaps are listed among the incidents.
    pub gaps: bool,
}

impl ReportOptions<'_> {
    /// The part of the time asked about that the record reaches.
    fn reached(&self) -> Interval {
        Account::of(self.history, self.period).period
    }

    fn device(&self) -> &str {
        self.history.device.as_deref().unwrap_or("this device")
    }

    /// The months of the time, each with what happened in it.
    fn months(&self) -> Vec<(CalendarPart, Account)> {
        let reached = self.reached();
        if reached.is_empty() {
            return Vec::new();
        }
        let months = months(reached, self.zone);
        months
            .into_iter()
            .map(|month| (month, Account::of(self.history, month.time.within(&reached))))
            .collect()
    }
}
