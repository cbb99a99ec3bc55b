//! The client side of the control socket, for `pause` and `resume`.

use std::{io, path::Path, path::PathBuf, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::message::{ControlAnswer, ControlRequest, LINE_BYTES};
use crate::printable::make_printable;

/// A request was not answered.
#[derive(Debug, Error)]
pub enum ControlClientError {
    /// There is no socket, or no process listens on it.
    #[error("no agent listens on {}", .0.display())]
    NotRunning(PathBuf),
    /// This user may not connect.
    #[error("you may not use the control socket {}", .0.display())]
    Forbidden(PathBuf),
    /// The agent did not answer in time.
    #[error("the agent does not answer on the control socket {}", .0.display())]
    NoAnswer(PathBuf),
    /// The agent stopped before it answered.
    #[error("the agent stopped without an answer on the control socket {}", .0.display())]
    Stopped(PathBuf),
    /// The exchange failed in another way.
    #[error("the agent cannot be reached by the control socket {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// The answer cannot be parsed: it comes from a newer agent or another program.
    #[error("the answer on the control socket {} is not understood", .0.display())]
    Garbled(PathBuf, #[source] serde_json::Error),
}

/// Sends a request to the agent that listens at `path`, and waits `limit` at most for the answer.
///
/// # Errors
/// Every [`ControlClientError`].
pub async fn send_request(
    path: &Path,
    request: ControlRequest,
    limit: Duration,
) -> Result<ControlAnswer, ControlClientError> {
    let place = || path.to_owned();
    let line = match timeout(limit, exchange(path, request)).await {
        Err(_) => return Err(ControlClientError::NoAnswer(place())),
        Ok(Err(error)) => {
            return Err(match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::ConnectionRefused => ControlClientError::NotRunning(place()),
                io::ErrorKind::PermissionDenied => ControlClientError::Forbidden(place()),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    ControlClientError::Stopped(place())
                }
                // The listen queue is full: no process accepts connections.
                io::ErrorKind::WouldBlock => ControlClientError::NoAnswer(place()),
                _ => ControlClientError::Io(place(), error),
            });
        }
        Ok(Ok(line)) => line,
    };
    if line.is_empty() {
        return Err(ControlClientError::Stopped(place()));
    }
    // Any program may have made the socket, and a terminal obeys control characters.
    let answer = serde_json::from_slice(&line).and_then(|mut document| {
        make_printable(&mut document);
        serde_json::from_value(document)
    });
    answer.map_err(|error| ControlClientError::Garbled(place(), error))
}

async fn exchange(path: &Path, request: ControlRequest) -> io::Result<Vec<u8>> {
    let mut socket = UnixStream::connect(path).await?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    socket.write_all(&line).await?;
    let mut answer = Vec::new();
    // The agent closes the connection after its answer.
    socket.take(LINE_BYTES as u64).read_to_end(&mut answer).await?;
    Ok(answer)
}
