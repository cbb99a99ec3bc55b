//! Signals from the service manager and from people.
//!
//! `SIGTERM` and `SIGINT` ask the agent to leave, `SIGHUP` to read its configuration again. They are
//! taken by a thread of their own. Once asked to leave, the agent is ended by the operating system's
//! default action [`LEAVE_LIMIT`] later, so that nothing that hangs can keep it. More signals change
//! nothing about that: timeout(1), for one, sends each signal twice, to its child and to the group of
//! processes, and a second one must not keep the first from announcing the silence to come.

use std::{io, thread, time::Duration};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};
use thiserror::Error;
use tokio::sync::mpsc;

/// How long the agent may take to leave.
pub const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// Leave within [`LEAVE_LIMIT`]; carries the signal's name.
    Stop(&'static str),
    /// Read the configuration again.
    Reload,
}

/// Why signals cannot be taken.
#[derive(Debug, Error)]
pub enum SignalError {
    /// The operating system refused a handler.
    #[error("the handlers for SIGTERM, SIGINT and SIGHUP cannot be installed")]
    Install(#[source] io::Error),
    /// The thread that takes signals cannot be started.
    #[error("the thread that takes signals cannot be started")]
    Thread(#[source] io::Error),
}

/// Takes signals from now on and hands them over in their order.
///
/// # Errors
/// [`SignalError`] in all its cases.
pub fn listen() -> Result<mpsc::UnboundedReceiver<SignalRequest>, SignalError> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(SignalError::Install)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let forward = move || {
        for signal in signals.forever() {
            let request = match signal {
                SIGHUP => SignalRequest::Reload,
                SIGINT => SignalRequest::Stop("SIGINT"),
                _ => SignalRequest::Stop("SIGTERM"),
            };
            if sender.send(request).is_err() {
                return;
            }
            if matches!(request, SignalRequest::Stop(_)) {
                thread::sleep(LEAVE_LIMIT);
                // The process is gone by now unless something hangs; this ends it as the signal would.
                let _ = low_level::emulate_default_handler(signal);
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(forward)
        .map_err(SignalError::Thread)?;
    Ok(receiver)
}
