//! A captive portal: its login page answers under every address.

use std::sync::Arc;

use ispmon_testing::certificates::Authority;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::play::http;

/// A port that answers every request with the login page, status 200.
pub(crate) const SHOWS: u16 = 8_200;
/// A port that answers every request with status 403.
pub(crate) const FORBIDS: u16 = 8_403;

/// The server of the login page.
pub(crate) struct Portal {
    tls: TlsAcceptor,
}

impl Portal {
    /// A portal with an untrusted certificate for another name.
    pub(crate) fn new() -> Self {
        let authority = Authority::new("Hotel Lobby");
        Self { tls: authority.server("login.hotel.example", 2020..2100).into() }
    }

    /// Answers any request with a redirect to the login page.
    pub(crate) async fn redirect(stream: TcpStream) {
        let location = "Location: http://login.hotel.example/welcome\r\n";
        respond(stream, &http::answer(302, location, "<html>Please log in.</html>")).await;
    }

    /// Answers any request with the login page itself.
    pub(crate) async fn show(stream: TcpStream) {
        respond(stream, &http::answer(200, "", "<html>Please log in.</html>")).await;
    }

    /// Answers any request like a network that lets only its own proxy out.
    pub(crate) async fn forbid(stream: TcpStream) {
        respond(stream, &http::answer(403, "", "<html>Use the proxy.</html>")).await;
    }

    /// The login page over TLS.
    pub(crate) async fn serve_tls(self: Arc<Self>, stream: TcpStream) {
        let Ok(mut stream) = self.tls.accept(stream).await else { return };
        let Ok(_request) = http::read(&mut stream).await else { return };
        let answer = http::answer(200, "", "<html>Please log in.</html>");
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Answers one request.
async fn respond(mut stream: TcpStream, answer: &str) {
    let Ok(_request) = http::read(&mut stream).await else { return };
    // The client may have closed the connection; the error does not matter.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
