//! macOS: the routing socket (`route(4)`).
//!
//! The messages are laid out as in `<net/route.h>` of macOS: a header of 92 bytes, then one socket
//! address for each bit that is set in the header's `rtm_addrs`, in the order of the bits, each
//! padded to four bytes. They are read as bytes, at the offsets named below.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(target_os = "macos")]
pub(super) use socket::{Events, mac_of, neighbour, paths_to, same_neighbour, underlay};

use crate::probe::{MacAddress, Route};

/// `struct rt_msghdr`: its size and the offsets of its fields.
const HEADER_BYTES: usize = 92;
const VERSION_AT: usize = 2;
const TYPE_AT: usize = 3;
const INDEX_AT: usize = 4;
const FLAGS_AT: usize = 8;
const ADDRESSES_AT: usize = 12;
const SEQUENCE_AT: usize = 20;
const ERROR_AT: usize = 24;

const RTM_VERSION: u8 = 5;
const RTM_ADD: u8 = 0x1;
const RTM_DELETE: u8 = 0x2;
const RTM_CHANGE: u8 = 0x3;
const RTM_GET: u8 = 0x4;
const RTM_NEWADDR: u8 = 0xc;
const RTM_DELADDR: u8 = 0xd;
const RTM_IFINFO: u8 = 0xe;

const RTF_UP: i32 = 0x1;
const RTF_GATEWAY: i32 = 0x2;
const RTF_HOST: i32 = 0x4;
const RTF_REJECT: i32 = 0x8;
const RTF_LLINFO: i32 = 0x400;
const RTF_BLACKHOLE: i32 = 0x1000;
const RTF_WASCLONED: i32 = 0x20000;
const RTF_IFSCOPE: i32 = 0x0100_0000;

/// The bits of `rtm_addrs`, which are also the order of the addresses: destination, gateway,
/// netmask, genmask, interface (name), interface address.
const RTA_DST: i32 = 0x1;
const GATEWAY_BIT: u32 = 1;
const NETMASK_BIT: u32 = 2;
const INTERFACE_BIT: u32 = 4;
const SOURCE_BIT: u32 = 5;
const RTA_IFP: i32 = 1 << INTERFACE_BIT;
const RTA_IFA: i32 = 1 << SOURCE_BIT;

/// macOS's numbers of the address families in socket addresses.
const AF_INET: u8 = 2;
const AF_LINK: u8 = 18;
const AF_INET6: u8 = 30;

/// A request for the route to `anchor`; only through the interface with index `scope` if one is given.
fn get_request(anchor: IpAddr, scope: Option<u32>, sequence: i32) -> Vec<u8> {
    let mut message = vec![0; HEADER_BYTES];
    message[VERSION_AT] = RTM_VERSION;
    message[TYPE_AT] = RTM_GET;
    let mut flags = RTF_UP | RTF_GATEWAY | RTF_HOST;
    if let Some(index) = scope.and_then(|index| u16::try_from(index).ok()) {
        flags |= RTF_IFSCOPE;
        put(&mut message, INDEX_AT, &index.to_ne_bytes());
    }
    put(&mut message, FLAGS_AT, &flags.to_ne_bytes());
    put(&mut message, ADDRESSES_AT, &(RTA_DST | RTA_IFP | RTA_IFA).to_ne_bytes());
    put(&mut message, SEQUENCE_AT, &sequence.to_ne_bytes());
    match anchor {
        IpAddr::V4(v4) => {
            message.extend([16, AF_INET, 0, 0]);
            message.extend(v4.octets());
            message.extend([0; 8]);
        }
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            if v6.is_unicast_link_local()
                && let Some(index) = scope.and_then(|index| u16::try_from(index).ok())
            {
                // The kernel keeps the interface's index in the middle of a link-local address.
                octets[2..4].copy_from_slice(&index.to_be_bytes());
            }
            message.extend([28, AF_INET6, 0, 0, 0, 0, 0, 0]);
            message.extend(octets);
            message.extend([0; 4]);
        }
    }
    // Room for the kernel to write the name and the address of the interface.
    message.extend([20, AF_LINK]);
    message.extend([0; 18]);
    message.extend([16, AF_INET]);
    message.extend([0; 14]);
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    put(&mut message, 0, &length.to_ne_bytes());
    message
}

fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    message[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The kernel's reply to a request.
#[derive(Debug, PartialEq, Eq)]
enum KernelReply {
    /// The route.
    Found(FoundRoute),
    /// There is no route.
    Nowhere,
}

#[derive(Debug, PartialEq, Eq)]
struct FoundRoute {
    route: Route,
    /// Prefix length of its entry. Unknown for a host entry that the kernel has cloned from another one,
    /// which the reply does not name.
    bits: Option<u32>,
    /// The hardware address of a neighbour, in the field that otherwise has the router.
    mac: Option<MacAddress>,
}

impl FoundRoute {
    /// Whether the address is a neighbour. `elsewhere` is the route to an address that no host has: if it leads
    /// the same way, it is a default route.
    fn is_on_link(&self, elsewhere: impl FnOnce() -> Option<Self>) -> bool {
        let Self { route, bits, .. } = self;
        if route.gateway.is_some() || route.tunnel {
            return false;
        }
        let is_same =
            |other: &Self| other.route.gateway.is_none() && other.route.index == route.index;
        let bits = bits.or_else(|| elsewhere().filter(is_same).map(|_| 0));
        let resolves = !is_point_to_point(&route.interface);
        super::is_near(bits.unwrap_or(u32::MAX), resolves, false)
    }
}

/// Reads the reply to the request with this number; `None` for any other message.
fn read_reply(message: &[u8], sequence: i32) -> Option<KernelReply> {
    let is_it = message.len() >= HEADER_BYTES
        && message[VERSION_AT] == RTM_VERSION
        && message[TYPE_AT] == RTM_GET
        && number(message, SEQUENCE_AT)? == sequence;
    if !is_it {
        return None;
    }
    let flags = number(message, FLAGS_AT)?;
    if number(message, ERROR_AT)? != 0 || flags & (RTF_REJECT | RTF_BLACKHOLE) != 0 {
        return Some(KernelReply::Nowhere);
    }
    let mut route = Route {
        interface: String::new(),
        index: u32::from(u16::from_ne_bytes([message[INDEX_AT], message[INDEX_AT + 1]])),
        source: None,
        gateway: None,
        gateway_mac: None,
        tunnel: false,
    };
    let (mut bits, mut mac) = (None, None);
    let present = number(message, ADDRESSES_AT)?;
    let mut rest = &message[HEADER_BYTES..];
    for bit in 0..8 {
        if present & (1 << bit) == 0 {
            continue;
        }
        let length = usize::from(*rest.first()?);
        let address = rest.get(..length)?;
        match bit {
            NETMASK_BIT => bits = Some(prefix_length(address)),
            GATEWAY_BIT if flags & RTF_GATEWAY != 0 => route.gateway = internet(address),
            GATEWAY_BIT if flags & RTF_LLINFO != 0 => mac = hardware(address),
            INTERFACE_BIT => route.interface = interface_name(address)?,
            SOURCE_BIT => route.source = internet(address),
            _ => {}
        }
        // An empty address still takes four bytes.
        rest = rest.get(length.max(1).next_multiple_of(4)..).unwrap_or_default();
    }
    route.tunnel = is_tunnel(&route.interface);
    if flags & RTF_HOST != 0 {
        bits = (flags & RTF_WASCLONED == 0).then_some(128);
    }
    Some(KernelReply::Found(FoundRoute { route, bits, mac }))
}

/// The number of bits of a netmask: a socket address whose trailing zeros are cut off, possibly all of it.
fn prefix_length(mask: &[u8]) -> u32 {
    // Only the address bytes are set, besides the length and, at times, the family.
    mask.iter().skip(4).map(|byte| byte.count_ones()).sum()
}

fn number(message: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?))
}

/// The address in a `sockaddr_in` or `sockaddr_in6`.
fn internet(address: &[u8]) -> Option<IpAddr> {
    match *address.get(1)? {
        AF_INET => {
            let octets: [u8; 4] = address.get(4..8)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        }
        AF_INET6 => {
            let mut octets: [u8; 16] = address.get(8..24)?.try_into().ok()?;
            if octets[0] == 0xfe && octets[1] & 0xc0 == 0x80 {
                // The kernel keeps the interface's index in the middle of a link-local address.
                (octets[2], octets[3]) = (0, 0);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// The name in a `sockaddr_dl`: its length is at offset 5, the name at 8.
fn interface_name(address: &[u8]) -> Option<String> {
    if *address.get(1)? != AF_LINK {
        return None;
    }
    let length = usize::from(*address.get(5)?);
    Some(String::from_utf8_lossy(address.get(8..8 + length)?).into_owned())
}

/// The hardware address in a `sockaddr_dl`, after the name: its length is at offset 6. To a program without
/// permission the kernel returns a placeholder.
fn hardware(address: &[u8]) -> Option<MacAddress> {
    const HIDDEN: [u8; 6] = [2, 0, 0, 0, 0, 0];
    if *address.get(1)? != AF_LINK {
        return None;
    }
    let from = 8 + usize::from(*address.get(5)?);
    let bytes = address.get(from..from + usize::from(*address.get(6)?))?;
    MacAddress::new(bytes).filter(|_| bytes != HIDDEN)
}

/// Whether the name is that of a tunnel: macOS names interfaces by their driver. The parent module explains
/// why `ppp` is not included.
fn is_tunnel(name: &str) -> bool {
    let kind = name.trim_end_matches(|character: char| character.is_ascii_digit());
    matches!(kind, "utun" | "ipsec" | "gif" | "stf" | "tun" | "tap")
}

/// Whether an interface is an uplink: it could lead out by a cable or by radio.
fn is_uplink(name: &str) -> bool {
    let kind = name.trim_end_matches(|character: char| character.is_ascii_digit());
    matches!(kind, "en" | "ppp" | "pdp_ip" | "bond" | "vlan")
}

/// Whether an interface is a point-to-point link, whose other end needs no address resolution.
fn is_point_to_point(name: &str) -> bool {
    let kind = name.trim_end_matches(|character: char| character.is_ascii_digit());
    matches!(kind, "ppp" | "pdp_ip")
}

/// Whether a message reports a relevant change: no reply to a request, and no update of a neighbour or of a
/// cloned host route.
fn reports_change(message: &[u8]) -> bool {
    let noted = message.get(TYPE_AT).copied();
    match noted {
        Some(RTM_NEWADDR | RTM_DELADDR | RTM_IFINFO) => true,
        Some(RTM_ADD | RTM_DELETE | RTM_CHANGE) => {
            number(message, FLAGS_AT).is_none_or(|flags| flags & (RTF_LLINFO | RTF_WASCLONED) == 0)
        }
        _ => false,
    }
}

#[cfg(target_os = "macos")]
mod socket {
    use std::{
        io::{self, Read, Write},
        net::IpAddr,
        os::{fd::OwnedFd, unix::net::UnixDatagram as StdDatagram},
        time::Duration,
    };

    use rustix::process::getpid;
    use socket2::{Domain, Socket, Type};
    use tokio::net::UnixDatagram;

    use super::{
        super::{Neighbour, Path, UNUSED_ADDRESSES, Underlay},
        FoundRoute, KernelReply, get_request, is_uplink, read_reply, reports_change,
    };
    use crate::probe::{Interface, LinkAnswer, MacAddress};

    /// `PF_ROUTE` of `<sys/socket.h>`.
    const PF_ROUTE: i32 = 17;
    /// Larger than any message about routes.
    const MESSAGE_BYTES: usize = 2_048;
    /// The kernel replies at once; but the reply is queued behind messages to all listeners.
    const PATIENCE: Duration = Duration::from_millis(100);
    /// The highest interface index that is searched for the underlay of a tunnel.
    const MOST_INTERFACES: u32 = 64;

    /// The kernel's change events.
    #[derive(Debug)]
    pub(in super::super) struct Events {
        socket: UnixDatagram,
    }

    impl Events {
        pub(in super::super) fn new() -> io::Result<Self> {
            let socket = open()?;
            socket.set_nonblocking(true)?;
            // tokio can poll any datagram socket as if it were of this type.
            let socket = StdDatagram::from(OwnedFd::from(socket));
            Ok(Self { socket: UnixDatagram::from_std(socket)? })
        }

        pub(in super::super) async fn next(&mut self) -> io::Result<()> {
            let mut message = [0; MESSAGE_BYTES];
            loop {
                match self.socket.recv(&mut message).await {
                    Ok(length) if !reports_change(&message[..length]) => {}
                    Ok(_) => return Ok(()),
                    // Events were dropped because the buffer was full.
                    Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }

        pub(in super::super) fn drain(&mut self) {
            while self.socket.try_recv(&mut [0; 16]).is_ok() {}
        }
    }

    const NO_BUFFERS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

    // The return type is that of the other systems, which can fail.
    #[allow(clippy::unnecessary_wraps)]
    pub(in super::super) fn paths_to(addresses: &[IpAddr]) -> io::Result<Vec<io::Result<Path>>> {
        Ok(addresses.iter().map(|address| path_to(*address)).collect())
    }

    fn path_to(address: IpAddr) -> io::Result<Path> {
        Ok(match ask(address, None)? {
            KernelReply::Found(found) => {
                let somewhere = UNUSED_ADDRESSES[usize::from(address.is_ipv6())];
                let on_link = found.is_on_link(|| match ask(somewhere, None) {
                    Ok(KernelReply::Found(found)) => Some(found),
                    Ok(KernelReply::Nowhere) | Err(_) => None,
                });
                Path { link: LinkAnswer::Routed(found.route), on_link }
            }
            KernelReply::Nowhere => LinkAnswer::NoRoute.into(),
        })
    }

    #[allow(clippy::unnecessary_wraps, reason = "the return type is that of the other systems")]
    pub(in super::super) fn same_neighbour(_: IpAddr, _: IpAddr, _: u32) -> io::Result<bool> {
        Ok(false)
    }

    pub(in super::super) fn mac_of(gateway: IpAddr, index: u32) -> io::Result<Option<MacAddress>> {
        Ok(match ask(gateway, Some(index))? {
            KernelReply::Found(found) => found.mac,
            KernelReply::Nowhere => None,
        })
    }

    // The return type is that of the other systems, which can fail.
    #[allow(clippy::unnecessary_wraps)]
    pub(in super::super) fn neighbour(_: IpAddr, _: u32) -> io::Result<Neighbour> {
        Ok(Neighbour::Unknown)
    }

    pub(in super::super) fn underlay(anchor: IpAddr) -> io::Result<Option<Underlay>> {
        for index in 1..=MOST_INTERFACES {
            if let KernelReply::Found(FoundRoute { route, .. }) = ask(anchor, Some(index))?
                && is_uplink(&route.interface)
                && route.index == index
                && route.gateway.is_some()
            {
                let interface = Interface::from(&route);
                return Ok(Some(Underlay { interface, router: route.gateway }));
            }
        }
        Ok(None)
    }

    fn ask(anchor: IpAddr, scope: Option<u32>) -> io::Result<KernelReply> {
        let mut socket = open()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        // All listeners get the reply; the number identifies ours.
        let sequence = getpid().as_raw_nonzero().get() ^ fastrand::i32(..);
        match socket.write(&get_request(anchor.to_canonical(), scope, sequence)) {
            // ESRCH: "not in table".
            Err(error) if error.raw_os_error() == Some(NOT_IN_TABLE) => {
                return Ok(KernelReply::Nowhere);
            }
            Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => {
                return Ok(KernelReply::Nowhere);
            }
            written => written?,
        };
        let mut message = [0; MESSAGE_BYTES];
        loop {
            let length = socket.read(&mut message)?;
            if let Some(reply) = read_reply(&message[..length], sequence) {
                return Ok(reply);
            }
        }
    }

    const NOT_IN_TABLE: i32 = rustix::io::Errno::SRCH.raw_os_error();

    fn open() -> io::Result<Socket> {
        Socket::new(Domain::from(PF_ROUTE), Type::RAW, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCE: i32 = 77;

    /// A reply as `route -n get 1.1.1.1` gets it on a Mac at 192.168.1.20 behind 192.168.1.1, with
    /// the interface en0.
    fn reply() -> Vec<u8> {
        let mut message = get_request("1.1.1.1".parse().expect("an address"), None, SEQUENCE);
        message.truncate(HEADER_BYTES);
        put(&mut message, INDEX_AT, &4_u16.to_ne_bytes());
        put(&mut message, FLAGS_AT, &(RTF_UP | RTF_GATEWAY).to_ne_bytes());
        put(&mut message, ADDRESSES_AT, &(0x1 | 0x2 | 0x4 | RTA_IFP | RTA_IFA).to_ne_bytes());
        message.extend([16, AF_INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([16, AF_INET, 0, 0, 192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        // The netmask of the default route is empty.
        message.extend([0, 0, 0, 0]);
        message
            .extend([20, AF_LINK, 4, 0, 6, 3, 6, 0, b'e', b'n', b'0', 1, 2, 3, 4, 5, 6, 0, 0, 0]);
        message.extend([16, AF_INET, 0, 0, 192, 168, 1, 20, 0, 0, 0, 0, 0, 0, 0, 0]);
        message
    }

    #[test]
    fn a_reply_names_interface_source_and_router() {
        let expected = Route {
            interface: "en0".to_owned(),
            index: 4,
            source: Some("192.168.1.20".parse().expect("an address")),
            gateway: Some("192.168.1.1".parse().expect("an address")),
            gateway_mac: None,
            tunnel: false,
        };
        let expected = FoundRoute { route: expected, bits: Some(0), mac: None };
        assert_eq!(read_reply(&reply(), SEQUENCE), Some(KernelReply::Found(expected)));
        assert_eq!(read_reply(&reply(), SEQUENCE + 1), None, "the reply to another request");
        let mut nowhere = reply();
        put(&mut nowhere, ERROR_AT, &3_i32.to_ne_bytes());
        assert_eq!(read_reply(&nowhere, SEQUENCE), Some(KernelReply::Nowhere));
        for length in 0..reply().len() {
            // A truncated message must not cause a panic.
            let _ = read_reply(&reply()[..length], SEQUENCE);
        }
    }

    /// A reply without a router, through en0, with this netmask and these flags.
    fn without_router(mask: &[u8], flags: i32) -> FoundRoute {
        let mut message = get_request("1.1.1.1".parse().expect("an address"), None, SEQUENCE);
        message.truncate(HEADER_BYTES);
        put(&mut message, INDEX_AT, &4_u16.to_ne_bytes());
        put(&mut message, FLAGS_AT, &(RTF_UP | flags).to_ne_bytes());
        put(&mut message, ADDRESSES_AT, &(0x1 | 0x2 | 0x4 | RTA_IFP).to_ne_bytes());
        message.extend([16, AF_INET, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([20, AF_LINK, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend(mask);
        message.resize(message.len().next_multiple_of(4), 0);
        message.extend([20, AF_LINK, 4, 0, 6, 3, 0, 0, b'e', b'n', b'0']);
        message.extend([0; 9]);
        match read_reply(&message, SEQUENCE) {
            Some(KernelReply::Found(found)) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_default_route_without_a_router_leads_to_no_neighbours() {
        let default = [0, 0, 0, 0];
        let half = [5, 0, 0, 0, 0x80, 0, 0, 0];
        let segment = [7, 0, 0, 0, 255, 255, 255, 0];
        let host = || without_router(&default, RTF_HOST | RTF_WASCLONED);
        let another = |index| {
            let mut found = without_router(&default, 0);
            found.route.index = index;
            found
        };
        for (what, found, elsewhere, expected) in [
            ("a default route", without_router(&default, 0), None, false),
            ("half a default route", without_router(&half, 0), None, false),
            ("to a segment", without_router(&segment, 0), None, true),
            ("to a segment beside it", without_router(&segment, 0), Some(another(4)), true),
            ("to a host, set by hand", without_router(&default, RTF_HOST), Some(another(4)), true),
            ("to a host, cloned from it", host(), Some(another(4)), false),
            ("to a host, cloned from another one", host(), Some(another(5)), true),
            ("to a host, without a route elsewhere", host(), None, true),
        ] {
            assert_eq!(found.is_on_link(|| elsewhere), expected, "{what}");
        }
    }

    #[test]
    fn a_neighbour_has_a_hardware_address_once_it_is_resolved() {
        let link = |name: &str, bytes: &[u8]| {
            let lengths = [name.len(), bytes.len()].map(|length| length.try_into().expect("short"));
            let mut address = vec![0, AF_LINK, 4, 0, 6, lengths[0], lengths[1], 0];
            address.extend(name.bytes());
            address.extend(bytes);
            address
        };
        let known = [0x52, 0x54, 0, 0, 0, 1];
        for (what, address, expected) in [
            ("known", link("", &known), MacAddress::new(&known)),
            ("behind a name", link("en0", &known), MacAddress::new(&known)),
            ("not resolved yet", link("en0", &[]), None),
            ("hidden", link("", &[2, 0, 0, 0, 0, 0]), None),
            ("cut off", link("en0", &known)[..12].to_vec(), None),
            ("a router", vec![16, AF_INET, 0, 0, 192, 168, 1, 1], None),
        ] {
            assert_eq!(hardware(&address), expected, "{what}");
        }
    }

    #[test]
    fn a_request_has_the_length_in_its_header() {
        for anchor in ["1.1.1.1", "2606:4700:4700::1111"] {
            let message = get_request(anchor.parse().expect("an address"), Some(5), SEQUENCE);
            let length = u16::from_ne_bytes([message[0], message[1]]);
            assert_eq!(usize::from(length), message.len());
            assert_eq!(message.len() % 4, 0);
        }
    }

    #[test]
    fn tunnels_and_uplinks_are_distinguished_by_name() {
        for (name, tunnel, line, point_to_point) in [
            ("utun3", true, false, false),
            ("ipsec0", true, false, false),
            ("en0", false, true, false),
            ("en11", false, true, false),
            ("ppp0", false, true, true),
            ("pdp_ip0", false, true, true),
            ("bridge0", false, false, false),
            ("awdl0", false, false, false),
            ("lo0", false, false, false),
        ] {
            let seen = (is_tunnel(name), is_uplink(name), is_point_to_point(name));
            assert_eq!(seen, (tunnel, line, point_to_point), "{name}");
        }
    }

    #[test]
    fn replies_and_neighbours_are_no_change() {
        let mut message = reply();
        assert!(!reports_change(&message), "the reply to a request");
        message[TYPE_AT] = RTM_DELETE;
        assert!(reports_change(&message));
        put(&mut message, FLAGS_AT, &(RTF_UP | RTF_LLINFO).to_ne_bytes());
        assert!(!reports_change(&message), "a neighbour");
        message[TYPE_AT] = RTM_IFINFO;
        assert!(reports_change(&message));
    }
}
