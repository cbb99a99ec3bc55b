//! Checks whether heartbeats arrive, and whether an alert rule would send mail if they stopped.

use super::DoctorCheck;
use crate::{
    clock::{self, Stamp},
    config::{HeartbeatKind, Settings},
    status::{
        ConnectivityStatus, HeartbeatStatus, Presence, Status,
        text::{DisplayContext, waiting},
    },
};

const HEARTBEAT: &str = "heartbeat";
const EXPECTED: &str = "alert rule";
const HAND_OVER: &str = "hand-over";

/// Judges by the results of heartbeats in the running agent's status.
pub(super) fn judge(
    settings: Option<&Settings>,
    status: Option<(&Status, Presence)>,
    now: &Stamp,
) -> Vec<DoctorCheck> {
    if let Some(settings) = settings
        && settings.heartbeat.url.is_none()
    {
        return vec![
            DoctorCheck::warn(
                HEARTBEAT,
                "no address is set: outages are recorded, but no mail will come",
            )
            .action("Set heartbeat.url to the address that the deployment printed."),
        ];
    }
    let Some((status, _)) = status.filter(|(_, presence)| presence.is_running()) else {
        return vec![
            DoctorCheck::skip(
                HEARTBEAT,
                "none is sent from here: it would report that this device is monitored",
            )
            .action("Start the agent and run this again, or send one: ispmon-agent ping."),
        ];
    };
    if status.condition == ConnectivityStatus::Paused {
        return vec![DoctorCheck::skip(HEARTBEAT, "none is sent during a pause")];
    }
    let Some(heartbeat) = &status.heartbeat else {
        return vec![
            DoctorCheck::warn(
                HEARTBEAT,
                "the agent sends none, although the configuration has an address",
            )
            .action("Restart the agent, so that it reads the configuration."),
        ];
    };
    let mut rows = vec![last_heartbeat(heartbeat, now)];
    let kind = settings.map(|settings| settings.heartbeat.kind);
    rows.push(expected(heartbeat, &status.device, kind));
    rows.extend(hand_over(status));
    rows
}

/// A row if the cloud does not accept recorded outages; `None` if there is no problem.
fn hand_over(status: &Status) -> Option<DoctorCheck> {
    let problem = status.hand_over_problem.as_ref()?;
    let waiting = waiting(status.hand_over_pending);
    let check = DoctorCheck::fail(HAND_OVER, format!("{waiting}: {}", problem.reason));
    let action = problem.advice.clone().unwrap_or_else(|| {
        "The agent retries by itself. If it keeps failing, check that the app in Azure runs."
            .to_owned()
    });
    Some(check.action(action))
}

fn last_heartbeat(heartbeat: &HeartbeatStatus, now: &Stamp) -> DoctorCheck {
    let zone = clock::local_zone();
    let context = DisplayContext { now: *now, zone: &zone, presence: Presence::Running };
    let Some(last) = &heartbeat.last else {
        return DoctorCheck::skip(
            HEARTBEAT,
            format!("the first one to {} is under way", heartbeat.url),
        )
        .action("Run this again in a minute.");
    };
    let detail = format!("{}: {}", context.ago(&last.at), last.sentence);
    if last.delivered {
        return DoctorCheck::pass(HEARTBEAT, detail);
    }
    let action = last.advice.clone().unwrap_or_else(|| {
        "If the rows above pass, the fault is at the other end: check that its app runs.".to_owned()
    });
    DoctorCheck::fail(HEARTBEAT, detail).action(action)
}

fn expected(heartbeat: &HeartbeatStatus, device: &str, kind: Option<HeartbeatKind>) -> DoctorCheck {
    match heartbeat.expected {
        _ if kind == Some(HeartbeatKind::Plain) => {
            DoctorCheck::skip(EXPECTED, "plain heartbeats are monitored by their own service")
        }
        Some(true) => DoctorCheck::pass(EXPECTED, format!("one expects {device}")),
        Some(false) => DoctorCheck::fail(
            EXPECTED,
            format!("none expects {device}, so no mail would come"),
        )
        .action(
            "Correct `device`, or add this name to the devices that the cloud was deployed with.",
        ),
        None => DoctorCheck::skip(EXPECTED, "the cloud has not reported which devices it expects"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        doctor::tests::rows,
        heartbeat::{AnswerRefusal, HeartbeatOutcome},
        status::{HandOverProblem, LastHeartbeat, working_status},
    };

    fn shown(status: &Status, presence: Presence) -> String {
        let now = status.written.later(Duration::from_secs(12));
        rows(&judge(None, Some((status, presence)), &now))
    }

    #[test]
    fn heartbeats_that_arrive_for_an_expected_device_pass() {
        insta::assert_snapshot!(shown(&working_status(), Presence::Running), @"
        PASS heartbeat: 12 s ago: Heartbeat delivered in 132 ms.
        PASS alert rule: one expects dl-home
        ");
    }

    #[test]
    fn a_device_without_an_alert_rule_fails() {
        let mut status = working_status();
        let heartbeat = status.heartbeat.as_mut().expect("there are heartbeats");
        heartbeat.expected = Some(false);
        insta::assert_snapshot!(rows(&[expected(heartbeat, "dl-home", None)]), @"FAIL alert rule: none expects dl-home, so no mail would come → Correct `device`, or add this name to the devices that the cloud was deployed with.");
        heartbeat.expected = None;
        insta::assert_snapshot!(rows(&[expected(heartbeat, "dl-home", None)]), @"SKIP alert rule: the cloud has not reported which devices it expects");
        let plain = Some(HeartbeatKind::Plain);
        insta::assert_snapshot!(rows(&[expected(heartbeat, "dl-home", plain)]), @"SKIP alert rule: plain heartbeats are monitored by their own service");
    }

    #[test]
    fn a_heartbeat_that_was_refused_fails_with_the_advice_of_its_outcome() {
        let mut status = working_status();
        let refused = HeartbeatOutcome::Refused {
            status: 401,
            refusal: AnswerRefusal::Status,
            retry_after: None,
            proof: None,
            took: Duration::ZERO,
        };
        let heartbeat = status.heartbeat.as_mut().expect("there are heartbeats");
        heartbeat.last = Some(LastHeartbeat::new(status.written, &refused));
        insta::assert_snapshot!(shown(&status, Presence::Running).lines().next().unwrap_or_default(), @"FAIL heartbeat: 12 s ago: Heartbeat refused: the answer was 401 Unauthorized. → Check the function key, which a service gets only when it starts, or the whole URL if it is a plain heartbeat. An app that is just starting may answer so too.");
    }

    #[test]
    fn a_cloud_that_does_not_accept_outages_fails() {
        let mut status = working_status();
        status.hand_over_pending = 3;
        let reason = "the answer was 404 Not Found".to_owned();
        let advice = Some("Look at the address.".to_owned());
        status.hand_over_problem = Some(HandOverProblem { reason, advice });
        insta::assert_snapshot!(rows(&hand_over(&status).into_iter().collect::<Vec<_>>()), @"FAIL hand-over: 3 outages and gaps wait: the answer was 404 Not Found → Look at the address.");
    }

    #[test]
    fn the_advice_never_causes_a_misleading_heartbeat() {
        insta::assert_snapshot!(shown(&working_status(), Presence::Gone), @"SKIP heartbeat: none is sent from here: it would report that this device is monitored → Start the agent and run this again, or send one: ispmon-agent ping.");
        let paused = Status { condition: ConnectivityStatus::Paused, ..working_status() };
        insta::assert_snapshot!(shown(&paused, Presence::Running), @"SKIP heartbeat: none is sent during a pause");
        let mut fresh = working_status();
        fresh.heartbeat.as_mut().expect("there are heartbeats").last = None;
        insta::assert_snapshot!(shown(&fresh, Presence::Running).lines().next().unwrap_or_default(), @"SKIP heartbeat: the first one to https://dl.example/api/ping is under way → Run this again in a minute.");
        let local = Status { heartbeat: None, ..working_status() };
        insta::assert_snapshot!(shown(&local, Presence::Running), @"WARN heartbeat: the agent sends none, although the configuration has an address → Restart the agent, so that it reads the configuration.");
    }
}
