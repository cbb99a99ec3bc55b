//! Reads a request body before the request is forwarded, as the host does.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{StatusCode, body::Body};
use tokio::time::{Instant, timeout_at};

use super::exchange::BODY_LIMIT;

/// How long a body may arrive at any rate; Kestrel's `MinRequestBodyDataRate`.
const GRACE: Duration = Duration::from_secs(5);
/// The minimum average rate after that, in bytes per second; Kestrel's `MinRequestBodyDataRate`.
const SLOWEST: u64 = 240;

/// Reads a body of up to [`BODY_LIMIT`] that does not arrive too slowly; an error is the response's
/// status.
pub(super) async fn read(mut body: impl Body<Data = Bytes> + Unpin) -> Result<Bytes, StatusCode> {
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let started = Instant::now();
    let mut bytes = BytesMut::new();
    loop {
        let longest = GRACE.max(Duration::from_secs(bytes.len() as u64 / SLOWEST));
        match timeout_at(started + longest, body.frame()).await {
            Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Err(_))) => return Err(StatusCode::BAD_REQUEST),
            Ok(Some(Ok(frame))) => bytes.extend(frame.into_data().unwrap_or_default()),
        }
        if bytes.len() > BODY_LIMIT {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use hyper::body::Frame;
    use tokio::time::{Interval, interval};

    use super::*;

    /// A body whose chunks arrive one by one at a fixed interval.
    struct Slow {
        chunks: usize,
        chunk: usize,
        pace: Interval,
    }

    impl Body for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            ready!(self.pace.poll_tick(context));
            if self.chunks == 0 {
                return Poll::Ready(None);
            }
            self.chunks -= 1;
            Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.chunk].into()))))
        }
    }

    async fn read_slowly(chunks: usize, chunk: usize, pause: u64) -> Result<usize, StatusCode> {
        let pace = interval(Duration::from_secs(pause));
        read(Slow { chunks, chunk, pace }).await.map(|bytes| bytes.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_slower_than_the_hosts_minimum_rate_is_refused() {
        assert_eq!(read_slowly(60, 300, 1).await, Ok(18_000));
        assert_eq!(read_slowly(4, 1, 1).await, Ok(4), "within the grace");
        let started = Instant::now();
        assert_eq!(read_slowly(60, 200, 1).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert!(started.elapsed() >= GRACE);
        assert_eq!(read_slowly(2, 10, 3_600).await, Err(StatusCode::REQUEST_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_the_hosts_size_limit_is_refused() {
        assert_eq!(read_slowly(1, BODY_LIMIT, 1).await, Ok(BODY_LIMIT));
        assert_eq!(read_slowly(1, BODY_LIMIT + 1, 1).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
