//! Accepting connections, within bounds.

mod connection;
mod seats;

use std::{io, sync::Arc};

use tokio::net::{TcpListener, TcpStream};

use crate::{FunctionSettings, LineWriter, ServerLimits, StdoutError, routes::Handler};
use seats::Seats;

/// Serves until stdout takes no more lines, which is the only way to end.
///
/// Call it inside a runtime; each connection becomes a task of it.
pub async fn serve(
    listener: TcpListener,
    settings: FunctionSettings,
    limits: ServerLimits,
    lines: LineWriter,
) -> StdoutError {
    let handler = Handler::new(settings, &limits, lines.clone());
    tokio::select! {
        error = lines.broken() => error,
        never = accept(&listener, &handler, limits) => match never {},
    }
}

async fn accept(
    listener: &TcpListener,
    handler: &Arc<Handler>,
    limits: ServerLimits,
) -> std::convert::Infallible {
    let seats = Arc::new(Seats::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                seats.make_room(&limits).await;
                open(stream, handler, &seats, limits);
            }
            // The client has gone again; the next one waits already.
            Err(error) if is_about_the_client(&error) => {}
            // No descriptor or memory is left: trying again at once would only burn processor time.
            Err(_) => seats.let_one_leave(&limits).await,
        }
    }
}

fn open(stream: TcpStream, handler: &Arc<Handler>, seats: &Arc<Seats>, limits: ServerLimits) {
    // Answers are one write each; without the option the system may still hold one back.
    let _ = stream.set_nodelay(true);
    let seat = Seats::take(seats);
    tokio::spawn(connection::run(stream, Arc::clone(handler), seat, limits));
}

fn is_about_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
