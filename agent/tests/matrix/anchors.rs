//! The anchors. Each proves its identity with a certificate for its IP address.

use std::{net::IpAddr, sync::Arc};

use ispmon_testing::certificates::Authority;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::play::addresses::ANCHORS;

/// The anchors of all organisations with their TLS configurations.
pub(crate) struct Anchors(Vec<([IpAddr; 2], TlsAcceptor)>);

impl Anchors {
    /// Creates one anchor per organisation, each with a certificate of this authority.
    pub(crate) fn new(authority: &Authority) -> Self {
        let organisation = |addresses: [&str; 2]| {
            let certificate = authority.server_for_names(&addresses, 2020..2100);
            (addresses.map(|address| address.parse().expect("an address")), certificate.into())
        };
        Self(ANCHORS.map(organisation).into())
    }

    /// Serves one connection until the client closes it. On an address that belongs to no anchor it
    /// closes the connection.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream) {
        let Ok(local) = stream.local_addr() else { return };
        let local = local.ip().to_canonical();
        let mut organisations = self.0.iter();
        let Some((_, tls)) = organisations.find(|(addresses, _)| addresses.contains(&local)) else {
            return;
        };
        let Ok(mut stream) = tls.accept(stream).await else { return };
        let _ = stream.read_u8().await;
    }
}
