//! Sends one request to the handler and reads its response, both buffered.
//!
//! The real host keeps connections to the handler open. A separate connection per request produces
//! the same bytes, and shows whether the handler had received the request when it exited.

use std::{io, net::Ipv4Addr};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest body that the host accepts in either direction, in bytes: 100 MiB.
///
/// Source: `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`, Azure Functions app settings reference.
pub const BODY_LIMIT: usize = 104_857_600;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Connecting failed, so the handler has not received the request.
    #[error("cannot connect to the handler on port {port}")]
    Connect {
        /// The handler's port.
        port: u16,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The handler has, or may have, received the request.
    #[error("the handler on port {port} did not answer")]
    Answer {
        /// The handler's port.
        port: u16,
        /// The error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Sends a request to the handler on 127.0.0.1 and reads the whole response.
pub async fn send(
    port: u16,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ExchangeError> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|source| ExchangeError::Connect { port, source })?;
    let fail = |source: hyper::Error| ExchangeError::Answer { port, source: source.into() };
    // Only an optimization.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(fail)?;
    let exchange = async {
        let (parts, body) = sender.send_request(request).await.map_err(fail)?.into_parts();
        let body = Limited::new(body, BODY_LIMIT);
        let body = body.collect().await.map_err(|source| ExchangeError::Answer { port, source })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The result of the exchange says how the connection ended.
        _ = &mut connection => exchange.await,
    }
}

/// Sends `GET /`, the host's readiness probe, with nothing but a Host header.
pub async fn probe_root(port: u16) -> Result<(), ExchangeError> {
    let mut request = Request::new(Full::default());
    if let Ok(host) = format!("{}:{port}", Ipv4Addr::LOCALHOST).parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    send(port, request).await.map(|_| ())
}
