//! The client that sends heartbeats and hand-overs, each over a connection of its own.

use std::{
    env, fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ispmon_wire::{AgentState, FUNCTION_KEY_HEADER, JournalHead, OutageReport, ReportedIncident};
use reqwest::{
    Client, Method, Request, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
    redirect,
};
use rustls::ClientConfig;
use serde::Serialize;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{AnswerBody, AnswerHead, ExpectedAnswer},
    failure::{HeartbeatFailure, Peers},
    message::{HeartbeatBuilder, ReadExtras, Sequence},
    network_path::NetworkPath,
    outcome::HeartbeatOutcome,
    progress::{self, ConnectedLayer, HeartbeatPhase, Progress},
    proxy::{self, Proxy, ProxyError},
    tls,
};
use crate::{
    config::settings::{HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl},
    resolver::Resolver,
    tls::platform_verifier,
};

const USER_AGENT: &str = concat!("ispmon-agent/", env!("CARGO_PKG_VERSION"));
/// The body with which ispmon's function answers a heartbeat.
const FUNCTION_ANSWER: &str = "ok";
/// By how much the connect timeout exceeds the limit of the whole heartbeat.
const CONNECT_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);
/// The part of its time limit, as a divisor, that an announced silence may spend on the lookup if
/// addresses are known already.
const ANNOUNCEMENT_LOOKUP_DIVISOR: u32 = 3;
/// The longest limit of one message, so that no deadline overflows.
const MAX_LIMIT: Duration = Duration::from_hours(24);

/// Sends heartbeats and hand-overs to one endpoint, for as long as one configuration applies.
///
/// It keeps one HTTP client, which holds the trusted roots and can resume TLS sessions. Every message
/// opens a new connection: a pooled one would prove little, and after a sleep or a change of address it
/// would hang.
#[derive(Debug)]
pub struct CloudClient {
    client: Client,
    kind: HeartbeatKind,
    method: Method,
    url: HeartbeatUrl,
    key: Option<HeaderValue>,
    timeout: Duration,
    /// The body that a delivered heartbeat is answered with; `None` if every 2xx counts.
    expect: Option<String>,
    peers: Peers,
    /// The certificates that are verified before an answer.
    certificates: ConnectionCertificates,
    messages: HeartbeatBuilder,
}

/// The certificates of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionCertificates {
    /// None: plain HTTP.
    None,
    /// The server's alone.
    Server,
    /// The proxy's, then the server's.
    ProxyThenServer,
}

impl CloudClient {
    /// Creates a client that sends heartbeats of `device` with the boot id `boot`, through the proxy
    /// that the environment names. `resolver` looks names up.
    ///
    /// Sends nothing. Reads the trusted roots from files, unless they were read before.
    ///
    /// # Errors
    /// Every [`ClientError`].
    pub fn new(
        settings: &HeartbeatSettings,
        device: &str,
        boot: &str,
        resolver: Arc<Resolver>,
    ) -> Result<Self, ClientError> {
        let url = settings.url.as_ref().ok_or(ClientError::NoUrl)?.expose();
        // A value that is not UTF-8 is no valid address either, so parsing it returns the error.
        let variable =
            |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let proxy = proxy::choose(url, variable)?;
        let encrypted = url.scheme() == "https" || proxy.as_ref().is_some_and(Proxy::is_encrypted);
        let verifier = encrypted.then(platform_verifier).transpose();
        let tls = verifier.and_then(tls::client_config).map_err(ClientError::Tls)?;
        Self::assemble(settings, device, boot, proxy.as_ref(), tls, resolver)
    }

    /// Creates the client from parts that a test can replace.
    pub(super) fn assemble(
        settings: &HeartbeatSettings,
        device: &str,
        boot: &str,
        proxy: Option<&Proxy>,
        tls: ClientConfig,
        resolver: Arc<Resolver>,
    ) -> Result<Self, ClientError> {
        let url = settings.url.clone().ok_or(ClientError::NoUrl)?;
        let key = match settings.kind {
            HeartbeatKind::Ispmon => settings.key.as_ref(),
            // Only the function uses the key.
            HeartbeatKind::Plain => None,
        };
        let key = key.map(|key| key_header(key.expose())).transpose()?;
        let method = match (settings.kind, settings.method) {
            (HeartbeatKind::Plain, HeartbeatMethod::Get) => Method::GET,
            (HeartbeatKind::Ispmon, _) | (HeartbeatKind::Plain, HeartbeatMethod::Post) => {
                Method::POST
            }
        };
        Ok(Self {
            client: http_client(proxy, tls, resolver, settings.timeout)
                .map_err(ClientError::Http)?,
            kind: settings.kind,
            method,
            key,
            timeout: settings.timeout,
            expect: match settings.kind {
                HeartbeatKind::Ispmon => Some(FUNCTION_ANSWER.to_owned()),
                HeartbeatKind::Plain => settings.expect.clone(),
            },
            peers: Peers {
                server: host_and_port(url.expose()),
                proxy: proxy.map(Proxy::to_string),
                host: url.expose().host_str().unwrap_or_default().to_owned(),
            },
            certificates: match url.expose().scheme() {
                "https" if proxy.is_some_and(Proxy::is_encrypted) => {
                    ConnectionCertificates::ProxyThenServer
                }
                "https" => ConnectionCertificates::Server,
                _ => ConnectionCertificates::None,
            },
            messages: HeartbeatBuilder::new(device, boot),
            url,
        })
    }

    /// Sends one heartbeat and waits for its answer, for `limit` at most, and for a day at most.
    ///
    /// Only ispmon's function receives `state` and `quiet`, the announced silence; a plain heartbeat
    /// carries neither.
    pub async fn send(
        &self,
        state: AgentState,
        quiet: Duration,
        limit: Duration,
    ) -> HeartbeatOutcome {
        let wanted = self.expect.as_deref().map_or(ExpectedAnswer::Anything, ExpectedAnswer::Text);
        let announces_silence = matches!(state, AgentState::Stopping | AgentState::Sleeping);
        self.exchange(self.heartbeat_request(state, quiet), wanted, limit, announces_silence).await
    }

    /// Hands incidents over and waits for the answer, for `limit` at most, and for a day at most.
    ///
    /// Posts them to the heartbeat URL with the last segment of its path, `ping`, replaced by `outages`.
    /// `None` if the endpoint takes no incidents: a plain dead man's switch.
    pub async fn hand_over(
        &self,
        journal: Option<JournalHead>,
        incidents: Vec<ReportedIncident>,
        limit: Duration,
    ) -> Option<HeartbeatOutcome> {
        if self.kind == HeartbeatKind::Plain {
            return None;
        }
        let wanted = ExpectedAnswer::Accepted(incidents.len());
        let device = Some(self.messages.device().to_owned());
        let report = OutageReport { device, journal, incidents };
        let mut url = self.url.expose().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().pop().push("outages");
        }
        Some(self.exchange(self.post(url, &report), wanted, limit, false).await)
    }

    async fn exchange(
        &self,
        request: Request,
        wanted: ExpectedAnswer<'_>,
        limit: Duration,
        announces_silence: bool,
    ) -> HeartbeatOutcome {
        let started = Instant::now();
        let took = || Instant::now().saturating_duration_since(started);
        let deadline = started + limit.min(MAX_LIMIT);
        let progress = Progress::new(deadline, announces_silence);
        let exchange = progress.scope(self.client.execute(request));
        match timeout_at(deadline, exchange).await {
            Ok(Ok(answer)) => {
                let proof = self.proof_of_answer(&answer);
                let head = AnswerHead::from_response(&answer, self.kind, proof);
                let body = AnswerBody::read(answer, deadline).await;
                head.into_outcome(&body, wanted, took())
            }
            Ok(Err(error)) => {
                let failure =
                    HeartbeatFailure::from_error(&error, progress.phase(), &self.peers, took());
                HeartbeatOutcome::Failed(failure.with_proof(self.proof_of_failure(&progress)))
            }
            Err(_) => HeartbeatOutcome::Failed(HeartbeatFailure::timed_out(
                progress.phase(),
                &self.peers,
                took(),
            )),
        }
    }

    /// Numbers the heartbeats from `sequence`, which other clients of this process may share.
    #[must_use]
    pub fn with_sequence(mut self, sequence: Sequence) -> Self {
        self.messages.set_sequence(sequence);
        self
    }

    /// Calls `extras` for the optional parts of each heartbeat.
    #[must_use]
    pub fn with_extras(mut self, extras: Arc<ReadExtras>) -> Self {
        self.messages.set_extras(extras);
        self
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        self.messages.device()
    }

    /// Whether a heartbeat can announce a silence; a plain dead-man's switch cannot receive one.
    pub fn can_announce(&self) -> bool {
        self.kind == HeartbeatKind::Ispmon
    }

    /// The configured limit of one heartbeat.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The proof of an answer, whatever its status and body.
    fn proof_of_answer(&self, answer: &Response) -> Option<NetworkPath> {
        let peers: Vec<IpAddr> = answer.remote_addr().iter().map(SocketAddr::ip).collect();
        self.network_path(&peers).filter(|_| self.certificates != ConnectionCertificates::None)
    }

    /// The proof of a failed heartbeat: the server's certificate is good, except that it is not valid yet
    /// by this device's clock. A proxy's certificate proves nothing.
    fn proof_of_failure(&self, progress: &Progress) -> Option<NetworkPath> {
        if self.certificates != ConnectionCertificates::Server || !progress.proved() {
            return None;
        }
        self.network_path(&progress.addresses())
    }

    /// The path to the server, which is one of `peers` unless there is a proxy or the host is an address.
    fn network_path(&self, peers: &[IpAddr]) -> Option<NetworkPath> {
        let literal: Option<IpAddr> = self.peers.host.trim_matches(['[', ']']).parse().ok();
        match literal {
            // Through a proxy, the peer is the proxy.
            _ if self.peers.proxy.is_some() => Some(match literal.map(NetworkPath::to) {
                Some(NetworkPath::Nearby) => NetworkPath::Nearby,
                _ => NetworkPath::Unknown,
            }),
            Some(address) => Some(NetworkPath::to(address)),
            None => NetworkPath::common_path(peers),
        }
    }

    fn heartbeat_request(&self, state: AgentState, quiet: Duration) -> Request {
        let url = self.url.expose().clone();
        if self.kind == HeartbeatKind::Ispmon {
            return self.post(url, &self.messages.next(state, quiet));
        }
        let mut request = Request::new(self.method.clone(), url);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        // Many servers refuse a POST without a length.
        if self.method == Method::POST {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request
    }

    /// A request with a message for ispmon's function.
    fn post(&self, url: Url, message: &impl Serialize) -> Request {
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.key {
            headers.insert(HeaderName::from_static(FUNCTION_KEY_HEADER), key.clone());
        }
        // A body in one piece has a Content-Length: the Functions host fails on chunked ones.
        // Strings and numbers always serialise.
        *request.body_mut() = Some(serde_json::to_vec(message).unwrap_or_default().into());
        request
    }
}

fn http_client(
    proxy: Option<&Proxy>,
    tls: ClientConfig,
    resolver: Arc<Resolver>,
    timeout: Duration,
) -> reqwest::Result<Client> {
    // Otherwise the client would read the environment too, by other rules than `proxy::choose`.
    let builder = Client::builder().no_proxy();
    let builder = match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.expose())?),
        None => builder,
    };
    let builder = builder
        .tls_backend_preconfigured(tls)
        .dns_resolver(DnsAdapter::new(resolver))
        .connector_layer(ConnectedLayer)
        .pool_max_idle_per_host(0)
        // A host's addresses share the connect timeout, so that a dead one leaves time for the next. It is
        // longer than the limit of the heartbeat, which therefore ends the attempt.
        .connect_timeout(timeout.saturating_add(CONNECT_TIMEOUT_MARGIN))
        .http1_only()
        .redirect(redirect::Policy::none())
        .user_agent(USER_AGENT);
    // Only the limit of the heartbeat, which records the phase, ends an attempt to connect; the system's
    // would end it earlier.
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(None);
    builder.build()
}

fn key_header(key: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(key).map_err(|_| ClientError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default();
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Looks names up for the HTTP client by the [`Resolver`].
///
/// If the lookup fails, an announced silence goes to the addresses that were found last: when a machine
/// shuts down, systemd stops a name server on it (dnsmasq, Unbound, Pi-hole) at the same time as the
/// agent. TLS proves that they still belong to the same server.
struct DnsAdapter {
    resolver: Arc<Resolver>,
    last_lookup: Arc<Mutex<LastLookup>>,
}

/// The last successful lookup.
#[derive(Default)]
struct LastLookup {
    name: String,
    addresses: Vec<IpAddr>,
}

impl DnsAdapter {
    fn new(resolver: Arc<Resolver>) -> Self {
        Self { resolver, last_lookup: Arc::default() }
    }
}

impl Resolve for DnsAdapter {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, last) = (Arc::clone(&self.resolver), Arc::clone(&self.last_lookup));
        Box::pin(async move {
            progress::enter_phase(HeartbeatPhase::Resolving);
            let name = name.as_str();
            let last = || last.lock().unwrap_or_else(PoisonError::into_inner);
            let mut known = Vec::new();
            if progress::announces_silence() && last().name == name {
                known.clone_from(&last().addresses);
            }
            let now = Instant::now();
            let mut deadline = progress::deadline().unwrap_or_else(|| now + MAX_LIMIT);
            if !known.is_empty() {
                deadline =
                    now + deadline.saturating_duration_since(now) / ANNOUNCEMENT_LOOKUP_DIVISOR;
            }
            let addresses = match resolver.resolve(name, deadline).await {
                Ok(addresses) => {
                    *last() = LastLookup { name: name.to_owned(), addresses: addresses.clone() };
                    addresses
                }
                Err(error) if known.is_empty() => return Err(error.into()),
                Err(_) => known,
            };
            progress::store_addresses(&addresses);
            progress::enter_phase(HeartbeatPhase::Connecting);
            Ok(Box::new(addresses.into_iter().map(|address| (address, 0_u16).into())) as Addrs)
        })
    }
}

impl fmt::Debug for DnsAdapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LookUps")
    }
}

/// Why no [`CloudClient`] can be created.
#[derive(Debug, Error)]
pub enum ClientError {
    /// `heartbeat.url` is not set.
    #[error("no heartbeat can be sent, because `heartbeat.url` is not set")]
    NoUrl,
    /// The function key holds a character that a header cannot carry.
    #[error("the function key holds a line break or another character that no key has")]
    Key,
    /// The environment names a proxy that cannot be used.
    #[error("no heartbeat can be sent through the proxy")]
    Proxy(#[from] ProxyError),
    /// There are no trusted roots to verify a server's certificate with.
    #[error(
        "the certificates that this system trusts cannot be read; install them (package ca-certificates) \
         or name a file of them in SSL_CERT_FILE"
    )]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be created.
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests;
