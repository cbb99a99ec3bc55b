//! The state of the network at one moment.

use std::net::IpAddr;

use ispmon_agent::{
    heartbeat::{FailureKind, OutcomeKind},
    outage::{Network, Party},
    probe::{Family, LinkAnswer, LocalFailure, MacAddress, PerFamily, Route},
};
use serde::Deserialize;

/// Number of anchors of each family.
pub(crate) const ANCHORS: usize = 3;

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

/// The effect on a connection to an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Anchors {
    Answer,
    Silent,
    Refuse,
    Unreachable,
    /// Another host on the path completes the connection, and closes it when TLS starts.
    Impostor,
    /// The same, but it never answers TLS.
    ImpostorHangs,
    /// Small packets pass, larger ones do not: TCP connects, TLS hangs.
    SmallOnly,
    /// This device's firewall blocks it.
    Forbidden,
    /// The anchor is reached without a router.
    OnLink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkState {
    Routed,
    NoRoute,
    NoAddress,
    NoCarrier,
    Prohibited,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GatewayState {
    Alive,
    Silent,
    Gone,
    NotAsked,
}

/// Behaviour of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DnsState {
    Answered,
    /// It answers even while the internet is unreachable.
    AnsweredNearby,
    Silent,
    Failed,
    Lied,
}

/// State of the resolver between the programs of the device and the name servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StubState {
    Alive,
    Silent,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PortalState {
    Genuine,
    Intercepted,
    /// Intercepted by the router itself.
    FromRouter,
    NoAnswer,
}

/// When the kernel learns the hardware address of the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MacState {
    AtOnce,
    /// Once something was sent to it.
    #[default]
    Later,
    Never,
}

/// Result of heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// As the network allows, and then as the endpoint responds.
    AsTheLineIs,
    Delivered,
    DeliveredByUnknownFamily,
    DeliveredNearby,
    Status(u16),
    Fails(FailureKind),
}

/// One address family.
#[derive(Clone, Debug)]
pub(crate) struct FamilyWorld {
    pub(crate) link: LinkState,
    /// The effect on everything that is sent beyond the router.
    pub(crate) path: Anchors,
    /// The effect at each anchor on connections that reach it.
    pub(crate) anchors: [Anchors; ANCHORS],
    /// The anchors that are probed for proof, and not for contact only.
    pub(crate) tls: [bool; ANCHORS],
    /// The anchors whose addresses the router uses itself.
    pub(crate) owned: [bool; ANCHORS],
    /// The anchors that are reached by a separate path.
    pub(crate) own_path: [bool; ANCHORS],
    /// Whether the route leads into a tunnel.
    pub(crate) tunnel: bool,
    pub(crate) latency_ms: u64,
    pub(crate) loss_percent: u8,
}

impl FamilyWorld {
    /// The effect on a connection to one anchor.
    pub(crate) fn anchor(&self, anchor: usize) -> Anchors {
        if self.owned[anchor] {
            Anchors::Impostor
        } else if self.path == Anchors::Answer || self.own_path[anchor] {
            self.anchors[anchor]
        } else {
            self.path
        }
    }

    /// Whether the kernel has a route, as far as it reports.
    pub(crate) fn can_send(&self) -> bool {
        matches!(self.link, LinkState::Routed | LinkState::Unknown)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) families: PerFamily<FamilyWorld>,
    /// The network of the device; another network has another router.
    pub(crate) network: u8,
    /// The network whose router has the same IP address.
    pub(crate) router: u8,
    /// Whether an anchor is alive beneath the tunnel.
    pub(crate) underlay: bool,
    pub(crate) gateway: GatewayState,
    pub(crate) servers: Vec<DnsState>,
    pub(crate) servers_of: Party,
    pub(crate) stub: StubState,
    pub(crate) portal: PortalState,
    pub(crate) heartbeat: Heartbeat,
    /// The endpoint's response to heartbeats that reach it.
    pub(crate) endpoint: OutcomeKind,
    /// Whether heartbeats travel over verified TLS.
    pub(crate) heartbeat_proves: bool,
    /// Whether heartbeats go through a proxy in the local network.
    pub(crate) proxied: bool,
    /// Why the device can send no probe.
    pub(crate) local_failure: Option<LocalFailure>,
}

impl World {
    /// A world in which everything works by these families.
    pub(crate) fn good(families: &[Family], tunnels: &[Family]) -> Self {
        let family = |family| FamilyWorld {
            link: if families.contains(&family) { LinkState::Routed } else { LinkState::NoAddress },
            path: Anchors::Answer,
            anchors: [Anchors::Answer; ANCHORS],
            tls: [true; ANCHORS],
            owned: [false; ANCHORS],
            own_path: [false; ANCHORS],
            tunnel: tunnels.contains(&family),
            latency_ms: 20,
            loss_percent: 0,
        };
        Self {
            families: PerFamily::from_fn(family),
            network: 0,
            router: 0,
            underlay: false,
            gateway: GatewayState::Alive,
            servers: vec![DnsState::Answered],
            servers_of: Party::Provider,
            stub: StubState::Alive,
            portal: PortalState::Genuine,
            heartbeat: Heartbeat::AsTheLineIs,
            endpoint: OutcomeKind::Delivered,
            heartbeat_proves: true,
            proxied: false,
            local_failure: None,
        }
    }

    pub(crate) fn link(&self, family: Family) -> LinkAnswer {
        let tunnel = self.families[family].tunnel;
        match self.families[family].link {
            LinkState::NoRoute => LinkAnswer::NoRoute,
            LinkState::NoAddress => LinkAnswer::NoAddress,
            LinkState::NoCarrier => LinkAnswer::NoCarrier,
            LinkState::Prohibited => LinkAnswer::Prohibited,
            LinkState::Unknown => LinkAnswer::Unknown,
            LinkState::Routed => LinkAnswer::Routed(Route {
                interface: if tunnel { "wg0".to_owned() } else { "eth0".to_owned() },
                index: 2,
                source: None,
                gateway: (!tunnel).then(|| self.gateway(family)),
                gateway_mac: MacAddress::new(&[0x52, 0x54, 0, 0, 0, self.network])
                    .filter(|_| !tunnel),
                tunnel,
            }),
        }
    }

    fn gateway(&self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => [192, 168, self.router, 1].into(),
            Family::Ipv6 => [0xfe80, 0, 0, 0, 0, 0, u16::from(self.router), 1].into(),
        }
    }

    /// The network beneath the tunnel of this family, if it leads into one.
    pub(crate) fn underlay_network(&self, family: Family) -> Option<Network> {
        self.families[family].tunnel.then(|| Network {
            family,
            interface: "eth0".to_owned(),
            router: Some(self.gateway(family)),
            router_mac: None,
        })
    }

    /// Whether the kernel reports the change to the world `after`: it does not report another router
    /// with the same IP address.
    pub(crate) fn is_change_reported(&self, after: &Self) -> bool {
        let way = |world: &Self, family| world.link(family).without_mac();
        Family::BOTH.into_iter().any(|family| way(self, family) != way(after, family))
    }

    /// Whether the internet is reachable by this family.
    pub(crate) fn works(&self, family: Family) -> bool {
        let family = &self.families[family];
        family.can_send()
            && family.path == Anchors::Answer
            && (0..ANCHORS).any(|anchor| family.anchor(anchor) == Anchors::Answer)
    }

    /// Whether the internet is reachable at all, at least with small packets. Heartbeats that are
    /// delivered independently of the anchors prove it.
    pub(crate) fn is_online(&self) -> bool {
        let passes = |family| {
            let world = &self.families[family];
            world.can_send() && matches!(world.path, Anchors::Answer | Anchors::SmallOnly)
        };
        let answered = matches!(
            self.heartbeat,
            Heartbeat::Delivered | Heartbeat::DeliveredByUnknownFamily | Heartbeat::Status(_)
        );
        answered || Family::BOTH.into_iter().any(passes)
    }
}
