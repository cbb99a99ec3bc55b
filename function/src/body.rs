//! Reads request bodies, bounded in size, time and total memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use ispmon_wire::limits::BODY_BYTES;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// Bodies up to this size, in bytes, are read without a permit; every heartbeat of the agent is
/// smaller.
const SMALL: usize = 4 * 1024;
/// How many larger bodies may be in memory at once. Further ones wait for a permit, so all
/// connections together hold little more than this many times 64 KiB.
const LARGE_AT_ONCE: usize = 8;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is longer than 64 KiB, or its Content-Length is.
    TooLong,
    /// It did not arrive within this time.
    TimedOut(Duration),
    /// The client disconnected, or the body is malformed.
    Broken,
}

/// Reads bodies and bounds their total memory.
#[derive(Debug)]
pub(crate) struct BodyReader {
    large: Semaphore,
    limit: Duration,
}

impl BodyReader {
    /// Creates a reader that allows each body `limit` to arrive.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { large: Semaphore::new(LARGE_AT_ONCE), limit }
    }

    /// Reads a body and passes it to `take`, which must not keep it.
    pub(crate) async fn read<T>(
        &self,
        body: Incoming,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, BodyError> {
        if body.is_end_stream() {
            return Ok(take(&[]));
        }
        // A body whose Content-Length is over the limit is refused before it is read.
        if body.size_hint().lower() > BODY_BYTES as u64 {
            return Err(BodyError::TooLong);
        }
        match timeout(self.limit, self.collect(body)).await {
            Ok(collected) => collected.map(|(bytes, _permit)| take(&bytes)),
            Err(_) => Err(BodyError::TimedOut(self.limit)),
        }
    }

    async fn collect(
        &self,
        mut body: Incoming,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), BodyError> {
        let mut permit = None;
        let first = next(&mut body).await?.unwrap_or_default();
        if first.len() <= SMALL && body.is_end_stream() {
            return Ok((first, permit));
        }
        let mut bytes = BytesMut::from(first);
        loop {
            if bytes.len() > BODY_BYTES {
                return Err(BodyError::TooLong);
            }
            if bytes.len() > SMALL && permit.is_none() {
                permit = self.large.acquire().await.ok();
            }
            match next(&mut body).await? {
                Some(data) => bytes.extend_from_slice(&data),
                None => return Ok((bytes.freeze(), permit)),
            }
        }
    }
}

/// Returns the body's next data frame, `None` at its end; skips trailers.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
