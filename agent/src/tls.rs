//! TLS that heartbeats and probes share: the trusted roots, and what a certificate proves while the clock of
//! this device is wrong.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};

use crate::clock::SOURCE_DATE;

/// How often a chain is verified again at the start of validity of one of its certificates: a chain has a
/// few, and each may start later than the one before.
const MOST_BEGINNINGS: usize = 4;
/// Suffixes of macOS's error texts for a certificate outside its validity, `errSecCertificateExpired` and
/// `errSecCertificateNotValidYet` (Security/SecBase.h); the platform verifier reports texts only.
const MAC_EXPIRED: &str = ": -67818";
const MAC_NOT_VALID_YET: &str = ": -67819";

/// The cryptography provider; it is passed explicitly, so no process-wide default is installed.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The one verifier of this process, with the roots that the operating system trusts. It is shared because
/// the parsed roots are the largest part of the memory that TLS uses. `None` before its first use.
static VERIFIER: Mutex<Option<Verifier>> = Mutex::new(None);

type Verifier = Result<Arc<dyn ServerCertVerifier>, Error>;

/// Verifies certificates by the roots that the operating system trusts. On Linux the first call reads their
/// files, so it may wait for a disk; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. Later calls return the
/// verifier of that read. On macOS the system verifies every certificate itself.
///
/// # Errors
/// The roots cannot be read, or there are none.
pub fn platform_verifier() -> Verifier {
    let mut verifier = VERIFIER.lock().unwrap_or_else(PoisonError::into_inner);
    verifier.get_or_insert_with(read_platform_roots).clone()
}

/// Environment variable: a file with roots, which replaces the system's.
pub const ROOTS_FILE_VARIABLE: &str = "SSL_CERT_FILE";
/// Environment variable: folders with such files, separated by colons.
pub const ROOTS_FOLDERS_VARIABLE: &str = "SSL_CERT_DIR";

/// The number of certificates in a PEM file.
///
/// # Errors
/// The file cannot be read.
pub fn count_roots_in_file(path: &Path) -> io::Result<usize> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| match error {
        pem::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    })?;
    Ok(certificates.filter_map(Result::ok).count())
}

/// The number of certificates in the files of a folder.
///
/// # Errors
/// The folder cannot be listed.
pub fn count_roots_in_folder(path: &Path) -> io::Result<usize> {
    let files = fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path());
    let files = files.filter(|path| path.is_file());
    Ok(files.filter_map(|path| count_roots_in_file(&path).ok()).sum())
}

/// Reads the roots again, for the next call of [`platform_verifier`]; if that fails, roots that were read
/// before stay in use. It blocks on the disk, so do not call it from the event loop.
pub fn read_roots_again() {
    let read = read_platform_roots();
    let mut verifier = VERIFIER.lock().unwrap_or_else(PoisonError::into_inner);
    if read.is_ok() || !matches!(*verifier, Some(Ok(_))) {
        *verifier = Some(read);
    }
}

fn read_platform_roots() -> Verifier {
    Ok(Arc::new(rustls_platform_verifier::Verifier::new(provider())?))
}

/// Verifies certificates by these roots only.
///
/// # Errors
/// There are no roots, or one of them is no certificate.
pub fn verifier_of(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Verifier {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider());
    match builder.build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(Error::General(error.to_string())),
    }
}

/// When a certificate that is otherwise good is valid.
#[derive(Debug)]
pub enum Validity {
    /// At the given time.
    Now,
    /// Not yet by the clock of this device, as the error reports. Only its owner can use it even so, so it
    /// proves its server as well as a valid one does; the clock is wrong.
    NotYet(Error),
}

/// Verifies a server's certificate at `now`; and if it is not valid yet, at the start of its validity.
///
/// A clock that is slow (no battery, or one that resumes at the time of the power-off) makes every younger
/// certificate invalid, which shows nothing about the connection. The caller must also have the handshake's
/// signature verified: the certificate alone is public.
///
/// # Errors
/// The certificate is not good at any of these times.
pub fn verify_certificate(
    verifier: &dyn ServerCertVerifier,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    ocsp: &[u8],
    now: UnixTime,
) -> Result<Validity, Error> {
    let mut first = None;
    let mut at = now;
    for _ in 0..MOST_BEGINNINGS {
        let judged = verifier.verify_server_cert(certificate, intermediates, name, ocsp, at);
        let Err(error) = judged.map_err(normalise_validity_error) else { break };
        let Some(beginning) = beginning(&error, now).filter(|beginning| *beginning > at) else {
            return Err(error);
        };
        at = beginning;
        first.get_or_insert(error);
    }
    Ok(first.map_or(Validity::Now, Validity::NotYet))
}

/// The start of validity of a certificate that is not valid yet; if the system does not report it, the date
/// of this source, provided that the clock is before it and thus certainly wrong.
fn beginning(error: &Error, now: UnixTime) -> Option<UnixTime> {
    match error {
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            Some(*not_before)
        }
        Error::InvalidCertificate(CertificateError::NotValidYet) => {
            let source = u64::try_from(SOURCE_DATE.as_second()).unwrap_or_default();
            (now.as_secs() < source)
                .then(|| UnixTime::since_unix_epoch(std::time::Duration::from_secs(source)))
        }
        _ => None,
    }
}

/// The end of validity of an expired certificate; if the system does not report it, the date of this source.
fn end(error: &Error) -> Option<UnixTime> {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Some(*not_after)
        }
        Error::InvalidCertificate(CertificateError::Expired) => {
            let source = u64::try_from(SOURCE_DATE.as_second()).unwrap_or_default();
            Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(source)))
        }
        _ => None,
    }
}

/// Maps macOS's error texts for a certificate outside its validity to the error of the other systems.
fn normalise_validity_error(error: Error) -> Error {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = &error else {
        return error;
    };
    let text = inner.to_string();
    if text.ends_with(MAC_NOT_VALID_YET) {
        return CertificateError::NotValidYet.into();
    }
    if text.ends_with(MAC_EXPIRED) {
        return CertificateError::Expired.into();
    }
    error
}

/// Verifies like [`verify_certificate`] and also accepts a certificate that is not valid yet or has expired by this
/// device's clock: for callers that only check a server's identity and send it nothing. A fast clock must not
/// be reported as an outage. The handshake's signature is always verified.
#[derive(Debug)]
pub struct ProofVerifier(pub Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for ProofVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = |at| verify_certificate(&*self.0, certificate, intermediates, name, ocsp, at);
        judged(now)
            .or_else(|error| end(&error).map_or(Err(error), judged))
            .map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ispmon_testing::certificates::Authority;

    use super::*;

    fn at(text: &str) -> UnixTime {
        let time: jiff::Timestamp = text.parse().expect("a time");
        UnixTime::since_unix_epoch(Duration::from_secs(
            u64::try_from(time.as_second()).expect("after 1970"),
        ))
    }

    #[test]
    fn a_certificate_is_verified_at_its_start_if_the_clock_is_before_it() {
        let authority = Authority::new("A");
        let verifier = verifier_of([authority.root()]).expect("a root");
        let judged = |name: &str, years, now: &str| {
            let (certificate, _) = authority.certificate("a.example", years);
            let name = ServerName::try_from(name.to_owned()).expect("a name");
            verify_certificate(&*verifier, &certificate, &[], &name, &[], at(now))
        };
        assert!(matches!(
            judged("a.example", 2020..2030, "2026-01-01T00:00:00Z"),
            Ok(Validity::Now)
        ));
        let early = judged("a.example", 2025..2030, "2024-01-01T00:00:00Z");
        assert!(matches!(early, Ok(Validity::NotYet(_))), "{early:?}");
        let late = judged("a.example", 2020..2025, "2026-01-01T00:00:00Z");
        assert!(late.is_err(), "{late:?}");
        let other = judged("b.example", 2025..2030, "2024-01-01T00:00:00Z");
        assert!(other.is_err(), "its name is wrong at any time: {other:?}");
    }

    #[test]
    fn an_anchor_proves_its_identity_whatever_the_clock() {
        let authority = Authority::new("A");
        let verifier = ProofVerifier(verifier_of([authority.root()]).expect("a root"));
        let (certificate, _) = authority.certificate("a.example", 2020..2025);
        let judged = |name: &str, now: &str| {
            let name = ServerName::try_from(name.to_owned()).expect("a name");
            verifier.verify_server_cert(&certificate, &[], &name, &[], at(now)).is_ok()
        };
        for now in ["1970-01-01T00:00:00Z", "2022-01-01T00:00:00Z", "2069-12-31T00:00:00Z"] {
            assert!(judged("a.example", now), "{now}");
            assert!(!judged("b.example", now), "its name is wrong at any time: {now}");
        }
    }

    #[test]
    fn roots_are_read_once_and_then_only_on_demand() {
        let (Ok(first), Ok(second)) = (platform_verifier(), platform_verifier()) else {
            let _ = io::Write::write_all(
                &mut io::stderr(),
                b"SKIPPED: this system has no trusted roots\n",
            );
            return;
        };
        assert!(Arc::ptr_eq(&first, &second));
        read_roots_again();
        let third = platform_verifier().expect("they are there still");
        assert!(!Arc::ptr_eq(&first, &third));
    }

    #[test]
    fn an_unknown_issuer_is_rejected_at_any_time() {
        let verifier = verifier_of([Authority::new("B").root()]).expect("a root");
        let (certificate, _) = Authority::new("A").certificate("a.example", 2025..2030);
        let name = ServerName::try_from("a.example").expect("a name");
        for now in ["2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z"] {
            let judged = verify_certificate(&*verifier, &certificate, &[], &name, &[], at(now));
            let unknown = Error::from(CertificateError::UnknownIssuer);
            assert_eq!(judged.err(), Some(unknown), "{now}");
        }
    }

    #[test]
    fn the_error_texts_of_macos_are_mapped_to_the_usual_errors() {
        for (text, expected) in [
            (
                "“a.example” certificate is not valid yet: -67819",
                Some(CertificateError::NotValidYet),
            ),
            ("“a.example” certificate is expired: -67818", Some(CertificateError::Expired)),
            ("“a.example” certificate is not trusted: -67843", None),
        ] {
            let inner: Box<dyn std::error::Error + Send + Sync> = text.into();
            let error = Error::from(CertificateError::Other(OtherError(Arc::from(inner))));
            let known = match normalise_validity_error(error) {
                Error::InvalidCertificate(CertificateError::Other(_)) => None,
                Error::InvalidCertificate(known) => Some(known),
                other => panic!("{other}"),
            };
            assert_eq!(known, expected, "{text}");
        }
    }

    #[test]
    fn a_clock_before_this_source_is_wrong_even_if_the_start_is_not_reported() {
        let not_yet = Error::from(CertificateError::NotValidYet);
        assert!(beginning(&not_yet, at("1970-01-01T00:00:00Z")).is_some());
        assert_eq!(beginning(&not_yet, at("2090-01-01T00:00:00Z")), None);
    }
}
