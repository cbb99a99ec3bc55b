use std::net::{SocketAddr, TcpListener};

use ispmon_agent::probe::{Connect, Interface, link, round::ask_all, tcp::connect};

use crate::{PATIENCE, SHORT, clock, network::Network, on};

const SERVER: [&str; 2] = ["203.0.113.1", "fd00:113::1"];

fn listen(network: &Network) -> Vec<TcpListener> {
    network.internet.enter(|| {
        SERVER.map(|server| TcpListener::bind((server, 443)).expect("a free port")).into()
    })
}

fn server(index: usize, port: u16) -> SocketAddr {
    SocketAddr::new(SERVER[index].parse().expect("an address"), port)
}

fn ask(network: &Network, target: SocketAddr, via: Option<&Interface>) -> Connect {
    // Silence is the only answer that takes all of the time.
    on(&network.device, || connect(target, SHORT * 10, via, &clock)).end
}

#[test]
fn a_handshake_and_a_reset_are_told_apart_and_a_round_brings_both() {
    let Some(network) = Network::build() else { return };
    let _listeners = listen(&network);
    for index in [0, 1] {
        let targets = [server(index, 443), server(index, 444)];
        let mut answers = on(&network.device, || ask_all(&targets, PATIENCE, clock));
        answers.sort_by_key(|answer| answer.target.port());
        let ends: Vec<_> = answers.iter().map(|answer| answer.end).collect();
        assert_eq!(ends, [Connect::Connected, Connect::Refused], "{targets:?}");
    }
}

#[test]
fn what_a_router_answers_in_the_servers_name_is_never_alive() {
    let Some(network) = Network::build() else { return };
    let _listeners = listen(&network);
    for (verdict, expected) in [
        ("reject with icmp type host-unreachable", Connect::Unreachable),
        ("reject with icmp type net-unreachable", Connect::Unreachable),
        ("reject with icmp type admin-prohibited", Connect::Unreachable),
        ("reject with icmp type net-prohibited", Connect::Unreachable),
        ("reject with icmp type host-prohibited", Connect::Unreachable),
        ("reject with icmp type port-unreachable", Connect::Refused),
        ("meta l4proto tcp reject with tcp reset", Connect::Refused),
        ("drop", Connect::TimedOut),
    ] {
        network.forward(verdict);
        assert_eq!(ask(&network, server(0, 443), None), expected, "{verdict}");
    }
    for (verdict, expected) in [
        ("reject with icmpv6 type no-route", Connect::Unreachable),
        ("reject with icmpv6 type addr-unreachable", Connect::Unreachable),
        ("reject with icmpv6 type admin-prohibited", Connect::Unreachable),
        ("reject with icmpv6 type policy-fail", Connect::Unreachable),
        ("reject with icmpv6 type reject-route", Connect::Unreachable),
        ("reject with icmpv6 type port-unreachable", Connect::Refused),
        ("meta l4proto tcp reject with tcp reset", Connect::Refused),
        ("drop", Connect::TimedOut),
    ] {
        network.forward(verdict);
        assert_eq!(ask(&network, server(1, 443), None), expected, "{verdict}");
    }
}

#[test]
fn what_the_device_itself_cannot_or_will_not_do_is_said_at_once() {
    let Some(network) = Network::build() else { return };
    network
        .device
        .ip("route add prohibit 203.0.113.1\nroute add prohibit fd00:113::1")
        .expect("ip");
    for index in [0, 1] {
        assert_eq!(ask(&network, server(index, 443), None), Connect::Forbidden, "{index}");
    }
    network.device.ip("route del default\nroute del ::/0 via fe80::1 dev eth0").expect("ip");
    for target in ["198.51.100.1:443", "[fd00:99::1]:443"] {
        let target = target.parse().expect("an address");
        assert_eq!(ask(&network, target, None), Connect::Unreachable, "{target}");
    }
}

#[test]
fn a_socket_that_is_bound_beneath_a_tunnel_reaches_what_the_tunnel_swallows() {
    let Some(network) = Network::build() else { return };
    let _listeners = listen(&network);
    network
        .device
        .ip("tuntap add tun0 mode tun\n\
             link set tun0 up\n\
             addr add 10.8.0.2/24 dev tun0\n\
             route add 0.0.0.0/1 dev tun0\n\
             route add 128.0.0.0/1 dev tun0\n")
        .expect("a tunnel");
    let target = server(0, 443);
    let beneath = network.device.enter(|| {
        let link = link::link_to(target.ip());
        link::beneath(link.route().expect("a route"), target.ip())
    });
    let beneath = beneath.expect("eth0 is beneath the tunnel");
    assert_eq!(on(&network.device, || connect(target, SHORT, None, &clock)).end, Connect::TimedOut);
    assert_eq!(ask(&network, target, Some(&beneath)), Connect::Connected);
}

#[test]
fn an_interface_that_is_gone_fails_and_says_nothing_of_the_line() {
    let Some(network) = Network::build() else { return };
    let gone = Interface { name: "eth9".to_owned(), index: 999 };
    assert_eq!(ask(&network, server(0, 443), Some(&gone)), Connect::Failed);
}
