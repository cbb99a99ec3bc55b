//! Certificates made for one test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// TLS server configuration that presents a certificate and signs with a key; the two need not match.
pub fn server_with_key(
    certificate: CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Arc<ServerConfig> {
    let key = ring::sign::any_supported_type(key).expect("a private key");
    let certified = rustls::sign::CertifiedKey::new(vec![certificate], key);
    let resolver = rustls::sign::SingleCertAndKey::from(certified);
    let configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    Arc::new(configuration)
}

/// A certificate authority that is trusted only where a test configures it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Creates an authority whose common name is `name`.
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(parameters, key).expect("a certificate") }
    }

    /// The root certificate in DER.
    pub fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// The root certificate in PEM, for `SSL_CERT_FILE`.
    pub fn root_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Server configuration with a certificate for `name`, valid from January 1 of `years.start` to
    /// January 1 of `years.end`.
    pub fn server(&self, name: &str, years: std::ops::Range<i32>) -> Arc<ServerConfig> {
        self.server_for_names(&[name], years)
    }

    /// Like [`Self::server`], for several names or addresses.
    pub fn server_for_names(
        &self,
        names: &[&str],
        years: std::ops::Range<i32>,
    ) -> Arc<ServerConfig> {
        let (certificate, key) = self.certificate_with(names, years, |_| {});
        let configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("key and certificate match");
        Arc::new(configuration)
    }

    /// A server certificate for `name` and its key.
    pub fn certificate(
        &self,
        name: &str,
        years: std::ops::Range<i32>,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        self.certificate_with(&[name], years, |_| {})
    }

    /// Server configuration whose certificate is marked as that of a certificate authority.
    pub fn server_with_authority(&self, name: &str) -> Arc<ServerConfig> {
        let (certificate, key) = self.certificate_with(&[name], 2000..2100, |parameters| {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        });
        server_with_key(certificate, &key)
    }

    fn certificate_with(
        &self,
        names: &[&str],
        years: std::ops::Range<i32>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).expect("names or addresses");
        parameters.not_before = date_time_ymd(years.start, 1, 1);
        parameters.not_after = date_time_ymd(years.end, 1, 1);
        change(&mut parameters);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
        (certificate.der().clone(), key)
    }
}
