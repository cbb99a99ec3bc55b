//! Requests to the kernel's tables over rtnetlink, and how their answers are read.

use std::{io, net::IpAddr, os::fd::OwnedFd};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressMessage, AddressScope},
    link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage},
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteType, RouteVia,
    },
};
use rustix::{
    buffer::spare_capacity,
    io::Errno,
    net::{
        AddressFamily as SocketFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind,
        netlink::SocketAddrNetlink, recv, sendto, socket_with,
    },
};

use super::super::judge::{InterfaceKind, InterfaceState};
use crate::probe::Family;

/// The kernel splits long answers into messages of at most this size (`NLMSG_GOODSIZE`; libnetlink uses the
/// same read size).
const BUFFER_BYTES: usize = 32 * 1024;

/// A connection to the kernel's tables, for one lookup.
pub(super) struct Kernel {
    socket: OwnedFd,
    /// Sequence number of the newest request.
    sequence: u32,
    buffer: Vec<u8>,
}

impl Kernel {
    /// Opens the socket.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { socket: open(0)?, sequence: 0, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Looks up the route to `anchor`.
    pub(super) fn route(&mut self, anchor: IpAddr, look: LookupKind) -> io::Result<LookupReply> {
        let mut request = RouteMessage::default();
        request.header.address_family = family_of(anchor);
        request.header.destination_prefix_length = if anchor.is_ipv4() { 32 } else { 128 };
        request.attributes.push(RouteAttribute::Destination(match anchor {
            IpAddr::V4(v4) => RouteAddress::Inet(v4),
            IpAddr::V6(v6) => RouteAddress::Inet6(v6),
        }));
        if !matches!(look, LookupKind::Use) {
            request.header.flags |= RouteFlags::FibMatch;
        }
        if let LookupKind::Through(index) = look {
            request.attributes.push(RouteAttribute::Oif(index));
        }
        let mut found = LookupReply::NoRoute;
        let asked = self.request(RouteNetlinkMessage::GetRoute(request), 0, |answer| {
            if let RouteNetlinkMessage::NewRoute(message) = answer {
                found = read_route(&message);
            }
        });
        match asked {
            Ok(()) => Ok(found),
            // ESRCH, EINVAL and EACCES are the answers for a missing, a "blackhole" and a "prohibit" route
            // or rule.
            Err(error) => match Errno::from_io_error(&error) {
                Some(
                    Errno::NETUNREACH
                    | Errno::HOSTUNREACH
                    | Errno::SRCH
                    | Errno::INVAL
                    | Errno::NETDOWN
                    | Errno::NODEV,
                ) => Ok(LookupReply::NoRoute),
                Some(Errno::ACCESS) => Ok(LookupReply::Prohibited),
                _ => Err(error),
            },
        }
    }

    /// All interfaces, with the families of their addresses.
    pub(super) fn interfaces(&mut self) -> io::Result<Vec<InterfaceState>> {
        let mut request = LinkMessage::default();
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let mut states = Vec::new();
        self.request(RouteNetlinkMessage::GetLink(request), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                states.push(read_link(&message));
            }
        })?;
        self.request(
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            NLM_F_DUMP,
            |answer| {
                let RouteNetlinkMessage::NewAddress(message) = answer else { return };
                let family = match message.header.family {
                    AddressFamily::Inet => Family::Ipv4,
                    AddressFamily::Inet6 => Family::Ipv6,
                    _ => return,
                };
                if !matches!(message.header.scope, AddressScope::Universe | AddressScope::Site) {
                    return;
                }
                if let Some(state) =
                    states.iter_mut().find(|state| state.index == message.header.index)
                    && !state.families.contains(&family)
                {
                    state.families.push(family);
                }
            },
        )?;
        Ok(states)
    }

    /// The entry of an address on one interface in the neighbour table (since Linux 5.0; before that, none).
    pub(super) fn neighbour(
        &mut self,
        address: IpAddr,
        index: u32,
    ) -> io::Result<Option<NeighbourMessage>> {
        let address = address.to_canonical();
        let mut request = NeighbourMessage::default();
        request.header.family = family_of(address);
        request.header.ifindex = index;
        request.attributes.push(NeighbourAttribute::Destination(match address {
            IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
            IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
        }));
        let mut found = None;
        let asked = self.request(RouteNetlinkMessage::GetNeighbour(request), 0, |answer| {
            if let RouteNetlinkMessage::NewNeighbour(entry) = answer {
                found = Some(entry);
            }
        });
        match asked {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(None),
            asked => asked.map(|()| found),
        }
    }

    /// Sends one request to the kernel and passes each of its answers to `answer`.
    ///
    /// An answer that cannot be decoded is skipped: a newer kernel may send attributes that are unknown here.
    fn request(
        &mut self,
        question: RouteNetlinkMessage,
        flags: u16,
        mut answer: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut request = vec![0; message.buffer_len()];
        message.serialize(&mut request);
        sendto(&self.socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        loop {
            self.buffer.clear();
            recv(&self.socket, spare_capacity(&mut self.buffer), RecvFlags::DONTWAIT)?;
            let mut rest = &self.buffer[..];
            let mut is_answered = false;
            while !rest.is_empty() {
                let frame = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?;
                let (length, is_mine) =
                    (frame.length() as usize, frame.sequence_number() == self.sequence);
                if is_mine
                    && let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                {
                    match message.payload {
                        NetlinkPayload::Done(_) => return Ok(()),
                        NetlinkPayload::Error(error) if error.code.is_some() => {
                            return Err(error.to_io());
                        }
                        NetlinkPayload::InnerMessage(inner) => answer(inner),
                        _ => {}
                    }
                }
                is_answered |= is_mine;
                // Messages are aligned to four bytes.
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
            if is_answered && flags & NLM_F_DUMP == 0 {
                return Ok(());
            }
        }
    }
}

/// Kind of route lookup.
#[derive(Clone, Copy)]
pub(super) enum LookupKind {
    /// The route that would be used.
    Use,
    /// The table entry that a socket bound to this interface would use. (Without the entry flag, IPv4
    /// would invent a neighbour on that interface where it has no route.)
    Through(u32),
    /// The table entry that the address matches.
    Entry,
}

/// Result of a route lookup.
pub(super) enum LookupReply {
    Found(KernelRoute),
    NoRoute,
    /// A policy rule or a route forbids it ("prohibit").
    Prohibited,
}

pub(super) struct KernelRoute {
    pub(super) index: u32,
    pub(super) source: Option<IpAddr>,
    pub(super) gateway: Option<IpAddr>,
    pub(super) metric: u32,
    /// Length of the matched prefix; only of an [entry](LookupKind::Entry).
    pub(super) bits: u8,
    /// The kernel made it for an address of this device.
    pub(super) is_kernels: bool,
}

fn read_route(message: &RouteMessage) -> LookupReply {
    // IPv6 answers with such a route instead of an error.
    match message.header.kind {
        RouteType::Unreachable | RouteType::BlackHole | RouteType::Throw => {
            return LookupReply::NoRoute;
        }
        RouteType::Prohibit => return LookupReply::Prohibited,
        _ => {}
    }
    let mut found = KernelRoute {
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
    LookupReply::Found(found)
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

fn read_link(message: &LinkMessage) -> InterfaceState {
    let flags = message.header.flags;
    let mut state = InterfaceState {
        index: message.header.index,
        name: String::new(),
        kind: InterfaceKind::Uplink,
        // Up and running: Wi-Fi has a carrier before it is authenticated, and is "dormant" until then.
        running: flags.contains(LinkFlags::Up | LinkFlags::Running),
        resolves: !flags.intersects(LinkFlags::Pointopoint | LinkFlags::Noarp),
        master: None,
        families: Vec::new(),
    };
    if flags.contains(LinkFlags::Loopback) {
        state.kind = InterfaceKind::Loopback;
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

fn kind_of(kind: &InfoKind) -> InterfaceKind {
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
        | InfoKind::Xfrm => InterfaceKind::Tunnel,
        InfoKind::Bridge => InterfaceKind::Bridge,
        InfoKind::Veth => InterfaceKind::Veth,
        // OpenVPN's data channel offload, and AmneziaWG.
        InfoKind::Other(name) if name.starts_with("ovpn") || name == "amneziawg" => {
            InterfaceKind::Tunnel
        }
        _ => InterfaceKind::Uplink,
    }
}

/// Opens a socket that receives change events of these groups.
pub(super) fn open(groups: u32) -> io::Result<OwnedFd> {
    let socket = socket_with(
        SocketFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None, // NETLINK_ROUTE is protocol number 0.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vpn_interfaces_are_tunnels_and_modems_are_uplinks() {
        for (kind, expected) in [
            (InfoKind::Tun, InterfaceKind::Tunnel),
            (InfoKind::Wireguard, InterfaceKind::Tunnel),
            (InfoKind::SitTun, InterfaceKind::Tunnel),
            (InfoKind::Other("ovpn".to_owned()), InterfaceKind::Tunnel),
            (InfoKind::Other("ovpn-dco".to_owned()), InterfaceKind::Tunnel),
            (InfoKind::Other("ppp".to_owned()), InterfaceKind::Uplink),
            (InfoKind::Wwan, InterfaceKind::Uplink),
            (InfoKind::Vlan, InterfaceKind::Uplink),
            (InfoKind::Bond, InterfaceKind::Uplink),
            (InfoKind::Bridge, InterfaceKind::Bridge),
            (InfoKind::Veth, InterfaceKind::Veth),
        ] {
            assert_eq!(kind_of(&kind), expected, "{kind:?}");
        }
    }
}
