//! Servers on the router that answer under the addresses of others, once the packet filter redirects
//! traffic to them.

use std::{future, io, sync::Arc};

use ispmon_testing::certificates::Authority;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, runtime::Handle};
use tokio_rustls::TlsAcceptor;

use crate::play::{
    addresses::{ROUTER_V4, ROUTER_V6, v6},
    endpoint::Endpoint,
    house::House,
    http,
    name_server::{Behaviour, NameServer},
    servers::{accept, udp},
};

/// A port that accepts connections and sends nothing.
pub(crate) const ACCEPTS: u16 = 8_443;
/// A port that speaks TLS with a self-made certificate.
pub(crate) const OWN_TLS: u16 = 8_444;
/// A port with the page "there is no internet".
pub(crate) const PAGE: u16 = 8_080;
/// The port of a name server that returns the router's addresses for every name.
pub(crate) const NAMES: u16 = 5_353;
/// The port of a proxy that connects to the endpoint.
pub(crate) const PROXY: u16 = 3_128;

/// Starts all of them. Must be called in the context of a runtime. Without a fault, no traffic reaches
/// most of them.
pub(crate) fn start(house: &House, endpoint: &Arc<Endpoint>) -> io::Result<()> {
    accept(&house.router, ACCEPTS, |stream| async move {
        let _held = stream;
        future::pending::<()>().await;
    })?;
    let tls: TlsAcceptor =
        Authority::new("Home Router").server("router.home.example", 2020..2100).into();
    accept(&house.router, OWN_TLS, move |stream| {
        let tls = tls.clone();
        async move {
            // The client rejects the certificate.
            let _ = tls.accept(stream).await;
        }
    })?;
    accept(&house.router, PAGE, show_page)?;
    let endpoint = Arc::clone(endpoint);
    accept(&house.router, PROXY, move |stream| connect(stream, Arc::clone(&endpoint)))?;
    let names = NameServer::new(Behaviour::Claims([ROUTER_V4[0].into(), v6(ROUTER_V6[0]).into()]));
    let socket = udp(&house.router, NAMES)?;
    Handle::current().spawn(async move { names.serve(&socket).await });
    Ok(())
}

async fn show_page(mut stream: TcpStream) {
    let Ok(_request) = http::read(&mut stream).await else { return };
    let answer = http::answer(200, "", "<html>There is no internet: WAN down.</html>");
    // The client may have closed the connection; the error does not matter.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Serves one proxy request. It hands the stream to the endpoint directly: no row breaks the path
/// between them.
async fn connect(mut stream: TcpStream, endpoint: Arc<Endpoint>) {
    let Ok(request) = http::read(&mut stream).await else { return };
    if !request.is_connect() {
        let _ = stream.write_all(http::answer(403, "", "").as_bytes()).await;
        return;
    }
    if stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.is_ok() {
        endpoint.serve(stream).await;
    }
}
