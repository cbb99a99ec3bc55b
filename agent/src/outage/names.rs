//! Whether names can be looked up.
//!
//! | state | doubt | lookup ended | name servers queried | proof |
//! |---|---|---|---|---|
//! | `Fine` | `Doubt` | good: – ; failed: `Doubt` | answered: – ; failed: `Doubt` | – |
//! | `Doubt` | – | good, and the servers return no false addresses: `Fine`; failed: counted, then `Failing` | counted, then `Failing` | `Fine` |
//! | `Failing` | – | two good in a row: `Fine` | two answered in a row: `Fine`, unless the stub is broken | counts as a good lookup |
//!
//! *Doubt* is raised by a failed heartbeat or lookup. From there, `Failing` requires that no system
//! lookup has succeeded since, and
//!
//! - that every configured server failed three times in a row over at least six seconds, when queried
//!   directly (six times if probes have just been lost); or
//! - if a server does answer: that three system lookups in a row have *ended* in failure (glibc needs
//!   five seconds for each server and attempt), while no probe was lost. Then the stub resolver in
//!   between is broken, which is the user's part. Packet loss is not a failure of name servers.

use std::time::Duration;

use super::{Observation, Party};
use crate::{
    clock::Stamp,
    probe::{DnsOutcome, ServerAnswer},
};

/// How many times in a row servers or lookups must fail.
const FAILURES_TO_AGREE: u32 = 3;
/// The same if probes have just been lost: at 70 % packet loss a query with four transmissions fails
/// every fourth time.
const FAILURES_ON_LOSS: u32 = 6;
/// The shortest time over which the servers must fail, from the first query to the last answer.
const FAILURES_OVER: Duration = Duration::from_secs(6);
/// How many answers in a row show that names can be looked up again.
const ANSWERS_TO_AGREE: u32 = 2;
/// How much later than the first answer the next query must have been sent to confirm it.
const AGREE_AFTER: Duration = Duration::from_secs(1);
/// How long a lost probe counts as a sign of packet loss.
const LOSSY_FOR: Duration = Duration::from_secs(30);

/// The component that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokenLookup {
    Servers,
    Stub,
}

/// The state; see the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamesState {
    Working,
    Doubt {
        since: Stamp,
        servers: AnswerRun,
        lookups: AnswerRun,
        has_server_answered: bool,
        /// A lookup has succeeded; the direct queries must still show whether its address was true.
        is_lookup_good: bool,
    },
    Failing {
        broken: BrokenLookup,
        since: Stamp,
        servers: AnswerRun,
        lookups: AnswerRun,
    },
}

/// The latest consecutive answers of one kind with the same result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AnswerRun {
    count: u32,
    /// When the first probe was sent and answered.
    first: Option<(Stamp, Stamp)>,
    /// When the last probe was answered.
    last: Option<Stamp>,
}

impl AnswerRun {
    /// A run of one answer.
    fn of(asked: Stamp, answered: Stamp) -> Self {
        let mut run = Self::default();
        run.count(asked, answered);
        run
    }

    fn count(&mut self, asked: Stamp, answered: Stamp) {
        self.count += 1;
        self.first.get_or_insert((asked, answered));
        self.last = Some(answered);
    }

    /// Adds an answer with the same result, or ends the run.
    fn extend(mut self, agrees: bool, asked: Stamp, answered: Stamp) -> Self {
        if !agrees {
            return Self::default();
        }
        self.count(asked, answered);
        self
    }

    /// Like [`Self::extend`], for answers that end a failure: each query must have been sent a while after
    /// the first answer, so that a moment of service within a failure does not end it.
    fn extend_spaced(self, agrees: bool, asked: Stamp, answered: Stamp) -> Self {
        let first = self.first.map(|(_, answered)| answered.later(AGREE_AFTER));
        if agrees && first.is_some_and(|first| !asked.is_at_or_after(first)) {
            return self;
        }
        self.extend(agrees, asked, answered)
    }

    fn lasted(&self) -> Duration {
        let first = self.first.map(|(asked, _)| asked);
        first.zip(self.last).and_then(|(first, last)| last.since(&first)).unwrap_or_default()
    }
}

/// An event that may change the state.
#[derive(Clone, Copy, Debug)]
enum NamesSignal {
    Doubted { sent: Stamp },
    Lookup { asked: Stamp, answered: Stamp, is_good: bool },
    Servers { asked: Stamp, answered: Stamp, is_good: bool },
    Proved { started: Stamp, finished: Stamp },
}

/// The state of name lookups and the evidence behind it.
#[derive(Clone, Debug)]
pub(super) struct NameLookups {
    state: NamesState,
    /// No failure is reported before this, unless a lookup has succeeded since the start: a name server
    /// may start later than the agent.
    grace_until: Stamp,
    /// Queries sent before this do not count.
    epoch: Stamp,
    /// The last successful lookup, or the last heartbeat that proved one.
    last_ok: Option<Stamp>,
    /// When the last lost probe was sent.
    lost: Option<Stamp>,
    /// The servers return one address for every name.
    gives_false_addresses: bool,
    party: Party,
    /// When the servers were last queried.
    servers_queried: Option<Stamp>,
    /// When a server last answered: they cannot have failed before.
    server_answered: Option<Stamp>,
    lookup: Option<Observation>,
    servers: Vec<Observation>,
}

impl NameLookups {
    pub(super) fn new(now: Stamp, grace: Duration) -> Self {
        Self {
            state: NamesState::Working,
            grace_until: now.later(grace),
            epoch: now,
            last_ok: None,
            lost: None,
            gives_false_addresses: false,
            party: Party::Provider,
            servers_queried: None,
            server_answered: None,
            lookup: None,
            servers: Vec::new(),
        }
    }

    /// Resets the state: the agent has started, or a gap has ended.
    pub(super) fn restart(&mut self, now: Stamp, grace: Duration) {
        let party = self.party;
        *self = Self { party, ..Self::new(now, grace) };
    }

    /// A link has come up: name servers get a grace period too.
    pub(super) fn link_up(&mut self, now: Stamp, grace: Duration) {
        if self.grace_until.is_at_or_after(now) || matches!(self.state, NamesState::Failing { .. })
        {
            return;
        }
        self.grace_until = now.later(grace);
    }

    /// Who runs the name servers; the user if the stub resolver is broken.
    pub(super) fn party(&self) -> Party {
        match self.state {
            NamesState::Failing { broken: BrokenLookup::Stub, .. } => Party::Yours,
            _ => self.party,
        }
    }

    /// Since when lookups fail.
    pub(super) fn failing_since(&self) -> Option<Stamp> {
        match self.state {
            NamesState::Failing { since, .. } => Some(since),
            NamesState::Working | NamesState::Doubt { .. } => None,
        }
    }

    pub(super) fn last_ok(&self) -> Option<Stamp> {
        self.last_ok
    }

    /// Whether it is undecided if names can be looked up.
    pub(super) fn is_doubted(&self) -> bool {
        matches!(self.state, NamesState::Doubt { .. })
    }

    /// Whether a query sent since the doubt began has failed.
    pub(super) fn has_failed(&self) -> bool {
        match self.state {
            NamesState::Working => false,
            NamesState::Doubt { servers, lookups, .. } => servers.count > 0 || lookups.count > 0,
            NamesState::Failing { .. } => true,
        }
    }

    /// All observations that were made at `since` or later.
    pub(super) fn evidence(&self, since: Stamp) -> impl Iterator<Item = Observation> {
        let all = self.lookup.iter().chain(&self.servers);
        all.filter(move |seen| seen.at.is_at_or_after(since)).cloned()
    }

    /// Something failed that was sent at `sent` and needs names: a heartbeat.
    pub(super) fn doubted(&mut self, sent: Stamp) {
        if sent.is_at_or_after(self.epoch) {
            self.step(NamesSignal::Doubted { sent });
        }
    }

    /// A scheduled probe was lost.
    pub(super) fn lost_probe(&mut self, sent: Stamp) {
        self.lost = Some(sent);
    }

    /// The internet was down and works again since `at`: earlier queries do not count.
    pub(super) fn connectivity_returned(&mut self, at: Stamp) {
        self.epoch = self.epoch.latest(at);
        // Probes lost during the outage do not indicate packet loss.
        self.lost = self.lost.filter(|lost| lost.is_at_or_after(at));
        match &mut self.state {
            NamesState::Working => {}
            NamesState::Doubt { since, servers, lookups, .. } => {
                *since = since.latest(at);
                (*servers, *lookups) = (AnswerRun::default(), AnswerRun::default());
            }
            // New queries must show whether lookups still fail.
            NamesState::Failing { .. } => {
                self.state = Self::doubt(at, AnswerRun::default(), AnswerRun::default());
            }
        }
    }

    /// Failures until `now` have another cause.
    pub(super) fn disregard(&mut self, now: Stamp) {
        self.epoch = self.epoch.latest(now);
        if self.is_doubted() {
            self.state = NamesState::Working;
        }
    }

    /// A system lookup has ended. Returns since when names can be looked up again, if this confirms it.
    pub(super) fn lookup_ended(
        &mut self,
        answer: DnsOutcome,
        observation: Observation,
    ) -> Option<Stamp> {
        let (asked, answered) = (observation.at, observation.answered());
        let is_good = match answer {
            // An address that the servers return for every name is no answer, and not the stub's fault
            // either.
            DnsOutcome::Answered if self.gives_false_addresses => return None,
            DnsOutcome::Answered => true,
            DnsOutcome::Silent | DnsOutcome::Failed | DnsOutcome::Lied => false,
            DnsOutcome::NotAsked => return None,
        };
        if !asked.is_at_or_after(self.epoch) && !is_good {
            return None;
        }
        self.lookup = Some(observation);
        if is_good {
            self.note_ok(answered);
        }
        self.step(NamesSignal::Lookup { asked, answered, is_good })
    }

    /// The name servers were queried. Returns since when names can be looked up again, if this confirms
    /// it.
    pub(super) fn servers_queried(
        &mut self,
        asked: Stamp,
        answers: &[ServerAnswer],
        party: Party,
    ) -> Option<Stamp> {
        if !asked.is_at_or_after(self.epoch) {
            return None;
        }
        self.servers_queried = Some(asked);
        if answers.is_empty() {
            // No server can contradict the system lookup.
            if let NamesState::Doubt { is_lookup_good: true, .. } = self.state {
                self.state = NamesState::Working;
            }
            return None;
        }
        if answers.iter().all(|server| server.answer == DnsOutcome::NotAsked) {
            // This device could not send any query, which is no evidence about the servers.
            return None;
        }
        let is_good = answers.iter().any(|server| server.answer == DnsOutcome::Answered);
        self.gives_false_addresses =
            !is_good && answers.iter().any(|server| server.answer == DnsOutcome::Lied);
        if self.gives_false_addresses
            && let NamesState::Failing { lookups, .. } = &mut self.state
        {
            // A lookup that succeeded before this was known had a false address too.
            *lookups = AnswerRun::default();
        }
        self.servers = answers.iter().map(|server| server.observation.clone()).collect();
        if is_good && self.lookup.is_none() {
            // If the configuration sets a name server, the system resolver is not used.
            self.note_ok(asked);
        }
        // Keep the party of the broken servers: once they answer again, the configured servers may be
        // others.
        if !matches!(self.state, NamesState::Failing { .. }) {
            self.party = party;
        }
        let good = answers.iter().filter(|server| server.answer == DnsOutcome::Answered);
        let ends = good.map(|server| server.observation.answered()).reduce(Stamp::earliest);
        let all = answers.iter().map(|server| server.observation.answered());
        let answered = ends.or(all.reduce(Stamp::latest)).unwrap_or(asked);
        if is_good {
            self.server_answered = Some(answered);
        }
        self.step(NamesSignal::Servers { asked, answered, is_good })
    }

    /// A heartbeat to a host name proves that the lookup worked. Returns since when names can be looked
    /// up again, if this confirms it.
    pub(super) fn proved(&mut self, started: Stamp, finished: Stamp) -> Option<Stamp> {
        self.note_ok(finished);
        self.step(NamesSignal::Proved { started, finished })
    }

    /// A lookup succeeded at `at`: the grace period is over.
    fn note_ok(&mut self, at: Stamp) {
        self.last_ok = Some(at);
        self.grace_until = self.grace_until.earliest(at);
    }

    /// Changes the state as in the module's table; returns since when names can be looked up again.
    fn step(&mut self, signal: NamesSignal) -> Option<Stamp> {
        use {NamesSignal as Signal, NamesState as State};

        let mut returned = None;
        self.state = match (self.state, signal) {
            (State::Working, Signal::Doubted { sent }) => {
                Self::doubt(sent, AnswerRun::default(), AnswerRun::default())
            }
            (State::Working, Signal::Lookup { asked, answered, is_good: false }) => {
                Self::doubt(asked, AnswerRun::default(), AnswerRun::of(asked, answered))
            }
            (State::Working, Signal::Servers { asked, answered, is_good: false }) => {
                Self::doubt(asked, AnswerRun::of(asked, answered), AnswerRun::default())
            }
            (
                State::Doubt { since, servers, lookups, has_server_answered, .. },
                Signal::Lookup { answered, is_good: true, .. },
            ) if answered.is_at_or_after(since) => {
                let is_known =
                    self.servers_queried.is_some_and(|asked| asked.is_at_or_after(since));
                if is_known {
                    State::Working
                } else {
                    State::Doubt {
                        since,
                        servers,
                        lookups,
                        has_server_answered,
                        is_lookup_good: true,
                    }
                }
            }
            (State::Doubt { since, .. }, Signal::Proved { started, .. })
                if started.is_at_or_after(since) =>
            {
                State::Working
            }
            (
                State::Doubt { since, servers, mut lookups, has_server_answered, is_lookup_good },
                Signal::Lookup { asked, answered, is_good: false },
            ) if asked.is_at_or_after(since) => {
                lookups.count(asked, answered);
                State::Doubt { since, servers, lookups, has_server_answered, is_lookup_good }
            }
            (State::Doubt { is_lookup_good: true, since, .. }, Signal::Servers { asked, .. })
                if asked.is_at_or_after(since) && !self.gives_false_addresses =>
            {
                State::Working
            }
            (
                State::Doubt { since, servers, lookups, has_server_answered, .. },
                Signal::Servers { asked, answered, is_good },
            ) if asked.is_at_or_after(since) => {
                let mut lookups = lookups;
                let servers = servers.extend(!is_good, asked, answered);
                if is_good && !has_server_answered {
                    // Lookups that failed while no server answered are not the stub's fault.
                    lookups = AnswerRun::default();
                }
                let (has_server_answered, is_lookup_good) = (is_good, false);
                State::Doubt { since, servers, lookups, has_server_answered, is_lookup_good }
            }
            (
                State::Failing { broken, since, servers, lookups },
                Signal::Lookup { asked, answered, is_good },
            ) => {
                let lookups = lookups.extend_spaced(is_good, asked, answered);
                if lookups.count >= ANSWERS_TO_AGREE {
                    returned = Self::first_answer(broken, servers, lookups);
                    State::Working
                } else {
                    State::Failing { broken, since, servers, lookups }
                }
            }
            (
                State::Failing { broken, since, servers, lookups },
                Signal::Servers { asked, answered, is_good },
            ) => {
                let servers = servers.extend_spaced(is_good, asked, answered);
                if broken == BrokenLookup::Servers && servers.count >= ANSWERS_TO_AGREE {
                    returned = Self::first_answer(broken, servers, lookups);
                    State::Working
                } else {
                    State::Failing { broken, since, servers, lookups }
                }
            }
            (
                State::Failing { broken, since, servers, mut lookups },
                Signal::Proved { started, finished },
            ) => {
                // Counts as a successful lookup; one more must confirm it.
                lookups = lookups.extend_spaced(true, started, finished);
                let answered = if broken == BrokenLookup::Servers { servers.count } else { 0 };
                if lookups.count + answered >= ANSWERS_TO_AGREE {
                    returned = Self::first_answer(broken, servers, lookups);
                    State::Working
                } else {
                    State::Failing { broken, since, servers, lookups }
                }
            }
            (state, _) => state,
        };
        returned
    }

    fn doubt(since: Stamp, servers: AnswerRun, lookups: AnswerRun) -> NamesState {
        NamesState::Doubt {
            since,
            servers,
            lookups,
            has_server_answered: false,
            is_lookup_good: false,
        }
    }

    /// When names could be looked up again, according to the runs of answers.
    fn first_answer(broken: BrokenLookup, servers: AnswerRun, lookups: AnswerRun) -> Option<Stamp> {
        let of = |run: AnswerRun| run.first.map(|(_, answered)| answered);
        match broken {
            BrokenLookup::Servers => {
                [of(servers), of(lookups)].into_iter().flatten().reduce(Stamp::earliest)
            }
            BrokenLookup::Stub => of(lookups),
        }
    }

    /// Changes to `Failing` at `now` if the evidence is sufficient; returns whether it has just done
    /// so.
    pub(super) fn fail_if_due(&mut self, now: Stamp) -> bool {
        let NamesState::Doubt { since, servers, lookups, has_server_answered, .. } = self.state
        else {
            return false;
        };
        let is_lossy =
            self.lost.is_some_and(|lost| now.since(&lost).is_none_or(|age| age <= LOSSY_FOR));
        let enough = if is_lossy { FAILURES_ON_LOSS } else { FAILURES_TO_AGREE };
        let servers_fail = servers.count >= enough && servers.lasted() >= FAILURES_OVER;
        let stub_fails = lookups.count >= FAILURES_TO_AGREE
            && !is_lossy
            && (has_server_answered || self.servers.is_empty());
        if !(servers_fail || stub_fails) || !now.is_at_or_after(self.grace_until) {
            return false;
        }
        let (broken, since) = if servers_fail {
            (BrokenLookup::Servers, self.server_answered.map_or(since, |at| at.latest(since)))
        } else {
            (BrokenLookup::Stub, since)
        };
        let (servers, lookups) = (AnswerRun::default(), AnswerRun::default());
        self.state = NamesState::Failing { broken, since, servers, lookups };
        true
    }

    /// When a decision is due without new evidence.
    pub(super) fn deadline(&self) -> Option<Stamp> {
        self.is_doubted().then_some(self.grace_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::BootId, outage::ProbeKind, probe::Family};

    fn at(ms: u64) -> Stamp {
        let wall = jiff::Timestamp::from_millisecond(ms.cast_signed()).expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: ms, wall }
    }

    fn seen(probe: ProbeKind, answer: DnsOutcome, asked: u64, took: u64) -> Observation {
        Observation {
            probe,
            target: "192.0.2.53:53".to_owned(),
            family: Some(Family::Ipv4),
            answer: answer.as_str().to_owned(),
            ms: Some(took),
            at: at(asked),
        }
    }

    /// Name lookups after the grace period.
    fn names() -> NameLookups {
        NameLookups::new(at(0), Duration::ZERO)
    }

    fn lookup(names: &mut NameLookups, answer: DnsOutcome, asked: u64, took: u64) -> Option<Stamp> {
        let returned = names.lookup_ended(answer, seen(ProbeKind::SystemDns, answer, asked, took));
        names.fail_if_due(at(asked + took));
        returned
    }

    /// Queries all servers at the same time, with these answers.
    fn servers(
        names: &mut NameLookups,
        answers: &[DnsOutcome],
        asked: u64,
        took: u64,
    ) -> Option<Stamp> {
        let answers: Vec<_> = answers
            .iter()
            .map(|answer| ServerAnswer {
                server: ([192, 0, 2, 53], 53).into(),
                answer: *answer,
                observation: seen(ProbeKind::DirectDns, *answer, asked, took),
            })
            .collect();
        let returned = names.servers_queried(at(asked), &answers, Party::Provider);
        names.fail_if_due(at(asked + took));
        returned
    }

    /// Name lookups whose servers have failed from the start for six seconds.
    fn failing() -> NameLookups {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 2_000, 4_000] {
            servers(&mut names, &[DnsOutcome::Silent], asked, 2_000);
        }
        names
    }

    #[test]
    fn servers_that_could_not_be_queried_have_not_failed() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 2_000, 4_000, 6_000] {
            servers(&mut names, &[DnsOutcome::NotAsked, DnsOutcome::NotAsked], asked, 20);
        }
        assert_eq!((names.failing_since(), names.has_failed()), (None, false));
    }

    #[test]
    fn servers_fail_after_three_failures_over_six_seconds() {
        let mut names = names();
        names.doubted(at(1_000));
        servers(&mut names, &[DnsOutcome::Silent, DnsOutcome::Silent], 1_000, 2_000);
        servers(&mut names, &[DnsOutcome::Silent, DnsOutcome::Failed], 3_000, 2_000);
        assert_eq!(names.failing_since(), None);
        servers(&mut names, &[DnsOutcome::Silent, DnsOutcome::Silent], 5_000, 2_000);
        assert_eq!((names.failing_since(), names.party()), (Some(at(1_000)), Party::Provider));
    }

    #[test]
    fn a_failure_of_servers_begins_with_their_last_answer() {
        let mut names = names();
        names.doubted(at(0));
        servers(&mut names, &[DnsOutcome::Answered], 2_000, 20);
        for asked in [4_000, 6_000, 8_000] {
            servers(&mut names, &[DnsOutcome::Silent], asked, 2_000);
        }
        assert_eq!(names.failing_since(), Some(at(2_020)));
    }

    #[test]
    fn servers_that_answer_with_an_error_must_fail_for_six_seconds_too() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 2_000, 4_000] {
            servers(&mut names, &[DnsOutcome::Failed], asked, 10);
            assert_eq!(names.failing_since(), None);
        }
        servers(&mut names, &[DnsOutcome::Failed], 6_000, 10);
        assert_eq!(names.failing_since(), Some(at(0)));
    }

    #[test]
    fn one_answering_server_or_one_successful_lookup_is_enough() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 2_000, 4_000, 6_000] {
            servers(&mut names, &[DnsOutcome::Silent, DnsOutcome::Answered], asked, 2_000);
        }
        assert_eq!(names.failing_since(), None);
        lookup(&mut names, DnsOutcome::Answered, 3_000, 6_000);
        assert!(!names.is_doubted());
    }

    #[test]
    fn the_stub_fails_after_three_failed_lookups_while_a_server_answers() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 10_000, 20_000] {
            assert_eq!(names.failing_since(), None);
            servers(&mut names, &[DnsOutcome::Answered], asked, 20);
            lookup(&mut names, DnsOutcome::Failed, asked, 10_000);
        }
        assert_eq!((names.failing_since(), names.party()), (Some(at(0)), Party::Yours));
        // Answers of servers are not enough; the stub must answer.
        assert_eq!(servers(&mut names, &[DnsOutcome::Answered], 40_000, 20), None);
        assert_eq!(servers(&mut names, &[DnsOutcome::Answered], 42_000, 20), None);
        assert_eq!(lookup(&mut names, DnsOutcome::Answered, 44_000, 20), None);
        assert_eq!(lookup(&mut names, DnsOutcome::Answered, 46_000, 20), Some(at(44_020)));
    }

    #[test]
    fn packet_loss_is_not_a_failure_of_name_servers() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 10_000, 20_000] {
            servers(&mut names, &[DnsOutcome::Answered], asked, 20);
            lookup(&mut names, DnsOutcome::Failed, asked, 10_000);
            names.lost_probe(at(asked + 9_000));
        }
        assert_eq!(names.failing_since(), None);
        assert!(names.is_doubted());
    }

    #[test]
    fn with_packet_loss_servers_must_fail_twice_as_often() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 2_000, 4_000, 6_000, 8_000] {
            names.lost_probe(at(asked));
            servers(&mut names, &[DnsOutcome::Silent], asked, 2_000);
            assert_eq!(names.failing_since(), None);
        }
        servers(&mut names, &[DnsOutcome::Silent], 10_000, 2_000);
        assert_eq!(names.failing_since(), Some(at(0)));
    }

    #[test]
    fn nothing_fails_before_the_grace_period_is_over() {
        let mut names = NameLookups::new(at(0), Duration::from_mins(1));
        for asked in 0..28 {
            servers(&mut names, &[DnsOutcome::Silent], asked * 2_000, 2_000);
        }
        assert_eq!(names.failing_since(), None);
        names.fail_if_due(at(60_000));
        assert_eq!(names.failing_since(), Some(at(0)));
    }

    #[test]
    fn a_failure_of_servers_ends_with_their_first_answer() {
        let mut names = failing();
        assert_eq!(servers(&mut names, &[DnsOutcome::Answered], 60_000, 30), None);
        assert_eq!(servers(&mut names, &[DnsOutcome::Silent], 62_000, 2_000), None);
        assert_eq!(servers(&mut names, &[DnsOutcome::Answered], 64_000, 30), None);
        assert_eq!(servers(&mut names, &[DnsOutcome::Answered], 65_500, 30), Some(at(64_030)));
        assert_eq!(names.failing_since(), None);
    }

    #[test]
    fn a_proof_counts_as_one_of_the_two_required_answers() {
        let mut one = failing();
        servers(&mut one, &[DnsOutcome::Answered], 60_000, 10);
        assert_eq!(one.proved(at(58_000), at(61_000)), Some(at(60_010)));
        let mut other = failing();
        assert_eq!(other.proved(at(58_000), at(61_000)), None);
        assert_eq!(lookup(&mut other, DnsOutcome::Answered, 61_500, 10), None, "too soon");
        assert_eq!(lookup(&mut other, DnsOutcome::Answered, 62_500, 10), Some(at(61_000)));
        // A second of service within a failure does not split it.
        let mut third = failing();
        assert_eq!(third.proved(at(60_000), at(60_100)), None);
        assert_eq!(lookup(&mut third, DnsOutcome::Failed, 61_500, 10), None);
        assert_eq!(lookup(&mut third, DnsOutcome::Answered, 63_000, 10), None);
        assert!(third.failing_since().is_some());
    }

    #[test]
    fn a_lookup_before_the_first_false_address_is_not_the_end_of_the_failure() {
        let mut names = failing();
        assert_eq!(lookup(&mut names, DnsOutcome::Answered, 60_000, 20), None);
        servers(&mut names, &[DnsOutcome::Lied], 60_500, 20);
        assert_eq!(lookup(&mut names, DnsOutcome::Answered, 62_000, 20), None);
        servers(&mut names, &[DnsOutcome::Answered], 90_000, 20);
        assert_eq!(servers(&mut names, &[DnsOutcome::Answered], 92_000, 20), Some(at(90_020)));
    }

    #[test]
    fn one_address_for_every_name_is_no_answer() {
        let mut names = names();
        names.doubted(at(0));
        for asked in [0, 2_000, 4_000, 6_000] {
            servers(&mut names, &[DnsOutcome::Lied], asked, 20);
            lookup(&mut names, DnsOutcome::Answered, asked + 100, 20);
        }
        assert_eq!(names.failing_since(), Some(at(0)));
    }
}
