//! The handler's port.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// A loopback port that is reserved for the handler while the host lives, also across restarts.
///
/// A port number that was merely found free may be taken by another host's handler before this one
/// listens; each host would then talk to the wrong handler. So a socket that is bound but does not
/// listen reserves it. Linux lets the handler listen on the same port, because both sockets allow
/// it (`SO_REUSEADDR`). Other systems do not, and there the port is only likely to stay free.
#[derive(Debug)]
pub(super) struct HandlerPort {
    number: u16,
    _kept: Option<OwnedFd>,
}

impl HandlerPort {
    /// Reserves a free port.
    ///
    /// # Errors
    /// The system has no free port.
    pub(super) fn take() -> io::Result<Self> {
        let kept = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&kept, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        // Only after binding, so that the bind itself does not share a port.
        sockopt::set_socket_reuseaddr(&kept, true)?;
        let number = SocketAddr::try_from(getsockname(&kept)?)?.port();
        Ok(Self { number, _kept: cfg!(target_os = "linux").then_some(kept) })
    }

    /// The port number.
    pub(super) const fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_a_listener_with_reuseaddr_gets_the_port() {
        let port = HandlerPort::take().unwrap();
        let address = (Ipv4Addr::LOCALHOST, port.number());
        for _ in 0..2 {
            let listener = TcpListener::bind(address).unwrap();
            drop(std::net::TcpStream::connect(address).unwrap());
            drop(listener);
        }
        let other = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let taken = bind(&other, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port.number()));
        assert_eq!(taken, Err(rustix::io::Errno::ADDRINUSE));
    }
}
