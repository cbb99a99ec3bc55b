//! A port that is kept for a test while nobody listens there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// A port on loopback: it refuses every connection, and no other socket is given its number while this
/// lives.
///
/// A number that was only free when somebody looked goes to the next one who asks, which may be a server of
/// the test beside this one.
pub(crate) struct HeldPort {
    socket: Option<Socket>,
    address: SocketAddr,
}

impl HeldPort {
    /// Takes a port that is free.
    pub(crate) fn take() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        // Linux lets a listener in beside a socket that does not listen, where both allow it. Only now: while
        // it was bound, nobody was to share it.
        socket.set_reuse_address(cfg!(target_os = "linux")).expect("it may be shared");
        let address = socket.local_addr().ok().and_then(|own| own.as_socket());
        Self { socket: Some(socket), address: address.expect("its address") }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there, until the listener is dropped. Elsewhere than on Linux the number is free after that.
    #[allow(dead_code, reason = "not all who refuse connections ever accept them")]
    pub(crate) fn listen(&mut self) -> TcpListener {
        if !cfg!(target_os = "linux") {
            self.socket = None;
        }
        TcpListener::bind(self.address).expect("nobody else has the port")
    }
}
