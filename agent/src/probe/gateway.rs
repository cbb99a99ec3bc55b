//! Probes whether the router is alive.
//!
//! It connects by TCP to the ports on which routers usually listen, all at once: DNS and the web interface.
//! A refusal counts like a completed handshake, since on the local network no other device refuses in the
//! router's name. An ICMP echo is sent as well where the system lets every user send one (macOS; Linux only
//! for the groups in `net.ipv4.ping_group_range`, on Debian none).
//!
//! Some routers answer none of these. A router that has never answered cannot be judged by its silence, and
//! the caller must remember that: this module reports [`RouterOutcome::Silent`].

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    ConnectAnswer, ConnectEnd, Family, Interface, Observation, ProbeKind, RouterOutcome,
    link::{self, Neighbour},
    tcp,
};
use crate::clock::Stamp;

/// Time limit of a router probe, for the agent and the doctor: the router is on the local network, so a later
/// answer is not expected.
pub const LIMIT: Duration = Duration::from_millis(1_500);

/// DNS and the web interface.
const PORTS: [u16; 3] = [53, 80, 443];

/// Probes the router `gateway` on `interface`, for `limit` at most.
///
/// The first response ends the probe and cancels the rest. The observation's answer is `connected`,
/// `refused` or `echo` from a router that is alive, else `silent`, `gone` or `not_asked`.
pub async fn probe(
    gateway: IpAddr,
    interface: &Interface,
    limit: Duration,
    clock: impl Fn() -> Stamp + Clone + Send + Sync + 'static,
) -> (RouterOutcome, Observation) {
    let at = clock();
    let begun = Instant::now();
    let targets = PORTS.map(|port| at_port(gateway, interface, port));
    let mut connects = JoinSet::new();
    for target in targets {
        let (interface, clock) = (interface.clone(), clock.clone());
        connects.spawn(async move { tcp::connect(target, limit, Some(&interface), &clock).await });
    }
    let (answer, word) = tokio::select! {
        answer = by_tcp(connects, gateway, interface) => answer,
        () = echo(gateway, interface, begun + limit) => (RouterOutcome::Alive, "echo"),
    };
    let observation = Observation {
        probe: ProbeKind::Gateway,
        target: shown(gateway, interface),
        family: Some(Family::of(gateway)),
        answer: word.to_owned(),
        ms: u64::try_from(begun.elapsed().as_millis()).ok(),
        at,
    };
    (answer, observation)
}

async fn by_tcp(
    mut connects: JoinSet<ConnectAnswer>,
    gateway: IpAddr,
    interface: &Interface,
) -> (RouterOutcome, &'static str) {
    let mut ends = Vec::with_capacity(PORTS.len());
    while let Some(answer) = connects.join_next().await {
        // A connect does not panic; if one did, the answers of the others would still count.
        let Ok(answer) = answer else { continue };
        if matches!(answer.end, ConnectEnd::Connected | ConnectEnd::Refused) {
            return (RouterOutcome::Alive, answer.end.as_str());
        }
        ends.push(answer.end);
    }
    let answer = classify_no_response(&ends, || link::neighbour(gateway, interface.index));
    (answer, answer.as_str())
}

/// The result when no connect got a response.
///
/// 1. This device forbade or failed every connect: nothing was sent, so the router was not probed.
/// 2. On macOS, "no route to host" is also what an application gets that may not use the local network
///    ("local network privacy"), so it counts as not probed.
/// 3. The neighbour table reports that the address does not resolve: gone.
/// 4. Else: silent.
fn classify_no_response(
    ends: &[ConnectEnd],
    neighbour: impl FnOnce() -> Neighbour,
) -> RouterOutcome {
    let says_nothing = |end: &ConnectEnd| match end {
        ConnectEnd::Forbidden | ConnectEnd::NotAsked(_) => true,
        ConnectEnd::Unreachable => cfg!(target_os = "macos"),
        ConnectEnd::Connected | ConnectEnd::Refused | ConnectEnd::TimedOut => false,
    };
    if ends.iter().all(says_nothing) {
        RouterOutcome::NotAsked
    } else if neighbour() == Neighbour::Failed {
        RouterOutcome::Gone
    } else {
        RouterOutcome::Silent
    }
}

/// Returns when the router answers an ICMP echo; never returns if it does not, or if none can be sent.
async fn echo(gateway: IpAddr, interface: &Interface, deadline: Instant) {
    if let Ok(Ok(true)) = timeout_at(deadline, exchange_echo(gateway, interface)).await {
        return;
    }
    std::future::pending::<()>().await;
}

async fn exchange_echo(gateway: IpAddr, interface: &Interface) -> io::Result<bool> {
    let family = Family::of(gateway);
    let (domain, protocol) = match family {
        Family::Ipv4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::Ipv6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    interface.bind(&socket, family)?;
    socket.connect(&at_port(gateway, interface, 0).into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let nonce: [u8; 8] = fastrand::u64(..).to_ne_bytes();
    socket.send(&echo_request(family, nonce)).await?;
    let mut buffer = [0; 256];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if is_echo_reply(family, &buffer[..length], nonce) {
            return Ok(true);
        }
    }
}

/// An echo request (RFC 792, RFC 4443): type, code, checksum, identifier, sequence, the nonce.
///
/// Linux fills in identifier and checksum itself; macOS fills in neither for IPv4.
fn echo_request(family: Family, nonce: [u8; 8]) -> [u8; 16] {
    let mut message = [0; 16];
    message[0] = match family {
        Family::Ipv4 => 8,
        Family::Ipv6 => 128,
    };
    message[8..].copy_from_slice(&nonce);
    if family == Family::Ipv4 {
        let sum: u32 = message
            .chunks_exact(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        // The sum of eight words needs one fold, and the fold may carry once more.
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        message[2..4].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    }
    message
}

/// Whether a message is the reply to the request with this nonce. macOS puts the IP header before it.
fn is_echo_reply(family: Family, message: &[u8], nonce: [u8; 8]) -> bool {
    let header = match message.first() {
        Some(first) if family == Family::Ipv4 && first >> 4 == 4 => usize::from(first & 0xf) * 4,
        _ => 0,
    };
    let reply_type = match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 129,
    };
    message
        .get(header..)
        .is_some_and(|icmp| icmp.first() == Some(&reply_type) && icmp.get(8..16) == Some(&nonce))
}

/// A socket address of the router; a link-local one needs the index of its interface.
fn at_port(gateway: IpAddr, interface: &Interface, port: u16) -> SocketAddr {
    match gateway {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, interface.index).into()
        }
        _ => SocketAddr::new(gateway, port),
    }
}

fn shown(gateway: IpAddr, interface: &Interface) -> String {
    match gateway {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => format!("{v6}%{}", interface.name),
        _ => gateway.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_gone_and_not_probed_are_distinguished() {
        use ConnectEnd::{Forbidden, NotAsked, TimedOut, Unreachable};
        let failed = NotAsked(crate::probe::LocalFailure::NoPort);
        let unreachable =
            if cfg!(target_os = "macos") { RouterOutcome::NotAsked } else { RouterOutcome::Silent };
        for (ends, neighbour, expected) in [
            ([TimedOut; 3], Neighbour::Known, RouterOutcome::Silent),
            ([TimedOut; 3], Neighbour::Resolving, RouterOutcome::Silent),
            ([TimedOut; 3], Neighbour::Unknown, RouterOutcome::Silent),
            ([TimedOut; 3], Neighbour::Failed, RouterOutcome::Gone),
            ([Forbidden, Forbidden, TimedOut], Neighbour::Failed, RouterOutcome::Gone),
            ([Unreachable; 3], Neighbour::Resolving, unreachable),
            ([Forbidden, failed, Forbidden], Neighbour::Failed, RouterOutcome::NotAsked),
        ] {
            assert_eq!(
                classify_no_response(&ends, || neighbour),
                expected,
                "{ends:?}, {neighbour:?}"
            );
        }
    }

    #[test]
    fn an_echo_reply_is_matched_by_its_nonce_with_and_without_ip_header() {
        let nonce = *b"12345678";
        let mut reply = echo_request(Family::Ipv4, nonce);
        assert!(!is_echo_reply(Family::Ipv4, &reply, nonce), "the request is no reply");
        reply[0] = 0;
        assert!(is_echo_reply(Family::Ipv4, &reply, nonce));
        assert!(!is_echo_reply(Family::Ipv4, &reply, *b"87654321"));
        assert!(!is_echo_reply(Family::Ipv4, &reply[..12], nonce), "cut off");
        let mut with_header = vec![0; 20];
        with_header[0] = 0x45;
        with_header.extend(reply);
        assert!(is_echo_reply(Family::Ipv4, &with_header, nonce));
        let mut reply = echo_request(Family::Ipv6, nonce);
        reply[0] = 129;
        assert!(is_echo_reply(Family::Ipv6, &reply, nonce));
    }

    #[test]
    fn the_words_of_an_echo_request_sum_up_to_all_ones() {
        for nonce in [[0; 8], [0xff; 8], *b"12345678"] {
            let request = echo_request(Family::Ipv4, nonce);
            let sum = request.chunks_exact(2).fold(0_u32, |sum, pair| {
                let sum = sum + u32::from(u16::from_be_bytes([pair[0], pair[1]]));
                (sum & 0xffff) + (sum >> 16)
            });
            assert_eq!(sum, 0xffff, "{nonce:?}");
        }
    }

    #[test]
    fn a_link_local_router_is_shown_with_its_interface() {
        let interface = Interface { name: "eth0".to_owned(), index: 3 };
        let router: IpAddr = "fe80::1".parse().expect("an address");
        assert_eq!(shown(router, &interface), "fe80::1%eth0");
        assert_eq!(at_port(router, &interface, 53).to_string(), "[fe80::1%3]:53");
        let router: IpAddr = "192.168.1.1".parse().expect("an address");
        assert_eq!(shown(router, &interface), "192.168.1.1");
    }
}
