//! The service under its manager: whether it runs, and what it said when it did not start.

use std::{fs, thread, time::Duration};

use super::{
    description::{LABEL, NAME, UNIT},
    facts::{Activity, BootStart, ServiceState},
    layout::{Layout, More, Platform},
    machine::{CommandError, TargetSystem},
    plan::CommandLine,
};

/// The most lines of what the service said that are shown.
const LAST_LINES: usize = 5;
/// What launchd answers to a bootstrap while the job that was there before is still ending: for about five seconds
/// under macOS 26 (headroomlabs-ai/headroom, issue 1289).
const BUSY: &[i32] = &[5, 37];
/// What launchd answers to a bootout that goes on: "Operation now in progress" (osquery/osquery, issue 5698).
const IN_PROGRESS: i32 = 36;
/// The time between two questions to launchd.
const PAUSE: Duration = Duration::from_millis(200);
/// How often launchd is asked at most for the end of a job.
const TRIES_FOR_END: usize = 75;
/// How often launchd is asked at most whether a job runs.
const TRIES_FOR_START: usize = 25;
/// How often in a row a job must be found running: one with a bad configuration runs for a moment.
const TRIES_IN_A_ROW: usize = 5;

/// The state of the service, as its manager tells it. Where none answers, nothing runs.
pub fn state(machine: &TargetSystem, platform: Platform) -> ServiceState {
    match platform {
        Platform::Linux => {
            let properties = ["LoadState", "ActiveState", "SubState", "UnitFileState"];
            let show = CommandLine::systemctl(&["show", "--property", &properties.join(","), UNIT]);
            let answer = machine.run(&show).unwrap_or_default();
            of_systemd(&answer)
        }
        Platform::MacOs => of_launchd(print_job(machine).as_deref()),
    }
}

/// The version of systemd, which does not have to run for that.
pub fn systemd_version(machine: &TargetSystem) -> Option<u32> {
    version_of(&machine.run(&CommandLine::systemctl(&["--version"])).ok()?)
}

fn version_of(answer: &str) -> Option<u32> {
    let number = answer
        .strip_prefix("systemd ")?
        .split(|character: char| !character.is_ascii_digit())
        .next()?;
    number.parse().ok()
}

fn of_systemd(answer: &str) -> ServiceState {
    let value = |name: &str| {
        let mut lines = answer.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let load = value("LoadState");
    ServiceState {
        is_loaded: load == "loaded",
        activity: match (value("ActiveState"), value("SubState")) {
            // systemd has a second one of these, "auto-restart-queued".
            ("activating", sub) if sub.starts_with("auto-restart") => Activity::Restarting,
            ("active" | "activating" | "reloading", _) => Activity::Running,
            _ => Activity::Stopped,
        },
        boot: match value("UnitFileState") {
            _ if load == "masked" => BootStart::Masked,
            "enabled" => BootStart::Enabled,
            _ => BootStart::Disabled,
        },
    }
}

fn print_job(machine: &TargetSystem) -> Option<String> {
    machine.run(&CommandLine::launchctl(&["print", &format!("system/{LABEL}")])).ok()
}

fn of_launchd(answer: Option<&str>) -> ServiceState {
    let is_loaded = answer.is_some();
    ServiceState {
        is_loaded,
        activity: match answer {
            None => Activity::Stopped,
            Some(text) if text.lines().any(|line| line.trim() == "state = running") => {
                Activity::Running
            }
            // launchd may start it again at any time.
            Some(_) => Activity::Restarting,
        },
        boot: if is_loaded { BootStart::Enabled } else { BootStart::Disabled },
    }
}

/// Runs a command. launchd ends a job after it has answered: a bootout is over when the job is gone, and a bootstrap
/// is tried again until then.
///
/// # Errors
/// All [`CommandError`]s.
pub fn run(machine: &TargetSystem, command: &CommandLine) -> Result<String, CommandError> {
    let is_launchctl = command.program == "launchctl";
    match command.arguments.first().map(String::as_str) {
        Some("bootstrap") if is_launchctl => bootstrap(machine, command),
        Some("bootout") if is_launchctl => boot_out(machine, command),
        _ => machine.run(command),
    }
}

fn bootstrap(machine: &TargetSystem, command: &CommandLine) -> Result<String, CommandError> {
    let is_busy = |error: &CommandError| BUSY.iter().any(|status| error.is_status(*status));
    poll(TRIES_FOR_END, || machine.run(command), |result| !result.as_ref().is_err_and(is_busy))
}

fn boot_out(machine: &TargetSystem, command: &CommandLine) -> Result<String, CommandError> {
    let result = machine.run(command);
    if matches!(&result, Err(error) if !error.is_status(IN_PROGRESS)) {
        return result;
    }
    let is_gone = poll(TRIES_FOR_END, || print_job(machine).is_none(), |is_gone| *is_gone);
    if is_gone { Ok(String::new()) } else { result }
}

/// Whether the service runs after a command that started it. systemctl has waited for that; launchctl has not.
pub fn is_running(machine: &TargetSystem, platform: Platform) -> bool {
    if platform == Platform::Linux {
        return state(machine, platform).activity == Activity::Running;
    }
    let mut in_a_row = 0;
    let ask = || {
        let activity = of_launchd(print_job(machine).as_deref()).activity;
        in_a_row = if activity == Activity::Running { in_a_row + 1 } else { 0 };
        in_a_row == TRIES_IN_A_ROW
    };
    poll(TRIES_FOR_START, ask, |is_running| *is_running)
}

/// Asks until an answer is final, `tries` times at most with a pause between, and returns the last one.
fn poll<T>(tries: usize, mut ask: impl FnMut() -> T, is_final: impl Fn(&T) -> bool) -> T {
    let mut answer = ask();
    for _ in 1..tries {
        if is_final(&answer) {
            break;
        }
        thread::sleep(PAUSE);
        answer = ask();
    }
    answer
}

/// The last lines that the service wrote when it was to start.
pub fn recent_output(machine: &TargetSystem, platform: Platform) -> Vec<String> {
    let text = match Layout::of(platform).more {
        More::Launchd { logs } => {
            let bytes = fs::read(machine.at(&logs.join("agent.log"))).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        More::Systemd { .. } => journal(machine).unwrap_or_default(),
    };
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(ToString::to_string).collect()
}

/// What the last run of the service wrote into systemd's journal, and nothing of earlier ones.
fn journal(machine: &TargetSystem) -> Option<String> {
    let show = CommandLine::systemctl(&["show", "--property", "InvocationID", "--value", NAME]);
    let id = machine.run(&show).ok()?;
    // What it wrote may not have reached the journal yet.
    let _ = machine.run(&CommandLine::new("journalctl", ["--sync"]));
    let of_this_run = format!("_SYSTEMD_INVOCATION_ID={}", id.trim());
    let arguments = ["--no-pager", "--quiet", "--output", "cat", "--lines", "20", &of_this_run];
    machine.run(&CommandLine::new("journalctl", arguments)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_understood() {
        let state = |load, active, sub, file| {
            of_systemd(&format!(
                "LoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\n"
            ))
        };
        let running =
            ServiceState { is_loaded: true, activity: Activity::Running, boot: BootStart::Enabled };
        assert_eq!(state("loaded", "active", "running", "enabled"), running);
        assert_eq!(state("loaded", "activating", "start", "enabled"), running);
        let restarting = ServiceState { activity: Activity::Restarting, ..running };
        for sub in ["auto-restart", "auto-restart-queued"] {
            assert_eq!(state("loaded", "activating", sub, "enabled"), restarting);
        }
        let stopped =
            ServiceState { activity: Activity::Stopped, boot: BootStart::Disabled, ..running };
        assert_eq!(state("loaded", "failed", "failed", "disabled"), stopped);
        assert_eq!(state("not-found", "inactive", "dead", ""), ServiceState::default());
        let masked = ServiceState { boot: BootStart::Masked, ..ServiceState::default() };
        assert_eq!(state("masked", "inactive", "dead", "masked"), masked);
        assert_eq!(of_systemd(""), ServiceState::default(), "nobody answers");
    }

    #[test]
    fn the_version_of_systemd_is_found() {
        assert_eq!(version_of("systemd 252 (252.22-1~deb12u1)\n+PAM +AUDIT\n"), Some(252));
        assert_eq!(version_of("systemd 258~rc1 (258~rc1)\n"), Some(258));
        assert_eq!(version_of("something else\n"), None);
    }

    #[test]
    fn what_launchd_says_is_understood() {
        let job = |state: &str| {
            format!("system/net.ispmon.agent = {{\n\tactive count = 1\n\t{state}\n}}\n")
        };
        let running = of_launchd(Some(&job("state = running")));
        assert_eq!((running.is_loaded, running.activity), (true, Activity::Running));
        let waiting = of_launchd(Some(&job("state = not running")));
        assert_eq!((waiting.is_loaded, waiting.activity), (true, Activity::Restarting));
        assert_eq!(of_launchd(None), ServiceState::default());
    }
}
