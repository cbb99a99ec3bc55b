//! The TLS configuration of a client: trusted roots, session resumption, and hooks that record the
//! progress of a handshake.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::progress::{self, HeartbeatPhase};
use crate::tls::{Validity, provider, verify_certificate};

/// The size of the session cache. rustls counts eight sessions for each server, and there are two servers
/// at most: the endpoint and a proxy.
const SESSION_CACHE_SIZE: usize = 16;

/// Creates a configuration in which `verifier` verifies certificates. Without one, none is accepted: such
/// a client encrypts no connection, and so works on a system without any roots.
///
/// # Errors
/// The provider supports none of the TLS versions.
pub(super) fn client_config(
    verifier: Option<Arc<dyn ServerCertVerifier>>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match verifier {
        Some(verifier) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(ProofRecorder(verifier)))
        }
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut configuration = builder.with_no_client_auth();
    configuration.resumption = Resumption::store(Arc::new(PhaseSessionStore {
        memory: ClientSessionMemoryCache::new(SESSION_CACHE_SIZE),
    }));
    Ok(configuration)
}

/// Verifies certificates as strictly as any client, and records whether one that is not valid yet still
/// proves the server's identity: connectivity works then, and the clock is wrong.
///
/// Anyone can copy a certificate, but not the signature over the handshake. So a certificate whose only
/// fault is that it is not valid yet passes until that signature is verified, and fails then.
#[derive(Debug)]
struct ProofRecorder(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for ProofRecorder {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Validity::NotYet(error) =
            verify_certificate(&*self.0, certificate, intermediates, name, ocsp, now)?
        {
            progress::store_not_yet_valid(error)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let valid = self.0.verify_tls12_signature(message, certificate, signature)?;
        progress::finish_signature_check()?;
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let valid = self.0.verify_tls13_signature(message, certificate, signature)?;
        progress::finish_signature_check()?;
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Caches sessions, and records the start of a handshake: rustls calls `kx_hint` before the first message.
#[derive(Debug)]
struct PhaseSessionStore {
    memory: ClientSessionMemoryCache,
}

impl ClientSessionStore for PhaseSessionStore {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.memory.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        progress::enter_phase(HeartbeatPhase::TlsHandshake);
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
