//! The runtime: one thread, and an end that waits for nobody.

use std::{future::Future, io};

use thiserror::Error;
use tokio::runtime::Builder;

/// The runtime cannot be started.
#[derive(Debug, Error)]
#[error("the runtime cannot be started")]
pub struct RuntimeError(#[source] io::Error);

/// Runs `future` to its end on this thread and leaves everything else behind.
///
/// Nothing here uses the runtime's pool for blocking work, where a hung name look-up would starve
/// everything else; should a library do so all the same, its thread is not waited for.
///
/// # Errors
/// The operating system grants no poller, for instance because too many files are open.
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
