//! A fault is injected, detected and named, is repaired, and the repair is detected.

mod build;
mod device;
mod endpoints;
mod impostors;
mod line;
mod names;

use std::{io, time::Duration};

use ispmon_agent::outage::{Cause, Incident, Scope, Segment};

use crate::play::{
    fault::Fault,
    finding::{Expected, Finding, Measure, difference, scope_of},
    rows::Row,
    settings::Settings,
    stage::{Run, Stage, Story, list, recorded_incidents},
    world::World,
};

/// What first shows a failure, which sets the limit of the detection time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstSign {
    /// The probes: detected within 10 s of its start, or 6 s with a probe each second.
    Probes,
    /// A failed heartbeat: detected within 10 s of it.
    Heartbeat,
    /// Two failed heartbeats: detected within 10 s of the second.
    TwoHeartbeats,
    /// The proof, lookup or portal page that an agent without heartbeats requests once a minute:
    /// detected within 10 s of it.
    Minute,
}

/// A failure, and how the journal must record it.
pub(crate) struct Failure {
    /// A condition since before the start that is no failure by itself.
    pub(crate) habit: Option<Fault>,
    /// Changes to the world before the agent starts.
    pub(crate) prepare: fn(&World) -> io::Result<()>,
    pub(crate) fault: Fault,
    pub(crate) expected: Expected,
    pub(crate) witness: FirstSign,
    /// Whether it ends with the first good heartbeat instead of with the probes.
    pub(crate) ends_with_heartbeat: bool,
    /// The settings, scaled (`false`) or in full (`true`).
    pub(crate) settings: fn(bool) -> Settings,
    /// Other changes to the settings.
    pub(crate) adjust: fn(&mut Settings),
    /// Minimum duration of the fault: scaled, and in full.
    pub(crate) lasts: [Duration; 2],
}

/// Allowance for recording an incident's end, beyond the limits of its own measures, and how long the
/// row then waits for records that should not come.
const LINGER: Duration = Duration::from_secs(4);
/// Interval of the proofs of an agent without heartbeats.
const MINUTE: Duration = Duration::from_mins(1);

/// All rows of this kind, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    [line::rows(), names::rows(), impostors::rows(), device::rows(), endpoints::rows()]
        .into_iter()
        .flatten()
        .collect()
}

impl Failure {
    pub(crate) fn play(&self, run: &Run, name: &str) -> Result<Finding, String> {
        let mut settings = (self.settings)(run.full);
        (self.adjust)(&mut settings);
        let mut stage = Stage::build(run, name)?;
        (self.prepare)(&stage.world)
            .map_err(|error| format!("the preparation of the row: {error}"))?;
        stage.world.wait_until_working()?;
        if let Some(habit) = self.habit {
            stage.apply_habit(habit)?;
        }
        stage.start(&settings)?;
        stage.wait_until_up()?;
        if self.expected.cause == Cause::Clock.as_str() {
            // A device that has just started may not have set its clock yet.
            stage.sleep(settings.grace)?;
        }
        let broken = stage.inject(self.fault)?;
        let cause = self.expected.cause;
        let opening = self.patience(&settings);
        stage.until_incident("the record of the failure", opening, |story| {
            story.opened_at > broken
        })?;
        // The headline is the longest cause, so the right one must outlast a first guess.
        stage.sleep_until(broken + self.lasts[usize::from(run.full)])?;
        let whole = stage.repair(self.fault)?;
        let closing = settings.heartbeat.mul_f64(1.1) + settings.timeout + Duration::from_secs(15);
        stage.until_incident("the record of the end", closing, |story| {
            story.newest.ended.is_some() && Expected::of(&story.newest).scope == self.expected.scope
        })?;
        stage.sleep(LINGER)?;
        let first_beat = self.ends_with_heartbeat.then(|| {
            stage.world.servers.endpoint.wait_for_heartbeat(whole, settings.heartbeat.mul_f64(1.1))
        });
        let failed_beats = failed_beats(&stage, broken);
        let stories = recorded_incidents(&stage.finish()?);

        let mut finding = Finding { expected: Some(self.expected), ..Finding::default() };
        let [story] = stories.as_slice() else {
            return Err(format!("expected one incident of {cause}, got {}", list(&stories)));
        };
        let (detected_from, limit) = match self.witness {
            FirstSign::Probes if settings.probe <= Duration::from_secs(1) => (Some(broken), 6),
            FirstSign::Probes => (Some(broken), 10),
            FirstSign::Heartbeat => (failed_beats.first().copied(), 10),
            FirstSign::TwoHeartbeats => (failed_beats.get(1).copied(), 10),
            FirstSign::Minute => (Some(broken), 70),
        };
        match detected_from {
            Some(from) => {
                let value = difference(story.opened_at, from);
                // A failure that was detected before its witness showed it was detected in time.
                let value = if self.witness == FirstSign::Heartbeat { value.max(0) } else { value };
                finding.detection = Measure::of(value, Duration::from_secs(limit));
            }
            None => {
                finding.failures.push("no heartbeat failed that could have shown it".to_owned());
            }
        }
        if self.witness != FirstSign::Probes {
            let in_all = Duration::from_millis(difference(story.opened_at, broken).unsigned_abs());
            finding.notes.push(format!("found {:.1} s after it broke", in_all.as_secs_f64()));
        }
        let rhythm = match self.witness {
            FirstSign::Probes => settings.probe,
            FirstSign::Heartbeat | FirstSign::TwoHeartbeats => {
                settings.probe.max(settings.heartbeat.mul_f64(1.1))
            }
            FirstSign::Minute => MINUTE,
        };
        finding.start = Measure::of(difference(at(story.newest.started), broken), rhythm);
        self.measure_end(&mut finding, story, whole, first_beat.flatten().map(|beat| beat.at));
        self.fill(&mut finding, story, whole.saturating_sub(broken));
        finding.judge();
        Ok(finding)
    }

    fn fill(&self, finding: &mut Finding, story: &Story, truth: Duration) {
        let incident = &story.newest;
        finding.got = Some(Expected::of(incident));
        if story.opened.cause != incident.cause {
            finding.notes.push(format!("opened as {}", story.opened.cause));
        }
        finding.require(!story.opened.evidence.is_empty(), || {
            "the first record has no evidence".to_owned()
        });
        self.require_downtime(finding, incident, truth);
    }

    /// Requires that the downtime is the sum of the segments, and as long as the internet was down.
    fn require_downtime(&self, finding: &mut Finding, incident: &Incident, truth: Duration) {
        let recorded = incident.downtime();
        match self.expected.scope {
            // A single family has no downtime.
            Scope::Ipv4 | Scope::Ipv6 => {}
            Scope::Internet => {
                let down = incident.segments.iter().filter(|segment| {
                    segment.cause.is_downtime() && scope_of(segment, incident) == Scope::Internet
                });
                let segments: Duration = down.map(Segment::length).sum();
                finding.require(segments.abs_diff(recorded) <= Duration::from_millis(1), || {
                    format!("{recorded:?} of downtime in segments of {segments:?}")
                });
                // Each end is as exact as its measure, and the second family may fail a probe later.
                // What the proof of the minute finds in one family is then probed in the other.
                let second = if self.witness == FirstSign::Minute { 9_000 } else { 0 };
                let limit =
                    finding.start.limit.unwrap_or(0) + finding.end.limit.unwrap_or(0) + second;
                let off = difference(truth, recorded).abs();
                finding.require(off <= limit + 500, || {
                    format!("{recorded:?} of downtime, but the internet was down for {truth:?}")
                });
            }
            Scope::Heartbeat | Scope::Quality => finding.require(recorded.is_zero(), || {
                format!("{recorded:?} of downtime, but the internet worked")
            }),
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
        let true_end = match (self.ends_with_heartbeat, first_beat) {
            (false, _) => whole,
            (true, Some(beat)) => beat,
            (true, None) => {
                return finding.failures.push("no heartbeat came through afterwards".to_owned());
            }
        };
        finding.end = Measure::of(difference(at(ended), true_end), Duration::from_secs(2));
    }

    /// How long the row waits for a record before it fails.
    fn patience(&self, settings: &Settings) -> Duration {
        let Settings { heartbeat, timeout, .. } = settings;
        let beat = heartbeat.mul_f64(1.1) + *timeout;
        let beats = match self.witness {
            FirstSign::Probes => Duration::ZERO,
            FirstSign::Heartbeat => beat,
            FirstSign::TwoHeartbeats => 2 * beat,
            FirstSign::Minute => MINUTE,
        };
        beats + Duration::from_secs(20)
    }
}

fn at(stamp: ispmon_agent::clock::Stamp) -> Duration {
    Duration::from_millis(stamp.boot_ms)
}

/// Times of failed heartbeats after `after`, from the log.
fn failed_beats(stage: &Stage<'_>, after: Duration) -> Vec<Duration> {
    let is_failure =
        |text: &str| text.contains("Heartbeat failed") || text.contains("Heartbeat refused");
    let log = stage.agent().log();
    log.iter()
        .filter(|line| line.at > after && is_failure(&line.text))
        .map(|line| line.at)
        .collect()
}
