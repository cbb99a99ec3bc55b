//! The path that an answer took, and what it proves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::probe::{Family, LinkAnswer, Route, is_private, link};

/// The path of an answer, which decides what the answer proves if its certificate was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPath {
    /// Over the internet by this address family: the internet and the family work.
    Internet(Family),
    /// Over the internet by an unknown family: through a proxy, or from one of several addresses of both
    /// families.
    Unknown,
    /// From this machine or its local network, which proves nothing about the internet.
    Nearby,
}

impl NetworkPath {
    /// The path to a peer without a proxy, by the kernel's present route to it.
    pub fn to(peer: IpAddr) -> Self {
        Self::by_routes(peer, &link::link_to(peer), || link::link_to(internet_address(peer)))
    }

    /// Nearby are loopback, link-local, private and shared addresses (RFC 1918, RFC 3927, RFC 4193,
    /// RFC 6598), and addresses that the kernel reaches without a gateway, except through a tunnel, or on
    /// an interface on which it needs none for the internet either: a point-to-point connection such as
    /// PPP reaches everything like that. `link` is the route to `peer`, `rest` the one to the internet.
    fn by_routes(peer: IpAddr, link: &LinkAnswer, rest: impl FnOnce() -> LinkAnswer) -> Self {
        let is_shared = |v4: Ipv4Addr| matches!(v4.octets(), [100, 64..128, ..]);
        let is_own_network = match peer.to_canonical() {
            IpAddr::V4(v4) if is_shared(v4) => true,
            peer => peer.is_loopback() || is_private(peer),
        };
        let is_on_link = |route: &Route| route.gateway.is_none() && !route.tunnel;
        let is_nearby = is_own_network
            || link.route().is_some_and(|route| {
                is_on_link(route)
                    && rest().route().is_none_or(|rest| {
                        rest.gateway.is_some() || rest.interface != route.interface
                    })
            });
        if is_nearby { Self::Nearby } else { Self::Internet(Family::of(peer)) }
    }

    /// The common part of the paths to `peers`, one of which was used; `None` if there are none.
    pub(super) fn common_path(peers: &[IpAddr]) -> Option<Self> {
        let mut ways = peers.iter().map(|peer| Self::to(*peer));
        let first = ways.next()?;
        Some(ways.fold(first, |common, way| match (common, way) {
            _ if common == way => way,
            (Self::Nearby, _) | (_, Self::Nearby) => Self::Nearby,
            _ => Self::Unknown,
        }))
    }

    /// The family, when it is known.
    pub fn family(self) -> Option<Family> {
        match self {
            Self::Internet(family) => Some(family),
            Self::Unknown | Self::Nearby => None,
        }
    }
}

/// An address on the internet in the family of `peer`, for a route lookup; nothing is sent there. Any
/// address will do for which no machine has a specific route.
fn internet_address(peer: IpAddr) -> IpAddr {
    match Family::of(peer) {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(interface: &str, gateway: Option<&str>, tunnel: bool) -> LinkAnswer {
        let gateway = gateway.map(|gateway| gateway.parse().expect("an address"));
        let interface = interface.to_owned();
        LinkAnswer::Routed(Route {
            interface,
            index: 2,
            source: None,
            gateway,
            gateway_mac: None,
            tunnel,
        })
    }

    #[test]
    fn addresses_of_the_local_network_are_nearby() {
        let by_router = || routed("eth0", Some("192.168.1.1"), false);
        let way = |peer: &str| {
            NetworkPath::by_routes(
                peer.parse().expect("an address"),
                &by_router(),
                || unreachable!(),
            )
        };
        for nearby in [
            "127.0.0.1",
            "::1",
            "192.168.1.7",
            "10.0.0.2",
            "172.16.5.5",
            "169.254.1.1",
            "100.64.0.9",
            "100.127.255.1",
            "fe80::1",
            "fd00::1",
            "::ffff:192.168.1.7",
        ] {
            assert_eq!(way(nearby), NetworkPath::Nearby, "{nearby}");
        }
        assert_eq!(way("20.50.60.70"), NetworkPath::Internet(Family::Ipv4));
        assert_eq!(way("100.128.0.1"), NetworkPath::Internet(Family::Ipv4));
        assert_eq!(way("2603:1020::70"), NetworkPath::Internet(Family::Ipv6));
        assert_eq!(NetworkPath::Internet(Family::Ipv6).family(), Some(Family::Ipv6));
    }

    #[test]
    fn a_global_address_is_nearby_if_it_needs_no_gateway_and_the_internet_does() {
        let on_link = |interface| routed(interface, None, false);
        let by_router = |interface| routed(interface, Some("fe80::1"), false);
        for (link, rest, expected) in [
            (on_link("eth0"), by_router("eth0"), NetworkPath::Nearby),
            // This machine itself.
            (on_link("lo"), by_router("eth0"), NetworkPath::Nearby),
            (on_link("eth0"), LinkAnswer::NoRoute, NetworkPath::Nearby),
            (on_link("eth0"), on_link("wwan0"), NetworkPath::Nearby),
            // A point-to-point interface that carries all traffic.
            (on_link("ppp0"), on_link("ppp0"), NetworkPath::Internet(Family::Ipv6)),
            (routed("wg0", None, true), by_router("eth0"), NetworkPath::Internet(Family::Ipv6)),
            (by_router("eth0"), by_router("eth0"), NetworkPath::Internet(Family::Ipv6)),
            // The route was removed after the answer came.
            (LinkAnswer::NoRoute, LinkAnswer::NoRoute, NetworkPath::Internet(Family::Ipv6)),
        ] {
            let peer = "2001:db8::7".parse().expect("an address");
            assert_eq!(
                NetworkPath::by_routes(peer, &link, || rest.clone()),
                expected,
                "{link:?} {rest:?}"
            );
        }
    }

    #[test]
    fn a_path_that_may_be_nearby_counts_as_nearby() {
        let common = |peers: &[&str]| {
            let peers: Vec<IpAddr> =
                peers.iter().map(|peer| peer.parse().expect("an address")).collect();
            NetworkPath::common_path(&peers)
        };
        assert_eq!(common(&[]), None);
        assert_eq!(common(&["127.0.0.1"]), Some(NetworkPath::Nearby));
        assert_eq!(common(&["192.168.1.7", "127.0.0.1"]), Some(NetworkPath::Nearby));
    }
}
