//! Why a heartbeat was not answered: one table maps the errors of all layers to kinds and sentences.

mod tls;

use std::{error::Error, fmt, io, time::Duration};

use rustix::io::Errno;

use super::{network_path::NetworkPath, progress::HeartbeatPhase};
use crate::{duration::Readable, resolver::LookupError};

/// A heartbeat that was not answered. Its Display is a sentence for users, without any secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatFailure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The time from the start of the lookup to the failure.
    pub took: Duration,
    /// The proof before the failure ([`HeartbeatOutcome::proof`](super::HeartbeatOutcome::proof)).
    pub(super) proof: Option<NetworkPath>,
    /// Whether the proxy was unreachable or did not connect to the server.
    pub(super) is_proxy_failure: bool,
    reason: String,
}

/// The kinds of failure, in the order of the phases of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No name server answered in time.
    ResolveTimeout,
    /// The host name does not exist, or has no address.
    NameUnknown,
    /// The name could not be looked up for another reason.
    ResolveFailed,
    /// The host refused the connection, or a router or firewall did in its name.
    ConnectRefused,
    /// There is no route to the network.
    NetworkUnreachable,
    /// A router has no route to the host.
    HostUnreachable,
    /// The attempt to connect got no answer in time.
    ConnectTimeout,
    /// A firewall or a sandbox forbids the connection: this device's, or with IPv6 possibly that of a
    /// router on the path, whose "administratively prohibited" gives the same error.
    ConnectForbidden,
    /// No connection could be made for another reason.
    ConnectFailed,
    /// The proxy was reached but did not connect to the server.
    ProxyRefused,
    /// The TLS handshake was not finished in time.
    TlsTimeout,
    /// No root that this system trusts has signed the server's certificate.
    TlsUntrusted,
    /// The server's certificate has expired.
    TlsExpired,
    /// The server's certificate is not valid yet; usually this device's clock is wrong.
    TlsNotYetValid,
    /// The server's certificate is for another host.
    TlsWrongName,
    /// The server's certificate cannot be accepted for another reason.
    TlsCertificate,
    /// The TLS handshake failed for another reason.
    TlsHandshake,
    /// The connection ended before the answer was complete.
    ConnectionClosed,
    /// The request was sent, and no answer came in time.
    AnswerTimeout,
    /// The answer is not HTTP, or its head is too long.
    AnswerMalformed,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// The name in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResolveTimeout => "resolve_timeout",
            Self::NameUnknown => "name_unknown",
            Self::ResolveFailed => "resolve_failed",
            Self::ConnectRefused => "connect_refused",
            Self::NetworkUnreachable => "network_unreachable",
            Self::HostUnreachable => "host_unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectForbidden => "connect_forbidden",
            Self::ConnectFailed => "connect_failed",
            Self::ProxyRefused => "proxy_refused",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsUntrusted => "tls_untrusted",
            Self::TlsExpired => "tls_expired",
            Self::TlsNotYetValid => "tls_not_yet_valid",
            Self::TlsWrongName => "tls_wrong_name",
            Self::TlsCertificate => "tls_certificate",
            Self::TlsHandshake => "tls_handshake",
            Self::ConnectionClosed => "connection_closed",
            Self::AnswerTimeout => "answer_timeout",
            Self::AnswerMalformed => "answer_malformed",
            Self::Other => "other",
        }
    }
}

/// The hosts that a heartbeat involves, as sentences name them.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    /// Host and port of the server.
    pub(super) server: String,
    /// The proxy's address without credentials, if there is one.
    pub(super) proxy: Option<String>,
    /// The server's host without the port, as it is looked up.
    pub(super) host: String,
}

impl Peers {
    /// The host that is connected to first.
    fn connect_target(&self) -> String {
        self.proxy
            .as_ref()
            .map_or_else(|| self.server.clone(), |proxy| format!("the proxy {proxy}"))
    }
}

impl HeartbeatFailure {
    /// The failure of a heartbeat that ran out of time in `phase`.
    pub(super) fn timed_out(phase: HeartbeatPhase, peers: &Peers, took: Duration) -> Self {
        let (nearest, server) = (peers.connect_target(), &peers.server);
        let (kind, reason) = match phase {
            HeartbeatPhase::Resolving => (
                FailureKind::ResolveTimeout,
                format!(
                    "the name of {nearest} cannot be looked up, because no name server answers"
                ),
            ),
            HeartbeatPhase::Connecting if peers.proxy.is_some() => {
                (FailureKind::ConnectTimeout, format!("{nearest} did not make a connection"))
            }
            HeartbeatPhase::Connecting => (
                FailureKind::ConnectTimeout,
                format!("{nearest} did not answer the attempt to connect"),
            ),
            HeartbeatPhase::TlsHandshake => (
                FailureKind::TlsTimeout,
                format!("{server} accepted the connection but did not finish the TLS handshake"),
            ),
            HeartbeatPhase::AwaitingAnswer => (
                FailureKind::AnswerTimeout,
                format!("{server} accepted the connection but did not answer"),
            ),
        };
        let is_of_proxy = peers.proxy.is_some() && phase < HeartbeatPhase::TlsHandshake;
        Self { kind, took, proof: None, is_proxy_failure: is_of_proxy, reason }
    }

    /// The failure behind an error that the HTTP client returned in `phase`.
    pub(super) fn from_error(
        error: &(dyn Error + 'static),
        phase: HeartbeatPhase,
        peers: &Peers,
        took: Duration,
    ) -> Self {
        // The innermost cause is the most specific.
        let causes: Vec<_> = causes(error).collect();
        let (kind, reason) = causes
            .iter()
            .rev()
            .find_map(|cause| classify(*cause, phase, peers))
            .unwrap_or_else(|| (FailureKind::Other, innermost(error)));
        // This device looks up the server's name itself if the proxy (SOCKS4, SOCKS5) does not.
        let is_of_host = causes.iter().any(|cause| {
            cause.downcast_ref::<LookupError>().is_some_and(|error| error.name() == peers.host)
        });
        let is_of_proxy =
            peers.proxy.is_some() && phase < HeartbeatPhase::TlsHandshake && !is_of_host;
        Self { kind, took, proof: None, is_proxy_failure: is_of_proxy, reason }
    }

    /// The reason, as the end of a sentence.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// The same failure with the proof that came before it.
    pub(super) fn with_proof(self, proof: Option<NetworkPath>) -> Self {
        Self { proof, ..self }
    }
}

impl fmt::Display for HeartbeatFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Heartbeat failed after {}: {}.", Readable(self.took), self.reason)
    }
}

/// An error and all its causes, including the error inside an [`io::Error`], which `source()` skips.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause: &&'a (dyn Error + 'static)| {
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &'a (dyn Error + 'static)).or_else(|| cause.source())
    })
}

/// The text of the innermost cause. Outer errors may show the URL, which can hold a secret.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .filter(|cause| !cause.is::<reqwest::Error>())
        .map_or_else(|| "the HTTP client gave no reason".to_owned(), ToString::to_string)
}

/// The table: the kind and reason of one cause; `None` if it does not identify a failure.
fn classify(
    cause: &(dyn Error + 'static),
    phase: HeartbeatPhase,
    peers: &Peers,
) -> Option<(FailureKind, String)> {
    if let Some(error) = cause.downcast_ref::<LookupError>() {
        return Some((resolve_kind(error), error.to_string()));
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(tls::classify(error, &peers.server));
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return classify_http(error, &peers.server);
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return Some(classify_io(error, phase, peers));
    }
    classify_proxy(&cause.to_string(), &peers.connect_target())
}

fn resolve_kind(error: &LookupError) -> FailureKind {
    match error {
        LookupError::TimedOut { .. } => FailureKind::ResolveTimeout,
        LookupError::Unknown { .. } => FailureKind::NameUnknown,
        LookupError::Temporary { .. }
        | LookupError::Failed { .. }
        | LookupError::Hanging { .. } => FailureKind::ResolveFailed,
    }
}

fn classify_io(error: &io::Error, phase: HeartbeatPhase, peers: &Peers) -> (FailureKind, String) {
    use io::ErrorKind;

    let (nearest, server) = (peers.connect_target(), &peers.server);
    let kind = error.kind();
    let closed = matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::NotConnected
    );
    match (phase, kind) {
        (
            _,
            ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::AddrNotAvailable,
        ) => (FailureKind::NetworkUnreachable, format!("this device has no route to {nearest}")),
        (_, ErrorKind::HostUnreachable) => {
            (FailureKind::HostUnreachable, format!("the network has no way to {nearest}"))
        }
        (HeartbeatPhase::Resolving | HeartbeatPhase::Connecting, ErrorKind::ConnectionRefused) => {
            (FailureKind::ConnectRefused, format!("{nearest} refused the connection"))
        }
        (HeartbeatPhase::Resolving | HeartbeatPhase::Connecting, ErrorKind::TimedOut) => (
            FailureKind::ConnectTimeout,
            format!("{nearest} did not answer the attempt to connect"),
        ),
        (HeartbeatPhase::Resolving | HeartbeatPhase::Connecting, ErrorKind::PermissionDenied) => (
            FailureKind::ConnectForbidden,
            if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) {
                format!("this device does not permit a connection to {nearest}")
            } else {
                format!("a firewall here or on the way forbids a connection to {nearest}")
            },
        ),
        (HeartbeatPhase::Resolving | HeartbeatPhase::Connecting, _) => (
            FailureKind::ConnectFailed,
            format!("no connection to {nearest} could be made ({error})"),
        ),
        (HeartbeatPhase::TlsHandshake, _) if closed => (
            FailureKind::TlsHandshake,
            format!("{server} closed the connection in the middle of the TLS handshake"),
        ),
        (HeartbeatPhase::AwaitingAnswer, ErrorKind::TimedOut) => (
            FailureKind::AnswerTimeout,
            format!("{server} fell silent before its answer was complete"),
        ),
        (HeartbeatPhase::AwaitingAnswer, _) if closed => (
            FailureKind::ConnectionClosed,
            format!("{server} closed the connection before its answer was complete"),
        ),
        _ => (FailureKind::Other, format!("the connection to {server} failed ({error})")),
    }
}

fn classify_http(error: &hyper::Error, server: &str) -> Option<(FailureKind, String)> {
    if error.is_parse_too_large() {
        let reason = format!("the head of the answer from {server} is too long");
        return Some((FailureKind::AnswerMalformed, reason));
    }
    if error.is_parse() {
        let reason = format!("what {server} answered is not HTTP");
        return Some((FailureKind::AnswerMalformed, reason));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        let reason = format!("{server} closed the connection before its answer was complete");
        return Some((FailureKind::ConnectionClosed, reason));
    }
    None
}

/// Classifies the HTTP client's proxy errors by their texts, because it does not export their types.
fn classify_proxy(text: &str, proxy: &str) -> Option<(FailureKind, String)> {
    if let Some(reason) = text.strip_prefix("tunnel error: ") {
        return match reason {
            "proxy authorization required" => Some((
                FailureKind::ProxyRefused,
                format!(
                    "{proxy} asks for a user name and a password, or does not accept the given ones"
                ),
            )),
            "unsuccessful" | "proxy response headers too long" | "unexpected end of file" => {
                Some((
                    FailureKind::ProxyRefused,
                    format!("{proxy} was reached but would not connect further"),
                ))
            }
            // The next cause in the chain is more specific.
            _ => None,
        };
    }
    match text.strip_prefix("SOCKS error: ")? {
        "failed to create underlying connection" => {
            Some((FailureKind::ConnectFailed, format!("no connection to {proxy} could be made")))
        }
        reason => Some((
            FailureKind::ProxyRefused,
            format!("{proxy} was reached but would not connect further ({reason})"),
        )),
    }
}

#[cfg(test)]
mod tests;
