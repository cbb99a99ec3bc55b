//! The events of a host.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use hyper::Method;

use super::restart::{Consequence, Ending};
use crate::telemetry::item::TelemetryItem;

/// Called for each event, synchronously and in order; must not block.
pub type HostObserver = Arc<dyn Fn(HostEvent) + Send + Sync>;

/// Events of a host.
#[derive(Clone, Debug)]
pub enum HostEvent {
    /// The handler's process was started.
    HandlerStarted {
        /// Its process id.
        process: u32,
    },
    /// The handler's process could not be started; the host stops.
    CannotStart {
        /// The program.
        executable: PathBuf,
        /// The error that the operating system returned.
        reason: String,
    },
    /// The handler responds to HTTP.
    HandlerReady {
        /// The time since the process was started.
        took: Duration,
    },
    /// The handler exited by itself.
    HandlerEnded(HandlerEnd),
    /// A function was invoked.
    Invoked(InvocationResult),
    /// A request was refused without invoking a function.
    Rejected(Rejection),
    /// An item was sent to Application Insights.
    Telemetry(Box<TelemetryItem>),
    /// The host has stopped, and the handler has been killed.
    Stopped,
}

/// How the handler exited, and what follows.
#[derive(Clone, Debug)]
pub struct HandlerEnd {
    /// Exit status or signal.
    pub ending: Ending,
    /// The host's reaction.
    pub consequence: Consequence,
    /// The last three stderr lines of the handler, oldest first.
    pub last_words: Vec<String>,
}

/// An invocation of a function.
#[derive(Clone, Debug)]
pub struct InvocationResult {
    /// The function's name.
    pub function: String,
    /// The request's method.
    pub method: Method,
    /// The status that the client received.
    pub status: u16,
}

/// A request that was refused without invoking a function.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The request's method.
    pub method: Method,
    /// Its path, without the query, which may contain a key.
    pub path: String,
    /// The status that the client received: 401 or 404.
    pub status: u16,
    /// The client's address.
    pub caller: SocketAddr,
}
