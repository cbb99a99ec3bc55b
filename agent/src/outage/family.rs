//! What is known about one address family: does it work, since when not.

use std::{collections::VecDeque, time::Duration};

use super::{
    Gap, Observation, ProbeKind, Round,
    open::{earlier, later},
};
use crate::{
    clock::Stamp,
    probe::{Family, Gateway, Link, Route},
};

/// How long a failure must have lasted before an incident opens, from the sending of the connect
/// that raised the doubt.
pub const OPEN_AFTER: Duration = Duration::from_secs(4);
/// How many rounds in a row must have failed before an incident opens, and have been good before it
/// closes.
pub const ROUNDS_TO_AGREE: usize = 2;
/// A doubt in which no round failed is a blip when nothing answered for this long: a single lost
/// packet, answered at its next try, is loss and not a failure.
const SHORTEST_BLIP: Duration = Duration::from_millis(1_500);
/// How many rounds are remembered. Up to three overlap, so a late one still finds its place.
const ROUNDS_KEPT: usize = 8;
/// How many rounds and probes must have been in vain, while heartbeats pass, until anchors that have
/// never answered count as blocked.
const NEVER_ANSWERED: u32 = 3;
/// How long the kernel's word that nobody is at the router's address outweighs silence.
const GONE_HOLDS: Duration = Duration::from_mins(1);

/// One address family.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and all combinations occur")]
pub(super) struct FamilyTrack {
    pub(super) family: Family,
    link: Option<(Link, Stamp)>,
    /// An anchor has answered since the last link-up.
    anchored: bool,
    /// An anchor or a heartbeat was answered since the last link-up.
    alive: bool,
    last_ok: Option<Stamp>,
    doubt: Option<Doubt>,
    /// The doubt before, while no blip was counted for it: a round of it may still end.
    resolved: Option<Stamp>,
    /// Decided rounds in the order of their start.
    rounds: VecDeque<Decided>,
    /// What was asked before this says nothing about the present network, or time.
    forgotten: Stamp,
    /// Failed rounds that began no later do not count: a heartbeat was delivered then.
    void_until: Option<Stamp>,
    /// It is down: it has failed long enough, and has not returned for long enough.
    down: bool,
    /// It is down, and a link came up meanwhile.
    relinked: Option<Stamp>,
    /// The last heartbeat over this family got through; `None` when none was seen since link-up.
    beats_pass: Option<bool>,
    /// Rounds failed while heartbeats passed.
    contradicted: bool,
    /// How many rounds and probes no anchor has answered, while none has since the last link-up.
    never_answered: u32,
    gateway: Option<(Gateway, Observation)>,
    gone: Option<Stamp>,
    answered_network: Option<Network>,
    beneath: Option<(bool, Observation)>,
}

/// A time in which the family may be failing.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    since: Stamp,
    /// How long it must last before it counts.
    patience: Duration,
    /// Nothing is known yet after a start, a resume or a link-up.
    settling: bool,
    failed_round: bool,
}

#[derive(Clone, Debug)]
struct Decided {
    started: Stamp,
    /// The first good answer; `None` for a failed round.
    good: Option<Stamp>,
    evidence: Vec<Observation>,
}

/// What makes a network this network: the same interface and the same router.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    interface: String,
    gateway: Option<std::net::IpAddr>,
}

impl From<&Route> for Network {
    fn from(route: &Route) -> Self {
        Self { interface: route.interface.clone(), gateway: route.gateway }
    }
}

/// Where a family stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Up,
    /// It may be failing; this is not decided.
    Doubt,
    /// It meets the condition for opening, or is down.
    Down,
}

impl FamilyTrack {
    pub(super) fn new(family: Family, now: Stamp, settle: Duration) -> Self {
        Self {
            family,
            link: None,
            anchored: false,
            alive: false,
            last_ok: None,
            doubt: Some(Doubt::settling(now, settle)),
            resolved: None,
            rounds: VecDeque::new(),
            forgotten: now,
            void_until: None,
            down: false,
            relinked: None,
            beats_pass: None,
            contradicted: false,
            never_answered: 0,
            gateway: None,
            gone: None,
            answered_network: None,
            beneath: None,
        }
    }

    // What it says.

    pub(super) fn is_routed(&self) -> bool {
        self.link.as_ref().is_some_and(|(link, _)| link.route().is_some())
    }

    /// Whether it is known that there is no route.
    pub(super) fn is_cut(&self) -> bool {
        self.link.as_ref().is_some_and(|(link, _)| link.route().is_none())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    pub(super) fn is_settling(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt.settling)
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    pub(super) fn last_ok(&self) -> Option<Stamp> {
        self.last_ok
    }

    /// Whether heartbeats pass where no anchor ever answers.
    pub(super) fn is_blocked(&self) -> bool {
        self.beats_pass == Some(true)
            && (self.contradicted || !self.anchored && self.never_answered >= NEVER_ANSWERED)
    }

    /// Whether heartbeats decide and anchors don't: these are blocked here, or may be.
    fn trusts_beats(&self) -> bool {
        self.beats_pass == Some(true) && (self.contradicted || !self.anchored)
    }

    /// The sending of the first thing that failed.
    pub(super) fn failing_since(&self) -> Option<Stamp> {
        self.doubt.map(|doubt| doubt.since)
    }

    pub(super) fn standing(&self, now: Stamp) -> Standing {
        if self.down {
            return Standing::Down;
        }
        match self.doubt {
            None => Standing::Up,
            Some(doubt) if self.fails() && elapsed(doubt.since, now) >= doubt.patience => {
                Standing::Down
            }
            Some(_) => Standing::Doubt,
        }
    }

    /// When the present doubt has lasted for long enough.
    pub(super) fn ripe_at(&self) -> Option<Stamp> {
        self.doubt.map(|doubt| doubt.since.later(doubt.patience))
    }

    /// When it is given up that it works on the network that a link-up brought: from then on it is
    /// not judged, like every family that has never worked on its network.
    pub(super) fn given_up_at(&self, settle: Duration) -> Option<Stamp> {
        self.relinked.filter(|_| self.down).map(|at| at.later(settle))
    }

    /// Whether a round, or the lack of a way to send, says so.
    fn fails(&self) -> bool {
        self.is_cut() || self.failed_in_a_row() >= ROUNDS_TO_AGREE
    }

    pub(super) fn failed_in_a_row(&self) -> usize {
        self.rounds.iter().rev().take_while(|round| round.good.is_none()).count()
    }

    /// Whether a failure of the line, rather than of what asks over it, may be seen at present.
    pub(super) fn is_troubled(&self) -> bool {
        self.down
            || self.doubt.is_some_and(|doubt| {
                doubt.failed_round || self.is_cut() || self.failed_in_a_row() > 0
            })
    }

    /// The first good answer of as many good rounds in a row as it takes to be up again, all of them
    /// begun after the failure.
    pub(super) fn returned(&self) -> Option<Stamp> {
        if self.is_cut() {
            return None;
        }
        let failed = self.failing_since();
        let good: Vec<_> = self
            .rounds
            .iter()
            .rev()
            .take_while(|round| failed.is_none_or(|failed| reaches(round.started, failed)))
            .map_while(|round| round.good)
            .collect();
        (good.len() >= ROUNDS_TO_AGREE).then(|| good.iter().copied().reduce(earlier)).flatten()
    }

    /// Whether the newest round was good, or a heartbeat came through since.
    pub(super) fn works(&self) -> bool {
        self.doubt.is_none() && !self.down
    }

    /// Whether it is down, and a link has come up meanwhile.
    pub(super) fn is_relinked(&self) -> bool {
        self.relinked.is_some()
    }

    /// Whether a round has failed that began at `at` or later.
    pub(super) fn has_failed_since(&self, at: Stamp) -> bool {
        self.rounds.back().is_some_and(|round| round.good.is_none() && reaches(round.started, at))
    }

    pub(super) fn link(&self) -> Option<&Link> {
        self.link.as_ref().map(|(link, _)| link)
    }

    /// What the router said, if it was asked at `since` or later.
    pub(super) fn gateway(&self, since: Stamp, now: Stamp) -> Option<Gateway> {
        let gone = self.gone.filter(|at| reaches(*at, since) && elapsed(*at, now) < GONE_HOLDS);
        let said = self.gateway.as_ref().filter(|(_, asked)| reaches(asked.at, since));
        gone.map(|_| Gateway::Gone).or(said.map(|(answer, _)| *answer))
    }

    /// Whether this router has answered before on this network.
    pub(super) fn gateway_answered_before(&self) -> bool {
        let network = self.link().and_then(Link::route).map(Network::from);
        self.answered_network.is_some() && self.answered_network == network
    }

    /// Whether an anchor was alive beneath the tunnel, if that was asked at `since` or later.
    pub(super) fn alive_beneath(&self, since: Stamp) -> bool {
        self.beneath.as_ref().is_some_and(|(alive, asked)| *alive && reaches(asked.at, since))
    }

    /// Everything that speaks for its present state, asked at `since` or later.
    pub(super) fn evidence(&self, since: Stamp) -> Vec<Observation> {
        let link = self.link.as_ref().map(|(link, asked)| Observation {
            probe: ProbeKind::Link,
            target: link.route().map_or_else(|| "any".to_owned(), |route| route.interface.clone()),
            family: Some(self.family),
            answer: link.as_str().to_owned(),
            ms: None,
            at: *asked,
        });
        let failed = self.failed_in_a_row().min(ROUNDS_TO_AGREE);
        let rounds = self.rounds.iter().skip(self.rounds.len() - failed);
        let fresh = |asked: &&Observation| reaches(asked.at, since);
        link.into_iter()
            .chain(rounds.flat_map(|round| round.evidence.clone()))
            .chain(self.gateway.as_ref().map(|(_, asked)| asked).filter(fresh).cloned())
            .chain(self.beneath.as_ref().map(|(_, asked)| asked).filter(fresh).cloned())
            .collect()
    }

    // What it is told.

    /// Nothing is known any more, because time passed that nobody watched, or because of a start.
    pub(super) fn forget(&mut self, now: Stamp, settle: Duration) {
        self.alive = false;
        self.anchored = false;
        self.beats_pass = None;
        self.contradicted = false;
        self.never_answered = 0;
        self.down = false;
        self.relinked = None;
        self.resolved = None;
        self.doubt = Some(Doubt::settling(now, settle));
        self.rounds.clear();
        self.forgotten = now;
    }

    /// What was known may not hold any more, because a link has come up.
    ///
    /// A family that is down stays so, and the time to settle does not begin anew while it runs, nor
    /// does it move the beginning of a doubt: else an interface that comes up again and again would
    /// hide every failure. Only what was not judged before (`judged`) begins anew in any case.
    pub(super) fn link_up(&mut self, judged: bool, now: Stamp, settle: Duration) {
        self.alive = false;
        self.anchored = false;
        self.beats_pass = None;
        self.contradicted = false;
        self.never_answered = 0;
        self.rounds.clear();
        self.forgotten = now;
        if self.down {
            self.relinked = Some(now);
            return;
        }
        match &mut self.doubt {
            Some(_) if !judged => self.doubt = Some(Doubt::settling(now, settle)),
            Some(doubt) if doubt.settling => {}
            Some(doubt) => {
                doubt.settling = true;
                doubt.patience = elapsed(doubt.since, now) + settle;
            }
            None => self.doubt = Some(Doubt::settling(now, settle)),
        }
    }

    /// Time passed that nobody watched.
    pub(super) fn unwatched(&mut self, gap: &Gap, settle: Duration) {
        self.forget(gap.ended, settle);
    }

    pub(super) fn heard_link(&mut self, link: Link, asked: Stamp) {
        if self.link.as_ref().is_some_and(|(_, newest)| !reaches(asked, *newest)) {
            return;
        }
        if link.route().map(Network::from) != self.link().and_then(Link::route).map(Network::from) {
            self.gateway = None;
            self.gone = None;
        }
        let cut = link.route().is_none();
        self.link = Some((link, asked));
        if cut && self.alive {
            self.doubted(asked);
        }
    }

    /// Something failed that was sent at `since`.
    pub(super) fn doubted(&mut self, since: Stamp) {
        if self.trusts_beats() && !self.is_cut() {
            return;
        }
        // A good answer to something that was sent later has already settled it.
        if !reaches(since, self.forgotten) {
            return;
        }
        if self.rounds.iter().any(|round| round.good.is_some() && reaches(round.started, since)) {
            return;
        }
        let since = self.last_ok.map_or(since, |ok| later(ok, since));
        match &mut self.doubt {
            None => {
                self.doubt = Some(Doubt {
                    since,
                    patience: OPEN_AFTER,
                    settling: false,
                    failed_round: false,
                });
            }
            Some(doubt) if doubt.settling => {}
            Some(doubt) => doubt.since = earlier(doubt.since, since),
        }
    }

    /// An anchor answered a connect that was sent at `sent`: as good as a round, which asks for no
    /// more than that one is alive. Tells whether a failure has ended that was too short to count.
    pub(super) fn answered(&mut self, sent: Stamp, answered: Stamp) -> bool {
        self.decide(Decided { started: sent, good: Some(answered), evidence: Vec::new() })
    }

    /// An anchor did not answer in time.
    pub(super) fn unanswered(&mut self) {
        if !self.anchored {
            self.never_answered = self.never_answered.saturating_add(1);
        }
    }

    /// A round has ended. Tells whether a failure has ended that was too short to be an incident.
    pub(super) fn heard_round(&mut self, round: &Round) -> bool {
        let good = round.first_answer();
        let evidence = round
            .answers
            .iter()
            .map(|answer| Observation {
                probe: ProbeKind::Tcp,
                target: answer.target.to_string(),
                family: Some(round.family),
                answer: answer.end.as_str().to_owned(),
                ms: Some(answer.took.as_millis() as u64),
                at: answer.sent,
            })
            .collect();
        self.decide(Decided { started: round.started, good, evidence })
    }

    fn decide(&mut self, decided: Decided) -> bool {
        let (started, good) = (decided.started, decided.good);
        if good.is_none() {
            self.unanswered();
        }
        let vetoed = good.is_none() && self.void_until.is_some_and(|void| reaches(void, started));
        if vetoed || !reaches(started, self.forgotten) {
            return false;
        }
        let place = self.rounds.partition_point(|round| reaches(started, round.started));
        let newest = place == self.rounds.len();
        self.rounds.insert(place, decided);
        if self.rounds.len() > ROUNDS_KEPT {
            self.rounds.pop_front();
        }
        match good {
            Some(answered) => {
                self.anchored = true;
                self.alive = true;
                self.contradicted = false;
                self.last_ok = Some(self.last_ok.map_or(answered, |ok| later(ok, answered)));
                newest && self.ended_well(answered)
            }
            None if newest => {
                self.doubted(started);
                if let Some(doubt) = &mut self.doubt {
                    doubt.failed_round = true;
                }
                false
            }
            // A round of a doubt that a later round has ended.
            None => self.resolved.take_if(|since| reaches(started, *since)).is_some(),
        }
    }

    /// A good answer ends the doubt, and tells whether that was a blip. It does not end being down.
    fn ended_well(&mut self, answered: Stamp) -> bool {
        if self.down {
            return false;
        }
        let Some(doubt) = self.doubt.take() else { return false };
        if doubt.settling {
            return false;
        }
        let blip = doubt.failed_round || elapsed(doubt.since, answered) >= SHORTEST_BLIP;
        self.resolved = (!blip).then_some(doubt.since);
        blip
    }

    /// A heartbeat over this family was delivered: a round that began before it was completed and
    /// failed says nothing. `returned` when that makes a family up again which was down.
    pub(super) fn beat_delivered(&mut self, finished: Stamp) -> Option<Stamp> {
        let contradicts = self
            .rounds
            .back()
            .is_some_and(|round| round.good.is_none() && reaches(finished, round.started))
            && self.failed_in_a_row() >= ROUNDS_TO_AGREE;
        self.contradicted |= contradicts && self.anchored;
        self.beats_pass = Some(true);
        self.alive = true;
        self.last_ok = Some(self.last_ok.map_or(finished, |ok| later(ok, finished)));
        self.void_until = Some(self.void_until.map_or(finished, |void| later(void, finished)));
        let was_down = std::mem::replace(&mut self.down, false);
        self.relinked = None;
        // In a doubt that began only after the heartbeat was completed nothing is vetoed.
        if self.doubt.is_some_and(|doubt| reaches(finished, doubt.since)) {
            self.doubt = None;
        }
        was_down.then_some(finished)
    }

    /// A heartbeat over this family, or over none, failed.
    pub(super) fn beat_failed(&mut self, started: Stamp) {
        if self.beats_pass.is_some() {
            self.beats_pass = Some(false);
        }
        self.doubted(started);
    }

    pub(super) fn heard_gateway(&mut self, answer: Gateway, observation: Observation) {
        match answer {
            Gateway::Alive => {
                self.gone = None;
                self.answered_network = self.link().and_then(Link::route).map(Network::from);
            }
            Gateway::Gone => self.gone = Some(observation.at),
            Gateway::Silent | Gateway::NotAsked => {}
        }
        let newest = self.gateway.as_ref().is_none_or(|(_, told)| reaches(observation.at, told.at));
        if newest {
            self.gateway = Some((answer, observation));
        }
    }

    pub(super) fn heard_beneath(&mut self, alive: bool, observation: Observation) {
        self.beneath = Some((alive, observation));
    }

    /// It has failed for long enough.
    pub(super) fn went_down(&mut self) {
        self.down = true;
        self.resolved = None;
    }

    /// It is up again, or not judged any more.
    pub(super) fn came_up(&mut self) {
        self.down = false;
        self.relinked = None;
        self.doubt = None;
        self.resolved = None;
    }
}

impl Doubt {
    fn settling(now: Stamp, settle: Duration) -> Self {
        Self { since: now, patience: settle, settling: true, failed_round: false }
    }
}

/// Whether `asked` is `since` or later, by the clock of one boot.
pub(super) fn reaches(asked: Stamp, since: Stamp) -> bool {
    asked.boot == since.boot && asked.boot_ms >= since.boot_ms
}

/// The time between two moments of one boot.
pub(super) fn elapsed(from: Stamp, to: Stamp) -> Duration {
    to.since(&from).unwrap_or_default()
}

#[cfg(test)]
mod tests;
