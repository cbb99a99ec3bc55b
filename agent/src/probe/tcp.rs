//! One TCP connect to one address: every probe of an anchor begins with it.
//!
//! A completed connection is closed by a reset. An ordinary close takes two packets more, and the router's
//! NAT keeps an entry for a connection closed that way for two minutes; a reset frees the entry at once.
//! Cheap routers have room for a few thousand entries, and while connectivity is in doubt up to 16 anchors
//! are probed every second: probes must not fill that table. On this device a reset leaves no `TIME_WAIT`
//! behind either, so that source ports are not used up. A cancelled connect sends nothing more.
//!
//! On Linux the SYN-ACK is not acknowledged by a packet of its own, since the reset says as much. So on
//! Ethernet a completed connect takes three packets, 214 bytes by IPv4 and 274 by IPv6: at one every 5 s
//! 0.15 and 0.20 MB an hour. A connect that times out after 2.5 s takes two packets, 148 bytes.

mod firewall;
mod sender;

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream as StdStream},
    time::Duration,
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

pub(super) use self::firewall::source_to;
use super::{ConnectAnswer, ConnectEnd, Family, Interface, LocalFailure};
use crate::clock::Stamp;

/// A connect that is unanswered for this long raises doubt, and counts as lost.
pub const LOST_AFTER: Duration = Duration::from_secs(1);
/// Time limit of a connect: the SYN was retransmitted after one second (RFC 6298, section 2), and a
/// connection that needs longer is unusable.
pub const CONNECT_LIMIT: Duration = Duration::from_millis(2_500);
/// The kernel does not retransmit the SYN before this time has passed (RFC 6298, section 2, requires one
/// second).
const NO_RETRANSMISSION_BEFORE: Duration = Duration::from_millis(500);

/// Tries to connect to `target`, for `limit` at most, through the interface `via` if one is given, and
/// returns the outcome.
///
/// The socket is bound to `via`, so the outcome applies to that interface even if the routes lead through
/// another.
pub async fn connect(
    target: SocketAddr,
    limit: Duration,
    via: Option<&Interface>,
    clock: &impl Fn() -> Stamp,
) -> ConnectAnswer {
    let sent = clock();
    let begun = Instant::now();
    let (end, from) = match open(target, begun + limit, via).await {
        Ok(_) => (ConnectEnd::Connected, None),
        Err(ConnectFailure { end, from }) => (end, from),
    };
    ConnectAnswer { target, sent, took: begun.elapsed(), end, from }
}

/// Why a connect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectFailure {
    pub(super) end: ConnectEnd,
    /// Sender of the ICMP error, if there was one and the kernel reports it.
    pub(super) from: Option<IpAddr>,
}

impl From<ConnectEnd> for ConnectFailure {
    fn from(end: ConnectEnd) -> Self {
        Self { end, from: None }
    }
}

/// Connects to `target` until `deadline`. The connection is closed by a reset when it is dropped.
pub(super) async fn open(
    target: SocketAddr,
    deadline: Instant,
    via: Option<&Interface>,
) -> Result<TcpStream, ConnectFailure> {
    let stream =
        begin(target, via).map_err(|error| classify(&error, ErrorOrigin::Here, target.ip()))?;
    if !is_ready(&stream, deadline.min(Instant::now() + NO_RETRANSMISSION_BEFORE)).await? {
        let failed_before = firewall::failed_retransmissions();
        if !is_ready(&stream, deadline).await? {
            let failed = firewall::failed_retransmissions().zip(failed_before);
            let has_failed = failed.is_some_and(|(now, before)| now > before);
            let is_forbidden = has_failed && firewall::forbids_datagrams(target, via);
            return Err(
                if is_forbidden { ConnectEnd::Forbidden } else { ConnectEnd::TimedOut }.into()
            );
        }
    }
    match stream.take_error() {
        Ok(None) if connected_to_itself(&stream) => Err(ConnectEnd::Refused.into()),
        Ok(None) => Ok(stream),
        Ok(Some(error)) | Err(error) => {
            let icmp = sender::icmp_error(&stream);
            let is_own = icmp.is_some_and(|icmp| !icmp.no_neighbour && firewall::is_own(icmp.from));
            let origin = if is_own { ErrorOrigin::OwnIcmp } else { ErrorOrigin::Network };
            Err(ConnectFailure {
                end: classify(&error, origin, target.ip()),
                from: icmp.map(|icmp| icmp.from),
            })
        }
    }
}

/// Waits until the connect has ended, or `deadline`; returns whether it has ended.
async fn is_ready(stream: &TcpStream, deadline: Instant) -> Result<bool, ConnectFailure> {
    match timeout_at(deadline, stream.writable()).await {
        Ok(Ok(())) => Ok(true),
        // The runtime cannot poll the socket.
        Ok(Err(_)) => Err(ConnectEnd::NotAsked(LocalFailure::Other).into()),
        Err(_) => Ok(false),
    }
}

/// Sends the SYN and returns without waiting for an answer.
fn begin(target: SocketAddr, via: Option<&Interface>) -> io::Result<TcpStream> {
    let family = Family::of(target.ip());
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    delay_ack(&socket);
    sender::keep_errors(&socket, family)?;
    if let Some(interface) = via {
        interface.bind(&socket, family)?;
    }
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        other => other?,
    }
    TcpStream::from_std(StdStream::from(socket))
}

/// Makes the kernel delay the ACK of the SYN-ACK until a packet can carry it: the reset of a probe, or the
/// first packet of TLS. This only saves a packet, so a failure is ignored.
#[cfg(target_os = "linux")]
fn delay_ack(socket: &Socket) {
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, false);
}

/// Other systems have no such option.
#[cfg(not(target_os = "linux"))]
fn delay_ack(_socket: &Socket) {}

/// Whether the system picked the target's own port as the source port, for a target on this machine: such a
/// connection completes without a listener (a TCP "simultaneous open" with itself).
fn connected_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(peer)) if own == peer)
}

/// Where an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorOrigin {
    /// From this device, at once, before anything was sent.
    Here,
    /// From an ICMP error that this device sent itself: its firewall rejects.
    OwnIcmp,
    /// From the network's answer, or from its absence.
    Network,
}

/// Whether the system has no source address for `target`. A lack of free ports does not count.
fn has_no_source(target: IpAddr) -> bool {
    let errno = source_to(target).err().and_then(|error| Errno::from_io_error(&error));
    errno.is_some_and(|errno| LocalFailure::of(errno).is_none())
}

/// Maps every error of `connect` to its meaning.
///
/// - IPv6 reports a router's "administratively prohibited" as `EACCES`, IPv4 as `EHOSTUNREACH`; only if
///   the error comes at once, or from this device, does this device forbid the connect.
/// - `EINVAL` is a blackhole route. `EAFNOSUPPORT` is a system without this address family.
/// - `EADDRNOTAVAIL` is an exhausted port range, or a device without any address of the family.
/// - Any other error from the network was sent by a host that has no route.
fn classify(error: &io::Error, origin: ErrorOrigin, target: IpAddr) -> ConnectEnd {
    let Some(errno) = Errno::from_io_error(error) else {
        return ConnectEnd::NotAsked(LocalFailure::Other);
    };
    match (errno, origin) {
        (_, ErrorOrigin::OwnIcmp) | (Errno::ACCESS | Errno::PERM, ErrorOrigin::Here) => {
            ConnectEnd::Forbidden
        }
        (Errno::CONNREFUSED | Errno::CONNRESET, _) => ConnectEnd::Refused,
        (Errno::TIMEDOUT, _) => ConnectEnd::TimedOut,
        (Errno::ADDRNOTAVAIL, _) if has_no_source(target) => ConnectEnd::Unreachable,
        (
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::INVAL
            | Errno::AFNOSUPPORT,
            _,
        ) => ConnectEnd::Unreachable,
        _ => match (LocalFailure::of(errno), origin) {
            (Some(failure), _) => ConnectEnd::NotAsked(failure),
            (None, ErrorOrigin::Here) => ConnectEnd::NotAsked(LocalFailure::Other),
            (None, _) => ConnectEnd::Unreachable,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::{clock::BootId, runtime};

    fn clock() -> Stamp {
        Stamp { boot: BootId::UNKNOWN, boot_ms: 7, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn connect_to(target: SocketAddr) -> ConnectAnswer {
        runtime::run(async move { connect(target, Duration::from_mins(1), None, &clock).await })
            .expect("a runtime")
    }

    #[test]
    fn every_error_has_one_meaning() {
        use ConnectEnd::{Forbidden, NotAsked, Refused, TimedOut, Unreachable};
        use LocalFailure::{NoDescriptors, NoMemory, NoPort, Other};
        for (errno, here, network) in [
            (Errno::CONNREFUSED, Refused, Refused),
            (Errno::CONNRESET, Refused, Refused),
            (Errno::NETUNREACH, Unreachable, Unreachable),
            (Errno::HOSTUNREACH, Unreachable, Unreachable),
            (Errno::NETDOWN, Unreachable, Unreachable),
            (Errno::HOSTDOWN, Unreachable, Unreachable),
            (Errno::INVAL, Unreachable, Unreachable),
            (Errno::AFNOSUPPORT, Unreachable, Unreachable),
            (Errno::PROTO, NotAsked(Other), Unreachable),
            (Errno::TIMEDOUT, TimedOut, TimedOut),
            (Errno::PERM, Forbidden, Unreachable),
            (Errno::ACCESS, Forbidden, Unreachable),
            (Errno::ADDRNOTAVAIL, NotAsked(NoPort), NotAsked(NoPort)),
            (Errno::ADDRINUSE, NotAsked(NoPort), NotAsked(NoPort)),
            (Errno::AGAIN, NotAsked(NoPort), NotAsked(NoPort)),
            (Errno::MFILE, NotAsked(NoDescriptors), NotAsked(NoDescriptors)),
            (Errno::NFILE, NotAsked(NoDescriptors), NotAsked(NoDescriptors)),
            (Errno::NOBUFS, NotAsked(NoMemory), NotAsked(NoMemory)),
            (Errno::NOMEM, NotAsked(NoMemory), NotAsked(NoMemory)),
            (Errno::NODEV, NotAsked(Other), Unreachable),
        ] {
            let error = io::Error::from(errno);
            let target = Ipv4Addr::LOCALHOST.into();
            assert_eq!(classify(&error, ErrorOrigin::Here, target), here, "{errno:?} at once");
            let from_network = classify(&error, ErrorOrigin::Network, target);
            assert_eq!(from_network, network, "{errno:?} from the network");
            let own = classify(&error, ErrorOrigin::OwnIcmp, target);
            assert_eq!(own, Forbidden, "{errno:?} from this device's own firewall");
        }
        let nothing = io::Error::other("no errno");
        let target = Ipv4Addr::LOCALHOST.into();
        assert_eq!(classify(&nothing, ErrorOrigin::Here, target), NotAsked(Other));
    }

    #[test]
    fn a_listening_port_connects_and_a_closed_port_refuses() {
        // Bound but not listening: no other process can take the port, and it refuses.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let target = socket.local_addr().ok().and_then(|own| own.as_socket()).expect("its address");
        assert_eq!(connect_to(target).end, ConnectEnd::Refused);
        socket.listen(1).expect("it can listen");
        let alive = connect_to(target);
        assert_eq!((alive.target, alive.sent, alive.end), (target, clock(), ConnectEnd::Connected));
    }
}
