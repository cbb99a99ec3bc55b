//! The incident machine: evidence in, transitions out.

use std::{net::SocketAddr, time::Duration};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{
    BeatOutcome, Evidence, Incident, Scope, SettleReason, Transition,
    beats::Beats,
    blips::Blips,
    family::{FamilyTrack, Standing},
    line::Line,
    open::{OpenIncident, earlier},
    quality::Quality,
};
use crate::{
    clock::Stamp,
    heartbeat::Way,
    probe::{Family, PerFamily},
    summary::Summary,
};

/// What decides how patient the machine is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MachineSettings {
    /// How long after a start, a resume or a link-up no incident opens unless a round was good.
    pub settle: Duration,
    /// The times that are the same on every device, but for tests.
    pub limits: Limits,
}

/// Times and counts that are the same on every device. Tests that play an hour in a minute scale
/// them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// How long the same refusal must last until it is one of the credentials: 10 minutes.
    pub credentials_after: Duration,
    /// The incident of which number within `unstable_within` makes a line unstable: the 6th.
    pub unstable_after: usize,
    /// 30 minutes.
    pub unstable_within: Duration,
    /// How long an unstable line must be up to be a stable one again: 10 minutes.
    pub unstable_quiet: Duration,
    /// How often the progress of an unstable line is noted at most: every 15 minutes.
    pub progress_every: Duration,
    /// The time over which loss and slowness are taken: 5 minutes.
    pub quality_window: Duration,
    /// How long another cause must be seen until a new segment begins with it: 3 seconds, as long
    /// as it takes to ask anew.
    pub cause_holds: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            credentials_after: Duration::from_mins(10),
            unstable_after: 6,
            unstable_within: Duration::from_mins(30),
            unstable_quiet: Duration::from_mins(10),
            progress_every: Duration::from_mins(15),
            quality_window: Duration::from_mins(5),
            cause_holds: Duration::from_secs(3),
        }
    }
}

impl Default for MachineSettings {
    fn default() -> Self {
        Self { settle: Duration::from_mins(1), limits: Limits::default() }
    }
}

/// Turns evidence into incidents. A value: equal evidence, times and seeds give equal transitions.
///
/// It lives for one boot at most. The evidence must come in the order in which it was learned; what
/// was asked in another order finds its place.
#[derive(Debug)]
pub struct Machine {
    settings: MachineSettings,
    random: Rng,
    now: Stamp,
    line: Line,
    beats: Beats,
    quality: Quality,
    blips: Blips,
}

/// What is worth telling as soon as it changes, beside transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// How each family does.
    pub families: PerFamily<FamilyState>,
    /// How many failures were too short to be incidents since the agent started.
    pub blips: u64,
    /// Whether the anchors must be blocked here ([`View::anchors_blocked`]).
    pub anchors_blocked: bool,
}

/// What the machine knows at present, for the status and for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// How IPv4 does.
    pub ipv4: FamilyState,
    /// How IPv6 does.
    pub ipv6: FamilyState,
    /// When an anchor has answered last, by family.
    pub last_ok: PerFamily<Option<Stamp>>,
    /// The incidents that are open.
    pub incidents: Vec<Incident>,
    /// How many failures were too short to be incidents since the agent started.
    pub blips: u64,
    /// Whether heartbeats pass where no anchor ever answers, so that the anchors must be blocked
    /// here: worth one warning when it becomes true. Nothing opens for it.
    pub anchors_blocked: bool,
}

/// How an address family does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyState {
    /// There is no way to send by it, or it has never worked on this network while the other does:
    /// it is not judged.
    Absent,
    /// Nothing is known yet.
    Unknown,
    /// It works.
    Up,
    /// Something failed; this is not decided yet.
    Doubt,
    /// It does not work.
    Down,
}

/// What should be asked at present, beside the scheduled probes. Ask for it anew after each call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The families that rounds should be made of; none when nothing is in doubt.
    pub families: Vec<Family>,
    /// The time from the start of a round to that of the next: 1 s in doubt, so that they overlap,
    /// and 1.5 s while an incident is open.
    pub every: Duration,
    /// Whether link, gateway, name servers, portal and the interface beneath a tunnel should be
    /// asked, again and again.
    pub questions: bool,
    /// Whether an incident of the line is open, so that a returned line should be used at once.
    pub failing: bool,
}

impl Machine {
    /// Starts at `now` with the incidents that the record left open. Tell it next of the
    /// [time that nobody watched](Evidence::Watched), if there was one, and then that it has
    /// [started](Evidence::Settle).
    ///
    /// `random` decides the ids only.
    pub fn new(settings: MachineSettings, random: Rng, open: Vec<Incident>, now: Stamp) -> Self {
        let (mut line, mut beats, mut quality) = (None, None, None);
        for incident in open {
            let place = match incident.scope {
                Scope::Internet | Scope::Ipv4 | Scope::Ipv6 => &mut line,
                Scope::Heartbeat => &mut beats,
                Scope::Quality => &mut quality,
            };
            *place = Some(OpenIncident::recover(incident, now));
        }
        Self {
            settings,
            random,
            now,
            line: Line::new(settings, line, now),
            beats: Beats::new(settings, beats, now),
            quality: Quality::new(settings, quality, now),
            blips: Blips::default(),
        }
    }

    /// Learns from an hour of the record what is usual on this line: at start from those of the last
    /// 7 days, oldest first, then from each that is written.
    pub fn learn(&mut self, summary: &Summary) {
        self.quality.learn(summary);
    }

    /// Takes one piece of evidence that was learned at `now`, and returns what changes, in the
    /// order in which it must be written down.
    pub fn observe(&mut self, evidence: &Evidence, now: Stamp) -> Vec<Transition> {
        self.now = now;
        let was_failing = self.line.is_failing();
        let mut returned = None;
        let mut transitions = Vec::new();
        match evidence {
            Evidence::Settle(reason) => self.settle(*reason, now),
            Evidence::Link { family, link, asked } => {
                self.line.family_mut(*family).heard_link(link.clone(), *asked);
            }
            Evidence::Probe { family, anchor, sent, rtt } => {
                self.probed(*family, *anchor, *sent, *rtt, now);
            }
            Evidence::Doubt { family, since } => self.doubt(*family, *since),
            Evidence::Round(round) => {
                let blip = self.line.family_mut(round.family).heard_round(round);
                if blip {
                    self.blips.note(round.family, now);
                }
            }
            Evidence::Gateway { family, answer, observation } => {
                self.line.family_mut(*family).heard_gateway(*answer, observation.clone());
            }
            Evidence::Dns { system, direct, resolver_is_providers, asked, observations } => {
                self.line.checks.heard_dns(
                    *system,
                    *direct,
                    *resolver_is_providers,
                    *asked,
                    observations.clone(),
                );
            }
            Evidence::Portal { answer, observation } => {
                self.line.checks.heard_portal(*answer, observation.clone());
            }
            Evidence::Beneath { family, alive, observation } => {
                self.line.family_mut(*family).heard_beneath(*alive, observation.clone());
            }
            Evidence::Heartbeat { started, finished, way, outcome } => {
                let family = way.family();
                transitions = self.beats.heard(*started, *finished, family, *outcome, now);
                match outcome {
                    BeatOutcome::Delivered if *way == Way::Nearby => {}
                    BeatOutcome::Delivered => {
                        returned = self.line.beat_delivered(family, *finished, now);
                    }
                    BeatOutcome::Refused(_) => self.doubt(family, *started),
                    BeatOutcome::Failed(_) => self.beat_failed(family, *started),
                }
            }
            Evidence::Watched(gap) => {
                transitions = self.quality.unwatched(now, gap);
                transitions.push(Transition::Watched(gap.clone()));
                transitions.extend(self.line.unwatched(gap));
                transitions.extend(self.beats.unwatched(gap));
            }
            Evidence::ClockImplausible(implausible) => self.beats.clock_implausible(*implausible),
            Evidence::NoAnchors { family } => {
                *self.line.family_mut(*family) =
                    FamilyTrack::new(*family, now, self.settings.settle);
                self.quality.disregard(*family);
            }
            Evidence::Tick => {}
        }
        if self.line.is_troubled() {
            self.beats.line_troubled(now);
        }
        let suspicion = self.beats.suspicion();
        let decided = self.line.decide(suspicion, returned, now, &mut self.random);
        for transition in &decided {
            match transition {
                Transition::Opened(incident) => {
                    transitions.extend(self.beats.line_failed(incident.started));
                    transitions.extend(self.quality.line_failed(incident.started));
                }
                Transition::Closed(_) => self.beats.line_returned(),
                _ => {}
            }
        }
        transitions.extend(decided);
        if was_failing && !self.line.is_failing() {
            self.quality.line_returned(now);
        }
        transitions.extend(self.beats.decide(&self.line, now, &mut self.random));
        if !self.line.is_failing() {
            transitions.extend(self.quality.decide(now, &mut self.random));
        }
        transitions
    }

    /// Nobody watches from `now` on: what is open, as far as it was watched, so that the record holds
    /// it even if nobody ever watches again. What was not watched lately has nothing to add.
    pub fn leave(&mut self, now: Stamp) -> Vec<Transition> {
        self.now = now;
        [self.line.open(), self.beats.open(), self.quality.open()]
            .into_iter()
            .flatten()
            .filter(|open| !open.is_unwatched())
            .map(|open| Transition::Progressed(open.snapshot(now)))
            .collect()
    }

    /// Has a new time to settle count from the next start, resume or link-up on.
    pub fn set_settle(&mut self, settle: Duration) {
        self.settings.settle = settle;
        self.line.set_settle(settle);
        self.beats.set_settle(settle);
    }

    /// When the machine must be told that [nothing is new](Evidence::Tick), if it hears nothing
    /// sooner; always later than the newest evidence.
    pub fn deadline(&self) -> Option<Stamp> {
        self.line
            .deadlines(self.beats.suspicion())
            .into_iter()
            .chain(self.beats.deadlines())
            .filter(|at| at.boot == self.now.boot && at.boot_ms > self.now.boot_ms)
            .reduce(earlier)
    }

    /// What should be asked at present.
    pub fn plan(&self) -> Plan {
        let judged = self.line.judged();
        let doubted = judged.iter().any(|family| family.is_doubted() || family.is_down());
        let down = judged.iter().any(|family| family.is_down());
        let puzzled = self.beats.is_puzzled();
        let families = if doubted || puzzled {
            judged.iter().filter(|family| family.is_routed()).map(|family| family.family).collect()
        } else {
            Vec::new()
        };
        Plan {
            families,
            every: if down { Duration::from_millis(1_500) } else { Duration::from_secs(1) },
            questions: doubted || puzzled || self.line.is_failing(),
            failing: self.line.is_failing(),
        }
    }

    /// The part of what is known that is worth telling as soon as it changes.
    pub fn glance(&self) -> Glance {
        Glance {
            families: PerFamily::from_fn(|family| self.state(family)),
            blips: self.blips.count(),
            anchors_blocked: self.line.families.iter().any(FamilyTrack::is_blocked),
        }
    }

    /// What is known at present.
    pub fn view(&self) -> View {
        let open = [self.line.open(), self.beats.open(), self.quality.open()];
        let Glance { families: PerFamily { ipv4, ipv6 }, blips, anchors_blocked } = self.glance();
        View {
            ipv4,
            ipv6,
            last_ok: PerFamily::from_fn(|family| self.line.family(family).last_ok()),
            incidents: open.into_iter().flatten().map(|open| open.snapshot(self.now)).collect(),
            blips,
            anchors_blocked,
        }
    }

    fn state(&self, family: Family) -> FamilyState {
        let track = self.line.family(family);
        if !self.line.judged().iter().any(|judged| judged.family == family) {
            let settling = track.is_settling() && track.link().is_none();
            return if settling { FamilyState::Unknown } else { FamilyState::Absent };
        }
        match track.standing(self.now) {
            _ if track.is_settling() && !track.is_down() => FamilyState::Unknown,
            Standing::Up => FamilyState::Up,
            Standing::Doubt => FamilyState::Doubt,
            Standing::Down => FamilyState::Down,
        }
    }

    fn probed(
        &mut self,
        family: Family,
        anchor: SocketAddr,
        sent: Stamp,
        rtt: Option<Duration>,
        now: Stamp,
    ) {
        let track = self.line.family_mut(family);
        match rtt {
            Some(rtt) if track.answered(sent, sent.later(rtt)) => self.blips.note(family, now),
            Some(_) => {}
            None => track.unanswered(),
        }
        let track = self.line.family(family);
        if track.is_blocked() || track.is_down() {
            self.quality.disregard(family);
        } else if !self.line.is_failing() {
            self.quality.heard(anchor, sent, rtt);
        }
    }

    fn settle(&mut self, reason: SettleReason, now: Stamp) {
        let failing = self.line.open().is_some_and(|open| !open.is_unwatched());
        let settle = self.settings.settle;
        let judged: Vec<_> = self.line.judged().iter().map(|family| family.family).collect();
        for family in &mut self.line.families {
            let judged = judged.contains(&family.family);
            match reason {
                SettleReason::LinkUp => family.link_up(judged, now, settle),
                // While something is known to be down it takes more than a resume to forget that.
                _ if failing => family.link_up(judged, now, settle),
                _ => family.forget(now, settle),
            }
        }
    }

    fn doubt(&mut self, family: Option<Family>, since: Stamp) {
        for track in &mut self.line.families {
            if family.map_or(track.is_routed(), |family| track.family == family) {
                track.doubted(since);
            }
        }
    }

    fn beat_failed(&mut self, family: Option<Family>, started: Stamp) {
        for track in &mut self.line.families {
            if family.map_or(track.is_routed(), |family| track.family == family) {
                track.beat_failed(started);
            }
        }
    }
}
