//! Do heartbeats arrive, and would anybody be told if they stopped?

use super::Check;
use crate::{
    clock::{self, Stamp},
    config::{HeartbeatKind, Settings},
    status::{Condition, HeartbeatStatus, Presence, Status, text::View},
};

const BEAT: &str = "heartbeat";
const EXPECTED: &str = "alert rule";

/// Judges by what the running agent says of its own heartbeats.
pub(super) fn judge(
    settings: Option<&Settings>,
    status: Option<(&Status, Presence)>,
    now: &Stamp,
) -> Vec<Check> {
    if let Some(settings) = settings
        && settings.heartbeat.url.is_none()
    {
        return vec![
            Check::warn(BEAT, "no address is set: outages are recorded, but no mail will come")
                .action("Set heartbeat.url to the address that the deployment printed."),
        ];
    }
    let Some((status, _)) = status.filter(|(_, presence)| presence.is_running()) else {
        return vec![
            Check::skip(BEAT, "none is sent from here: it would say that this device is watched")
                .action("Start the agent and look again, or send one: ispmon-agent ping."),
        ];
    };
    if status.condition == Condition::Paused {
        return vec![Check::skip(BEAT, "none is sent during a pause")];
    }
    let Some(heartbeat) = &status.heartbeat else {
        return vec![
            Check::warn(BEAT, "the agent sends none, although the configuration has an address")
                .action("Have it read the configuration: restart the agent."),
        ];
    };
    let mut rows = vec![beat(heartbeat, now)];
    let kind = settings.map(|settings| settings.heartbeat.kind);
    rows.push(expected(heartbeat, &status.device, kind));
    rows
}

fn beat(heartbeat: &HeartbeatStatus, now: &Stamp) -> Check {
    let zone = clock::local_zone();
    let view = View { now: *now, zone: &zone, presence: Presence::Running };
    let Some(last) = &heartbeat.last else {
        return Check::skip(BEAT, format!("the first one to {} is under way", heartbeat.url))
            .action("Look again in a minute.");
    };
    let detail = format!("{}: {}", view.ago(&last.at), last.sentence);
    if last.delivered {
        return Check::pass(BEAT, detail);
    }
    let action = last.advice.clone().unwrap_or_else(|| {
        "If the rows above are fine, the other side is not: see whether its app runs.".to_owned()
    });
    Check::fail(BEAT, detail).action(action)
}

fn expected(heartbeat: &HeartbeatStatus, device: &str, kind: Option<HeartbeatKind>) -> Check {
    match heartbeat.expected {
        _ if kind == Some(HeartbeatKind::Plain) => {
            Check::skip(EXPECTED, "plain heartbeats are watched by their own service")
        }
        Some(true) => Check::pass(EXPECTED, format!("one watches {device}")),
        Some(false) => Check::fail(
            EXPECTED,
            format!("none watches {device}, so no mail would come"),
        )
        .action(
            "Correct `device`, or add this name to the devices that the cloud was deployed with.",
        ),
        None => Check::skip(EXPECTED, "the cloud has not said which devices it expects"),
    }
}
