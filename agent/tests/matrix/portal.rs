//! The login page of a network: it answers in everybody's name.

use std::sync::Arc;

use ispmon_testing::certificates::Authority;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::play::http;

/// A port at which any request is answered with the login page, by status 200.
pub(crate) const SHOWS: u16 = 8_200;
/// A port at which any request is forbidden, by status 403.
pub(crate) const FORBIDS: u16 = 8_403;

/// The server of the login page.
pub(crate) struct Portal {
    tls: TlsAcceptor,
}

impl Portal {
    /// A portal whose certificate nobody trusts, for a name that nobody asked for.
    pub(crate) fn new() -> Self {
        let authority = Authority::new("Hotel Lobby");
        Self { tls: authority.server("login.hotel.example", 2020..2100).into() }
    }

    /// Answers any request with the way to the login page.
    pub(crate) async fn redirect(stream: TcpStream) {
        let location = "Location: http://login.hotel.example/welcome\r\n";
        give(stream, &http::answer(302, location, "<html>Please log in.</html>")).await;
    }

    /// Answers any request with the login page itself.
    pub(crate) async fn show(stream: TcpStream) {
        give(stream, &http::answer(200, "", "<html>Please log in.</html>")).await;
    }

    /// Answers any request as a network does that lets nobody pass but its own proxy.
    pub(crate) async fn forbid(stream: TcpStream) {
        give(stream, &http::answer(403, "", "<html>Use the proxy.</html>")).await;
    }

    /// The same by TLS.
    pub(crate) async fn serve_tls(self: Arc<Self>, stream: TcpStream) {
        let Ok(mut stream) = self.tls.accept(stream).await else { return };
        let Ok(_request) = http::read(&mut stream).await else { return };
        let answer = http::answer(200, "", "<html>Please log in.</html>");
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Answers one request.
async fn give(mut stream: TcpStream, answer: &str) {
    let Ok(_request) = http::read(&mut stream).await else { return };
    // The caller may be gone, which is no matter.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
