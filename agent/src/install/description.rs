//! What both service managers are given: the service, described once.
//!
//! The unit and the property list follow it, each in the words of its manager; tests compare both with it.

use std::{ffi::OsStr, time::Duration};

use crate::exit::Exit;

/// The name of the service, its program, its systemd unit, its manual page.
pub const NAME: &str = "ispmon-agent";
/// The unit's name, in full.
pub const UNIT: &str = "ispmon-agent.service";
/// The label of the job under launchd, and the subsystem of its lines in the unified log.
pub const LABEL: &str = "net.ispmon.agent";

/// The oldest version of systemd that hands a key over to a service (`LoadCredential=`).
pub const OLDEST_SYSTEMD: u32 = 247;

/// The service, whoever manages it.
#[derive(Clone, Copy, Debug)]
pub struct ServiceDescription {
    /// What follows the program's name.
    pub arguments: &'static [&'static str],
    /// How the program ends when another start would end the same way: nobody restarts it then.
    pub final_exits: &'static [Exit],
    /// The shortest time between two starts under launchd.
    pub throttle: Duration,
}

/// The service.
pub const SERVICE: ServiceDescription = ServiceDescription {
    arguments: &["run"],
    final_exits: &[Exit::Usage, Exit::Configuration],
    throttle: Duration::from_secs(10),
};

/// How the service ends, so that its manager does what is right.
///
/// systemd reads in its unit after which exit codes it must not restart. launchd has no such list: it knows
/// success, after which it leaves a job alone (`KeepAlive` with `SuccessfulExit` false), and everything else,
/// after which it starts the job again every ten seconds, for ever. So under launchd, which names the job in
/// `XPC_SERVICE_NAME`, the service ends successfully where only a person can help, after it has said why.
/// `KeepAlive` with `Crashed` would not need this, but it restarts after some signals only, not after
/// `kill -9` and not after a start that failed because the disk was full.
pub fn exit_for_manager(exit: Exit, xpc_service_name: Option<&OsStr>) -> Exit {
    let is_our_job = xpc_service_name.is_some_and(|name| name == LABEL);
    if is_our_job && SERVICE.final_exits.contains(&exit) { Exit::Success } else { exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_under_launchd_a_final_error_ends_successfully() {
        for (name, exit, expected) in [
            (Some(LABEL), Exit::Configuration, Exit::Success),
            (Some(LABEL), Exit::Usage, Exit::Success),
            (Some(LABEL), Exit::Failure, Exit::Failure),
            (Some(LABEL), Exit::Success, Exit::Success),
            // Homebrew's job starts again after a success, too.
            (Some("homebrew.mxcl.ispmon-agent"), Exit::Configuration, Exit::Configuration),
            // A terminal of macOS, and everything under Linux.
            (Some("0"), Exit::Configuration, Exit::Configuration),
            (Some("application.com.apple.Terminal.1"), Exit::Usage, Exit::Usage),
            (None, Exit::Configuration, Exit::Configuration),
        ] {
            assert_eq!(exit_for_manager(exit, name.map(OsStr::new)), expected, "{name:?} {exit:?}");
        }
    }

    #[test]
    fn the_unit_says_the_same() {
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
