//! One connection: HTTP/1.1 until the client disconnects, exceeds a time limit or is evicted.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::seats::{ConnectionPhase, ConnectionSlot, OpenConnection};
use crate::{limits::ServerLimits, routes, shared::Shared};

/// The largest request head, and hyper's buffer, in bytes. The host's own headers take up to 2 kB.
const BUFFER: usize = 16 * 1024;
/// How many bytes of a request that was answered early are read and discarded before closing.
const LINGER_BYTES: usize = 1024 * 1024;

/// Serves one connection to its end.
pub(super) async fn run(
    stream: TcpStream,
    shared: Arc<Shared>,
    seat: ConnectionSlot,
    limits: ServerLimits,
) {
    let occupant = seat.occupant();
    tokio::select! {
        // Polled in this order: a request that arrived in time is served, and choosing the branch
        // at random would cost time with every request.
        biased;
        () = serve(stream, shared, Arc::clone(occupant)) => {}
        () = overdue(occupant, &limits) => {}
        () = seat.evicted() => {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, occupant: Arc<OpenConnection>) {
    // A client that sends nothing costs only its descriptor and a small task: buffers are allocated
    // after the first byte.
    if stream.peek(&mut [0]).await.is_ok_and(|first| first > 0) {
        Box::pin(serve_http(stream, shared, occupant)).await;
    }
}

/// Serves HTTP/1.1 until one side closes.
async fn serve_http(stream: TcpStream, shared: Arc<Shared>, occupant: Arc<OpenConnection>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, occupant) = (Arc::clone(&shared), Arc::clone(&occupant));
        async move {
            occupant.enter(ConnectionPhase::Handling(Instant::now()));
            let answer = routes::answer(&shared, request).await;
            occupant.enter(ConnectionPhase::Answering(Instant::now()));
            Ok::<_, Infallible>(answer)
        }
    });
    let io =
        TokioIo::new(MarkedStream { stream, occupant: Arc::clone(&occupant), left: LINGER_BYTES });
    // The client has already received a response to a bad request; nothing else needs to handle it.
    let _ = http1::Builder::new().max_buf_size(BUFFER).serve_connection(io, service).await;
}

/// Returns when the connection has exceeded the time limit of its phase.
async fn overdue(occupant: &OpenConnection, limits: &ServerLimits) {
    loop {
        let now = Instant::now();
        let deadline = match occupant.phase() {
            ConnectionPhase::Idle(since) => since + limits.idle,
            ConnectionPhase::Head(since) => since + limits.head,
            ConnectionPhase::Answering(since) => since + limits.answer,
            ConnectionPhase::Closing(since) => since + limits.linger,
            // Body and line have their own limits, and an evicted connection is closed anyway.
            ConnectionPhase::Handling(_) | ConnectionPhase::Evicted => now + limits.body,
        };
        if deadline <= now {
            return;
        }
        // The phase may change during the sleep; no phase ends sooner than the shortest limit.
        let shortest = limits.head.min(limits.idle).min(limits.answer).min(limits.linger);
        sleep_until(deadline.min(now + shortest)).await;
    }
}

/// A stream that updates the phase when a request begins and when a response has been sent.
#[derive(Debug)]
struct MarkedStream {
    stream: TcpStream,
    occupant: Arc<OpenConnection>,
    /// How many bytes may still be read and discarded while closing.
    left: usize,
}

impl MarkedStream {
    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match (result, self.occupant.phase()) {
            (Poll::Ready(Ok(_)), ConnectionPhase::Answering(_)) => {
                self.occupant.enter(ConnectionPhase::Idle(Instant::now()));
            }
            (Poll::Pending, ConnectionPhase::Idle(_)) => {
                self.occupant.enter(ConnectionPhase::Answering(Instant::now()));
            }
            _ => {}
        }
    }
}

impl AsyncRead for MarkedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before
            && let ConnectionPhase::Idle(_) | ConnectionPhase::Evicted = self.occupant.phase()
        {
            self.occupant.enter(ConnectionPhase::Head(Instant::now()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MarkedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Closes without losing the response: closing a socket with unread input makes the system send
    /// a reset, which can discard a response in flight.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !matches!(self.occupant.phase(), ConnectionPhase::Closing(_)) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.occupant.enter(ConnectionPhase::Closing(Instant::now()));
        }
        let mut waste = [0; 4096];
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut waste);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
