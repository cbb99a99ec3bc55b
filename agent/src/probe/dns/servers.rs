//! Which name servers this device uses, and whose they are.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

/// What every program asks (resolv.conf(5)); macOS keeps it up to date for the primary network
/// service. Servers for single domains, as VPNs set them, are deliberately not looked at: what is of
/// interest is who answers for the internet.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Whom systemd-resolved asks, for its stub on 127.0.0.53 only passes questions on.
const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";
/// As many as the C library uses (`MAXNS`).
const MOST: usize = 3;

/// The name servers that are in use now, in the order in which they are asked, at most three; those
/// behind a local stub where they are known, else the stub itself.
///
/// Reads a small local file at each call, because servers change with the network.
pub fn servers() -> Vec<SocketAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let used = parse(&read(RESOLV_CONF));
    if used.is_empty() || used.iter().any(|server| !server.ip().is_loopback()) {
        return used;
    }
    let mut behind = parse(&read(BEHIND_THE_STUB));
    behind.retain(|server| !server.ip().is_loopback());
    if behind.is_empty() { used } else { behind }
}

/// The `nameserver` lines of a resolv.conf.
fn parse(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()).flatten()
        })
        .filter_map(address)
        .take(MOST)
        .collect()
}

/// An address of port 53; one of a link alone carries the link after a `%`, as a number or a name.
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

/// Whether a name server belongs to the internet provider, so that its failure is the provider's.
///
/// 1. The router passes questions on to the provider's servers, as nearly all are set up: yes.
/// 2. An address on this device (a stub whose upstream is not known) or a private one that is not
///    the router's (a Pi-hole, a company's) is the user's own: no.
/// 3. A well-known public service: no.
/// 4. Any other public address came with the connection: yes. So is one from the range that
///    providers share among customers (RFC 6598).
pub fn resolver_is_providers(resolver: IpAddr, gateways: &[IpAddr]) -> bool {
    let resolver = resolver.to_canonical();
    if gateways.iter().any(|gateway| gateway.to_canonical() == resolver) {
        return true;
    }
    !is_users_own(resolver)
        && !PUBLIC.iter().any(|(prefix, bits)| contains(prefix, *bits, resolver))
}

fn is_users_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
        }
    }
}

/// The networks of public name services, as each publishes them.
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

    #[test]
    fn servers_are_read_as_the_c_library_reads_them() {
        let text = "# made by hand\nsearch home\nnameserver 192.168.1.1\n nameserver\t2001:4860::8\n\
                    nameserver fe80::1%3\n;nameserver 9.9.9.9\nnameserver nonsense\n\
                    nameserver 8.8.8.8\noptions edns0\n";
        let servers: Vec<_> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.168.1.1:53", "[2001:4860::8]:53", "[fe80::1%3]:53"]);
        assert_eq!(parse(""), []);
    }

    #[test]
    fn the_routers_and_the_unknown_ones_are_the_providers() {
        let gateways = ["192.168.1.1", "fe80::1"].map(|ip| ip.parse().expect("an address"));
        for (resolver, expected) in [
            ("192.168.1.1", true),
            ("fe80::1", true),
            ("::ffff:192.168.1.1", true),
            ("192.168.1.5", false),
            ("10.8.0.1", false),
            ("127.0.0.53", false),
            ("::1", false),
            ("fd00::53", false),
            ("fe80::2", false),
            ("1.1.1.1", false),
            ("8.8.4.4", false),
            ("9.9.9.10", false),
            ("2606:4700:4700::1001", false),
            ("2001:4860:4860::8844", false),
            ("100.64.0.1", true),
            ("195.50.140.114", true),
            ("2003:180:2:8000::53", true),
        ] {
            let address = resolver.parse().expect("an address");
            assert_eq!(resolver_is_providers(address, &gateways), expected, "{resolver}");
        }
    }

    #[test]
    fn every_public_network_is_an_address() {
        for (prefix, bits) in PUBLIC {
            let address: IpAddr = prefix.parse().expect(prefix);
            assert!(contains(prefix, bits, address), "{prefix}/{bits}");
        }
    }
}
