//! What the incident machine shows of its state.

use serde::{Deserialize, Serialize};

use super::OutageMachine;
use crate::{
    clock::Stamp,
    outage::{Incident, family::FamilyPhase, open::OpenIncident},
    probe::{Family, LocalFailure, PerFamily},
};

/// The part of the state, besides transitions, that is published as soon as it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusKey {
    /// The state of each family.
    pub families: PerFamily<FamilyState>,
    /// How many failures were too short to be incidents since the agent started.
    pub blips: u64,
    /// Whether the anchors seem to be blocked here ([`MachineSnapshot::anchors_blocked`]).
    pub anchors_blocked: bool,
    /// Why this device cannot send probes, once that has lasted for ten seconds.
    pub blind: Option<LocalFailure>,
}

/// The state of the machine, for the status snapshot and for users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineSnapshot {
    /// The state of IPv4.
    pub ipv4: FamilyState,
    /// The state of IPv6.
    pub ipv6: FamilyState,
    /// The last good answer of each family.
    pub last_ok: PerFamily<Option<Stamp>>,
    /// The open incidents.
    pub incidents: Vec<Incident>,
    /// How many failures were too short to be incidents since the agent started.
    pub blips: u64,
    /// Whether heartbeats succeed while no anchor ever answers, so that the anchors seem to be blocked
    /// here. Worth one warning when it becomes true; it opens no incident.
    pub anchors_blocked: bool,
}

/// The state of an address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FamilyState {
    /// Not judged: it has no route, or it has never worked on this network while the other family does.
    Absent,
    /// Not known yet.
    Unknown,
    /// It works.
    Up,
    /// Something failed; not decided yet.
    Doubt,
    /// It does not work.
    Down,
}

impl OutageMachine {
    /// Returns the part of the state that is published as soon as it changes.
    pub fn status_key(&self) -> StatusKey {
        StatusKey {
            families: PerFamily::from_fn(|family| self.family_state(family)),
            blips: self.blips.count(),
            anchors_blocked: self.families.iter().any(|(_, track)| track.is_blocked()),
            blind: self.sight.blind().map(|(_, reason)| reason),
        }
    }

    /// Returns the current state.
    pub fn snapshot(&self) -> MachineSnapshot {
        let open = [self.connectivity.open(), self.heartbeats.open(), self.quality.open()];
        let StatusKey { families, blips, anchors_blocked, .. } = self.status_key();
        MachineSnapshot {
            ipv4: families.ipv4,
            ipv6: families.ipv6,
            last_ok: PerFamily::from_fn(|family| self.families[family].last_ok()),
            incidents: open.into_iter().flatten().map(OpenIncident::snapshot).collect(),
            blips,
            anchors_blocked,
        }
    }

    fn family_state(&self, family: Family) -> FamilyState {
        let track = &self.families[family];
        if !self.judged()[family] {
            return if track.link().is_none() { FamilyState::Unknown } else { FamilyState::Absent };
        }
        match track.state() {
            FamilyPhase::Unknown { .. } => FamilyState::Unknown,
            FamilyPhase::Up => FamilyState::Up,
            FamilyPhase::Doubt { .. } => FamilyState::Doubt,
            FamilyPhase::Down { .. } => FamilyState::Down,
        }
    }
}
