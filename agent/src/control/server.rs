//! The agent's side of the control socket.

use std::{
    fmt,
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use super::message::{ControlAnswer, ControlRequest, LINE_BYTES};

/// How long a client may take to write its line: it is a program on this machine that has it ready.
const LINE_LIMIT: Duration = Duration::from_secs(2);
/// How many clients are served at a time; others wait in the kernel's listen queue.
const MAX_CLIENTS: usize = 4;
/// Mode of the socket: its owner and the members of its group may connect, and root always.
const MODE: u32 = 0o660;

/// Receives requests on the control socket.
#[derive(Debug)]
pub struct ControlServer {
    listener: UnixListener,
    clients: JoinSet<Option<(ControlRequest, ControlReply)>>,
    path: PathBuf,
}

/// The control socket cannot be opened.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another agent listens there.
    #[error("another agent listens on the control socket {}", .0.display())]
    InUse(PathBuf),
    /// Another file exists at the path, which may be of value to the user.
    #[error("{} is not a socket and occupies the path of the control socket; remove it", .0.display())]
    InTheWay(PathBuf),
    /// The socket cannot be created: the folder is missing or not writable, or the path is longer than
    /// the system allows (about 100 bytes).
    #[error("the control socket {} cannot be created", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

impl ControlServer {
    /// Listens at `path`. A stale socket of a crashed agent is replaced, the socket of a running agent
    /// is not.
    ///
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// Every [`BindError`].
    pub async fn bind(path: &Path) -> Result<Self, BindError> {
        remove_stale_socket(path).await?;
        let listener = listen(path).map_err(|error| BindError::Io(path.to_owned(), error))?;
        Ok(Self { listener, clients: JoinSet::new(), path: path.to_owned() })
    }

    /// Waits for the next request. Cancel-safe.
    pub async fn next(&mut self) -> (ControlRequest, ControlReply) {
        loop {
            let has_room = self.clients.len() < MAX_CLIENTS;
            tokio::select! {
                Some(served) = self.clients.join_next() => {
                    if let Ok(Some(request)) = served {
                        return request;
                    }
                }
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((client, _)) => {
                        self.clients.spawn(read(client));
                    }
                    // Out of file descriptors or memory, or the client has disconnected. Without a
                    // pause the former would busy-loop.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
    }
}

impl Drop for ControlServer {
    /// Removes the socket, so that clients detect at once that no agent runs.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a stale socket, after checking that no process listens on it.
async fn remove_stale_socket(path: &Path) -> Result<(), BindError> {
    let failed = |error| BindError::Io(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(BindError::InTheWay(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match UnixStream::connect(path).await {
        // No process has it open any more.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(failed(error)),
        // The connect succeeds or fails with `EAGAIN` (queue full): a live process listens.
        Ok(_) | Err(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// Creates the socket under a temporary name, because there is no other way to set its mode before a
/// client can connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    let placed = fs::set_permissions(&new, Permissions::from_mode(MODE))
        .and_then(|()| fs::rename(&new, path));
    if placed.is_err() {
        let _ = fs::remove_file(&new);
    }
    placed.map(|()| listener)
}

/// Reads one line from a client. A line that is not a request is answered here.
async fn read(client: UnixStream) -> Option<(ControlRequest, ControlReply)> {
    let caller = Caller(client.peer_cred().ok()?.uid());
    let mut client = BufReader::with_capacity(LINE_BYTES, client);
    let mut line = Vec::new();
    let most = LINE_BYTES as u64;
    let reading = timeout(LINE_LIMIT, (&mut client).take(most).read_until(b'\n', &mut line)).await;
    let reply = ControlReply { client: client.into_inner(), caller };
    match reading {
        Ok(Ok(_)) if line.ends_with(b"\n") => {}
        // Too slow, too long, or disconnected.
        _ => return None,
    }
    match serde_json::from_slice(&line) {
        Ok(request) => Some((request, reply)),
        Err(error) => {
            let reason = format!("The request is not understood: {error}.");
            reply.send(&ControlAnswer::Refused { reason });
            None
        }
    }
}

/// The user id of the client that made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(u32);

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => formatter.write_str("root"),
            id => write!(formatter, "the user with the id {id}"),
        }
    }
}

/// The connection to answer a request on. If it is dropped unused, the client sees that the agent
/// stopped.
#[derive(Debug)]
pub struct ControlReply {
    client: UnixStream,
    caller: Caller,
}

impl ControlReply {
    /// The user who made the request.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// Sends the answer. Never blocks: an answer is short, and the buffer of a new connection is empty.
    pub fn send(self, answer: &ControlAnswer) {
        let Ok(mut line) = serde_json::to_vec(answer) else { return };
        line.push(b'\n');
        // The client may have disconnected.
        let _ = self.client.try_write(&line);
    }
}
