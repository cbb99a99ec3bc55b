//! The custom handler behind an Azure Function app.
//!
//! The Functions host starts this program, forwards `POST /api/ping` and `POST /api/outages` to it
//! over loopback, and turns each line that it writes to stdout into one trace of Application
//! Insights. Those lines are all that it produces and what the alert rules read, so they come first:
//! a request is answered with success only after its line has been written completely.
//!
//! The host treats an exit with status 0 as "nothing happened" and never restarts the handler
//! (azure-functions-host #6301); it treats whatever appears on stderr as an error trace. So this
//! program never ends with 0 and never writes to stderr.
//!
//! * [`FunctionSettings`] is what the environment says, [`ServerLimits`] what a client may cost.
//! * [`serve`] accepts connections; `routes` tells the endpoints apart.
//! * [`mod@line`] makes lines of events, [`LineWriter`] writes them.

mod answer;
mod body;
mod failure;
mod limits;
pub mod line;
mod outages;
mod ping;
mod routes;
mod server;
mod settings;
mod stdout;

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use tokio::net::{TcpListener, TcpSocket};

pub use failure::{HandlerFailure, install_panic_hook};
pub use limits::ServerLimits;
pub use server::serve;
pub use settings::{FunctionSettings, FunctionSettingsError};
pub use stdout::{LineWriter, StdoutError};

/// How many connections may wait to be accepted; the system may allow fewer. A client beyond them
/// would wait a second before it tries again.
const BACKLOG: u32 = 1024;

/// Runs the handler until something ends it; that something is always reported as a failure.
///
/// What went wrong is written to stdout as one JSON line. Neither SIGTERM nor SIGINT is caught: the
/// host's goodbye is SIGKILL, a draining instance sends SIGTERM, and in both cases there is nothing
/// to save.
pub fn main() -> ExitCode {
    install_panic_hook();
    let Err(failure) = run();
    failure.report()
}

fn run() -> Result<Infallible, HandlerFailure> {
    let settings = FunctionSettings::from_environment(|name| std::env::var_os(name))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(HandlerFailure::Runtime)?
        .block_on(listen(settings))
}

async fn listen(settings: FunctionSettings) -> Result<Infallible, HandlerFailure> {
    let limits = ServerLimits::default();
    let lines = LineWriter::stdout(&limits)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
    let listener = bind(address).map_err(|source| HandlerFailure::Listen { address, source })?;
    Err(serve(listener, settings, limits, lines).await.into())
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // A handler that is started in place of a killed one gets the same port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
