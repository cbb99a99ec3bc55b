//! What happens in the simulated years, whatever anybody notices of it.

use fastrand::Rng;

use super::{
    assumptions::{Assumptions, BUFFER, LONGEST_OUTAGE, QUIET_AFTER_SLEEP, QUIET_AFTER_STOP},
    random::{exponential, fork, log_normal, uniform},
    time::{HOUR, MINUTE, Millis, SECOND, Span, YEAR},
};

/// Everything that happens, each list in the order of time and without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// How long it lasts, from time 0 on.
    pub length: Millis,
    /// When no heartbeat can reach the cloud.
    pub outages: Vec<SimulatedOutage>,
    /// When the device or its agent does not run, on purpose.
    pub absences: Vec<Absence>,
    /// When the host ends with the lines of the last half minute unsent.
    pub lost_buffers: Vec<Millis>,
    /// When the function answers 503.
    pub function_down: Vec<Span>,
    /// When no line becomes visible: those of this time do at its end.
    pub ingestion_down: Vec<Span>,
    /// When no rule is evaluated.
    pub rules_down: Vec<Span>,
}

/// The line or the power is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedOutage {
    /// From when to when.
    pub span: Span,
    /// Whether the device was off, too: its agent saw nothing of it.
    pub is_power_cut: bool,
}

/// The device or its agent does not run, and said so before if it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// From when to when.
    pub span: Span,
    /// The silence that is announced.
    pub quiet: Millis,
    /// What the agent calls it, and what is new behind it.
    pub kind: AbsenceKind,
}

/// Why a device does not send on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbsenceKind {
    /// The device starts anew.
    Reboot,
    /// The agent starts anew.
    AgentRestart,
    /// Paused by its user, for a given time.
    Pause,
    /// Asleep.
    Sleep,
}

impl World {
    /// So many years of a world, the same for the same seed.
    pub fn random(assumptions: &Assumptions, years: u32, seed: u64) -> Self {
        let length = YEAR * i64::from(years);
        let mut random = Rng::with_seed(seed);
        let outages = outages(assumptions, length, &mut fork(&mut random));
        let absences = absences(assumptions, length, &mut fork(&mut random));
        let lost_buffers = moments(assumptions.lost_buffers, length, &mut fork(&mut random));
        let mut platform = || platform(assumptions, length, &mut fork(&mut random));
        let (function_down, ingestion_down, rules_down) = (platform(), platform(), platform());
        Self { length, outages, absences, lost_buffers, function_down, ingestion_down, rules_down }
    }

    /// The outage that a moment belongs to.
    pub fn outage(&self, at: Millis) -> Option<SimulatedOutage> {
        let ended = self.outages.partition_point(|outage| outage.span.to <= at);
        self.outages.get(ended).copied().filter(|outage| outage.span.contains(at))
    }

    /// Whether a line that is written at `at` is lost: the host ends before it has sent it on.
    pub fn loses(&self, at: Millis) -> bool {
        let ended = self.lost_buffers.partition_point(|end| *end < at);
        self.lost_buffers.get(ended).is_some_and(|end| *end < at + BUFFER)
    }

    /// All times in which a part of Azure fails.
    pub fn platform_down(&self) -> impl Iterator<Item = Span> {
        self.function_down.iter().chain(&self.ingestion_down).chain(&self.rules_down).copied()
    }
}

fn outages(assumptions: &Assumptions, length: Millis, random: &mut Rng) -> Vec<SimulatedOutage> {
    let median = assumptions.outage_median * MINUTE as f64;
    spans(assumptions.outages, length, random, |random| {
        let long = log_normal(random, median, assumptions.outage_spread);
        (long as Millis).clamp(SECOND, LONGEST_OUTAGE)
    })
    .into_iter()
    .map(|span| SimulatedOutage { span, is_power_cut: random.f64() < assumptions.power_cuts })
    .collect()
}

fn absences(assumptions: &Assumptions, length: Millis, random: &mut Rng) -> Vec<Absence> {
    let rate = assumptions.restarts + assumptions.pauses;
    let mut absences = Vec::new();
    let mut at = 0;
    while let Some(from) = next(rate, at, length, random) {
        let is_pause = random.f64() * rate >= assumptions.restarts;
        let half = random.bool();
        let long = |random: &mut Rng| {
            (log_normal(random, HOUR as f64, 1.2) as Millis).clamp(MINUTE, QUIET_AFTER_SLEEP)
        };
        let (kind, length, quiet) = match (is_pause, half) {
            (false, true) => {
                let length = uniform(random, 30 * SECOND, 120 * SECOND);
                (AbsenceKind::Reboot, length, QUIET_AFTER_STOP)
            }
            (false, false) => {
                let length = uniform(random, SECOND, 5 * SECOND);
                (AbsenceKind::AgentRestart, length, QUIET_AFTER_STOP)
            }
            (true, true) => {
                let length = long(random);
                (AbsenceKind::Pause, length, length)
            }
            (true, false) => (AbsenceKind::Sleep, long(random), QUIET_AFTER_SLEEP),
        };
        let span = Span { from, to: from + length };
        absences.push(Absence { span, quiet, kind });
        at = span.to;
    }
    absences
}

/// A third of what fails of Azure.
fn platform(assumptions: &Assumptions, length: Millis, random: &mut Rng) -> Vec<Span> {
    if assumptions.platform_down <= 0.0 {
        return Vec::new();
    }
    let mean = assumptions.platform_down / assumptions.platform_failures * HOUR as f64;
    spans(assumptions.platform_failures / 3.0, length, random, |random| {
        (exponential(random, mean) as Millis).max(SECOND)
    })
}

/// Spans that begin so many times a year, one after the other.
fn spans(
    rate: f64,
    length: Millis,
    random: &mut Rng,
    mut long: impl FnMut(&mut Rng) -> Millis,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some(from) = next(rate, at, length, random) {
        let span = Span { from, to: from + long(random) };
        spans.push(span);
        at = span.to;
    }
    spans
}

fn moments(rate: f64, length: Millis, random: &mut Rng) -> Vec<Millis> {
    let mut moments = Vec::new();
    let mut at = 0;
    while let Some(moment) = next(rate, at, length, random) {
        moments.push(moment);
        at = moment;
    }
    moments
}

/// The next moment behind `at` of something that happens so many times a year at random.
fn next(rate: f64, at: Millis, length: Millis, random: &mut Rng) -> Option<Millis> {
    if rate <= 0.0 {
        return None;
    }
    let moment = at + 1 + exponential(random, YEAR as f64 / rate) as Millis;
    (moment < length).then_some(moment)
}
