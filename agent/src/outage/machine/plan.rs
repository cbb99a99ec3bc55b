//! What should be asked, and how often.
//!
//! 1. While all is well one anchor of each family is probed at each probe interval: contact. Proof
//!    comes with each heartbeat; where heartbeats give none (local mode, plain HTTP, a target in the
//!    own network) once a minute by one anchor, one look-up and one portal page, and every five
//!    minutes by one anchor of a family that no heartbeat travelled on. Where heartbeats are believed
//!    and anchors are not, or no anchor has proved itself yet, one of these is asked once a minute too.
//! 2. In doubt, and while the state is unknown, a round of the family begins every second. Rounds
//!    overlap, because each takes up to 4 s and two must fail before an outage is reported.
//! 3. While an outage is open a round begins every 1.5 s, so that its end is known to 2 s.
//! 4. The router is asked with every round.
//! 5. Name servers are asked every 2 s in doubt, and every 1.5 s while they are what is broken. The
//!    portal pages are asked every 2 s in doubt, and every 1.5 s while one is what is broken. During
//!    any other outage both are asked every 10 s, because a new cause may show behind the first.

use std::time::Duration;

use super::OutageMachine;
use crate::{
    outage::{Cause, family::FamilyPhase, open::OpenIncident},
    probe::{Family, PerFamily},
};

const ROUND_IN_DOUBT: Duration = Duration::from_secs(1);
const ROUND_WHILE_OPEN: Duration = Duration::from_millis(1_500);
const CHECK_IN_DOUBT: Duration = Duration::from_secs(2);
const CHECK_BESIDE: Duration = Duration::from_secs(10);
const PROOF_OF_LINE: Duration = Duration::from_mins(1);
const PROOF_OF_OTHER_FAMILY: Duration = Duration::from_mins(5);

/// What should be asked at present: the time from one question to the next of its kind; nothing where
/// it is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether one anchor of the family is probed at each probe interval.
    pub probed: PerFamily<bool>,
    /// Rounds.
    pub rounds: PerFamily<Option<Duration>>,
    /// The router.
    pub gateway: PerFamily<Option<Duration>>,
    /// One anchor for proof.
    pub proof: PerFamily<Option<Duration>>,
    /// A look-up by the system's resolver.
    pub lookup: Option<Duration>,
    /// Every name server directly.
    pub name_servers: Option<Duration>,
    /// Every portal page.
    pub portal: Option<Duration>,
    /// One portal page, in turn.
    pub portal_page: Option<Duration>,
}

impl Wanted {
    /// Whether something is in doubt or fails, so that more than the scheduled is asked.
    pub fn is_urgent(&self) -> bool {
        let rounds = self.rounds.iter().any(|(_, period)| period.is_some());
        rounds || self.name_servers.is_some()
    }
}

impl OutageMachine {
    /// What should be asked at present. Ask for it anew after each call of [`Self::observe`].
    pub fn plan(&self) -> Wanted {
        let judged = self.judged();
        let is_open = self.connectivity.is_failing();
        let cause = self.connectivity.open().map(OpenIncident::current_cause);
        let round = if is_open { ROUND_WHILE_OPEN } else { ROUND_IN_DOUBT };
        let rounds =
            PerFamily::from_fn(|family| self.needs_rounds(family, judged[family]).then_some(round));
        let is_in_doubt = rounds.iter().any(|(_, period)| period.is_some());
        let proves = self.heartbeat_proof.is_some();
        let background = (!proves).then_some(PROOF_OF_LINE);
        let check = |is_broken: bool, is_doubted: bool| match () {
            () if is_broken => Some(ROUND_WHILE_OPEN),
            () if is_open => Some(CHECK_BESIDE),
            () if is_doubted => Some(CHECK_IN_DOUBT),
            () => None,
        };
        let names_broken = cause == Some(Cause::Dns) || self.names.failing_since().is_some();
        let names_doubted = self.names.is_doubted();
        // Behind an outage that has just ended the names decide whether it is over.
        let names = if is_open && names_doubted && !is_in_doubt {
            Some(CHECK_IN_DOUBT)
        } else {
            check(names_broken, names_doubted)
        };
        let is_portal_decisive = cause == Some(Cause::CaptivePortal) || self.is_contact_barred();
        let portal = check(is_portal_decisive, is_in_doubt);
        let proof = self.proof(judged);
        Wanted {
            probed: PerFamily::from_fn(|family| {
                judged[family] || self.families[family].is_routed()
            }),
            rounds,
            gateway: rounds,
            // Rounds ask for more; one answer beside them must not bring a family back before the other.
            proof: PerFamily::from_fn(|family| proof[family].filter(|_| rounds[family].is_none())),
            lookup: names.or(background),
            name_servers: names,
            portal,
            portal_page: background.filter(|_| portal.is_none()),
        }
    }

    /// Whether rounds of a family must decide something. One that is not judged may prove itself during
    /// the grace period; later the proof beside the rounds finds out.
    fn needs_rounds(&self, family: Family, is_judged: bool) -> bool {
        let track = &self.families[family];
        match track.state() {
            // What came up by a heartbeat alone has anchors that nothing is known of yet.
            FamilyPhase::Up => {
                let is_unproved =
                    track.has_no_round() && !self.networks.has_proved_anchor(track.network());
                is_judged && (is_unproved || track.is_disputed() || self.must_verify(family))
            }
            FamilyPhase::Unknown { until, .. } => {
                is_judged || track.is_routed() && !self.now.is_at_or_after(until)
            }
            FamilyPhase::Doubt { .. } | FamilyPhase::Down { .. } => is_judged,
        }
    }

    fn proof(&self, judged: PerFamily<bool>) -> PerFamily<Option<Duration>> {
        let travelled = self.heartbeat_proof.and_then(crate::heartbeat::NetworkPath::family);
        // The one that carries everything while the other is down.
        let of = |is_up: bool| {
            let mut families = Family::BOTH.into_iter().filter(|family| judged[*family]);
            families.find(|family| self.families[*family].is_up() == is_up)
        };
        let main = of(true).or(of(false));
        PerFamily::from_fn(|family| {
            let track = &self.families[family];
            let is_asked = judged[family] || track.is_routed();
            // Anchors that are not believed are asked all the same: they may not be blocked any more.
            let trusts_heartbeats = track.trusts_heartbeats();
            // Until an anchor has proved itself here contact decides, and an impostor is believed; or the
            // family is not judged at all.
            let is_unproved = !self.networks.has_proved_anchor(track.network());
            let proves_line = self.heartbeat_proof.is_none() && main == Some(family);
            match () {
                () if !is_asked => None,
                () if trusts_heartbeats || proves_line || is_unproved => Some(PROOF_OF_LINE),
                () if travelled == Some(family) => None,
                () => Some(PROOF_OF_OTHER_FAMILY),
            }
        })
    }
}
