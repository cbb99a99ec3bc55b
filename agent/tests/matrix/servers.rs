//! Whoever listens in the house and on the internet: one thread for all of them.

use std::{
    io,
    net::{Ipv6Addr, TcpListener, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    runtime::{self, Handle},
    sync::oneshot,
    time::timeout,
};

use crate::play::{
    endpoint::Endpoint, house::House, http, name_server::NameServer, namespace::Namespace,
    portal::Portal,
};

/// The running servers of a house; they stop when it is dropped.
pub(crate) struct Servers {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) names: Arc<NameServer>,
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Servers {
    /// Starts all servers of the house.
    pub(crate) fn start(house: &House) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let endpoint = Arc::new(Endpoint::new());
        let names = Arc::new(NameServer::new());
        let portal = Arc::new(Portal::new());
        {
            let _inside = handle.enter();
            for anchors in [&house.alpha, &house.beta] {
                // A completed handshake is all that the agent asks of an anchor.
                accept(anchors, 443, |stream| async move { drop(stream) })?;
            }
            accept(&house.alpha, 80, answer_check)?;
            let server = Arc::clone(&names);
            let socket = udp(&house.resolver, 53)?;
            handle.spawn(async move { server.serve(&socket).await });
            let server = Arc::clone(&endpoint);
            accept(&house.endpoint, 443, move |stream| Arc::clone(&server).serve(stream))?;
            let server = Arc::clone(&portal);
            accept(&house.portal, 80, move |stream| Arc::clone(&server).serve_page(stream))?;
            accept(&house.portal, 443, move |stream| Arc::clone(&portal).serve_tls(stream))?;
        }
        thread::spawn(move || {
            // The sender never sends; it is dropped.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        Ok(Self { endpoint, names, handle, _stop: stop })
    }

    /// Where further tasks of the row run.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Listens on a port of all addresses, and handles each connection for at most two minutes. It needs
/// to be called within the context of a runtime.
fn accept<Served>(
    namespace: &Namespace,
    port: u16,
    serve: impl Fn(TcpStream) -> Served + Send + 'static,
) -> io::Result<()>
where
    Served: Future<Output = ()> + Send + 'static,
{
    const LONGEST: Duration = Duration::from_mins(2);
    let listener = namespace.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))??;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Handle::current().spawn(async move {
        loop {
            // Whatever accept reports, it concerns a connection that is gone already.
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(timeout(LONGEST, serve(stream)));
            }
        }
    });
    Ok(())
}

/// A socket on a port of all addresses.
fn udp(namespace: &Namespace, port: u16) -> io::Result<tokio::net::UdpSocket> {
    let socket = namespace.enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)))??;
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket)
}

/// The genuine server of the portal check.
async fn answer_check(mut stream: TcpStream) {
    let Ok(_request) = http::read(&mut stream).await else { return };
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    // The caller may be gone, which is no matter.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}
