//! What has been learned of the networks that this device was in.
//!
//! A network is an interface and a router. What has worked on it once is expected of it from then
//! on: an address family, anchors that prove themselves, a router that answers. The last is expected
//! until the router is silent on a line that works: it may be set to drop what is sent to itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::probe::{Family, Link, Route};

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
}

impl Network {
    /// The network that `route` leads to.
    pub fn new(family: Family, route: &Route) -> Self {
        Self { family, interface: route.interface.clone(), router: route.gateway }
    }

    /// The network of a device that cannot tell one from another.
    pub fn nameless(family: Family) -> Self {
        Self { family, interface: "unknown".to_owned(), router: None }
    }

    /// The network that a link leads to, if it leads anywhere.
    pub fn of(family: Family, link: &Link) -> Option<Self> {
        link.route().map(|route| Self::new(family, route))
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
        self.0.retain(|known| known.network != facts.network);
        if self.0.len() == MOST_NETWORKS {
            self.0.remove(0);
        }
        self.0.push(facts.clone());
    }

    fn get(&self, network: &Network) -> Option<&NetworkFacts> {
        self.0.iter().find(|known| known.network == *network)
    }

    /// Whether the family has had proof on `network`.
    pub(super) fn has_proved_family(&self, network: Option<&Network>) -> bool {
        network.and_then(|network| self.get(network)).is_some_and(|known| known.family_proved)
    }

    /// Whether an anchor has proved itself on `network`.
    pub(super) fn has_proved_anchor(&self, network: Option<&Network>) -> bool {
        network.and_then(|network| self.get(network)).is_some_and(|known| known.anchor_proved)
    }

    /// Whether the router of `network` has answered, and has not been silent on a line that worked since.
    pub(super) fn has_router_answered(&self, network: Option<&Network>) -> bool {
        network.and_then(|network| self.get(network)).is_some_and(|known| known.router_answered)
    }

    /// Learns something of a network, and returns all that is known of it when that was new.
    pub(super) fn learn(&mut self, network: &Network, lesson: Lesson) -> Option<NetworkFacts> {
        let mut facts = self.get(network).cloned().unwrap_or_else(|| NetworkFacts {
            network: network.clone(),
            family_proved: false,
            anchor_proved: false,
            router_answered: false,
        });
        let known = facts.clone();
        match lesson {
            Lesson::FamilyProved => facts.family_proved = true,
            Lesson::AnchorProved => (facts.anchor_proved, facts.family_proved) = (true, true),
            Lesson::RouterAnswered => facts.router_answered = true,
            Lesson::RouterSilent => facts.router_answered = false,
        }
        if facts == known {
            return None;
        }
        self.remember(&facts);
        Some(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u8) -> Network {
        let router = Some(IpAddr::from([192, 168, number, 1]));
        Network { family: Family::Ipv4, interface: "eth0".to_owned(), router }
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
}
