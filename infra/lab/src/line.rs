//! A connection that can be cut: a TCP relay on loopback, in front of a server.
//!
//! A dead line does not refuse, it is *silent*. While the relay is cut, nothing is accepted and the
//! listener's backlog is full, so that a new connect hangs; what is connected stays connected and
//! nothing moves on it. When it is restored, hanging connects complete and held bytes flow.

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

/// The length of the listener's queue; Linux lets one connection more wait.
const BACKLOG: u32 = 8;

/// A connect on loopback completes within the call unless the queue is full; this long is for sure.
const HANGS: Duration = Duration::from_millis(400);

/// No system lets more connections wait than this for a backlog of [`BACKLOG`].
const MOST_FILLERS: usize = 4096;

/// A relay that can be cut and restored; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    flowing: watch::Sender<bool>,
    fillers: Fillers,
    acceptor: AbortHandle,
}

/// The connections that fill the backlog while the line is cut.
#[derive(Debug, Default)]
struct Fillers {
    streams: Vec<TcpStream>,
    addresses: Arc<Mutex<HashSet<SocketAddr>>>,
}

/// Why a line could not be laid or cut.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The relay could not listen.
    #[error("cannot listen on {address} for the line")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A connection that was to fill the backlog was refused.
    #[error("cannot cut the line on {address}: a connection that was to fill its queue failed")]
    Fill {
        /// The relay's address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The backlog takes connections without end.
    #[error(
        "cannot cut the line on {address}: its queue is not full after {MOST_FILLERS} connections"
    )]
    Endless {
        /// The relay's address.
        address: SocketAddr,
    },
}

impl Relay {
    /// Relays connections to `listen` (port 0 picks a free one) to `server`; needs a tokio runtime.
    pub fn lay(listen: SocketAddr, server: SocketAddr) -> Result<Self, LineError> {
        let (listener, address) =
            bind(listen).map_err(|source| LineError::Listen { address: listen, source })?;
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

    /// Whether the line is cut.
    pub fn is_cut(&self) -> bool {
        !*self.flowing.borrow()
    }

    /// Cuts the line, and returns when it is certain that a new connect hangs.
    pub async fn cut(&mut self) -> Result<(), LineError> {
        self.flowing.send_replace(false);
        // One connect may be slow for another reason; two in a row are not.
        let mut hanging = 0;
        while hanging < 2 {
            match tokio::time::timeout(HANGS, self.fill()).await {
                Ok(filled) => {
                    filled?;
                    hanging = 0;
                }
                Err(_) => hanging += 1,
            }
        }
        Ok(())
    }

    /// Restores the line: what was held flows, what hung connects.
    pub fn restore(&mut self) {
        self.fillers.streams.clear();
        self.flowing.send_replace(true);
    }

    async fn fill(&mut self) -> Result<(), LineError> {
        let address = self.address;
        if self.fillers.streams.len() >= MOST_FILLERS {
            return Err(LineError::Endless { address });
        }
        let fail = |source| LineError::Fill { address, source };
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

/// Accepts while the line flows; dropping it ends every connection.
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
        // An error concerns that connection only.
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
    // Small messages must not wait for each other; without effect when it fails.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, flowing.clone());
    let back = pump(from_server, to_client, flowing);
    // A broken direction ends both; a finished one leaves the other open.
    let _ = tokio::try_join!(there, back);
}

/// Copies one direction while the line flows, until its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flowing: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            // The line is cut, or came back in between.
            changed = flowing.changed() => {
                changed.map_err(io::Error::other)?;
                flowing.wait_for(|flowing| *flowing).await.map_err(io::Error::other)?;
                continue;
            }
            read = from.read(&mut buffer) => read,
        };
        // What came in just before the cut waits on this side of it, and so does an end or a failure.
        flowing.wait_for(|flowing| *flowing).await.map_err(io::Error::other)?;
        match read? {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}
