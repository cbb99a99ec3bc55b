//! Which of ispmon's programs this executable plays: that is decided by the name it was started under.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

use crate::cli;

/// The name under which the executable is the function.
pub const FUNCTION: &str = "ispmon-function";
/// The name under which the executable is the agent.
pub const AGENT: &str = "ispmon-agent";

/// Runs the program that the first argument names; under any other name that is the lab itself.
///
/// The lab starts agent and function as processes of their own through links to its own executable,
/// so one `cargo run` builds and starts everything.
pub fn dispatch(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.first().and_then(|program| Path::new(program).file_name()) {
        Some(name) if name == OsStr::new(FUNCTION) => {
            end_with_the_lab();
            ispmon_function::main()
        }
        Some(name) if name == OsStr::new(AGENT) => {
            end_with_the_lab();
            ispmon_agent::main(arguments)
        }
        _ => cli::main(arguments),
    }
}

/// Makes the system kill this process when the lab that started it has been killed and could not end
/// it itself. Only Linux can; elsewhere a killed lab leaves its function and its agent running.
#[cfg(target_os = "linux")]
fn end_with_the_lab() {
    use rustix::process::{Signal, set_parent_process_death_signal};

    // It fails only for a signal that does not exist.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
const fn end_with_the_lab() {}
