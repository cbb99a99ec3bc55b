//! Who may vouch for a server: the roots that the operating system trusts, for heartbeats and probes.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{client::danger::ServerCertVerifier, crypto::ring};
use rustls_platform_verifier::Verifier;

/// The one verifier of this program: the parsed roots are the largest part of what TLS keeps in memory.
static VERIFIER: Mutex<Option<Arc<Verifier>>> = Mutex::new(None);

/// Judges certificates by the roots that the operating system trusts. On Linux they are read from disk
/// until that has succeeded once, from `SSL_CERT_FILE` or `SSL_CERT_DIR` where those are set; on macOS
/// the system judges every certificate itself.
///
/// # Errors
/// The roots cannot be read, or there are none.
pub fn platform_verifier() -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let mut verifier = VERIFIER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verifier) = &*verifier {
        return Ok(Arc::clone(verifier) as Arc<dyn ServerCertVerifier>);
    }
    let made = Arc::new(Verifier::new(Arc::new(ring::default_provider()))?);
    *verifier = Some(Arc::clone(&made));
    Ok(made)
}
