//! Name servers and login pages: what lets the anchors through and stops everything else.

use std::time::Duration;

use super::{Cause, Observation, ProbeKind, family::reaches, open::earlier, verdict::is_broken};
use crate::{
    clock::Stamp,
    probe::{Dns, Portal},
};

/// How many checks in a row must agree.
const CHECKS_TO_AGREE: usize = 2;
/// How late the system may learn that its name servers are back: it asks again only after 5 s
/// (resolv.conf(5)), and the answer may take a second. What is later has another reason.
const SYSTEM_LAGS: Duration = Duration::from_secs(6);

/// What the checks of the name servers and for a login page have brought back.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    dns: Run,
    /// What the queries of our own say, which no library repeats only every few seconds.
    direct: Direct,
    portal: Run,
    newest_portal: Option<(Portal, Stamp)>,
    resolver_is_providers: bool,
}

/// Whether the name server that is asked directly has failed, and when it answered again.
#[derive(Clone, Copy, Debug, Default)]
struct Direct {
    failed: bool,
    returned: Option<Stamp>,
}

impl Direct {
    fn heard(&mut self, answer: Dns, observations: &[Observation]) {
        match answer {
            Dns::Answered if self.failed => {
                let asked = observations.iter().find(|seen| seen.probe == ProbeKind::DirectDns);
                *self = Self { failed: false, returned: asked.map(Observation::answered) };
            }
            Dns::Answered | Dns::NotAsked => {}
            Dns::Silent | Dns::Failed | Dns::Lied => *self = Self { failed: true, returned: None },
        }
    }

    /// When it answered again, if that explains a first good answer to the system at `heard`.
    fn returned_before(&self, heard: Stamp) -> Option<Stamp> {
        self.returned.filter(|returned| reaches(returned.later(SYSTEM_LAGS), heard))
    }
}

/// The last checks of one kind that agree.
#[derive(Clone, Debug, Default)]
struct Run {
    bad: bool,
    /// When they were asked, the newest last.
    asked: Vec<Stamp>,
    /// When the first of them was answered.
    first_answer: Option<Stamp>,
    observations: Vec<Observation>,
}

impl Run {
    fn heard(&mut self, bad: bool, asked: Stamp, observations: Vec<Observation>) {
        if self.asked.last().is_some_and(|newest| !reaches(asked, *newest)) {
            return;
        }
        if self.bad != bad {
            self.asked.clear();
            self.first_answer = None;
            self.bad = bad;
        }
        if self.asked.len() == CHECKS_TO_AGREE {
            self.asked.remove(0);
        }
        self.asked.push(asked);
        if self.first_answer.is_none() {
            // Where two were asked, the first is the one that programs on this device use.
            self.first_answer = observations.first().map(Observation::answered);
        }
        self.observations = observations;
    }

    /// The first of enough checks that agree on `bad` and were asked at `since` or later.
    fn agree(&self, bad: bool, since: Stamp) -> Option<Stamp> {
        let enough = self.bad == bad && self.asked.len() == CHECKS_TO_AGREE;
        self.asked.first().copied().filter(|first| enough && reaches(*first, since))
    }
}

impl Checks {
    pub(super) fn heard_dns(
        &mut self,
        system: Dns,
        direct: Dns,
        resolver_is_providers: bool,
        asked: Stamp,
        observations: Vec<Observation>,
    ) {
        // An address that the server gives for every name is an answer as the system sees it.
        let broken = is_broken(system) || system == Dns::Answered && direct == Dns::Lied;
        self.direct.heard(direct, &observations);
        self.dns.heard(broken, asked, observations);
        if broken {
            self.resolver_is_providers = resolver_is_providers;
        } else if let Some(first) = &mut self.dns.first_answer {
            // The system learns late what a query knew at once.
            *first =
                self.direct.returned_before(*first).map_or(*first, |back| earlier(*first, back));
            self.direct.returned = None;
        }
    }

    pub(super) fn heard_portal(&mut self, answer: Portal, observation: Observation) {
        let asked = observation.at;
        self.portal.heard(answer == Portal::Intercepted, asked, vec![observation]);
        self.newest_portal = Some((answer, asked));
    }

    /// Whether a dead resolver is the provider's.
    pub(super) fn resolver_is_providers(&self) -> bool {
        self.resolver_is_providers
    }

    /// The cause that enough checks agree on since `since`, and the first of them.
    pub(super) fn cause(&self, since: Stamp) -> Option<(Cause, Stamp)> {
        let portal = self.portal.agree(true, since).map(|first| (Cause::CaptivePortal, first));
        portal.or(self.dns.agree(true, since).map(|first| (Cause::Dns, first)))
    }

    /// When what was found to be `cause` was answered well for the first time again, if enough checks
    /// agree on that. A question may wait through the rest of the failure for its answer.
    pub(super) fn good_since(&self, cause: Cause) -> Option<Stamp> {
        let run = match cause {
            Cause::CaptivePortal => &self.portal,
            Cause::Dns => &self.dns,
            _ => return None,
        };
        run.first_answer.filter(|_| !run.bad && run.asked.len() == CHECKS_TO_AGREE)
    }

    /// When what was found to be `cause` was answered well for the first time again, given that a
    /// heartbeat has shown at `delivered` that it is over.
    pub(super) fn good_before(&self, cause: Cause, delivered: Stamp) -> Stamp {
        let first = |run: &Run| run.first_answer.filter(|_| !run.bad);
        let known = match cause {
            Cause::CaptivePortal => first(&self.portal),
            // A heartbeat waits for the system's look-up as long as every program does.
            Cause::Dns => first(&self.dns).or(self.direct.returned_before(delivered)),
            _ => None,
        };
        known.map_or(delivered, |known| earlier(known, delivered))
    }

    /// Whether the newest check of one kind is bad: the question is open.
    pub(super) fn suspicious(&self, since: Stamp) -> bool {
        [&self.portal, &self.dns]
            .into_iter()
            .any(|run| run.bad && run.asked.last().is_some_and(|asked| reaches(*asked, since)))
    }

    /// Whether the name servers have been asked since.
    pub(super) fn asked_dns(&self, since: Stamp) -> bool {
        self.dns.asked.last().is_some_and(|asked| reaches(*asked, since))
    }

    /// What came back in place of a known page, if it was asked for at `since` or later.
    pub(super) fn portal(&self, since: Stamp) -> Option<Portal> {
        self.newest_portal.filter(|(_, asked)| reaches(*asked, since)).map(|(answer, _)| answer)
    }

    /// Everything asked at `since` or later.
    pub(super) fn evidence(&self, since: Stamp) -> impl Iterator<Item = Observation> {
        let fresh = move |seen: &&Observation| reaches(seen.at, since);
        self.portal.observations.iter().chain(&self.dns.observations).filter(fresh).cloned()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::BootId;

    fn at(ms: u64) -> Stamp {
        let wall = Timestamp::from_millisecond(ms.cast_signed()).expect("a time");
        Stamp { boot: BootId::UNKNOWN, boot_ms: ms, wall }
    }

    fn ask(checks: &mut Checks, system: Dns, direct: Dns, asked: u64, took: u64) {
        let observation = Observation {
            probe: ProbeKind::SystemDns,
            target: "hooks.example".to_owned(),
            family: None,
            answer: system.as_str().to_owned(),
            ms: Some(took),
            at: at(asked),
        };
        checks.heard_dns(system, direct, true, at(asked), vec![observation]);
    }

    #[test]
    fn name_servers_are_back_with_their_first_answer_and_not_with_its_question() {
        let mut checks = Checks::default();
        ask(&mut checks, Dns::Silent, Dns::Silent, 1_000, 2_500);
        ask(&mut checks, Dns::Silent, Dns::Silent, 4_000, 2_500);
        assert_eq!(checks.cause(at(1_000)), Some((Cause::Dns, at(1_000))));
        // Repaired meanwhile, and answered at the second try.
        ask(&mut checks, Dns::Answered, Dns::Answered, 7_000, 1_270);
        assert_eq!(checks.good_since(Cause::Dns), None);
        for asked in [10_000, 13_000] {
            ask(&mut checks, Dns::Answered, Dns::Answered, asked, 20);
            assert_eq!(checks.good_since(Cause::Dns), Some(at(8_270)));
        }
    }

    /// Hears what the system and a query of our own brought.
    fn ask_both(checks: &mut Checks, system: Dns, own: Dns, asked: u64, took: u64) {
        let direct = Observation {
            probe: ProbeKind::DirectDns,
            target: "192.0.2.53:53".to_owned(),
            family: None,
            answer: own.as_str().to_owned(),
            ms: Some(took),
            at: at(asked),
        };
        let by_system = Observation { probe: ProbeKind::SystemDns, ..direct.clone() };
        checks.heard_dns(system, own, true, at(asked), vec![by_system, direct]);
    }

    #[test]
    fn name_servers_are_back_when_a_query_is_answered_though_the_system_still_waits() {
        let mut checks = Checks::default();
        ask_both(&mut checks, Dns::Silent, Dns::Silent, 1_000, 2_000);
        ask_both(&mut checks, Dns::Silent, Dns::Silent, 4_000, 2_000);
        ask_both(&mut checks, Dns::Silent, Dns::Answered, 7_000, 10);
        ask_both(&mut checks, Dns::Silent, Dns::Answered, 9_000, 10);
        // A heartbeat may wait for the same look-up of the system, and be the first to hear.
        assert_eq!(checks.good_before(Cause::Dns, at(11_400)), at(7_010));
        assert_eq!(checks.good_before(Cause::Isp, at(11_400)), at(11_400));
        ask_both(&mut checks, Dns::Answered, Dns::Answered, 11_000, 900);
        ask_both(&mut checks, Dns::Answered, Dns::Answered, 12_500, 10);
        assert_eq!(checks.good_since(Cause::Dns), Some(at(7_010)));
        assert_eq!(checks.good_before(Cause::Dns, at(13_000)), at(7_010));
    }

    #[test]
    fn a_device_that_fails_by_itself_is_not_back_with_its_name_server() {
        let mut checks = Checks::default();
        ask_both(&mut checks, Dns::Silent, Dns::Silent, 1_000, 2_000);
        ask_both(&mut checks, Dns::Failed, Dns::Answered, 4_000, 10);
        ask_both(&mut checks, Dns::Failed, Dns::Answered, 60_000, 10);
        assert_eq!(checks.good_before(Cause::Dns, at(61_000)), at(61_000));
        ask_both(&mut checks, Dns::Answered, Dns::Answered, 62_000, 10);
        ask_both(&mut checks, Dns::Answered, Dns::Answered, 64_000, 10);
        assert_eq!(checks.good_since(Cause::Dns), Some(at(62_010)));
    }

    #[test]
    fn an_address_that_the_server_gives_for_every_name_is_no_answer() {
        let mut checks = Checks::default();
        ask(&mut checks, Dns::Answered, Dns::Lied, 1_000, 20);
        ask(&mut checks, Dns::Answered, Dns::Lied, 4_000, 20);
        assert_eq!(checks.cause(at(1_000)), Some((Cause::Dns, at(1_000))));
        // Whoever does not ask that server does not hear its lies, nor its silence.
        for (asked, direct) in [(7_000, Dns::Silent), (10_000, Dns::NotAsked)] {
            ask(&mut checks, Dns::Answered, direct, asked, 20);
        }
        assert_eq!(checks.good_since(Cause::Dns), Some(at(7_020)));
    }
}
