//! What a row knows of the one outage that it makes, and how the record is compared with it.

use std::time::Duration;

use ispmon_agent::{
    clock::Stamp,
    journal::Record,
    outage::{Cause, Incident, Party, Scope},
};

use crate::play::{
    finding::{Expected, Finding, Measure, difference},
    settings::Settings,
    stage::{Run, Stage, list, stories},
};

/// The settings of rows in which the line has to come up.
pub(super) fn short_grace(run: &Run) -> Settings {
    Settings { grace: Duration::from_secs(if run.full { 60 } else { 20 }), ..Settings::default() }
}

/// A moment by the boot-time clock.
pub(super) fn moment(stamp: Stamp) -> Duration {
    Duration::from_millis(stamp.boot_ms)
}

/// What is true of an outage that the row has made.
pub(super) struct Truth {
    pub(super) expected: Expected,
    /// When it broke, by the boot-time clock as the other times.
    pub(super) broken: Duration,
    /// When it could be found at the earliest.
    pub(super) findable: Duration,
    /// When it was whole again.
    pub(super) whole: Duration,
    /// How far the recorded start may be off.
    pub(super) start_limit: Duration,
}

impl Truth {
    /// One that the provider made, and that could be found at once.
    pub(super) fn of_provider(broken: Duration, whole: Duration) -> Self {
        let start_limit = Duration::from_secs(5);
        let expected = Expected::new(Cause::Isp, Some(Party::Provider), Scope::Internet);
        Self { expected, broken, findable: broken, whole, start_limit }
    }
}

/// Waits until the record has the end, and a little longer for what does not belong there.
pub(super) fn until_ended(stage: &mut Stage<'_>) -> Result<(), String> {
    stage.until_incident("the record of the end", Duration::from_secs(20), |story| {
        story.newest.ended.is_some()
    })?;
    stage.sleep(Duration::from_secs(4))
}

/// Compares the one outage in the record with the truth.
pub(super) fn compare(records: &[Record], truth: &Truth) -> Result<(Finding, Incident), String> {
    let stories = stories(records);
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
