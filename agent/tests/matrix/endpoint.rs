//! The heartbeat endpoint, which can fail on command in the ways of real servers.

use std::{
    future,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use ispmon_agent::clock;
use ispmon_testing::certificates::Authority;
use ispmon_wire::{AgentState, Heartbeat};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::play::{
    addresses::{ENDPOINT_NAME, HOME_ENDPOINT_V6},
    http,
};

/// The function key that it requires.
pub(crate) const KEY: &str = "matrix-key";

/// Its response to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The response of the function.
    Genuine,
    /// A response with this status.
    Status(u16),
    /// No response.
    Silence,
}

/// The certificate that it presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    Valid,
    WrongName,
    Expired,
    Untrusted,
    NotYetValid,
}

/// A heartbeat that got a genuine response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceivedHeartbeat {
    /// When the response was sent, by the boot-time clock.
    pub(crate) at: Duration,
    /// Its sequence number.
    pub(crate) sequence: u64,
    /// The state that the agent reported.
    pub(crate) state: AgentState,
}

/// The endpoint.
pub(crate) struct Endpoint {
    configurations: [Arc<ServerConfig>; 5],
    now: Mutex<Now>,
    changed: Condvar,
}

/// Its current behaviour and what it has received so far.
struct Now {
    reply: Reply,
    certificate: Certificate,
    beats: Vec<ReceivedHeartbeat>,
}

impl Endpoint {
    /// Creates an endpoint that works, with certificates of this authority.
    pub(crate) fn new(authority: &Authority) -> Self {
        let stranger = Authority::new("Matrix Distrust");
        // In the order of `Certificate`.
        let configurations = [
            authority.server_for_names(&[ENDPOINT_NAME, HOME_ENDPOINT_V6], 2020..2100),
            authority.server("other.ispmon.example", 2020..2100),
            authority.server(ENDPOINT_NAME, 2020..2021),
            stranger.server(ENDPOINT_NAME, 2020..2100),
            authority.server(ENDPOINT_NAME, 2090..2100),
        ];
        let now = Now { reply: Reply::Genuine, certificate: Certificate::Valid, beats: Vec::new() };
        Self { configurations, now: Mutex::new(now), changed: Condvar::new() }
    }

    /// Changes the response from now on.
    pub(crate) fn reply_with(&self, reply: Reply) {
        self.lock().reply = reply;
    }

    /// Changes the certificate from now on.
    pub(crate) fn present(&self, certificate: Certificate) {
        self.lock().certificate = certificate;
    }

    /// The heartbeats received so far.
    pub(crate) fn heartbeats(&self) -> Vec<ReceivedHeartbeat> {
        self.lock().beats.clone()
    }

    /// Waits for a heartbeat that was answered after `moment`; `None` if none arrives within
    /// `patience`.
    pub(crate) fn wait_for_heartbeat(
        &self,
        moment: Duration,
        patience: Duration,
    ) -> Option<ReceivedHeartbeat> {
        let newest = |now: &Now| now.beats.iter().find(|beat| beat.at > moment).copied();
        let wait =
            self.changed.wait_timeout_while(self.lock(), patience, |now| newest(now).is_none());
        newest(&wait.expect("no server task panicked").0)
    }

    /// Serves one connection.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream) {
        let configuration = &self.configurations[self.lock().certificate as usize];
        let acceptor = TlsAcceptor::from(Arc::clone(configuration));
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let Ok(request) = http::read(&mut stream).await else { return };
        let reply = match self.lock().reply {
            Reply::Genuine if request.header("x-functions-key") != Some(KEY) => Reply::Status(401),
            reply => reply,
        };
        let answer = match reply {
            Reply::Genuine => answer_genuinely(&request),
            Reply::Status(status) => http::answer(status, "", "As you wish."),
            Reply::Silence => future::pending().await,
        };
        let written = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        if written.is_ok() && reply == Reply::Genuine {
            self.note(&request);
        }
    }

    /// Serves one connection without TLS, like a plain dead-man's switch.
    pub(crate) async fn serve_plain(mut stream: TcpStream) {
        let Ok(_request) = http::read(&mut stream).await else { return };
        let _ = stream.write_all(http::answer(200, "", "OK").as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn note(&self, request: &http::Request) {
        let mut now = self.lock();
        if let Ok(Heartbeat { agent: Some(agent), .. }) = serde_json::from_slice(&request.body) {
            let beat = ReceivedHeartbeat {
                at: clock::boot_time(),
                sequence: agent.seq,
                state: agent.state,
            };
            now.beats.push(beat);
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().expect("no server task panicked")
    }
}

fn answer_genuinely(request: &http::Request) -> String {
    if request.target() == "/api/outages" {
        return http::answer(200, "", &json!({ "accepted": incidents(request).len() }).to_string());
    }
    http::answer(200, "Content-Type: text/plain\r\nx-ispmon-expected: yes\r\n", "ok")
}

fn incidents(request: &http::Request) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    report["incidents"].as_array().cloned().unwrap_or_default()
}
