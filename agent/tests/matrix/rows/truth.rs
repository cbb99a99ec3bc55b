//! The true times of the one outage that a row makes, and how they are compared with the journal.

use std::time::Duration;

use ispmon_agent::{
    clock::Stamp,
    journal::Record,
    outage::{Cause, Incident, Party, Scope},
};

use crate::play::{
    finding::{Expected, Finding, Measure, difference},
    settings::Settings,
    stage::{Run, Stage, list, recorded_incidents},
};

/// Settings of rows in which the connection comes up after a start.
pub(super) fn short_grace(run: &Run) -> Settings {
    Settings { grace: Duration::from_secs(if run.full { 60 } else { 20 }), ..Settings::default() }
}

/// The boot time of a stamp.
pub(super) fn moment(stamp: Stamp) -> Duration {
    Duration::from_millis(stamp.boot_ms)
}

/// The truth about the outage that the row made.
pub(super) struct Truth {
    pub(super) expected: Expected,
    /// When the fault began, by the boot-time clock as the other times.
    pub(super) broken: Duration,
    /// The earliest time at which it could be detected.
    pub(super) findable: Duration,
    /// When everything worked again.
    pub(super) whole: Duration,
    /// Limit of the error of the recorded start.
    pub(super) start_limit: Duration,
}

impl Truth {
    /// An outage at the provider that could be detected at once.
    pub(super) fn of_provider(broken: Duration, whole: Duration) -> Self {
        let start_limit = Duration::from_secs(5);
        let expected = Expected::new(Cause::Isp, Some(Party::Provider), Scope::Internet);
        Self { expected, broken, findable: broken, whole, start_limit }
    }
}

/// Waits until the end is recorded, and a little longer for records that should not come.
pub(super) fn until_ended(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.until_incident("the record of the end", Duration::from_secs(20), |story| {
        story.newest.ended.is_some()
    })?;
    stage.sleep(Duration::from_secs(4))
}

/// Compares the one outage in the journal with the truth.
pub(super) fn compare(records: &[Record], truth: &Truth) -> Result<(Finding, Incident), String> {
    let stories = recorded_incidents(records);
    let [story] = stories.as_slice() else {
        return Err(format!("expected one incident, got {}", list(&stories)));
    };
    let incident = story.newest.clone();
    let mut finding = Finding {
        expected: Some(truth.expected),
        got: Some(Expected::of(&incident)),
        ..Finding::default()
    };
    let found = difference(story.opened_at, truth.findable);
    finding.detection = Measure::of(found, Duration::from_secs(10));
    let start = difference(moment(incident.started), truth.broken);
    finding.start = Measure::of(start, truth.start_limit);
    if let Some(ended) = incident.ended {
        finding.end = Measure::of(difference(moment(ended), truth.whole), Duration::from_secs(2));
    }
    Ok((finding, incident))
}
