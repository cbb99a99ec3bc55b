//! The verdict: one table from facts to a cause.

use super::Cause;
use crate::probe::{LinkAnswer, RouterOutcome};

/// The facts about one address family that is down, or about the whole internet if none is. The caller
/// leaves out facts that were probed before the doubt began, because they are stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and all combinations occur")]
pub(super) struct FailureFacts {
    /// How the kernel would route; `None` if it was not queried.
    pub(super) link: Option<LinkAnswer>,
    /// Whether this device itself blocks packets to most anchors (`EPERM`, `EACCES`, a local ICMP
    /// error).
    pub(super) forbidden: bool,
    /// The router's answer; `None` if it was not probed since the doubt began.
    pub(super) gateway: Option<RouterOutcome>,
    /// Whether this router has ever answered on this network. If it has not, silence may be normal for
    /// it.
    pub(super) gateway_answered_before: bool,
    /// Whether the family had already failed beyond the router when it lost its address or route, while
    /// the other family kept its own over the same interface. A router whose uplink loses IPv6 must
    /// stop announcing itself as an IPv6 router (RFC 7084, G-5); that is the same failure.
    pub(super) had_failed_beyond_router: bool,
    /// Whether an incident is already open. The kernel reports a router as gone only after 20 to 30
    /// seconds: too late for the cause at opening, but in time for a later segment.
    pub(super) opened: bool,
    /// Whether the route leads into a tunnel and an anchor answers beneath it, over either family.
    pub(super) alive_underlay: bool,
    /// Whether every portal page that answered was intercepted.
    pub(super) portal: bool,
    /// Whether an anchor has proved itself.
    pub(super) anchors_alive: bool,
    /// Whether certificates are not valid yet, or the clock shows a time before the build date.
    pub(super) clock: bool,
    /// Whether lookups fail.
    pub(super) dns: bool,
    /// Why heartbeats fail, when it is for no reason further up: [`Cause::Endpoint`], or
    /// [`Cause::Credentials`] when the server has refused this device five times in a row, over ten minutes.
    pub(super) heartbeat: Option<Cause>,
}

/// Names the cause: the first row that holds.
///
/// 1. `link`: there is no carrier, no address or no route, unless the router withdrew them because its
///    uplink had failed: then the cause stays `isp`. If two families are down together, the one with a
///    route decides, see [`combined_cause`].
/// 2. `firewall`: a rule of this device blocks its packets.
/// 3. `gateway`: the router is silent, and it has answered before on this network. A router that never
///    has counts as not probed; only the kernel's report that it is gone counts against it, and only
///    once an incident is open.
/// 4. `captive_portal`: every portal page that answered was intercepted.
/// 5. `vpn`: the route leads into a tunnel, no anchor answers through it, and one answers beneath it.
/// 6. `isp`: no anchor proves itself. The router answers, or could not be probed; the evidence says
///    which. Middleboxes that complete handshakes for any server change nothing.
/// 7. `clock`: certificates are not valid yet, or the clock shows a time before the build date. A
///    validating resolver fails for that too, so this comes before `dns`.
/// 8. `dns`: names cannot be looked up.
/// 9. `endpoint`, 10. `credentials`: only heartbeats fail, for this reason.
/// 11. `up`: nothing failed.
///
/// A proof that was completed after a round began vetoes rows 1 to 6 for the family that it travelled
/// on. That is handled before: such a round does not count.
pub(super) fn verdict(facts: &FailureFacts) -> Cause {
    let tunnel = facts.link.as_ref().and_then(LinkAnswer::route).is_some_and(|route| route.tunnel);
    let gateway_dead = match facts.gateway {
        Some(RouterOutcome::Silent) => facts.gateway_answered_before,
        Some(RouterOutcome::Gone) => facts.gateway_answered_before || facts.opened,
        Some(RouterOutcome::Alive | RouterOutcome::NotAsked) | None => false,
    };
    if !facts.anchors_alive {
        return match facts.link {
            Some(LinkAnswer::NoRoute | LinkAnswer::NoAddress) if facts.had_failed_beyond_router => {
                Cause::Isp
            }
            Some(LinkAnswer::NoRoute | LinkAnswer::NoAddress | LinkAnswer::NoCarrier) => {
                Cause::Link
            }
            Some(LinkAnswer::Prohibited) => Cause::Firewall,
            _ if facts.forbidden => Cause::Firewall,
            _ if gateway_dead => Cause::Gateway,
            _ if facts.portal => Cause::CaptivePortal,
            _ if tunnel && facts.alive_underlay => Cause::Vpn,
            _ => Cause::Isp,
        };
    }
    match facts.heartbeat {
        _ if facts.clock => Cause::Clock,
        _ if facts.dns => Cause::Dns,
        Some(cause) => cause,
        None => Cause::Up,
    }
}

/// The cause of families that are down together: the earliest row among those that still have a route,
/// because the internet was not reached over a family without one; `link` if none has.
pub(super) fn combined_cause(causes: impl IntoIterator<Item = Cause>) -> Cause {
    causes.into_iter().min_by_key(|cause| (*cause == Cause::Link, *cause)).unwrap_or(Cause::Link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Route;

    fn routed(tunnel: bool) -> LinkAnswer {
        LinkAnswer::Routed(Route {
            interface: "eth0".to_owned(),
            index: 2,
            source: None,
            gateway: None,
            gateway_mac: None,
            tunnel,
        })
    }

    #[test]
    fn the_first_row_that_holds_decides() {
        // All facts hold at once; clearing them row by row brings up the next cause.
        let mut facts = FailureFacts {
            link: Some(LinkAnswer::NoCarrier),
            forbidden: true,
            gateway: Some(RouterOutcome::Silent),
            gateway_answered_before: true,
            had_failed_beyond_router: false,
            opened: false,
            alive_underlay: true,
            portal: true,
            anchors_alive: false,
            clock: true,
            dns: true,
            heartbeat: Some(Cause::Endpoint),
        };
        assert_eq!(verdict(&facts), Cause::Link);
        facts.link = Some(LinkAnswer::Prohibited);
        assert_eq!(verdict(&facts), Cause::Firewall);
        facts.link = Some(routed(true));
        assert_eq!(verdict(&facts), Cause::Firewall);
        facts.forbidden = false;
        assert_eq!(verdict(&facts), Cause::Gateway);
        facts.gateway = Some(RouterOutcome::Alive);
        assert_eq!(verdict(&facts), Cause::CaptivePortal);
        facts.portal = false;
        assert_eq!(verdict(&facts), Cause::Vpn);
        facts.alive_underlay = false;
        assert_eq!(verdict(&facts), Cause::Isp);
        facts.anchors_alive = true;
        assert_eq!(verdict(&facts), Cause::Clock);
        facts.clock = false;
        assert_eq!(verdict(&facts), Cause::Dns);
        facts.dns = false;
        assert_eq!(verdict(&facts), Cause::Endpoint);
        facts.heartbeat = Some(Cause::Credentials);
        assert_eq!(verdict(&facts), Cause::Credentials);
        facts.heartbeat = None;
        assert_eq!(verdict(&facts), Cause::Up);
    }

    #[test]
    fn every_cause_has_a_row_or_is_decided_elsewhere() {
        let with = |change: fn(&mut FailureFacts)| {
            let mut facts = FailureFacts { link: Some(routed(true)), ..FailureFacts::default() };
            change(&mut facts);
            verdict(&facts)
        };
        // One for each row of the table.
        let rows = [
            with(|facts| facts.link = Some(LinkAnswer::NoCarrier)),
            with(|facts| facts.forbidden = true),
            with(|facts| {
                facts.gateway = Some(RouterOutcome::Silent);
                facts.gateway_answered_before = true;
            }),
            with(|facts| facts.portal = true),
            with(|facts| facts.alive_underlay = true),
            with(|_| {}),
            with(|facts| (facts.anchors_alive, facts.clock) = (true, true)),
            with(|facts| (facts.anchors_alive, facts.dns) = (true, true)),
            with(|facts| {
                (facts.anchors_alive, facts.heartbeat) = (true, Some(Cause::Endpoint));
            }),
            with(|facts| {
                (facts.anchors_alive, facts.heartbeat) = (true, Some(Cause::Credentials));
            }),
            with(|facts| facts.anchors_alive = true),
        ];
        // By `quality.rs` and `connectivity.rs`.
        let elsewhere = [Cause::Degraded, Cause::Unstable];
        for cause in Cause::ALL {
            let is_decided = rows.contains(&cause) || elsewhere.contains(&cause);
            assert!(is_decided, "no row of the verdict has the cause {cause}");
        }
    }

    #[test]
    fn a_failed_route_query_is_not_a_missing_route() {
        let facts = FailureFacts { link: Some(LinkAnswer::Unknown), ..FailureFacts::default() };
        assert_eq!(verdict(&facts), Cause::Isp);
    }

    #[test]
    fn a_router_that_never_answered_is_not_blamed_for_silence() {
        let mut facts = FailureFacts {
            link: Some(routed(false)),
            gateway: Some(RouterOutcome::Silent),
            ..FailureFacts::default()
        };
        assert_eq!(verdict(&facts), Cause::Isp);
        // The kernel's report comes too late to open with, but in time for a later segment.
        facts.gateway = Some(RouterOutcome::Gone);
        assert_eq!(verdict(&facts), Cause::Isp);
        facts.opened = true;
        assert_eq!(verdict(&facts), Cause::Gateway);
    }

    #[test]
    fn an_anchor_on_the_underlay_is_no_evidence_without_a_tunnel() {
        let facts = FailureFacts {
            link: Some(routed(false)),
            alive_underlay: true,
            ..FailureFacts::default()
        };
        assert_eq!(verdict(&facts), Cause::Isp);
    }

    #[test]
    fn families_that_are_down_together_get_the_cause_of_those_with_a_route() {
        assert_eq!(combined_cause([Cause::Link, Cause::Isp]), Cause::Isp);
        assert_eq!(combined_cause([Cause::Isp, Cause::Gateway]), Cause::Gateway);
        assert_eq!(combined_cause([Cause::Link, Cause::Link]), Cause::Link);
    }
}
