//! The scheduled probes of the last minutes, and which of them count as evidence about the connection.

use std::{collections::VecDeque, net::SocketAddr, num::NonZeroU16, time::Duration};

use crate::probe::Family;

/// How many probes in a row an anchor must lose to count as dead, if others answer meanwhile.
const DEAD_AFTER: u32 = 3;
/// Round-trip times are stored in units of 20 µs; 65,535 of them are 1.3 s, and a probe counts as lost
/// after 1 s.
const UNITS_PER_MS: u16 = 50;
/// The most probes that are kept: six and a half minutes of one each 100 ms over both families.
const MOST_SAMPLES: usize = 8_000;
/// The most probes that wait until all earlier ones have a result: 20 per second for a few seconds.
const MOST_PENDING: usize = 256;
/// The most anchors that are distinguished, one bit each. Probes of further ones are not counted.
const MOST_ANCHORS: usize = 128;

/// The probes of a window of up-time, 8 bytes each.
///
/// Probes are processed in the order of sending. A *run* is a sequence of consecutive losses of one
/// anchor.
///
/// | run | its lost probes |
/// |---|---|
/// | shorter than 3, and the anchor has not answered since | undecided, do not count yet |
/// | at least 3, and another anchor of the family answered between the first and the last | permanently excluded: the anchor was dead, not the connection |
/// | any other | count |
///
/// An interruption ends all runs.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Ordered by sending, the newest last.
    samples: VecDeque<Sample>,
    /// Ordered by sending. A probe is known to be lost only after later ones have been answered.
    pending: Vec<Pending>,
    anchors: Vec<AnchorProbes>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The lower 32 bits of the position; they wrap around after 49 days.
    position: u32,
    /// In units of 1/50 ms; `None` if the probe was lost.
    rtt: Option<NonZeroU16>,
    anchor: u8,
    standing: Standing,
}

const _: () = assert!(size_of::<Sample>() == 8, "five minutes must fit into a few tens of KB");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Counted,
    Undecided,
    LeftOut,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    sent_ms: u64,
    position: u64,
    rtt: Option<NonZeroU16>,
    anchor: u8,
}

#[derive(Debug)]
struct AnchorProbes {
    address: SocketAddr,
    run: LossRun,
}

impl AnchorProbes {
    fn family(&self) -> Family {
        Family::of(self.address.ip())
    }
}

/// The losses of an anchor since its last answer.
#[derive(Clone, Copy, Debug, Default)]
struct LossRun {
    lost: u32,
    /// Another anchor of the family has answered since the first of these losses.
    others_answer: bool,
    is_dead: bool,
}

/// The figures of the probes that count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProbeFigures {
    /// The number of probes.
    pub(super) probes: usize,
    /// The number of lost ones.
    pub(super) lost: usize,
    /// The 95th percentile of the round-trip times, in milliseconds; `None` without an answer.
    pub(super) p95_ms: Option<f64>,
}

impl ProbeFigures {
    /// The share of lost probes, 0 to 1.
    pub(super) fn loss(&self) -> f64 {
        self.lost as f64 / self.probes.max(1) as f64
    }
}

impl Window {
    /// Adds a probe that was sent at the moment `sent_ms`, whose position is `position`.
    pub(super) fn add(
        &mut self,
        address: SocketAddr,
        sent_ms: u64,
        position: u64,
        rtt: Option<Duration>,
    ) {
        let Some(anchor) = self.anchor_index(address) else { return };
        if self.pending.len() == MOST_PENDING {
            let oldest = self.pending.remove(0);
            self.take(oldest);
        }
        let at = self.pending.partition_point(|pending| pending.sent_ms <= sent_ms);
        self.pending.insert(at, Pending { sent_ms, position, rtt: rtt.map(units), anchor });
    }

    /// The index of an anchor; a new one replaces an anchor without probes if the table is full.
    fn anchor_index(&mut self, address: SocketAddr) -> Option<u8> {
        let known = self.anchors.iter().position(|anchor| anchor.address == address);
        let index = known.or_else(|| {
            let new = AnchorProbes { address, run: LossRun::default() };
            if self.anchors.len() < MOST_ANCHORS {
                self.anchors.push(new);
                return Some(self.anchors.len() - 1);
            }
            let is_used = |index: usize| {
                let is_its = |anchor: u8| usize::from(anchor) == index;
                self.samples.iter().any(|sample| is_its(sample.anchor))
                    || self.pending.iter().any(|pending| is_its(pending.anchor))
            };
            let free = (0..self.anchors.len()).find(|index| !is_used(*index))?;
            self.anchors[free] = new;
            Some(free)
        });
        index.and_then(|index| u8::try_from(index).ok())
    }

    /// Processes the probes sent until a moment; all of these must have a result.
    pub(super) fn take_until(&mut self, moment_ms: u64) {
        let count = self.pending.partition_point(|pending| pending.sent_ms <= moment_ms);
        for pending in self.pending.drain(..count).collect::<Vec<_>>() {
            self.take(pending);
        }
    }

    fn take(&mut self, pending: Pending) {
        let Pending { position, rtt, anchor, .. } = pending;
        let index = usize::from(anchor);
        let standing = if rtt.is_some() {
            self.end_run(index);
            let family = self.anchors[index].family();
            for other in self.anchors.iter_mut().filter(|other| other.family() == family) {
                other.run.others_answer |= other.run.lost > 0;
            }
            Standing::Counted
        } else {
            self.lose(index)
        };
        if self.samples.len() == MOST_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { position: position as u32, rtt, anchor, standing });
    }

    /// Counts one more loss of an anchor, and returns the standing of that probe.
    fn lose(&mut self, index: usize) -> Standing {
        let run = &mut self.anchors[index].run;
        run.lost = run.lost.saturating_add(1);
        if run.is_dead {
            return Standing::LeftOut;
        }
        if run.lost < DEAD_AFTER {
            return Standing::Undecided;
        }
        run.is_dead = run.others_answer;
        let (lost, is_dead) = (run.lost, run.is_dead);
        let standing = if is_dead { Standing::LeftOut } else { Standing::Counted };
        if is_dead || lost == DEAD_AFTER {
            self.decide_newest(index, lost - 1, standing);
        }
        standing
    }

    fn end_run(&mut self, index: usize) {
        let run = std::mem::take(&mut self.anchors[index].run);
        if (1..DEAD_AFTER).contains(&run.lost) {
            self.decide_newest(index, run.lost, Standing::Counted);
        }
    }

    /// Sets the standing of the newest `count` probes of an anchor, as far as they are still kept.
    fn decide_newest(&mut self, index: usize, count: u32, standing: Standing) {
        let of_anchor = |sample: &&mut Sample| usize::from(sample.anchor) == index;
        for sample in self.samples.iter_mut().rev().filter(of_anchor).take(count as usize) {
            sample.standing = standing;
        }
    }

    /// Ends all runs, and drops the probes from `position` on.
    pub(super) fn interrupt(&mut self, position: u64) {
        for pending in std::mem::take(&mut self.pending) {
            if pending.position < position {
                self.take(pending);
            }
        }
        (0..self.anchors.len()).for_each(|index| self.end_run(index));
        self.samples.retain(|sample| from_to(position, sample.position) < 0);
    }

    /// Drops the losses of a family since its last answer, and ends its runs.
    pub(super) fn disregard(&mut self, family: Family) {
        let of_family: Vec<_> =
            self.anchors.iter().map(|anchor| anchor.family() == family).collect();
        let is_its = |anchor: u8| of_family[usize::from(anchor)];
        for pending in std::mem::take(&mut self.pending) {
            if is_its(pending.anchor) {
                self.take(pending);
            } else {
                self.pending.push(pending);
            }
        }
        (0..of_family.len())
            .filter(|index| of_family[*index])
            .for_each(|index| self.end_run(index));
        let answered = |sample: &Sample| is_its(sample.anchor) && sample.rtt.is_some();
        let kept = self.samples.iter().rposition(answered).map_or(0, |newest| newest + 1);
        let mut index = 0;
        self.samples.retain(|sample| {
            index += 1;
            index <= kept || !is_its(sample.anchor)
        });
    }

    /// Drops the probes before `position`.
    pub(super) fn forget_before(&mut self, position: u64) {
        while self.samples.front().is_some_and(|sample| from_to(position, sample.position) < 0) {
            self.samples.pop_front();
        }
    }

    /// The probes from `position` on that count.
    fn counted(&self, position: u64) -> impl Iterator<Item = &Sample> {
        let counts = move |sample: &&Sample| {
            sample.standing == Standing::Counted && from_to(position, sample.position) >= 0
        };
        self.samples.iter().filter(counts)
    }

    /// The figures of the probes from `position` on that count.
    pub(super) fn figures(&self, position: u64) -> ProbeFigures {
        let probes = self.counted(position).count();
        let mut times: Vec<_> = self.counted(position).filter_map(|sample| sample.rtt).collect();
        // Nearest rank: the smallest time that 95 of 100 answers do not exceed.
        let rank = (times.len() * 95).div_ceil(100);
        let p95_ms =
            rank.checked_sub(1).map(|index| milliseconds(*times.select_nth_unstable(index).1));
        ProbeFigures { probes, lost: probes - times.len(), p95_ms }
    }

    /// Whether in each family all losses from `position` on are those of one anchor while others
    /// answered: then the anchor fails, not the connection. An operator's anchors may fail over both
    /// families.
    pub(super) fn is_of_one_anchor(&self, position: u64) -> bool {
        Family::BOTH.into_iter().all(|family| {
            let (mut asked, mut losing) = (0_u128, 0_u128);
            for sample in self.counted(position) {
                if self.anchors[usize::from(sample.anchor)].family() == family {
                    asked |= 1 << sample.anchor;
                    losing |= u128::from(sample.rtt.is_none()) << sample.anchor;
                }
            }
            losing == 0 || losing.is_power_of_two() && asked != losing
        })
    }

    /// The position of the first probe from `position` on that was lost and counts.
    pub(super) fn first_lost(&self, position: u64) -> Option<u64> {
        self.first(position, |sample| sample.rtt.is_none())
    }

    /// The position of the first one with a round-trip time above a limit in milliseconds.
    pub(super) fn first_slower(&self, position: u64, limit_ms: f64) -> Option<u64> {
        self.first(position, |sample| sample.rtt.is_some_and(|rtt| milliseconds(rtt) > limit_ms))
    }

    fn first(&self, position: u64, is_meant: impl Fn(&Sample) -> bool) -> Option<u64> {
        let first = self.counted(position).find(|sample| is_meant(sample))?;
        u64::try_from(from_to(position, first.position)).ok().map(|by| position + by)
    }
}

/// The distance from a position to that of a sample; they are never 24 days apart.
fn from_to(position: u64, sample: u32) -> i32 {
    sample.wrapping_sub(position as u32).cast_signed()
}

fn units(rtt: Duration) -> NonZeroU16 {
    let units = rtt.as_micros() * u128::from(UNITS_PER_MS) / 1_000;
    u16::try_from(units)
        .ok()
        .map_or(NonZeroU16::MAX, |units| NonZeroU16::new(units).unwrap_or(NonZeroU16::MIN))
}

fn milliseconds(rtt: NonZeroU16) -> f64 {
    f64::from(rtt.get()) / f64::from(UNITS_PER_MS)
}
