//! What has been learned of the networks that this device was in.
//!
//! A network is an interface and a router, by its IP address and its hardware address: many routers are
//! 192.168.1.1. What has worked on it once is expected of it from then on: an address family, anchors that
//! prove themselves, a router that answers. The last is expected until the router is silent on a line that
//! works: it may be set to drop what is sent to itself.
//!
//! The hardware address is not known before something was sent to the router, and on some systems never.
//! Until then
//!
//! - the network may be each that has the same router but for that, and everything is expected that was learned
//!   of any of these;
//! - what is learned belongs to a network of its own, which gets its hardware address when that becomes known. It
//!   is kept in the journal unless another network has the same router but for that: then it waits for the address,
//!   and is forgotten when the device moves before.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::probe::{Family, LinkAnswer, MacAddress, Route};

/// How many networks are remembered; the one that was learned first is forgotten first.
const MOST_NETWORKS: usize = 64;

/// A network, as one address family sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// The family that its router is of.
    pub family: Family,
    /// The interface that leads to it, such as `eth0`.
    pub interface: String,
    /// The router; none on a line without one, such as PPP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<IpAddr>,
    /// The hardware address of the router, as far as it is known.
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

    /// The network of a device that cannot tell one from another.
    pub fn nameless(family: Family) -> Self {
        Self { family, interface: "unknown".to_owned(), router: None, router_mac: None }
    }

    /// The network that a link leads to, if it leads anywhere.
    pub fn of(family: Family, link: &LinkAnswer) -> Option<Self> {
        link.route().map(|route| Self::new(family, route))
    }

    /// Whether both may be the same network: a hardware address that is not known may be any.
    pub fn may_be(&self, other: &Self) -> bool {
        self.is_alike(other) && MacAddress::may_be(self.router_mac, other.router_mac)
    }

    /// Whether both are the same but for the hardware address.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let alike = |network: &Self| (network.family, network.router);
        alike(self) == alike(other) && self.interface == other.interface
    }
}

/// What has been learned of one network. The journal keeps it over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// Which network.
    #[serde(flatten)]
    pub network: Network,
    /// The family has had proof on it, by an anchor or by a heartbeat.
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

    /// Whether these facts take the place of `earlier` ones: they are about the same network, or that had no
    /// hardware address then.
    fn supersede(&self, earlier: &Self) -> bool {
        let (network, earlier) = (&self.network, &earlier.network);
        let is_same = network.router_mac == earlier.router_mac || earlier.router_mac.is_none();
        network.is_alike(earlier) && is_same
    }

    fn learn(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::FamilyProved => self.family_proved = true,
            Lesson::AnchorProved => (self.anchor_proved, self.family_proved) = (true, true),
            Lesson::RouterAnswered => self.router_answered = true,
            Lesson::RouterSilent => self.router_answered = false,
        }
    }

    /// Adds these facts to those that are known, oldest first, in place of the ones that they supersede.
    pub fn remember_in(self, known: &mut Vec<Self>) {
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

/// One thing that can be learned of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// A heartbeat has proved that the family works.
    FamilyProved,
    /// An anchor has proved itself, and that the family works.
    AnchorProved,
    /// The router has answered.
    RouterAnswered,
    /// The router has not answered, although it passed on an answer of the internet meanwhile.
    RouterSilent,
}

/// The networks that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks(Vec<NetworkFacts>);

impl Networks {
    /// Takes in what the journal remembers, oldest first. A later entry of a network replaces an
    /// earlier one.
    pub(super) fn remember(&mut self, facts: &NetworkFacts) {
        facts.clone().remember_in(&mut self.0);
    }

    /// Whether something is known of `network`, or of one that it may be.
    fn knows(&self, network: Option<&Network>, what: impl Fn(&NetworkFacts) -> bool) -> bool {
        network.is_some_and(|network| {
            self.0.iter().any(|known| known.network.may_be(network) && what(known))
        })
    }

    /// Whether the family has had proof on `network`.
    pub(super) fn has_proved_family(&self, network: Option<&Network>) -> bool {
        self.knows(network, |known| known.family_proved)
    }

    /// Whether an anchor has proved itself on `network`.
    pub(super) fn has_proved_anchor(&self, network: Option<&Network>) -> bool {
        self.knows(network, |known| known.anchor_proved)
    }

    /// Whether the router of `network` has answered, and has not been silent on a line that worked since.
    pub(super) fn has_router_answered(&self, network: Option<&Network>) -> bool {
        self.knows(network, |known| known.router_answered)
    }

    /// Learns something of a network, and returns all that is known of it when that was new and is to be
    /// kept in the journal.
    pub(super) fn learn(&mut self, network: &Network, lesson: Lesson) -> Option<NetworkFacts> {
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

    /// The device is on `network`. If its hardware address has become known, what was learned before that
    /// is now known of it; returns that when it is new.
    pub(super) fn identify(&mut self, network: &Network) -> Option<NetworkFacts> {
        network.router_mac?;
        let is_it = |known: &NetworkFacts| {
            known.network.router_mac.is_none() && known.network.is_alike(network)
        };
        let place = self.0.iter().position(is_it)?;
        let learned = self.0.remove(place);
        self.add(network, &learned)
    }

    /// Another router has taken over the address of the one of `before` while the device stayed where it
    /// was: what was learned is expected of that one too. Returns it when it is new.
    pub(super) fn take_over(&mut self, before: &Network, now: &Network) -> Option<NetworkFacts> {
        let learned = self.get(before)?.clone();
        self.add(now, &learned)
    }

    /// Adds what was learned elsewhere to what is known of `network`, and returns that when it is new.
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

    /// The device has moved, or may have: forgets what waits for a hardware address.
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

    /// Whether a network is known that is the same but for its hardware address.
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

    /// A network whose router has the same address as others.
    fn with_mac(last: u8) -> Network {
        Network { router_mac: MacAddress::new(&[2, 0, 0, 0, 0, last]), ..network(1) }
    }

    #[test]
    fn something_is_new_once() {
        let mut networks = Networks::default();
        assert!(!networks.has_proved_family(Some(&network(1))));
        let learned = networks.learn(&network(1), Lesson::FamilyProved).expect("it is new");
        assert!(learned.family_proved && !learned.anchor_proved);
        assert_eq!(networks.learn(&network(1), Lesson::FamilyProved), None);
        let learned = networks.learn(&network(1), Lesson::RouterAnswered).expect("it is new");
        assert!(learned.family_proved && learned.router_answered);
        assert!(networks.has_proved_family(Some(&network(1))));
        assert!(!networks.has_proved_family(Some(&network(2))));
    }

    #[test]
    fn a_router_may_stop_answering_and_answer_again() {
        let mut networks = Networks::default();
        assert_eq!(networks.learn(&network(1), Lesson::RouterSilent), None);
        networks.learn(&network(1), Lesson::AnchorProved);
        networks.learn(&network(1), Lesson::RouterAnswered);
        let learned = networks.learn(&network(1), Lesson::RouterSilent).expect("it is new");
        assert!(learned.anchor_proved && !learned.router_answered);
        assert!(!networks.has_router_answered(Some(&network(1))));
        assert!(networks.learn(&network(1), Lesson::RouterAnswered).is_some());
        assert!(networks.has_router_answered(Some(&network(1))));
    }

    #[test]
    fn a_device_that_roams_for_ever_remembers_the_last_networks() {
        let mut networks = Networks::default();
        for number in 0..200 {
            networks.learn(&network(number), Lesson::AnchorProved);
        }
        assert_eq!(networks.0.len(), MOST_NETWORKS);
        assert!(networks.has_proved_anchor(Some(&network(199))));
        assert!(!networks.has_proved_anchor(Some(&network(0))));
    }

    #[test]
    fn networks_are_told_apart_by_what_is_known_of_their_routers() {
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

    /// What is known of a network: whether the family and an anchor have proved themselves, and whether the
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
    fn what_was_learned_before_the_hardware_address_was_known_is_known_of_it_then() {
        let mut networks = Networks::default();
        // As an earlier version of the agent has remembered it.
        networks
            .remember(&NetworkFacts { router_answered: true, ..NetworkFacts::nothing(network(1)) });
        assert_eq!(networks.identify(&network(1)), None);
        assert_eq!(known(&networks, &with_mac(1)), [false, false, true], "it may be this one");
        let adopted = networks.identify(&with_mac(1)).expect("its address is new");
        assert_eq!((&adopted.network, adopted.router_answered), (&with_mac(1), true));
        assert_eq!(networks.identify(&with_mac(1)), None);
        assert_eq!(known(&networks, &with_mac(2)), [false; 3], "another network");
        assert_eq!(known(&networks, &network(1)), [false, false, true], "it may be the one");
    }

    #[test]
    fn another_network_with_the_same_router_address_learns_by_itself() {
        let mut networks = Networks::default();
        networks.learn(&with_mac(1), Lesson::RouterAnswered);
        // The device has moved, and nothing was sent to the router yet.
        assert_eq!(networks.learn(&network(1), Lesson::FamilyProved), None, "whose is not known");
        assert_eq!(known(&networks, &network(1)), [true, false, true], "of any");
        let learned = networks.identify(&with_mac(2)).expect("it is new");
        assert_eq!((&learned.network, learned.family_proved), (&with_mac(2), true));
        assert_eq!(known(&networks, &with_mac(1)), [false, false, true]);
        assert_eq!(known(&networks, &with_mac(2)), [true, false, false]);
    }

    #[test]
    fn what_waits_for_a_hardware_address_is_forgotten_when_the_device_moves() {
        let mut networks = Networks::default();
        networks.learn(&network(3), Lesson::FamilyProved);
        networks.learn(&with_mac(1), Lesson::RouterAnswered);
        networks.learn(&network(1), Lesson::FamilyProved);
        networks.forget_ambiguous();
        assert_eq!(networks.identify(&with_mac(2)), None);
        assert_eq!(known(&networks, &network(1)), [false, false, true]);
        assert_eq!(known(&networks, &network(3)), [true, false, false], "there is no other one");
    }

    #[test]
    fn a_record_without_a_hardware_address_is_read_and_the_next_one_replaces_it() {
        let old = r#"{"family":"ipv4","interface":"eth0","router":"192.168.1.1","family_proved":true,"anchor_proved":true,"router_answered":false}"#;
        let old: NetworkFacts = serde_json::from_str(old).expect("an earlier version wrote it");
        assert_eq!(old.network, network(1));
        let json = serde_json::to_string(&old).expect("it is JSON");
        assert!(!json.contains("router_mac"), "{json}");
        let new = NetworkFacts { network: with_mac(1), ..old.clone() };
        let json = serde_json::to_string(&new).expect("it is JSON");
        assert!(json.contains(r#""router_mac":"02:00:00:00:00:01""#), "{json}");
        assert_eq!(serde_json::from_str::<NetworkFacts>(&json).expect("and back"), new);
        assert!(new.supersede(&old) && !old.supersede(&new));
    }
}
