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

/// What a name server does with a name.
#[derive(Clone, Copy)]
enum Says {
    Address(Ipv4Addr),
    Failure(RCODE),
    Nothing,
    /// Only by TCP the address.
    Truncated(Ipv4Addr),
    /// First an answer to another question, as a forger would who guesses the id.
    Forged(Ipv4Addr),
}

/// Serves both families and both transports until the program ends.
fn serve(network: &TestNetwork, says: fn(&str) -> Says) {
    for server in SERVER {
        let (datagrams, streams) = network.internet.enter(|| {
            let datagrams = UdpSocket::bind((server, 53)).expect("a free port");
            (datagrams, TcpListener::bind((server, 53)).expect("a free port"))
        });
        thread::spawn(move || {
            let mut question = [0; 1_500];
            while let Ok((length, client)) = datagrams.recv_from(&mut question) {
                for answer in answers(&question[..length], says, false) {
                    let _ = datagrams.send_to(&answer, client);
                }
            }
        });
        thread::spawn(move || {
            for mut stream in streams.incoming().flatten() {
                let mut length = [0; 2];
                let _ = stream.read_exact(&mut length);
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                let _ = stream.read_exact(&mut question);
                for answer in answers(&question, says, true) {
                    let length = u16::try_from(answer.len()).expect("it is short");
                    let _ = stream.write_all(&length.to_be_bytes());
                    let _ = stream.write_all(&answer);
                }
            }
        });
    }
}

fn answers(question: &[u8], says: fn(&str) -> Says, by_stream: bool) -> Vec<Vec<u8>> {
    let question = Packet::parse(question).expect("a question");
    let says = says(&question.questions[0].qname.to_string());
    let mut answer = question.into_reply();
    vec![match says {
        Says::Address(address) => with(answer, address),
        Says::Truncated(address) if by_stream => with(answer, address),
        Says::Truncated(_) => {
            answer.set_flags(PacketFlag::TRUNCATION);
            answer.build_bytes_vec().expect("a message")
        }
        Says::Failure(code) => {
            *answer.rcode_mut() = code;
            answer.build_bytes_vec().expect("a message")
        }
        Says::Nothing => return Vec::new(),
        Says::Forged(address) => {
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

fn ask(network: &TestNetwork, server: &str, limit: std::time::Duration) -> (DnsOutcome, String) {
    let server = SocketAddr::new(server.parse().expect("an address"), 53);
    let (answer, observation) =
        on(&network.device, || query_server(server, WELL_KNOWN, limit, &clock));
    (answer, observation.answer)
}

/// What a server is called, what it says of each name, and what is made of that, in two words.
type Case = (&'static str, fn(&str) -> Says, DnsOutcome, &'static str);

#[test]
fn an_honest_server_a_liar_and_one_that_fails_are_told_apart() {
    let cases: [Case; 9] = [
        (
            "honest",
            |name| match name {
                WELL_KNOWN => Says::Address(TRUTH),
                _ => Says::Failure(RCODE::NameError),
            },
            DnsOutcome::Answered,
            "answered",
        ),
        (
            "honest, but not in a datagram",
            |name| match name {
                WELL_KNOWN => Says::Truncated(TRUTH),
                _ => Says::Failure(RCODE::NameError),
            },
            DnsOutcome::Answered,
            "answered",
        ),
        (
            "honest, with a forger beside it",
            |name| match name {
                WELL_KNOWN => Says::Forged(TRUTH),
                _ => Says::Failure(RCODE::NameError),
            },
            DnsOutcome::Answered,
            "answered",
        ),
        ("a portal", |_| Says::Address(PORTAL), DnsOutcome::Lied, "lied"),
        (
            "honest, but an advertiser's for names that do not exist",
            |name| match name {
                WELL_KNOWN => Says::Address(TRUTH),
                _ => Says::Address(PORTAL),
            },
            DnsOutcome::Answered,
            "hijacks_nxdomain",
        ),
        (
            "a blocker",
            |name| match name {
                WELL_KNOWN => Says::Address(Ipv4Addr::UNSPECIFIED),
                _ => Says::Failure(RCODE::NameError),
            },
            DnsOutcome::Lied,
            "lied",
        ),
        ("cut off", |_| Says::Failure(RCODE::ServerFailure), DnsOutcome::Failed, "servfail"),
        ("unfriendly", |_| Says::Failure(RCODE::Refused), DnsOutcome::Failed, "refused"),
        ("empty", |_| Says::Failure(RCODE::NameError), DnsOutcome::Failed, "nxdomain"),
    ];
    for (what, says, expected, word) in cases {
        let Some(network) = TestNetwork::build() else { return };
        serve(&network, says);
        for server in SERVER {
            let answer = ask(&network, server, PATIENCE);
            assert_eq!(answer, (expected, word.to_owned()), "{what}, {server}");
        }
    }
}

#[test]
fn silence_is_told_from_a_host_without_a_server() {
    let Some(network) = TestNetwork::build() else { return };
    for server in SERVER {
        let answer = ask(&network, server, PATIENCE);
        assert_eq!(answer, (DnsOutcome::Failed, "unreachable".to_owned()), "{server}");
    }
    serve(&network, |name| match name {
        WELL_KNOWN => Says::Nothing,
        _ => Says::Failure(RCODE::NameError),
    });
    for server in SERVER {
        let answer = ask(&network, server, SHORT * 5);
        assert_eq!(answer, (DnsOutcome::Failed, "partly_silent".to_owned()), "{server}");
    }
    network.forward("drop");
    for server in SERVER {
        let answer = ask(&network, server, SHORT);
        assert_eq!(answer, (DnsOutcome::Silent, "silent".to_owned()), "{server}");
    }
}

#[test]
fn all_name_servers_are_asked_at_once_and_each_answers_for_itself() {
    let Some(network) = TestNetwork::build() else { return };
    serve(&network, |name| match name {
        WELL_KNOWN => Says::Address(TRUTH),
        _ => Says::Failure(RCODE::NameError),
    });
    network.internet.ip("addr add 203.0.113.7/32 dev lo").expect("an address");
    // The second answers nothing, and nothing listens on the third.
    network.forward("ip daddr 203.0.113.9 drop");
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
    assert_eq!(seen, expected, "one name that is missing is no fault of a server");
    let [first, last] = [&answers[0], &answers[3]].map(|answer| answer.observation.at);
    let apart = last.since(&first).expect("of one boot");
    assert!(apart < LIMIT, "the last does not wait for the silent one: {apart:?}");
}

#[test]
fn a_datagram_that_is_lost_is_sent_again() {
    let Some(network) = TestNetwork::build() else { return };
    serve(&network, |name| match name {
        WELL_KNOWN => Says::Address(TRUTH),
        _ => Says::Failure(RCODE::NameError),
    });
    // The first packet of each of the two questions is lost.
    network.forward("meta l4proto udp udp dport 53 numgen inc mod 4 < 2 drop");
    let answer = ask(&network, SERVER[0], SHORT * 10);
    assert_eq!(answer, (DnsOutcome::Answered, "answered".to_owned()));
}

#[test]
fn the_systems_look_up_fails_where_there_is_no_network() {
    let Some(network) = TestNetwork::build() else { return };
    network.device.ip("link set eth0 down").expect("ip");
    let resolver = network.device.enter(Resolver::new);
    let ask = |name, limit| {
        let (answer, observation) =
            on(&network.device, || query_system(&resolver, name, limit, &clock));
        (answer, observation.answer)
    };
    assert_eq!(ask("localhost", PATIENCE), (DnsOutcome::Answered, "answered".to_owned()));
    let (answer, word) = ask(WELL_KNOWN, SHORT);
    assert!(matches!(answer, DnsOutcome::Failed | DnsOutcome::Silent), "{word}");
}
