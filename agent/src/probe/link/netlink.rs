//! Linux: rtnetlink.
//!
//! The kernel answers within the call that sends the request, so a non-blocking socket suffices. Each lookup
//! opens its own socket, in which the requests are numbered: a late answer to an earlier request cannot be
//! mistaken for the answer to this one.

mod kernel;

use std::{io, net::IpAddr, os::unix::net::UnixDatagram as StdDatagram};

use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourState};
use rustix::io::Errno;
use tokio::net::UnixDatagram;

use super::{
    Neighbour, Path, UNUSED_ADDRESSES, Underlay,
    judge::{self, InterfaceState},
};
use crate::probe::{Family, Interface, LinkAnswer, MacAddress, Route, is_link_local};
use kernel::{Kernel, KernelRoute, LookupKind, LookupReply};

/// Links, and the addresses, routes and policy rules of both families: `RTNLGRP_LINK`, `_IPV4_IFADDR`,
/// `_IPV4_ROUTE`, `_IPV4_RULE`, `_IPV6_IFADDR`, `_IPV6_ROUTE` and `_IPV6_RULE` of
/// `<linux/rtnetlink.h>`, each as the bit of its number.
const GROUPS: u32 = group(1) | group(5) | group(7) | group(8) | group(9) | group(11) | group(19);

const fn group(number: u32) -> u32 {
    1 << (number - 1)
}

/// The kernel's change events.
#[derive(Debug)]
pub(super) struct Events {
    socket: UnixDatagram,
}

impl Events {
    pub(super) fn new() -> io::Result<Self> {
        // tokio can poll any datagram socket as if it were of this type.
        let socket = StdDatagram::from(kernel::open(GROUPS)?);
        Ok(Self { socket: UnixDatagram::from_std(socket)? })
    }

    /// Waits for an event. Dropped events (`ENOBUFS`) count as one as well.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        // The content is not needed: the caller reads the tables again.
        match self.socket.recv(&mut [0; 16]).await {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::NOBUFS) => Err(error),
            _ => Ok(()),
        }
    }

    /// Discards the events that have arrived.
    pub(super) fn drain(&mut self) {
        while self.socket.try_recv(&mut [0; 16]).is_ok() {}
    }
}

pub(super) fn paths_to(addresses: &[IpAddr]) -> io::Result<Vec<io::Result<Path>>> {
    let mut kernel = Kernel::open()?;
    let states = kernel.interfaces()?;
    Ok(addresses.iter().map(|address| kernel.path_to(address.to_canonical(), &states)).collect())
}

pub(super) fn neighbour(gateway: IpAddr, index: u32) -> io::Result<Neighbour> {
    let entry = Kernel::open()?.neighbour(gateway, index)?;
    Ok(entry.map_or(Neighbour::Unknown, |entry| match entry.header.state {
        NeighbourState::Failed => Neighbour::Failed,
        NeighbourState::Incomplete | NeighbourState::Probe => Neighbour::Resolving,
        NeighbourState::None | NeighbourState::Other(_) => Neighbour::Unknown,
        _ => Neighbour::Known,
    }))
}

pub(super) fn same_neighbour(one: IpAddr, other: IpAddr, index: u32) -> io::Result<bool> {
    let mut kernel = Kernel::open()?;
    Ok(match (hardware(&mut kernel, one, index)?, hardware(&mut kernel, other, index)?) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    })
}

pub(super) fn mac_of(gateway: IpAddr, index: u32) -> io::Result<Option<MacAddress>> {
    let bytes = hardware(&mut Kernel::open()?, gateway, index)?;
    Ok(bytes.and_then(|bytes| MacAddress::new(&bytes)))
}

/// The hardware address of a neighbour, of any length; an unresolved entry has none.
fn hardware(kernel: &mut Kernel, neighbour: IpAddr, index: u32) -> io::Result<Option<Vec<u8>>> {
    let entry = kernel.neighbour(neighbour, index)?;
    let attributes = entry.map(|entry| entry.attributes).unwrap_or_default();
    Ok(attributes.into_iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) if !bytes.is_empty() => Some(bytes),
        _ => None,
    }))
}

pub(super) fn underlay(anchor: IpAddr) -> io::Result<Option<Underlay>> {
    let anchor = anchor.to_canonical();
    let mut kernel = Kernel::open()?;
    let states = kernel.interfaces()?;
    let mut best: Option<(KernelRoute, &InterfaceState)> = None;
    for state in running_uplinks(&states) {
        let Some(found) = kernel.entry_through(state, anchor)? else { continue };
        if best.as_ref().is_none_or(|(lowest, _)| found.metric < lowest.metric) {
            best = Some((found, state));
        }
    }
    Ok(best.map(|(found, state)| Underlay {
        interface: Interface { name: state.name.clone(), index: state.index },
        router: found.gateway,
    }))
}

impl Kernel {
    fn path_to(&mut self, anchor: IpAddr, states: &[InterfaceState]) -> io::Result<Path> {
        let family = Family::of(anchor);
        let without_route = || Ok(judge::missing_route_reason(states, family).into());
        let found = match self.route(anchor, LookupKind::Use)? {
            LookupReply::Found(found) => found,
            LookupReply::Prohibited => return Ok(LinkAnswer::Prohibited.into()),
            LookupReply::NoRoute => return without_route(),
        };
        let Some(state) = states.iter().find(|state| state.index == found.index) else {
            // The interface disappeared between the two requests.
            return without_route();
        };
        let tunnel = state.is_tunnel(states);
        if tunnel && !self.has_uplink_beneath(states, anchor)? {
            // A tunnel stays up when the cable beneath it is pulled.
            return without_route();
        }
        if !tunnel && !state.has_carrier(states) {
            // The kernel keeps the routes of an interface that has lost its carrier.
            return Ok(LinkAnswer::NoCarrier.into());
        }
        if found.source.is_some_and(|source| reach(source) < reach(anchor)) {
            return Ok(LinkAnswer::NoAddress.into());
        }
        let on_link = found.gateway.is_none() && !tunnel && self.is_near(anchor, state)?;
        let link = LinkAnswer::Routed(Route {
            interface: state.name.clone(),
            index: found.index,
            source: found.source,
            gateway: found.gateway,
            gateway_mac: None,
            tunnel,
        });
        Ok(Path { link, on_link })
    }

    /// Whether the address lies in a network that is directly connected: by an entry that the kernel made for
    /// an address of this device (on a point-to-point link only its other end, not what is beyond it), or by
    /// one that was configured. A default route without a router does not count: some host on the segment
    /// answers ARP for every address.
    fn is_near(&mut self, address: IpAddr, state: &InterfaceState) -> io::Result<bool> {
        Ok(match self.route(address, LookupKind::Entry)? {
            LookupReply::Found(entry) => {
                super::is_near(entry.bits.into(), state.resolves, entry.is_kernels)
            }
            LookupReply::NoRoute | LookupReply::Prohibited => false,
        })
    }

    /// Whether there is an uplink that a tunnel could run over; the tunnel may carry one family over the other.
    fn has_uplink_beneath(
        &mut self,
        states: &[InterfaceState],
        anchor: IpAddr,
    ) -> io::Result<bool> {
        for state in running_uplinks(states) {
            for address in UNUSED_ADDRESSES.into_iter().chain([anchor]) {
                if self.entry_through(state, address)?.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The route to `anchor` through one interface.
    fn entry_through(
        &mut self,
        state: &InterfaceState,
        anchor: IpAddr,
    ) -> io::Result<Option<KernelRoute>> {
        Ok(match self.route(anchor, LookupKind::Through(state.index))? {
            LookupReply::Found(found) => Some(found),
            LookupReply::NoRoute | LookupReply::Prohibited => None,
        })
    }
}

fn running_uplinks(states: &[InterfaceState]) -> impl Iterator<Item = &InterfaceState> {
    states.iter().filter(|state| state.is_uplink(states) && state.has_carrier(states))
}

/// Scope of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This device. IPv6 offers such a source while duplicate address detection of the right one is still
    /// running.
    Device,
    /// Its link (RFC 3927, RFC 4291): an address that a device assigns itself if it gets no other.
    Link,
    /// Beyond the link.
    Beyond,
}

fn reach(address: IpAddr) -> Reach {
    if address.is_loopback() {
        Reach::Device
    } else if is_link_local(address) {
        Reach::Link
    } else {
        Reach::Beyond
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn loopback_is_reached_by_loopback() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let paths = paths_to(&[loopback]).expect("the kernel answers");
        let [Ok(Path { link: LinkAnswer::Routed(route), .. })] = &*paths else {
            panic!("there is a route to loopback: {paths:?}");
        };
        assert_eq!((&*route.interface, route.source), ("lo", Some(loopback)));
        assert_eq!((route.gateway, route.tunnel), (None, false));
    }
}
