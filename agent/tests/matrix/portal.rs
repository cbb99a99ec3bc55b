//! The login page of a network: it answers in everybody's name.

use std::sync::Arc;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::play::{certificates::Authority, http};

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
    pub(crate) async fn serve_page(self: Arc<Self>, mut stream: TcpStream) {
        let Ok(_request) = http::read(&mut stream).await else { return };
        let location = "Location: http://login.hotel.example/welcome\r\n";
        let answer = http::answer(302, location, "<html>Please log in.</html>");
        // The caller may be gone, which is no matter.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
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
