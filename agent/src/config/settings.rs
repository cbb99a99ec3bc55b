//! The effective settings: checked and parsed.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::probe::Anchor;

/// All settings of the agent, after merging and checking all sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name of this device in mails and reports, 1 to 100 characters.
    pub device: String,
    /// The journal's folder, if one is set.
    pub state_dir: Option<PathBuf>,
    /// How heartbeats are sent.
    pub heartbeat: HeartbeatSettings,
    /// How the connectivity is probed.
    pub probe: ProbeSettings,
    /// How the agent logs.
    pub log: LogSettings,
}

/// Where heartbeats go and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatSettings {
    /// The protocol of the server.
    pub kind: HeartbeatKind,
    /// The URL of heartbeats; without one the agent only monitors locally.
    pub url: Option<HeartbeatUrl>,
    /// The method of a plain heartbeat; heartbeats of kind `ispmon` are always POST.
    pub method: HeartbeatMethod,
    /// The expected body of the answer to a plain heartbeat, apart from surrounding white space; `None`
    /// when any 2xx status is enough.
    pub expect: Option<String>,
    /// The function key that authenticates the device.
    pub key: Option<FunctionKey>,
    /// The file that the key was read from.
    pub key_file: Option<PathBuf>,
    /// The time between two heartbeats, 10 ms to 1 h; each one is varied by up to 10 % either way.
    pub interval: Duration,
    /// The time limit of one heartbeat in total, 100 ms to 5 min.
    pub timeout: Duration,
    /// The upper bound of the first wait after a transport failure, 10 ms to 1 min.
    pub backoff_base: Duration,
    /// The upper bound of every later wait, at most one interval, 10 ms to 10 min.
    pub backoff_cap: Duration,
    /// How long a device may stay silent after a clean stop without an alert, 0 to 24 h.
    pub quiet_after_stop: Duration,
    /// How long a sleeping device may stay silent without an alert, 0 to 24 h.
    pub quiet_after_sleep: Duration,
}

/// What is probed, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// The time between two scheduled probes, 100 ms to 5 min.
    pub interval: Duration,
    /// The servers that are probed, in turn; 1 to 16.
    pub anchors: Vec<Anchor>,
    /// The router's address; `None` for the kernel's next hop towards each anchor.
    pub gateway: Option<IpAddr>,
    /// The name server; `None` for the system's.
    pub resolver: Option<SocketAddr>,
    /// The pages that reveal a captive portal; empty to never check for one.
    pub portal: Vec<reqwest::Url>,
    /// The grace period after a start, in which the connection may come up, 0 to 30 min.
    pub grace: Duration,
}

/// The protocol of the heartbeat server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatKind {
    /// ispmon's own function: JSON, announced silence, hand-over of outages.
    Ispmon,
    /// Any dead-man's switch that is called by its URL; a 2xx status is success, unless a body is expected.
    Plain,
}

/// The HTTP method of a plain heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatMethod {
    /// `GET`, which every dead-man's switch supports.
    Get,
    /// `POST` with an empty body.
    Post,
}

/// The verbosity of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: tracing::Level,
}

/// A URL for heartbeats; that of a plain heartbeat is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HeartbeatUrl {
    url: reqwest::Url,
    secret: bool,
}

impl HeartbeatUrl {
    /// Wraps a checked URL; `secret` hides everything after the host from all output. The query is always
    /// hidden, because some services have their secret in it.
    pub fn new(url: reqwest::Url, secret: bool) -> Self {
        Self { url, secret }
    }

    /// The whole URL, only for sending.
    pub fn expose(&self) -> &reqwest::Url {
        &self.url
    }
}

impl fmt::Display for HeartbeatUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())?;
        self.url.port().map_or(Ok(()), |port| write!(formatter, ":{port}"))?;
        if self.secret {
            return formatter.write_str("/…");
        }
        formatter.write_str(self.url.path())?;
        self.url.query().map_or(Ok(()), |_| formatter.write_str("?…"))
    }
}

impl fmt::Debug for HeartbeatUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HeartbeatUrl({self})")
    }
}

/// A function key, which no output ever contains.
#[derive(Clone, PartialEq, Eq)]
pub struct FunctionKey(String);

impl FunctionKey {
    /// Wraps a key that was read from a key file or a systemd credential.
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// The key itself, only for the request header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FunctionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FunctionKey(…)")
    }
}
