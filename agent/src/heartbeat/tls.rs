//! TLS for the life of a client: provider, trusted roots, resumption.

use std::sync::Arc;

use rustls::{
    ClientConfig, NamedGroup, RootCertStore,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};

use super::progress::{self, Phase};
use crate::tls::platform_verifier;

/// How many sessions are remembered for resumption. rustls counts eight for each server, and there
/// are two at most: the other side and a proxy.
const REMEMBERED_SESSIONS: usize = 16;

/// Who may vouch for a server.
pub(super) enum Roots {
    /// The roots that the operating system trusts. On Linux they are read once, from
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` where those are set; on macOS the system judges every
    /// certificate itself.
    Platform,
    /// Nobody: no connection of this client is encrypted. A system without any roots can do that
    /// too.
    Nobody,
    /// Only these, for tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests have roots of their own"))]
    Only(Vec<CertificateDer<'static>>),
}

/// Makes a configuration with the ring provider, which nothing else needs to install.
///
/// # Errors
/// The platform's roots cannot be read, there are none, or a root is not a certificate.
pub(super) fn configuration(roots: Roots) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match roots {
        Roots::Platform => {
            builder.dangerous().with_custom_certificate_verifier(platform_verifier()?)
        }
        Roots::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        Roots::Only(certificates) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates {
                store.add(certificate)?;
            }
            builder.with_root_certificates(store)
        }
    };
    let mut configuration = builder.with_no_client_auth();
    configuration.resumption = Resumption::store(Arc::new(Sessions {
        memory: ClientSessionMemoryCache::new(REMEMBERED_SESSIONS),
    }));
    Ok(configuration)
}

/// Remembers sessions, and notes when a handshake begins: rustls asks for its hint before the first
/// message.
#[derive(Debug)]
struct Sessions {
    memory: ClientSessionMemoryCache,
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.memory.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        progress::reached(Phase::Securing);
        self.memory.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.memory.set_tls12_session(server, session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.memory.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.memory.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.memory.insert_tls13_ticket(server, ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.memory.take_tls13_ticket(server)
    }
}
