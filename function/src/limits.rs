//! Limits on the time and memory that clients may use.

use std::time::Duration;

/// Limits on the time and memory that clients may use. Tests shorten the times; the binary uses the
/// defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// How many connections may be open at once, 1 or more.
    ///
    /// The only client is the Functions host, whose pool opens one connection for each request in
    /// flight. A request takes about a millisecond, and a deployment has at most some 250 devices
    /// (the text of an alert rule holds no more), so even all of them reconnecting at once need far
    /// fewer. A connection that has served a request costs some 12 kB, a silent one 1 kB.
    pub connections: usize,
    /// How long a connection must have been idle before it may be evicted for a new one.
    ///
    /// Long enough for a client that has just connected to send its request, short enough that a
    /// flood of 10,000 idle connections is cleared within two seconds.
    pub idle_grace: Duration,
    /// How long a request must have been in progress before its connection may be evicted, when
    /// every connection has one. Only a body that does not arrive or a host that does not read
    /// stdout takes this long; the host's readiness probe must still get through.
    pub busy_grace: Duration,
    /// How long a connection may stay open between requests.
    ///
    /// Longer than the minute after which .NET's `SocketsHttpHandler`, the host's client, closes an
    /// idle connection itself (`PooledConnectionIdleTimeout`), so the host never sends a request on
    /// a connection that this side is closing.
    pub idle: Duration,
    /// How long a request head may take, counted from its first byte. The host sends it at once.
    pub head: Duration,
    /// How long a request body may take. The host may stream it over a slow connection, but a body
    /// is at most 64 KiB, and the agent gives up after 30 s.
    pub body: Duration,
    /// How long a response may wait for a client that does not read. A response is a few hundred
    /// bytes and fits into any socket buffer, so only a client that pipelines many requests waits.
    pub answer: Duration,
    /// How long a closing connection is still read, so that a client that is still sending receives
    /// its response instead of "connection reset".
    pub linger: Duration,
    /// How long a request waits for its line to be written while the host does not read stdout,
    /// well below the 30 s after which the agent gives up.
    pub line_timeout: Duration,
    /// How many bytes of lines may be queued while the host does not read stdout. A line has some
    /// 300 bytes, at most 32,768.
    pub queued_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 128,
            idle_grace: Duration::from_millis(50),
            busy_grace: Duration::from_secs(1),
            idle: Duration::from_secs(90),
            head: Duration::from_secs(10),
            body: Duration::from_secs(15),
            answer: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            line_timeout: Duration::from_secs(5),
            queued_bytes: 256 * 1024,
        }
    }
}
