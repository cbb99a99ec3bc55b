//! Accepts connections, bounded in number.

mod connection;
mod seats;

use std::{io, sync::Arc};

use tokio::net::{TcpListener, TcpStream};

use crate::{
    limits::ServerLimits,
    settings::FunctionSettings,
    shared::Shared,
    stdout::{LineWriter, StdoutError},
};
use seats::ConnectionSlots;

/// Serves until stdout fails; it never returns otherwise.
///
/// Call it inside a runtime; it spawns one task per connection.
pub async fn serve(
    listener: TcpListener,
    settings: FunctionSettings,
    limits: ServerLimits,
    lines: LineWriter,
) -> StdoutError {
    let shared = Arc::new(Shared::new(settings, &limits, lines.clone()));
    tokio::select! {
        error = lines.failed() => error,
        never = accept(&listener, &shared, limits) => match never {},
    }
}

async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    limits: ServerLimits,
) -> std::convert::Infallible {
    let seats = Arc::new(ConnectionSlots::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                seats.make_room(&limits).await;
                open(stream, shared, &seats, limits);
            }
            // The client disconnected before it was accepted; continue with the next one.
            Err(error) if is_about_the_client(&error) => {}
            // Out of descriptors or memory: an immediate retry would only burn CPU time.
            Err(_) => seats.evict_and_wait(&limits).await,
        }
    }
}

fn open(
    stream: TcpStream,
    shared: &Arc<Shared>,
    seats: &Arc<ConnectionSlots>,
    limits: ServerLimits,
) {
    // Each response is one write; without TCP_NODELAY the system may still delay it.
    let _ = stream.set_nodelay(true);
    let seat = ConnectionSlots::take(seats);
    tokio::spawn(connection::run(stream, Arc::clone(shared), seat, limits));
}

fn is_about_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
