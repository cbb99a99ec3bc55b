//! The service, described once for both service managers.
//!
//! The systemd unit and launchd's property list follow from it; tests compare both with it.

use std::{ffi::OsStr, time::Duration};

use crate::exit::Exit;

/// The name of the service, its program, its systemd unit and its man page.
pub const NAME: &str = "ispmon-agent";
/// The full name of the systemd unit.
pub const UNIT: &str = "ispmon-agent.service";
/// The label of the launchd job, and the subsystem of the agent's messages in the unified log.
pub const LABEL: &str = "net.ispmon.agent";

/// The oldest version of systemd with `LoadCredential=`, which passes the key to the service.
pub const OLDEST_SYSTEMD: u32 = 247;

/// The service, independent of its manager.
#[derive(Clone, Copy, Debug)]
pub struct ServiceDescription {
    /// The program's arguments.
    pub arguments: &'static [&'static str],
    /// The exit codes after which another start would fail the same way, so that the manager must not
    /// restart.
    pub final_exits: &'static [Exit],
    /// The shortest time between two starts under launchd.
    pub throttle: Duration,
}

/// The description of the service.
pub const SERVICE: ServiceDescription = ServiceDescription {
    arguments: &["run"],
    final_exits: &[Exit::Usage, Exit::Configuration],
    throttle: Duration::from_secs(10),
};

/// The exit code to end the service with, so that its manager restarts it only when that can help.
///
/// The systemd unit lists the exit codes after which systemd must not restart. launchd has no such list:
/// with `KeepAlive` and `SuccessfulExit` false, it leaves a job alone after success and otherwise starts it
/// again every ten seconds, forever. So under launchd, which sets `XPC_SERVICE_NAME` to the job's label,
/// the service exits with success when only a person can fix the cause, after it has logged that cause.
/// `KeepAlive` with `Crashed` would need no such mapping, but it restarts only after some signals: not
/// after `kill -9`, and not after a start that failed because the disk was full.
pub fn exit_for_manager(exit: Exit, xpc_service_name: Option<&OsStr>) -> Exit {
    let is_our_job = xpc_service_name.is_some_and(|name| name == LABEL);
    if is_our_job && SERVICE.final_exits.contains(&exit) { Exit::Success } else { exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_error_exits_with_success_under_launchd_only() {
        for (name, exit, expected) in [
            (Some(LABEL), Exit::Configuration, Exit::Success),
            (Some(LABEL), Exit::Usage, Exit::Success),
            (Some(LABEL), Exit::Failure, Exit::Failure),
            (Some(LABEL), Exit::Success, Exit::Success),
            // Homebrew's job is restarted after a success, too.
            (Some("homebrew.mxcl.ispmon-agent"), Exit::Configuration, Exit::Configuration),
            // A terminal of macOS, and any process on Linux.
            (Some("0"), Exit::Configuration, Exit::Configuration),
            (Some("application.com.apple.Terminal.1"), Exit::Usage, Exit::Usage),
            (None, Exit::Configuration, Exit::Configuration),
        ] {
            assert_eq!(exit_for_manager(exit, name.map(OsStr::new)), expected, "{name:?} {exit:?}");
        }
    }

    #[test]
    fn the_unit_matches_the_description() {
        let values = |key: &str| -> Vec<_> {
            let lines = crate::install::layout::UNIT_TEXT.lines();
            lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
        };
        let command = [&[NAME], SERVICE.arguments].concat().join(" ");
        assert_eq!(values("ExecStart"), [command]);
        let codes: Vec<_> =
            SERVICE.final_exits.iter().map(|exit| exit.code().to_string()).collect();
        assert_eq!(values("RestartPreventExitStatus"), [codes.join(" ")]);
    }
}
