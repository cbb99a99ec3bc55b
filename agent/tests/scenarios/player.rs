//! Plays a story: a small agent on virtual time that asks the world and tells the machine.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use fastrand::Rng;
use ispmon_agent::{
    clock::{BootId, Stamp},
    outage::{
        BeatOutcome, Evidence, Gap, GapCause, Incident, IncidentId, Machine, MachineSettings,
        Observation, ProbeKind, Round, SettleReason, Transition, View,
    },
    probe::{Connect, Connected, Dns, Family, Gateway},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    invariants::Invariants,
    world::{Change, LinkState, World, anchor_of, connect},
};

const PROBE_MS: u64 = 5_000;
const QUESTION_MS: u64 = 2_000;
const BEAT_MS: u64 = 60_000;
const RETRY_MS: u64 = 5_000;
const LOST_MS: u64 = 1_000;

/// Everything that a story says about how it is played.
pub(crate) struct Plot {
    pub(crate) begins: Timestamp,
    pub(crate) lasts_ms: u64,
    pub(crate) world: World,
    /// In the order of their time in milliseconds.
    pub(crate) changes: Vec<(u64, Change)>,
    /// Where the gap that a change begins ends.
    pub(crate) gap_ends: Vec<Option<u64>>,
    pub(crate) heartbeats: bool,
    pub(crate) settings: MachineSettings,
    pub(crate) usual_ms: Option<f64>,
    pub(crate) seed: u64,
}

/// What came of a story.
pub(crate) struct Outcome {
    /// When which transition was told, in milliseconds of the story.
    pub(crate) transitions: Vec<(u64, Transition)>,
    pub(crate) view: View,
}

#[derive(Clone, Debug)]
enum Action {
    Change(usize),
    Probe,
    Tell(Box<Evidence>),
    Round,
    Ask,
    Beat(u64),
    BeatEnd(Box<Evidence>, u64),
    GapEnd(usize),
    Tick,
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

struct Player<'a> {
    plot: &'a Plot,
    now: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    number: u64,
    machine: Machine,
    world: World,
    random: Rng,
    boot: u128,
    boot_began: u64,
    watching: bool,
    /// The incidents that a journal would have as open.
    recorded: Vec<Incident>,
    next_round: Option<u64>,
    last_round: Option<u64>,
    next_ask: Option<u64>,
    was_failing: bool,
    beat: u64,
    transitions: Vec<(u64, Transition)>,
    invariants: Invariants,
}

/// Plays a story to its end, and checks at every step what must always hold.
pub(crate) fn play(plot: &Plot) -> Outcome {
    let mut random = Rng::with_seed(plot.seed);
    let origin = Stamp { boot: boot_id(1), boot_ms: 1_000, wall: plot.begins };
    let machine = Machine::new(plot.settings, random.fork(), Vec::new(), origin);
    let mut player = Player {
        plot,
        now: 0,
        queue: BinaryHeap::new(),
        number: 0,
        machine,
        world: plot.world.clone(),
        random,
        boot: 1,
        boot_began: 0,
        watching: true,
        recorded: Vec::new(),
        next_round: None,
        last_round: None,
        next_ask: None,
        was_failing: false,
        beat: 0,
        transitions: Vec::new(),
        invariants: Invariants::default(),
    };
    for (index, (at, _)) in plot.changes.iter().enumerate() {
        player.at(*at, Action::Change(index));
    }
    player.learn();
    player.start(SettleReason::Started);
    player.run();
    Outcome { view: player.machine.view(), transitions: player.transitions }
}

fn boot_id(number: u128) -> BootId {
    uuid::Uuid::from_u128(number).to_string().parse().expect("a boot id")
}

impl Player<'_> {
    fn at(&mut self, at: u64, action: Action) {
        self.number += 1;
        self.queue.push(Reverse(Queued { at, number: self.number, action }));
    }

    fn stamp(&self, at: u64) -> Stamp {
        let wall = self.plot.begins + SignedDuration::from_millis(at.cast_signed());
        Stamp { boot: boot_id(self.boot), boot_ms: 1_000 + at - self.boot_began, wall }
    }

    fn learn(&mut self) {
        let Some(usual_ms) = self.plot.usual_ms else { return };
        let now = self.stamp(self.now);
        for _ in 0..48 {
            self.machine.learn(&ispmon_agent::journal::Summary {
                from: now,
                to: now,
                observed_ms: 3_600_000,
                rounds: 0,
                rounds_failed: 0,
                probes: 720,
                lost: 0,
                rtt_ms: Some(ispmon_agent::journal::Quantiles {
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

    fn start(&mut self, reason: SettleReason) {
        self.tell(&Evidence::Settle(reason));
        self.tell_links();
        self.ask_gateway(true);
        self.at(self.now + 700, Action::Probe);
        self.beat += 1;
        if self.plot.heartbeats {
            self.at(self.now + 300, Action::Beat(self.beat));
        }
    }

    fn run(&mut self) {
        while let Some(Reverse(next)) = self.queue.pop() {
            if next.at > self.plot.lasts_ms {
                return;
            }
            self.now = next.at;
            if self.watching || matches!(next.action, Action::Change(_) | Action::GapEnd(_)) {
                self.act(next.action);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Change(index) => self.change(index),
            Action::Probe => {
                for family in Family::BOTH {
                    if self.world.is_routed(family) {
                        self.probe(family);
                    }
                }
                self.at(self.now + PROBE_MS, Action::Probe);
            }
            Action::Tell(evidence) => self.tell(&evidence),
            Action::Round => {
                self.next_round = None;
                for family in self.machine.plan().families {
                    self.last_round = Some(self.now);
                    self.round(family);
                }
                self.follow_plan();
            }
            Action::Ask => {
                self.next_ask = None;
                if self.machine.plan().questions {
                    self.ask();
                }
            }
            Action::Beat(number) if number == self.beat => self.send_beat(),
            Action::BeatEnd(evidence, number) => {
                self.tell(&evidence);
                let failed = matches!(
                    *evidence,
                    Evidence::Heartbeat { outcome: BeatOutcome::Failed(_), .. }
                );
                if number == self.beat {
                    self.at(
                        self.now + if failed { RETRY_MS } else { BEAT_MS },
                        Action::Beat(number),
                    );
                }
            }
            Action::Beat(_) => {}
            Action::GapEnd(index) => self.end_gap(index),
            Action::Tick => self.tell(&Evidence::Tick),
        }
    }

    fn change(&mut self, index: usize) {
        let change = &self.plot.changes[index].1;
        let was_routed = Family::BOTH.map(|family| self.world.is_routed(family));
        let links = Family::BOTH.map(|family| self.world.link(family));
        self.world.change(change);
        if !self.watching {
            return;
        }
        let came_up = Family::BOTH
            .iter()
            .zip(was_routed)
            .any(|(family, was)| !was && self.world.is_routed(*family));
        let other_network = change.network.is_some();
        if came_up || other_network || change.link_up == Some(true) {
            self.tell(&Evidence::Settle(SettleReason::LinkUp));
            self.ask_gateway(true);
        }
        if links != Family::BOTH.map(|family| self.world.link(family)) || came_up {
            self.tell_links();
        }
        if self.plot.changes[index].1.gateway.is_some() && self.world.gateway() == Gateway::Gone {
            self.ask_gateway(false);
        }
        if let Some(implausible) = self.plot.changes[index].1.clock_implausible {
            self.tell(&Evidence::ClockImplausible(implausible));
        }
        self.begin_gap(index);
    }

    fn begin_gap(&mut self, index: usize) {
        if let Some(until) = self.plot.gap_ends[index] {
            let gap = self.plot.changes[index].1.gap.as_deref();
            if matches!(gap, Some("stopped" | "paused")) {
                let transitions = self.machine.leave(self.stamp(self.now));
                self.record(transitions);
            }
            self.watching = false;
            self.at(until, Action::GapEnd(index));
        }
    }

    fn end_gap(&mut self, index: usize) {
        let (began, change) = &self.plot.changes[index];
        let cause = match change.gap.as_deref() {
            Some("suspended") => GapCause::Suspended,
            Some("paused") => GapCause::Paused,
            Some("stopped") => GapCause::Stopped,
            Some("crashed") => GapCause::Crashed,
            Some("power_lost") => GapCause::PowerLost,
            other => panic!("there is no gap of the cause {other:?}"),
        };
        let started = self.stamp(*began);
        if cause == GapCause::PowerLost {
            self.boot += 1;
            self.boot_began = self.now;
        }
        let ended = self.stamp(self.now);
        self.watching = true;
        // Whatever was under way has gone by.
        let changes = self.queue.drain().filter(|Reverse(queued)| {
            matches!(queued.action, Action::Change(_) | Action::GapEnd(_))
        });
        self.queue = changes.collect::<Vec<_>>().into();
        (self.next_round, self.last_round, self.next_ask) = (None, None, None);
        let restarted = !matches!(cause, GapCause::Suspended | GapCause::Paused);
        if restarted {
            let open = std::mem::take(&mut self.recorded);
            self.recorded.clone_from(&open);
            self.machine = Machine::new(self.plot.settings, self.random.fork(), open, ended);
            self.learn();
        }
        let id = IncidentId::new(ended, &mut self.random);
        self.tell(&Evidence::Watched(Gap {
            id,
            cause,
            started,
            ended,
            uncertain_s: 0,
            reason: None,
        }));
        self.start(if restarted { SettleReason::Started } else { SettleReason::Resumed });
    }

    fn tell(&mut self, evidence: &Evidence) {
        let now = self.stamp(self.now);
        let transitions = self.machine.observe(evidence, now);
        self.invariants.check(&self.machine, evidence, &transitions, now);
        self.record(transitions);
        self.follow_plan();
        if let Some(deadline) = self.machine.deadline() {
            let at = self.boot_began + deadline.boot_ms - 1_000;
            self.at(at, Action::Tick);
        }
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
                Transition::Watched(_) => {}
            }
            self.transitions.push((self.now, transition));
        }
    }

    fn follow_plan(&mut self) {
        let plan = self.machine.plan();
        if !plan.families.is_empty() && self.next_round.is_none() {
            let every = plan.every.as_millis() as u64;
            let at = self.last_round.map_or(self.now, |last| self.now.max(last + every));
            self.next_round = Some(at);
            self.at(at, Action::Round);
        }
        if plan.questions && self.next_ask.is_none() {
            self.next_ask = Some(self.now);
            self.at(self.now, Action::Ask);
        }
        if self.was_failing && !plan.failing && self.plot.heartbeats {
            self.beat += 1;
            self.at(self.now + 500, Action::Beat(self.beat));
        }
        self.was_failing = plan.failing;
    }

    fn world_at(&self, at: u64) -> World {
        let mut world = self.plot.world.clone();
        for (_, change) in self.plot.changes.iter().take_while(|(changed, _)| *changed <= at) {
            world.change(change);
        }
        world
    }

    fn connect(&mut self, family: Family) -> (Connect, u64) {
        let mut random = self.random.fork();
        connect(|at| self.world_at(at), family, self.now, &mut random)
    }

    fn probe(&mut self, family: Family) {
        let (end, took) = self.connect(family);
        let sent = self.stamp(self.now);
        let answered = end == Connect::Connected && took <= LOST_MS;
        let rtt = answered.then(|| Duration::from_millis(took));
        let known = self.now + took.min(LOST_MS);
        self.at(
            known,
            Action::Tell(Box::new(Evidence::Probe {
                family,
                anchor: anchor_of(family),
                sent,
                rtt,
            })),
        );
        if !answered {
            let doubt = Evidence::Doubt { family: Some(family), since: sent };
            self.at(known, Action::Tell(Box::new(doubt)));
        }
    }

    fn round(&mut self, family: Family) {
        let started = self.stamp(self.now);
        let mut longest = 0;
        let answers: Vec<_> = (1..=3)
            .map(|anchor| {
                let (end, took) = self.connect(family);
                longest = longest.max(took);
                let address = match family {
                    Family::Ipv4 => format!("192.0.2.{anchor}:443"),
                    Family::Ipv6 => format!("[2001:db8::{anchor}]:443"),
                };
                Connected {
                    target: address.parse().expect("an address"),
                    sent: started,
                    took: Duration::from_millis(took),
                    end,
                }
            })
            .collect();
        let good = answers.iter().filter(|answer| answer.end == Connect::Connected);
        // One good answer decides it.
        let took = good.map(|answer| answer.took.as_millis() as u64).min().unwrap_or(longest);
        let finished = self.stamp(self.now + took);
        let round = Round { family, started, finished, answers };
        self.at(self.now + took, Action::Tell(Box::new(Evidence::Round(round))));
    }

    fn observation(&self, probe: ProbeKind, answer: &str) -> Observation {
        Observation {
            probe,
            target: "test".to_owned(),
            family: None,
            answer: answer.to_owned(),
            ms: None,
            at: self.stamp(self.now),
        }
    }

    fn tell_links(&mut self) {
        let asked = self.stamp(self.now);
        for family in Family::BOTH {
            let link = self.world.link(family);
            self.tell(&Evidence::Link { family, link, asked });
        }
    }

    /// Asks the router; `later` when the answer takes its time.
    fn ask_gateway(&mut self, later: bool) {
        for family in Family::BOTH {
            let world = self.world.family(family);
            if world.link != LinkState::Routed || self.world.has_tunnel() {
                continue;
            }
            let answer = self.world.gateway();
            let observation = self.observation(ProbeKind::Gateway, answer.as_str());
            let took = match answer {
                _ if !later => 0,
                Gateway::Alive | Gateway::NotAsked => 3,
                Gateway::Silent | Gateway::Gone => 1_000,
            };
            let evidence = Evidence::Gateway { family, answer, observation };
            self.at(self.now + took, Action::Tell(Box::new(evidence)));
        }
    }

    fn ask(&mut self) {
        self.ask_gateway(true);
        let asked = self.stamp(self.now);
        let dns = self.world.dns();
        // A server that lies gives an address to the system as well.
        let system = if dns == Dns::Lied { Dns::Answered } else { dns };
        let observations = vec![
            self.observation(ProbeKind::SystemDns, system.as_str()),
            self.observation(ProbeKind::DirectDns, dns.as_str()),
        ];
        let took = if dns == Dns::Silent { 1_900 } else { 20 };
        let evidence = Evidence::Dns {
            system,
            direct: dns,
            resolver_is_providers: self.world.resolver_is_providers,
            asked,
            observations,
        };
        self.at(self.now + took, Action::Tell(Box::new(evidence)));
        let answer = self.world.portal();
        let observation = self.observation(ProbeKind::Portal, answer.as_str());
        let took = if answer == ispmon_agent::probe::Portal::NoAnswer { 1_900 } else { 30 };
        self.at(self.now + took, Action::Tell(Box::new(Evidence::Portal { answer, observation })));
        if self.world.has_tunnel() {
            for family in Family::BOTH {
                let alive = self.world.beneath;
                let observation = self
                    .observation(ProbeKind::Beneath, if alive { "connected" } else { "timeout" });
                let evidence = Evidence::Beneath { family, alive, observation };
                self.at(self.now + 40, Action::Tell(Box::new(evidence)));
            }
        }
        self.next_ask = Some(self.now + QUESTION_MS);
        self.at(self.now + QUESTION_MS, Action::Ask);
    }

    fn send_beat(&mut self) {
        let (outcome, way, took) = self.world.heartbeat();
        let started = self.stamp(self.now);
        let finished = self.stamp(self.now + took);
        let evidence = Evidence::Heartbeat { started, finished, way, outcome };
        self.at(self.now + took, Action::BeatEnd(Box::new(evidence), self.beat));
    }
}
