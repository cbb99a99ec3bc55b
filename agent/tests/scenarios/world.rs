//! What the network is like at each moment of a story.

use std::net::SocketAddr;

use fastrand::Rng;
use ispmon_agent::{
    heartbeat::{FailureKind, Way},
    outage::BeatOutcome,
    probe::{Connect, Dns, Family, Gateway, Link, Portal, Route},
};
use serde::Deserialize;

/// How long a connect may take.
const CONNECT_MS: u64 = 2_500;
/// When the kernel sends its first packet again.
const TRIES_MS: [u64; 2] = [0, 1_000];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FamilyName {
    Ipv4,
    Ipv6,
}

impl From<FamilyName> for Family {
    fn from(name: FamilyName) -> Self {
        match name {
            FamilyName::Ipv4 => Self::Ipv4,
            FamilyName::Ipv6 => Self::Ipv6,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Anchors {
    Answer,
    Silent,
    Refuse,
    Unreachable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkState {
    Routed,
    NoRoute,
    NoAddress,
    NoCarrier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GatewayState {
    Alive,
    Silent,
    Gone,
    NotAsked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DnsState {
    Answered,
    Silent,
    Failed,
    Lied,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PortalState {
    Genuine,
    Intercepted,
    NoAnswer,
}

/// What changes at one moment; everything not named stays as it was.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) at: String,
    /// For which family link, anchors, latency and loss change; both when it is not named.
    pub(crate) family: Option<FamilyName>,
    pub(crate) link: Option<LinkState>,
    pub(crate) anchors: Option<Anchors>,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) loss_percent: Option<u8>,
    /// The name of the network; another one means another router.
    pub(crate) network: Option<String>,
    pub(crate) gateway: Option<GatewayState>,
    pub(crate) dns: Option<DnsState>,
    /// Whether the name servers are the provider's.
    pub(crate) resolver_is_providers: Option<bool>,
    pub(crate) portal: Option<PortalState>,
    /// Whether an anchor is alive beneath the tunnel.
    pub(crate) beneath: Option<bool>,
    pub(crate) heartbeat: Option<String>,
    pub(crate) clock_implausible: Option<bool>,
    /// An interface comes up, although nothing else changes.
    pub(crate) link_up: Option<bool>,
    /// A time that nobody watches begins, and lasts `until`.
    pub(crate) gap: Option<String>,
    pub(crate) until: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct FamilyWorld {
    pub(crate) link: LinkState,
    pub(crate) anchors: Anchors,
    latency_ms: u64,
    loss_percent: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    families: [FamilyWorld; 2],
    /// Which families the story is about.
    present: [bool; 2],
    network: String,
    tunnel: bool,
    pub(crate) gateway: GatewayState,
    pub(crate) dns: DnsState,
    pub(crate) resolver_is_providers: bool,
    pub(crate) portal: PortalState,
    pub(crate) beneath: bool,
    heartbeat: String,
}

impl World {
    /// A world in which everything works by these families.
    pub(crate) fn good(families: &[FamilyName], tunnel: bool) -> Self {
        let family = |name| FamilyWorld {
            link: if families.contains(&name) { LinkState::Routed } else { LinkState::NoAddress },
            anchors: Anchors::Answer,
            latency_ms: 20,
            loss_percent: 0,
        };
        Self {
            families: [family(FamilyName::Ipv4), family(FamilyName::Ipv6)],
            present: [FamilyName::Ipv4, FamilyName::Ipv6].map(|name| families.contains(&name)),
            network: "home".to_owned(),
            tunnel,
            gateway: GatewayState::Alive,
            dns: DnsState::Answered,
            resolver_is_providers: true,
            portal: PortalState::Genuine,
            beneath: false,
            heartbeat: "as_the_line_is".to_owned(),
        }
    }

    pub(crate) fn change(&mut self, change: &Change) {
        let names = [FamilyName::Ipv4, FamilyName::Ipv6];
        for ((world, name), present) in self.families.iter_mut().zip(names).zip(self.present) {
            if present && change.family.is_none_or(|family| family == name) {
                world.link = change.link.unwrap_or(world.link);
                world.anchors = change.anchors.unwrap_or(world.anchors);
                world.latency_ms = change.latency_ms.unwrap_or(world.latency_ms);
                world.loss_percent = change.loss_percent.unwrap_or(world.loss_percent);
            }
        }
        if let Some(network) = &change.network {
            self.network.clone_from(network);
        }
        if let Some(heartbeat) = &change.heartbeat {
            self.heartbeat.clone_from(heartbeat);
        }
        self.gateway = change.gateway.unwrap_or(self.gateway);
        self.dns = change.dns.unwrap_or(self.dns);
        self.resolver_is_providers =
            change.resolver_is_providers.unwrap_or(self.resolver_is_providers);
        self.portal = change.portal.unwrap_or(self.portal);
        self.beneath = change.beneath.unwrap_or(self.beneath);
    }

    pub(crate) fn family(&self, family: Family) -> &FamilyWorld {
        &self.families[usize::from(family == Family::Ipv6)]
    }

    pub(crate) fn is_routed(&self, family: Family) -> bool {
        self.family(family).link == LinkState::Routed
    }

    pub(crate) fn has_tunnel(&self) -> bool {
        self.tunnel
    }

    pub(crate) fn link(&self, family: Family) -> Link {
        match self.family(family).link {
            LinkState::NoRoute => Link::NoRoute,
            LinkState::NoAddress => Link::NoAddress,
            LinkState::NoCarrier => Link::NoCarrier,
            LinkState::Routed => Link::Routed(Route {
                interface: if self.tunnel { "wg0".to_owned() } else { self.network.clone() },
                index: 2,
                source: None,
                gateway: (!self.tunnel).then(|| "192.168.1.1".parse().expect("an address")),
                tunnel: self.tunnel,
            }),
        }
    }

    pub(crate) fn gateway(&self) -> Gateway {
        match self.gateway {
            GatewayState::Alive => Gateway::Alive,
            GatewayState::Silent => Gateway::Silent,
            GatewayState::Gone => Gateway::Gone,
            GatewayState::NotAsked => Gateway::NotAsked,
        }
    }

    pub(crate) fn dns(&self) -> Dns {
        if !Family::BOTH.iter().any(|family| self.works(*family)) {
            return Dns::Silent;
        }
        match self.dns {
            DnsState::Answered => Dns::Answered,
            DnsState::Silent => Dns::Silent,
            DnsState::Failed => Dns::Failed,
            DnsState::Lied => Dns::Lied,
        }
    }

    pub(crate) fn portal(&self) -> Portal {
        match self.portal {
            PortalState::Intercepted => Portal::Intercepted,
            PortalState::Genuine if Family::BOTH.iter().any(|family| self.works(*family)) => {
                Portal::Genuine
            }
            PortalState::Genuine | PortalState::NoAnswer => Portal::NoAnswer,
        }
    }

    fn works(&self, family: Family) -> bool {
        self.is_routed(family) && self.family(family).anchors == Anchors::Answer
    }

    /// How a heartbeat that starts now ends, which way it goes, and after how many milliseconds.
    pub(crate) fn heartbeat(&self) -> (BeatOutcome, Way, u64) {
        let routed = Family::BOTH.into_iter().find(|family| self.is_routed(*family));
        let works = Family::BOTH.into_iter().find(|family| self.works(*family));
        let way = |family: Option<Family>| family.map_or(Way::Unknown, Way::Internet);
        let failed = |kind: FailureKind| {
            let took = if kind.as_str().ends_with("timeout") { 10_000 } else { 50 };
            (BeatOutcome::Failed(kind), Way::Unknown, took)
        };
        match self.heartbeat.as_str() {
            "delivered" => (BeatOutcome::Delivered, way(routed), 150),
            "delivered_by_unknown_family" => (BeatOutcome::Delivered, Way::Unknown, 150),
            "delivered_nearby" => (BeatOutcome::Delivered, Way::Nearby, 150),
            "as_the_line_is" => match (works, self.dns, self.portal) {
                (_, _, PortalState::Intercepted) => failed(FailureKind::TlsWrongName),
                (None, ..) if routed.is_none() => failed(FailureKind::NetworkUnreachable),
                (None, ..) => failed(FailureKind::ConnectTimeout),
                (_, DnsState::Silent, _) => failed(FailureKind::ResolveTimeout),
                (_, DnsState::Failed, _) => failed(FailureKind::ResolveFailed),
                (_, DnsState::Lied, _) => failed(FailureKind::TlsWrongName),
                (Some(family), DnsState::Answered, _) => {
                    (BeatOutcome::Delivered, Way::Internet(family), 150)
                }
            },
            text => {
                if let Some(status) = text.strip_prefix("status_") {
                    let status = status.parse().expect("a status is a number");
                    return (BeatOutcome::Refused(status), way(works), 150);
                }
                let kinds = [
                    FailureKind::ConnectRefused,
                    FailureKind::ConnectTimeout,
                    FailureKind::TlsTimeout,
                    FailureKind::TlsUntrusted,
                    FailureKind::TlsNotYetValid,
                    FailureKind::AnswerTimeout,
                    FailureKind::NameUnknown,
                ];
                let kind = kinds.into_iter().find(|kind| kind.as_str() == text);
                failed(kind.unwrap_or_else(|| panic!("no heartbeat ends as {text:?}")))
            }
        }
    }
}

/// The anchor of a family: stories know only one.
pub(crate) fn anchor_of(family: Family) -> SocketAddr {
    match family {
        Family::Ipv4 => ([192, 0, 2, 1], 443).into(),
        Family::Ipv6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 443).into(),
    }
}

/// How a connect to an anchor ends that is sent at `sent`, and after how many milliseconds.
pub(crate) fn connect(
    at: impl Fn(u64) -> World,
    family: Family,
    sent: u64,
    random: &mut Rng,
) -> (Connect, u64) {
    for waited in TRIES_MS {
        let world = at(sent + waited);
        if !world.is_routed(family) {
            return (Connect::Unreachable, waited);
        }
        let world = world.family(family);
        let end = match world.anchors {
            Anchors::Silent => continue,
            _ if random.u8(0..100) < world.loss_percent => continue,
            Anchors::Answer => Connect::Connected,
            Anchors::Refuse => Connect::Refused,
            Anchors::Unreachable => Connect::Unreachable,
        };
        let took = waited + world.latency_ms;
        if took < CONNECT_MS {
            return (end, took);
        }
    }
    (Connect::TimedOut, CONNECT_MS)
}
