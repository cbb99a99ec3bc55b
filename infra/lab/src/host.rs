//! A stand-in for the Azure Functions host: it starts a custom handler from an app folder, forwards
//! HTTP requests to it and turns its output into telemetry.
//!
//! It behaves like Functions host 4.1037 with forwarding, down to the bytes of a request; tests
//! compare it with recordings of that host. Comments mark the behaviour that is known only from the
//! host's source.
//!
//! - [`app`] reads `host.json` and the functions.
//! - [`routes`] finds the function of a request, [`keys`] authorizes the client.
//! - [`forward`] builds the forwarded request; [`exchange`] sends it.
//! - [`event`] is what a host reports.
//! - [`handler`] is the process, [`restart`] decides what follows when it exits.
//! - [`console`] and [`report`] turn lines and invocations into telemetry, [`log_level`] filters
//!   it.

pub mod app;
mod body;
pub mod console;
pub mod event;
pub mod exchange;
pub mod forward;
pub mod handler;
pub mod identity;
pub mod keys;
pub mod log_level;
mod port;
pub mod report;
pub mod restart;
pub mod routes;
mod server;
mod shared;
mod supervisor;

use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::clock::StoryClock;
use app::{App, AppError};
use event::{HostEvent, HostObserver};
use identity::Identity;
use keys::Keys;
use port::HandlerPort;
use shared::{HandlerState, HostShared};

/// Settings of a host.
#[derive(Clone)]
pub struct HostSettings {
    /// The app folder, with `host.json` and a folder for each function.
    pub app: PathBuf,
    /// The address that clients connect to; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The accepted keys.
    pub keys: Keys,
    /// The app settings: the handler's environment, besides the variables that the host adds.
    pub app_settings: BTreeMap<String, String>,
    /// Whether the client's address is appended to `X-Forwarded-For`, as Azure's front end does.
    pub front_end: bool,
    /// The clock for the telemetry's timestamps.
    pub clock: StoryClock,
    /// Receives the events.
    pub observer: HostObserver,
}

/// Why a host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The app folder is missing, invalid or not supported.
    #[error("cannot use the function app")]
    App(#[from] AppError),
    /// The host cannot listen.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address in the settings.
        address: SocketAddr,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// No free port for the handler was found.
    #[error("cannot find a free port for the handler")]
    Port(#[source] io::Error),
}

/// A running host; dropping it kills the handler and closes every connection.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Host {
    /// Reads the app, listens, and starts the handler; requests wait until it is ready.
    pub async fn start(settings: HostSettings) -> Result<Self, HostError> {
        let app = App::read(&settings.app, &settings.app_settings)?;
        let listen_error = |source| HostError::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let shared = Arc::new(HostShared {
            app,
            keys: settings.keys,
            app_settings: settings.app_settings,
            front_end: settings.front_end,
            clock: settings.clock,
            observer: settings.observer,
            identity: Identity::of_this_process(),
            port: HandlerPort::take().map_err(HostError::Port)?,
            state: watch::Sender::new(HandlerState::Starting),
            in_flight: watch::Sender::new(0),
        });
        let stopping = watch::Sender::new(false);
        let running = tokio::spawn(run(shared, listener, stopping.subscribe()));
        Ok(Self { address, stopping, running })
    }

    /// The address that clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the host has stopped by itself, because its handler failed three times.
    pub async fn stopped(&mut self) {
        // A finished task must not be polled again.
        if !self.running.is_finished() {
            let _ = (&mut self.running).await;
        }
    }

    /// Stops as the host does: accepts no more requests, finishes those in flight, kills the
    /// handler.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        self.stopped().await;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn run(shared: Arc<HostShared>, listener: TcpListener, stopping: watch::Receiver<bool>) {
    let kill = watch::Sender::new(false);
    let mut server = std::pin::pin!(server::serve(Arc::clone(&shared), listener, stopping));
    let mut supervisor =
        std::pin::pin!(supervisor::supervise(Arc::clone(&shared), kill.subscribe()));
    tokio::select! {
        () = &mut supervisor => server.await,
        () = &mut server => {
            kill.send_replace(true);
            supervisor.await;
        }
    }
    shared.emit(HostEvent::Stopped);
}
