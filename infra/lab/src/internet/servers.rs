//! Servers with one fixed response, or none.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Starts a server that handles each connection with the given function, and returns its address.
pub(super) async fn start<Serving>(
    running: &mut JoinSet<()>,
    serve: fn(TcpStream) -> Serving,
) -> io::Result<SocketAddr>
where
    Serving: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    running.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                // The error concerns only that connection.
                Ok((stream, _)) = listener.accept() => {
                    connections.spawn(serve(stream));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok(address)
}

/// An anchor: a probe only needs a completed connection.
pub(super) async fn anchor(_stream: TcpStream) {}

/// Responds 204 to every request.
pub(super) async fn portal_check(stream: TcpStream) {
    let service = service_fn(|_| async {
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok::<_, Infallible>(response)
    });
    // A client that disconnects has its response or does not need it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
