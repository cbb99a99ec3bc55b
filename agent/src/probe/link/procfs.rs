//! Linux without netlink (a sandbox that denies `AF_NETLINK`): the kernel's files.
//!
//! `/proc/net/route` and `/proc/net/ipv6_route` name interface and router, so that a dead router is not
//! mistaken for a dead provider; `/sys/class/net` has the kind of each interface. Policy rules and
//! additional tables are not listed there: with a VPN that uses them, only the source address is known.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path as FilePath,
};

use super::{
    Path,
    judge::{self, InterfaceKind, InterfaceState},
    source,
};
use crate::probe::{Family, LinkAnswer, MacAddress, Route};

const ROUTES_V4: &str = "/proc/thread-self/net/route";
const ROUTES_V6: &str = "/proc/thread-self/net/ipv6_route";
const ADDRESSES_V6: &str = "/proc/thread-self/net/if_inet6";
const NEIGHBOURS_V4: &str = "/proc/thread-self/net/arp";
const INTERFACES: &str = "/sys/class/net";

/// Flags of a route (`RTF_*` of `<linux/route.h>` and `<linux/ipv6_route.h>`).
const RTF_UP: u32 = 0x1;
const RTF_GATEWAY: u32 = 0x2;
const RTF_REJECT: u32 = 0x200;
const RTF_CACHE: u32 = 0x0100_0000;
/// A neighbour whose hardware address is known (`ATF_COM` of `<linux/if_arp.h>`).
const ATF_COM: u32 = 0x2;
/// Flags of an interface (`IFF_*` of `<linux/if.h>`).
const IFF_UP: u32 = 0x1;
const IFF_POINTOPOINT: u32 = 0x10;
const IFF_NOARP: u32 = 0x80;
/// Hardware types (`ARPHRD_*` of `<linux/if_arp.h>`): loopback, no hardware at all, and the tunnels
/// IPIP, IP6IP6, SIT, GRE and GRE over IPv6.
const LOOPBACK: u32 = 772;
const NO_HARDWARE: u32 = 0xfffe;
const TUNNELS: [u32; 5] = [768, 769, 776, 778, 823];

/// The path to `address` by the files; `source` is the source address that a socket would get.
pub(super) fn path_to(address: IpAddr, source: &io::Result<IpAddr>) -> io::Result<Path> {
    // Files of the kernel: reading them does not wait for a disk.
    let v4 = fs::read_to_string(ROUTES_V4)?;
    // Missing if the kernel has no IPv6.
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let tables = Tables { v4, v6: read(ROUTES_V6), addresses_v6: read(ADDRESSES_V6) };
    let states = interfaces(FilePath::new(INTERFACES), &tables);
    Ok(judge(address, source, &tables, &states))
}

/// The hardware address of the neighbour `gateway` on an interface. There is no such file for IPv6.
pub(super) fn mac_of(gateway: IpAddr, interface: &str) -> Option<MacAddress> {
    let IpAddr::V4(gateway) = gateway.to_canonical() else { return None };
    mac_in(&fs::read_to_string(NEIGHBOURS_V4).ok()?, gateway, interface)
}

/// The same, from the text of the file: address, hardware type, flags, hardware address, mask, interface.
fn mac_in(text: &str, gateway: Ipv4Addr, interface: &str) -> Option<MacAddress> {
    text.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let flags = u32::from_str_radix(fields.get(2)?.trim_start_matches("0x"), 16).ok()?;
        let is_it = fields[0].parse() == Ok(gateway)
            && fields.get(5) == Some(&interface)
            && flags & ATF_COM != 0;
        is_it.then(|| fields.get(3)?.parse().ok()).flatten()
    })
}

/// The texts of the kernel's files.
struct Tables {
    v4: String,
    v6: String,
    addresses_v6: String,
}

/// One entry of a routing table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RouteEntry {
    interface: String,
    /// Length of its prefix.
    bits: u32,
    metric: u32,
    gateway: Option<IpAddr>,
    rejects: bool,
}

fn judge(
    address: IpAddr,
    source: &io::Result<IpAddr>,
    tables: &Tables,
    states: &[InterfaceState],
) -> Path {
    let without_route = || judge::missing_route_reason(states, Family::of(address)).into();
    let source = match source {
        Ok(source) => *source,
        Err(error) => {
            return match source::without_source(error) {
                LinkAnswer::NoRoute | LinkAnswer::NoAddress if !states.is_empty() => {
                    without_route()
                }
                link => link.into(),
            };
        }
    };
    let entry = match address {
        // The table of the device's own addresses is not listed.
        _ if source == address => Some(RouteEntry::own()),
        IpAddr::V4(v4) => best(tables.v4.lines().skip(1).filter_map(|line| entry_v4(line, v4))),
        IpAddr::V6(v6) => best(tables.v6.lines().filter_map(|line| entry_v6(line, v6))),
    };
    // Without one, a policy rule leads to a table that is not listed.
    let Some(entry) = entry.filter(|entry| !entry.rejects) else {
        return source::by_source(Ok(source)).into();
    };
    let state = states.iter().find(|state| state.name == entry.interface);
    let tunnel = state.is_some_and(|state| state.is_tunnel(states));
    if !tunnel && state.is_some_and(|state| !state.has_carrier(states)) {
        return LinkAnswer::NoCarrier.into();
    }
    // The origin of an entry is not listed, so the other end of a point-to-point link counts as near as well.
    let is_near = super::is_near(entry.bits, true, false);
    let on_link = entry.gateway.is_none() && !tunnel && state.is_some() && is_near;
    let link = LinkAnswer::Routed(Route {
        index: state.map_or(0, |state| state.index),
        interface: entry.interface,
        source: Some(source),
        gateway: entry.gateway,
        gateway_mac: None,
        tunnel,
    });
    Path { link, on_link }
}

impl RouteEntry {
    fn own() -> Self {
        let interface = "lo".to_owned();
        Self { interface, bits: 128, metric: 0, gateway: None, rejects: false }
    }
}

/// The entry that the kernel uses: the longest prefix, then the lowest metric.
fn best(entries: impl Iterator<Item = RouteEntry>) -> Option<RouteEntry> {
    entries.min_by_key(|entry| (u32::MAX - entry.bits, entry.metric))
}

/// An entry of `/proc/net/route`, if it leads to `address`: interface, destination, gateway, flags,
/// references, uses, metric, mask. Addresses are numbers in the byte order of the machine.
fn entry_v4(line: &str, address: Ipv4Addr) -> Option<RouteEntry> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |place: usize| u32::from_str_radix(fields.get(place)?, 16).ok();
    let internet = |place| number(place).map(|number| Ipv4Addr::from(number.to_ne_bytes()));
    let (destination, gateway, flags) = (internet(1)?, internet(2)?, number(3)?);
    let (metric, mask) = (fields.get(6)?.parse().ok()?, internet(7)?);
    let fits = address.to_bits() & mask.to_bits() == destination.to_bits();
    (fits && flags & RTF_UP != 0).then(|| RouteEntry {
        interface: fields[0].to_owned(),
        bits: mask.to_bits().count_ones(),
        metric,
        gateway: (flags & RTF_GATEWAY != 0).then_some(gateway.into()),
        rejects: flags & RTF_REJECT != 0,
    })
}

/// An entry of `/proc/net/ipv6_route`, if it leads to `address`: destination, its length, source, its
/// length, gateway, metric, references, uses, flags, interface; all numbers in hexadecimal.
fn entry_v6(line: &str, address: Ipv6Addr) -> Option<RouteEntry> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |place: usize| u32::from_str_radix(fields.get(place)?, 16).ok();
    let internet =
        |place: usize| u128::from_str_radix(fields.get(place)?, 16).ok().map(Ipv6Addr::from);
    let (destination, bits, gateway) = (internet(0)?, number(1)?, internet(4)?);
    let (metric, flags) = (number(5)?, number(8)?);
    let differing = address.to_bits() ^ destination.to_bits();
    let fits = differing.leading_zeros() >= bits;
    let is_used = flags & RTF_CACHE == 0 && (flags & RTF_UP != 0 || flags & RTF_REJECT != 0);
    (fits && is_used).then(|| RouteEntry {
        interface: fields.get(9).copied().unwrap_or_default().to_owned(),
        bits,
        metric,
        gateway: (flags & RTF_GATEWAY != 0).then_some(gateway.into()),
        rejects: flags & RTF_REJECT != 0,
    })
}

/// All interfaces, by the files below `folder`.
fn interfaces(folder: &FilePath, tables: &Tables) -> Vec<InterfaceState> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| interface(&folder.join(&name), name, tables)).collect()
}

fn interface(folder: &FilePath, name: String, tables: &Tables) -> Option<InterfaceState> {
    let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let decimal = |file| text(file).trim().parse::<u32>().ok();
    let flags = u32::from_str_radix(text("flags").trim().trim_start_matches("0x"), 16).ok()?;
    let index = decimal("ifindex")?;
    let kind = kind(
        decimal("type")?,
        &text("uevent"),
        folder.join("tun_flags").exists(),
        decimal("iflink").is_some_and(|peer| peer != index),
    );
    // Wi-Fi is "dormant" until it is authenticated; PPP and modems do not report their state ("unknown").
    let running = flags & IFF_UP != 0 && matches!(text("operstate").trim(), "up" | "unknown");
    let master = fs::read_to_string(folder.join("master/ifindex")).ok();
    let has_v4 = tables.v4.lines().any(|line| line.split_whitespace().next() == Some(&*name));
    // Address, index, prefix length, scope (0: beyond the link), flags, name.
    let has_v6 = tables.addresses_v6.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(3) == Some(&"00") && fields.get(5) == Some(&&*name)
    });
    let families = [(Family::Ipv4, has_v4), (Family::Ipv6, has_v6)];
    Some(InterfaceState {
        index,
        name,
        kind,
        running,
        resolves: flags & (IFF_POINTOPOINT | IFF_NOARP) == 0,
        master: master.and_then(|text| text.trim().parse().ok()),
        families: families.into_iter().filter_map(|(family, has)| has.then_some(family)).collect(),
    })
}

/// The kind of an interface, by its hardware type, its uevent text, whether it is a TUN or TAP, and whether
/// it is linked to another interface. That is how an end of a veth pair appears, and so does a VLAN, which
/// is an uplink.
fn kind(hardware: u32, event: &str, is_tun: bool, is_joined: bool) -> InterfaceKind {
    let device = event.lines().find_map(|line| line.strip_prefix("DEVTYPE="));
    match (hardware, device) {
        (LOOPBACK, _) => InterfaceKind::Loopback,
        (_, Some("wireguard")) => InterfaceKind::Tunnel,
        _ if is_tun || TUNNELS.contains(&hardware) => InterfaceKind::Tunnel,
        (_, Some("bridge")) => InterfaceKind::Bridge,
        // Modems without Ethernet headers have no hardware type either.
        (NO_HARDWARE, Some("wwan")) => InterfaceKind::Uplink,
        (NO_HARDWARE, _) => InterfaceKind::Tunnel,
        (_, None) if is_joined => InterfaceKind::Veth,
        _ => InterfaceKind::Uplink,
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// A device at 192.168.1.20 behind 192.168.1.1 and `fe80::1`, with PPP as a second uplink.
    fn tables() -> Tables {
        let hex = |address: &str| {
            let address: Ipv4Addr = address.parse().expect("an address");
            format!("{:08X}", u32::from_ne_bytes(address.octets()))
        };
        let line = |interface: &str, to: &str, by: &str, flags: &str, metric: u32, mask: &str| {
            let (to, by, mask) = (hex(to), hex(by), hex(mask));
            format!("{interface}\t{to}\t{by}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0  \n")
        };
        let v4 = [
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
                .to_owned(),
            line("ppp0", "0.0.0.0", "0.0.0.0", "0001", 700, "0.0.0.0"),
            line("eth0", "0.0.0.0", "192.168.1.1", "0003", 100, "0.0.0.0"),
            line("eth0", "192.168.1.0", "0.0.0.0", "0001", 100, "255.255.255.0"),
            line("ppp0", "198.51.100.0", "0.0.0.0", "0001", 0, "255.255.255.254"),
            line("ppp0", "128.0.0.0", "0.0.0.0", "0001", 0, "128.0.0.0"),
            line("tun0", "203.0.113.0", "0.0.0.0", "0001", 0, "255.255.255.0"),
            line("*", "203.0.113.64", "0.0.0.0", "0201", 0, "255.255.255.192"),
        ];
        let zero = "0".repeat(32);
        let router = "fe800000000000000000000000000001";
        let v6 = format!(
            "fd00000000000000{} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n\
             {zero} 00 {zero} 00 {router} 00000400 00000002 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n",
            "0".repeat(16)
        );
        let addresses_v6 = format!("fd0000000000000000000000000000{} 02 40 00 80     eth0\n", "02");
        Tables { v4: v4.concat(), v6, addresses_v6 }
    }

    fn states() -> Vec<InterfaceState> {
        let state = |index, name: &str, kind, resolves| InterfaceState {
            index,
            name: name.to_owned(),
            kind,
            running: true,
            resolves,
            master: None,
            families: vec![Family::Ipv4],
        };
        vec![
            state(1, "lo", InterfaceKind::Loopback, true),
            state(2, "eth0", InterfaceKind::Uplink, true),
            state(3, "ppp0", InterfaceKind::Uplink, false),
            state(4, "tun0", InterfaceKind::Tunnel, false),
        ]
    }

    fn judged(address: &str, states: &[InterfaceState]) -> Path {
        let address: IpAddr = address.parse().expect("an address");
        let source = IpAddr::from(Ipv4Addr::new(192, 168, 1, 20));
        judge(address, &Ok(source), &tables(), states)
    }

    #[test]
    fn the_files_give_interface_and_router() {
        for (address, interface, gateway, tunnel, on_link) in [
            ("1.1.1.1", "eth0", Some("192.168.1.1"), false, false),
            ("192.168.1.9", "eth0", None, false, true),
            ("9.9.9.9", "eth0", Some("192.168.1.1"), false, false),
            ("198.51.100.1", "ppp0", None, false, true),
            ("208.67.222.222", "ppp0", None, false, false),
            ("203.0.113.9", "tun0", None, true, false),
            ("2606:4700:4700::1111", "eth0", Some("fe80::1"), false, false),
            ("fd00::9", "eth0", None, false, true),
            ("192.168.1.20", "lo", None, false, true),
        ] {
            let path = judged(address, &states());
            let route = path.link.route().unwrap_or_else(|| panic!("{address}: {path:?}"));
            let gateway = gateway.map(|gateway| gateway.parse().expect("an address"));
            let seen = (&*route.interface, route.gateway, route.tunnel, path.on_link);
            assert_eq!(seen, (interface, gateway, tunnel, on_link), "{address}");
        }
        let rejected = judged("203.0.113.70", &states());
        assert_eq!(rejected.link.route().map(|route| &*route.interface), Some("unknown"));
    }

    #[test]
    fn a_neighbour_has_the_hardware_address_of_its_interface() {
        let text = "\
IP address       HW type     Flags       HW address            Mask     Device
192.168.1.7      0x1         0x0         00:00:00:00:00:00     *        eth0
192.168.1.1      0x1         0x2         52:54:00:00:00:02     *        wlan0
192.168.1.1      0x1         0x2         52:54:00:00:00:01     *        eth0
192.168.1.8      0x1         0x6         52:54:00:00:00:08     *        eth0
";
        for (gateway, interface, expected) in [
            ([192, 168, 1, 1], "eth0", Some("52:54:00:00:00:01")),
            ([192, 168, 1, 1], "wlan0", Some("52:54:00:00:00:02")),
            ([192, 168, 1, 1], "eth1", None),
            ([192, 168, 1, 7], "eth0", None),
            ([192, 168, 1, 8], "eth0", Some("52:54:00:00:00:08")),
            ([192, 168, 1, 9], "eth0", None),
        ] {
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(
                mac_in(text, gateway.into(), interface),
                expected,
                "{gateway:?} {interface}"
            );
        }
    }

    #[test]
    fn the_reason_for_a_missing_route_is_found_without_netlink_too() {
        let judge_error = |error: Errno, states: &[InterfaceState]| {
            let address = Ipv4Addr::new(1, 1, 1, 1).into();
            judge(address, &Err(error.into()), &tables(), states).link
        };
        let mut unplugged = states();
        for state in &mut unplugged {
            state.running = false;
        }
        assert_eq!(judge_error(Errno::NETUNREACH, &states()), LinkAnswer::NoRoute);
        assert_eq!(judge_error(Errno::NETUNREACH, &unplugged), LinkAnswer::NoCarrier);
        assert_eq!(judge_error(Errno::ACCESS, &states()), LinkAnswer::Prohibited);
        assert_eq!(judge_error(Errno::MFILE, &states()), LinkAnswer::Unknown);
        assert_eq!(judged("1.1.1.1", &unplugged).link, LinkAnswer::NoCarrier);
        // With the routing tables alone: interface and router are found all the same.
        let route = judged("1.1.1.1", &[]).link.route().cloned().expect("a route");
        assert_eq!((&*route.interface, route.index), ("eth0", 0));
    }

    #[test]
    fn interfaces_are_read_from_their_folders() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str, files: &[(&str, &str)]| {
            fs::create_dir(folder.path().join(name)).expect("a folder");
            for (file, text) in files {
                fs::write(folder.path().join(name).join(file), text).expect("a file");
            }
        };
        let up = ("operstate", "up\n");
        let (ether, flags) = (("type", "1\n"), ("flags", "0x1003\n"));
        make("eth0", &[("ifindex", "2\n"), ("iflink", "2\n"), ether, flags, up]);
        make("eth1", &[("ifindex", "3\n"), ether, flags, ("operstate", "down\n")]);
        let point = ("flags", "0x10d1\n");
        make("ppp0", &[("ifindex", "4\n"), ("type", "512\n"), point, ("operstate", "unknown\n")]);
        make(
            "wg0",
            &[
                ("ifindex", "5\n"),
                ("type", "65534\n"),
                ("flags", "0xd1\n"),
                ("operstate", "unknown\n"),
                ("uevent", "DEVTYPE=wireguard\nINTERFACE=wg0\n"),
            ],
        );
        make("nonsense", &[]);
        let mut states = interfaces(folder.path(), &tables());
        states.sort_by_key(|state| state.index);
        let (v4, v6) = (Family::Ipv4, Family::Ipv6);
        let expected = [
            ("eth0", InterfaceKind::Uplink, true, true, vec![v4, v6]),
            ("eth1", InterfaceKind::Uplink, false, true, vec![]),
            ("ppp0", InterfaceKind::Uplink, true, false, vec![v4]),
            ("wg0", InterfaceKind::Tunnel, true, false, vec![]),
        ];
        let seen: Vec<_> = states
            .into_iter()
            .map(|state| (state.name, state.kind, state.running, state.resolves, state.families))
            .collect();
        let expected = expected
            .map(|(name, kind, runs, resolves, of)| (name.to_owned(), kind, runs, resolves, of));
        assert_eq!(seen, expected);
    }

    #[test]
    fn hardware_type_and_uevent_distinguish_tunnels_from_uplinks() {
        for (hardware, event, is_tun, is_joined, expected) in [
            (LOOPBACK, "", false, false, InterfaceKind::Loopback),
            (1, "INTERFACE=eth0\n", false, false, InterfaceKind::Uplink),
            (1, "DEVTYPE=wlan\n", false, false, InterfaceKind::Uplink),
            (1, "DEVTYPE=bridge\n", false, false, InterfaceKind::Bridge),
            (1, "DEVTYPE=vlan\n", false, true, InterfaceKind::Uplink),
            (1, "", false, true, InterfaceKind::Veth),
            (1, "", true, false, InterfaceKind::Tunnel),
            (512, "", false, false, InterfaceKind::Uplink),
            (NO_HARDWARE, "", true, false, InterfaceKind::Tunnel),
            (NO_HARDWARE, "DEVTYPE=wireguard\n", false, false, InterfaceKind::Tunnel),
            (NO_HARDWARE, "DEVTYPE=wwan\n", false, false, InterfaceKind::Uplink),
            (776, "", false, true, InterfaceKind::Tunnel),
        ] {
            assert_eq!(kind(hardware, event, is_tun, is_joined), expected, "{hardware} {event}");
        }
    }
}
