//! Address plan of the test network.
//!
//! The hosts on the "internet" have public addresses, because the agent rightly distrusts a DNS answer
//! that names a private one. Nothing leaves the namespaces, so the addresses collide with nothing.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The device in the router's network, and in the second network after a roam.
pub(crate) const DEVICE_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 168, 77, 10), Ipv4Addr::new(192, 168, 88, 10)];
pub(crate) const DEVICE_V6: [&str; 2] = ["2a00:7070:77::10", "2a00:7070:88::10"];
/// The router in each of the networks. Its IPv6 gateway address is `fe80::1` in both.
pub(crate) const ROUTER_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 168, 77, 1), Ipv4Addr::new(192, 168, 88, 1)];
pub(crate) const ROUTER_V6: [&str; 2] = ["2a00:7070:77::1", "2a00:7070:88::1"];
/// The router's WAN address. Carrier-grade NAT at the provider hides it once more.
pub(crate) const WAN_V4: Ipv4Addr = Ipv4Addr::new(100, 64, 7, 2);
pub(crate) const WAN_V6: &str = "2a00:7070:ff::2";
pub(crate) const ISP_V4: Ipv4Addr = Ipv4Addr::new(100, 64, 7, 1);
pub(crate) const ISP_V6: &str = "2a00:7070:ff::1";
/// The house's whole IPv6 network.
pub(crate) const HOUSE_V6: &str = "2a00:7070::/40";
/// The host of the login page, next to the router.
pub(crate) const PORTAL_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const PORTAL_V6: &str = "fd77::2";
/// The provider's name server, to which the router forwards lookups.
pub(crate) const RESOLVER_V4: Ipv4Addr = Ipv4Addr::new(195, 10, 10, 53);
pub(crate) const RESOLVER_V6: &str = "2a00:5353::53";
/// The host that heartbeats go to.
pub(crate) const ENDPOINT_V4: Ipv4Addr = Ipv4Addr::new(20, 50, 60, 70);
pub(crate) const ENDPOINT_V6: &str = "2603:1020::70";
/// Remote end of the tunnel in the tunnel rows, at the first organisation.
pub(crate) const TUNNEL_PEER: Ipv4Addr = Ipv4Addr::new(146, 70, 1, 1);
/// The genuine server of the portal check, at the first organisation.
pub(crate) const CHECK_V4: Ipv4Addr = Ipv4Addr::new(23, 40, 80, 80);
pub(crate) const CHECK_V6: &str = "2600:1400::80";

/// The advertising page to which a lying name server resolves every name, at the second organisation.
pub(crate) const ADVERTISER_V4: Ipv4Addr = Ipv4Addr::new(198, 105, 244, 11);
pub(crate) const ADVERTISER_V6: &str = "2600:9000::11";

/// The agent's own anchors: those of the first organisation, and those of the two others.
pub(crate) const ALPHA: [&str; 2] = ["1.1.1.1", "2606:4700:4700::1111"];
pub(crate) const BETA: [&str; 4] = ["8.8.8.8", "9.9.9.9", "2001:4860:4860::8888", "2620:fe::fe"];
/// The addresses of each organisation's anchors.
pub(crate) const ANCHORS: [[&str; 2]; 3] =
    [["1.1.1.1", ALPHA[1]], ["8.8.8.8", "2001:4860:4860::8888"], ["9.9.9.9", "2620:fe::fe"]];

/// A heartbeat server inside the house, with a global address like every host there.
pub(crate) const HOME_ENDPOINT_V6: &str = "2a00:7070:77::20";

/// The name that heartbeats go to.
pub(crate) const ENDPOINT_NAME: &str = "beat.ispmon.example";
/// The agent's own servers for the portal check.
pub(crate) const CHECK_NAMES: [&str; 2] = ["connectivitycheck.gstatic.com", "cp.cloudflare.com"];

/// Parses one of the addresses above.
pub(crate) fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("the constant is an IPv6 address")
}
