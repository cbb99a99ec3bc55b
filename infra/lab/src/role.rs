//! The programs that this executable can run as, by the name under which it is started.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// The name under which the executable runs as the function.
pub const FUNCTION: &str = "ispmon-function";
/// The name under which the executable runs as the agent.
pub const AGENT: &str = "ispmon-agent";

/// A program that this executable can run as.
///
/// The lab starts agent and function as separate processes through links to its own executable, so
/// one `cargo run` builds and starts everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The function, started as [`FUNCTION`].
    Function,
    /// The agent, started as [`AGENT`].
    Agent,
    /// The lab, started under any other name.
    Lab,
}

impl Role {
    /// Returns the role that the first argument, the program's path, names.
    pub fn of(arguments: &[OsString]) -> Self {
        match arguments.first().and_then(|program| Path::new(program).file_name()) {
            Some(name) if name == OsStr::new(FUNCTION) => Self::Function,
            Some(name) if name == OsStr::new(AGENT) => Self::Agent,
            _ => Self::Lab,
        }
    }
}

/// Makes the system kill this process when the lab that started it has been killed and could not
/// stop it. Linux only; elsewhere a killed lab leaves its function and its agent running.
#[cfg(target_os = "linux")]
pub fn end_with_the_lab() {
    use rustix::process::{Signal, set_parent_process_death_signal};

    // Fails only for an invalid signal.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// Does nothing on this system; see the variant for Linux.
#[cfg(not(target_os = "linux"))]
pub const fn end_with_the_lab() {}
