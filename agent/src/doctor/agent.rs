//! Checks whether the agent runs, and whether it uses the settings of the configuration.

use super::DoctorCheck;
use crate::{
    clock::{self, Stamp},
    config::Settings,
    duration::Readable,
    installation::ServiceCommands,
    status::{
        ConnectivityStatus, FoundStatus, Presence, Status, StatusReadError, text::DisplayContext,
    },
    unit::{UnitDiagnosis, UnitState},
};

const NAME: &str = "agent";
const SETTINGS: &str = "settings in use";

pub(super) fn judge(
    agent: &Result<(FoundStatus, Presence), StatusReadError>,
    unit: Option<&UnitState>,
    settings: Option<&Settings>,
    commands: ServiceCommands,
    now: &Stamp,
) -> Vec<DoctorCheck> {
    // systemd knows why the newest start failed, the status only how the run before it ended.
    let diagnosis = unit.and_then(UnitState::diagnosis).map(|UnitDiagnosis { finding, advice }| {
        DoctorCheck::fail(NAME, format!("not running: {finding}")).action(advice)
    });
    let (found, presence) = match (agent, diagnosis) {
        (Ok((_, presence)), Some(check)) if presence.is_ended() => return vec![check],
        (Err(StatusReadError::Absent(_)), Some(check)) => return vec![check],
        (Ok((found, presence)), _) => (found, *presence),
        (Err(error), _) => {
            let detail = format!("not running: {}", crate::error_chain::ErrorChain(error));
            return vec![DoctorCheck::fail(NAME, detail).action(commands.start_advice())];
        }
    };
    let status = &found.status;
    let pid = status.pid;
    let not_running = |why: String| DoctorCheck::fail(NAME, why).action(commands.start_advice());
    let row = match presence {
        Presence::Running => running(status, now),
        Presence::Hanging(age) => {
            let age = Readable(age);
            DoctorCheck::fail(NAME, format!("process {pid} has written no status for {age}"))
                .action(commands.restart_advice())
        }
        Presence::Stopped => not_running("it was stopped".to_owned()),
        Presence::Gone => not_running(format!("process {pid} crashed or was killed")),
        Presence::Rebooted => DoctorCheck::fail(NAME, "it was not started after the last boot")
            .action(commands.enable_advice()),
    };
    let mut rows = vec![row];
    let refused = unit.filter(|_| presence.is_running()).and_then(UnitState::refused_reload);
    if let Some(refusal) = refused {
        rows.push(
            DoctorCheck::warn(SETTINGS, refusal)
                .action("Correct the configuration, then: sudo systemctl reload ispmon-agent."),
        );
        return rows;
    }
    if let Some(settings) = settings.filter(|_| presence.is_running()) {
        rows.push(in_use(status, settings, commands));
    }
    rows
}

fn running(status: &Status, now: &Stamp) -> DoctorCheck {
    let zone = clock::local_zone();
    let context = DisplayContext { now: *now, zone: &zone, presence: Presence::Running };
    let (version, pid) = (&status.version, status.pid);
    let text = format!("{version} runs as process {pid}, started {}", context.ago(&status.started));
    if let Some(reason) = &status.blind {
        return DoctorCheck::fail(NAME, format!("{text}; it cannot probe, because {reason}"))
            .action("See its log for what to do: until then nothing is monitored.");
    }
    match (status.condition, &status.paused_until) {
        (ConnectivityStatus::Paused, Some(until)) => {
            DoctorCheck::warn(NAME, format!("{text}; it is paused until {}", context.time(until)))
                .action("End the pause: ispmon-agent resume.")
        }
        _ => DoctorCheck::pass(NAME, text),
    }
}

/// Whether the agent uses the configuration as it is now.
fn in_use(status: &Status, settings: &Settings, commands: ServiceCommands) -> DoctorCheck {
    let differs =
        |detail: String| DoctorCheck::warn(SETTINGS, detail).action(commands.changed_advice());
    let url = settings.heartbeat.url.as_ref().map(ToString::to_string);
    let used = status.heartbeat.as_ref().map(|heartbeat| heartbeat.url.clone());
    if status.device != settings.device {
        return differs(format!(
            "the agent's device is {}, that of the configuration {}",
            status.device, settings.device
        ));
    }
    if url != used {
        let none = || "nowhere".to_owned();
        return differs(format!(
            "heartbeats go to {}, by the configuration to {}",
            used.unwrap_or_else(none),
            url.unwrap_or_else(none)
        ));
    }
    DoctorCheck::pass(SETTINGS, "device and address are those of the configuration")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{doctor::tests::rows, status::working_status};

    fn row(status: Status, presence: Presence) -> String {
        let now = status.written.later(Duration::from_secs(12));
        let found = FoundStatus { folder: "/run/ispmon".into(), status };
        let commands = ServiceCommands::Homebrew;
        let checks = judge(&Ok((found, presence)), None, None, commands, &now);
        rows(&checks)
            .replace(commands.start_advice(), "[start it]")
            .replace(commands.restart_advice(), "[restart it]")
    }

    #[test]
    fn an_agent_that_does_not_run_fails() {
        insta::assert_snapshot!(row(working_status(), Presence::Running), @"PASS agent: 0.1.0 runs as process 4711, started 3 h ago");
        insta::assert_snapshot!(row(working_status(), Presence::Gone), @"FAIL agent: process 4711 crashed or was killed → [start it]");
        insta::assert_snapshot!(row(working_status(), Presence::Stopped), @"FAIL agent: it was stopped → [start it]");
        let hanging = Presence::Hanging(Duration::from_mins(20));
        insta::assert_snapshot!(row(working_status(), hanging), @"FAIL agent: process 4711 has written no status for 20 min → [restart it]");
        let rebooted = row(working_status(), Presence::Rebooted);
        assert!(rebooted.starts_with("FAIL agent: it was not started after the last boot"));
        let absent = Err(StatusReadError::Absent(vec!["/run/ispmon".into()]));
        let checks =
            judge(&absent, None, None, ServiceCommands::Systemd, &working_status().written);
        assert!(rows(&checks).starts_with("FAIL agent: not running: there is no status file in"));
    }

    #[test]
    fn systemd_knows_why_the_newest_start_failed() {
        let failed = UnitState {
            load: "loaded".to_owned(),
            active: "failed".to_owned(),
            result: "exit-code".to_owned(),
            exit_status: 78,
            ..UnitState::default()
        };
        let row = |agent| {
            let now = working_status().written;
            rows(&judge(&agent, Some(&failed), None, ServiceCommands::Systemd, &now))
        };
        let found = |presence| {
            Ok((FoundStatus { folder: "/run/ispmon".into(), status: working_status() }, presence))
        };
        let absent = Err(StatusReadError::Absent(vec!["/run/ispmon".into()]));
        insta::assert_snapshot!(row(absent), @"FAIL agent: not running: it refused its configuration → See why: systemctl status ispmon-agent. Correct that, then: sudo systemctl start ispmon-agent.");
        for presence in [Presence::Stopped, Presence::Gone, Presence::Rebooted] {
            let start = "FAIL agent: not running: it refused its configuration → See why: ";
            assert!(row(found(presence)).starts_with(start), "{presence:?}");
        }
        let running = row(found(Presence::Running));
        assert!(running.starts_with("PASS agent: 0.1.0 runs as process 4711"), "{running}");
    }

    #[test]
    fn a_configuration_that_was_refused_on_a_reload_is_a_warning() {
        let refused = UnitState {
            load: "loaded".to_owned(),
            active: "active".to_owned(),
            status_text: "Internet up since 12:03:07. The configuration of 2026-11-24 14:05:12 was refused, see \
                          the log; the old one is in use."
                .to_owned(),
            ..UnitState::default()
        };
        let status = working_status();
        let now = status.written;
        let found = FoundStatus { folder: "/run/ispmon".into(), status };
        let agent = Ok((found, Presence::Running));
        let checks = judge(&agent, Some(&refused), None, ServiceCommands::Systemd, &now);
        insta::assert_snapshot!(rows(&checks[1..]), @"WARN settings in use: The configuration of 2026-11-24 14:05:12 was refused, see the log; the old one is in use. → Correct the configuration, then: sudo systemctl reload ispmon-agent.");
    }

    #[test]
    fn an_agent_that_cannot_probe_fails() {
        let blind = Some("this device has no free file descriptors".to_owned());
        let row = row(Status { blind, ..working_status() }, Presence::Running);
        insta::assert_snapshot!(row, @"FAIL agent: 0.1.0 runs as process 4711, started 3 h ago; it cannot probe, because this device has no free file descriptors → See its log for what to do: until then nothing is monitored.");
    }

    #[test]
    fn a_paused_agent_is_a_warning() {
        let until = Some(working_status().written.later(Duration::from_hours(2)));
        let paused = Status {
            condition: ConnectivityStatus::Paused,
            paused_until: until,
            ..working_status()
        };
        let row = row(paused, Presence::Running);
        assert!(row.starts_with("WARN agent: 0.1.0 runs as process 4711, started"), "{row}");
        assert!(row.ends_with(" → End the pause: ispmon-agent resume."), "{row}");
    }
}
