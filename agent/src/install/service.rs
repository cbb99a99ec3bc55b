//! The service under its manager: whether it runs, and its output when it fails to start.

use std::{fs, thread, time::Duration};

use super::{
    description::{LABEL, NAME, UNIT},
    facts::{Activity, BootStart, ServiceState},
    layout::{Layout, Platform, PlatformPaths},
    machine::{CommandError, TargetSystem},
    plan::CommandLine,
};

/// How many lines of the service's output are shown.
const LAST_LINES: usize = 5;
/// The exit statuses of `launchctl bootstrap` while the previous job is still ending: for about five
/// seconds under macOS 26 (headroomlabs-ai/headroom, issue 1289).
const BOOTSTRAP_BUSY: &[i32] = &[5, 37];
/// The exit status of a `launchctl bootout` that is still running: "Operation now in progress"
/// (osquery/osquery, issue 5698).
const IN_PROGRESS: i32 = 36;
/// The delay between two queries to launchd.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The maximum number of queries to launchd for the end of a job: 15 s.
const TRIES_FOR_END: usize = 75;
/// The maximum number of queries to launchd for the start of a job: 5 s.
const TRIES_FOR_START: usize = 25;
/// The number of consecutive queries that must find a job running: one with a bad configuration runs for a
/// moment.
const TRIES_IN_A_ROW: usize = 5;

/// Queries the state of the service from its manager. Without an answer the service counts as stopped.
pub fn state(machine: &TargetSystem, platform: Platform) -> ServiceState {
    match platform {
        Platform::Linux => {
            let properties = ["LoadState", "ActiveState", "SubState", "UnitFileState"];
            let show = CommandLine::systemctl(&["show", "--property", &properties.join(","), UNIT]);
            let answer = machine.run(&show).unwrap_or_default();
            parse_systemctl_show(&answer)
        }
        Platform::MacOs => parse_launchctl_print(print_job(machine).as_deref()),
    }
}

/// Queries the version of systemd, which need not be running.
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

fn parse_systemctl_show(answer: &str) -> ServiceState {
    let value = |name: &str| {
        let mut lines = answer.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let load = value("LoadState");
    ServiceState {
        is_loaded: load == "loaded",
        activity: match (value("ActiveState"), value("SubState")) {
            // The other one is "auto-restart-queued".
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

fn parse_launchctl_print(answer: Option<&str>) -> ServiceState {
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

/// Runs a command. launchd answers before a job has ended: so this waits after a bootout until the job is
/// gone, and retries a bootstrap while the previous job is ending.
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
    let is_busy =
        |error: &CommandError| BOOTSTRAP_BUSY.iter().any(|status| error.has_exit_code(*status));
    poll(TRIES_FOR_END, || machine.run(command), |result| !result.as_ref().is_err_and(is_busy))
}

fn boot_out(machine: &TargetSystem, command: &CommandLine) -> Result<String, CommandError> {
    let result = machine.run(command);
    if matches!(&result, Err(error) if !error.has_exit_code(IN_PROGRESS)) {
        return result;
    }
    let is_gone = poll(TRIES_FOR_END, || print_job(machine).is_none(), |is_gone| *is_gone);
    if is_gone { Ok(String::new()) } else { result }
}

/// Whether the service runs after the command that started it. systemctl waits for the start; launchctl
/// does not.
pub fn is_running(machine: &TargetSystem, platform: Platform) -> bool {
    if platform == Platform::Linux {
        return state(machine, platform).activity == Activity::Running;
    }
    let mut in_a_row = 0;
    let is_stable = || {
        let activity = parse_launchctl_print(print_job(machine).as_deref()).activity;
        in_a_row = if activity == Activity::Running { in_a_row + 1 } else { 0 };
        in_a_row == TRIES_IN_A_ROW
    };
    poll(TRIES_FOR_START, is_stable, |is_running| *is_running)
}

/// Calls `attempt` until its answer is final, at most `tries` times with a delay in between; returns the last
/// answer.
fn poll<T>(tries: usize, mut attempt: impl FnMut() -> T, is_final: impl Fn(&T) -> bool) -> T {
    let mut answer = attempt();
    for _ in 1..tries {
        if is_final(&answer) {
            break;
        }
        thread::sleep(POLL_INTERVAL);
        answer = attempt();
    }
    answer
}

/// The last lines that the service wrote during a failed start.
pub fn recent_output(machine: &TargetSystem, platform: Platform) -> Vec<String> {
    let text = match Layout::of(platform).platform_paths {
        PlatformPaths::Launchd { logs } => {
            let bytes = fs::read(machine.at(&logs.join("agent.log"))).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        PlatformPaths::Systemd { .. } => journald_output(machine).unwrap_or_default(),
    };
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(ToString::to_string).collect()
}

/// The output of the service's last run in systemd's journal.
fn journald_output(machine: &TargetSystem) -> Option<String> {
    let show = CommandLine::systemctl(&["show", "--property", "InvocationID", "--value", NAME]);
    let id = machine.run(&show).ok()?;
    // Its latest output may not be in the journal yet.
    let _ = machine.run(&CommandLine::new("journalctl", ["--sync"]));
    let of_this_run = format!("_SYSTEMD_INVOCATION_ID={}", id.trim());
    let arguments = ["--no-pager", "--quiet", "--output", "cat", "--lines", "20", &of_this_run];
    machine.run(&CommandLine::new("journalctl", arguments)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_systemctl_show_is_parsed() {
        let state = |load, active, sub, file| {
            parse_systemctl_show(&format!(
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
        assert_eq!(parse_systemctl_show(""), ServiceState::default(), "systemctl failed");
    }

    #[test]
    fn the_version_of_systemd_is_found() {
        assert_eq!(version_of("systemd 252 (252.22-1~deb12u1)\n+PAM +AUDIT\n"), Some(252));
        assert_eq!(version_of("systemd 258~rc1 (258~rc1)\n"), Some(258));
        assert_eq!(version_of("something else\n"), None);
    }

    #[test]
    fn the_output_of_launchctl_print_is_parsed() {
        let job = |state: &str| {
            format!("system/net.ispmon.agent = {{\n\tactive count = 1\n\t{state}\n}}\n")
        };
        let running = parse_launchctl_print(Some(&job("state = running")));
        assert_eq!((running.is_loaded, running.activity), (true, Activity::Running));
        let waiting = parse_launchctl_print(Some(&job("state = not running")));
        assert_eq!((waiting.is_loaded, waiting.activity), (true, Activity::Restarting));
        assert_eq!(parse_launchctl_print(None), ServiceState::default());
    }
}
