//! The exit codes of every command.

use std::process::ExitCode;

/// How the program ends. The last two codes are those of `sysexits.h`, which service managers and
/// scripts understand; the unit file prevents a restart after either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything requested was done.
    Success,
    /// 1: something requested failed for a reason outside of the command line and the configuration.
    Failure,
    /// 64 (`EX_USAGE`): the command line is invalid.
    Usage,
    /// 78 (`EX_CONFIG`): the configuration is incomplete or invalid.
    Configuration,
}

impl Exit {
    /// The exit code for the parent process.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 64,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
