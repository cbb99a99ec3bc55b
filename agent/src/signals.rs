//! Signals from the service manager and from users.
//!
//! `SIGTERM` and `SIGINT` stop the agent, `SIGHUP` reloads its configuration. A thread of its own
//! receives them. [`STOP_LIMIT`] after a stop was requested, that thread ends the process by the
//! signal's default action, so that a hung task cannot keep it alive. Further signals do not shorten
//! this: timeout(1), for example, sends each signal twice, to its child and to the process group, and
//! the second one must not prevent the agent from announcing its silence.

use std::{io, thread, time::Duration};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};
use thiserror::Error;
use tokio::sync::mpsc;

/// The longest that the agent may take to stop.
pub const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The action that a signal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// Stop within [`STOP_LIMIT`]; holds the signal's name.
    Stop(&'static str),
    /// Reload the configuration.
    Reload,
}

/// Signals cannot be received.
#[derive(Debug, Error)]
pub enum SignalError {
    /// The operating system rejected a handler.
    #[error("the handlers for SIGTERM, SIGINT and SIGHUP cannot be installed")]
    Install(#[source] io::Error),
    /// The thread that receives signals cannot be started.
    #[error("the thread that takes signals cannot be started")]
    Thread(#[source] io::Error),
}

/// Starts to receive signals; the channel delivers them in order.
///
/// # Errors
/// Every [`SignalError`].
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
                thread::sleep(STOP_LIMIT);
                // The process has exited by now unless something hangs; this ends it as the signal
                // would.
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
