//! Detects that this device's own firewall drops outgoing packets.
//!
//! A `drop` in a firewall's output chain (a VPN's kill switch) is silent for a TCP connect: the connect
//! times out, as in an outage. Two signs together identify it: a datagram to the same target is refused at
//! once (`EPERM`), and the kernel counts retransmissions that it could not hand to the network
//! (`TCPRetransFail`). A firewall that lets TCP pass and drops datagrams does not raise that counter.
//! A chain that drops only TCP is not detected.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::probe::{Family, Interface};

/// The kernel's TCP counters for the network namespace of the agent.
const COUNTERS: &str = "/proc/thread-self/net/netstat";

/// Number of retransmissions that the kernel could not send so far; `None` if the kernel does not report it.
pub(super) fn failed_retransmissions() -> Option<u64> {
    // A file in procfs: reading it does not wait for a disk.
    read(&std::fs::read_to_string(COUNTERS).ok()?)
}

/// Finds the counter by its name in the line of names, and its value in the line below.
fn read(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "TCPRetransFail")?;
    values.split_whitespace().nth(place)?.parse().ok()
}

/// Whether this device refuses to send a datagram to `target`. If it does not, an empty datagram is sent.
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

/// Whether an address belongs to this device: only then is it the source address of a packet to itself.
pub(super) fn is_own(address: IpAddr) -> bool {
    source_to(address).is_ok_and(|source| source == address)
}

/// The source address of a datagram to `target`; sends nothing.
pub(in crate::probe) fn source_to(target: IpAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    // Port 9 is "discard"; connecting a datagram socket sends nothing.
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
    fn a_loopback_address_is_own_and_a_documentation_address_is_not() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
