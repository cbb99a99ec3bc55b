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

/// Makes a change, and waits for the kernel's word until both links are as expected.
fn after(device: &TestHost, change: impl FnOnce() + Send, expected: &[LinkAnswer; 2]) {
    until(device, change, |links| links == expected);
}

fn until(
    device: &TestHost,
    change: impl FnOnce() + Send,
    is_it: impl Fn(&[LinkAnswer; 2]) -> bool + Send + Sync,
) {
    on(device, || async {
        let mut links = LinkMonitor::new();
        assert!(links.has_events(), "the kernel tells of changes");
        change();
        let look = || ANCHORS.map(|anchor| link_to(address(anchor)));
        let seen = async {
            while !is_it(&look()) {
                links.changed().await;
            }
        };
        assert!(timeout(PATIENCE, seen).await.is_ok(), "it stays at {:?}", look());
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
    // A neighbour is reached without a router, and another uplink by its own.
    assert_eq!(route(&network.device, "192.168.7.9").gateway, None);
    network.device.ip("route add 203.0.113.1 via 192.168.7.77").expect("ip");
    assert_eq!(route(&network.device, ANCHORS[0]).gateway, Some(address("192.168.7.77")));
}

/// How anchors of one family are reached from a device.
fn paths(device: &TestHost, anchors: &[Anchor]) -> FamilyPaths {
    let targets = Targets::new(anchors, None, None, &[], None);
    let paths = device.enter(|| targets.read_paths());
    paths[anchors[0].family()].clone().expect("there are anchors")
}

/// The hardware address of the router that most anchors are reached by.
fn mac(device: &TestHost, anchor: &str) -> Option<String> {
    let paths = paths(device, &[anchor.parse().expect("an anchor")]);
    let route = paths.link.route().unwrap_or_else(|| panic!("a route to {anchor}: {paths:?}"));
    route.gateway_mac.map(|mac| mac.to_string())
}

#[test]
fn the_hardware_address_of_a_router_is_known_once_something_was_sent_to_it() {
    let Some(network) = TestNetwork::build() else { return };
    let (device, router) = (&network.device, &network.router);
    router.ip("link set lan address 52:54:00:00:00:01").expect("ip");
    // The kernels have met when the network was built.
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
fn what_is_missing_is_told_when_it_happens_and_when_it_is_back() {
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
fn a_policy_rule_that_prohibits_is_told_and_so_is_its_end() {
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
fn an_anchor_with_a_route_of_its_own_is_told_from_the_family() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let anchors = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "192.168.7.9"]
        .map(|anchor| anchor.parse::<Anchor>().expect("an anchor"));
    let look = |anchors: &[Anchor]| {
        let paths = paths(device, anchors);
        let gateway = paths.link.route().and_then(|route| route.gateway);
        let each: Vec<_> =
            paths.anchors.iter().map(|anchor| (anchor.own_path, anchor.on_link)).collect();
        (gateway.map(|gateway| gateway.to_string()), each)
    };
    let home = Some("192.168.7.1".to_owned());
    assert_eq!(look(&anchors[..3]), (home.clone(), vec![(false, false); 3]));
    device.ip("route add 203.0.113.2 via 192.168.7.77").expect("ip");
    let one = [(false, false), (true, false), (false, false), (true, true)];
    assert_eq!(look(&anchors), (home, one.to_vec()));
    device.ip("route add 203.0.113.3 via 192.168.7.77").expect("ip");
    let others = vec![(true, false), (false, false), (false, false)];
    assert_eq!(look(&anchors[..3]), (Some("192.168.7.77".to_owned()), others));
    // The default route is gone, and the route of a single anchor is left.
    device.ip("route del default\nroute del 203.0.113.3").expect("ip");
    assert_eq!(look(&anchors[..3]), (None, vec![(false, false), (true, false), (false, false)]));
}

#[test]
fn a_line_without_a_router_is_no_neighbourhood_when_it_has_only_another_end() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let path = |target: &str| {
        let path = device.enter(|| path_to(address(target)));
        let route = path.link.route().unwrap_or_else(|| panic!("{target}: {path:?}"));
        (route.interface.clone(), route.gateway.is_some(), path.on_link)
    };
    // A modem has no router to name, and nobody whose hardware address could be asked for.
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
    assert_eq!(path("10.64.0.1"), wwan(true), "the other end is not");
    let eth = |has_router, on_link| ("eth0".to_owned(), has_router, on_link);
    assert_eq!(path("192.168.7.9"), eth(false, true));
    assert_eq!(path("fd00:7::9"), eth(false, true));
    assert_eq!(path("198.51.100.1"), eth(true, false));
    // On Ethernet somebody has to answer for whoever is reached without a router.
    device.ip("route add 198.51.100.0/24 dev eth0").expect("ip");
    assert_eq!(path("198.51.100.1"), eth(false, true));
    // But a default route without a router has one all the same, which answers for everybody (proxy ARP, and
    // containers that know no gateway).
    device.ip("route del default\nroute add default dev eth0").expect("ip");
    assert_eq!(path("8.8.4.4"), eth(false, false), "the internet is beyond it");
    assert_eq!(path("198.51.100.1"), eth(false, true));
    let own = path("192.168.7.2");
    assert_eq!(own, ("lo".to_owned(), false, true), "and this device itself is no internet");
}

#[test]
fn beneath_a_tunnel_that_carries_ipv6_over_ipv4_is_the_line_of_ipv4() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    device
        .ip("route del ::/0 via fe80::1 dev eth0\n\
             tuntap add sit1 mode tun\n\
             link set sit1 up\n\
             addr add fd08::2/64 dev sit1\n\
             route add ::/0 dev sit1\n")
        .expect("ip");
    let line = route(device, ANCHORS[0]);
    let route = route(device, ANCHORS[1]);
    assert!(route.tunnel && route.interface == "sit1", "{route:?}");
    let beneath = |anchor: &str| device.enter(|| underlay(&route, address(anchor)));
    assert_eq!(beneath(ANCHORS[1]), None, "there is no other way for IPv6");
    let found = beneath(ANCHORS[0]).expect("the line of IPv4");
    assert_eq!((&*found.interface.name, found.router), ("eth0", line.gateway));
}

#[test]
fn a_router_is_known_by_all_of_its_addresses() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let routes = [route(device, ANCHORS[0]), route(device, ANCHORS[1])];
    let routes: Vec<&Route> = routes.iter().collect();
    let is_routers = |text: &str| device.enter(|| is_router(address(text), &routes));
    assert!(is_routers("192.168.7.1") && is_routers("fe80::1"), "by the routes");
    // The name server that it announces is another address of its own.
    device
        .ip("neigh replace fe80::1 lladdr 02:00:00:00:00:01 dev eth0 nud reachable\n\
             neigh replace fd00:7::1 lladdr 02:00:00:00:00:01 dev eth0 nud reachable\n\
             neigh replace fd00:7::53 lladdr 02:00:00:00:00:53 dev eth0 nud reachable\n")
        .expect("ip");
    assert!(is_routers("fd00:7::1"), "by its hardware address");
    assert!(!is_routers("fd00:7::53"), "another device");
    assert!(!is_routers("fd00:7::99"), "nobody knows");
}

#[test]
fn a_container_that_runs_does_not_hide_a_pulled_cable() {
    let Some(network) = TestNetwork::build() else { return };
    let container = TestHost::new("container").expect("there is room for one more");
    network
        .device
        .ip(&format!(
            "link add docker0 type bridge\n\
             addr add 172.17.0.1/16 dev docker0\n\
             link set docker0 up\n\
             link add veth1 type veth peer name veth2\n\
             link set veth1 master docker0 up\n\
             link set veth2 netns {}\n",
            container.process()
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
    let machine = TestHost::new("machine").expect("there is room for one more");
    let device = &network.device;
    // The network's own `eth0` is an end of a pair, which on a bridge counts as a machine's; one that
    // passes everything through to it counts as a card.
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
        machine.process()
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
fn the_line_beneath_a_tunnel_is_found_however_the_tunnel_took_the_routes() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let below = |expected: Option<&str>| {
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
    below(Some("eth0"));
    // As wg-quick does it: a table of its own for all that the tunnel itself has not marked.
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
    below(Some("eth0"));
    // Of two lines, the one that the kernel prefers.
    device
        .ip("link add wlan0 type veth peer name air\n\
             link set air up\n\
             link set wlan0 up\n\
             addr add 192.168.8.2/24 dev wlan0\n\
             addr add fd00:8::2/64 dev wlan0\n\
             route add default via 192.168.8.1 metric 600\n\
             route add default via fd00:8::1 dev wlan0 metric 2000\n")
        .expect("ip");
    below(Some("eth0"));
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
        timeout(PATIENCE, moved).await.expect("the other line is found");
    });
    // With nothing beneath it, a tunnel leads nowhere.
    after(
        device,
        || device.ip("link set wlan0 down").expect("ip"),
        &[LinkAnswer::NoCarrier, LinkAnswer::NoCarrier],
    );
}

#[test]
fn a_change_is_not_lost_when_nobody_waits_just_then() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    on(device, || async {
        let mut links = LinkMonitor::new();
        // The building of the network has its echoes.
        let mut echoes = 0;
        while timeout(SHORT, links.changed()).await.is_ok() {
            echoes += 1;
            assert!(echoes < 100, "the network does not come to rest");
        }
        device.ip("route add 198.51.100.0/24 via 192.168.7.1").expect("ip");
        // Given up before the runtime has looked, and again in the middle of the burst.
        assert!(timeout(Duration::ZERO, links.changed()).await.is_err(), "before");
        sleep(Duration::from_millis(1)).await;
        assert!(timeout(Duration::ZERO, links.changed()).await.is_err(), "in the middle");
        timeout(PATIENCE, links.changed()).await.expect("it is told all the same");
    });
}

#[test]
fn more_changes_than_the_kernel_can_keep_are_a_change() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    on(device, || async {
        let mut links = LinkMonitor::new();
        let add: Vec<String> = (0..60_000)
            .map(|n| format!("route add 10.{}.{}.0/24 via 192.168.7.1", n / 256, n % 256))
            .collect();
        device.ip(&add.join("\n")).expect("ip");
        timeout(PATIENCE, links.changed()).await.expect("it is told");
        device.ip("route del default").expect("ip");
        let seen = async {
            while link_to(address(ANCHORS[0])) != LinkAnswer::NoRoute {
                links.changed().await;
            }
        };
        timeout(PATIENCE, seen).await.expect("and so is what comes later");
        assert!(links.has_events(), "an overflow is no reason to give the socket up");
    });
}

#[test]
fn the_neighbour_table_is_read() {
    let Some(network) = TestNetwork::build() else { return };
    let device = &network.device;
    let index = route(device, ANCHORS[0]).index;
    let state = |gateway: &str| device.enter(|| neighbour(address(gateway), index));
    assert_eq!(state("192.168.7.9"), Neighbour::Unknown);
    for (kernels, expected) in [
        ("reachable", Neighbour::Known),
        ("stale", Neighbour::Known),
        ("permanent", Neighbour::Known),
        ("failed", Neighbour::Failed),
    ] {
        for gateway in ["192.168.7.9", "fe80::9"] {
            device
                .ip(&format!(
                    "neigh replace {gateway} lladdr 02:00:00:00:00:09 dev eth0 nud {kernels}"
                ))
                .expect("ip");
            assert_eq!(state(gateway), expected, "{gateway} {kernels}");
        }
    }
}
