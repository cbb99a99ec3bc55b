//! One TCP connect to one address: the question that every round is made of.
//!
//! A connection that was made is closed at once in the ordinary way (FIN), although a reset would
//! save two packets and the 60 s for which the system remembers a closed connection. A reset after a
//! handshake is what port scanners send; servers count and log it, and some block whoever does it
//! often. At one probe every 5 s about twelve such memories exist at a time, of some 200 bytes each.
//! A connect that is given up sends nothing more.
//!
//! On Ethernet a completed one takes six packets, 412 bytes by IPv4 and 536 by IPv6: at one every 5 s
//! 0.3 and 0.4 MB an hour. One that is given up after 2.5 s takes three packets, 222 bytes.

use std::{
    io,
    net::{SocketAddr, TcpStream as StdStream},
    time::Duration,
};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use super::{Connect, Connected, Family, Interface};
use crate::clock::Stamp;

/// Tries to connect to `target`, for `limit` at most, through the interface `via` where one is
/// given, and says what came of it.
///
/// The socket is bound to `via`, so the answer tells about that interface even where the routes lead
/// elsewhere.
pub async fn connect(
    target: SocketAddr,
    limit: Duration,
    via: Option<&Interface>,
    clock: &impl Fn() -> Stamp,
) -> Connected {
    let sent = clock();
    let begun = Instant::now();
    let end = attempt(target, limit, via).await;
    Connected { target, sent, took: begun.elapsed(), end }
}

async fn attempt(target: SocketAddr, limit: Duration, via: Option<&Interface>) -> Connect {
    let stream = match begin(target, via) {
        Ok(stream) => stream,
        Err(error) => return meaning(&error, Origin::Here),
    };
    match timeout(limit, stream.writable()).await {
        Err(_) => return Connect::TimedOut,
        Ok(Err(error)) => return meaning(&error, Origin::Network),
        Ok(Ok(())) => {}
    }
    match stream.take_error() {
        Ok(None) if reached_itself(&stream) => Connect::Refused,
        Ok(None) => Connect::Connected,
        Ok(Some(error)) | Err(error) => meaning(&error, Origin::Network),
    }
}

/// Sends the first packet and returns without waiting for an answer.
fn begin(target: SocketAddr, via: Option<&Interface>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(interface) = via {
        interface.bind(&socket, Family::of(target.ip()))?;
    }
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        other => other?,
    }
    TcpStream::from_std(StdStream::from(socket))
}

/// Whether the system chose, of all ports of this machine, the very one that was called: such a
/// connection is completed without anybody listening (a "simultaneous open" with itself).
fn reached_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(peer)) if own == peer)
}

/// Where an error was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// By this device, at once, before anything was sent.
    Here,
    /// By what came back from the network, or did not.
    Network,
}

/// The one place that says what an error of `connect` means.
///
/// IPv6 reports a router's "administratively prohibited" as `EACCES`, IPv4 as `EHOSTUNREACH`; only
/// when it comes at once is `EACCES` this device's own doing.
fn meaning(error: &io::Error, origin: Origin) -> Connect {
    let Some(errno) = Errno::from_io_error(error) else {
        return Connect::Failed;
    };
    match (errno, origin) {
        (Errno::CONNREFUSED | Errno::CONNRESET, _) => Connect::Refused,
        (Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN, _)
        | (Errno::ACCESS | Errno::PERM, Origin::Network) => Connect::Unreachable,
        (Errno::TIMEDOUT, _) => Connect::TimedOut,
        (Errno::ACCESS | Errno::PERM, Origin::Here) => Connect::Forbidden,
        _ => Connect::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::{clock::BootId, runtime};

    fn clock() -> Stamp {
        Stamp { boot: BootId::UNKNOWN, boot_ms: 7, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn ask(target: SocketAddr) -> Connected {
        runtime::run(async move { connect(target, Duration::from_mins(1), None, &clock).await })
            .expect("a runtime")
    }

    #[test]
    fn every_error_has_one_meaning() {
        use Connect::{Failed, Forbidden, Refused, TimedOut, Unreachable};
        for (errno, here, network) in [
            (Errno::CONNREFUSED, Refused, Refused),
            (Errno::CONNRESET, Refused, Refused),
            (Errno::NETUNREACH, Unreachable, Unreachable),
            (Errno::HOSTUNREACH, Unreachable, Unreachable),
            (Errno::NETDOWN, Unreachable, Unreachable),
            (Errno::HOSTDOWN, Unreachable, Unreachable),
            (Errno::TIMEDOUT, TimedOut, TimedOut),
            (Errno::PERM, Forbidden, Unreachable),
            (Errno::ACCESS, Forbidden, Unreachable),
            (Errno::ADDRNOTAVAIL, Failed, Failed),
            (Errno::MFILE, Failed, Failed),
        ] {
            let error = io::Error::from(errno);
            assert_eq!(meaning(&error, Origin::Here), here, "{errno:?} at once");
            assert_eq!(meaning(&error, Origin::Network), network, "{errno:?} from the network");
        }
        assert_eq!(meaning(&io::Error::other("no errno"), Origin::Here), Failed);
    }

    #[test]
    fn a_listener_is_alive_and_a_closed_port_refuses() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let target = listener.local_addr().expect("its address");
        let alive = ask(target);
        assert_eq!((alive.target, alive.sent, alive.end), (target, clock(), Connect::Connected));
        drop(listener);
        assert_eq!(ask(target).end, Connect::Refused);
    }
}
