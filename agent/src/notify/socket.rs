//! The service manager's socket.

use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, net::SocketAddr, net::UnixDatagram},
};

/// The socket that `NOTIFY_SOCKET` names. Sending never blocks.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl NotifySocket {
    /// Prepares to send to `name`: a path, or `@` and the name of an abstract socket as container
    /// managers use.
    ///
    /// # Errors
    /// The address is of another kind, such as vsock, or the system's error.
    pub(super) fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => abstract_address(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(unsupported()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] while the manager's queue is full, or the system's error.
    pub(super) fn send(&self, message: &str) -> io::Result<()> {
        // Not connected, so that a manager that recreates its socket still receives the messages.
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this kind of address is not supported")
}
