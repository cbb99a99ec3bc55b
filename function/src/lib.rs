//! The custom handler of the Azure Function app.
//!
//! The Functions host starts this program, forwards `POST /api/ping` and `POST /api/outages` to it
//! over loopback, and turns each line on stdout into one Application Insights trace. Those lines
//! are the program's only output and the only input of the alert rules, so a request succeeds only
//! after its line has been written completely.
//!
//! The host ignores an exit with status 0 and never restarts the handler (azure-functions-host
//! #6301); it turns stderr output into error traces. So this program never exits with 0 and never
//! writes to stderr.
//!
//! * [`FunctionSettings`] reads the environment, [`ServerLimits`] bounds the resources of clients.
//! * [`serve`] accepts connections; `routes` dispatches requests to the endpoints `ping` and
//!   `outages`.
//! * [`mod@line`] formats events as lines, [`LineWriter`] writes them.

mod answer;
mod body;
mod device;
mod failure;
#[cfg(test)]
mod layers;
mod limits;
pub mod line;
mod outages;
mod ping;
mod routes;
mod server;
mod settings;
mod shared;
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
pub use settings::{EXPECTED_VARIABLE, FunctionSettings, FunctionSettingsError};
pub use stdout::{LineWriter, StdoutError};

/// Length of the accept queue; the system may allow fewer. A client that does not fit retries after
/// a second.
const BACKLOG: u32 = 1024;

/// Runs the handler until it fails; it never ends otherwise.
///
/// The failure is written to stdout as one JSON line. SIGTERM and SIGINT are not caught: the host
/// stops the handler with SIGKILL, a draining instance sends SIGTERM, and there is no state to save
/// in either case.
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
    // The host restarts a killed handler on the same port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
