//! Runs a scenario on virtual time: the agent's incident machine and schedule, with probe results from
//! the scenario's world.

mod ask;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use fastrand::Rng;
use ispmon_agent::{
    clock::{BootId, Stamp},
    heartbeat::OutcomeKind,
    monitor::schedule::{DueProbe, ProbeSchedule},
    outage::{
        Evidence, Gap, GapCause, GraceReason, Incident, IncidentId, MachineSettings,
        MachineSnapshot, NetworkFacts, OutageMachine, Transition,
    },
    probe::{Family, LinkAnswer, Observation, PerFamily, ProbeKind, RouterOutcome},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    invariants::Invariants,
    timeline::Timeline,
    world::{ANCHORS, MacState, World},
};

/// A connect without an answer for this long raises doubt, and counts as lost.
const LOST_MS: u64 = 1_000;
/// Time since boot at the start of a scenario.
const BOOT_MS: u64 = 1_000;
/// Update interval of the agent's alive file.
const ALIVE_MS: u64 = 60_000;

/// Everything that defines a run.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) begins: Timestamp,
    pub(crate) lasts_ms: u64,
    pub(crate) timeline: Timeline,
    /// Events that the agent learns without a probe, in chronological order.
    pub(crate) news: Vec<(u64, News)>,
    pub(crate) heartbeats: HeartbeatSchedule,
    pub(crate) interval_ms: u64,
    pub(crate) settings: MachineSettings,
    pub(crate) router_mac: MacState,
    pub(crate) usual_ms: Option<f64>,
    pub(crate) seed: u64,
    /// Times at which to take the machine's snapshot.
    pub(crate) checkpoints: Vec<u64>,
    /// Whether a crash is dated as the journal does it, by the alive file.
    pub(crate) dates_crashes: bool,
    /// Whether the invariants are checked at each step, or only when something changes.
    pub(crate) strict: bool,
    /// Whether all evidence that the machine receives is printed.
    pub(crate) traced: bool,
}

/// An event of the agent itself, or of its platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The kernel reports that a link, an address or a route may have changed.
    LinksChanged,
    /// An interface comes up, although nothing else changes.
    LinkUp,
    /// The kernel has given up the router.
    GatewayGone,
    ClockImplausible(bool),
    ClockStep(i64),
    Grace(Duration),
    NoAnchors(Family),
    /// Whether the device has no root certificates.
    CannotVerify(bool),
    /// A reload removes the heartbeats' URL.
    NoHeartbeats,
    /// An unmonitored period starts, and lasts until then.
    Gap(GapCause, u64),
}

/// The heartbeat schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeartbeatSchedule {
    None,
    /// Every minute, and every 5 seconds after a failure.
    Steady,
    /// As in the agent, with jitter and back-off.
    Random,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The transitions with their times, in milliseconds of the scenario.
    pub(crate) transitions: Vec<(u64, Transition)>,
    pub(crate) view: MachineSnapshot,
    /// The snapshots at the monitored checkpoints.
    pub(crate) snapshots: Vec<(u64, MachineSnapshot)>,
    /// The longest time without a probe to an anchor of a family while the agent monitored, and when it
    /// ended.
    pub(crate) silence: PerFamily<(u64, u64)>,
    /// The longest time between two link queries, and when it ended.
    pub(crate) longest_link_silence: (u64, u64),
    /// The time of each boot.
    pub(crate) boots: BTreeMap<BootId, u64>,
}

impl Outcome {
    /// Converts a stamp into the time of the scenario.
    pub(crate) fn time_of(&self, stamp: Stamp) -> u64 {
        (self.boots[&stamp.boot] + stamp.boot_ms).saturating_sub(BOOT_MS)
    }
}

#[derive(Clone, Debug)]
enum Action {
    News(usize),
    GapEnd(GapCause, u64),
    /// Evidence arrives from a probe that was sent at this time.
    Learn(u64, Vec<Evidence>, Option<DueProbe>),
    Beat(u64),
    BeatEnd(u64, Box<Evidence>, u64),
}

struct Queued {
    at: u64,
    number: u64,
    action: Action,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[allow(clippy::struct_excessive_bools, reason = "each changes by itself")]
struct Player<'a> {
    plot: &'a Plot,
    now: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    number: u64,
    machine: OutageMachine,
    schedule: ProbeSchedule,
    random: Rng,
    boot: u128,
    boots: BTreeMap<BootId, u64>,
    boot_began: u64,
    wall_offset_ms: i64,
    clock_implausible: bool,
    watching: bool,
    /// Probes sent before this time are void.
    void_before: u64,
    links: PerFamily<Option<LinkAnswer>>,
    no_anchors: PerFamily<bool>,
    no_heartbeats: bool,
    turns: PerFamily<usize>,
    proof_turns: PerFamily<usize>,
    /// The incidents that the journal would have kept over a restart.
    recorded: Vec<Incident>,
    networks: Vec<NetworkFacts>,
    last_record: u64,
    heartbeat: u64,
    failed_beats: u32,
    was_failing: bool,
    silent_since: PerFamily<u64>,
    looked: u64,
    routed_since: PerFamily<Option<u64>>,
    outcome: Outcome,
    invariants: Invariants,
    steps: u64,
}

/// Runs a scenario to its end, and checks the invariants at every step.
pub(crate) fn play(plot: &Plot) -> Outcome {
    let mut random = Rng::with_seed(plot.seed);
    let boot = boot_id(1);
    let origin = Stamp { boot, boot_ms: BOOT_MS, wall: plot.begins };
    let machine = OutageMachine::new(plot.settings, random.fork(), Vec::new(), origin);
    let view = machine.snapshot();
    let mut player = Player {
        plot,
        now: 0,
        queue: BinaryHeap::new(),
        number: 0,
        machine,
        schedule: schedule(plot, origin, &mut random),
        random,
        boot: 1,
        boots: [(boot, 0)].into(),
        boot_began: 0,
        wall_offset_ms: 0,
        clock_implausible: plot.news.contains(&(0, News::ClockImplausible(true))),
        watching: true,
        void_before: 0,
        links: PerFamily::default(),
        no_anchors: PerFamily::default(),
        no_heartbeats: plot.heartbeats == HeartbeatSchedule::None,
        turns: PerFamily::default(),
        proof_turns: PerFamily::default(),
        recorded: Vec::new(),
        networks: Vec::new(),
        last_record: 0,
        heartbeat: 0,
        failed_beats: 0,
        was_failing: false,
        silent_since: PerFamily::default(),
        looked: 0,
        routed_since: PerFamily::default(),
        outcome: Outcome {
            transitions: Vec::new(),
            view,
            snapshots: Vec::new(),
            silence: PerFamily::default(),
            longest_link_silence: (0, 0),
            boots: BTreeMap::new(),
        },
        invariants: Invariants::default(),
        steps: 0,
    };
    for (index, (at, _)) in plot.news.iter().enumerate() {
        player.at(*at, Action::News(index));
    }
    player.learn_usual_rtt();
    player.start(GraceReason::Started);
    player.run();
    player.outcome.view = player.machine.snapshot();
    player.outcome.boots = player.boots;
    player.outcome
}

fn schedule(plot: &Plot, now: Stamp, random: &mut Rng) -> ProbeSchedule {
    let interval = Duration::from_millis(plot.interval_ms);
    ProbeSchedule::new(interval, interval.mul_f64(random.f64()), Duration::from_millis(now.boot_ms))
}

/// A transition in one line of text.
fn transition_line(transition: &Transition) -> String {
    let (what, incident) = match transition {
        Transition::Opened(incident) => ("opened", incident),
        Transition::Changed(incident) => ("changed", incident),
        Transition::Progressed(incident) => ("progressed", incident),
        Transition::Closed(incident) => ("closed", incident),
        Transition::GapEnded(gap) => return format!("gap ended {}", gap.cause),
    };
    let segments = incident.segments.iter().map(|segment| {
        let (from, to) = (segment.from.boot_ms, segment.to.boot_ms);
        format!("{} {} @{from}..@{to}", segment.scope, segment.cause)
    });
    format!("{what} {} {} {:?}", incident.scope, incident.cause, segments.collect::<Vec<_>>())
}

/// The next anchor in turn that `may_be` allows.
fn next(turn: &mut usize, may_be: impl Fn(usize) -> bool) -> Option<usize> {
    let anchors = (*turn..*turn + ANCHORS).map(|turn| turn % ANCHORS);
    let anchor = anchors.into_iter().find(|anchor| may_be(*anchor))?;
    *turn = (anchor + 1) % ANCHORS;
    Some(anchor)
}

fn boot_id(number: u128) -> BootId {
    uuid::Uuid::from_u128(number).to_string().parse().expect("the UUID is a boot id")
}

/// The address of an anchor of a family.
pub(crate) fn anchor_of(family: Family, anchor: usize) -> SocketAddr {
    let number = u16::try_from(anchor + 1).unwrap_or_default();
    match family {
        Family::Ipv4 => (Ipv4Addr::new(192, 0, 2, number.to_be_bytes()[1]), 443).into(),
        Family::Ipv6 => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number), 443).into(),
    }
}

/// A probe and its answer, as the machine receives it.
pub(crate) fn observation(
    probe: ProbeKind,
    family: Option<Family>,
    answer: &str,
    at: Stamp,
    ms: u64,
) -> Observation {
    let (target, answer) = ("test".to_owned(), answer.to_owned());
    Observation { probe, target, family, answer, ms: Some(ms), at }
}

impl Player<'_> {
    fn at(&mut self, at: u64, action: Action) {
        self.number += 1;
        self.queue.push(Reverse(Queued { at, number: self.number, action }));
    }

    fn stamp(&self, at: u64) -> Stamp {
        let since = at.cast_signed() + self.wall_offset_ms;
        let wall = self.plot.begins + SignedDuration::from_millis(since);
        Stamp { boot: boot_id(self.boot), boot_ms: BOOT_MS + at - self.boot_began, wall }
    }

    fn boot_time(&self) -> Duration {
        Duration::from_millis(BOOT_MS + self.now - self.boot_began)
    }

    fn world(&self) -> &World {
        self.plot.timeline.at(self.now)
    }

    fn learn_usual_rtt(&mut self) {
        let Some(usual_ms) = self.plot.usual_ms else { return };
        let now = self.stamp(self.now);
        for _ in 0..48 {
            self.machine.learn(&ispmon_agent::summary::Summary {
                from: now,
                to: now,
                observed_ms: 3_600_000,
                rounds: 0,
                rounds_failed: 0,
                probes: 720,
                lost: 0,
                rtt_ms: Some(ispmon_agent::summary::Quantiles {
                    p50: usual_ms,
                    p95: usual_ms * 1.5,
                    max: usual_ms * 2.0,
                }),
                beats: 60,
                beats_failed: 0,
                blips: 0,
            });
        }
    }

    /// The agent has started, or has resumed.
    fn start(&mut self, reason: GraceReason) {
        self.silent_since = PerFamily::from_fn(|_| self.now);
        self.looked = self.now;
        self.note_routes();
        self.begin_grace(reason);
        self.heartbeat += 1;
        if !self.no_heartbeats {
            self.at(self.now + 300, Action::Beat(self.heartbeat));
        }
    }

    /// Starts a grace period with a round; all earlier results are void.
    fn begin_grace(&mut self, reason: GraceReason) {
        self.learn(&Evidence::Grace(reason));
        self.forget_macs();
        self.query_links();
        for family in Family::BOTH {
            if self.no_anchors[family] {
                self.learn(&Evidence::NoAnchors { family });
            }
        }
        if self.no_heartbeats {
            self.learn(&Evidence::NoHeartbeats);
        }
        self.learn(&Evidence::ClockImplausible(self.clock_implausible));
        self.schedule.resume(self.boot_time());
    }

    fn run(&mut self) {
        let mut checkpoints = self.plot.checkpoints.iter().copied().peekable();
        loop {
            let wake = if self.watching { self.advance() } else { u64::MAX };
            let queued = self.queue.peek().map_or(u64::MAX, |Reverse(next)| next.at);
            let next = wake.min(queued);
            while let Some(at) = checkpoints.next_if(|at| *at < next) {
                if self.watching {
                    self.outcome.snapshots.push((at, self.machine.snapshot()));
                }
            }
            if next > self.plot.lasts_ms {
                self.now = self.plot.lasts_ms;
                if self.watching {
                    self.note_silence();
                }
                return;
            }
            self.now = next;
            self.note_routes();
            if queued == next
                && let Some(Reverse(Queued { action, .. })) = self.queue.pop()
            {
                self.act(action);
            }
        }
    }

    /// Does everything that is due, and returns the next wake-up time.
    fn advance(&mut self) -> u64 {
        let now = self.stamp(self.now);
        if self.machine.deadline().is_some_and(|deadline| deadline.boot_ms <= now.boot_ms) {
            self.learn(&Evidence::Tick);
        }
        let wanted = self.machine.plan();
        let (mut questions, mut next) = self.schedule.due(wanted, self.boot_time());
        let looks = |asked: &DueProbe| matches!(asked, DueProbe::Probe(_) | DueProbe::Round(_));
        if questions.iter().any(looks) && self.query_links() {
            // As in the monitor: a change may make more probes due.
            let (more, again) = self.schedule.due(self.machine.plan(), self.boot_time());
            questions.extend(more);
            next = again;
        }
        for question in questions {
            self.ask(question);
        }
        let deadline = self.machine.deadline().map(|at| at.boot_ms);
        let next = u64::try_from(next.as_millis()).unwrap_or(u64::MAX);
        let wake = next.min(deadline.unwrap_or(u64::MAX)).saturating_sub(BOOT_MS) + self.boot_began;
        assert!(wake > self.now, "the agent would wake for ever: {wanted:?}");
        wake
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::News(index) => self.receive_news(index),
            Action::GapEnd(cause, began) => self.end_gap(cause, began),
            Action::Learn(asked, evidence, ended) => {
                if let Some(question) = ended {
                    self.schedule.answered(question);
                }
                if asked >= self.void_before && self.watching {
                    for evidence in &evidence {
                        self.learn(evidence);
                    }
                }
            }
            Action::Beat(number) if number == self.heartbeat && self.watching => {
                self.send_heartbeat();
            }
            Action::Beat(_) => {}
            Action::BeatEnd(started, evidence, number) => {
                if started >= self.void_before && self.watching {
                    self.learn(&evidence);
                }
                if number == self.heartbeat {
                    let wait = self.heartbeat_wait(&evidence);
                    self.at(self.now + wait, Action::Beat(number));
                }
            }
        }
    }

    fn receive_news(&mut self, index: usize) {
        let news = &self.plot.news[index].1;
        match news {
            News::ClockStep(by_ms) => self.wall_offset_ms += by_ms,
            News::ClockImplausible(implausible) => self.clock_implausible = *implausible,
            News::NoHeartbeats => self.no_heartbeats = true,
            News::NoAnchors(family) => {
                self.no_anchors[*family] = true;
                self.links[*family] = None;
            }
            _ => {}
        }
        if !self.watching {
            return;
        }
        match news {
            News::LinksChanged => {
                if self.query_links() {
                    self.schedule.hurry();
                }
            }
            News::LinkUp => {
                self.forget_macs();
                self.learn(&Evidence::Grace(GraceReason::LinkUp));
                self.query_links();
            }
            News::GatewayGone => {
                for family in Family::BOTH {
                    if self.world().families[family].can_send() {
                        self.report_gateway(family, RouterOutcome::Gone);
                    }
                }
            }
            News::ClockImplausible(implausible) => {
                self.learn(&Evidence::ClockImplausible(*implausible));
            }
            News::ClockStep(_) => {
                self.learn(&Evidence::ClockImplausible(self.clock_implausible));
            }
            News::Grace(grace) => self.machine.set_grace(*grace),
            News::CannotVerify(cannot) => self.learn(&Evidence::CannotVerify(*cannot)),
            News::NoHeartbeats => {
                self.heartbeat += 1;
                self.learn(&Evidence::NoHeartbeats);
            }
            News::NoAnchors(family) => self.learn(&Evidence::NoAnchors { family: *family }),
            News::Gap(cause, until) => self.begin_gap(*cause, *until),
        }
    }

    fn begin_gap(&mut self, cause: GapCause, until: u64) {
        if matches!(cause, GapCause::Stopped | GapCause::Paused) {
            let now = self.stamp(self.now);
            let transitions = self.machine.stop_monitoring(now);
            self.invariants.check(&self.machine, &Evidence::Tick, &transitions, now);
            self.record(transitions);
        }
        self.watching = false;
        self.note_silence();
        let began = if self.plot.dates_crashes
            && matches!(cause, GapCause::Crashed | GapCause::PowerLost)
        {
            let alive = self.now - (self.now - self.boot_began) % ALIVE_MS;
            alive.max(self.last_record)
        } else {
            self.now
        };
        self.at(until, Action::GapEnd(cause, began));
    }

    fn end_gap(&mut self, cause: GapCause, began: u64) {
        let started = self.stamp(began);
        if cause == GapCause::PowerLost {
            self.boot += 1;
            self.boot_began = self.now;
            self.boots.insert(boot_id(self.boot), self.now);
        }
        let ended = self.stamp(self.now);
        self.watching = true;
        self.void_before = self.now;
        let restarted = !matches!(cause, GapCause::Suspended | GapCause::Paused);
        if restarted {
            // Probes in flight are lost.
            let news = self.queue.drain().filter(|Reverse(queued)| {
                matches!(queued.action, Action::News(_) | Action::GapEnd(..))
            });
            self.queue = news.collect::<Vec<_>>().into();
            let open = self.recorded.clone();
            self.machine = OutageMachine::new(self.plot.settings, self.random.fork(), open, ended);
            self.networks.iter().for_each(|facts| self.machine.restore_network(facts));
            self.schedule = schedule(self.plot, ended, &mut self.random);
            self.links = PerFamily::default();
            self.learn_usual_rtt();
        }
        let id = IncidentId::new(ended, &mut self.random);
        self.learn(&Evidence::GapEnded(Gap {
            id,
            cause,
            started,
            ended,
            uncertain_s: 0,
            reason: None,
        }));
        self.start(if restarted { GraceReason::Started } else { GraceReason::Resumed });
    }

    /// Forgets the hardware addresses of the routers, like the prober: the device may be elsewhere now.
    fn forget_macs(&mut self) {
        self.links = self.links.clone().map(|link| link.as_ref().map(LinkAnswer::without_mac));
    }

    /// Queries the kernel for the links, and returns whether they have changed.
    fn query_links(&mut self) -> bool {
        let asked = self.stamp(self.now);
        let before = self.links.clone();
        self.note_link_query();
        for family in Family::BOTH {
            let link = self.query_link(family);
            self.links[family] = (!self.no_anchors[family]).then_some(link);
        }
        let has_returned = before.iter().zip(self.links.iter()).any(|((_, before), (_, after))| {
            let (Some(before), Some(after)) = (before, after) else { return false };
            after.has_come_up_since(before)
        });
        if has_returned {
            self.learn(&Evidence::Grace(GraceReason::LinkUp));
        }
        let after = self.links.clone();
        self.learn(&Evidence::Links { links: after.clone(), asked });
        let way = |link: Option<LinkAnswer>| link.as_ref().map(LinkAnswer::without_mac);
        has_returned || after.map(way) != before.map(way)
    }

    /// The kernel's answer for a family, with the MAC address of its router so far.
    fn query_link(&self, family: Family) -> LinkAnswer {
        let (link, before) = (self.world().link(family), self.links[family].as_ref());
        let is_new = before.is_none_or(|before| {
            before.route().is_none() || link.without_mac().has_come_up_since(&before.without_mac())
        });
        let is_known = match self.plot.router_mac {
            MacState::AtOnce => true,
            MacState::Later => !is_new,
            MacState::Never => false,
        };
        let link = if is_known { link } else { link.without_mac() };
        before.map_or_else(|| link.clone(), |before| link.with_mac_of(before))
    }

    fn learn(&mut self, evidence: &Evidence) {
        let now = self.stamp(self.now);
        let transitions = self.machine.observe(evidence, now);
        self.networks.extend(self.machine.take_learned());
        self.steps += 1;
        if self.plot.strict || !transitions.is_empty() {
            self.invariants.check(&self.machine, evidence, &transitions, now);
        }
        if self.plot.traced {
            self.trace(evidence);
        }
        self.record(transitions);
        let is_failing = self.machine.is_failing();
        if self.was_failing && !is_failing && !self.no_heartbeats && self.watching {
            // The first heartbeat after an outage is sent at once.
            self.heartbeat += 1;
            self.failed_beats = 0;
            let wait = match self.plot.heartbeats {
                HeartbeatSchedule::Random => self.random.u64(0..3_000),
                HeartbeatSchedule::Steady | HeartbeatSchedule::None => 500,
            };
            self.at(self.now + wait, Action::Beat(self.heartbeat));
        }
        self.was_failing = is_failing;
    }

    /// Prints the evidence and the machine's state after it.
    fn trace(&self, evidence: &Evidence) {
        let mut text = format!("{evidence:?}");
        while let (Some(from), Some(to)) = (text.find("Stamp { boot"), text.find('Z')) {
            if from > to {
                break;
            }
            let stamp = &text[from..to];
            let boot_ms = stamp.split("boot_ms: ").nth(1).and_then(|rest| rest.split(',').next());
            let at = format!("@{}", boot_ms.unwrap_or_default());
            text.replace_range(from..(to + 3).min(text.len()), &at);
        }
        let view = self.machine.snapshot();
        let open: Vec<_> = view.incidents.iter().map(|open| open.cause.as_str()).collect();
        println!("{:>9} {:?} {:?} {open:?} {text}", self.now, view.ipv4, view.ipv6);
    }

    fn record(&mut self, transitions: Vec<Transition>) {
        for transition in transitions {
            match &transition {
                Transition::Opened(incident)
                | Transition::Changed(incident)
                | Transition::Progressed(incident) => {
                    self.recorded.retain(|recorded| recorded.id != incident.id);
                    self.recorded.push(incident.clone());
                }
                Transition::Closed(incident) => {
                    self.recorded.retain(|recorded| recorded.id != incident.id);
                }
                Transition::GapEnded(_) => {}
            }
            if self.plot.traced {
                println!("{:>9} => {}", self.now, transition_line(&transition));
            }
            self.last_record = self.now;
            self.outcome.transitions.push((self.now, transition));
        }
    }

    fn note_silence(&mut self) {
        self.note_link_query();
        for family in Family::BOTH {
            self.note_anchor_probed(family);
        }
    }

    fn note_link_query(&mut self) {
        let blind = self.now - std::mem::replace(&mut self.looked, self.now);
        if blind > self.outcome.longest_link_silence.0 {
            self.outcome.longest_link_silence = (blind, self.now);
        }
    }

    fn note_anchor_probed(&mut self, family: Family) {
        let silent = self.now - std::mem::replace(&mut self.silent_since[family], self.now);
        // Without a route nothing can be probed.
        let could = self.routed_since[family].is_some_and(|since| since + silent <= self.now);
        if could && silent > self.outcome.silence[family].0 {
            self.outcome.silence[family] = (silent, self.now);
        }
    }

    /// Notes since when a family has a route.
    fn note_routes(&mut self) {
        for family in Family::BOTH {
            let can_send = self.world().families[family].can_send() && !self.no_anchors[family];
            let since = self.routed_since[family].unwrap_or(self.now);
            self.routed_since[family] = can_send.then_some(since);
        }
    }

    fn send_heartbeat(&mut self) {
        let mut random = self.random.fork();
        let (outcome, proof, took) = self.plot.timeline.heartbeat(self.now, &mut random);
        let started = self.stamp(self.now);
        let finished = self.stamp(self.now + took);
        let evidence = Evidence::Heartbeat { started, finished, proof, outcome };
        self.at(self.now + took, Action::BeatEnd(self.now, Box::new(evidence), self.heartbeat));
    }

    /// Wait before the next heartbeat after one with this result.
    fn heartbeat_wait(&mut self, evidence: &Evidence) -> u64 {
        let failed =
            matches!(evidence, Evidence::Heartbeat { outcome: OutcomeKind::Failed(_), .. });
        self.failed_beats = if failed { self.failed_beats + 1 } else { 0 };
        match (self.plot.heartbeats, failed) {
            (HeartbeatSchedule::Random, true) => {
                self.random.u64(0..=(1_000 << self.failed_beats.min(5)).min(30_000))
            }
            (HeartbeatSchedule::Random, false) => self.random.u64(54_000..66_000),
            (HeartbeatSchedule::Steady | HeartbeatSchedule::None, true) => 5_000,
            (HeartbeatSchedule::Steady | HeartbeatSchedule::None, false) => 60_000,
        }
    }
}
