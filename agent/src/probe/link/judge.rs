//! Finds the reason why there is no route, from the state of all interfaces; and which of them are uplinks.

use crate::probe::{Family, LinkAnswer};

/// The state of an interface that is relevant here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InterfaceState {
    pub(super) index: u32,
    pub(super) name: String,
    /// Its kind, by the driver that made it.
    pub(super) kind: InterfaceKind,
    /// Whether it is up and has a carrier.
    pub(super) running: bool,
    /// Whether next hops are resolved by ARP or neighbour discovery; not on a point-to-point link (PPP, a
    /// modem), where there is only the other end.
    pub(super) resolves: bool,
    /// Index of the bridge, bond or VRF that it is a port of.
    pub(super) master: Option<u32>,
    /// The families of which it has an address with a scope beyond the link.
    pub(super) families: Vec<Family>,
}

/// Kind of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InterfaceKind {
    /// `lo`.
    Loopback,
    /// A tunnel (see the parent module).
    Tunnel,
    /// A bridge: an uplink if a physical interface is among its ports.
    Bridge,
    /// An end of a veth pair, mostly of a container. Inside the container it is the uplink.
    Veth,
    /// Everything else: network cards, Wi-Fi, modems, PPP, VLANs, bonds.
    Uplink,
}

impl InterfaceState {
    /// Whether it is an uplink: a packet that leaves here could get out of this machine by a cable or by radio,
    /// if that is connected.
    ///
    /// Bridges with only containers and virtual machines (`docker0`) have a carrier while one of these runs;
    /// they would hide that the cable is out.
    pub(super) fn is_uplink(&self, all: &[Self]) -> bool {
        match self.kind {
            InterfaceKind::Loopback | InterfaceKind::Tunnel => false,
            // A bridge or a bond takes over its ports' addresses; a VRF leaves them.
            InterfaceKind::Uplink | InterfaceKind::Veth => {
                self.master.is_none() || !self.families.is_empty()
            }
            InterfaceKind::Bridge => self.cards(all).next().is_some(),
        }
    }

    /// Whether it is up and has a carrier. For a bridge with physical ports only those count, and not its
    /// virtual machines.
    pub(super) fn has_carrier(&self, all: &[Self]) -> bool {
        let mut cards = self.cards(all).peekable();
        self.running && (cards.peek().is_none() || cards.any(|card| card.running))
    }

    /// The ports of a bridge that are not ends of containers or virtual machines.
    fn cards<'a>(&self, all: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        let bridge = (self.kind == InterfaceKind::Bridge).then_some(self.index);
        all.iter().filter(move |port| {
            port.kind == InterfaceKind::Uplink && port.master.is_some() && port.master == bridge
        })
    }

    /// Whether it is a tunnel over an uplink. In a container without privileges, a TAP interface is the only
    /// one and counts as the uplink.
    pub(super) fn is_tunnel(&self, all: &[Self]) -> bool {
        self.kind == InterfaceKind::Tunnel && all.iter().any(|other| other.is_uplink(all))
    }
}

/// The reason why the kernel has no route to an anchor of `family`.
pub(super) fn missing_route_reason(all: &[InterfaceState], family: Family) -> LinkAnswer {
    let mut lines =
        all.iter().filter(|state| state.is_uplink(all) && state.has_carrier(all)).peekable();
    if lines.peek().is_none() {
        LinkAnswer::NoCarrier
    } else if lines.any(|line| line.families.contains(&family)) {
        LinkAnswer::NoRoute
    } else {
        LinkAnswer::NoAddress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(
        index: u32,
        kind: InterfaceKind,
        running: bool,
        families: &[Family],
    ) -> InterfaceState {
        let families = families.to_vec();
        InterfaceState {
            index,
            name: format!("if{index}"),
            kind,
            running,
            resolves: true,
            master: None,
            families,
        }
    }

    fn port(index: u32, kind: InterfaceKind, running: bool, master: u32) -> InterfaceState {
        InterfaceState { master: Some(master), ..state(index, kind, running, &[]) }
    }

    #[test]
    fn the_reason_for_a_missing_route_is_found() {
        use Family::{Ipv4, Ipv6};
        let loopback = state(1, InterfaceKind::Loopback, true, &[]);
        let docker =
            [state(7, InterfaceKind::Bridge, true, &[Ipv4]), port(8, InterfaceKind::Veth, true, 7)];
        for (what, rest, expected) in [
            ("nothing but loopback", vec![], LinkAnswer::NoCarrier),
            (
                "cable out",
                vec![state(2, InterfaceKind::Uplink, false, &[Ipv4])],
                LinkAnswer::NoCarrier,
            ),
            (
                "cable in, no address",
                vec![state(2, InterfaceKind::Uplink, true, &[])],
                LinkAnswer::NoAddress,
            ),
            (
                "the other family's",
                vec![state(2, InterfaceKind::Uplink, true, &[Ipv6])],
                LinkAnswer::NoAddress,
            ),
            (
                "an address, no route",
                vec![state(2, InterfaceKind::Uplink, true, &[Ipv4])],
                LinkAnswer::NoRoute,
            ),
            (
                "cable out, Wi-Fi without an address",
                vec![
                    state(2, InterfaceKind::Uplink, false, &[Ipv4]),
                    state(3, InterfaceKind::Uplink, true, &[]),
                ],
                LinkAnswer::NoAddress,
            ),
            (
                "only a tunnel",
                vec![state(4, InterfaceKind::Tunnel, true, &[Ipv4])],
                LinkAnswer::NoCarrier,
            ),
            (
                "cable out, containers run",
                [&docker[..], &[state(2, InterfaceKind::Uplink, false, &[Ipv4])]].concat(),
                LinkAnswer::NoCarrier,
            ),
            (
                "a bridge over the card",
                vec![
                    state(7, InterfaceKind::Bridge, true, &[Ipv4]),
                    port(2, InterfaceKind::Uplink, true, 7),
                ],
                LinkAnswer::NoRoute,
            ),
            (
                "the card of the bridge is unplugged, a virtual machine runs",
                vec![
                    state(7, InterfaceKind::Bridge, true, &[Ipv4]),
                    port(2, InterfaceKind::Uplink, false, 7),
                    port(9, InterfaceKind::Tunnel, true, 7),
                ],
                LinkAnswer::NoCarrier,
            ),
            (
                "in a container",
                vec![state(2, InterfaceKind::Veth, true, &[Ipv4])],
                LinkAnswer::NoRoute,
            ),
        ] {
            let all = [&[loopback.clone()][..], &rest].concat();
            assert_eq!(missing_route_reason(&all, Ipv4), expected, "{what}");
        }
    }

    #[test]
    fn a_tunnel_counts_as_one_only_above_an_uplink() {
        let loopback = state(1, InterfaceKind::Loopback, true, &[]);
        let tap = state(2, InterfaceKind::Tunnel, true, &[Family::Ipv4]);
        let alone = [loopback.clone(), tap.clone()];
        assert!(!tap.is_tunnel(&alone), "a container without privileges");
        let unplugged =
            [loopback.clone(), tap.clone(), state(3, InterfaceKind::Uplink, false, &[])];
        assert!(tap.is_tunnel(&unplugged), "the uplink exists, although it has no carrier");
        let docker =
            [loopback, tap.clone(), state(7, InterfaceKind::Bridge, true, &[Family::Ipv4])];
        assert!(!tap.is_tunnel(&docker), "a bridge of containers is no uplink");
    }
}
