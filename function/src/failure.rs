//! Ends the process: one line on stdout, never exit status 0.

use std::{io, net::SocketAddr, panic, process, process::ExitCode};

use thiserror::Error;

use crate::{
    line,
    settings::FunctionSettingsError,
    stdout::{self, StdoutError},
};

/// Exit status for bad settings, `EX_CONFIG` of sysexits.h.
const BAD_SETTINGS: u8 = 78;
/// Exit status for everything else. Not 200, which requests a restart that the host does not count
/// (Azure Functions host, WorkerProcess.cs).
const FAILED: u8 = 1;

/// Why the handler exits.
#[derive(Debug, Error)]
pub enum HandlerFailure {
    /// A setting in the environment is missing or invalid.
    #[error(transparent)]
    Settings(#[from] FunctionSettingsError),
    /// The runtime could not be built.
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] io::Error),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}, the port that the Functions host has chosen")]
    Listen {
        /// The address that the handler tried to listen on.
        address: SocketAddr,
        /// The error that the operating system returned.
        source: io::Error,
    },
    /// Lines can no longer be written, so no heartbeat would be recorded.
    #[error(transparent)]
    Stdout(#[from] StdoutError),
}

impl HandlerFailure {
    /// Writes the failure and its causes as one line to stdout and returns the exit status.
    pub fn report(&self) -> ExitCode {
        stdout::write_last(&line::failure(&sentence(self)));
        ExitCode::from(if matches!(self, Self::Settings(_)) { BAD_SETTINGS } else { FAILED })
    }
}

/// Makes a panic exit with one line on stdout and a status that the host counts as a crash.
///
/// The default hook would write several lines to stderr, each of which would become an error trace.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let reason = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no reason given");
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        stdout::write_last(&line::failure(&format!("panicked{place}: {reason}")));
        process::exit(FAILED.into());
    }));
}

fn sentence(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
