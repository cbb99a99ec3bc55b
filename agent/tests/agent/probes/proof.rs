use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ispmon_agent::probe::{
    Anchor, AnchorAnswer, AnchorEnd, Prover, Round, Targets,
    link::AnchorPath,
    proof::{Handshake, prove},
};
use ispmon_testing::{certificates::Authority, network::TestNetwork};
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, ServerConnection, client::WebPkiServerVerifier,
    crypto::ring,
};

use super::{PATIENCE, SHORT, clock, on};

const SERVER: [&str; 2] = ["203.0.113.1", "fd00:113::1"];
const YEARS: std::ops::Range<i32> = 2020..2060;

/// What an anchor does after it has accepted a connection.
#[derive(Clone)]
enum Behaviour {
    /// TLS with this certificate.
    Tls(Arc<ServerConfig>),
    /// Sends nothing until the client closes the connection.
    Nothing,
    /// Closes the connection at once.
    Close,
    /// Responds like a plain HTTP server.
    Http,
    /// Reads the first message and resets the connection.
    Reset,
}

/// Serves on one port of both addresses until the process exits; counts full and resumed handshakes.
fn serve(network: &TestNetwork, port: u16, behaviour: &Behaviour) -> Arc<[AtomicUsize; 2]> {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    for server in SERVER {
        let listener =
            network.internet.enter(|| TcpListener::bind((server, port)).expect("a free port"));
        let (behaviour, counts) = (behaviour.clone(), Arc::clone(&counts));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (behaviour, counts) = (behaviour.clone(), Arc::clone(&counts));
                thread::spawn(move || behaviour.answer(stream, &counts));
            }
        });
    }
    counts
}

impl Behaviour {
    fn answer(&self, mut stream: TcpStream, counts: &[AtomicUsize; 2]) {
        let mut buffer = [0; 1_500];
        match self {
            Self::Close => {}
            Self::Nothing => while matches!(stream.read(&mut buffer), Ok(1..)) {},
            Self::Http => {
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            }
            Self::Reset => {
                let _ = stream.read(&mut buffer);
                let socket = socket2::Socket::from(stream);
                let _ = socket.set_linger(Some(std::time::Duration::ZERO));
            }
            Self::Tls(configuration) => {
                let connection = ServerConnection::new(Arc::clone(configuration));
                let mut connection = connection.expect("a server");
                while connection.is_handshaking() {
                    if connection.complete_io(&mut stream).is_err() {
                        return;
                    }
                }
                let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
                counts[usize::from(is_resumed)].fetch_add(1, Ordering::SeqCst);
                // Sends the tickets and waits until the client closes the connection.
                let _ = connection.complete_io(&mut stream);
            }
        }
    }
}

fn prover(authority: &Authority) -> Prover {
    let mut roots = RootCertStore::empty();
    roots.add(authority.root()).expect("a root");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    Prover::with_verifier(verifier.build().expect("a verifier")).expect("a prover")
}

fn anchor(server: &str, port: u16) -> Anchor {
    Anchor::with_tls(SocketAddr::new(server.parse().expect("an address"), port))
}

/// Probes like the agent: on the path that the route lookup gives.
fn probe(network: &TestNetwork, prover: &Prover, anchor: Anchor) -> AnchorAnswer {
    on(&network.device, || async move {
        let paths = Targets::new(&[anchor], None, None, &[], None).read_paths();
        let paths = paths[anchor.family()].as_ref().expect("an anchor");
        prove(&paths.anchors[0], Handshake::Resumed, prover, None, &clock).await
    })
}

#[test]
fn only_a_certificate_for_the_address_is_proof() {
    let Some(network) = TestNetwork::build() else { return };
    let (authority, stranger) = (Authority::new("trusted"), Authority::new("unknown"));
    let prover = prover(&authority);
    for (index, server) in SERVER.into_iter().enumerate() {
        let ports = 1000 * (index as u16 + 1)..;
        let cases = [
            ("its own", Behaviour::Tls(authority.server(server, YEARS)), AnchorEnd::Proved),
            (
                "another's",
                Behaviour::Tls(authority.server("192.0.2.9", YEARS)),
                AnchorEnd::Unproved,
            ),
            (
                "a name's",
                Behaviour::Tls(authority.server("one.example", YEARS)),
                AnchorEnd::Unproved,
            ),
            ("untrusted", Behaviour::Tls(stranger.server(server, YEARS)), AnchorEnd::Unproved),
            (
                "expired by this clock",
                Behaviour::Tls(authority.server(server, 2020..2021)),
                AnchorEnd::Proved,
            ),
            (
                "not yet by this clock",
                Behaviour::Tls(authority.server(server, 2058..2060)),
                AnchorEnd::Proved,
            ),
            ("a server that closes", Behaviour::Close, AnchorEnd::Unproved),
            ("a server that sends nothing", Behaviour::Nothing, AnchorEnd::Unproved),
            ("a plain web server", Behaviour::Http, AnchorEnd::Unproved),
            ("reset in TLS", Behaviour::Reset, AnchorEnd::Unproved),
        ];
        for (port, (what, behaviour, expected)) in ports.zip(cases) {
            let _counts = serve(&network, port, &behaviour);
            let answer = probe(&network, &prover, anchor(server, port));
            assert_eq!(answer.end, expected, "{what}, {server}");
            let target = SocketAddr::new(server.parse().expect("an address"), port);
            assert_eq!((answer.anchor, answer.own_path), (target, false));
            let contact = probe(&network, &prover, Anchor::without_tls(target));
            assert_eq!(contact.end, AnchorEnd::Contact, "{what} without TLS");
        }
    }
}

#[test]
fn a_failed_connect_keeps_its_reason() {
    let Some(network) = TestNetwork::build() else { return };
    let prover = prover(&Authority::new("trusted"));
    let target = anchor(SERVER[0], 443);
    assert_eq!(probe(&network, &prover, target).end, AnchorEnd::Refused);
    network.filter_forwarding("reject with icmpx type admin-prohibited");
    let answer = probe(&network, &prover, target);
    assert_eq!(answer.end, AnchorEnd::Unreachable);
    assert_eq!(answer.from.map(|from| from.to_string()).as_deref(), Some("192.168.7.1"));
    network.filter_forwarding("drop");
    assert_eq!(probe(&network, &prover, target).end, AnchorEnd::TimedOut);
}

#[test]
fn an_on_link_anchor_is_not_probed() {
    let Some(network) = TestNetwork::build() else { return };
    let prover = prover(&Authority::new("trusted"));
    for neighbour in ["192.168.7.1", "192.168.7.9", "fd00:7::9"] {
        let answer = probe(&network, &prover, anchor(neighbour, 443));
        assert_eq!(answer.end, AnchorEnd::OnLink, "{neighbour}");
    }
    // The address does not matter: what counts is that the route has no router.
    network.device.ip("route add 203.0.113.0/24 dev eth0").expect("ip");
    assert_eq!(probe(&network, &prover, anchor(SERVER[0], 443)).end, AnchorEnd::OnLink);
    // A target behind a tunnel is not on-link, although its route has no router either.
    network
        .device
        .ip("route del 203.0.113.0/24 dev eth0\n\
             tuntap add tun0 mode tun\n\
             link set tun0 up\n\
             addr add 10.8.0.2/24 dev tun0\n\
             route add 203.0.113.0/24 dev tun0\n")
        .expect("ip");
    assert_eq!(probe(&network, &prover, anchor(SERVER[0], 443)).end, AnchorEnd::TimedOut);
}

#[test]
fn one_proof_decides_a_round_and_otherwise_all_answers_do() {
    let Some(network) = TestNetwork::build() else { return };
    let authority = Authority::new("trusted");
    let prover = prover(&authority);
    let _proves = serve(&network, 443, &Behaviour::Tls(authority.server(SERVER[0], YEARS)));
    let _impostor = serve(&network, 444, &Behaviour::Close);
    let _silent = serve(&network, 445, &Behaviour::Nothing);
    let round = |anchors: &[Anchor], own_path: &[bool]| {
        let anchors: Vec<_> = anchors
            .iter()
            .zip(own_path)
            .map(|(anchor, own_path)| AnchorPath {
                anchor: *anchor,
                on_link: false,
                own_path: *own_path,
            })
            .collect();
        let prover = &prover;
        let answers = on(&network.device, || async move {
            Round::start(anchors, prover, None, clock).until_decided().await
        });
        let mut ends: Vec<_> =
            answers.iter().map(|answer| (answer.anchor.port(), answer.end)).collect();
        ends.sort_unstable_by_key(|(port, _)| *port);
        ends
    };
    let [honest, impostor, silent, closed] =
        [443, 444, 445, 446].map(|port| anchor(SERVER[0], port));
    let decided = round(&[silent, honest], &[false; 2]);
    assert_eq!(decided, [(443, AnchorEnd::Proved)], "the hanging probe is cancelled");
    let all = round(&[impostor, silent, closed], &[false; 3]);
    let expected =
        [(444, AnchorEnd::Unproved), (445, AnchorEnd::Unproved), (446, AnchorEnd::Refused)];
    assert_eq!(all, expected);
    let own = round(&[honest, silent], &[true, false]);
    let expected = [(443, AnchorEnd::Proved), (445, AnchorEnd::Unproved)];
    assert_eq!(own, expected, "an anchor with its own path does not decide");
    let plain = |anchor: Anchor| Anchor::without_tls(anchor.address);
    let contact = round(&[plain(impostor), closed], &[false; 2]);
    let expected = [(444, AnchorEnd::Contact), (446, AnchorEnd::Refused)];
    assert_eq!(contact, expected, "contact decides if no other anchor can give proof");
}

#[test]
fn the_second_proof_resumes_the_session_and_both_use_little_traffic() {
    let Some(network) = TestNetwork::build() else { return };
    let authority = Authority::new("trusted");
    for server in SERVER {
        let prover = prover(&authority);
        let port = if server == SERVER[0] { 443 } else { 444 };
        let counts = serve(&network, port, &Behaviour::Tls(authority.server(server, YEARS)));
        let (full, resumed) = on(&network.device, || async {
            let path = AnchorPath { anchor: anchor(server, port), on_link: false, own_path: false };
            let mut used = Vec::new();
            for _ in 0..2 {
                let before = traffic();
                let answer = prove(&path, Handshake::Resumed, &prover, None, &clock).await;
                assert_eq!(answer.end, AnchorEnd::Proved);
                // Receives the tickets, then resets the connection.
                tokio::time::timeout(PATIENCE, until_quiet(server))
                    .await
                    .expect("the connection is closed");
                let after = traffic();
                used.push((after.0 - before.0, after.1 - before.1));
            }
            (used[0], used[1])
        });
        let [whole, short] = [0, 1].map(|kind| counts[kind].load(Ordering::SeqCst));
        assert_eq!((whole, short), (1, 1), "{server}: a full handshake, then a resumed one");
        println!(
            "proof of {server}: full {} bytes in {} packets, resumed {} bytes in {} packets",
            full.0, full.1, resumed.0, resumed.1
        );
        assert!(resumed.0 < full.0, "{server}: {resumed:?} is less than {full:?}");
        assert!(resumed.0 < 3_000, "{server}: {resumed:?}");
    }
}

/// Bytes and packets on `eth0` of this host, both directions, with Ethernet headers.
fn traffic() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("the counters");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).expect("eth0");
    let values: Vec<u64> =
        line.split_whitespace().map(|value| value.parse().expect("a number")).collect();
    (values[0] + values[8], values[1] + values[9])
}

/// Waits until this host has no connection to `server` any more.
async fn until_quiet(server: &str) {
    let table = if server.contains(':') { "tcp6" } else { "tcp" };
    loop {
        let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}"));
        if text.expect("the table").lines().count() == 1 {
            return;
        }
        tokio::time::sleep(SHORT / 10).await;
    }
}
