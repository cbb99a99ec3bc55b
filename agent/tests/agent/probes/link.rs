use std::{
    io::ErrorKind,
    net::{IpAddr, TcpStream},
    time::Duration,
};

use ispmon_agent::probe::{
    Anchor, LinkAnswer, Route, Targets,
    link::{FamilyPaths, LinkMonitor, Neighbour, is_router, link_to, neighbour, path_to, underlay},
};
use ispmon_testing::network::{TestHost, TestNetwork};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, SHORT, on};

const ANCHORS: [&str; 2] = ["203.0.113.1", "fd00:113::1"];

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn links(device: &TestHost) -> [LinkAnswer; 2] {
    device.enter(|| ANCHORS.map(|anchor| link_to(address(anchor))))
}

fn route(device: &TestHost, anchor: &str) -> Route {
    let link = device.enter(|| link_to(address(anchor)));
    link.route().unwrap_or_else(|| panic!("a route to {anchor}, not {link:?}")).clone()
}

/// Makes a change and waits for kernel events until both links are as expected.
fn after(device: &TestHost, change: impl FnOnce() + Send, expected: &[LinkAnswer; 2]) {
    until(device, change, |links| links == expected);
}

fn until(
    device: &TestHost,
    change: impl FnOnce() + Send,
    is_expected: impl Fn(&[LinkAnswer; 2]) -> bool + Send + Sync,
) {
    on(device, || async {
        let mut links = LinkMonitor::new();
        assert!(links.has_events(), "kernel events are available");
        change();
        let read = || ANCHORS.map(|anchor| link_to(address(anchor)));
        let seen = async {
            while !is_expected(&read()) {
                links.changed().await;
            }
        };
        assert!(timeout(PATIENCE, seen).await.is_ok(), "the links stay at {:?}", read());
    });
}

#[test]
fn a_route_is_what_the_kernel_would_use_for_that_anchor() {
    let Some(network) = TestNetwork::build() else { return };
    let by_default = route(&network.device, ANCHORS[0]);
    let expected = Route {
        interface: "eth0".to_owned(),
        index: by_default.index,
        source: Some(address("192.168.7.2")),
        gateway: Some(address("192.168.7.1")),
        gateway_mac: None,
        tunnel: false,
    };
    assert_eq!(by_default, expected);
    let expected =
        Route { source: Some(address("fd00:7::2")), gateway: Some(address("fe80::1")), ..expected };
    assert_eq!(route(&network.device, ANCHORS[1]), expected);
    // A neighbour is reached without a router, and another uplink has its own.
    assert_eq!(route(&network.device, "192.168.7.9").gateway, None);
    network.device.ip("route add 203.0.113.1 via 192.168.7.77").expect("ip");
    assert_eq!(route(&network.device, ANCHORS[0]).gateway, Some(address("192.168.7.77")));
}

/// The paths from a device to anchors of one family.
fn paths(device: &TestHost, anchors: &[Anchor]) -> FamilyPaths {
    let targets = Targets::new(anchors, None, None, &[], None);
    let paths = device.enter(|| targets.read_paths());
    paths[anchors[0].family()].clone().expect("there are anchors")
}

/// The hardware address of the router on the path to an anchor, if the kernel has it.
fn mac(device: &TestHost, anchor: &str) -> Option<String> {
    let paths = paths(device, &[anchor.parse().expect("an anchor")]);
    let route = paths.link.route().unwrap_or_else(|| panic!("a route to {anchor}: {paths:?}"));
    route.gateway_mac.map(|mac| mac.to_string())
}

#[test]
fn the_hardware_address_of_a_router_is_known_after_a_packet_to_it() {
    let Some(network) = TestNetwork::build() else { return };
    let (device, router) = (&network.device, &network.router);
    router.ip("link set lan address 52:54:00:00:00:01").expect("ip");
    // Building the network has filled the neighbour table.
    device.ip("neigh flush dev eth0").expect("ip");
    for anchor in ["203.0.113.1:9", "[fd00:113::1]:9"] {
        assert_eq!(mac(device, anchor), None, "{anchor}");
        let refused = device.enter(|| TcpStream::connect(anchor)).map_err(|error| error.kind());
        assert!(matches!(refused, Err(ErrorKind::ConnectionRefused)), "{anchor}: {refused:?}");
        assert_eq!(mac(device, anchor).as_deref(), Some("52:54:00:00:00:01"), "{anchor}");
    }
    let replace = |gateway: &str, how: &str| {
        device.ip(&format!("neigh replace {gateway} dev eth0 {how}")).expect("ip");
    };
    for (gateway, anchor) in [("192.168.7.1", "203.0.113.1:9"), ("fe80::1", "[fd00:113::1]:9")] {
        replace(gateway, "lladdr 52:54:00:00:00:02 nud stale");
        assert_eq!(mac(device, anchor).as_deref(), Some("52:54:00:00:00:02"), "{anchor}");
        replace(gateway, "nud failed");
        assert_eq!(mac(device, anchor), None, "{anchor}: it does not answer any more");
    }
}

#[test]
fn losing_and_regaining_a_route_address_or_carrier_is_reported() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let whole = links(device);
    let change = |lines: &'static str| move || device.ip(lines).expect("ip");
    let [v4, v6] = whole.clone();

    after(device, change("route del default"), &[LinkAnswer::NoRoute, v6.clone()]);
    after(device, change("route add default via 192.168.7.1"), &whole);
    after(device, change("route add blackhole 203.0.113.0/24"), &[LinkAnswer::NoRoute, v6.clone()]);
    after(device, change("route del blackhole 203.0.113.0/24"), &whole);
    after(
        device,
        change("route add unreachable fd00:113::/64"),
        &[v4.clone(), LinkAnswer::NoRoute],
    );
    after(device, change("route del unreachable fd00:113::/64"), &whole);
    after(device, change("addr del 192.168.7.2/24 dev eth0"), &[LinkAnswer::NoAddress, v6]);
    after(
        device,
        change("addr add 192.168.7.2/24 dev eth0\nroute add default via 192.168.7.1"),
        &whole,
    );
    after(device, change("addr del fd00:7::2/64 dev eth0"), &[v4, LinkAnswer::NoAddress]);
    after(device, change("addr add fd00:7::2/64 dev eth0"), &whole);
    let router = &network.router;
    after(
        device,
        || router.ip("link set lan down").expect("the cable is pulled"),
        &[LinkAnswer::NoCarrier, LinkAnswer::NoCarrier],
    );
}

#[test]
fn adding_and_deleting_a_prohibiting_rule_is_reported() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let [v4, v6] = links(device);
    let (add, del) = ("rule add pref 100 prohibit", "rule del pref 100 prohibit");
    after(device, || device.ip(add).expect("ip"), &[LinkAnswer::Prohibited, v6.clone()]);
    after(
        device,
        || device.ip_v6(add).expect("ip"),
        &[LinkAnswer::Prohibited, LinkAnswer::Prohibited],
    );
    after(device, || device.ip_v6(del).expect("ip"), &[LinkAnswer::Prohibited, v6.clone()]);
    after(device, || device.ip(del).expect("ip"), &[v4, v6.clone()]);
    let routes = "route add prohibit 203.0.113.1\nroute add prohibit fd00:113::1";
    after(
        device,
        || device.ip(routes).expect("ip"),
        &[LinkAnswer::Prohibited, LinkAnswer::Prohibited],
    );
    let blackhole = "route del prohibit 203.0.113.1\nroute del prohibit fd00:113::1\n\
                     rule add pref 100 blackhole";
    after(device, || device.ip(blackhole).expect("ip"), &[LinkAnswer::NoRoute, v6]);
}

#[test]
fn an_anchor_with_its_own_route_is_distinguished_from_its_family() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let anchors = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "192.168.7.9"]
        .map(|anchor| anchor.parse::<Anchor>().expect("an anchor"));
    let read = |anchors: &[Anchor]| {
        let paths = paths(device, anchors);
        let gateway = paths.link.route().and_then(|route| route.gateway);
        let each: Vec<_> =
            paths.anchors.iter().map(|anchor| (anchor.own_path, anchor.on_link)).collect();
        (gateway.map(|gateway| gateway.to_string()), each)
    };
    let home = Some("192.168.7.1".to_owned());
    assert_eq!(read(&anchors[..3]), (home.clone(), vec![(false, false); 3]));
    device.ip("route add 203.0.113.2 via 192.168.7.77").expect("ip");
    let one = [(false, false), (true, false), (false, false), (true, true)];
    assert_eq!(read(&anchors), (home, one.to_vec()));
    device.ip("route add 203.0.113.3 via 192.168.7.77").expect("ip");
    let others = vec![(true, false), (false, false), (false, false)];
    assert_eq!(read(&anchors[..3]), (Some("192.168.7.77".to_owned()), others));
    // The default route is gone, and the route of a single anchor is left.
    device.ip("route del default\nroute del 203.0.113.3").expect("ip");
    assert_eq!(read(&anchors[..3]), (None, vec![(false, false), (true, false), (false, false)]));
}

#[test]
fn only_the_peer_of_a_point_to_point_link_is_on_link() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let path = |target: &str| {
        let path = device.enter(|| path_to(address(target)));
        let route = path.link.route().unwrap_or_else(|| panic!("{target}: {path:?}"));
        (route.interface.clone(), route.gateway.is_some(), path.on_link)
    };
    // A modem has neither a router address nor neighbours with hardware addresses.
    device
        .ip("link add wwan0 type veth peer name tower\n\
             link set tower up\n\
             link set wwan0 arp off\n\
             link set wwan0 up\n\
             addr add 10.64.0.2 peer 10.64.0.1/32 dev wwan0\n\
             addr add fd64::2/128 dev wwan0\n\
             route add 203.0.113.0/24 dev wwan0\n\
             route add fd00:113::/64 dev wwan0\n")
        .expect("ip");
    let wwan = |on_link| ("wwan0".to_owned(), false, on_link);
    assert_eq!(path(ANCHORS[0]), wwan(false), "the internet is beyond it");
    assert_eq!(path(ANCHORS[1]), wwan(false));
    assert_eq!(path("10.64.0.1"), wwan(true), "the peer is on-link");
    let eth = |has_router, on_link| ("eth0".to_owned(), has_router, on_link);
    assert_eq!(path("192.168.7.9"), eth(false, true));
    assert_eq!(path("fd00:7::9"), eth(false, true));
    assert_eq!(path("198.51.100.1"), eth(true, false));
    // On Ethernet, a target without a router must answer neighbour discovery.
    device.ip("route add 198.51.100.0/24 dev eth0").expect("ip");
    assert_eq!(path("198.51.100.1"), eth(false, true));
    // But a default route without a router still leads to one, which answers for all addresses (proxy ARP,
    // and containers without a gateway).
    device.ip("route del default\nroute add default dev eth0").expect("ip");
    assert_eq!(path("8.8.4.4"), eth(false, false), "the internet is beyond it");
    assert_eq!(path("198.51.100.1"), eth(false, true));
    let own = path("192.168.7.2");
    assert_eq!(own, ("lo".to_owned(), false, true), "this device itself is not the internet");
}

#[test]
fn the_underlay_of_an_ipv6_over_ipv4_tunnel_is_the_ipv4_uplink() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    device
        .ip("route del ::/0 via fe80::1 dev eth0\n\
             tuntap add sit1 mode tun\n\
             link set sit1 up\n\
             addr add fd08::2/64 dev sit1\n\
             route add ::/0 dev sit1\n")
        .expect("ip");
    let uplink = route(device, ANCHORS[0]);
    let route = route(device, ANCHORS[1]);
    assert!(route.tunnel && route.interface == "sit1", "{route:?}");
    let underlay_for = |anchor: &str| device.enter(|| underlay(&route, address(anchor)));
    assert_eq!(underlay_for(ANCHORS[1]), None, "IPv6 has no other path");
    let found = underlay_for(ANCHORS[0]).expect("the IPv4 uplink");
    assert_eq!((&*found.interface.name, found.router), ("eth0", uplink.gateway));
}

#[test]
fn a_router_is_recognized_by_all_its_addresses() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let routes = [route(device, ANCHORS[0]), route(device, ANCHORS[1])];
    let routes: Vec<&Route> = routes.iter().collect();
    let is_routers = |text: &str| device.enter(|| is_router(address(text), &routes));
    assert!(is_routers("192.168.7.1") && is_routers("fe80::1"), "by the routes");
    // The announced name server is another address of the router.
    device
        .ip("neigh replace fe80::1 lladdr 02:00:00:00:00:01 dev eth0 nud reachable\n\
             neigh replace fd00:7::1 lladdr 02:00:00:00:00:01 dev eth0 nud reachable\n\
             neigh replace fd00:7::53 lladdr 02:00:00:00:00:53 dev eth0 nud reachable\n")
        .expect("ip");
    assert!(is_routers("fd00:7::1"), "by its hardware address");
    assert!(!is_routers("fd00:7::53"), "another device");
    assert!(!is_routers("fd00:7::99"), "not in the neighbour table");
}

#[test]
fn a_running_container_does_not_hide_a_pulled_cable() {
    let Some(network) = TestNetwork::build() else { return };
    let container = TestHost::new("container").expect("another host can be created");
    network
        .device
        .ip(&format!(
            "link add docker0 type bridge\n\
             addr add 172.17.0.1/16 dev docker0\n\
             link set docker0 up\n\
             link add veth1 type veth peer name veth2\n\
             link set veth1 master docker0 up\n\
             link set veth2 netns {}\n",
            container.process_id()
        ))
        .expect("ip");
    container.ip("link set veth2 up").expect("ip");
    after(
        &network.device,
        || network.device.ip("link set eth0 down").expect("ip"),
        &[LinkAnswer::NoCarrier, LinkAnswer::NoCarrier],
    );
}

#[test]
fn a_virtual_machine_on_the_same_bridge_does_not_hide_a_pulled_cable() {
    let Some(network) = TestNetwork::build() else { return };
    let machine = TestHost::new("machine").expect("another host can be created");
    let device = &network.device;
    // The network's own `eth0` is one end of a veth pair, which on a bridge counts as a virtual machine's;
    // a passthru macvlan on top of it counts as a network card.
    let lines = format!(
        "link add br0 type bridge forward_delay 0\n\
         link add veth1 type veth peer name eth0 netns {}\n\
         link set veth1 master br0 up\n\
         link set br0 up\n\
         addr flush dev eth0\n\
         route del ::/0 via fe80::1 dev eth0\n\
         link add link eth0 name card0 type macvlan mode passthru\n\
         link set card0 master br0 up\n\
         addr add 192.168.7.2/24 dev br0\n\
         addr add fd00:7::2/64 dev br0\n\
         route add default via 192.168.7.1\n\
         route add default via fe80::1 dev br0\n",
        machine.process_id()
    );
    let is_by_bridge = |link: &LinkAnswer| {
        link.route().is_some_and(|route| route.interface == "br0" && !route.tunnel)
    };
    until(
        device,
        || {
            device.ip(&lines).expect("ip");
            machine.ip("link set eth0 up").expect("ip");
        },
        |links| links.iter().all(is_by_bridge),
    );
    after(
        device,
        || network.router.ip("link set lan down").expect("the cable is pulled"),
        &[LinkAnswer::NoCarrier, LinkAnswer::NoCarrier],
    );
}

#[test]
fn the_underlay_is_found_for_every_way_a_tunnel_takes_the_routes() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let assert_underlay = |expected: Option<&str>| {
        for anchor in ANCHORS {
            let route = route(device, anchor);
            assert!(route.tunnel, "{route:?}");
            let found = device.enter(|| underlay(&route, address(anchor)));
            assert_eq!(found.map(|found| found.interface.name).as_deref(), expected, "{anchor}");
        }
    };
    let before = route(device, ANCHORS[0]);
    assert_eq!(device.enter(|| underlay(&before, address(ANCHORS[0]))), None, "there is no tunnel");
    device
        .ip("tuntap add tun0 mode tun\n\
             link set tun0 up\n\
             addr add 10.8.0.2/24 dev tun0\n\
             addr add fd08::2/64 dev tun0\n\
             route add 0.0.0.0/1 dev tun0\n\
             route add 128.0.0.0/1 dev tun0\n\
             route add ::/1 dev tun0\n\
             route add 8000::/1 dev tun0\n")
        .expect("ip");
    assert_underlay(Some("eth0"));
    // Like wg-quick: a table of its own for all packets without the tunnel's mark.
    device
        .ip("route del 0.0.0.0/1 dev tun0\n\
             route del 128.0.0.0/1 dev tun0\n\
             route del ::/1 dev tun0\n\
             route del 8000::/1 dev tun0\n\
             route add default dev tun0 table 51820\n\
             route add ::/0 dev tun0 table 51820\n")
        .expect("ip");
    let rules = "rule add not fwmark 51820 table 51820\n\
                 rule add table main suppress_prefixlength 0\n";
    device.ip(rules).expect("ip");
    device.ip_v6(rules).expect("ip");
    assert_underlay(Some("eth0"));
    // Of two uplinks, the one that the kernel prefers.
    device
        .ip("link add wlan0 type veth peer name air\n\
             link set air up\n\
             link set wlan0 up\n\
             addr add 192.168.8.2/24 dev wlan0\n\
             addr add fd00:8::2/64 dev wlan0\n\
             route add default via 192.168.8.1 metric 600\n\
             route add default via fd00:8::1 dev wlan0 metric 2000\n")
        .expect("ip");
    assert_underlay(Some("eth0"));
    network.router.ip("link set lan down").expect("the cable is pulled");
    on(device, || async {
        let mut links = LinkMonitor::new();
        let moved = async {
            while !ANCHORS.iter().all(|anchor| {
                let route = link_to(address(anchor)).route().cloned();
                let found = route.and_then(|route| underlay(&route, address(anchor)));
                found.is_some_and(|found| found.interface.name == "wlan0")
            }) {
                links.changed().await;
            }
        };
        timeout(PATIENCE, moved).await.expect("the other uplink is found");
    });
    // A tunnel without an underlay has no carrier.
    after(
        device,
        || device.ip("link set wlan0 down").expect("ip"),
        &[LinkAnswer::NoCarrier, LinkAnswer::NoCarrier],
    );
}

#[test]
fn a_change_is_not_lost_while_no_caller_waits() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    on(device, || async {
        let mut links = LinkMonitor::new();
        // Building the network causes late events.
        let mut late_events = 0;
        while timeout(SHORT, links.changed()).await.is_ok() {
            late_events += 1;
            assert!(late_events < 100, "the events do not stop");
        }
        device.ip("route add 198.51.100.0/24 via 192.168.7.1").expect("ip");
        // Cancelled before the runtime has polled the socket, and again in the middle of the burst.
        assert!(timeout(Duration::ZERO, links.changed()).await.is_err(), "before");
        sleep(Duration::from_millis(1)).await;
        assert!(timeout(Duration::ZERO, links.changed()).await.is_err(), "in the middle");
        timeout(PATIENCE, links.changed()).await.expect("the change is still reported");
    });
}

#[test]
fn an_overflow_of_kernel_events_counts_as_a_change() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    on(device, || async {
        let mut links = LinkMonitor::new();
        let add: Vec<String> = (0..60_000)
            .map(|n| format!("route add 10.{}.{}.0/24 via 192.168.7.1", n / 256, n % 256))
            .collect();
        device.ip(&add.join("\n")).expect("ip");
        timeout(PATIENCE, links.changed()).await.expect("the overflow is reported");
        device.ip("route del default").expect("ip");
        let seen = async {
            while link_to(address(ANCHORS[0])) != LinkAnswer::NoRoute {
                links.changed().await;
            }
        };
        timeout(PATIENCE, seen).await.expect("later changes are reported");
        assert!(links.has_events(), "the socket stays open after an overflow");
    });
}

#[test]
fn the_neighbour_table_is_read() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let index = route(device, ANCHORS[0]).index;
    let state = |gateway: &str| device.enter(|| neighbour(address(gateway), index));
    assert_eq!(state("192.168.7.9"), Neighbour::Unknown);
    for (nud, expected) in [
        ("reachable", Neighbour::Known),
        ("stale", Neighbour::Known),
        ("permanent", Neighbour::Known),
        ("failed", Neighbour::Failed),
    ] {
        for gateway in ["192.168.7.9", "fe80::9"] {
            device
                .ip(&format!("neigh replace {gateway} lladdr 02:00:00:00:00:09 dev eth0 nud {nud}"))
                .expect("ip");
            assert_eq!(state(gateway), expected, "{gateway} {nud}");
        }
    }
}
