//! What failed, whose it is, and what it concerns.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::probe::Family;

/// What failed. The order is that of the verdict: of two that lasted equally long, the earlier one
/// names an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No carrier, no address or no route: the device itself is not connected.
    Link,
    /// This device's own firewall or routing rules forbid what it sends.
    Firewall,
    /// The router is silent.
    Gateway,
    /// A login page answers in the internet's place.
    CaptivePortal,
    /// The route leads into a tunnel that is dead, while the line beneath it works.
    Vpn,
    /// The router answers, or could not be asked; nothing beyond it does.
    Isp,
    /// Names cannot be looked up, or the answers are lies.
    Dns,
    /// The clock of this device is so wrong that certificates are not valid.
    Clock,
    /// The internet works; the address that heartbeats go to does not.
    Endpoint,
    /// The address that heartbeats go to refuses this device for good.
    Credentials,
    /// The line works, but badly: loss or slowness. Never downtime.
    Degraded,
    /// The line fails and returns again and again.
    Unstable,
    /// Nothing failed: the good times of an unstable line.
    Up,
}

impl Cause {
    /// The name in the record, on the wire and in logs, such as `captive_portal`.
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

    /// Whether a segment of this cause is time without internet. An unstable line is judged by its
    /// segments, which have causes of their own.
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

    /// Whose part failed. `None` where the evidence does not tell: a bad line can be bad Wi-Fi as
    /// well as a bad provider, and an unstable one has the party of its longest cause.
    ///
    /// `name_servers` is the party that runs the name servers in use, which is the party of `dns`.
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
    /// The user's own: device, cable, router, tunnel.
    Yours,
    /// The internet provider's.
    Provider,
    /// Somebody else's.
    Other,
}

impl Party {
    /// The name in the record, on the wire and in logs.
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

/// What an incident, or a segment of it, concerns.
///
/// The first three are scopes of one outage: a family that returns before the other one, or fails
/// after it, begins a new segment of the same incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The internet: every address family that this device has a route for.
    Internet,
    /// IPv4 alone, while IPv6 works.
    Ipv4,
    /// IPv6 alone, while IPv4 works.
    Ipv6,
    /// The way of the heartbeats (`clock`, `endpoint`, `credentials`), while the internet works.
    Heartbeat,
    /// How good a working line is (`degraded`).
    Quality,
}

impl Scope {
    /// The name in the record and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Heartbeat => "heartbeat",
            Self::Quality => "quality",
        }
    }

    /// Whether the line is concerned by this family: both make the internet, and neither the way of the
    /// heartbeats nor the quality is a matter of families.
    pub fn covers(self, family: Family) -> bool {
        match self {
            Self::Internet => true,
            Self::Ipv4 | Self::Ipv6 => self == family.into(),
            Self::Heartbeat | Self::Quality => false,
        }
    }

    /// Whether the line itself is concerned, by any family.
    pub fn is_line(self) -> bool {
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
    fn a_scope_covers_the_families_that_it_is_about() {
        for (scope, ipv4, ipv6) in [
            (Scope::Internet, true, true),
            (Scope::Ipv4, true, false),
            (Scope::Ipv6, false, true),
            (Scope::Heartbeat, false, false),
            (Scope::Quality, false, false),
        ] {
            assert_eq!(scope.covers(Family::Ipv4), ipv4, "{scope}");
            assert_eq!(scope.covers(Family::Ipv6), ipv6, "{scope}");
            assert_eq!(scope.is_line(), ipv4 || ipv6, "{scope}");
        }
    }
}
