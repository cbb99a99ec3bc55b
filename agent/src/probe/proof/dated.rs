//! Certificates, judged by a device whose clock is not set yet.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::clock::SOURCE_DATE;

/// No chain is longer than this, and each of its certificates has a beginning of its own.
const LONGEST_CHAIN: usize = 8;

/// A verifier that, while the clock lies before the date of this program's source, judges a certificate at
/// its own beginning. Such a clock is certainly wrong: a machine without a battery starts in 1970, and its
/// start must not be an outage. Everything else about the certificate has to be right all the same.
#[derive(Debug)]
pub(super) struct Dated {
    inner: Arc<dyn ServerCertVerifier>,
}

impl Dated {
    pub(super) fn new(inner: Arc<dyn ServerCertVerifier>) -> Self {
        Self { inner }
    }
}

impl ServerCertVerifier for Dated {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |at| {
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        let mut verdict = verify(now);
        if !is_impossible(now) {
            return verdict;
        }
        for _ in 0..LONGEST_CHAIN {
            let Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) = verdict
            else {
                break;
            };
            verdict = verify(not_before);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_impossible(now: UnixTime) -> bool {
    u64::try_from(SOURCE_DATE.as_second()).is_ok_and(|source| now.as_secs() < source)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
    };
    use rustls::{RootCertStore, client::WebPkiServerVerifier, crypto::ring};

    use super::*;

    #[test]
    fn only_an_impossible_clock_has_a_certificate_judged_at_its_own_beginning() {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(authority, key).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).expect("a root");
        let provider = Arc::new(ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("a verifier");
        let verifier = Dated::new(inner);
        let verdict = |name: &str, years: std::ops::Range<i32>, now: u64| {
            let mut parameters =
                CertificateParams::new(["203.0.113.1".to_owned()]).expect("a name");
            parameters.not_before = date_time_ymd(years.start, 1, 1);
            parameters.not_after = date_time_ymd(years.end, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
            let name = ServerName::try_from(name.to_owned()).expect("a name");
            let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
            verifier.verify_server_cert(certificate.der(), &[], &name, &[], now).is_ok()
        };
        let source = u64::try_from(SOURCE_DATE.as_second()).expect("after 1970");
        let year = |years: u64| years * 365 * 24 * 3_600;
        assert!(verdict("203.0.113.1", 2020..2050, source + 1), "it is valid");
        assert!(verdict("203.0.113.1", 2020..2050, 7), "in 1970");
        assert!(verdict("203.0.113.1", 2020..2050, source - year(15)), "some years too early");
        assert!(!verdict("203.0.113.2", 2020..2050, 7), "another's, whatever the time");
        assert!(!verdict("203.0.113.1", 2020..2021, source), "expired");
        assert!(!verdict("203.0.113.1", 2048..2050, source + 1), "not yet, by a possible clock");
        assert!(verdict("203.0.113.1", 2020..2021, 7), "nobody knows whether it has expired");
    }
}
