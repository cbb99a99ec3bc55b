//! A server on loopback whose answers a test chooses.

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

/// How long a test waits for something that must happen; it only ends a test that hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// The answer of ispmon's function.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection that was accepted, encrypted or not.
pub trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// A server with one thread per connection; its port is free again when it is dropped.
pub struct TestServer {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

/// What the server has seen.
#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl TestServer {
    /// Reads each request and gives the same answer to all.
    pub fn answering(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::with(move |connection, _| connection.write_all(answer.as_bytes()))
    }

    /// Reads each request, then lets `serve` do what it wants; its second argument counts requests
    /// from 0.
    pub fn with(
        serve: impl Fn(&mut dyn Connection, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(serve, |stream| Ok(Box::new(stream)))
    }

    /// The same by TLS.
    pub fn with_tls(
        configuration: Arc<ServerConfig>,
        serve: impl Fn(&mut dyn Connection, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(serve, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&configuration));
            Ok(Box::new(StreamOwned::new(connection.map_err(io::Error::other)?, stream)))
        })
    }

    /// Accepts connections and never answers.
    pub fn silent() -> Self {
        Self::with(|connection, _| swallow(connection))
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

    /// A URL of the server: `http://127.0.0.1:PORT` with the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.seen.0.lock().expect("no handler panicked").requests.clone()
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.seen.0.lock().expect("no handler panicked").connections
    }

    /// Waits until `count` requests have come, and returns them all.
    pub fn wait_for_requests(&self, count: usize) -> Vec<String> {
        let (seen, changed) = &*self.seen;
        let guard = seen.lock().expect("no handler panicked");
        let (guard, timeout) = changed
            .wait_timeout_while(guard, PATIENCE, |seen| seen.requests.len() < count)
            .expect("no handler panicked");
        assert!(!timeout.timed_out(), "{} of {count} requests came", guard.requests.len());
        guard.requests.clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

fn note<T>(seen: &(Mutex<Seen>, Condvar), change: impl FnOnce(&mut Seen) -> T) -> T {
    let value = change(&mut seen.0.lock().expect("no handler panicked"));
    seen.1.notify_all();
    value
}

/// Reads until the client goes away, and answers nothing.
pub fn swallow(connection: &mut dyn Connection) -> io::Result<()> {
    io::copy(connection, &mut io::sink()).map(drop)
}

/// Writes the same again and again until the client goes away.
pub fn repeat(connection: &mut dyn Connection, piece: &[u8]) -> io::Result<()> {
    loop {
        connection.write_all(piece)?;
    }
}

/// Reads a head and as much of a body as its Content-Length announces.
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
