//! The async runtime: one thread, whose shutdown waits for nothing.

use std::{future::Future, io};

use thiserror::Error;
use tokio::runtime::Builder;

/// The runtime cannot be started.
#[derive(Debug, Error)]
#[error("the runtime cannot be started")]
pub struct RuntimeError(#[source] io::Error);

/// Runs `future` to completion on this thread and abandons all other tasks.
///
/// The agent never uses the runtime's blocking pool, where a hung name lookup would starve everything
/// else. If a library does, shutdown does not wait for its thread.
///
/// # Errors
/// The operating system provides no poller, for instance because too many files are open.
pub fn run<F: Future>(future: F) -> Result<F::Output, RuntimeError> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .map_err(RuntimeError)?;
    let output = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(output)
}
