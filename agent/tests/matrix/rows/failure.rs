//! Something breaks, is found and named, is repaired, and that is found too.

mod list;

use std::time::Duration;

use ispmon_agent::outage::Cause;

pub(super) use list::rows;

use crate::play::{
    agent::Settings,
    fault::Fault,
    finding::{Expected, Finding, Measure, difference},
    stage::{Run, Stage, Story, stories},
};

/// What shows a failure first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    /// The probes: it is found within 10 s of its start, or 6 s with a probe each second.
    Probes,
    /// A heartbeat that fails: it is found within 10 s of that.
    Beat,
    /// Two heartbeats that fail: it is found within 10 s of the second.
    TwoBeats,
}

/// A failure and what the record has to say of it.
pub(crate) struct Failure {
    /// What has been so since before the start, and is no failure by itself.
    pub(crate) habit: Option<Fault>,
    /// Whether the device's traffic goes through a tunnel.
    pub(crate) tunnel: bool,
    pub(crate) fault: Fault,
    pub(crate) expected: Expected,
    pub(crate) witness: Witness,
    /// How it ends: with the probes, or with the first good heartbeat.
    pub(crate) ends_with_beat: bool,
    /// The settings of `.ci/run`, and those in full.
    pub(crate) settings: fn(bool) -> Settings,
    /// For how long it is broken at least: in `.ci/run`, and in full.
    pub(crate) lasts: [Duration; 2],
}

/// How long it may take until an incident's end is recorded after the limits of its own measures, and
/// how long the record is then watched for something that does not belong there.
const LINGER: Duration = Duration::from_secs(4);

impl Failure {
    pub(crate) fn play(&self, run: &Run, name: &str) -> Result<Finding, String> {
        let settings = (self.settings)(run.full);
        let mut stage = Stage::build(run, name)?;
        if self.tunnel {
            stage.world.insert_tunnel().map_err(|error| format!("the tunnel: {error}"))?;
            stage.world.wait_until_working()?;
        }
        if let Some(habit) = self.habit {
            stage.accustom(habit)?;
        }
        stage.start(&settings)?;
        stage.wait_until_up()?;
        if self.expected.cause == Cause::Clock {
            // A device that has just started may still be learning the time.
            stage.sleep(settings.settle)?;
        }
        let broken = stage.strike(self.fault)?;
        let cause = self.expected.cause;
        let opening = self.patience(&settings);
        stage.until_incident("the record of the failure", opening, |story| {
            story.opened_at > broken
        })?;
        // The headline is the cause that lasted longest, so the right one needs time to outlast a first guess.
        stage.sleep_until(broken + self.lasts[usize::from(run.full)])?;
        let whole = stage.repair(self.fault)?;
        let closing = settings.heartbeat.mul_f64(1.1) + settings.timeout + Duration::from_secs(15);
        stage.until_incident("the record of the end", closing, |story| {
            story.newest.ended.is_some() && story.newest.scope == self.expected.scope
        })?;
        stage.sleep(LINGER)?;
        let first_beat =
            stage.world.servers.endpoint.wait_for_beat(whole, settings.heartbeat.mul_f64(1.1));
        let failed_beats = failed_beats(&stage, broken);
        let stories = stories(&stage.finish()?);

        let mut finding = Finding { expected: Some(self.expected), ..Finding::default() };
        let [story] = stories.as_slice() else {
            let all: Vec<_> = stories.iter().map(|story| story.newest.cause.as_str()).collect();
            return Err(format!(
                "expected one incident of {cause}, got {}: {all:?}",
                stories.len()
            ));
        };
        self.fill(&mut finding, story);
        let (detected_from, limit) = match self.witness {
            Witness::Probes if settings.probe <= Duration::from_secs(1) => (Some(broken), 6),
            Witness::Probes => (Some(broken), 10),
            Witness::Beat => (failed_beats.first().copied(), 10),
            Witness::TwoBeats => (failed_beats.get(1).copied(), 10),
        };
        match detected_from {
            Some(from) => {
                let value = difference(story.opened_at, from);
                // What was found before its witness came forward was found in time.
                let value = if self.witness == Witness::Beat { value.max(0) } else { value };
                finding.detection = Measure::of(value, Duration::from_secs(limit));
            }
            None => {
                finding.failures.push("no heartbeat failed that could have shown it".to_owned());
            }
        }
        if self.witness != Witness::Probes {
            let in_all = Duration::from_millis(difference(story.opened_at, broken).unsigned_abs());
            finding.notes.push(format!("found {:.1} s after it broke", in_all.as_secs_f64()));
        }
        let rhythm = match self.witness {
            Witness::Probes => settings.probe,
            Witness::Beat | Witness::TwoBeats => {
                settings.probe.max(settings.heartbeat.mul_f64(1.1))
            }
        };
        finding.start = Measure::of(difference(at(story.newest.started), broken), rhythm);
        self.measure_end(&mut finding, story, whole, first_beat.map(|beat| beat.at));
        finding.judge();
        Ok(finding)
    }

    fn fill(&self, finding: &mut Finding, story: &Story) {
        let incident = &story.newest;
        finding.got =
            Some(Expected { cause: incident.cause, party: incident.party, scope: incident.scope });
        if story.opened.cause != incident.cause {
            finding.notes.push(format!("opened as {}", story.opened.cause));
        }
        finding.require(!story.opened.evidence.is_empty(), || {
            "the opening record carries no evidence".to_owned()
        });
        if !self.expected.cause.is_downtime() {
            finding.require(incident.downtime_ms == 0, || {
                format!("{} ms of downtime, but the internet was fine", incident.downtime_ms)
            });
        } else if let Some(ended) = incident.ended {
            let length = difference(at(ended), at(incident.started));
            let downtime = i64::try_from(incident.downtime_ms).unwrap_or(i64::MAX);
            finding.require((length - downtime).abs() <= 1, || {
                format!("{downtime} ms of downtime in an incident of {length} ms")
            });
        }
    }

    fn measure_end(
        &self,
        finding: &mut Finding,
        story: &Story,
        whole: Duration,
        first_beat: Option<Duration>,
    ) {
        let Some(ended) = story.newest.ended else {
            return finding.failures.push("the incident has not ended".to_owned());
        };
        let true_end = match (self.ends_with_beat, first_beat) {
            (false, _) => whole,
            (true, Some(beat)) => beat,
            (true, None) => {
                return finding.failures.push("no heartbeat came through afterwards".to_owned());
            }
        };
        finding.end = Measure::of(difference(at(ended), true_end), Duration::from_secs(2));
    }

    /// How long the row waits for the record before it gives up.
    fn patience(&self, settings: &Settings) -> Duration {
        let Settings { heartbeat, timeout, .. } = settings;
        let beat = heartbeat.mul_f64(1.1) + *timeout;
        let beats = match self.witness {
            Witness::Probes => Duration::ZERO,
            Witness::Beat => beat,
            Witness::TwoBeats => 2 * beat,
        };
        beats + Duration::from_secs(20)
    }
}

fn at(stamp: ispmon_agent::clock::Stamp) -> Duration {
    Duration::from_millis(stamp.boot_ms)
}

/// When heartbeats failed after a moment, as the log tells.
fn failed_beats(stage: &Stage<'_>, after: Duration) -> Vec<Duration> {
    let says = |text: &str| text.contains("Heartbeat failed") || text.contains("Heartbeat refused");
    let log = stage.agent().log();
    log.iter().filter(|line| line.at > after && says(&line.text)).map(|line| line.at).collect()
}
