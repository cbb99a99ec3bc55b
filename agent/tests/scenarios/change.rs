//! The changes of a scenario at one moment.

use ispmon_agent::{
    heartbeat::{FailureKind, OutcomeKind},
    outage::Party,
    probe::{Family, LocalFailure},
};
use serde::Deserialize;

use crate::world::{
    ANCHORS, Anchors, DnsState, FamilyName, FamilyWorld, GatewayState, Heartbeat, LinkState,
    PortalState, StubState, World,
};

/// The changes at one moment; keys that are not set change nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) at: String,
    /// Number of occurrences, and the time between two.
    pub(crate) repeat: Option<u64>,
    pub(crate) every: Option<String>,
    /// The family whose link, anchors, latency and loss change; both if not set.
    pub(crate) family: Option<FamilyName>,
    pub(crate) link: Option<LinkState>,
    pub(crate) anchors: Option<AnchorsKey>,
    /// The anchors whose addresses the router uses itself.
    pub(crate) owned: Option<[bool; ANCHORS]>,
    pub(crate) own_path: Option<[bool; ANCHORS]>,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) loss_percent: Option<u8>,
    /// The name of the network; another network has another router.
    pub(crate) network: Option<String>,
    /// The network whose router has the same IP address as the router of `network`.
    pub(crate) router_of: Option<String>,
    pub(crate) gateway: Option<GatewayState>,
    pub(crate) dns: Option<DnsState>,
    pub(crate) name_servers: Option<Vec<DnsState>>,
    pub(crate) name_servers_of: Option<Party>,
    pub(crate) stub_resolver: Option<StubState>,
    pub(crate) portal: Option<PortalState>,
    /// Whether an anchor is alive beneath the tunnel.
    pub(crate) underlay: Option<bool>,
    pub(crate) heartbeat: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) heartbeat_proves: Option<bool>,
    /// Why the device cannot send probes.
    pub(crate) local_failure: Option<String>,
    pub(crate) clock_implausible: Option<bool>,
    /// Step of the wall clock in seconds; backward if negative.
    pub(crate) clock_step_s: Option<i64>,
    /// An interface comes up, although nothing else changes.
    pub(crate) link_up: Option<bool>,
    /// A new grace period.
    pub(crate) grace: Option<String>,
    /// A reload removes the anchors of this family.
    pub(crate) no_anchors: Option<FamilyName>,
    /// The device has no root certificates.
    pub(crate) cannot_verify: Option<bool>,
    /// A reload removes the heartbeats' URL.
    pub(crate) no_heartbeats: Option<bool>,
    /// Cause of an unmonitored period, which lasts until `until`.
    pub(crate) gap: Option<String>,
    pub(crate) until: Option<String>,
}

/// One word for all anchors, or one for each.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum AnchorsKey {
    All(AnchorWord),
    Each([AnchorWord; ANCHORS]),
}

/// State of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnchorWord {
    Answer,
    /// It answers, and is configured without TLS.
    ContactOnly,
    Silent,
    Refuse,
    Unreachable,
    Impostor,
    ImpostorHangs,
    SmallOnly,
    Forbidden,
    OnLink,
}

impl AnchorWord {
    fn state(self) -> Anchors {
        match self {
            Self::Answer | Self::ContactOnly => Anchors::Answer,
            Self::Silent => Anchors::Silent,
            Self::Refuse => Anchors::Refuse,
            Self::Unreachable => Anchors::Unreachable,
            Self::Impostor => Anchors::Impostor,
            Self::ImpostorHangs => Anchors::ImpostorHangs,
            Self::SmallOnly => Anchors::SmallOnly,
            Self::Forbidden => Anchors::Forbidden,
            Self::OnLink => Anchors::OnLink,
        }
    }
}

impl Change {
    /// Applies the change to the world, as far as the families `present` are concerned. `networks` are
    /// the names of the networks so far.
    pub(crate) fn apply(
        &self,
        world: &mut World,
        present: &[Family],
        networks: &mut Vec<String>,
    ) -> Result<(), String> {
        for (family, state) in &mut world.families {
            if present.contains(&family)
                && self.family.is_none_or(|named| Family::from(named) == family)
            {
                self.apply_to_family(state);
            }
        }
        let mut number = |network: &String| {
            let known = networks.iter().position(|known| known == network);
            let number = known.unwrap_or_else(|| {
                networks.push(network.clone());
                networks.len() - 1
            });
            u8::try_from(number).map_err(|_| "too many networks")
        };
        if let Some(network) = &self.network {
            world.network = number(network)?;
            world.router = number(self.router_of.as_ref().unwrap_or(network))?;
        } else if self.router_of.is_some() {
            return Err("`router_of` needs a `network`".to_owned());
        }
        if let Some(dns) = self.dns {
            world.servers.fill(dns);
        }
        if let Some(servers) = &self.name_servers {
            world.servers.clone_from(servers);
        }
        if let Some(text) = &self.heartbeat {
            world.heartbeat = heartbeat(text)?;
        }
        if let Some(text) = &self.endpoint {
            world.endpoint = endpoint(text)?;
        }
        if let Some(text) = &self.local_failure {
            world.local_failure = local_failure(text)?;
        }
        world.heartbeat_proves = self.heartbeat_proves.unwrap_or(world.heartbeat_proves);
        world.servers_of = self.name_servers_of.unwrap_or(world.servers_of);
        world.stub = self.stub_resolver.unwrap_or(world.stub);
        world.gateway = self.gateway.unwrap_or(world.gateway);
        world.portal = self.portal.unwrap_or(world.portal);
        world.underlay = self.underlay.unwrap_or(world.underlay);
        Ok(())
    }

    fn apply_to_family(&self, world: &mut FamilyWorld) {
        match self.anchors {
            None => {}
            Some(AnchorsKey::All(all)) => {
                world.path = all.state();
                if world.path == Anchors::Answer {
                    world.anchors = [Anchors::Answer; ANCHORS];
                }
                if all == AnchorWord::ContactOnly {
                    world.tls = [false; ANCHORS];
                }
            }
            Some(AnchorsKey::Each(words)) => {
                world.path = Anchors::Answer;
                world.anchors = words.map(AnchorWord::state);
                for (tls, word) in world.tls.iter_mut().zip(words) {
                    *tls &= word != AnchorWord::ContactOnly;
                }
            }
        }
        world.link = self.link.unwrap_or(world.link);
        world.owned = self.owned.unwrap_or(world.owned);
        world.own_path = self.own_path.unwrap_or(world.own_path);
        world.latency_ms = self.latency_ms.unwrap_or(world.latency_ms);
        world.loss_percent = self.loss_percent.unwrap_or(world.loss_percent);
    }
}

fn heartbeat(text: &str) -> Result<Heartbeat, String> {
    Ok(match text {
        "as_the_line_is" => Heartbeat::AsTheLineIs,
        "delivered" => Heartbeat::Delivered,
        "delivered_by_unknown_family" => Heartbeat::DeliveredByUnknownFamily,
        "delivered_nearby" => Heartbeat::DeliveredNearby,
        text => match endpoint(text)? {
            OutcomeKind::Refused(status) => Heartbeat::Status(status),
            OutcomeKind::Failed(kind) => Heartbeat::Fails(kind),
            OutcomeKind::Delivered => Heartbeat::Delivered,
            OutcomeKind::AppStopped | OutcomeKind::OtherAnswer => {
                return Err(format!("unknown result of a heartbeat: {text:?}"));
            }
        },
    })
}

fn endpoint(text: &str) -> Result<OutcomeKind, String> {
    if text == "answers" {
        return Ok(OutcomeKind::Delivered);
    }
    if let Some(status) = text.strip_prefix("status_").and_then(|status| status.parse().ok()) {
        return Ok(OutcomeKind::Refused(status));
    }
    let kinds = [
        FailureKind::ConnectRefused,
        FailureKind::ConnectTimeout,
        FailureKind::ProxyRefused,
        FailureKind::TlsTimeout,
        FailureKind::TlsUntrusted,
        FailureKind::TlsNotYetValid,
        FailureKind::AnswerTimeout,
        FailureKind::NameUnknown,
    ];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == text);
    kind.map(OutcomeKind::Failed).ok_or_else(|| format!("unknown kind of failure: {text:?}"))
}

fn local_failure(text: &str) -> Result<Option<LocalFailure>, String> {
    let failures = [LocalFailure::NoDescriptors, LocalFailure::NoMemory, LocalFailure::NoPort];
    match failures.into_iter().find(|failure| failure.as_str() == text) {
        None if text == "none" => Ok(None),
        None => Err(format!("unknown local failure: {text:?}")),
        failure => Ok(failure),
    }
}
