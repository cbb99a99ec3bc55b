//! What broke: one table from facts to a cause.

use super::Cause;
use crate::probe::{Dns, Gateway, Link, Portal};

/// What is known about one address family, or about both. A fact that was asked for before the
/// doubt began is stale and is left out by whoever fills this in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, and all combinations occur")]
pub struct Facts {
    /// How the kernel would send; `None` when it was not asked.
    pub link: Option<Link>,
    /// What the router said; `None` when it was not asked since.
    pub gateway: Option<Gateway>,
    /// Whether this router has answered before on this network. One that never has cannot be told
    /// from one that never does.
    pub gateway_answered_before: bool,
    /// Whether an incident is open already. The kernel gives a router up only after 20 to 30
    /// seconds: too late to name the cause by when it opens, but good for a later segment.
    pub opened: bool,
    /// Whether the route leads into a tunnel and an anchor is alive beneath it.
    pub alive_beneath: bool,
    /// What came back in place of the page that a login page would intercept.
    pub portal: Option<Portal>,
    /// Whether an anchor is alive.
    pub anchors_alive: bool,
    /// What the system's resolver said.
    pub system_dns: Option<Dns>,
    /// Whether heartbeats fail for no reason further up, and how.
    pub heartbeat: Option<HeartbeatFault>,
}

/// Why heartbeats fail although the internet works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeartbeatFault {
    /// This device's clock makes certificates invalid.
    Clock,
    /// The other side does not answer as it should.
    Endpoint,
    /// The other side has refused this device five times in a row, over ten minutes.
    Credentials,
}

/// Names the cause: the first of these that holds.
///
/// 1. `link`: there is no carrier, no address or no route. Of two families that are down together
///    the first has a way to send and is judged by it, see [`joint`].
/// 2. `gateway`: the router is silent, and it has answered before on this network. A router that
///    never has could not be asked; only the kernel's word that nobody is at its address counts
///    against it, and only once an incident is open.
/// 3. `captive_portal`: something else answered in the place of a page that is known.
/// 4. `vpn`: the route leads into a tunnel, no anchor answers through it, and one is alive through a
///    socket that is bound to the interface beneath.
/// 5. `isp`: no anchor is alive. The router answered, or could not be asked; the record says which.
/// 6. `dns`: the system's resolver is silent, fails or lies, or hands on the address that its name
///    server gives for every name. Otherwise what a query of our own brings back is kept in the
///    record, but what programs on this device use decides.
/// 7. `clock`, 8. `endpoint`, 9. `credentials`: only heartbeats fail, for this reason.
/// 10. `up`: nothing failed.
///
/// A delivered heartbeat that was completed after a round began vetoes rows 1 to 6 for the family
/// that it travelled on. That is not decided here but before: such a round does not count.
pub fn verdict(facts: &Facts) -> Cause {
    let routed = facts.link.as_ref().is_none_or(|link| link.route().is_some());
    let tunnel = facts.link.as_ref().and_then(Link::route).is_some_and(|route| route.tunnel);
    let gateway_dead = match facts.gateway {
        Some(Gateway::Silent) => facts.gateway_answered_before,
        Some(Gateway::Gone) => facts.gateway_answered_before || facts.opened,
        Some(Gateway::Alive | Gateway::NotAsked) | None => false,
    };
    if !facts.anchors_alive {
        if !routed {
            return Cause::Link;
        }
        if gateway_dead {
            return Cause::Gateway;
        }
    }
    if facts.portal == Some(Portal::Intercepted) {
        return Cause::CaptivePortal;
    }
    if !facts.anchors_alive {
        return if tunnel && facts.alive_beneath { Cause::Vpn } else { Cause::Isp };
    }
    if facts.system_dns.is_some_and(is_broken) {
        return Cause::Dns;
    }
    match facts.heartbeat {
        Some(HeartbeatFault::Clock) => Cause::Clock,
        Some(HeartbeatFault::Endpoint) => Cause::Endpoint,
        Some(HeartbeatFault::Credentials) => Cause::Credentials,
        None => Cause::Up,
    }
}

/// The cause of families that are down together: the earliest row among those that still have a way
/// to send, because a family without one was not what the internet went over; `link` when none has.
pub fn joint(causes: impl IntoIterator<Item = Cause>) -> Cause {
    causes.into_iter().min_by_key(|cause| (*cause == Cause::Link, *cause)).unwrap_or(Cause::Link)
}

/// Whether a resolver that says this is of no use.
pub(super) fn is_broken(dns: Dns) -> bool {
    match dns {
        Dns::Silent | Dns::Failed | Dns::Lied => true,
        Dns::Answered | Dns::NotAsked => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Route;

    fn routed(tunnel: bool) -> Link {
        Link::Routed(Route {
            interface: "eth0".to_owned(),
            index: 2,
            source: None,
            gateway: None,
            tunnel,
        })
    }

    #[test]
    fn the_first_row_that_holds_decides() {
        // Everything is wrong at once; mending one row after the other brings up the next.
        let mut facts = Facts {
            link: Some(Link::NoCarrier),
            gateway: Some(Gateway::Silent),
            gateway_answered_before: true,
            opened: false,
            alive_beneath: true,
            portal: Some(Portal::Intercepted),
            anchors_alive: false,
            system_dns: Some(Dns::Silent),
            heartbeat: Some(HeartbeatFault::Clock),
        };
        assert_eq!(verdict(&facts), Cause::Link);
        facts.link = Some(routed(true));
        assert_eq!(verdict(&facts), Cause::Gateway);
        facts.gateway = Some(Gateway::Alive);
        assert_eq!(verdict(&facts), Cause::CaptivePortal);
        facts.portal = Some(Portal::NoAnswer);
        assert_eq!(verdict(&facts), Cause::Vpn);
        facts.alive_beneath = false;
        assert_eq!(verdict(&facts), Cause::Isp);
        facts.anchors_alive = true;
        assert_eq!(verdict(&facts), Cause::Dns);
        facts.system_dns = Some(Dns::Answered);
        assert_eq!(verdict(&facts), Cause::Clock);
        facts.heartbeat = Some(HeartbeatFault::Endpoint);
        assert_eq!(verdict(&facts), Cause::Endpoint);
        facts.heartbeat = Some(HeartbeatFault::Credentials);
        assert_eq!(verdict(&facts), Cause::Credentials);
        facts.heartbeat = None;
        assert_eq!(verdict(&facts), Cause::Up);
    }

    #[test]
    fn a_router_that_never_answered_could_not_be_asked() {
        let mut facts =
            Facts { link: Some(routed(false)), gateway: Some(Gateway::Silent), ..Facts::default() };
        assert_eq!(verdict(&facts), Cause::Isp);
        // The kernel's word comes too late to open with, and in time for a later segment.
        facts.gateway = Some(Gateway::Gone);
        assert_eq!(verdict(&facts), Cause::Isp);
        facts.opened = true;
        assert_eq!(verdict(&facts), Cause::Gateway);
    }

    #[test]
    fn an_anchor_beneath_says_nothing_where_there_is_no_tunnel() {
        let facts = Facts { link: Some(routed(false)), alive_beneath: true, ..Facts::default() };
        assert_eq!(verdict(&facts), Cause::Isp);
    }

    #[test]
    fn families_that_are_down_together_have_the_cause_of_those_that_can_send() {
        assert_eq!(joint([Cause::Link, Cause::Isp]), Cause::Isp);
        assert_eq!(joint([Cause::Isp, Cause::Gateway]), Cause::Gateway);
        assert_eq!(joint([Cause::Link, Cause::Link]), Cause::Link);
    }
}
