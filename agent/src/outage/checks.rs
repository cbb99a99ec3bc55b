//! Name servers and login pages: what lets the anchors through and stops everything else.

use super::{Cause, Observation, family::reaches, verdict::is_broken};
use crate::{
    clock::Stamp,
    probe::{Dns, Portal},
};

/// How many checks in a row must agree.
const CHECKS_TO_AGREE: usize = 2;

/// What the checks of the name servers and for a login page have brought back.
#[derive(Clone, Debug, Default)]
pub(super) struct Checks {
    dns: Run,
    portal: Run,
    newest_portal: Option<(Portal, Stamp)>,
    resolver_is_providers: bool,
}

/// The last checks of one kind that agree.
#[derive(Clone, Debug, Default)]
struct Run {
    bad: bool,
    /// When they were asked, the newest last.
    asked: Vec<Stamp>,
    observations: Vec<Observation>,
}

impl Run {
    fn heard(&mut self, bad: bool, asked: Stamp, observations: Vec<Observation>) {
        if self.asked.last().is_some_and(|newest| !reaches(asked, *newest)) {
            return;
        }
        if self.bad != bad {
            self.asked.clear();
            self.bad = bad;
        }
        if self.asked.len() == CHECKS_TO_AGREE {
            self.asked.remove(0);
        }
        self.asked.push(asked);
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
        resolver_is_providers: bool,
        asked: Stamp,
        observations: Vec<Observation>,
    ) {
        self.dns.heard(is_broken(system), asked, observations);
        if is_broken(system) {
            self.resolver_is_providers = resolver_is_providers;
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

    /// Since when what was found to be `cause` is good again, by enough checks.
    pub(super) fn good_since(&self, cause: Cause) -> Option<Stamp> {
        let run = match cause {
            Cause::CaptivePortal => &self.portal,
            Cause::Dns => &self.dns,
            _ => return None,
        };
        run.asked.first().copied().filter(|_| !run.bad && run.asked.len() == CHECKS_TO_AGREE)
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
