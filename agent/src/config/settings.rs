//! The effective settings: checked values, ready for use.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::probe::Anchor;

/// Everything that the agent may be told, after all sources were merged and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name of this device as mails and reports show it, 1 to 100 characters.
    pub device: String,
    /// The folder of the record, when one is named.
    pub state_dir: Option<PathBuf>,
    /// How the device reports that its connection works.
    pub heartbeat: HeartbeatSettings,
    /// Who is asked whether the line works.
    pub probe: ProbeSettings,
    /// What the agent says about itself.
    pub log: LogSettings,
}

/// Where heartbeats go and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatSettings {
    /// Which protocol the other side speaks.
    pub kind: HeartbeatKind,
    /// The address that heartbeats go to; without one the agent only monitors locally.
    pub url: Option<HeartbeatUrl>,
    /// The method of a plain heartbeat; heartbeats of kind `ispmon` are always POST.
    pub method: HeartbeatMethod,
    /// What the answer to a plain heartbeat must be, apart from white space around it; `None` when every
    /// status of the 200s will do.
    pub expect: Option<String>,
    /// The function key that authenticates the device.
    pub key: Option<FunctionKey>,
    /// Where the key was read from.
    pub key_file: Option<PathBuf>,
    /// The time between two heartbeats, 10 ms to 1 h; each is moved by up to 10 % either way.
    pub interval: Duration,
    /// How long one heartbeat may take in all, 100 ms to 5 min.
    pub timeout: Duration,
    /// The upper bound of the first wait after a transport failure, 10 ms to 1 min.
    pub backoff_base: Duration,
    /// The upper bound of every later wait, at most one interval, 10 ms to 10 min.
    pub backoff_cap: Duration,
    /// How long a cleanly stopped device may stay silent without alarm, 0 to 24 h.
    pub quiet_after_stop: Duration,
    /// How long a sleeping device may stay silent without alarm, 0 to 24 h.
    pub quiet_after_sleep: Duration,
}

/// Who is asked whether the line works, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// The time between two scheduled probes, 100 ms to 5 min.
    pub interval: Duration,
    /// The servers that are probed, in turn; 1 to 16.
    pub anchors: Vec<Anchor>,
    /// The router; `None` means the kernel's for each anchor.
    pub gateway: Option<IpAddr>,
    /// The name server; `None` means the system's.
    pub resolver: Option<SocketAddr>,
    /// What is requested to find a login page; without any it is never looked for.
    pub portal: Vec<reqwest::Url>,
    /// How long the line may take to come up after a start, 0 to 30 min.
    pub grace: Duration,
}

/// The protocol of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatKind {
    /// ispmon's own function: JSON, announced silence, hand-over of outages.
    Ispmon,
    /// Any dead-man's switch that is called by its URL; a 2xx is success, unless
    /// another answer is expected.
    Plain,
}

/// The HTTP method of a plain heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatMethod {
    /// `GET`, which every dead-man's switch understands.
    Get,
    /// `POST` with an empty body.
    Post,
}

/// The verbosity of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: tracing::Level,
}

/// An address for heartbeats, which for a plain heartbeat is a secret in itself.
#[derive(Clone, PartialEq, Eq)]
pub struct HeartbeatUrl {
    url: reqwest::Url,
    secret: bool,
}

impl HeartbeatUrl {
    /// Wraps a checked URL; `secret` hides everything behind the host from every text. The query is
    /// always hidden, because some services carry their secret there.
    pub fn new(url: reqwest::Url, secret: bool) -> Self {
        Self { url, secret }
    }

    /// The whole URL, for sending only.
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

/// A function key, which no text ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct FunctionKey(String);

impl FunctionKey {
    /// Wraps a key that was read from a key file or a systemd credential.
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// The key itself, for the request header only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FunctionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FunctionKey(…)")
    }
}
