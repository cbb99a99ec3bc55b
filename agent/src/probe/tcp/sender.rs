//! The sender of the ICMP error that ended a connect.
//!
//! Linux keeps the ICMP error of a connect in the socket's error queue (since 5.10, when `IP_RECVERR` is
//! set), with the address of its sender: the router, a hop of the provider, or this device itself when its
//! own firewall rejects. macOS does not report the sender.

use std::net::IpAddr;

use tokio::net::TcpStream;

/// An ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpError {
    /// Its sender.
    pub(super) from: IpAddr,
    /// It reports that the address of the next hop could not be resolved ("host unreachable"): this device
    /// sends that to itself when the router does not answer ARP or neighbour discovery.
    pub(super) no_neighbour: bool,
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;

    use socket2::Socket;

    use super::{IcmpError, TcpStream};
    use crate::probe::Family;

    #[allow(clippy::unnecessary_wraps, reason = "the same as on Linux, where it can fail")]
    pub(in super::super) fn keep_errors(_: &Socket, _: Family) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn icmp_error(_: &TcpStream) -> Option<IcmpError> {
        None
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::{
        io::{self, IoSliceMut},
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
        os::fd::AsRawFd,
    };

    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
    };
    use socket2::Socket;

    use super::{IcmpError, TcpStream};
    use crate::probe::Family;

    /// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of `<linux/errqueue.h>`.
    const FROM_ICMP: u8 = 2;
    const FROM_ICMP_V6: u8 = 3;
    /// Type and code of "host unreachable" (RFC 792) and of "address unreachable" (RFC 4443).
    const HOST_UNREACHABLE: (u8, u8) = (3, 1);
    const ADDRESS_UNREACHABLE: (u8, u8) = (1, 3);
    /// Larger than a control message with an error and an address.
    const CONTROL_BYTES: usize = 256;

    /// Makes the kernel keep the ICMP errors of this socket in its error queue.
    pub(in super::super) fn keep_errors(socket: &Socket, family: Family) -> io::Result<()> {
        match family {
            Family::Ipv4 => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
            Family::Ipv6 => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    /// The ICMP error in this socket's error queue, if there is one.
    pub(in super::super) fn icmp_error(stream: &TcpStream) -> Option<IcmpError> {
        let mut data = [0; 64];
        let mut pieces = [IoSliceMut::new(&mut data)];
        let mut control = nix::cmsg_space!([u8; CONTROL_BYTES]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(stream.as_raw_fd(), &mut pieces, Some(&mut control), flags)
                .ok()?;
        message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, Some(sender))
                if error.ee_origin == FROM_ICMP =>
            {
                let from = Ipv4Addr::from(u32::from_be(sender.sin_addr.s_addr));
                let no_neighbour = (error.ee_type, error.ee_code) == HOST_UNREACHABLE;
                Some(IcmpError { from: from.into(), no_neighbour })
            }
            ControlMessageOwned::Ipv6RecvErr(error, Some(sender))
                if error.ee_origin == FROM_ICMP_V6 =>
            {
                let from = IpAddr::from(Ipv6Addr::from(sender.sin6_addr.s6_addr));
                let no_neighbour = (error.ee_type, error.ee_code) == ADDRESS_UNREACHABLE;
                Some(IcmpError { from, no_neighbour })
            }
            _ => None,
        })
    }
}

pub(super) use system::{icmp_error, keep_errors};
