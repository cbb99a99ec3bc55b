//! Causes, parties and scopes of failures.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::probe::Family;

/// What failed. Of two causes that lasted equally long, the earlier one becomes an incident's headline.
/// The order is that of the verdict, but `clock`, which is no downtime, comes after `dns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No carrier, no address or no route: the device itself is not connected.
    Link,
    /// This device's own firewall or routing rules block its packets.
    Firewall,
    /// The router does not answer.
    Gateway,
    /// A login page intercepts requests.
    CaptivePortal,
    /// The route leads into a tunnel that is dead, while the connection beneath it works.
    Vpn,
    /// The router answers, or could not be probed; nothing beyond it answers.
    Isp,
    /// Lookups fail, or name servers return false addresses.
    Dns,
    /// The clock of this device is so wrong that certificates are not valid.
    Clock,
    /// The internet works; the heartbeat endpoint does not.
    Endpoint,
    /// The heartbeat endpoint permanently refuses this device.
    Credentials,
    /// The connection works, but with loss or high latency. Never downtime.
    Degraded,
    /// The connection fails and returns again and again.
    Unstable,
    /// Nothing failed: the good periods of a flapping connection.
    Up,
}

impl Cause {
    /// All causes, in the order of their definition.
    pub const ALL: [Self; 13] = [
        Self::Link,
        Self::Firewall,
        Self::Gateway,
        Self::CaptivePortal,
        Self::Vpn,
        Self::Isp,
        Self::Dns,
        Self::Clock,
        Self::Endpoint,
        Self::Credentials,
        Self::Degraded,
        Self::Unstable,
        Self::Up,
    ];

    /// The name in the journal, on the wire and in logs, such as `captive_portal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Firewall => "firewall",
            Self::Gateway => "gateway",
            Self::CaptivePortal => "captive_portal",
            Self::Vpn => "vpn",
            Self::Isp => "isp",
            Self::Dns => "dns",
            Self::Clock => "clock",
            Self::Endpoint => "endpoint",
            Self::Credentials => "credentials",
            Self::Degraded => "degraded",
            Self::Unstable => "unstable",
            Self::Up => "up",
        }
    }

    /// The name that users read, such as `router`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Firewall => "firewall",
            Self::Gateway => "router",
            Self::CaptivePortal => "login page",
            Self::Vpn => "VPN",
            Self::Isp => "ISP",
            Self::Dns => "DNS",
            Self::Clock => "clock",
            Self::Endpoint => "endpoint",
            Self::Credentials => "credentials",
            Self::Degraded => "degraded connection",
            Self::Unstable => "unstable",
            Self::Up => "working",
        }
    }

    /// Whether a segment of this cause is time without internet. Not `unstable`: the segments of a
    /// flapping connection have causes of their own.
    pub fn is_downtime(self) -> bool {
        match self {
            Self::Link
            | Self::Firewall
            | Self::Gateway
            | Self::CaptivePortal
            | Self::Vpn
            | Self::Isp
            | Self::Dns => true,
            Self::Clock
            | Self::Endpoint
            | Self::Credentials
            | Self::Degraded
            | Self::Unstable
            | Self::Up => false,
        }
    }

    /// Whose part failed. `None` if the evidence does not show it: a degraded connection can be bad
    /// Wi-Fi as well as a bad provider, and a flapping one has the party of its longest cause.
    ///
    /// `name_servers` is the party that runs the name servers in use; it is the party of `dns`.
    pub fn party(self, name_servers: Party) -> Option<Party> {
        match self {
            Self::Link | Self::Firewall | Self::Gateway | Self::Vpn | Self::Clock => {
                Some(Party::Yours)
            }
            Self::Isp => Some(Party::Provider),
            Self::Dns => Some(name_servers),
            Self::CaptivePortal | Self::Endpoint | Self::Credentials => Some(Party::Other),
            Self::Degraded | Self::Unstable | Self::Up => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Whose part failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The user's: device, cable, router, tunnel.
    Yours,
    /// The internet provider's.
    Provider,
    /// A third party's.
    Other,
}

impl Party {
    /// The name in the journal, on the wire and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yours => "yours",
            Self::Provider => "provider",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What an incident or a segment concerns.
///
/// The first three are scopes of one outage: a family that returns before the other one, or fails after
/// it, begins a new segment of the same incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The internet: every address family that this device has a route for.
    Internet,
    /// IPv4 alone, while IPv6 works.
    Ipv4,
    /// IPv6 alone, while IPv4 works.
    Ipv6,
    /// The delivery of heartbeats (`clock`, `endpoint`, `credentials`), while the internet works.
    Heartbeat,
    /// The quality of a working connection (`degraded`).
    Quality,
}

impl Scope {
    /// The name in the journal and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Heartbeat => "heartbeat",
            Self::Quality => "quality",
        }
    }

    /// Whether this scope includes the connectivity of `family`. The internet includes both; heartbeats
    /// and quality do not depend on families.
    pub fn covers(self, family: Family) -> bool {
        match self {
            Self::Internet => true,
            Self::Ipv4 | Self::Ipv6 => self == family.into(),
            Self::Heartbeat | Self::Quality => false,
        }
    }

    /// Whether this scope concerns connectivity, of any family.
    pub fn is_connectivity(self) -> bool {
        Family::BOTH.into_iter().any(|family| self.covers(family))
    }
}

impl From<Family> for Scope {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::Ipv4,
            Family::Ipv6 => Self::Ipv6,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_holds_every_cause_under_its_name_in_the_journal() {
        let names = ispmon_testing::variants::names_of::<Cause>();
        assert_eq!(Cause::ALL.map(Cause::as_str)[..], names[..]);
    }

    #[test]
    fn each_scope_covers_its_families() {
        for (scope, ipv4, ipv6) in [
            (Scope::Internet, true, true),
            (Scope::Ipv4, true, false),
            (Scope::Ipv6, false, true),
            (Scope::Heartbeat, false, false),
            (Scope::Quality, false, false),
        ] {
            assert_eq!(scope.covers(Family::Ipv4), ipv4, "{scope}");
            assert_eq!(scope.covers(Family::Ipv6), ipv6, "{scope}");
            assert_eq!(scope.is_connectivity(), ipv4 || ipv6, "{scope}");
        }
    }
}
