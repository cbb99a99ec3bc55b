//! The client that sends heartbeats, one connection each.

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
    message::{Messages, ReadExtras, Sequence},
    outcome::{HeartbeatOutcome, NetworkPath},
    progress::{self, HeartbeatPhase, NoteConnected, Progress},
    proxy::{self, Proxy, ProxyError},
    tls,
};
use crate::{
    config::settings::{HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl},
    resolver::Resolver,
    tls::platform_verifier,
};

const USER_AGENT: &str = concat!("ispmon-agent/", env!("CARGO_PKG_VERSION"));
/// What ispmon's function answers to a heartbeat.
const FUNCTION_ANSWER: &str = "ok";
/// By how much the limit of an attempt to connect is longer than that of the whole heartbeat.
const LATER: Duration = Duration::from_secs(1);
/// Which part of its time the announcement of a silence may wait for a look-up, when addresses are known already.
const ANNOUNCEMENT_LOOK_UP: u32 = 3;
/// The longest limit of one heartbeat, so that no deadline overflows.
const LONGEST_LIMIT: Duration = Duration::from_hours(24);

/// Sends heartbeats and hand-overs to one endpoint, as long as one configuration is in force.
///
/// It keeps one HTTP client, which holds the trusted roots and can resume TLS sessions. Every message makes a
/// new connection: one that was kept would prove little, and after a sleep or a change of address it would
/// hang.
#[derive(Debug)]
pub struct CloudClient {
    client: Client,
    kind: HeartbeatKind,
    method: Method,
    url: HeartbeatUrl,
    key: Option<HeaderValue>,
    timeout: Duration,
    /// What a delivered heartbeat is answered with; `None` when every 2xx will do.
    expect: Option<String>,
    peers: Peers,
    /// What an answer's certificate proves.
    certificate: Certificate,
    messages: Messages,
}

/// What the certificate of whoever answers has to do with the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certificate {
    /// There is none: plain HTTP.
    None,
    /// It is the other side's, and no other one is shown on the way.
    OfServer,
    /// It is the other side's behind that of a proxy.
    OfServerBehindThatOfProxy,
}

impl CloudClient {
    /// Prepares heartbeats for `device`, sent since `boot`, by the settings and the environment's
    /// proxy. Names are looked up by `resolver`.
    ///
    /// Nothing is sent yet. The trusted roots are read from files, unless they were read before.
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
        // A value that is not text is no address either, and is refused as such.
        let variable =
            |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let proxy = proxy::choose(url, variable)?;
        let encrypted = url.scheme() == "https" || proxy.as_ref().is_some_and(Proxy::is_encrypted);
        let verifier = encrypted.then(platform_verifier).transpose();
        let tls = verifier.and_then(tls::configuration).map_err(ClientError::Tls)?;
        Self::assemble(settings, device, boot, proxy.as_ref(), tls, resolver)
    }

    /// Puts the client together from parts that a test can replace.
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
            // Nobody but the function has a use for the key.
            HeartbeatKind::Plain => None,
        };
        let key = key.map(|key| sensitive(key.expose())).transpose()?;
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
            certificate: match url.expose().scheme() {
                "https" if proxy.is_some_and(Proxy::is_encrypted) => {
                    Certificate::OfServerBehindThatOfProxy
                }
                "https" => Certificate::OfServer,
                _ => Certificate::None,
            },
            messages: Messages::new(device, boot),
            url,
        })
    }

    /// Sends one heartbeat and waits for its answer, `limit` at most (a day at most).
    ///
    /// `state` and `quiet`, the silence that is announced, are told to ispmon's function only; a
    /// plain heartbeat has no words for them.
    pub async fn send(
        &self,
        state: AgentState,
        quiet: Duration,
        limit: Duration,
    ) -> HeartbeatOutcome {
        let wanted = self.expect.as_deref().map_or(ExpectedAnswer::Anything, ExpectedAnswer::Text);
        let announces_silence = matches!(state, AgentState::Stopping | AgentState::Sleeping);
        self.exchange(self.request(state, quiet), wanted, limit, announces_silence).await
    }

    /// Hands incidents over and waits for the answer, `limit` at most.
    ///
    /// They go to the neighbour of the heartbeats' address: the last part of its path is `outages`
    /// in place of `ping`. `None` when this client speaks to something that takes none: a plain
    /// dead-man's switch.
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
        let deadline = started + limit.min(LONGEST_LIMIT);
        let progress = Progress::new(deadline, announces_silence);
        let exchange = progress.follow(self.client.execute(request));
        match timeout_at(deadline, exchange).await {
            Ok(Ok(answer)) => {
                let proof = self.proof_of_answer(&answer);
                let head = AnswerHead::of(&answer, self.kind, proof);
                let body = AnswerBody::read(answer, deadline).await;
                head.judge(&body, wanted, took())
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

    /// Takes the numbers of its heartbeats from `sequence`, which other clients of this process may share.
    #[must_use]
    pub fn with_sequence(mut self, sequence: Sequence) -> Self {
        self.messages.set_sequence(sequence);
        self
    }

    /// Asks `extras` for what each heartbeat says beside the agent's own state.
    #[must_use]
    pub fn with_extras(mut self, extras: Arc<ReadExtras>) -> Self {
        self.messages.set_extras(extras);
        self
    }

    /// How long one heartbeat may take by the settings.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What an answer proves, whatever it says.
    fn proof_of_answer(&self, answer: &Response) -> Option<NetworkPath> {
        let peers: Vec<IpAddr> = answer.remote_addr().iter().map(SocketAddr::ip).collect();
        self.way(&peers).filter(|_| self.certificate != Certificate::None)
    }

    /// What a heartbeat proves although it failed: the other side's certificate is good but for this
    /// device's clock. That of a proxy proves nothing.
    fn proof_of_failure(&self, progress: &Progress) -> Option<NetworkPath> {
        if self.certificate != Certificate::OfServer || !progress.proved() {
            return None;
        }
        self.way(&progress.addresses())
    }

    /// The way to the other side, which is one of `peers` unless there is a proxy or its host is an
    /// address.
    fn way(&self, peers: &[IpAddr]) -> Option<NetworkPath> {
        let literal: Option<IpAddr> = self.peers.host.trim_matches(['[', ']']).parse().ok();
        match literal {
            // Through a proxy, the peer is the proxy.
            _ if self.peers.proxy.is_some() => Some(match literal.map(NetworkPath::to) {
                Some(NetworkPath::Nearby) => NetworkPath::Nearby,
                _ => NetworkPath::Unknown,
            }),
            Some(address) => Some(NetworkPath::to(address)),
            None => NetworkPath::to_one_of(peers),
        }
    }

    fn request(&self, state: AgentState, quiet: Duration) -> Request {
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

    /// A message for ispmon's function.
    fn post(&self, url: Url, message: &impl Serialize) -> Request {
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.key {
            headers.insert(HeaderName::from_static(FUNCTION_KEY_HEADER), key.clone());
        }
        // A body that is a whole has a Content-Length: the Functions host fails on chunked ones.
        // Texts and numbers can always be written.
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
    // The client would honour the environment too, in its own way.
    let builder = Client::builder().no_proxy();
    let builder = match proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.expose())?),
        None => builder,
    };
    let builder = builder
        .tls_backend_preconfigured(tls)
        .dns_resolver(LookUps::new(resolver))
        .connector_layer(NoteConnected)
        .pool_max_idle_per_host(0)
        // The addresses of a host share it, so that a dead one leaves time for the next; as a limit of its own
        // it comes too late.
        .connect_timeout(timeout.saturating_add(LATER))
        .http1_only()
        .redirect(redirect::Policy::none())
        .user_agent(USER_AGENT);
    // One limit for everything, which knows the phase; the system's would end the attempt to
    // connect first.
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(None);
    builder.build()
}

fn sensitive(key: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(key).map_err(|_| ClientError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default();
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Gives the HTTP client addresses from the thread for look-ups.
///
/// The announcement of a silence that finds none goes to those that were found last: when a machine shuts down, systemd stops a name server
/// on it (dnsmasq, Unbound, Pi-hole) at the same time as the agent. TLS proves that the other side is still the same.
struct LookUps {
    resolver: Arc<Resolver>,
    last: Arc<Mutex<LastFound>>,
}

/// What a look-up has found last.
#[derive(Default)]
struct LastFound {
    name: String,
    addresses: Vec<IpAddr>,
}

impl LookUps {
    fn new(resolver: Arc<Resolver>) -> Self {
        Self { resolver, last: Arc::default() }
    }
}

impl Resolve for LookUps {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, last) = (Arc::clone(&self.resolver), Arc::clone(&self.last));
        Box::pin(async move {
            progress::reached(HeartbeatPhase::Resolving);
            let name = name.as_str();
            let last = || last.lock().unwrap_or_else(PoisonError::into_inner);
            let mut known = Vec::new();
            if progress::announces_silence() && last().name == name {
                known.clone_from(&last().addresses);
            }
            let now = Instant::now();
            let mut deadline = progress::deadline().unwrap_or_else(|| now + LONGEST_LIMIT);
            if !known.is_empty() {
                deadline = now + deadline.saturating_duration_since(now) / ANNOUNCEMENT_LOOK_UP;
            }
            let addresses = match resolver.resolve(name, deadline).await {
                Ok(addresses) => {
                    *last() = LastFound { name: name.to_owned(), addresses: addresses.clone() };
                    addresses
                }
                Err(error) if known.is_empty() => return Err(error.into()),
                Err(_) => known,
            };
            progress::found(&addresses);
            progress::reached(HeartbeatPhase::Connecting);
            Ok(Box::new(addresses.into_iter().map(|address| (address, 0_u16).into())) as Addrs)
        })
    }
}

impl fmt::Debug for LookUps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LookUps")
    }
}

/// Why no heartbeat can be sent at all.
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is no address to send to.
    #[error("no heartbeat can be sent, because `heartbeat.url` is not set")]
    NoUrl,
    /// The function key holds a character that a header cannot carry.
    #[error("the function key holds a line break or another character that no key has")]
    Key,
    /// The environment names a proxy that cannot be used.
    #[error("no heartbeat can be sent through the proxy")]
    Proxy(#[from] ProxyError),
    /// There are no trusted roots to check a server's certificate by.
    #[error(
        "the certificates that this system trusts cannot be read; install them (package ca-certificates) \
         or name a file of them in SSL_CERT_FILE"
    )]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests;
