//! The history as reports for people and programs: text, JSON, CSV and one HTML page.
//!
//! Every format is a pure function of [`ReportOptions`]. Every report states the monitored time.

mod csv;
mod html;
mod json;
mod text;
mod words;

use std::path::Path;

use ispmon_wire::JournalHead;
use jiff::{Timestamp, tz::TimeZone};

pub use csv::{incidents as csv_incidents, report as csv_report};
pub use html::page as html_page;
pub use json::{incidents as json_incidents, report as json_report};
pub use text::{incidents as text_incidents, report as text_report};

use crate::history::{Account, CalendarPart, History, Interval, PastIncident, months};

/// Content and display options of a report.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions<'a> {
    /// The recorded history.
    pub history: &'a History,
    /// The period that the report covers.
    pub period: Interval,
    /// The end of the journal's hash chain; `None` without a journal.
    pub head: Option<&'a JournalHead>,
    /// The folder of the journal.
    pub folder: &'a Path,
    /// What is wrong with the journal, as a sentence.
    pub damage: Option<&'a str>,
    /// The time zone of all displayed times.
    pub zone: &'a TimeZone,
    /// The time at which the report is made.
    pub now: Timestamp,
    /// The incident to show in full.
    pub incident: Option<&'a PastIncident>,
    /// Whether gaps are listed among the incidents.
    pub gaps: bool,
}

impl ReportOptions<'_> {
    /// The part of the period that the journal covers.
    fn covered_period(&self) -> Interval {
        Account::of(self.history, self.period).period
    }

    fn device(&self) -> &str {
        self.history.device.as_deref().unwrap_or("this device")
    }

    /// The months of the covered period, each with its account.
    fn months(&self) -> Vec<(CalendarPart, Account)> {
        let reached = self.covered_period();
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
