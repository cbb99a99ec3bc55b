//! Linux: rtnetlink.
//!
//! The kernel answers within the call that asks, so a socket that never waits suffices; one is
//! opened for each question, because a late answer to an earlier question can then not be mistaken
//! for the answer to this one.

use std::{
    io,
    net::IpAddr,
    os::{fd::OwnedFd, unix::net::UnixDatagram as StdDatagram},
};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressMessage, AddressScope},
    link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteType, RouteVia,
    },
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily as SocketFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::SocketAddrNetlink, recv, sendto, socket_with,
    },
};
use tokio::net::UnixDatagram;

use super::{
    Neighbour, Path, SOMEWHERE, Underlay,
    judge::{self, Kind, State},
};
use crate::probe::{Family, Interface, Link, MacAddress, Route};

/// The kernel splits long answers into pieces of at most this size (`NLMSG_GOODSIZE` and what
/// libnetlink reads with).
const BUFFER_BYTES: usize = 32 * 1024;
/// Links, and the addresses, routes and policy rules of both families: `RTNLGRP_LINK`, `_IPV4_IFADDR`,
/// `_IPV4_ROUTE`, `_IPV4_RULE`, `_IPV6_IFADDR`, `_IPV6_ROUTE` and `_IPV6_RULE` of
/// `<linux/rtnetlink.h>`, each as the bit of its number.
const GROUPS: u32 = group(1) | group(5) | group(7) | group(8) | group(9) | group(11) | group(19);

const fn group(number: u32) -> u32 {
    1 << (number - 1)
}

/// The kernel's messages about changes.
#[derive(Debug)]
pub(super) struct Events {
    socket: UnixDatagram,
}

impl Events {
    pub(super) fn new() -> io::Result<Self> {
        // Any socket of datagrams can be waited for as if it were of this type.
        let socket = StdDatagram::from(open(GROUPS)?);
        Ok(Self { socket: UnixDatagram::from_std(socket)? })
    }

    /// Waits for a message. More than the kernel could keep (`ENOBUFS`) is one as well.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        // What it says does not matter: whoever is told looks for himself.
        match self.socket.recv(&mut [0; 16]).await {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::NOBUFS) => Err(error),
            _ => Ok(()),
        }
    }

    /// Throws away the messages that have come.
    pub(super) fn drain(&mut self) {
        while self.socket.try_recv(&mut [0; 16]).is_ok() {}
    }
}

pub(super) fn paths_to(addresses: &[IpAddr]) -> io::Result<Vec<Path>> {
    let states = interfaces()?;
    addresses.iter().map(|address| path_to(address.to_canonical(), &states)).collect()
}

fn path_to(anchor: IpAddr, states: &[State]) -> io::Result<Path> {
    let family = Family::of(anchor);
    let without_route = || Ok(judge::without_route(states, family).into());
    let found = match route(anchor, Look::Use)? {
        Lookup::Found(found) => found,
        Lookup::Prohibited => return Ok(Link::Prohibited.into()),
        Lookup::Nowhere => return without_route(),
    };
    let Some(state) = states.iter().find(|state| state.index == found.index) else {
        // It was unplugged between the two questions.
        return without_route();
    };
    let tunnel = state.is_tunnel(states);
    if tunnel && lines_beneath(states, anchor)?.is_empty() {
        // A tunnel stays up when the cable is pulled from beneath it.
        return without_route();
    }
    if !tunnel && !state.has_carrier(states) {
        // The kernel keeps the routes of an interface that has lost its carrier.
        return Ok(Link::NoCarrier.into());
    }
    if found.source.is_some_and(|source| reach(source) < reach(anchor)) {
        return Ok(Link::NoAddress.into());
    }
    let on_link = found.gateway.is_none() && !tunnel && is_near(anchor, state)?;
    let link = Link::Routed(Route {
        interface: state.name.clone(),
        index: found.index,
        source: found.source,
        gateway: found.gateway,
        gateway_mac: None,
        tunnel,
    });
    Ok(Path { link, on_link })
}

/// Whether the address lies in a network that the kernel itself knows to be connected, by an address of
/// this device (at a point-to-point line its other end, and not what is beyond it), or in one that is set as
/// such. A default route without a router leads to the whole world: somebody on the way answers for it.
fn is_near(address: IpAddr, state: &State) -> io::Result<bool> {
    Ok(match route(address, Look::Entry)? {
        Lookup::Found(entry) => super::is_near(entry.bits.into(), state.resolves, entry.is_kernels),
        Lookup::Nowhere | Lookup::Prohibited => false,
    })
}

pub(super) fn neighbour(gateway: IpAddr, index: u32) -> io::Result<Neighbour> {
    let mut found = Neighbour::Unknown;
    neighbours(gateway, index, |address, entry| {
        if address == gateway.to_canonical() {
            found = match entry.header.state {
                NeighbourState::Failed => Neighbour::Failed,
                NeighbourState::Incomplete | NeighbourState::Probe => Neighbour::Asked,
                NeighbourState::None | NeighbourState::Other(_) => Neighbour::Unknown,
                _ => Neighbour::Known,
            };
        }
    })?;
    Ok(found)
}

pub(super) fn same_neighbour(one: IpAddr, other: IpAddr, index: u32) -> io::Result<bool> {
    Ok(match (hardware(one, index)?, hardware(other, index)?) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    })
}

pub(super) fn mac_of(gateway: IpAddr, index: u32) -> io::Result<Option<MacAddress>> {
    Ok(hardware(gateway, index)?.and_then(|bytes| MacAddress::new(&bytes)))
}

/// The hardware address of a neighbour, of whichever length; an entry that is not resolved has none.
fn hardware(wanted: IpAddr, index: u32) -> io::Result<Option<Vec<u8>>> {
    let mut found = None;
    neighbours(wanted, index, |address, entry| {
        if address == wanted.to_canonical() {
            found = entry.attributes.iter().find_map(|attribute| match attribute {
                NeighbourAttribute::LinkLayerAddress(bytes) if !bytes.is_empty() => {
                    Some(bytes.clone())
                }
                _ => None,
            });
        }
    })?;
    Ok(found)
}

/// Hands over the neighbours on one interface, of the family of `like`.
fn neighbours(
    like: IpAddr,
    index: u32,
    mut each: impl FnMut(IpAddr, &NeighbourMessage),
) -> io::Result<()> {
    let mut request = NeighbourMessage::default();
    request.header.family = family_of(like.to_canonical());
    request.header.ifindex = index;
    ask(RouteNetlinkMessage::GetNeighbour(request), NLM_F_DUMP, |answer| {
        let RouteNetlinkMessage::NewNeighbour(entry) = answer else { return };
        if entry.header.ifindex != index {
            return;
        }
        for attribute in &entry.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                    each((*v4).into(), &entry);
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                    each((*v6).into(), &entry);
                }
                _ => {}
            }
        }
    })
}

pub(super) fn underlay(anchor: IpAddr) -> io::Result<Option<Underlay>> {
    let anchor = anchor.to_canonical();
    let states = interfaces()?;
    let mut best: Option<(Found, &State)> = None;
    for state in running_lines(&states) {
        let Some(found) = entry_through(state, anchor)? else { continue };
        if best.as_ref().is_none_or(|(lowest, _)| found.metric < lowest.metric) {
            best = Some((found, state));
        }
    }
    Ok(best.map(|(found, state)| Underlay {
        interface: Interface { name: state.name.clone(), index: state.index },
        router: found.gateway,
    }))
}

/// The lines that a tunnel could run over: it may carry one family over the other.
fn lines_beneath(states: &[State], anchor: IpAddr) -> io::Result<Vec<&State>> {
    let mut lines = Vec::new();
    for state in running_lines(states) {
        for address in SOMEWHERE.into_iter().chain([anchor]) {
            if entry_through(state, address)?.is_some() {
                lines.push(state);
                break;
            }
        }
    }
    Ok(lines)
}

fn running_lines(states: &[State]) -> impl Iterator<Item = &State> {
    states.iter().filter(|state| state.is_line(states) && state.has_carrier(states))
}

/// The route to `anchor` through one interface.
fn entry_through(state: &State, anchor: IpAddr) -> io::Result<Option<Found>> {
    Ok(match route(anchor, Look::Through(state.index))? {
        Lookup::Found(found) => Some(found),
        Lookup::Nowhere | Lookup::Prohibited => None,
    })
}

/// How to look for a route.
#[derive(Clone, Copy)]
enum Look {
    /// The one that would be used.
    Use,
    /// The entry of the tables that a socket bound to this interface would use. (Asked for its use,
    /// IPv4 would invent a neighbour on that interface where it knows no route.)
    Through(u32),
    /// The entry of the tables that leads to it.
    Entry,
}

/// What the kernel says to that.
enum Lookup {
    Found(Found),
    Nowhere,
    /// A policy rule or a route says "prohibit".
    Prohibited,
}

struct Found {
    index: u32,
    source: Option<IpAddr>,
    gateway: Option<IpAddr>,
    metric: u32,
    /// How long the prefix is that it is for; of an [entry](Look::Entry).
    bits: u8,
    /// The kernel made it for an address of this device.
    is_kernels: bool,
}

/// Looks for the route to `anchor`.
fn route(anchor: IpAddr, look: Look) -> io::Result<Lookup> {
    let mut request = RouteMessage::default();
    request.header.address_family = family_of(anchor);
    request.header.destination_prefix_length = if anchor.is_ipv4() { 32 } else { 128 };
    request.attributes.push(RouteAttribute::Destination(match anchor {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }));
    if !matches!(look, Look::Use) {
        request.header.flags |= RouteFlags::FibMatch;
    }
    if let Look::Through(index) = look {
        request.attributes.push(RouteAttribute::Oif(index));
    }
    let mut found = Lookup::Nowhere;
    let asked = ask(RouteNetlinkMessage::GetRoute(request), 0, |answer| {
        if let RouteNetlinkMessage::NewRoute(message) = answer {
            found = read_route(&message);
        }
    });
    match asked {
        Ok(()) => Ok(found),
        // "No such process", "invalid" and "permission denied" are what a missing, a "blackhole" and a
        // "prohibit" route or rule answer with.
        Err(error) => match Errno::from_io_error(&error) {
            Some(
                Errno::NETUNREACH
                | Errno::HOSTUNREACH
                | Errno::SRCH
                | Errno::INVAL
                | Errno::NETDOWN
                | Errno::NODEV,
            ) => Ok(Lookup::Nowhere),
            Some(Errno::ACCESS) => Ok(Lookup::Prohibited),
            _ => Err(error),
        },
    }
}

fn read_route(message: &RouteMessage) -> Lookup {
    // IPv6 answers with such a route instead of an error.
    match message.header.kind {
        RouteType::Unreachable | RouteType::BlackHole | RouteType::Throw => {
            return Lookup::Nowhere;
        }
        RouteType::Prohibit => return Lookup::Prohibited,
        _ => {}
    }
    let mut found = Found {
        index: 0,
        source: None,
        gateway: None,
        metric: 0,
        bits: message.header.destination_prefix_length,
        is_kernels: message.header.protocol == RouteProtocol::Kernel,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => found.index = *index,
            RouteAttribute::Priority(metric) => found.metric = *metric,
            RouteAttribute::PrefSource(source) => found.source = address(source),
            RouteAttribute::Gateway(gateway) => found.gateway = address(gateway),
            RouteAttribute::Via(RouteVia::Inet(gateway)) => found.gateway = Some((*gateway).into()),
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => {
                found.gateway = Some((*gateway).into());
            }
            _ => {}
        }
    }
    Lookup::Found(found)
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

/// All interfaces, with the families of their addresses.
fn interfaces() -> io::Result<Vec<State>> {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let mut states = Vec::new();
    ask(RouteNetlinkMessage::GetLink(request), NLM_F_DUMP, |answer| {
        if let RouteNetlinkMessage::NewLink(message) = answer {
            states.push(read_link(&message));
        }
    })?;
    ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP, |answer| {
        let RouteNetlinkMessage::NewAddress(message) = answer else { return };
        let family = match message.header.family {
            AddressFamily::Inet => Family::Ipv4,
            AddressFamily::Inet6 => Family::Ipv6,
            _ => return,
        };
        if !matches!(message.header.scope, AddressScope::Universe | AddressScope::Site) {
            return;
        }
        if let Some(state) = states.iter_mut().find(|state| state.index == message.header.index)
            && !state.families.contains(&family)
        {
            state.families.push(family);
        }
    })?;
    Ok(states)
}

fn read_link(message: &LinkMessage) -> State {
    let flags = message.header.flags;
    let mut state = State {
        index: message.header.index,
        name: String::new(),
        kind: Kind::Line,
        // Up and running: Wi-Fi has a carrier before it is let in, and is "dormant" until then.
        running: flags.contains(LinkFlags::Up | LinkFlags::Running),
        resolves: !flags.intersects(LinkFlags::Pointopoint | LinkFlags::Noarp),
        master: None,
        families: Vec::new(),
    };
    if flags.contains(LinkFlags::Loopback) {
        state.kind = Kind::Loopback;
    }
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => state.name.clone_from(name),
            LinkAttribute::Controller(master) => state.master = Some(*master),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Kind(kind) = info {
                        state.kind = kind_of(kind);
                    }
                }
            }
            _ => {}
        }
    }
    state
}

fn kind_of(kind: &InfoKind) -> Kind {
    match kind {
        InfoKind::Tun
        | InfoKind::Wireguard
        | InfoKind::IpIp
        | InfoKind::Ip6Tnl
        | InfoKind::SitTun
        | InfoKind::GreTun
        | InfoKind::GreTun6
        | InfoKind::GreTap
        | InfoKind::GreTap6
        | InfoKind::Vti
        | InfoKind::Vti6
        | InfoKind::Xfrm => Kind::Tunnel,
        InfoKind::Bridge => Kind::Bridge,
        InfoKind::Veth => Kind::Veth,
        // OpenVPN's data channel offload, and AmneziaWG.
        InfoKind::Other(name) if name.starts_with("ovpn") || name == "amneziawg" => Kind::Tunnel,
        _ => Kind::Line,
    }
}

/// Asks the kernel one question and hands over each of its answers.
///
/// An answer that cannot be decoded is left out: a newer kernel may say more than is known here.
fn ask(
    question: RouteNetlinkMessage,
    flags: u16,
    mut answer: impl FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let socket = open(0)?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
    message.finalize();
    let mut request = vec![0; message.buffer_len()];
    message.serialize(&mut request);
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let length =
                NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?.length() as usize;
            if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(error.to_io());
                    }
                    NetlinkPayload::InnerMessage(inner) => answer(inner),
                    _ => {}
                }
            }
            // Messages begin at multiples of four bytes.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if flags & NLM_F_DUMP == 0 {
            return Ok(());
        }
    }
}

fn open(groups: u32) -> io::Result<OwnedFd> {
    let socket = socket_with(
        SocketFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None, // NETLINK_ROUTE is the protocol with number 0.
    )?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

fn family_of(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// How far an address is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// On this device. IPv6 offers such a source while it still makes sure that the right one is
    /// nobody else's.
    Device,
    /// On its own link (RFC 3927, RFC 4291): what a device gives itself where nobody gives it one.
    Link,
    /// Beyond.
    Beyond,
}

fn reach(address: IpAddr) -> Reach {
    let on_its_link = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if address.is_loopback() {
        Reach::Device
    } else if on_its_link {
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
        let [Path { link: Link::Routed(route), .. }] = &*paths else {
            panic!("there is a route to loopback: {paths:?}");
        };
        assert_eq!((&*route.interface, route.source), ("lo", Some(loopback)));
        assert_eq!((route.gateway, route.tunnel), (None, false));
    }

    #[test]
    fn what_hides_the_line_is_a_tunnel_and_a_modem_is_a_line() {
        for (kind, expected) in [
            (InfoKind::Tun, Kind::Tunnel),
            (InfoKind::Wireguard, Kind::Tunnel),
            (InfoKind::SitTun, Kind::Tunnel),
            (InfoKind::Other("ovpn".to_owned()), Kind::Tunnel),
            (InfoKind::Other("ovpn-dco".to_owned()), Kind::Tunnel),
            (InfoKind::Other("ppp".to_owned()), Kind::Line),
            (InfoKind::Wwan, Kind::Line),
            (InfoKind::Vlan, Kind::Line),
            (InfoKind::Bond, Kind::Line),
            (InfoKind::Bridge, Kind::Bridge),
            (InfoKind::Veth, Kind::Veth),
        ] {
            assert_eq!(kind_of(&kind), expected, "{kind:?}");
        }
    }
}
