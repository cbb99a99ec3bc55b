use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    thread,
};

use ispmon_agent::{
    probe::{
        DnsOutcome,
        dns::{LIMIT, WELL_KNOWN, query_all, query_server, query_system},
    },
    resolver::Resolver,
};
use ispmon_testing::network::TestNetwork;
use simple_dns::{
    CLASS, Packet, PacketFlag, RCODE, ResourceRecord,
    rdata::{A, RData},
};

use super::{PATIENCE, SHORT, clock, on};

const SERVER: [&str; 2] = ["203.0.113.1", "fd00:113::1"];
const TRUTH: Ipv4Addr = Ipv4Addr::new(23, 192, 228, 80);
const PORTAL: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);

/// The reply of a name server to a query for a name.
#[derive(Clone, Copy)]
enum Reply {
    Address(Ipv4Addr),
    Failure(RCODE),
    Nothing,
    /// The address over TCP only.
    Truncated(Ipv4Addr),
    /// First a reply to another query, as from a forger who guesses the id.
    Forged(Ipv4Addr),
}

/// Serves both families and both transports until the process exits.
fn serve(network: &TestNetwork, reply: fn(&str) -> Reply) {
    for server in SERVER {
        let (datagrams, streams) = network.internet.enter(|| {
            let datagrams = UdpSocket::bind((server, 53)).expect("a free port");
            (datagrams, TcpListener::bind((server, 53)).expect("a free port"))
        });
        thread::spawn(move || {
            let mut query = [0; 1_500];
            while let Ok((length, client)) = datagrams.recv_from(&mut query) {
                for answer in answers(&query[..length], reply, false) {
                    let _ = datagrams.send_to(&answer, client);
                }
            }
        });
        thread::spawn(move || {
            for mut stream in streams.incoming().flatten() {
                let mut length = [0; 2];
                let _ = stream.read_exact(&mut length);
                let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                let _ = stream.read_exact(&mut query);
                for answer in answers(&query, reply, true) {
                    let length = u16::try_from(answer.len()).expect("the answer is short");
                    let _ = stream.write_all(&length.to_be_bytes());
                    let _ = stream.write_all(&answer);
                }
            }
        });
    }
}

fn answers(query: &[u8], reply: fn(&str) -> Reply, by_stream: bool) -> Vec<Vec<u8>> {
    let query = Packet::parse(query).expect("a query");
    let reply = reply(&query.questions[0].qname.to_string());
    let mut answer = query.into_reply();
    vec![match reply {
        Reply::Address(address) => with(answer, address),
        Reply::Truncated(address) if by_stream => with(answer, address),
        Reply::Truncated(_) => {
            answer.set_flags(PacketFlag::TRUNCATION);
            answer.build_bytes_vec().expect("a message")
        }
        Reply::Failure(code) => {
            *answer.rcode_mut() = code;
            answer.build_bytes_vec().expect("a message")
        }
        Reply::Nothing => return Vec::new(),
        Reply::Forged(address) => {
            let mut forged = answer.clone();
            forged.set_id(answer.id().wrapping_add(1));
            return vec![with(forged, Ipv4Addr::UNSPECIFIED), with(answer, address)];
        }
    }]
}

fn with(mut answer: Packet<'_>, address: Ipv4Addr) -> Vec<u8> {
    let name = answer.questions[0].qname.clone();
    let data = RData::A(A { address: address.into() });
    answer.answers.push(ResourceRecord::new(name, CLASS::IN, 60, data));
    answer.build_bytes_vec().expect("a message")
}

fn query(network: &TestNetwork, server: &str, limit: std::time::Duration) -> (DnsOutcome, String) {
    let server = SocketAddr::new(server.parse().expect("an address"), 53);
    let (answer, observation) =
        on(&network.device, || query_server(server, WELL_KNOWN, limit, &clock));
    (answer, observation.answer)
}

/// Name of a server, its replies, the expected outcome and its word in the journal.
type Case = (&'static str, fn(&str) -> Reply, DnsOutcome, &'static str);

#[test]
fn honest_lying_and_failing_servers_are_distinguished() {
    let cases: [Case; 9] = [
        (
            "honest",
            |name| match name {
                WELL_KNOWN => Reply::Address(TRUTH),
                _ => Reply::Failure(RCODE::NameError),
            },
            DnsOutcome::Answered,
            "answered",
        ),
        (
            "honest, but not in a datagram",
            |name| match name {
                WELL_KNOWN => Reply::Truncated(TRUTH),
                _ => Reply::Failure(RCODE::NameError),
            },
            DnsOutcome::Answered,
            "answered",
        ),
        (
            "honest, with a forger in parallel",
            |name| match name {
                WELL_KNOWN => Reply::Forged(TRUTH),
                _ => Reply::Failure(RCODE::NameError),
            },
            DnsOutcome::Answered,
            "answered",
        ),
        ("a portal", |_| Reply::Address(PORTAL), DnsOutcome::Lied, "lied"),
        (
            "honest, but with an advertiser's address for names that do not exist",
            |name| match name {
                WELL_KNOWN => Reply::Address(TRUTH),
                _ => Reply::Address(PORTAL),
            },
            DnsOutcome::Answered,
            "hijacks_nxdomain",
        ),
        (
            "a blocker",
            |name| match name {
                WELL_KNOWN => Reply::Address(Ipv4Addr::UNSPECIFIED),
                _ => Reply::Failure(RCODE::NameError),
            },
            DnsOutcome::Lied,
            "lied",
        ),
        ("cut off", |_| Reply::Failure(RCODE::ServerFailure), DnsOutcome::Failed, "servfail"),
        ("unfriendly", |_| Reply::Failure(RCODE::Refused), DnsOutcome::Failed, "refused"),
        ("empty", |_| Reply::Failure(RCODE::NameError), DnsOutcome::Failed, "nxdomain"),
    ];
    for (what, reply, expected, word) in cases {
        let Some(network) = TestNetwork::build() else { return };
        serve(&network, reply);
        for server in SERVER {
            let answer = query(&network, server, PATIENCE);
            assert_eq!(answer, (expected, word.to_owned()), "{what}, {server}");
        }
    }
}

#[test]
fn silence_is_distinguished_from_a_host_without_a_server() {
    let Some(network) = TestNetwork::build() else { return };
    for server in SERVER {
        let answer = query(&network, server, PATIENCE);
        assert_eq!(answer, (DnsOutcome::Failed, "unreachable".to_owned()), "{server}");
    }
    serve(&network, |name| match name {
        WELL_KNOWN => Reply::Nothing,
        _ => Reply::Failure(RCODE::NameError),
    });
    for server in SERVER {
        let answer = query(&network, server, SHORT * 5);
        assert_eq!(answer, (DnsOutcome::Failed, "partly_silent".to_owned()), "{server}");
    }
    network.filter_forwarding("drop");
    for server in SERVER {
        let answer = query(&network, server, SHORT);
        assert_eq!(answer, (DnsOutcome::Silent, "silent".to_owned()), "{server}");
    }
}

#[test]
fn all_name_servers_are_queried_in_parallel_with_independent_outcomes() {
    let Some(network) = TestNetwork::build() else { return };
    serve(&network, |name| match name {
        WELL_KNOWN => Reply::Address(TRUTH),
        _ => Reply::Failure(RCODE::NameError),
    });
    network.internet.ip("addr add 203.0.113.7/32 dev lo").expect("an address");
    // The second is silent, and nothing listens on the third.
    network.filter_forwarding("ip daddr 203.0.113.9 drop");
    let servers = ["203.0.113.1:53", "203.0.113.9:53", "203.0.113.7:53", "[fd00:113::1]:53"];
    let servers = servers.map(|server| server.parse().expect("an address"));
    let answers = on(&network.device, || query_all(&servers, "missing.example", &clock));
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| (answer.server, answer.answer, &*answer.observation.answer))
        .collect();
    let expected = [
        (servers[0], DnsOutcome::Answered, "nxdomain"),
        (servers[1], DnsOutcome::Silent, "silent"),
        (servers[2], DnsOutcome::Failed, "unreachable"),
        (servers[3], DnsOutcome::Answered, "nxdomain"),
    ];
    assert_eq!(seen, expected, "a missing name is no failure of a server");
    let [first, last] = [&answers[0], &answers[3]].map(|answer| answer.observation.at);
    let apart = last.since(&first).expect("both are of one boot");
    assert!(apart < LIMIT, "the last does not wait for the silent one: {apart:?}");
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let Some(network) = TestNetwork::build() else { return };
    serve(&network, |name| match name {
        WELL_KNOWN => Reply::Address(TRUTH),
        _ => Reply::Failure(RCODE::NameError),
    });
    // The first packet of each of the two queries is lost.
    network.filter_forwarding("meta l4proto udp udp dport 53 numgen inc mod 4 < 2 drop");
    let answer = query(&network, SERVER[0], SHORT * 10);
    assert_eq!(answer, (DnsOutcome::Answered, "answered".to_owned()));
}

#[test]
fn the_system_lookup_fails_without_a_network() {
    let Some(network) = TestNetwork::build() else { return };
    network.device.ip("link set eth0 down").expect("ip");
    let resolver = network.device.enter(Resolver::new);
    let query = |name, limit| {
        let (answer, observation) =
            on(&network.device, || query_system(&resolver, name, limit, &clock));
        (answer, observation.answer)
    };
    assert_eq!(query("localhost", PATIENCE), (DnsOutcome::Answered, "answered".to_owned()));
    let (answer, word) = query(WELL_KNOWN, SHORT);
    assert!(matches!(answer, DnsOutcome::Failed | DnsOutcome::Silent), "{word}");
}
