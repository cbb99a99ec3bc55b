//! Does this device itself drop what it is to send?
//!
//! A `drop` in a firewall's output chain (a VPN's kill switch) is silent for a TCP connect: the connect is
//! unanswered, as on a dead line. Two signs together tell it. A datagram to the same target is refused at
//! once (`EPERM`). And the kernel counts retransmissions that it could not hand to the network
//! (`TCPRetransFail`); a firewall that lets TCP pass and drops datagrams does not raise that count.
//! A chain that drops TCP alone is not noticed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::probe::{Family, Interface};

/// The kernel's counters of TCP, of the network namespace that the agent runs in.
const COUNTERS: &str = "/proc/thread-self/net/netstat";

/// How many retransmissions the kernel could not send so far; `None` where it does not say.
pub(super) fn failed_retransmissions() -> Option<u64> {
    // A file of the kernel's, which never waits for a disk.
    read(&std::fs::read_to_string(COUNTERS).ok()?)
}

/// Finds the counter in a line of names and the line of values below it.
fn read(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "TCPRetransFail")?;
    values.split_whitespace().nth(place)?.parse().ok()
}

/// Whether this device refuses to send a datagram to `target`. If it does not, an empty one goes out.
pub(super) fn forbids_datagrams(target: SocketAddr, via: Option<&Interface>) -> bool {
    let attempt = || -> std::io::Result<()> {
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if let Some(interface) = via {
            interface.bind(&socket, Family::of(target.ip()))?;
        }
        socket.connect(&target.into())?;
        socket.send(&[]).map(drop)
    };
    let errno = attempt().err().and_then(|error| Errno::from_io_error(&error));
    matches!(errno, Some(Errno::PERM | Errno::ACCESS))
}

/// Whether an address is this device's own: only then would a packet to it leave from itself.
pub(super) fn is_own(address: IpAddr) -> bool {
    source_to(address).is_ok_and(|source| source == address)
}

/// The address that a datagram to `target` would leave from; none is sent.
pub(in crate::probe) fn source_to(target: IpAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    // The port is "discard"; connecting a datagram socket sends nothing.
    socket.connect(SocketAddr::new(target, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_by_its_name() {
        let text = "TcpExt: SyncookiesSent TCPRetransFail TCPRcvCoalesce\nTcpExt: 0 42 7\n\
                    IpExt: InNoRoutes TCPRetransFail\nIpExt: 1 2\n";
        assert_eq!(read(text), Some(42));
        assert_eq!(read("TcpExt: SyncookiesSent\nTcpExt: 0\n"), None);
        assert_eq!(read("TcpExt: TCPRetransFail\n"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn loopback_is_this_devices_own_and_a_documentation_address_is_not() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
