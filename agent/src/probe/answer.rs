//! Results of the probes.

mod anchor;
mod local;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::MacAddress;
use crate::clock::Stamp;
pub use anchor::{AnchorAnswer, AnchorEnd};
pub use local::LocalFailure;

/// How a TCP connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectEnd {
    /// The TCP handshake completed, with the host itself or with a middlebox in its name.
    Connected,
    /// A reset came back: from the host itself, or from a router or a portal in its name.
    Refused,
    /// The system or a router has no route (`ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// Nothing came back in time.
    TimedOut,
    /// This device itself forbids it: a firewall, a policy rule or a sandbox.
    Forbidden,
    /// It failed on this device, before anything was sent.
    NotAsked(LocalFailure),
}

impl ConnectEnd {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timeout",
            Self::Forbidden => "forbidden",
            Self::NotAsked(failure) => failure.as_str(),
        }
    }
}

impl fmt::Display for ConnectEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One TCP connect and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectAnswer {
    /// The target address.
    pub target: SocketAddr,
    /// When the connect was started.
    pub sent: Stamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: ConnectEnd,
    /// Sender of an ICMP error, if the kernel reports it (Linux).
    pub from: Option<IpAddr>,
}

/// How the kernel would route a packet to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name of the outgoing interface, such as `eth0`.
    pub interface: String,
    /// The interface's index.
    pub index: u32,
    /// The source address, if the kernel names one.
    pub source: Option<IpAddr>,
    /// The next-hop router; `None` on a link without one (a tunnel, a modem).
    pub gateway: Option<IpAddr>,
    /// The hardware address of that router, if the kernel has resolved it. It is looked up only for the
    /// path of a family ([`FamilyPaths`](super::link::FamilyPaths)).
    pub gateway_mac: Option<MacAddress>,
    /// Whether the interface is a tunnel (WireGuard, TUN, IP in IP, utun …; not PPP), whose state shows
    /// nothing about the connection beneath it.
    pub tunnel: bool,
}

impl Route {
    /// Whether both have the same interface, router and source address.
    fn is_same_way(&self, other: &Self) -> bool {
        let way = |route: &Self| (route.index, route.gateway, route.source);
        way(self) == way(other)
    }
}

/// Whether and how the device could send to the anchors of one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkAnswer {
    /// There is a route.
    Routed(Route),
    /// There is no route, although an interface is up and has an address.
    NoRoute,
    /// No interface that is up has an address of this family with a scope beyond the link.
    NoAddress,
    /// No interface has a carrier: the cable is out, or the Wi-Fi is not associated.
    NoCarrier,
    /// A policy rule or a route of this device forbids it (`ip rule … prohibit`).
    Prohibited,
    /// The kernel's tables could not be read. It is never treated as a missing route.
    Unknown,
}

impl LinkAnswer {
    /// The word in the journal.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Routed(_) => "routed",
            Self::NoRoute => "no_route",
            Self::NoAddress => "no_address",
            Self::NoCarrier => "no_carrier",
            Self::Prohibited => "prohibited",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a link has come up since `before`, or leads to another network: by another interface, through
    /// another router, or from another address.
    ///
    /// A failed read is no other network. Nor is another hardware address while the link stays up: then a
    /// second router has taken over the address of the first, as redundant routers do.
    pub fn has_come_up_since(&self, before: &Self) -> bool {
        let Some(route) = self.route().filter(|_| *before != Self::Unknown) else { return false };
        !before.route().is_some_and(|before| route.is_same_way(before))
    }

    /// Itself without the router's hardware address, which becomes known without any change of the path.
    #[must_use]
    pub fn without_mac(&self) -> Self {
        self.with_mac(None)
    }

    /// Itself, and if the path is that of `before`, with the router's hardware address from then unless a newer
    /// one is known: the kernel forgets the address of a router that does not answer.
    #[must_use]
    pub fn with_mac_of(&self, before: &Self) -> Self {
        match (self, before) {
            (Self::Routed(route), Self::Routed(before)) if route.is_same_way(before) => {
                self.with_mac(route.gateway_mac.or(before.gateway_mac))
            }
            _ => self.clone(),
        }
    }

    fn with_mac(&self, gateway_mac: Option<MacAddress>) -> Self {
        match self {
            Self::Routed(route) => Self::Routed(Route { gateway_mac, ..route.clone() }),
            other => other.clone(),
        }
    }

    /// The route, if there is one.
    pub fn route(&self) -> Option<&Route> {
        match self {
            Self::Routed(route) => Some(route),
            _ => None,
        }
    }
}

/// Result of a router probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouterOutcome {
    /// It completed or refused a connection, or answered an echo request: it is alive.
    Alive,
    /// It did not answer at all.
    Silent,
    /// The kernel's neighbour table reports that its address does not resolve any more (`FAILED`).
    Gone,
    /// There is no router to probe, or the device may not probe it.
    NotAsked,
}

impl RouterOutcome {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::Gone => "gone",
            Self::NotAsked => "not_asked",
        }
    }
}

/// Result of querying name servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsOutcome {
    /// They answered correctly.
    Answered,
    /// Nothing came back.
    Silent,
    /// They answered with a failure (`SERVFAIL`, `REFUSED`), or could not be reached.
    Failed,
    /// The answer is false: they returned for our name an address that no host can have, or one that they
    /// also return for a name that cannot exist.
    Lied,
    /// There is no name server to query, or the query failed on this device.
    NotAsked,
}

impl DnsOutcome {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::Failed => "failed",
            Self::Lied => "lied",
            Self::NotAsked => "not_asked",
        }
    }
}

/// Result of the plain HTTP request that a captive portal would intercept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortalOutcome {
    /// The genuine answer.
    Genuine,
    /// Something else answered in its place. Only this means that there is a portal.
    Intercepted,
    /// No answer, or none that decides.
    NoAnswer,
}

impl PortalOutcome {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Intercepted => "intercepted",
            Self::NoAnswer => "no_answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(router: u8, source: u8, mac: Option<u8>) -> LinkAnswer {
        LinkAnswer::Routed(Route {
            interface: "wlan0".to_owned(),
            index: 3,
            source: Some([192, 168, 1, source].into()),
            gateway: Some([192, 168, 1, router].into()),
            gateway_mac: mac.and_then(|last| MacAddress::new(&[2, 0, 0, 0, 0, last])),
            tunnel: false,
        })
    }

    #[test]
    fn a_link_has_come_up_if_it_leads_elsewhere() {
        let home = routed(1, 20, Some(7));
        for (what, before, after, expected) in [
            ("nothing has changed", &home, &home, false),
            ("the carrier is back", &LinkAnswer::NoCarrier, &home, true),
            ("the read failed before", &LinkAnswer::Unknown, &home, false),
            ("the read fails", &home, &LinkAnswer::Unknown, false),
            ("the route is gone", &home, &LinkAnswer::NoRoute, false),
            ("another router", &home, &routed(2, 20, None), true),
            ("another address", &home, &routed(1, 21, Some(7)), true),
            ("the hardware address becomes known", &routed(1, 20, None), &home, false),
            ("the hardware address is forgotten", &home, &routed(1, 20, None), false),
            ("another hardware address", &home, &routed(1, 20, Some(8)), false),
        ] {
            assert_eq!(after.has_come_up_since(before), expected, "{what}");
        }
    }

    #[test]
    fn the_hardware_address_of_a_router_that_stops_answering_is_kept() {
        let home = routed(1, 20, Some(7));
        let forgotten = routed(1, 20, None);
        assert_eq!(forgotten.with_mac_of(&home), home);
        assert_eq!(forgotten.without_mac(), home.without_mac());
        for (what, before, after) in [
            ("another one is known", &home, &routed(1, 20, Some(8))),
            ("another router", &home, &routed(2, 20, None)),
            ("another address", &home, &routed(1, 21, None)),
            ("the link was down", &LinkAnswer::NoCarrier, &forgotten),
            ("the link is down", &home, &LinkAnswer::NoCarrier),
        ] {
            assert_eq!(after.with_mac_of(before), *after, "{what}");
        }
    }
}
