use std::net::{IpAddr, TcpListener};

use ispmon_agent::{
    outage::ProbeKind,
    probe::{Interface, RouterOutcome, gateway, link},
};
use ispmon_testing::network::{TestHost, TestNetwork};

use super::{SHORT, clock, on};

const ROUTER: [&str; 3] = ["192.168.7.1", "fd00:7::1", "fe80::1"];

fn interface(device: &TestHost) -> Interface {
    device.enter(|| {
        let link = link::link_to("203.0.113.1".parse().expect("an address"));
        Interface::from(link.route().expect("a route"))
    })
}

fn probe_router(device: &TestHost, interface: &Interface, router: &str) -> (RouterOutcome, String) {
    let router: IpAddr = router.parse().expect("an address");
    // Only silence takes the whole timeout.
    let (answer, observation) = on(device, || gateway::probe(router, interface, SHORT * 5, clock));
    assert_eq!(observation.probe, ProbeKind::Gateway);
    (answer, observation.answer)
}

#[test]
fn a_router_is_alive_if_any_of_its_addresses_refuses_or_accepts() {
    let Some(network) = TestNetwork::build() else { return };
    let interface = interface(&network.device);
    for router in ROUTER {
        let expected = (RouterOutcome::Alive, "refused".to_owned());
        assert_eq!(probe_router(&network.device, &interface, router), expected, "{router}");
    }
    let _listeners = network
        .router
        .enter(|| [53, 80, 443].map(|port| TcpListener::bind(("::", port)).expect("a free port")));
    for router in ROUTER {
        let expected = (RouterOutcome::Alive, "connected".to_owned());
        assert_eq!(probe_router(&network.device, &interface, router), expected, "{router}");
    }
}

#[test]
fn a_router_that_drops_tcp_is_silent_unless_it_answers_an_echo() {
    let Some(network) = TestNetwork::build() else { return };
    let interface = interface(&network.device);
    network.filter_router_input("meta l4proto tcp drop");
    // As on Debian: no user may send an echo.
    network.device.set_sysctl("ipv4/ping_group_range", "1 0").expect("the sysctl is set");
    for router in ROUTER {
        let expected = (RouterOutcome::Silent, "silent".to_owned());
        assert_eq!(probe_router(&network.device, &interface, router), expected, "{router}");
    }
    network.device.set_sysctl("ipv4/ping_group_range", "0 2147483647").expect("the sysctl is set");
    for router in ROUTER {
        let expected = (RouterOutcome::Alive, "echo".to_owned());
        assert_eq!(probe_router(&network.device, &interface, router), expected, "{router}");
    }
}

#[test]
fn a_router_without_neighbour_discovery_is_gone() {
    let Some(network) = TestNetwork::build() else { return };
    let interface = interface(&network.device);
    network.stop_neighbour_discovery().expect("ip and the sysctls work");
    for router in ["192.168.7.1", "fe80::1"] {
        let expected = (RouterOutcome::Gone, "gone".to_owned());
        assert_eq!(probe_router(&network.device, &interface, router), expected, "{router}");
    }
}

#[test]
fn no_probe_is_sent_through_a_missing_interface() {
    let Some(network) = TestNetwork::build() else { return };
    let gone = Interface { name: "eth9".to_owned(), index: 999 };
    let expected = (RouterOutcome::NotAsked, "not_asked".to_owned());
    assert_eq!(probe_router(&network.device, &gone, ROUTER[0]), expected);
}
