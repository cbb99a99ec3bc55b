//! How a command of the lab ends: its exit code, and the error on standard error.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use ispmon_agent::error_chain::ErrorChain;

/// Returns the exit code of a command with this result: 0, or 1 after an error, which is printed to
/// standard error with its causes, as one line.
pub fn code(result: Result<(), impl Error>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // If printing fails, the error cannot be reported either.
    let _ = writeln!(io::stderr(), "ispmon-lab: {}", ErrorChain(&error));
    ExitCode::FAILURE
}
