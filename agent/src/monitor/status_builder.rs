//! Assembles the status snapshot and publishes it.

use std::{path::Path, time::Duration};

use super::{MonitorSettings, recorder::Recorder};
use crate::{
    clock::{Clock, Stamp},
    heartbeat::HeartbeatOutcome,
    journal::JournalState,
    notify::ServiceManager,
    outage::{FamilyState, MachineSnapshot},
    probe::{Family, LinkAnswer, LocalFailure, PerFamily},
    status::{
        ClockStatus, ConnectivityStatus, FamilyStatus, HandOverProblem, HeartbeatStatus,
        IncidentStatus, JournalStatus, LastHeartbeat, LinkStatus, Publisher, QualityStatus, Status,
    },
};

/// The number of heartbeat intervals after which a reader considers the status stale: the agent reads
/// the clocks far more often, and every heartbeat rewrites the status.
const FRESH_INTERVALS: u32 = 3;

/// Assembles the status snapshot and publishes it.
#[derive(Debug)]
pub(super) struct StatusBuilder {
    publisher: Option<Publisher>,
    manager: ServiceManager,
    status: Status,
}

impl StatusBuilder {
    pub(super) fn new(
        settings: &MonitorSettings,
        now: Stamp,
        folder: &Path,
        publisher: Option<Publisher>,
        manager: ServiceManager,
    ) -> Self {
        // `change` sets how long it stays fresh.
        let status = Status::starting(&settings.device, folder, now, Duration::ZERO);
        let mut status_builder = Self { publisher, manager, status };
        status_builder.apply_settings(settings);
        status_builder
    }

    /// Applies new settings.
    pub(super) fn apply_settings(&mut self, settings: &MonitorSettings) {
        let fresh = settings.interval * FRESH_INTERVALS + Duration::from_mins(1);
        self.status.fresh_ms = u64::try_from(fresh.as_millis()).unwrap_or(u64::MAX);
        self.status.device.clone_from(&settings.device);
        let url = settings.heartbeat.as_ref().map(|(url, _)| url);
        if self.status.heartbeat.as_ref().map(|heartbeat| &heartbeat.url) != url {
            self.status.heartbeat = url.map(|url| HeartbeatStatus {
                url: url.clone(),
                last: None,
                last_delivered: None,
                expected: None,
            });
        }
    }

    /// Applies the outcome of a heartbeat.
    pub(super) fn heartbeat(&mut self, outcome: &HeartbeatOutcome, now: Stamp) {
        let Some(heartbeat) = &mut self.status.heartbeat else { return };
        heartbeat.last = Some(LastHeartbeat::new(now, outcome));
        if let HeartbeatOutcome::Delivered { client_address, expected, .. } = outcome {
            heartbeat.last_delivered = Some(now);
            heartbeat.expected = expected.or(heartbeat.expected);
            self.status.wan_address = client_address.or(self.status.wan_address);
        }
    }

    /// Applies the recent quality of the connection.
    pub(super) fn quality(&mut self, quality: Option<QualityStatus>) {
        self.status.quality = quality;
    }

    /// Sets the reason why this device cannot send probes, if it cannot.
    pub(super) fn blind(&mut self, reason: Option<LocalFailure>) {
        self.status.blind = reason.map(|reason| reason.reason().to_owned());
    }

    /// Applies how much waits to be handed over, and why that fails if it does.
    pub(super) fn hand_over(&mut self, waiting: u64, problem: Option<HandOverProblem>) {
        self.status.hand_over_pending = waiting;
        self.status.hand_over_problem = problem;
    }

    /// Applies the state of the machine and publishes the snapshot.
    pub(super) fn show(
        &mut self,
        view: &MachineSnapshot,
        links: &PerFamily<Option<LinkAnswer>>,
        paused_until: Option<Stamp>,
        recorder: &Recorder,
        clock: &Clock,
        now: Stamp,
    ) {
        let JournalState { head, waiting, problem, advice, .. } = recorder.journal_state();
        let head = head.unwrap_or_default();
        let states = PerFamily { ipv4: view.ipv4, ipv6: view.ipv6 };
        self.status.paused_until = paused_until;
        self.status.incidents = view
            .incidents
            .iter()
            .map(|incident| IncidentStatus::new(incident, recorder.is_durable(incident.id)))
            .collect();
        let incidents = &self.status.incidents;
        self.status.condition = match paused_until {
            Some(_) => ConnectivityStatus::Paused,
            None if self.status.blind.is_some() => ConnectivityStatus::Unknown,
            None => overall(states).with_incidents(incidents),
        };
        self.status.families = Family::BOTH
            .into_iter()
            .map(|family| FamilyStatus {
                family,
                condition: match &links[family] {
                    Some(_) if self.status.blind.is_some() => ConnectivityStatus::Unknown,
                    Some(_) => {
                        condition(states[family]).of_family_with_incidents(family, incidents)
                    }
                    // Without anchors there is nothing to probe.
                    None => ConnectivityStatus::Unused,
                },
                last_ok: view.last_ok[family],
                link: links[family].as_ref().map(LinkStatus::from),
            })
            .collect();
        self.status.blips = view.blips;
        self.status.journal = JournalStatus {
            seq: head.seq,
            head: head.head,
            waiting: waiting as u64,
            problem,
            advice,
        };
        self.status.clock =
            ClockStatus { plausible: clock.is_plausible(), correction_ms: clock.correction_ms() };
        self.publish(now);
    }

    /// Publishes that the agent has stopped cleanly.
    pub(super) fn stopped(&mut self, now: Stamp) {
        self.status.condition = ConnectivityStatus::Stopped;
        self.status.blind = None;
        self.publish(now);
        if let Some(publisher) = &self.publisher {
            publisher.flush(Duration::from_millis(100));
        }
    }

    fn publish(&mut self, now: Stamp) {
        self.status.written = now;
        self.manager.show(&self.status);
        if let Some(publisher) = &self.publisher {
            publisher.publish(self.status.clone());
        }
    }
}

fn condition(state: FamilyState) -> ConnectivityStatus {
    match state {
        FamilyState::Absent => ConnectivityStatus::Unused,
        FamilyState::Unknown => ConnectivityStatus::Unknown,
        FamilyState::Up => ConnectivityStatus::Up,
        FamilyState::Doubt => ConnectivityStatus::Doubt,
        FamilyState::Down => ConnectivityStatus::Down,
    }
}

/// The overall connectivity is that of the better family in use.
fn overall(states: PerFamily<FamilyState>) -> ConnectivityStatus {
    let rank = |state: FamilyState| match state {
        FamilyState::Up => 0,
        FamilyState::Doubt => 1,
        FamilyState::Unknown => 2,
        FamilyState::Down => 3,
        FamilyState::Absent => 4,
    };
    let PerFamily { ipv4, ipv6 } = states;
    let best = if rank(ipv6) < rank(ipv4) { ipv6 } else { ipv4 };
    // Without any route the connection is down, not unused.
    if best == FamilyState::Absent { ConnectivityStatus::Down } else { condition(best) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overall_connectivity_is_that_of_the_better_family() {
        use FamilyState::{Absent, Doubt, Down, Unknown, Up};
        for ([ipv4, ipv6], expected) in [
            ([Up, Absent], ConnectivityStatus::Up),
            ([Up, Down], ConnectivityStatus::Up),
            ([Doubt, Down], ConnectivityStatus::Doubt),
            ([Down, Down], ConnectivityStatus::Down),
            ([Down, Absent], ConnectivityStatus::Down),
            ([Unknown, Absent], ConnectivityStatus::Unknown),
            ([Absent, Absent], ConnectivityStatus::Down),
        ] {
            for states in [PerFamily { ipv4, ipv6 }, PerFamily { ipv4: ipv6, ipv6: ipv4 }] {
                assert_eq!(overall(states), expected, "{states:?}");
            }
        }
    }
}
