//! An HTTP server on loopback whose responses a test chooses.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long a test waits for an expected event; only a test that hangs reaches it.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// The response of ispmon's function to a heartbeat.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An accepted connection, plain or TLS.
pub trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// A server with one thread per connection; dropping it frees its port.
pub struct TestServer {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

/// Connections and requests received so far.
#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl TestServer {
    /// Gives every request the same response.
    pub fn answering(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::with(move |connection, _| connection.write_all(answer.as_bytes()))
    }

    /// Reads each request, then calls `serve` with the connection and the number of the request, from 0.
    pub fn with(
        serve: impl Fn(&mut dyn Connection, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(serve, |stream| Ok(Box::new(stream)))
    }

    /// Like [`Self::with`], over TLS.
    pub fn with_tls(
        configuration: Arc<ServerConfig>,
        serve: impl Fn(&mut dyn Connection, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(serve, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&configuration));
            Ok(Box::new(StreamOwned::new(connection.map_err(io::Error::other)?, stream)))
        })
    }

    /// Accepts connections and never responds.
    pub fn silent() -> Self {
        Self::with(|connection, _| read_until_closed(connection))
    }

    fn start(
        serve: impl Fn(&mut dyn Connection, usize) -> io::Result<()> + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> io::Result<Box<dyn Connection>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let closed = Arc::new(AtomicBool::new(false));
        let seen = Arc::new((Mutex::<Seen>::default(), Condvar::new()));
        let shared = Arc::new((serve, wrap));
        let server = Self { address, closed: Arc::clone(&closed), seen: Arc::clone(&seen) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (shared, seen) = (Arc::clone(&shared), Arc::clone(&seen));
                note(&seen, |seen| seen.connections += 1);
                thread::spawn(move || -> io::Result<()> {
                    let mut connection = shared.1(stream)?;
                    let request = read_request(&mut *connection)?;
                    let count = note(&seen, |seen| {
                        seen.requests.push(request);
                        seen.requests.len()
                    });
                    shared.0(&mut *connection, count - 1)?;
                    connection.flush()
                });
            }
        });
        server
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL `http://127.0.0.1:PORT` followed by `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests received so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.seen.0.lock().expect("no handler panicked").requests.clone()
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.0.lock().expect("no handler panicked").connections
    }

    /// Waits for `count` requests and returns all requests received so far.
    pub fn wait_for_requests(&self, count: usize) -> Vec<String> {
        let (seen, changed) = &*self.seen;
        let guard = seen.lock().expect("no handler panicked");
        let (guard, timeout) = changed
            .wait_timeout_while(guard, PATIENCE, |seen| seen.requests.len() < count)
            .expect("no handler panicked");
        assert!(!timeout.timed_out(), "received {} of {count} requests", guard.requests.len());
        guard.requests.clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the accept loop.
        drop(TcpStream::connect(self.address));
    }
}

fn note<T>(seen: &(Mutex<Seen>, Condvar), change: impl FnOnce(&mut Seen) -> T) -> T {
    let value = change(&mut seen.0.lock().expect("no handler panicked"));
    seen.1.notify_all();
    value
}

/// Reads until the client closes the connection; sends nothing.
pub fn read_until_closed(connection: &mut dyn Connection) -> io::Result<()> {
    io::copy(connection, &mut io::sink()).map(drop)
}

/// Writes `piece` repeatedly until the client closes the connection.
pub fn write_repeatedly(connection: &mut dyn Connection, piece: &[u8]) -> io::Result<()> {
    loop {
        connection.write_all(piece)?;
    }
}

/// Reads the head, and a body of the length in Content-Length.
fn read_request(connection: &mut dyn Connection) -> io::Result<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    request.extend(body);
    Ok(String::from_utf8_lossy(&request).into_owned())
}
