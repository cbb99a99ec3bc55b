//! A TCP relay on loopback, in front of a server, that can be cut.
//!
//! A dead connection does not refuse, it is *silent*. While the relay is cut, it accepts nothing
//! and the listener's backlog is full, so that a new connect hangs; open connections stay open, but
//! no data flows. When it is restored, pending connects complete and buffered bytes flow.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// The listener's backlog; Linux queues one connection more.
const BACKLOG: u32 = 8;

/// A connect on loopback that takes longer than this hangs: it completes within the call unless the
/// backlog is full.
const HANG_TIMEOUT: Duration = Duration::from_millis(400);

/// An upper bound of the connections that any system queues for a backlog of [`BACKLOG`].
const MAX_FILLERS: usize = 4096;

/// A relay that can be cut and restored; it stops when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    flowing: watch::Sender<bool>,
    fillers: Fillers,
    acceptor: AbortHandle,
}

/// The connections that fill the backlog while the relay is cut.
#[derive(Debug, Default)]
struct Fillers {
    streams: Vec<TcpStream>,
    addresses: Arc<Mutex<HashSet<SocketAddr>>>,
}

/// Why a relay could not be started or cut.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The relay could not listen.
    #[error("cannot listen on {address} for the relay")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// A connection that should fill the backlog was refused.
    #[error("cannot cut the relay on {address}: a connection that was to fill its queue failed")]
    Fill {
        /// The relay's address.
        address: SocketAddr,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The backlog accepts connections without limit.
    #[error(
        "cannot cut the relay on {address}: its queue is not full after {MAX_FILLERS} connections"
    )]
    Endless {
        /// The relay's address.
        address: SocketAddr,
    },
}

impl Relay {
    /// Relays connections from `listen` (port 0 picks a free one) to `server`; needs a tokio
    /// runtime.
    pub fn start(listen: SocketAddr, server: SocketAddr) -> Result<Self, RelayError> {
        let (listener, address) =
            bind(listen).map_err(|source| RelayError::Listen { address: listen, source })?;
        let flowing = watch::Sender::new(true);
        let fillers = Fillers::default();
        let relay = relay(listener, server, flowing.subscribe(), Arc::clone(&fillers.addresses));
        let acceptor = tokio::spawn(relay).abort_handle();
        Ok(Self { address, flowing, fillers, acceptor })
    }

    /// The address that clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the relay is cut.
    pub fn is_cut(&self) -> bool {
        !*self.flowing.borrow()
    }

    /// Cuts the relay, and returns when it is certain that a new connect hangs.
    pub async fn cut(&mut self) -> Result<(), RelayError> {
        self.flowing.send_replace(false);
        // A single connect may be slow for another reason; two in a row are not.
        let mut hanging = 0;
        while hanging < 2 {
            match tokio::time::timeout(HANG_TIMEOUT, self.fill()).await {
                Ok(filled) => {
                    filled?;
                    hanging = 0;
                }
                Err(_) => hanging += 1,
            }
        }
        Ok(())
    }

    /// Restores the relay: buffered bytes flow and pending connects complete.
    pub fn restore(&mut self) {
        self.fillers.streams.clear();
        self.flowing.send_replace(true);
    }

    async fn fill(&mut self) -> Result<(), RelayError> {
        let address = self.address;
        if self.fillers.streams.len() >= MAX_FILLERS {
            return Err(RelayError::Endless { address });
        }
        let fail = |source| RelayError::Fill { address, source };
        let stream = TcpStream::connect(address).await.map_err(fail)?;
        let local = stream.local_addr().map_err(fail)?;
        self.fillers.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(local);
        self.fillers.streams.push(stream);
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

fn bind(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts connections while the relay is not cut; dropping the future closes all of them.
async fn relay(
    listener: TcpListener,
    server: SocketAddr,
    mut flowing: watch::Receiver<bool>,
    fillers: Arc<Mutex<HashSet<SocketAddr>>>,
) {
    let mut connections = JoinSet::new();
    loop {
        if flowing.wait_for(|flowing| *flowing).await.is_err() {
            return;
        }
        let accepted = tokio::select! {
            biased;
            _ = flowing.changed() => continue,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        // The error concerns only that connection.
        let Ok((client, peer)) = accepted else { continue };
        if !fillers.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer) {
            connections.spawn(connect(client, server, flowing.clone()));
        }
    }
}

async fn connect(client: TcpStream, server: SocketAddr, mut flowing: watch::Receiver<bool>) {
    if flowing.wait_for(|flowing| *flowing).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Small messages must not be delayed. Failure only costs speed.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, flowing.clone());
    let back = pump(from_server, to_client, flowing);
    // An error in one direction closes both; the end of one leaves the other open.
    let _ = tokio::try_join!(there, back);
}

/// Copies one direction while the relay is not cut, until its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flowing: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            // The relay was cut, or cut and restored in between.
            changed = flowing.changed() => {
                changed.map_err(io::Error::other)?;
                flowing.wait_for(|flowing| *flowing).await.map_err(io::Error::other)?;
                continue;
            }
            read = from.read(&mut buffer) => read,
        };
        // Bytes received just before the cut wait here, and so does an end or an error.
        flowing.wait_for(|flowing| *flowing).await.map_err(io::Error::other)?;
        match read? {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}
