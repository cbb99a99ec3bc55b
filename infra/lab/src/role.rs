//! Selects the program that this executable runs as, by the name under which it was started.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

use crate::cli;

/// The name under which the executable runs as the function.
pub const FUNCTION: &str = "ispmon-function";
/// The name under which the executable runs as the agent.
pub const AGENT: &str = "ispmon-agent";

/// Runs the program that the first argument names; under any other name, the lab.
///
/// The lab starts agent and function as separate processes through links to its own executable, so
/// one `cargo run` builds and starts everything.
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

/// Makes the system kill this process when the lab that started it has been killed and could not
/// stop it. Linux only; elsewhere a killed lab leaves its function and its agent running.
#[cfg(target_os = "linux")]
fn end_with_the_lab() {
    use rustix::process::{Signal, set_parent_process_death_signal};

    // Fails only for an invalid signal.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
const fn end_with_the_lab() {}
