//! The servers in the house and on the internet, all on one thread.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

use ispmon_testing::certificates::Authority;
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Socket, Type};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    runtime::{self, Handle},
    sync::oneshot,
    task::AbortHandle,
    time::timeout,
};

use crate::play::{
    addresses::{HOME_ENDPOINT_V6, v6},
    anchors::Anchors,
    endpoint::Endpoint,
    house::House,
    http,
    name_server::{Behaviour, NameServer},
    namespace::Namespace,
    portal::{self, Portal},
    router_services,
};

/// The running servers of a house; dropping it stops them.
pub(crate) struct Servers {
    authority: Authority,
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
        let authority = Authority::new("Matrix Trust");
        let anchors = Arc::new(Anchors::new(&authority));
        let endpoint = Arc::new(Endpoint::new(&authority));
        let names = Arc::new(NameServer::new(Behaviour::Truth));
        let portal = Arc::new(Portal::new());
        {
            let _inside = handle.enter();
            for namespace in [&house.alpha, &house.beta] {
                let server = Arc::clone(&anchors);
                accept(namespace, 443, move |stream| Arc::clone(&server).serve(stream))?;
            }
            accept(&house.alpha, 80, answer_check)?;
            let server = Arc::clone(&names);
            let socket = udp(&house.resolver, 53)?;
            handle.spawn(async move { server.serve(&socket).await });
            let server = Arc::clone(&endpoint);
            accept(&house.endpoint, 443, move |stream| Arc::clone(&server).serve(stream))?;
            accept(&house.endpoint, 80, Endpoint::serve_plain)?;
            accept(&house.portal, 80, Portal::redirect)?;
            accept(&house.portal, portal::SHOWS, Portal::show)?;
            accept(&house.portal, portal::FORBIDS, Portal::forbid)?;
            accept(&house.portal, 443, move |stream| Arc::clone(&portal).serve_tls(stream))?;
            router_services::start(house, &endpoint)?;
        }
        thread::spawn(move || {
            // The sender never sends; dropping it stops the servers.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        Ok(Self { authority, endpoint, names, handle, _stop: stop })
    }

    /// The root certificate that the device trusts, as PEM.
    pub(crate) fn root_pem(&self) -> String {
        self.authority.root_pem()
    }

    /// The same in DER.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.authority.root()
    }

    /// Starts the heartbeat endpoint inside the house.
    pub(crate) fn serve_at_home(&self, house: &House) -> io::Result<()> {
        let _inside = self.handle.enter();
        let server = Arc::clone(&self.endpoint);
        let address = (v6(HOME_ENDPOINT_V6), 443);
        accept_at(&house.router, address, move |stream| Arc::clone(&server).serve(stream))
    }

    /// Starts a name server on the device itself; aborting the returned handle stops it.
    pub(crate) fn serve_names_on_device(&self, house: &House) -> io::Result<AbortHandle> {
        let _inside = self.handle.enter();
        let socket = udp_at(&house.device, (Ipv4Addr::LOCALHOST, 53))?;
        let names = Arc::clone(&self.names);
        Ok(self.handle.spawn(async move { names.serve(&socket).await }).abort_handle())
    }

    /// The runtime for further tasks of the row.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Listens on a port of all addresses, and serves each connection for at most two minutes. Must be
/// called in the context of a runtime.
pub(crate) fn accept<Served>(
    namespace: &Namespace,
    port: u16,
    serve: impl Fn(TcpStream) -> Served + Send + 'static,
) -> io::Result<()>
where
    Served: Future<Output = ()> + Send + 'static,
{
    accept_at(namespace, (Ipv6Addr::UNSPECIFIED, port), serve)
}

/// The same on a single address.
fn accept_at<Served>(
    namespace: &Namespace,
    address: (Ipv6Addr, u16),
    serve: impl Fn(TcpStream) -> Served + Send + 'static,
) -> io::Result<()>
where
    Served: Future<Output = ()> + Send + 'static,
{
    const LONGEST: Duration = Duration::from_mins(2);
    let listener = namespace.enter(|| listen(address))??;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Handle::current().spawn(async move {
        loop {
            // An error of accept concerns a connection that is gone already.
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(timeout(LONGEST, serve(stream)));
            }
        }
    });
    Ok(())
}

/// Listens on an address that may not be usable yet: on a busy machine the kernel takes a while to make
/// a new IPv6 address usable.
fn listen(address: (Ipv6Addr, u16)) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_freebind_v6(true)?;
    socket.bind(&SocketAddr::from(address).into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// A UDP socket on a port of all addresses.
pub(crate) fn udp(namespace: &Namespace, port: u16) -> io::Result<tokio::net::UdpSocket> {
    udp_at(namespace, (Ipv6Addr::UNSPECIFIED, port))
}

fn udp_at(
    namespace: &Namespace,
    address: impl ToSocketAddrs + Send,
) -> io::Result<tokio::net::UdpSocket> {
    let socket = namespace.enter(|| UdpSocket::bind(address))??;
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket)
}

/// The genuine server of the portal check.
async fn answer_check(mut stream: TcpStream) {
    let Ok(_request) = http::read(&mut stream).await else { return };
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    // The client may have closed the connection; the error does not matter.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}
