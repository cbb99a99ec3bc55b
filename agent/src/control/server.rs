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

/// How long a client may take to write its line: it is a program on this machine, which has it ready.
const LINE_LIMIT: Duration = Duration::from_secs(2);
/// How many clients are served at a time; others wait in the kernel until one is done.
const MOST_CLIENTS: usize = 4;
/// Who may use the socket: its owner and the members of its group (root may everything).
const MODE: u32 = 0o660;

/// Takes requests from the control socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    clients: JoinSet<Option<(ControlRequest, ControlReply)>>,
    path: PathBuf,
}

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another agent listens there.
    #[error("another agent listens on the control socket {}", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket stands in its place, and may be somebody's.
    #[error("{} is in the way of the control socket and is none itself; remove it", .0.display())]
    InTheWay(PathBuf),
    /// The socket cannot be made there: no such folder, no right to write to it, too long a path
    /// (about 100 bytes is what systems take).
    #[error("the control socket {} cannot be made", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

impl Server {
    /// Listens at a path. What a crashed agent left there is replaced, a live agent's socket is not.
    ///
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// Every [`BindError`].
    pub async fn bind(path: &Path) -> Result<Self, BindError> {
        make_room(path).await?;
        let listener = listen(path).map_err(|error| BindError::Io(path.to_owned(), error))?;
        Ok(Self { listener, clients: JoinSet::new(), path: path.to_owned() })
    }

    /// Waits for the next request. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> (ControlRequest, ControlReply) {
        loop {
            let has_room = self.clients.len() < MOST_CLIENTS;
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
                    // Out of files or memory, or the client is gone again. Without a pause the first
                    // would keep the processor busy.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
            }
        }
    }
}

impl Drop for Server {
    /// Takes the socket away, so that clients know at once that no agent runs.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what a crashed agent left, after a look at whether it is that.
async fn make_room(path: &Path) -> Result<(), BindError> {
    let failed = |error| BindError::Io(path.to_owned(), error);
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(BindError::InTheWay(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match UnixStream::connect(path).await {
        // Nobody has it open any more.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(failed(error)),
        // It answers, or is too busy to (`EAGAIN`), which only a live one is.
        Ok(_) | Err(_) => Err(BindError::InUse(path.to_owned())),
    }
}

/// Makes the socket under another name first, because there is no other way to give it its mode
/// before anybody can connect.
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

/// Reads the one line of a client. What is no request is answered here.
async fn read(client: UnixStream) -> Option<(ControlRequest, ControlReply)> {
    let caller = Caller(client.peer_cred().ok()?.uid());
    let mut client = BufReader::with_capacity(LINE_BYTES, client);
    let mut line = Vec::new();
    let most = LINE_BYTES as u64;
    let reading = timeout(LINE_LIMIT, (&mut client).take(most).read_until(b'\n', &mut line)).await;
    let reply = ControlReply { client: client.into_inner(), caller };
    match reading {
        Ok(Ok(_)) if line.ends_with(b"\n") => {}
        // Too slow, too long, or gone.
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

/// Who makes a request.
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

/// The way back to whoever made a request. Dropped unused, it tells the client that the agent left.
#[derive(Debug)]
pub struct ControlReply {
    client: UnixStream,
    caller: Caller,
}

impl ControlReply {
    /// Who made the request.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// Answers. Never waits: an answer is short, and the buffer of a new connection is empty.
    pub fn send(self, answer: &ControlAnswer) {
        let Ok(mut line) = serde_json::to_vec(answer) else { return };
        line.push(b'\n');
        // A client that is gone does not want it.
        let _ = self.client.try_write(&line);
    }
}
