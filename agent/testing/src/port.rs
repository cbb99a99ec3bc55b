//! A port that refuses connections for as long as a test holds it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// A port on loopback: it refuses every connection, and no other socket is given its number while this
/// lives.
///
/// Without it, the number of a port that was free a moment ago may go to a server of the test that runs
/// beside this one.
pub struct HeldPort {
    socket: Option<Socket>,
    address: SocketAddr,
}

impl HeldPort {
    /// Takes a port that is free.
    pub fn take() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        // Linux lets a listener in beside a socket that does not listen, where both allow it. Only now: while
        // it was bound, no other socket was to share it.
        socket.set_reuse_address(cfg!(target_os = "linux")).expect("it may be shared");
        let address = socket.local_addr().ok().and_then(|own| own.as_socket());
        Self { socket: Some(socket), address: address.expect("its address") }
    }

    /// Its address on 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there, until the listener is dropped. Elsewhere than on Linux the number is free after that.
    pub fn listen(&mut self) -> TcpListener {
        if !cfg!(target_os = "linux") {
            self.socket = None;
        }
        TcpListener::bind(self.address).expect("no other socket has the port")
    }
}
