//! Facts about the networks that this device was on.
//!
//! A network is identified by an interface and a router, the router by its IP address and its hardware
//! address: many routers are 192.168.1.1. Whatever has worked on a network once is expected to work
//! from then on: an address family, anchors that prove themselves, a router that answers. The last is
//! expected only until the router is silent while the connection works: it may be configured to drop
//! probes.
//!
//! The hardware address is unknown until something has been sent to the router, and on some systems
//! always. While it is unknown,
//!
//! - the network may be any known one with the same interface and router address, and the facts of all
//!   of these apply;
//! - new facts belong to a separate entry, which gets the hardware address when that becomes known.
//!   They are stored in the journal unless another known network has the same interface and router
//!   address: then they wait for the hardware address, and are dropped if the device moves before.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::probe::{Family, LinkAnswer, MacAddress, Route};

/// How many networks are kept; the one that was learned first is dropped first.
const MOST_NETWORKS: usize = 64;

/// A network, as seen by one address family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// The family of its router.
    pub family: Family,
    /// The interface that leads to it, such as `eth0`.
    pub interface: String,
    /// The router; `None` on a connection without one, such as PPP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<IpAddr>,
    /// The hardware address of the router, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_mac: Option<MacAddress>,
}

impl Network {
    /// The network that `route` leads to.
    pub fn new(family: Family, route: &Route) -> Self {
        Self {
            family,
            interface: route.interface.clone(),
            router: route.gateway,
            router_mac: route.gateway_mac,
        }
    }

    /// The placeholder for a device that cannot identify its network.
    pub fn nameless(family: Family) -> Self {
        Self { family, interface: "unknown".to_owned(), router: None, router_mac: None }
    }

    /// The network that a link leads to, if it has a route.
    pub fn of(family: Family, link: &LinkAnswer) -> Option<Self> {
        link.route().map(|route| Self::new(family, route))
    }

    /// Whether both may be the same network; an unknown hardware address matches any.
    pub fn may_be(&self, other: &Self) -> bool {
        self.is_alike(other) && MacAddress::may_equal(self.router_mac, other.router_mac)
    }

    /// Whether both are the same apart from the hardware address.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let alike = |network: &Self| (network.family, network.router);
        alike(self) == alike(other) && self.interface == other.interface
    }
}

/// The facts about one network. The journal keeps them across restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// The network.
    #[serde(flatten)]
    pub network: Network,
    /// The family has had proof on it, from an anchor or a heartbeat.
    #[serde(default)]
    pub family_proved: bool,
    /// An anchor has proved itself on it.
    #[serde(default)]
    pub anchor_proved: bool,
    /// The router answers.
    #[serde(default)]
    pub router_answered: bool,
}

impl NetworkFacts {
    fn nothing(network: Network) -> Self {
        Self { network, family_proved: false, anchor_proved: false, router_answered: false }
    }

    /// Whether these facts replace `earlier` ones: they concern the same network, or that one's
    /// hardware address was unknown then.
    fn supersede(&self, earlier: &Self) -> bool {
        let (network, earlier) = (&self.network, &earlier.network);
        let is_same = network.router_mac == earlier.router_mac || earlier.router_mac.is_none();
        network.is_alike(earlier) && is_same
    }

    fn learn(&mut self, lesson: NetworkLesson) {
        match lesson {
            NetworkLesson::FamilyProved => self.family_proved = true,
            NetworkLesson::AnchorProved => (self.anchor_proved, self.family_proved) = (true, true),
            NetworkLesson::RouterAnswered => self.router_answered = true,
            NetworkLesson::RouterSilent => self.router_answered = false,
        }
    }

    /// Adds these facts to `known`, which is ordered oldest first, and removes those that they
    /// supersede.
    pub fn add_to(self, known: &mut Vec<Self>) {
        known.retain(|earlier| !self.supersede(earlier));
        if known.len() == MOST_NETWORKS {
            known.remove(0);
        }
        known.push(self);
    }

    fn add(&mut self, other: &Self) {
        self.family_proved |= other.family_proved;
        self.anchor_proved |= other.anchor_proved;
        self.router_answered |= other.router_answered;
    }
}

/// One fact that can be learned about a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetworkLesson {
    /// A heartbeat has proved that the family works.
    FamilyProved,
    /// An anchor has proved itself, and that the family works.
    AnchorProved,
    /// The router has answered.
    RouterAnswered,
    /// The router has not answered, although it forwarded an answer from the internet meanwhile.
    RouterSilent,
}

/// The known networks, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks(Vec<NetworkFacts>);

impl Networks {
    /// Restores facts from the journal; call it oldest first. A later record of a network replaces an
    /// earlier one.
    pub(super) fn remember(&mut self, facts: &NetworkFacts) {
        facts.clone().add_to(&mut self.0);
    }

    /// Whether `what` holds for `network`, or for one that it may be.
    fn holds_for(&self, network: Option<&Network>, what: impl Fn(&NetworkFacts) -> bool) -> bool {
        network.is_some_and(|network| {
            self.0.iter().any(|known| known.network.may_be(network) && what(known))
        })
    }

    /// Whether the family has had proof on `network`.
    pub(super) fn has_proved_family(&self, network: Option<&Network>) -> bool {
        self.holds_for(network, |known| known.family_proved)
    }

    /// Whether an anchor has proved itself on `network`.
    pub(super) fn has_proved_anchor(&self, network: Option<&Network>) -> bool {
        self.holds_for(network, |known| known.anchor_proved)
    }

    /// Whether the router of `network` has answered, and has not been silent since while the connection
    /// worked.
    pub(super) fn has_router_answered(&self, network: Option<&Network>) -> bool {
        self.holds_for(network, |known| known.router_answered)
    }

    /// Learns a fact about a network. Returns all facts about it if this one is new and must be stored
    /// in the journal.
    pub(super) fn learn(
        &mut self,
        network: &Network,
        lesson: NetworkLesson,
    ) -> Option<NetworkFacts> {
        let known = self.get(network).cloned();
        let known = known.unwrap_or_else(|| NetworkFacts::nothing(network.clone()));
        let mut facts = known.clone();
        facts.learn(lesson);
        if facts == known {
            return None;
        }
        self.remember(&facts);
        let waits = network.router_mac.is_none() && self.is_ambiguous(network);
        (!waits).then_some(facts)
    }

    /// The device is on `network`. If its hardware address has just become known, assigns the facts
    /// learned before to it; returns them if they are new.
    pub(super) fn identify(&mut self, network: &Network) -> Option<NetworkFacts> {
        network.router_mac?;
        let is_it = |known: &NetworkFacts| {
            known.network.router_mac.is_none() && known.network.is_alike(network)
        };
        let index = self.0.iter().position(is_it)?;
        let learned = self.0.remove(index);
        self.add(network, &learned)
    }

    /// Another router has taken over the address of the one in `before` while the device stayed on its
    /// network: the same facts are expected of the new router. Returns them if they are new.
    pub(super) fn take_over(&mut self, before: &Network, now: &Network) -> Option<NetworkFacts> {
        let learned = self.get(before)?.clone();
        self.add(now, &learned)
    }

    /// Adds facts of another entry to those about `network`; returns them if they are new.
    fn add(&mut self, network: &Network, learned: &NetworkFacts) -> Option<NetworkFacts> {
        let known = self.get(network).cloned();
        let mut facts = known.clone().unwrap_or_else(|| NetworkFacts::nothing(network.clone()));
        facts.add(learned);
        if known.as_ref() == Some(&facts) {
            return None;
        }
        self.remember(&facts);
        Some(facts)
    }

    /// The device has moved, or may have: drops the facts that wait for a hardware address.
    pub(super) fn forget_ambiguous(&mut self) {
        let ambiguous: Vec<_> = self
            .0
            .iter()
            .map(|known| &known.network)
            .filter(|known| self.is_ambiguous(known))
            .cloned()
            .collect();
        self.0.retain(|known| {
            known.network.router_mac.is_some() || !ambiguous.contains(&known.network)
        });
    }

    fn get(&self, network: &Network) -> Option<&NetworkFacts> {
        self.0.iter().find(|known| known.network == *network)
    }

    /// Whether another known network is the same apart from the hardware address.
    fn is_ambiguous(&self, network: &Network) -> bool {
        self.0.iter().any(|known| {
            known.network.is_alike(network) && known.network.router_mac != network.router_mac
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Network {
        let router = Some(IpAddr::from([192, 168, number, 1]));
        Network { family: Family::Ipv4, interface: "eth0".to_owned(), router, router_mac: None }
    }

    /// A network with the same router address as `network(1)`.
    fn with_mac(last: u8) -> Network {
        Network { router_mac: MacAddress::new(&[2, 0, 0, 0, 0, last]), ..network(1) }
    }

    #[test]
    fn a_fact_is_new_only_once() {
        let mut networks = Networks::default();
        assert!(!networks.has_proved_family(Some(&network(1))));
        let learned = networks.learn(&network(1), NetworkLesson::FamilyProved).expect("it is new");
        assert!(learned.family_proved && !learned.anchor_proved);
        assert_eq!(networks.learn(&network(1), NetworkLesson::FamilyProved), None);
        let learned =
            networks.learn(&network(1), NetworkLesson::RouterAnswered).expect("it is new");
        assert!(learned.family_proved && learned.router_answered);
        assert!(networks.has_proved_family(Some(&network(1))));
        assert!(!networks.has_proved_family(Some(&network(2))));
    }

    #[test]
    fn a_router_may_stop_and_resume_answering() {
        let mut networks = Networks::default();
        assert_eq!(networks.learn(&network(1), NetworkLesson::RouterSilent), None);
        networks.learn(&network(1), NetworkLesson::AnchorProved);
        networks.learn(&network(1), NetworkLesson::RouterAnswered);
        let learned = networks.learn(&network(1), NetworkLesson::RouterSilent).expect("it is new");
        assert!(learned.anchor_proved && !learned.router_answered);
        assert!(!networks.has_router_answered(Some(&network(1))));
        assert!(networks.learn(&network(1), NetworkLesson::RouterAnswered).is_some());
        assert!(networks.has_router_answered(Some(&network(1))));
    }

    #[test]
    fn a_roaming_device_keeps_the_latest_networks() {
        let mut networks = Networks::default();
        for number in 0..200 {
            networks.learn(&network(number), NetworkLesson::AnchorProved);
        }
        assert_eq!(networks.0.len(), MOST_NETWORKS);
        assert!(networks.has_proved_anchor(Some(&network(199))));
        assert!(!networks.has_proved_anchor(Some(&network(0))));
    }

    #[test]
    fn networks_differ_by_interface_and_router() {
        let here = with_mac(1);
        for (what, other, expected) in [
            ("the same", with_mac(1), true),
            ("another hardware address", with_mac(2), false),
            ("a hardware address that is not known", network(1), true),
            ("another address", Network { router: network(2).router, ..with_mac(1) }, false),
            ("another interface", Network { interface: "wlan0".to_owned(), ..with_mac(1) }, false),
            ("another family", Network { family: Family::Ipv6, ..with_mac(1) }, false),
        ] {
            assert_eq!((here.may_be(&other), other.may_be(&here)), (expected, expected), "{what}");
        }
    }

    /// The facts about a network: whether the family and an anchor have had proof, and whether the
    /// router has answered.
    fn known(networks: &Networks, network: &Network) -> [bool; 3] {
        let network = Some(network);
        [
            networks.has_proved_family(network),
            networks.has_proved_anchor(network),
            networks.has_router_answered(network),
        ]
    }

    #[test]
    fn facts_are_assigned_once_the_hardware_address_is_known() {
        let mut networks = Networks::default();
        // Written by an earlier version of the agent.
        networks
            .remember(&NetworkFacts { router_answered: true, ..NetworkFacts::nothing(network(1)) });
        assert_eq!(networks.identify(&network(1)), None);
        assert_eq!(known(&networks, &with_mac(1)), [false, false, true], "it may be this network");
        let adopted = networks.identify(&with_mac(1)).expect("its address is new");
        assert_eq!((&adopted.network, adopted.router_answered), (&with_mac(1), true));
        assert_eq!(networks.identify(&with_mac(1)), None);
        assert_eq!(known(&networks, &with_mac(2)), [false; 3], "another network");
        assert_eq!(known(&networks, &network(1)), [false, false, true], "it may be this network");
    }

    #[test]
    fn another_network_with_the_same_router_address_has_its_own_facts() {
        let mut networks = Networks::default();
        networks.learn(&with_mac(1), NetworkLesson::RouterAnswered);
        // The device has moved, and nothing has been sent to the router yet.
        assert_eq!(
            networks.learn(&network(1), NetworkLesson::FamilyProved),
            None,
            "the network is ambiguous"
        );
        assert_eq!(known(&networks, &network(1)), [true, false, true], "the facts of both apply");
        let learned = networks.identify(&with_mac(2)).expect("it is new");
        assert_eq!((&learned.network, learned.family_proved), (&with_mac(2), true));
        assert_eq!(known(&networks, &with_mac(1)), [false, false, true]);
        assert_eq!(known(&networks, &with_mac(2)), [true, false, false]);
    }

    #[test]
    fn facts_that_wait_for_a_hardware_address_are_dropped_when_the_device_moves() {
        let mut networks = Networks::default();
        networks.learn(&network(3), NetworkLesson::FamilyProved);
        networks.learn(&with_mac(1), NetworkLesson::RouterAnswered);
        networks.learn(&network(1), NetworkLesson::FamilyProved);
        networks.forget_ambiguous();
        assert_eq!(networks.identify(&with_mac(2)), None);
        assert_eq!(known(&networks, &network(1)), [false, false, true]);
        assert_eq!(
            known(&networks, &network(3)),
            [true, false, false],
            "there is no other candidate"
        );
    }

    #[test]
    fn a_record_with_a_hardware_address_replaces_one_without() {
        let old = r#"{"family":"ipv4","interface":"eth0","router":"192.168.1.1","family_proved":true,"anchor_proved":true,"router_answered":false}"#;
        let old: NetworkFacts =
            serde_json::from_str(old).expect("it is a record of an earlier version");
        assert_eq!(old.network, network(1));
        let json = serde_json::to_string(&old).expect("it is JSON");
        assert!(!json.contains("router_mac"), "{json}");
        let new = NetworkFacts { network: with_mac(1), ..old.clone() };
        let json = serde_json::to_string(&new).expect("it is JSON");
        assert!(json.contains(r#""router_mac":"02:00:00:00:00:01""#), "{json}");
        assert_eq!(serde_json::from_str::<NetworkFacts>(&json).expect("it is a record"), new);
        assert!(new.supersede(&old) && !old.supersede(&new));
    }
}
