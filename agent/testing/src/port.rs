//! A reserved port that refuses connections.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// A reserved port on loopback: it refuses every connection, and no other socket gets its number while
/// this value lives.
///
/// Without the reservation, a port that was free a moment ago may go to a server of a test that runs in
/// parallel.
pub struct HeldPort {
    socket: Option<Socket>,
    address: SocketAddr,
}

impl HeldPort {
    /// Reserves a free port.
    pub fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        // Linux allows a listener on the port of a socket that does not listen, if both allow reuse. Set only
        // after the bind, so that no other socket already has the port.
        socket.set_reuse_address(cfg!(target_os = "linux")).expect("reuse can be allowed");
        let address = socket.local_addr().ok().and_then(|own| own.as_socket());
        Self { socket: Some(socket), address: address.expect("its address") }
    }

    /// The address: 127.0.0.1 and the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on the port until the listener is dropped. Except on Linux, that ends the reservation.
    pub fn listen(&mut self) -> TcpListener {
        if !cfg!(target_os = "linux") {
            self.socket = None;
        }
        TcpListener::bind(self.address).expect("no other socket has the port")
    }
}
