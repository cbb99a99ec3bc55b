//! What the network is like at one moment.

use std::net::IpAddr;

use ispmon_agent::{
    heartbeat::{FailureKind, OutcomeKind},
    outage::{Network, Party},
    probe::{Family, LinkAnswer, LocalFailure, MacAddress, PerFamily, Route},
};
use serde::Deserialize;

/// How many anchors each family has.
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

/// What becomes of a connection to an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Anchors {
    Answer,
    Silent,
    Refuse,
    Unreachable,
    /// Somebody on the way connects in the anchor's name, and ends the connection when TLS begins.
    Impostor,
    /// The same, and never answers.
    ImpostorHangs,
    /// Small packets pass, larger ones do not: TCP connects, TLS hangs.
    SmallOnly,
    /// This device's firewall forbids it.
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

/// What a name server does.
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

/// What the resolver between the programs of the device and the name servers does.
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

/// When the kernel knows the hardware address of the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MacState {
    AtOnce,
    /// Once something was sent to it.
    #[default]
    Later,
    Never,
}

/// How heartbeats end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// As the network allows, and then as the endpoint answers.
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
    /// What becomes of whatever is sent beyond the router.
    pub(crate) line: Anchors,
    /// What each anchor does with what reaches it.
    pub(crate) anchors: [Anchors; ANCHORS],
    /// The anchors that are asked for a proof, and not for a contact only.
    pub(crate) tls: [bool; ANCHORS],
    /// The anchors whose addresses the router has taken for itself.
    pub(crate) owned: [bool; ANCHORS],
    /// The anchors that are reached by a path of their own.
    pub(crate) own_path: [bool; ANCHORS],
    /// Whether the route leads into a tunnel.
    pub(crate) tunnel: bool,
    pub(crate) latency_ms: u64,
    pub(crate) loss_percent: u8,
}

impl FamilyWorld {
    /// What becomes of a connection to one anchor.
    pub(crate) fn anchor(&self, anchor: usize) -> Anchors {
        if self.owned[anchor] {
            Anchors::Impostor
        } else if self.line == Anchors::Answer || self.own_path[anchor] {
            self.anchors[anchor]
        } else {
            self.line
        }
    }

    /// Whether the kernel has a way to send, as far as it tells.
    pub(crate) fn can_send(&self) -> bool {
        matches!(self.link, LinkState::Routed | LinkState::Unknown)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) families: PerFamily<FamilyWorld>,
    /// Which network the device is in; another one has another router.
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
    /// How the endpoint answers heartbeats that reach it.
    pub(crate) endpoint: OutcomeKind,
    /// Whether heartbeats travel over verified TLS.
    pub(crate) heartbeat_proves: bool,
    /// Whether heartbeats go through a proxy in the own network.
    pub(crate) proxied: bool,
    /// Why this device can ask nobody.
    pub(crate) local_failure: Option<LocalFailure>,
}

impl World {
    /// A world in which everything works by these families.
    pub(crate) fn good(families: &[Family], tunnels: &[Family]) -> Self {
        let family = |family| FamilyWorld {
            link: if families.contains(&family) { LinkState::Routed } else { LinkState::NoAddress },
            line: Anchors::Answer,
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
    pub(crate) fn beneath(&self, family: Family) -> Option<Network> {
        self.families[family].tunnel.then(|| Network {
            family,
            interface: "eth0".to_owned(),
            router: Some(self.gateway(family)),
            router_mac: None,
        })
    }

    /// Whether the kernel says when this becomes the world `after`: not of another router that has the same
    /// IP address.
    pub(crate) fn is_change_told(&self, after: &Self) -> bool {
        let way = |world: &Self, family| world.link(family).without_mac();
        Family::BOTH.into_iter().any(|family| way(self, family) != way(after, family))
    }

    /// Whether the internet is reached by this family.
    pub(crate) fn works(&self, family: Family) -> bool {
        let family = &self.families[family];
        family.can_send()
            && family.line == Anchors::Answer
            && (0..ANCHORS).any(|anchor| family.anchor(anchor) == Anchors::Answer)
    }

    /// Whether the internet is reached at all, at least by small packets. Heartbeats that are
    /// answered whatever the anchors do prove it.
    pub(crate) fn is_online(&self) -> bool {
        let passes = |family| {
            let world = &self.families[family];
            world.can_send() && matches!(world.line, Anchors::Answer | Anchors::SmallOnly)
        };
        let answered = matches!(
            self.heartbeat,
            Heartbeat::Delivered | Heartbeat::DeliveredByUnknownFamily | Heartbeat::Status(_)
        );
        answered || Family::BOTH.into_iter().any(passes)
    }
}
