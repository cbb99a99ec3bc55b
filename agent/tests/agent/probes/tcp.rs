use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
};

use ispmon_agent::probe::{ConnectAnswer, ConnectEnd, Interface, LocalFailure, link, tcp::connect};
use ispmon_testing::network::TestNetwork;

use super::{PATIENCE, SHORT, clock, on};

const SERVER: [&str; 2] = ["203.0.113.1", "fd00:113::1"];
const DEVICE: [&str; 2] = ["192.168.7.2", "fd00:7::2"];
const ROUTER: [&str; 2] = ["192.168.7.1", "fd00:7::1"];

fn listen(network: &TestNetwork) -> Vec<TcpListener> {
    network.internet.enter(|| {
        SERVER.map(|server| TcpListener::bind((server, 443)).expect("a free port")).into()
    })
}

fn server(index: usize, port: u16) -> SocketAddr {
    SocketAddr::new(SERVER[index].parse().expect("an address"), port)
}

fn connected(network: &TestNetwork, target: SocketAddr, via: Option<&Interface>) -> ConnectAnswer {
    // Only silence takes the whole timeout.
    on(&network.device, || connect(target, SHORT * 10, via, &clock))
}

fn connect_end(network: &TestNetwork, target: SocketAddr, via: Option<&Interface>) -> ConnectEnd {
    connected(network, target, via).end
}

/// The outcome, and the sender of the ICMP error that caused it.
fn end_and_sender(network: &TestNetwork, index: usize) -> (ConnectEnd, Option<String>) {
    let connected = connected(network, server(index, 443), None);
    (connected.end, connected.from.map(|from| from.to_string()))
}

#[test]
fn a_handshake_and_a_reset_are_distinguished() {
    let Some(network) = TestNetwork::build() else { return };
    let _listeners = listen(&network);
    for index in [0, 1] {
        assert_eq!(
            connect_end(&network, server(index, 443), None),
            ConnectEnd::Connected,
            "{index}"
        );
        assert_eq!(connect_end(&network, server(index, 444), None), ConnectEnd::Refused, "{index}");
    }
}

#[test]
fn a_probe_takes_three_packets_and_closes_with_a_reset() {
    let Some(network) = TestNetwork::build() else { return };
    let listeners = listen(&network);
    for (index, listener) in listeners.iter().enumerate() {
        network.filter_device_output("tcp dport 443 counter name sent");
        assert_eq!(connect_end(&network, server(index, 443), None), ConnectEnd::Connected);
        // SYN and RST; the third packet is the server's. The server's program never sees the connection.
        assert_eq!(network.count_device_packets(), 2, "{index}");
        listener.set_nonblocking(true).expect("the listener can be non-blocking");
        let error = listener.accept().expect_err("the reset came before the end of the handshake");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{index}");
    }
}

#[test]
fn an_error_from_a_router_is_never_contact_and_names_the_router() {
    let Some(network) = TestNetwork::build() else { return };
    let _listeners = listen(&network);
    for (verdict, expected) in [
        ("reject with icmp type host-unreachable", ConnectEnd::Unreachable),
        ("reject with icmp type net-unreachable", ConnectEnd::Unreachable),
        ("reject with icmp type admin-prohibited", ConnectEnd::Unreachable),
        ("reject with icmp type net-prohibited", ConnectEnd::Unreachable),
        ("reject with icmp type host-prohibited", ConnectEnd::Unreachable),
        ("reject with icmp type port-unreachable", ConnectEnd::Refused),
    ] {
        network.filter_forwarding(verdict);
        assert_eq!(
            end_and_sender(&network, 0),
            (expected, Some(ROUTER[0].to_owned())),
            "{verdict}"
        );
    }
    for (verdict, expected) in [
        ("reject with icmpv6 type no-route", ConnectEnd::Unreachable),
        ("reject with icmpv6 type addr-unreachable", ConnectEnd::Unreachable),
        ("reject with icmpv6 type admin-prohibited", ConnectEnd::Unreachable),
        ("reject with icmpv6 type policy-fail", ConnectEnd::Unreachable),
        ("reject with icmpv6 type reject-route", ConnectEnd::Unreachable),
        ("reject with icmpv6 type port-unreachable", ConnectEnd::Refused),
    ] {
        network.filter_forwarding(verdict);
        assert_eq!(
            end_and_sender(&network, 1),
            (expected, Some(ROUTER[1].to_owned())),
            "{verdict}"
        );
    }
    // The sender of a reset is unknown, and silence has none.
    for (verdict, expected) in [
        ("meta l4proto tcp reject with tcp reset", ConnectEnd::Refused),
        ("drop", ConnectEnd::TimedOut),
    ] {
        network.filter_forwarding(verdict);
        for index in [0, 1] {
            assert_eq!(end_and_sender(&network, index), (expected, None), "{verdict}");
        }
    }
}

#[test]
fn the_devices_own_firewall_is_distinguished_from_the_connection() {
    let Some(network) = TestNetwork::build() else { return };
    let _listeners = listen(&network);
    for verdict in ["reject", "reject with icmpx type admin-prohibited"] {
        network.filter_device_output(&format!("oif lo accept\n{verdict}"));
        for index in [0, 1] {
            let expected = (ConnectEnd::Forbidden, Some(DEVICE[index].to_owned()));
            assert_eq!(end_and_sender(&network, index), expected, "{verdict}");
        }
    }
    // A chain that blocks loopback too drops its own ICMP error.
    for verdict in ["drop", "reject"] {
        network.filter_device_output(verdict);
        for index in [0, 1] {
            assert_eq!(end_and_sender(&network, index), (ConnectEnd::Forbidden, None), "{verdict}");
        }
    }
    // A chain that lets the connects pass does not explain a dead connection beyond it.
    network.filter_device_output("meta l4proto tcp accept\ndrop");
    network.filter_forwarding("drop");
    for index in [0, 1] {
        assert_eq!(
            end_and_sender(&network, index),
            (ConnectEnd::TimedOut, None),
            "only datagrams are dropped"
        );
    }
}

#[test]
fn a_router_that_answers_no_neighbour_discovery_is_no_firewall() {
    let Some(network) = TestNetwork::build() else { return };
    network.stop_neighbour_discovery().expect("ip and the sysctls work");
    for index in [0, 1] {
        assert_eq!(end_and_sender(&network, index).0, ConnectEnd::Unreachable, "{index}");
    }
}

#[test]
fn local_routing_failures_are_reported_at_once() {
    let Some(network) = TestNetwork::build() else { return };
    network
        .device
        .ip("route add prohibit 203.0.113.1\nroute add prohibit fd00:113::1")
        .expect("ip");
    for index in [0, 1] {
        assert_eq!(
            connect_end(&network, server(index, 443), None),
            ConnectEnd::Forbidden,
            "{index}"
        );
    }
    network
        .device
        .ip("route del prohibit 203.0.113.1\nroute del prohibit fd00:113::1\n\
             route add blackhole 203.0.113.1\nroute add blackhole fd00:113::1")
        .expect("ip");
    for index in [0, 1] {
        assert_eq!(
            connect_end(&network, server(index, 443), None),
            ConnectEnd::Unreachable,
            "{index}"
        );
    }
    network.device.ip("route del default\nroute del ::/0 via fe80::1 dev eth0").expect("ip");
    for target in ["198.51.100.1:443", "[fd00:99::1]:443"] {
        let target = target.parse().expect("an address");
        assert_eq!(connect_end(&network, target, None), ConnectEnd::Unreachable, "{target}");
    }
    network.device.ip("addr flush dev eth0").expect("the device loses its addresses");
    network.device.ip("route add default dev eth0\nroute add ::/0 dev eth0").expect("ip");
    for index in [0, 1] {
        let end = connect_end(&network, server(index, 443), None);
        assert!(matches!(end, ConnectEnd::Unreachable | ConnectEnd::TimedOut), "{index}: {end}");
    }
}

#[test]
fn without_a_free_port_no_probe_is_sent() {
    let Some(network) = TestNetwork::build() else { return };
    let _listeners = listen(&network);
    network
        .device
        .set_sysctl("ipv4/ip_local_port_range", "50000 50001")
        .expect("the sysctl is set");
    let expected = ConnectEnd::NotAsked(LocalFailure::NoPort);
    for index in [0, 1] {
        let ends = on(&network.device, || async move {
            // The kernel allocates ports per target.
            let taken: Vec<_> = (0..2)
                .map(|_| std::net::TcpStream::connect(server(index, 443)).expect("a free port"))
                .collect();
            let end = connect(server(index, 443), PATIENCE, None, &clock).await.end;
            drop(taken);
            end
        });
        assert_eq!(ends, expected, "{index}");
    }
}

/// The variable that makes this executable run the child's half of the next test.
const WITHOUT_DESCRIPTORS: &str = "ISPMON_TEST_WITHOUT_DESCRIPTORS";

#[test]
fn a_device_without_free_descriptors_has_not_asked() {
    if std::env::var_os(WITHOUT_DESCRIPTORS).is_some() {
        let end = ispmon_agent::runtime::run(async {
            let mut taken = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                taken.push(file);
            }
            let target = "127.0.0.1:9".parse().expect("an address");
            let end = connect(target, PATIENCE, None, &clock).await.end;
            let link = link::link_to("192.0.2.1".parse().expect("an address"));
            drop(taken);
            (end, link)
        });
        let (end, link) = end.expect("a runtime");
        assert_eq!(end, ConnectEnd::NotAsked(LocalFailure::NoDescriptors));
        assert_eq!(link, ispmon_agent::probe::LinkAnswer::Unknown, "the route is unknown");
        return;
    }
    // The limit applies to a whole process, and other tests run in this one.
    let this = std::env::current_exe().expect("the path of this executable");
    let name = "probes::tcp::a_device_without_free_descriptors_has_not_asked";
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""])
        .arg(this)
        .args(["--exact", name, "--nocapture"])
        .env(WITHOUT_DESCRIPTORS, "yes")
        .stdin(Stdio::null())
        .output()
        .expect("the child runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}\n{errors}");
}

#[test]
fn a_socket_bound_to_the_underlay_bypasses_the_tunnel() {
    let Some(network) = TestNetwork::build() else { return };
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
    let underlay = network.device.enter(|| {
        let link = link::link_to(target.ip());
        link::underlay(link.route().expect("a route"), target.ip())
    });
    let underlay = underlay.expect("eth0 is the underlay of the tunnel");
    assert_eq!(
        on(&network.device, || connect(target, SHORT, None, &clock)).end,
        ConnectEnd::TimedOut
    );
    assert_eq!(connect_end(&network, target, Some(&underlay.interface)), ConnectEnd::Connected);
}

#[test]
fn a_missing_interface_is_a_local_failure() {
    let Some(network) = TestNetwork::build() else { return };
    let gone = Interface { name: "eth9".to_owned(), index: 999 };
    let end = connect_end(&network, server(0, 443), Some(&gone));
    assert_eq!(end, ConnectEnd::NotAsked(LocalFailure::Other));
}
