//! The exit codes of every command.

use std::process::ExitCode;

/// How the program ends. The numbers of the last two are those of `sysexits.h`, which service
/// managers and scripts know; a unit file keeps a service from being restarted on either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything that was asked for happened.
    Success,
    /// 1: it did not, for a reason outside of the command line and the configuration.
    Failure,
    /// 64 (`EX_USAGE`): the command line cannot be understood.
    Usage,
    /// 78 (`EX_CONFIG`): the configuration is missing something or is not valid.
    Configuration,
}

impl Exit {
    /// The number that the parent process sees.
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
