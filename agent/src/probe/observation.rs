//! One probe and its result, as the journal keeps it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::Family;
use crate::clock::Stamp;

/// One probe and its result: a piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The kind of probe.
    pub probe: ProbeKind,
    /// The target, such as `1.1.1.1:443` or an interface's name; never a secret.
    pub target: String,
    /// The address family, if one applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// The result, as one word: `connected`, `refused`, `timeout`, `unreachable`, `no_carrier` …
    pub answer: String,
    /// How long the probe took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// When the probe was sent.
    pub at: Stamp,
}

impl Observation {
    /// When the answer arrived; when the probe was sent, if its duration is unknown.
    pub fn answered(&self) -> Stamp {
        self.at.later(Duration::from_millis(self.ms.unwrap_or(0)))
    }
}

/// Kind of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// A TCP connect to an anchor.
    Tcp,
    /// A TCP connect to the router.
    Gateway,
    /// A lookup by the system's resolver.
    SystemDns,
    /// A query sent directly to one name server.
    DirectDns,
    /// A plain HTTP request that only the genuine server answers as expected.
    Portal,
    /// The state of interfaces, addresses and routes.
    Link,
    /// An anchor probed through the interface beneath a tunnel.
    Underlay,
    /// A heartbeat.
    Heartbeat,
}

impl ProbeKind {
    /// All kinds, in the order of their definition.
    pub const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Gateway,
        Self::SystemDns,
        Self::DirectDns,
        Self::Portal,
        Self::Link,
        Self::Underlay,
        Self::Heartbeat,
    ];

    /// The name in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Gateway => "gateway",
            Self::SystemDns => "system_dns",
            Self::DirectDns => "direct_dns",
            Self::Portal => "portal",
            Self::Link => "link",
            Self::Underlay => "underlay",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_holds_every_kind_under_its_name_in_the_journal() {
        let names = ispmon_testing::variants::names_of::<ProbeKind>();
        assert_eq!(ProbeKind::ALL.map(ProbeKind::as_str)[..], names[..]);
    }
}
