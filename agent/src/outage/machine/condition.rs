//! The combined condition of families and names: which families are judged, and what fails.

use super::OutageMachine;
use crate::{
    clock::Stamp,
    outage::{
        Cause, Observation, Scope,
        cause_history::CauseHistory,
        connectivity::{AfterGap, CurrentFailure, OverallCondition},
        family::{FamilyPhase, FamilyTrack},
        open::OpenIncident,
        verdict::{FailureFacts, combined_cause, verdict},
    },
    probe::{Family, LinkAnswer, PerFamily, PortalOutcome},
};

impl OutageMachine {
    /// The families by which the internet is judged.
    ///
    /// 1. IPv4 wherever it has a route. IPv6 where it has a route and has had proof on this network,
    ///    because many routers advertise IPv6 that never works; or where the network has no IPv4.
    /// 2. A family that has lost its route on a network that the device is still on.
    /// 3. If neither has a route: the family that was on a network last, or that only a rule of this
    ///    device blocks; else IPv4.
    pub(super) fn judged(&self) -> PerFamily<bool> {
        let routed = PerFamily::from_fn(|family| self.families[family].is_routed());
        let proved = PerFamily::from_fn(|family| {
            self.networks.has_proved_family(self.families[family].network())
        });
        let lost = PerFamily::from_fn(|family| {
            let other = self.families[family.other()].network();
            self.families[family].has_lost_its_route(other)
        });
        let works_by_ipv6 = routed.ipv6 && proved.ipv6;
        let mut judged = PerFamily {
            ipv4: routed.ipv4 || lost.ipv4 && (proved.ipv4 || !works_by_ipv6),
            ipv6: works_by_ipv6
                || routed.ipv6 && !routed.ipv4 && !lost.ipv4
                || lost.ipv6 && proved.ipv6,
        };
        if !judged.ipv4 && !judged.ipv6 {
            let known = |family: Family| self.families[family].network().is_some();
            let has_anchors = |family: Family| self.families[family].link().is_some();
            let is_barred = |family: Family| {
                known(family) || self.families[family].link() == Some(&LinkAnswer::Prohibited)
            };
            let is_ipv6 = !has_anchors(Family::Ipv4)
                || known(Family::Ipv6) && !known(Family::Ipv4)
                || is_barred(Family::Ipv6) && !is_barred(Family::Ipv4);
            judged.ipv6 = is_ipv6 && has_anchors(Family::Ipv6);
            judged.ipv4 = !judged.ipv6 && has_anchors(Family::Ipv4);
        }
        judged
    }

    pub(super) fn judged_families(&self) -> Vec<Family> {
        let judged = self.judged();
        Family::BOTH.into_iter().filter(|family| judged[*family]).collect()
    }

    fn judged_tracks(&self) -> Vec<&FamilyTrack> {
        self.judged_families().into_iter().map(|family| &self.families[family]).collect()
    }

    /// Whether at least one judged family works.
    pub(super) fn is_any_family_up(&self) -> bool {
        self.judged_tracks().iter().any(|track| track.is_up())
    }

    /// The latest good answer of any family or heartbeat.
    pub(super) fn last_ok(&self) -> Option<Stamp> {
        let families = self.families.iter().filter_map(|(_, track)| track.last_ok());
        families.chain(self.heartbeat_proved).reduce(Stamp::latest)
    }

    /// Whether the anchors of a family count as blocked because those of the other family are (while
    /// heartbeats succeed), and none of its own has ever proved itself: then their failures are not
    /// evidence.
    pub(super) fn are_anchors_presumed_blocked(&self, family: Family) -> bool {
        let track = &self.families[family];
        self.families[family.other()].is_blocked()
            && track.has_no_answer()
            && !self.networks.has_proved_anchor(track.network())
    }

    /// Whether the whole internet is down. If only one family is, quality is still judged by the other
    /// one.
    pub(super) fn is_internet_down(&self) -> bool {
        let scope = self.connectivity.open().map(OpenIncident::current_scope);
        self.connectivity.is_failing() && scope == Some(Scope::Internet)
    }

    /// Whether the internet works for certain, so that failing heartbeats have a cause of their own: a
    /// family works, and none is in doubt.
    pub(super) fn works_for_certain(&self) -> bool {
        let judged = self.judged_tracks();
        !self.is_internet_down()
            && self.connectivity.unverified().is_none()
            && judged.iter().any(|track| track.is_up())
            && judged.iter().all(|track| track.is_up() || track.is_down())
    }

    /// Whether anchors fail, which may explain failing heartbeats.
    pub(super) fn explains_heartbeat_failures(&self) -> bool {
        let judged = self.judged_tracks();
        !judged.is_empty() && judged.iter().all(|track| track.excuses_heartbeats())
    }

    /// Whether a family that is up must prove itself because the other one has begun to fail: a
    /// middlebox that completes handshakes for any server may do so for both families.
    pub(super) fn must_verify(&self, family: Family) -> bool {
        let (track, other) = (&self.families[family], &self.families[family.other()]);
        let judged = self.judged();
        if !(track.is_up() && judged[family] && judged[family.other()]) {
            return false;
        }
        let fails = other.is_down() || matches!(other.state(), FamilyPhase::Doubt { .. });
        let since = other.failing_since().filter(|_| fails && !other.has_no_route());
        since.is_some_and(|since| !track.is_verified_since(since, self.decides_by_contact(family)))
    }

    /// The combined condition of families and names at `now`.
    ///
    /// It is undecided while a family is about to be decided, so that two families that fail or return
    /// together change in one step; each finished round can decide it.
    pub(super) fn condition(&self, now: Stamp) -> OverallCondition {
        let judged = self.judged_tracks();
        let down: Vec<_> = judged.iter().filter(|track| track.is_down()).copied().collect();
        let is_one_up = judged.iter().any(|track| track.is_up());
        let returned = self.connectivity.returned();
        let is_changing = judged.iter().any(|track| {
            track.is_failing()
                || track.is_returning()
                || self.must_verify(track.family)
                // The other family has returned: probe this one first to see whether it has too.
                || track.is_down() && returned.is_some_and(|at| !track.has_round_since(at))
        });
        let is_open = self.connectivity.is_failing();
        // Failing names affect the whole internet, even if a family is down as well.
        let names_since = self.names.failing_since();
        if let Some(since) = names_since
            && is_one_up
            && !self.heartbeats.is_clock_wrong()
        {
            return self.names_fail(since);
        }
        if names_since.is_some() && !is_one_up && down.len() < judged.len() {
            // The family over which the name queries failed is in doubt itself.
            return OverallCondition::Undecided;
        }
        if down.is_empty() {
            let is_decided = judged.iter().all(|track| track.is_up());
            // An outage does not end until lookups are known to work.
            let waits = is_open && (!is_decided || self.names.has_failed());
            return if !is_one_up || waits {
                OverallCondition::Undecided
            } else {
                OverallCondition::Works
            };
        }
        if is_changing {
            return OverallCondition::Undecided;
        }
        let scope = match down.as_slice() {
            [one] if judged.len() > 1 => one.family.into(),
            _ => Scope::Internet,
        };
        let mut since: Vec<_> = down
            .iter()
            .filter_map(|track| {
                track.failing_since().map(|since| (Scope::from(track.family), since))
            })
            .collect();
        since.sort_by_key(|(_, since)| since.boot_ms);
        let first = since.first().copied();
        let last = since.last().map_or(now, |(_, since)| *since);
        let last_ok = down.iter().filter_map(|track| track.last_ok()).reduce(Stamp::latest);
        let causes = down.iter().map(|track| verdict(&self.facts(track, now)));
        let cause = combined_cause(causes);
        let begun = first.map_or(last, |(_, first)| first);
        OverallCondition::Fails(CurrentFailure {
            cause,
            scope,
            since: last,
            before: first.filter(|(_, first)| first.boot_ms < last.boot_ms),
            course: self.course.until(cause, begun, now),
            last_ok,
            name_servers: self.names.party(),
            judged_since: self.judged_since,
        })
    }

    fn names_fail(&self, since: Stamp) -> OverallCondition {
        OverallCondition::Fails(CurrentFailure {
            cause: Cause::Dns,
            scope: Scope::Internet,
            since,
            before: None,
            course: Vec::new(),
            last_ok: self.names.last_ok(),
            name_servers: self.names.party(),
            judged_since: self.judged_since,
        })
    }

    /// Tracks the causes of a failure during a grace period: every judged family fails, or its state is
    /// unknown. If a family works or an outage is open, only the current cause counts; and a doubt is
    /// decided within seconds, before every probe has a result.
    pub(super) fn follow_course(&mut self, now: Stamp) {
        let judged = self.judged_tracks();
        let is_any_known = judged.iter().any(|track| track.is_up() || track.is_down());
        let are_all_down = judged.iter().all(|track| track.is_down());
        if self.connectivity.is_failing() || is_any_known && !are_all_down {
            self.course = CauseHistory::default();
            return;
        }
        let failing: Vec<_> = judged
            .iter()
            .filter(|track| {
                track.has_no_route()
                    || track.has_failed() && matches!(track.state(), FamilyPhase::Unknown { .. })
            })
            .collect();
        let since = failing.iter().filter_map(|track| track.failing_since());
        let Some(since) = since.reduce(Stamp::earliest) else { return };
        let cause = combined_cause(failing.iter().map(|track| verdict(&self.facts(track, now))));
        self.course.note(cause, since, now, 2 * self.settings.limits.cause_holds);
    }

    /// Collects the facts about a family that is down.
    fn facts(&self, track: &FamilyTrack, now: Stamp) -> FailureFacts {
        let since = track.failing_since().unwrap_or(now);
        let other = &self.families[track.family.other()];
        FailureFacts {
            link: track.link().cloned(),
            forbidden: track.is_forbidden(),
            gateway: track.gateway(since, now),
            gateway_answered_before: self.networks.has_router_answered(track.router_network()),
            opened: self.connectivity.is_failing(),
            had_failed_beyond_router: self.had_failed_beyond_router(track.family),
            alive_underlay: track.is_underlay_alive(since)
                || !other.is_tunnelled() && other.is_up(),
            portal: self.is_captive(track, since),
            // These decide only while anchors answer.
            anchors_alive: false,
            clock: false,
            dns: false,
            heartbeat: None,
        }
    }

    /// Whether a family had already failed beyond the router when it lost its route, while the other
    /// one kept its route over the same interface.
    fn had_failed_beyond_router(&self, family: Family) -> bool {
        let interface =
            |family: Family| self.families[family].network().map(|network| &network.interface);
        let open = self.connectivity.open();
        self.families[family.other()].is_routed()
            && interface(family) == interface(family.other())
            && open.is_some_and(|open| {
                open.current_cause() == Cause::Isp && open.current_scope().covers(family)
            })
    }

    /// Whether a login page intercepts requests. If it is the router's own page, on a network that has
    /// worked without a login, it only means that the router has no uplink.
    fn is_captive(&self, track: &FamilyTrack, since: Stamp) -> bool {
        self.portal.as_ref().is_some_and(|page| {
            let has_worked = self.networks.has_proved_family(track.network());
            page.answer == PortalOutcome::Intercepted
                && page.observation.at.is_at_or_after(since)
                && !(page.from_router && has_worked)
        })
    }

    /// Everything that was probed at `since` or later and supports a failure of this scope.
    pub(super) fn evidence(&self, scope: Scope, since: Stamp) -> Vec<Observation> {
        let tracks = self.judged_tracks().into_iter().filter(|track| scope.covers(track.family));
        let portal = self.portal.iter().map(|page| page.observation.clone());
        let portal = portal.filter(|seen| seen.at.is_at_or_after(since));
        let names = self.names.evidence(since);
        tracks.flat_map(|track| track.evidence(since)).chain(portal).chain(names).collect()
    }

    /// Whether the outage that a gap left open continues: the first round of a family of its scope
    /// decides, or the first name query if the cause was `dns`.
    pub(super) fn after_gap(&self, now: Stamp) -> AfterGap {
        let Some(open) = self.connectivity.unverified() else { return AfterGap::Unknown };
        let cause = open.current_cause();
        // If a flapping connection was up before the gap, its next cause shows with the next round.
        let cause = if cause.is_downtime() { cause } else { Cause::Isp };
        let scope = open.current_scope();
        let concerned: Vec<_> = Family::BOTH
            .into_iter()
            .filter(|family| scope.covers(*family))
            .map(|family| &self.families[family])
            .collect();
        if concerned.iter().any(|track| track.is_up()) {
            let is_over = cause != Cause::Dns || self.names.last_ok().is_some();
            return match is_over {
                true => AfterGap::Over,
                false if self.names.has_failed() => AfterGap::Fails(cause),
                false => AfterGap::Unknown,
            };
        }
        let are_all_ripe =
            concerned.iter().all(|track| track.due_at().is_none_or(|at| now.is_at_or_after(at)));
        let routed: Vec<_> = concerned.iter().filter(|track| track.is_routed()).collect();
        let have_all_failed = !routed.is_empty() && routed.iter().all(|track| track.has_failed());
        let has_no_route = routed.is_empty() && concerned.iter().any(|track| track.has_no_route());
        // Families without anchors are no longer probed.
        let is_not_probed = concerned.iter().all(|track| track.has_no_anchors())
            || are_all_ripe && concerned.iter().all(|track| track.link().is_none());
        if !(have_all_failed || are_all_ripe && has_no_route || is_not_probed) {
            return AfterGap::Unknown;
        }
        let is_other_up = self.families.iter().any(|(_, track)| track.is_up());
        if is_not_probed || has_no_route && is_other_up {
            // The device resumed on another network without this family, which is not judged there.
            return AfterGap::Over;
        }
        if cause == Cause::Dns {
            // More than the names fails now.
            let causes = concerned.iter().map(|track| verdict(&self.facts(track, now)));
            return AfterGap::Fails(combined_cause(causes));
        }
        AfterGap::Fails(cause)
    }

    /// Sets the families of an outage that has outlasted a gap to down at once. A family that is no
    /// longer judged takes no part in it.
    pub(super) fn resume_failing(&mut self) {
        let Some(open) = self.connectivity.unverified() else { return };
        let (scope, cause) = (open.current_scope(), open.current_cause());
        let is_one_up =
            self.families.iter().any(|(family, track)| scope.covers(family) && track.is_up());
        if cause == Cause::Dns && is_one_up {
            return;
        }
        let any_routed =
            self.families.iter().any(|(family, track)| scope.covers(family) && track.is_routed());
        let judged = self.judged();
        for (family, track) in &mut self.families {
            let is_concerned = scope.covers(family) && judged[family] && track.link().is_some();
            if is_concerned && (track.is_routed() || !any_routed) {
                track.resume_failing();
            }
        }
    }
}
