//! How good a working line is: the incidents of scope `quality`, which are never downtime.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use fastrand::Rng;

use super::{
    Cause, IncidentId, Observation, ProbeKind, Scope, Transition,
    machine::MachineSettings,
    open::{OpenIncident, Opening},
};
use crate::{clock::Stamp, probe::Family, summary::Summary};

/// The part of the probes that must be lost for a line to be bad.
const BAD_LOSS: f64 = 0.10;
/// The part of them that may be lost when it is good again.
const GOOD_LOSS: f64 = 0.05;
/// How many times the usual round-trip time is bad.
const BAD_SLOWNESS: f64 = 3.0;
/// How many times it may be when it is good again.
const GOOD_SLOWNESS: f64 = 2.0;
/// A round-trip time that nobody complains of, in milliseconds, whatever is usual.
const BAD_MS: f64 = 100.0;
/// The fewest probes that say something.
const FEWEST_PROBES: usize = 30;
/// After how many lost probes in a row an anchor is dead, if others answer meanwhile.
const DEAD_AFTER: usize = 3;
/// The most probes that are remembered.
const MOST_PROBES: usize = 1_024;
/// The hours of a week.
const HOURS_KEPT: usize = 168;
/// How much must have been watched before anything is usual.
const LEARNING: Duration = Duration::from_hours(24);

/// The quality of the line.
///
/// 1. It is bad when at least 10 % of the scheduled probes of the last 5 minutes were lost, or when
///    95 of 100 of them took at most a time that is above three times the week's median and above
///    100 ms; the second only once a day of samples is known.
/// 2. It is good again when, over 5 minutes, less than 5 % are lost, and that time is below twice the
///    median or below 100 ms. Between the two nothing changes.
/// 3. Probes of a time in which the line was down do not count, nor do those of a family whose
///    anchors are blocked, nor those of an anchor that answers none any more while others do.
/// 4. A time that nobody watched ends it where that began, because 5 minutes of it are not known.
#[derive(Debug)]
pub(super) struct Quality {
    settings: MachineSettings,
    open: Option<OpenIncident>,
    /// The newest last.
    probes: VecDeque<Sample>,
    hours: VecDeque<Hour>,
    /// Since when probes count.
    counting_since: Stamp,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    sent: Stamp,
    anchor: SocketAddr,
    rtt_ms: Option<f32>,
}

/// An hour, as the record has it.
#[derive(Clone, Copy, Debug)]
struct Hour {
    median_ms: f64,
    answered: u32,
    observed_ms: u64,
}

impl Quality {
    pub(super) fn new(settings: MachineSettings, open: Option<OpenIncident>, now: Stamp) -> Self {
        Self {
            settings,
            open,
            probes: VecDeque::new(),
            hours: VecDeque::new(),
            counting_since: now,
        }
    }

    pub(super) fn open(&self) -> Option<&OpenIncident> {
        self.open.as_ref()
    }

    /// Learns from an hour of the record what is usual.
    pub(super) fn learn(&mut self, summary: &Summary) {
        let Some(rtt_ms) = summary.rtt_ms else { return };
        if self.hours.len() == HOURS_KEPT {
            self.hours.pop_front();
        }
        self.hours.push_back(Hour {
            median_ms: rtt_ms.p50,
            answered: summary.probes.saturating_sub(summary.lost),
            observed_ms: summary.observed_ms,
        });
    }

    /// The week's median in milliseconds, once a day of samples is known.
    fn usual_ms(&self) -> Option<f64> {
        let observed: u64 = self.hours.iter().map(|hour| hour.observed_ms).sum();
        if u128::from(observed) < LEARNING.as_millis() {
            return None;
        }
        let mut hours: Vec<_> = self.hours.iter().collect();
        hours.sort_by(|one, other| one.median_ms.total_cmp(&other.median_ms));
        let half = hours.iter().map(|hour| u64::from(hour.answered)).sum::<u64>() / 2;
        let mut seen = 0;
        let middle = hours.iter().find(|hour| {
            seen += u64::from(hour.answered);
            seen > half
        });
        middle.map(|hour| hour.median_ms)
    }

    pub(super) fn heard(&mut self, anchor: SocketAddr, sent: Stamp, rtt: Option<Duration>) {
        if !sent.is_at_or_after(self.counting_since) {
            return;
        }
        if self.probes.len() == MOST_PROBES {
            self.probes.pop_front();
        }
        let rtt_ms = rtt.map(|rtt| rtt.as_secs_f32() * 1_000.0);
        self.probes.push_back(Sample { sent, anchor, rtt_ms });
    }

    /// A family's anchors are blocked, or it is down by itself: its probes say nothing.
    pub(super) fn disregard(&mut self, family: Family) {
        self.probes.retain(|sample| Family::of(sample.anchor.ip()) != family);
    }

    /// The line has failed since `started`: that time is its own.
    pub(super) fn line_failed(&mut self, started: Stamp) -> Vec<Transition> {
        self.probes.retain(|sample| !sample.sent.is_at_or_after(started));
        let at = self.open.as_ref().map(|open| open.not_before(started));
        at.map(|at| self.close(at)).unwrap_or_default()
    }

    /// The line is back: the 5 minutes begin anew, as those before were cut off.
    pub(super) fn line_returned(&mut self, at: Stamp) {
        self.probes.clear();
        self.counting_since = at;
    }

    pub(super) fn unwatched(&mut self, again: Stamp, gap: &super::Gap) -> Vec<Transition> {
        self.line_returned(again);
        if let Some(open) = &mut self.open {
            open.unwatch(gap);
        }
        self.close(again)
    }

    fn close(&mut self, at: Stamp) -> Vec<Transition> {
        self.open.take().map(|open| Transition::Closed(open.close(at))).into_iter().collect()
    }

    pub(super) fn decide(&mut self, now: Stamp, random: &mut Rng) -> Vec<Transition> {
        let window = self.settings.limits.quality_window;
        while self
            .probes
            .front()
            .is_some_and(|sample| now.since(&sample.sent).is_some_and(|age| age > window))
        {
            self.probes.pop_front();
        }
        if let Some(open) = &mut self.open {
            open.extend(now);
        }
        if now.since(&self.counting_since).is_none_or(|time| time < window) {
            return Vec::new();
        }
        let figures = self.figures();
        let usual_ms = self.usual_ms();
        let slow = |times: f64| {
            usual_ms.is_some_and(|usual| {
                figures.p95_ms.is_some_and(|p95| p95 > times * usual && p95 > BAD_MS)
            })
        };
        match &self.open {
            None if figures.probes >= FEWEST_PROBES
                && (figures.loss >= BAD_LOSS || slow(BAD_SLOWNESS)) =>
            {
                self.begin(&figures, now, random)
            }
            Some(open)
                if figures.loss < GOOD_LOSS
                    && !slow(GOOD_SLOWNESS)
                    // It lasts for at least as long as its figures are taken over.
                    && now.since(&open.started()).is_some_and(|age| age > window) =>
            {
                self.close(now)
            }
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, figures: &Figures, now: Stamp, random: &mut Rng) -> Vec<Transition> {
        let started = match figures.first_lost {
            Some(sent) if figures.loss >= BAD_LOSS => sent,
            _ => self.probes.front().map_or(now, |sample| sample.sent),
        };
        let slowness = figures.p95_ms.map(|p95| format!(", p95 {p95:.0} ms")).unwrap_or_default();
        let evidence = vec![Observation {
            probe: ProbeKind::Tcp,
            target: format!(
                "{} probes: {:.0} % lost{slowness}",
                figures.probes,
                figures.loss * 100.0
            ),
            family: None,
            answer: if figures.loss >= BAD_LOSS { "lossy" } else { "slow" }.to_owned(),
            ms: figures.p95_ms.map(|p95| p95 as u64),
            at: now,
        }];
        let open = OpenIncident::open(
            Opening {
                id: IncidentId::new(now, random),
                scope: Scope::Quality,
                cause: Cause::Degraded,
                is_flapping: false,
                name_servers: crate::outage::Party::Other,
                started,
                last_ok: None,
                evidence,
            },
            now,
        );
        let opened = Transition::Opened(open.snapshot());
        self.open = Some(open);
        vec![opened]
    }

    /// The probes that say something about the line. What an anchor has lost lately, three times in a
    /// row or more, says something about that anchor, when another of its family answers meanwhile.
    fn telling(&self) -> impl Iterator<Item = &Sample> {
        // For each anchor since its last answer: how many it lost, and since when.
        let mut lost: Vec<(SocketAddr, usize, Stamp)> = Vec::new();
        for sample in &self.probes {
            lost.retain(|(anchor, ..)| *anchor != sample.anchor || sample.rtt_ms.is_none());
            match lost.iter_mut().find(|(anchor, ..)| *anchor == sample.anchor) {
                Some((_, count, _)) => *count += 1,
                None if sample.rtt_ms.is_none() => lost.push((sample.anchor, 1, sample.sent)),
                None => {}
            }
        }
        lost.retain(|(anchor, count, since)| {
            let answers = |other: &Sample| {
                other.rtt_ms.is_some()
                    && other.anchor.is_ipv4() == anchor.is_ipv4()
                    && other.sent.is_at_or_after(*since)
            };
            *count >= DEAD_AFTER && self.probes.iter().any(answers)
        });
        self.probes.iter().filter(move |sample| {
            let is_dead = |(anchor, _, since): &(SocketAddr, usize, Stamp)| {
                *anchor == sample.anchor && sample.sent.is_at_or_after(*since)
            };
            !lost.iter().any(is_dead)
        })
    }

    fn figures(&self) -> Figures {
        let mut times: Vec<f32> = Vec::new();
        let (mut lost, mut first_lost) = (0, None);
        for sample in self.telling() {
            if let Some(rtt_ms) = sample.rtt_ms {
                times.push(rtt_ms);
            } else {
                lost += 1;
                first_lost.get_or_insert(sample.sent);
            }
        }
        times.sort_by(f32::total_cmp);
        let probes = times.len() + lost;
        // Nearest rank: the smallest time that 95 of 100 answers do not exceed.
        let rank = (times.len() * 95).div_ceil(100);
        let p95_ms = rank.checked_sub(1).map(|index| f64::from(times[index]));
        Figures { probes, first_lost, loss: lost as f64 / probes.max(1) as f64, p95_ms }
    }
}

/// What the probes of the last minutes were like.
#[derive(Clone, Copy, Debug)]
struct Figures {
    probes: usize,
    /// When the first of those that were lost was sent.
    first_lost: Option<Stamp>,
    loss: f64,
    p95_ms: Option<f64>,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::BootId;

    fn at(second: u64) -> Stamp {
        let wall = Timestamp::from_second(second.cast_signed()).expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: second * 1_000, wall }
    }

    /// Probes three anchors in turn, one each 5 s for ten minutes, and tells whether something opened.
    fn opens(answers: impl Fn(u64) -> bool) -> bool {
        let mut quality = Quality::new(MachineSettings::default(), None, at(0));
        let mut random = Rng::with_seed(1);
        (1..=120).any(|number| {
            let anchor = ([192, 0, 2, (number % 3) as u8], 443).into();
            let rtt = answers(number).then_some(Duration::from_millis(20));
            quality.heard(anchor, at(number * 5), rtt);
            !quality.decide(at(number * 5 + 1), &mut random).is_empty()
        })
    }

    #[test]
    fn an_anchor_that_is_dead_is_no_bad_line_and_loss_by_all_of_them_is() {
        assert!(!opens(|number| number % 3 != 0));
        assert!(!opens(|number| number % 3 == 0), "nor are two of three");
        assert!(!opens(|number| number < 60 || number % 3 != 1), "nor is one that dies");
        assert!(opens(|number| number % 5 != 0));
        // Some of what one anchor loses may be the line's.
        assert!(opens(|number| number % 3 != 0 || number % 2 == 0));
    }
}
