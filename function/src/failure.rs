//! The end of the process: said once on stdout, never with status 0.

use std::{io, net::SocketAddr, panic, process, process::ExitCode};

use thiserror::Error;

use crate::{FunctionSettingsError, StdoutError, line, stdout};

/// The exit status for bad settings, `EX_CONFIG` of sysexits.h.
const BAD_SETTINGS: u8 = 78;
/// The exit status for everything else. Not 200, which asks the host for a restart that it does not
/// count (Azure Functions host, WorkerProcess.cs).
const FAILED: u8 = 1;

/// Why the handler ends.
#[derive(Debug, Error)]
pub enum HandlerFailure {
    /// The environment does not say what it must.
    #[error(transparent)]
    Settings(#[from] FunctionSettingsError),
    /// The runtime could not be built.
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] io::Error),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}, the port that the Functions host has chosen")]
    Listen {
        /// Where the handler was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Lines can no longer be written, so that no heartbeat would count.
    #[error(transparent)]
    Stdout(#[from] StdoutError),
}

impl HandlerFailure {
    /// Writes the failure, with its causes, as one line to stdout and returns the exit status.
    pub fn report(&self) -> ExitCode {
        stdout::write_last(&line::failure(&sentence(self)));
        ExitCode::from(if matches!(self, Self::Settings(_)) { BAD_SETTINGS } else { FAILED })
    }
}

/// Makes a panic end the process with one line on stdout and a status that the host counts as a crash.
///
/// The default hook would write several lines to stderr, each of which became an error trace.
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
