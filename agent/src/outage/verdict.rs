//! What broke: one table from facts to a cause.

use super::Cause;
use crate::probe::{Gateway, LinkAnswer};

/// What is known about one address family that is down, or about the whole internet when none is.
/// A fact that was asked for before the doubt began is stale and is left out by whoever fills this in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and all combinations occur")]
pub struct FailureFacts {
    /// How the kernel would send; `None` when it was not asked.
    pub link: Option<LinkAnswer>,
    /// This device itself forbids what is sent to most anchors (`EPERM`, `EACCES`, an ICMP error of
    /// its own).
    pub forbidden: bool,
    /// What the router answered; `None` when it was not asked since.
    pub gateway: Option<Gateway>,
    /// Whether this router has answered before on this network. One that never has cannot be told
    /// from one that never does.
    pub gateway_answered_before: bool,
    /// Whether the family failed beyond the router already when it lost its address or its route, and the
    /// other family still has its own by the same interface. A router whose line loses IPv6 must say that
    /// it is no router for IPv6 any more (RFC 7084, G-5), which is the same failure.
    pub was_dead_beyond: bool,
    /// Whether an incident is open already. The kernel gives a router up only after 20 to 30
    /// seconds: too late to name the cause by when it opens, but good for a later segment.
    pub opened: bool,
    /// Whether the route leads into a tunnel and an anchor is alive beneath it, by either family.
    pub alive_underlay: bool,
    /// Whether every portal page that answered was intercepted.
    pub portal: bool,
    /// Whether an anchor has proved itself.
    pub anchors_alive: bool,
    /// Whether certificates are not valid yet, or the clock lies before the build date.
    pub clock: bool,
    /// Whether names cannot be looked up.
    pub dns: bool,
    /// Why heartbeats fail, when it is for no reason further up: [`Cause::Endpoint`], or
    /// [`Cause::Credentials`] when the server has refused this device five times in a row, over ten minutes.
    pub heartbeat: Option<Cause>,
}

/// Names the cause: the first of these that holds.
///
/// 1. `link`: there is no carrier, no address or no route, unless the router took these away because its
///    line had failed: then it is still `isp`. Of two families that are down together
///    the first has a way to send and is judged by it, see [`combined_cause`].
/// 2. `firewall`: a rule of this device forbids what it sends.
/// 3. `gateway`: the router is silent, and it has answered before on this network. A router that
///    never has could not be asked; only the kernel's word that nobody is at its address counts
///    against it, and only once an incident is open.
/// 4. `captive_portal`: every portal page that answered was intercepted.
/// 5. `vpn`: the route leads into a tunnel, no anchor answers through it, and one is alive beneath.
/// 6. `isp`: no anchor proves itself. The router answers, or could not be asked; the evidence says
///    which. Boxes on the way that complete connections in anybody's name change nothing.
/// 7. `clock`: certificates are not valid yet, or the clock lies before the build date. A resolver
///    that validates fails for that too, so it comes before `dns`.
/// 8. `dns`: names cannot be looked up.
/// 9. `endpoint`, 10. `credentials`: only heartbeats fail, for this reason.
/// 11. `up`: nothing failed.
///
/// A proof that was completed after a round began vetoes rows 1 to 6 for the family that it travelled
/// on. That is not decided here but before: such a round does not count.
pub fn verdict(facts: &FailureFacts) -> Cause {
    let tunnel = facts.link.as_ref().and_then(LinkAnswer::route).is_some_and(|route| route.tunnel);
    let gateway_dead = match facts.gateway {
        Some(Gateway::Silent) => facts.gateway_answered_before,
        Some(Gateway::Gone) => facts.gateway_answered_before || facts.opened,
        Some(Gateway::Alive | Gateway::NotAsked) | None => false,
    };
    if !facts.anchors_alive {
        return match facts.link {
            Some(LinkAnswer::NoRoute | LinkAnswer::NoAddress) if facts.was_dead_beyond => {
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

/// The cause of families that are down together: the earliest row among those that still have a way
/// to send, because a family without one was not what the internet went over; `link` when none has.
pub fn combined_cause(causes: impl IntoIterator<Item = Cause>) -> Cause {
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
        // Everything is wrong at once; mending one row after the other brings up the next.
        let mut facts = FailureFacts {
            link: Some(LinkAnswer::NoCarrier),
            forbidden: true,
            gateway: Some(Gateway::Silent),
            gateway_answered_before: true,
            was_dead_beyond: false,
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
        facts.gateway = Some(Gateway::Alive);
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
    fn a_look_that_failed_is_never_a_missing_route() {
        let facts = FailureFacts { link: Some(LinkAnswer::Unknown), ..FailureFacts::default() };
        assert_eq!(verdict(&facts), Cause::Isp);
    }

    #[test]
    fn a_router_that_never_answered_could_not_be_asked() {
        let mut facts = FailureFacts {
            link: Some(routed(false)),
            gateway: Some(Gateway::Silent),
            ..FailureFacts::default()
        };
        assert_eq!(verdict(&facts), Cause::Isp);
        // The kernel's word comes too late to open with, and in time for a later segment.
        facts.gateway = Some(Gateway::Gone);
        assert_eq!(verdict(&facts), Cause::Isp);
        facts.opened = true;
        assert_eq!(verdict(&facts), Cause::Gateway);
    }

    #[test]
    fn an_anchor_beneath_says_nothing_where_there_is_no_tunnel() {
        let facts = FailureFacts {
            link: Some(routed(false)),
            alive_underlay: true,
            ..FailureFacts::default()
        };
        assert_eq!(verdict(&facts), Cause::Isp);
    }

    #[test]
    fn families_that_are_down_together_have_the_cause_of_those_that_can_send() {
        assert_eq!(combined_cause([Cause::Link, Cause::Isp]), Cause::Isp);
        assert_eq!(combined_cause([Cause::Isp, Cause::Gateway]), Cause::Gateway);
        assert_eq!(combined_cause([Cause::Link, Cause::Link]), Cause::Link);
    }
}
