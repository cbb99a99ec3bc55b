//! The name servers that this device uses, and who operates them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use crate::probe::{
    Route, is_link_local, is_private,
    link::{self, Path},
};

/// The name servers of every program (resolv.conf(5)); macOS updates it for the primary network service.
/// Servers for single domains, as VPNs configure them, are ignored deliberately: only those that resolve
/// internet names matter here.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The servers that systemd-resolved's stub forwards to.
const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";
/// As many as the C library uses (`MAXNS`).
const MAX_SERVERS: usize = 3;
/// Time limit for reading the files; a disk that hangs must not delay a query longer.
const READ_WITHIN: Duration = Duration::from_millis(500);

/// The name servers that this device uses, read again for every query because they change with the network.
#[derive(Debug, Default)]
pub struct Servers {
    shared: Arc<Mutex<SharedServers>>,
}

#[derive(Debug, Default)]
struct SharedServers {
    /// The result of the last read.
    known: Vec<SocketAddr>,
    /// Whether a thread is reading them now.
    is_reading: bool,
}

impl Servers {
    /// The name servers in use now, in the order in which they are queried, at most three; the ones that
    /// systemd-resolved's stub forwards to if they are known, else the stub itself.
    ///
    /// The files are read on a separate thread. While that hangs, this returns the servers of the last read.
    pub async fn read(&self) -> Vec<SocketAddr> {
        if !std::mem::replace(&mut lock(&self.shared).is_reading, true) {
            let (done, is_done) = oneshot::channel();
            let shared = Arc::clone(&self.shared);
            let read = move || {
                let known = servers();
                *lock(&shared) = SharedServers { known, is_reading: false };
                // The receiver is gone if the read took too long.
                let _ = done.send(());
            };
            match std::thread::Builder::new().name("resolv.conf".to_owned()).spawn(read) {
                Ok(_) => drop(timeout(READ_WITHIN, is_done).await),
                Err(_) => lock(&self.shared).is_reading = false,
            }
        }
        lock(&self.shared).known.clone()
    }
}

fn lock(shared: &Mutex<SharedServers>) -> MutexGuard<'_, SharedServers> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the files.
fn servers() -> Vec<SocketAddr> {
    let read = |path| parse(&fs::read_to_string(path).unwrap_or_default());
    without_stub(read(RESOLV_CONF), || read(RESOLVED_CONF))
}

/// Replaces systemd-resolved's stub by the servers that it forwards to. A server of the user on another
/// loopback address is kept, also if systemd-resolved runs beside it.
fn without_stub(
    used: Vec<SocketAddr>,
    behind: impl FnOnce() -> Vec<SocketAddr>,
) -> Vec<SocketAddr> {
    if !used.iter().any(|server| stub(server.ip())) {
        return used;
    }
    let mut behind = behind();
    behind.retain(|server| !stub(server.ip()));
    if behind.is_empty() {
        return used;
    }
    let mut servers: Vec<SocketAddr> = Vec::new();
    for server in used {
        let replaced = if stub(server.ip()) { behind.clone() } else { vec![server] };
        servers.extend(replaced);
    }
    let mut seen = Vec::new();
    servers.retain(|server| {
        !seen.contains(server) && {
            seen.push(*server);
            true
        }
    });
    servers.truncate(MAX_SERVERS);
    servers
}

/// Whether systemd-resolved's stub listens on this address (systemd-resolved.service(8)).
fn stub(address: IpAddr) -> bool {
    address == Ipv4Addr::new(127, 0, 0, 53) || address == Ipv4Addr::new(127, 0, 0, 54)
}

/// The `nameserver` lines of a resolv.conf.
fn parse(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()).flatten()
        })
        .filter_map(address)
        .take(MAX_SERVERS)
        .collect()
}

/// An IP address with port 53; a link-local one has its interface after a `%`, as a number or a name.
fn address(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 53)),
        Some((ip, zone)) => {
            let scope = zone.parse().ok().or_else(|| interface_number(zone))?;
            Some(std::net::SocketAddrV6::new(ip.parse().ok()?, 53, 0, scope).into())
        }
    }
}

#[cfg(target_os = "linux")]
fn interface_number(name: &str) -> Option<u32> {
    fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn interface_number(_name: &str) -> Option<u32> {
    None
}

/// The operator of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerOwner {
    /// The user: it runs on this device, or on another device of the local network besides the router.
    User,
    /// The internet provider; or the router, which forwards to the provider's servers.
    Provider,
    /// A public DNS service.
    Public,
}

/// The operator of a name server, by its current route. `routes` are those of the anchors.
pub fn owner_of(server: IpAddr, routes: &[&Route]) -> ServerOwner {
    owner(server, &link::path_to(server), link::is_router(server, routes))
}

/// The operator of a name server.
///
/// 1. A server on this device, other than systemd-resolved's stub, is the user's. A stub whose servers are
///    unknown forwards to the router's or the provider's in nearly all setups.
/// 2. The router's is the provider's: nearly all routers forward to it.
/// 3. A well-known public service is its own.
/// 4. One that is reached without a router, or through a tunnel, is the user's (a Pi-hole, a company's).
/// 5. If the route does not decide, a private address is the user's. Any other came with the
///    connection: providers have name servers at private addresses too.
fn owner(server: IpAddr, path: &Path, is_router: bool) -> ServerOwner {
    let server = server.to_canonical();
    if stub(server) {
        return ServerOwner::Provider;
    }
    if server.is_loopback() || server.is_unspecified() {
        return ServerOwner::User;
    }
    if is_router {
        return ServerOwner::Provider;
    }
    if PUBLIC.iter().any(|(prefix, bits)| contains(prefix, *bits, server)) {
        return ServerOwner::Public;
    }
    let is_users = match path.link.route() {
        Some(route) => path.on_link || route.tunnel || is_link_local(server),
        None => is_private(server),
    };
    if is_users { ServerOwner::User } else { ServerOwner::Provider }
}

/// The networks of public DNS services, as each publishes them.
const PUBLIC: [(&str, u32); 27] = [
    // Cloudflare
    ("1.1.1.0", 24),
    ("1.0.0.0", 24),
    ("2606:4700:4700::", 48),
    // Google
    ("8.8.8.0", 24),
    ("8.8.4.0", 24),
    ("2001:4860:4860::", 48),
    // Quad9
    ("9.9.9.0", 24),
    ("149.112.112.0", 24),
    ("2620:fe::", 48),
    // OpenDNS
    ("208.67.220.0", 24),
    ("208.67.222.0", 24),
    ("2620:119:35::", 48),
    ("2620:119:53::", 48),
    // AdGuard
    ("94.140.14.0", 24),
    ("94.140.15.0", 24),
    ("2a10:50c0::", 32),
    // NextDNS
    ("45.90.28.0", 24),
    ("45.90.30.0", 24),
    ("2a07:a8c0::", 32),
    ("2a07:a8c1::", 32),
    // Mullvad
    ("194.242.2.0", 24),
    ("2a07:e340::", 32),
    // DNS.SB, DNS4EU, Control D
    ("185.222.222.0", 24),
    ("86.54.11.0", 24),
    ("76.76.2.0", 24),
    ("76.76.10.0", 24),
    ("2606:1a40::", 32),
];

fn contains(prefix: &str, bits: u32, address: IpAddr) -> bool {
    match (prefix.parse(), address) {
        (Ok(IpAddr::V4(prefix)), IpAddr::V4(address)) => {
            (prefix.to_bits() ^ address.to_bits()).leading_zeros() >= bits
        }
        (Ok(IpAddr::V6(prefix)), IpAddr::V6(address)) => {
            (prefix.to_bits() ^ address.to_bits()).leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::LinkAnswer;

    #[test]
    fn servers_are_parsed_as_by_the_c_library() {
        let text = "# made by hand\nsearch home\nnameserver 192.168.1.1\n nameserver\t2001:4860::8\n\
                    nameserver fe80::1%3\n;nameserver 9.9.9.9\nnameserver nonsense\n\
                    nameserver 8.8.8.8\noptions edns0\n";
        let servers: Vec<_> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.168.1.1:53", "[2001:4860::8]:53", "[fe80::1%3]:53"]);
        assert_eq!(parse(""), []);
    }

    #[test]
    fn only_the_stub_is_replaced_by_the_servers_it_forwards_to() {
        let list = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses.iter().map(|text| address(text).expect("an address")).collect()
        };
        for (used, behind, expected) in [
            (
                &["127.0.0.53"][..],
                &["192.168.1.1", "fe80::1%3"][..],
                &["192.168.1.1", "fe80::1%3"][..],
            ),
            (&["127.0.0.53"], &[], &["127.0.0.53"]),
            (&["127.0.0.53"], &["127.0.0.53"], &["127.0.0.53"]),
            (&["127.0.0.53"], &["127.0.0.1"], &["127.0.0.1"]),
            (&["127.0.0.1"], &["192.168.1.1"], &["127.0.0.1"]),
            (&["127.0.0.54", "9.9.9.9"], &["9.9.9.9", "1.1.1.1"], &["9.9.9.9", "1.1.1.1"]),
            (&["192.168.1.1"], &["10.0.0.1"], &["192.168.1.1"]),
            (&[], &["10.0.0.1"], &[]),
        ] {
            assert_eq!(without_stub(list(used), || list(behind)), list(expected), "{used:?}");
        }
    }

    #[test]
    fn an_owner_follows_from_address_and_route() {
        use ServerOwner::{Provider, Public, User};
        let routed = |gateway: Option<&str>, tunnel, on_link| Path {
            link: LinkAnswer::Routed(Route {
                interface: "eth0".to_owned(),
                index: 2,
                source: None,
                gateway: gateway.map(|gateway| gateway.parse().expect("an address")),
                gateway_mac: None,
                tunnel,
            }),
            on_link,
        };
        let beyond = routed(Some("192.168.1.1"), false, false);
        let beside = routed(None, false, true);
        let tunnel = routed(None, true, false);
        let point_to_point = routed(None, false, false);
        let nowhere = Path::from(LinkAnswer::NoRoute);
        for (server, path, is_router, expected) in [
            ("192.168.1.1", &beside, true, Provider),
            ("fe80::1", &beside, true, Provider),
            ("192.168.1.5", &beside, false, User),
            ("fd00::53", &beside, false, User),
            ("127.0.0.1", &beside, false, User),
            ("::1", &beside, false, User),
            ("127.0.0.53", &beside, false, Provider),
            ("10.8.0.1", &tunnel, false, User),
            ("10.64.0.1", &point_to_point, false, Provider),
            ("10.0.0.1", &beyond, false, Provider),
            ("1.1.1.1", &beyond, false, Public),
            ("8.8.4.4", &tunnel, false, Public),
            ("9.9.9.10", &beyond, false, Public),
            ("2606:4700:4700::1001", &beyond, false, Public),
            ("100.64.0.1", &beyond, false, Provider),
            ("195.50.140.114", &beyond, false, Provider),
            ("2003:180:2:8000::53", &beyond, false, Provider),
            ("192.168.1.5", &nowhere, false, User),
            ("195.50.140.114", &nowhere, false, Provider),
        ] {
            let address = server.parse().expect("an address");
            assert_eq!(owner(address, path, is_router), expected, "{server} {path:?}");
        }
    }

    #[test]
    fn every_public_network_is_a_valid_prefix() {
        for (prefix, bits) in PUBLIC {
            let address: IpAddr = prefix.parse().expect(prefix);
            assert!(contains(prefix, bits, address), "{prefix}/{bits}");
        }
    }
}
