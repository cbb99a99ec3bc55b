//! Sentences for the errors of the TLS library. Every variant has one, so that users never read a
//! variant's name.

use std::fmt;

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error, OtherError, pki_types::UnixTime};

use super::FailureKind;
use crate::printable::shortened;

/// How many characters of a foreign text a sentence shows.
const SHOWN_CHARACTERS: usize = 120;

/// The kind and reason of an error in the handshake with `server`, or after it.
pub(super) fn classify(error: &Error, server: &str) -> (FailureKind, String) {
    if let Error::InvalidCertificate(problem) = error {
        return classify_certificate(problem, server);
    }
    let reason = match error {
        Error::InvalidMessage(_) => format!("what {server} answered is not TLS"),
        Error::AlertReceived(alert) => {
            format!("{server} refused the TLS handshake: {}", TlsAlert(*alert))
        }
        Error::PeerIncompatible(_) => {
            format!("{server} and this program have no version or method of TLS in common")
        }
        Error::NoApplicationProtocol => {
            format!("{server} speaks TLS, but not HTTP/1.1 in it")
        }
        Error::NoCertificatesPresented => format!("{server} showed no certificate"),
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord
        | Error::InvalidEncryptedClientHello(_) => {
            format!(
                "{server} does not keep to the rules of TLS, or something on the way changes what it says"
            )
        }
        Error::DecryptError => format!(
            "what {server} sent cannot be decrypted; something on the way may have changed it"
        ),
        Error::EncryptError
        | Error::HandshakeNotComplete
        | Error::BadMaxFragmentSize
        | Error::InconsistentKeys(_) => {
            format!("the TLS handshake with {server} failed within this program")
        }
        Error::UnsupportedNameType => {
            format!("the host {server} has a name for which no certificate can be made")
        }
        Error::InvalidCertRevocationList(_) => {
            format!("whether the certificate of {server} is revoked cannot be found out")
        }
        Error::FailedToGetCurrentTime => "this device does not know the time".to_owned(),
        Error::FailedToGetRandomBytes => "this device has no random numbers for TLS".to_owned(),
        Error::General(text) => format!(
            "the TLS handshake with {server} failed ({})",
            shortened(text, SHOWN_CHARACTERS)
        ),
        Error::Other(OtherError(inner)) => format!(
            "the TLS handshake with {server} failed ({})",
            shortened(&inner.to_string(), SHOWN_CHARACTERS)
        ),
        _ => format!("the TLS handshake with {server} failed"),
    };
    (FailureKind::TlsHandshake, reason)
}

/// The alert with which the server ended the handshake (RFC 8446, section 6).
struct TlsAlert(AlertDescription);

impl fmt::Display for TlsAlert {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AlertDescription as Said;

        formatter.write_str(match self.0 {
            Said::CloseNotify | Said::UserCanceled => "it hung up",
            Said::HandshakeFailure | Said::InsufficientSecurity => {
                "it has no method of TLS in common with this program"
            }
            Said::ProtocolVersion | Said::InappropriateFallback => {
                "it has no version of TLS in common with this program"
            }
            Said::UnrecognisedName => "it does not know the host by this name",
            Said::AccessDenied => "it denies access",
            // Servers in Go send `bad_certificate` when the client has shown none.
            Said::CertificateRequired | Said::NoCertificate | Said::BadCertificate => {
                "it wants a certificate of this device, which has none"
            }
            // This device has shown no certificate that a server could judge.
            Said::UnsupportedCertificate
            | Said::CertificateRevoked
            | Said::CertificateExpired
            | Said::CertificateUnknown
            | Said::UnknownCA => "it, or a proxy on the path, rejected a certificate",
            Said::NoApplicationProtocol => "it does not speak HTTP/1.1",
            Said::InternalError => "it has an error of its own",
            other => {
                return write!(formatter, "its reason has the number {}", u8::from(other));
            }
        })
    }
}

/// Why a certificate was not accepted.
fn classify_certificate(problem: &CertificateError, server: &str) -> (FailureKind, String) {
    use CertificateError as Problem;
    use FailureKind as Kind;

    let (kind, verdict) = match problem {
        // `BadSignature`: a certificate that names a trusted issuer which never signed it.
        Problem::UnknownIssuer | Problem::BadSignature => {
            (Kind::TlsUntrusted, "is not signed by anybody whom this system trusts".to_owned())
        }
        Problem::Expired => (Kind::TlsExpired, "has expired".to_owned()),
        Problem::ExpiredContext { time, not_after } => (
            Kind::TlsExpired,
            format!(
                "expired on {} (it is {} by the clock of this device)",
                CertificateTime(*not_after),
                CertificateTime(*time)
            ),
        ),
        Problem::NotValidYet => (Kind::TlsNotYetValid, "is not valid yet".to_owned()),
        Problem::NotValidYetContext { time, not_before } => (
            Kind::TlsNotYetValid,
            format!(
                "is not valid before {} (it is {} by the clock of this device)",
                CertificateTime(*not_before),
                CertificateTime(*time)
            ),
        ),
        Problem::NotValidForName => (Kind::TlsWrongName, "is for another host".to_owned()),
        Problem::NotValidForNameContext { presented, .. } => {
            (Kind::TlsWrongName, format!("is for another host{}", CertificateNames(presented)))
        }
        Problem::BadEncoding => (Kind::TlsCertificate, "is damaged".to_owned()),
        Problem::Revoked => (Kind::TlsCertificate, "was revoked by its issuer".to_owned()),
        Problem::UnknownRevocationStatus
        | Problem::ExpiredRevocationList
        | Problem::ExpiredRevocationListContext { .. }
        | Problem::InvalidOcspResponse => (
            Kind::TlsCertificate,
            "cannot be accepted, because it is not known whether it was revoked".to_owned(),
        ),
        Problem::UnhandledCriticalExtension => (
            Kind::TlsCertificate,
            "has a condition that this program does not understand".to_owned(),
        ),
        Problem::UnsupportedSignatureAlgorithmContext { .. }
        | Problem::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            (Kind::TlsCertificate, OLD_SIGNATURE.to_owned())
        }
        #[allow(deprecated, reason = "the platform's verifier may still give it")]
        Problem::UnsupportedSignatureAlgorithm => (Kind::TlsCertificate, OLD_SIGNATURE.to_owned()),
        Problem::InvalidPurpose | Problem::InvalidPurposeContext { .. } => {
            (Kind::TlsCertificate, NOT_FOR_SERVERS.to_owned())
        }
        Problem::Other(OtherError(inner)) => {
            let text = inner.to_string();
            let verdict = match inner.downcast_ref::<webpki::Error>() {
                Some(problem) => chain_fault(problem).to_owned(),
                // The platform verifier's error for a wrong purpose, whose type it does not export.
                None if text == "certificate had invalid extensions" => NOT_FOR_SERVERS.to_owned(),
                // On macOS, the system's text.
                None => format!("cannot be accepted ({})", shortened(&text, SHOWN_CHARACTERS)),
            };
            (Kind::TlsCertificate, verdict)
        }
        _ => (Kind::TlsCertificate, NOT_ACCEPTED.to_owned()),
    };
    (kind, format!("the certificate of {server} {verdict}"))
}

const NOT_ACCEPTED: &str = "cannot be accepted";
const NOT_FOR_SERVERS: &str = "was not made for servers";
const OLD_SIGNATURE: &str =
    "is signed by a method that this program does not accept, mostly an old one";
const DAMAGED: &str = "is damaged";

/// The fault of a certificate chain for which the TLS library has no variant of its own.
fn chain_fault(problem: &webpki::Error) -> &'static str {
    use webpki::Error as Problem;

    match problem {
        Problem::CaUsedAsEndEntity => "is that of an authority and not of a server",
        Problem::EndEntityUsedAsCa => "is signed by one that may sign no others",
        Problem::PathLenConstraintViolated => "is signed by one that may sign no servers",
        Problem::NameConstraintViolation => "is for a host that its issuer may not vouch for",
        Problem::CertDistrusted => "is one that this system distrusts",
        Problem::MaximumPathDepthExceeded
        | Problem::MaximumSignatureChecksExceeded
        | Problem::MaximumPathBuildCallsExceeded
        | Problem::MaximumNameConstraintComparisonsExceeded => {
            "has too long or too intricate a chain of issuers"
        }
        Problem::UnsupportedCertVersion => "has an outdated format (before X.509 version 3)",
        Problem::UnsupportedCriticalExtension | Problem::EmptyEkuExtension => {
            "has a condition that this program does not understand"
        }
        Problem::SignatureAlgorithmMismatch => "names two methods of signing that differ",
        Problem::BadDer
        | Problem::BadDerTime
        | Problem::ExtensionValueInvalid
        | Problem::InvalidCertValidity
        | Problem::InvalidNetworkMaskConstraint
        | Problem::InvalidSerialNumber
        | Problem::MalformedDnsIdentifier
        | Problem::MalformedExtensions
        | Problem::MalformedNameConstraint
        | Problem::TrailingData(_) => DAMAGED,
        _ => NOT_ACCEPTED,
    }
}

/// A time of a certificate, such as `2026-01-31 12:00:00 UTC`.
struct CertificateTime(UnixTime);

impl fmt::Display for CertificateTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match Timestamp::from_second(seconds) {
            Ok(time) => write!(formatter, "{}", time.strftime("%Y-%m-%d %H:%M:%S UTC")),
            Err(_) => write!(formatter, "{seconds} s after 1970"),
        }
    }
}

/// The hosts that a certificate is for. They are untrusted input, so their number and length are bounded.
struct CertificateNames<'a>(&'a [String]);

impl CertificateNames<'_> {
    const MAX_NAMES: usize = 3;
    const MAX_NAME_CHARACTERS: usize = 80;
}

impl fmt::Display for CertificateNames<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().take(Self::MAX_NAMES).map(|name| {
            // rustls lists a name as `DnsName("example.net")`.
            let name = name.split('"').nth(1).unwrap_or(name);
            shortened(name, Self::MAX_NAME_CHARACTERS)
        });
        let shown: Vec<String> = shown.collect();
        match (shown.is_empty(), self.0.len() > Self::MAX_NAMES) {
            (true, _) => Ok(()),
            (false, false) => write!(formatter, ": {}", shown.join(", ")),
            (false, true) => write!(formatter, ": {} and others", shown.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use rustls::{
        CertRevocationListError, ContentType, EncryptedClientHelloError, ExtendedKeyPurpose,
        HandshakeType, InconsistentKeys, InvalidMessage, PeerIncompatible, PeerMisbehaved,
        pki_types::ServerName,
    };

    use super::*;

    const SERVER: &str = "func.example:443";

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn other(inner: impl std::error::Error + Send + Sync + 'static) -> OtherError {
        OtherError(Arc::new(inner))
    }

    /// Every variant with its kind.
    fn certificates() -> Vec<(CertificateError, FailureKind)> {
        use CertificateError as Problem;
        use FailureKind as Kind;

        let (time, later) = (at(0), at(1_000_000_000));
        #[allow(deprecated, reason = "all of them")]
        let old = Problem::UnsupportedSignatureAlgorithm;
        vec![
            (Problem::BadEncoding, Kind::TlsCertificate),
            (Problem::Expired, Kind::TlsExpired),
            (Problem::ExpiredContext { time, not_after: time }, Kind::TlsExpired),
            (Problem::NotValidYet, Kind::TlsNotYetValid),
            (Problem::NotValidYetContext { time, not_before: later }, Kind::TlsNotYetValid),
            (Problem::Revoked, Kind::TlsCertificate),
            (Problem::UnhandledCriticalExtension, Kind::TlsCertificate),
            (Problem::UnknownIssuer, Kind::TlsUntrusted),
            (Problem::UnknownRevocationStatus, Kind::TlsCertificate),
            (Problem::ExpiredRevocationList, Kind::TlsCertificate),
            (
                Problem::ExpiredRevocationListContext { time: later, next_update: time },
                Kind::TlsCertificate,
            ),
            (Problem::BadSignature, Kind::TlsUntrusted),
            (old, Kind::TlsCertificate),
            (
                Problem::UnsupportedSignatureAlgorithmContext {
                    signature_algorithm_id: vec![6, 9],
                    supported_algorithms: Vec::new(),
                },
                Kind::TlsCertificate,
            ),
            (
                Problem::UnsupportedSignatureAlgorithmForPublicKeyContext {
                    signature_algorithm_id: vec![6, 9],
                    public_key_algorithm_id: vec![6, 9],
                },
                Kind::TlsCertificate,
            ),
            (Problem::NotValidForName, Kind::TlsWrongName),
            (
                Problem::NotValidForNameContext {
                    expected: ServerName::try_from("func.example").expect("a name"),
                    presented: vec!["DnsName(\"portal.example\")".to_owned()],
                },
                Kind::TlsWrongName,
            ),
            (Problem::InvalidPurpose, Kind::TlsCertificate),
            (
                Problem::InvalidPurposeContext {
                    required: ExtendedKeyPurpose::ServerAuth,
                    presented: vec![ExtendedKeyPurpose::ClientAuth],
                },
                Kind::TlsCertificate,
            ),
            (Problem::InvalidOcspResponse, Kind::TlsCertificate),
            (Problem::ApplicationVerificationFailure, Kind::TlsCertificate),
            (Problem::Other(other(webpki::Error::CaUsedAsEndEntity)), Kind::TlsCertificate),
            (Problem::Other(other(webpki::Error::PathLenConstraintViolated)), Kind::TlsCertificate),
            (Problem::Other(other(webpki::Error::NameConstraintViolation)), Kind::TlsCertificate),
            (Problem::Other(other(webpki::Error::UnsupportedCertVersion)), Kind::TlsCertificate),
            (Problem::Other(other(webpki::Error::UnsupportedDeltaCrl)), Kind::TlsCertificate),
        ]
    }

    /// Whether the text contains the name of a variant, such as `CaUsedAsEndEntity`, or a struct's Debug.
    fn shows_code(text: &str) -> bool {
        let is_camel = |word: &str| {
            word.chars()
                .zip(word.chars().skip(1))
                .any(|(a, b)| a.is_lowercase() && b.is_uppercase())
        };
        text.contains(['{', '[']) || text.split_whitespace().any(is_camel)
    }

    #[test]
    fn every_certificate_error_has_a_kind_and_a_sentence() {
        let mut sentences = Vec::new();
        for (problem, expected) in certificates() {
            let (kind, sentence) = classify(&Error::InvalidCertificate(problem), SERVER);
            assert_eq!(kind, expected, "{sentence}");
            assert!(!shows_code(&sentence), "{sentence}");
            sentences.push(sentence);
        }
        sentences.dedup();
        insta::assert_snapshot!(sentences.join("\n"), @r"
        the certificate of func.example:443 is damaged
        the certificate of func.example:443 has expired
        the certificate of func.example:443 expired on 1970-01-01 00:00:00 UTC (it is 1970-01-01 00:00:00 UTC by the clock of this device)
        the certificate of func.example:443 is not valid yet
        the certificate of func.example:443 is not valid before 2001-09-09 01:46:40 UTC (it is 1970-01-01 00:00:00 UTC by the clock of this device)
        the certificate of func.example:443 was revoked by its issuer
        the certificate of func.example:443 has a condition that this program does not understand
        the certificate of func.example:443 is not signed by anybody whom this system trusts
        the certificate of func.example:443 cannot be accepted, because it is not known whether it was revoked
        the certificate of func.example:443 is not signed by anybody whom this system trusts
        the certificate of func.example:443 is signed by a method that this program does not accept, mostly an old one
        the certificate of func.example:443 is for another host
        the certificate of func.example:443 is for another host: portal.example
        the certificate of func.example:443 was not made for servers
        the certificate of func.example:443 cannot be accepted, because it is not known whether it was revoked
        the certificate of func.example:443 cannot be accepted
        the certificate of func.example:443 is that of an authority and not of a server
        the certificate of func.example:443 is signed by one that may sign no servers
        the certificate of func.example:443 is for a host that its issuer may not vouch for
        the certificate of func.example:443 has an outdated format (before X.509 version 3)
        the certificate of func.example:443 cannot be accepted
        ");
    }

    #[test]
    fn every_other_error_has_a_sentence() {
        let mut errors = vec![
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::Alert,
            },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::Finished],
                got_type: HandshakeType::ServerHello,
            },
            Error::InvalidEncryptedClientHello(EncryptedClientHelloError::NoCompatibleConfig),
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec),
            Error::InvalidCertRevocationList(CertRevocationListError::ParseError),
            Error::General("no luck\u{1b}[2J".to_owned()),
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            Error::HandshakeNotComplete,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
            Error::Other(other(std::io::Error::other("no luck"))),
        ];
        errors.extend((0..=u8::MAX).map(|number| Error::AlertReceived(number.into())));
        let mut sentences = Vec::new();
        for error in errors {
            let (kind, sentence) = classify(&error, SERVER);
            assert_eq!(kind, FailureKind::TlsHandshake, "{error:?}");
            let is_free_text = matches!(error, Error::General(_));
            assert!(is_free_text || !shows_code(&sentence), "{sentence}");
            if !sentences.contains(&sentence) && !sentence.contains("number") {
                sentences.push(sentence);
            }
        }
        insta::assert_snapshot!(sentences.join("\n"), @r"
        func.example:443 does not keep to the rules of TLS, or something on the way changes what it says
        what func.example:443 answered is not TLS
        func.example:443 showed no certificate
        the host func.example:443 has a name for which no certificate can be made
        what func.example:443 sent cannot be decrypted; something on the way may have changed it
        the TLS handshake with func.example:443 failed within this program
        func.example:443 and this program have no version or method of TLS in common
        whether the certificate of func.example:443 is revoked cannot be found out
        the TLS handshake with func.example:443 failed (no luck[2J)
        this device does not know the time
        func.example:443 speaks TLS, but not HTTP/1.1 in it
        the TLS handshake with func.example:443 failed (no luck)
        func.example:443 refused the TLS handshake: it hung up
        func.example:443 refused the TLS handshake: it has no method of TLS in common with this program
        func.example:443 refused the TLS handshake: it wants a certificate of this device, which has none
        func.example:443 refused the TLS handshake: it, or a proxy on the path, rejected a certificate
        func.example:443 refused the TLS handshake: it denies access
        func.example:443 refused the TLS handshake: it has no version of TLS in common with this program
        func.example:443 refused the TLS handshake: it has an error of its own
        func.example:443 refused the TLS handshake: it does not know the host by this name
        func.example:443 refused the TLS handshake: it does not speak HTTP/1.1
        ");
    }

    #[test]
    fn the_names_of_a_foreign_certificate_are_bounded() {
        let names =
            ["DnsName(\"a\\nb\")", "DnsName(\"c\")", "IpAddress(192.0.2.1)", "DnsName(\"d\")"]
                .map(str::to_owned);
        insta::assert_snapshot!(CertificateNames(&names), @r": a\nb, c, IpAddress(192.0.2.1) and others");
        assert!(CertificateNames(&["x".repeat(10_000)]).to_string().len() < 100);
    }
}
