//! The handler's port.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// A port on loopback that is the handler's for as long as the host lives, also while it restarts.
///
/// A number that was only free when somebody looked may go to another host's handler before this one
/// listens; each would then answer for the other. So a socket that does not listen keeps it. Linux lets the
/// handler listen beside that, because both allow it (`SO_REUSEADDR`). Other systems do not, and there the
/// number is only likely to stay free.
#[derive(Debug)]
pub(super) struct HandlerPort {
    number: u16,
    _kept: Option<OwnedFd>,
}

impl HandlerPort {
    /// Takes a port that is free.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn take() -> io::Result<Self> {
        let kept = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&kept, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        // Only now: while it was bound, nobody was to share it.
        sockopt::set_socket_reuseaddr(&kept, true)?;
        let number = SocketAddr::try_from(getsockname(&kept)?)?.port();
        Ok(Self { number, _kept: cfg!(target_os = "linux").then_some(kept) })
    }

    /// Its number.
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
    fn only_a_listener_that_is_asked_for_it_gets_the_port() {
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
