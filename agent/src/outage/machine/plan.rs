//! Decides which probes to send, and how often.
//!
//! 1. In normal operation one anchor of each family is probed at each probe interval: contact. Each
//!    heartbeat gives proof. If heartbeats give none (local mode, plain HTTP, a target in the
//!    local network), proof comes once a minute from one anchor, one lookup and one portal page. An anchor of
//!    a family that no heartbeat travelled on is probed for proof every five minutes. If heartbeats are
//!    trusted and anchors are not, or no anchor has proved itself yet, one anchor is probed for proof
//!    once a minute too.
//! 2. In doubt, and while the state is unknown, a round of the family begins every second. Rounds
//!    overlap, because each takes up to 4 s and two must fail before an outage is reported.
//! 3. During an outage a round begins every 1.5 s, which gives its end to within 2 s.
//! 4. The router is probed with every round.
//! 5. Name servers are probed every 2 s in doubt, and every 1.5 s while they are the cause. The portal
//!    pages are probed every 2 s in doubt, and every 1.5 s while one is the cause. During any other
//!    outage both are probed every 10 s, because a new cause may appear behind the first.

use std::time::Duration;

use super::OutageMachine;
use crate::{
    outage::{Cause, family::FamilyPhase, open::OpenIncident},
    probe::{Family, PerFamily},
};

const ROUND_IN_DOUBT: Duration = Duration::from_secs(1);
const ROUND_WHILE_OPEN: Duration = Duration::from_millis(1_500);
const CHECK_IN_DOUBT: Duration = Duration::from_secs(2);
const CHECK_DURING_OUTAGE: Duration = Duration::from_secs(10);
const PROOF_OF_CONNECTION: Duration = Duration::from_mins(1);
const PROOF_OF_OTHER_FAMILY: Duration = Duration::from_mins(5);

/// The probes to send at present: for each kind the time from one probe to the next, or `None` if it is
/// not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbePlan {
    /// Whether one anchor of the family is probed at each probe interval.
    pub probed: PerFamily<bool>,
    /// Rounds of all anchors.
    pub rounds: PerFamily<Option<Duration>>,
    /// The router.
    pub gateway: PerFamily<Option<Duration>>,
    /// One anchor for proof.
    pub proof: PerFamily<Option<Duration>>,
    /// A lookup by the system's resolver.
    pub lookup: Option<Duration>,
    /// Every name server directly.
    pub name_servers: Option<Duration>,
    /// Every portal page.
    pub portal: Option<Duration>,
    /// One portal page, in rotation.
    pub portal_page: Option<Duration>,
}

impl ProbePlan {
    /// Whether something is in doubt or fails, so that more than the scheduled probes is sent.
    pub fn is_urgent(&self) -> bool {
        let rounds = self.rounds.iter().any(|(_, period)| period.is_some());
        rounds || self.name_servers.is_some()
    }
}

impl OutageMachine {
    /// The probes to send at present. Call it again after each [`Self::observe`].
    pub fn plan(&self) -> ProbePlan {
        let judged = self.judged();
        let is_open = self.connectivity.is_failing();
        let cause = self.connectivity.open().map(OpenIncident::current_cause);
        let round = if is_open { ROUND_WHILE_OPEN } else { ROUND_IN_DOUBT };
        let rounds =
            PerFamily::from_fn(|family| self.needs_rounds(family, judged[family]).then_some(round));
        let is_in_doubt = rounds.iter().any(|(_, period)| period.is_some());
        let proves = self.heartbeat_proof.is_some();
        let background = (!proves).then_some(PROOF_OF_CONNECTION);
        let check = |is_broken: bool, is_doubted: bool| match () {
            () if is_broken => Some(ROUND_WHILE_OPEN),
            () if is_open => Some(CHECK_DURING_OUTAGE),
            () if is_doubted => Some(CHECK_IN_DOUBT),
            () => None,
        };
        let names_broken = cause == Some(Cause::Dns) || self.names.failing_since().is_some();
        let names_doubted = self.names.is_doubted();
        // After an outage the names decide whether it is over.
        let names = if is_open && names_doubted && !is_in_doubt {
            Some(CHECK_IN_DOUBT)
        } else {
            check(names_broken, names_doubted)
        };
        let is_portal_decisive = cause == Some(Cause::CaptivePortal) || self.waits_for_portal();
        let portal = check(is_portal_decisive, is_in_doubt);
        let proof = self.proof(judged);
        ProbePlan {
            probed: PerFamily::from_fn(|family| {
                judged[family] || self.families[family].is_routed()
            }),
            rounds,
            gateway: rounds,
            // Rounds need two answers; a single proof beside them must not bring one family back before
            // the other.
            proof: PerFamily::from_fn(|family| proof[family].filter(|_| rounds[family].is_none())),
            lookup: names.or(background),
            name_servers: names,
            portal,
            portal_page: background.filter(|_| portal.is_none()),
        }
    }

    /// Whether rounds of a family must decide something. A family that is not judged may prove itself
    /// by rounds during the grace period; later a single proof beside the rounds does that.
    fn needs_rounds(&self, family: Family, is_judged: bool) -> bool {
        let track = &self.families[family];
        match track.state() {
            // A family that came up by a heartbeat alone has anchors in an unknown state.
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
        // The family that carries all traffic while the other one is down.
        let of = |is_up: bool| {
            let mut families = Family::BOTH.into_iter().filter(|family| judged[*family]);
            families.find(|family| self.families[*family].is_up() == is_up)
        };
        let main = of(true).or(of(false));
        PerFamily::from_fn(|family| {
            let track = &self.families[family];
            let is_probed = judged[family] || track.is_routed();
            // Untrusted anchors are probed all the same: they may no longer be blocked.
            let trusts_heartbeats = track.trusts_heartbeats();
            // Until an anchor has proved itself here, contact decides and an impostor would be
            // accepted; or the family is not judged at all.
            let is_unproved = !self.networks.has_proved_anchor(track.network());
            let proves_connection = self.heartbeat_proof.is_none() && main == Some(family);
            match () {
                () if !is_probed => None,
                () if trusts_heartbeats || proves_connection || is_unproved => {
                    Some(PROOF_OF_CONNECTION)
                }
                () if travelled == Some(family) => None,
                () => Some(PROOF_OF_OTHER_FAMILY),
            }
        })
    }
}
