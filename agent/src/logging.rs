//! What the agent says about itself, without ever waiting for whoever reads it.
//!
//! An event becomes a line in a bounded queue, and one thread of its own writes the lines. A
//! pipe that nobody empties or a stopped terminal therefore blocks that thread and nothing else:
//! when the queue is full, lines are dropped and counted, and the count is logged as soon as there
//! is room again. At the end the agent waits [`FLUSH_LIMIT`] for the lines that remain, no longer.
//!
//! A service's lines go to the log of its system, with fields for programs ([`crate::event::Fields`]):
//! to journald under systemd, to the unified log under launchd. Elsewhere they go to standard error as text:
//! standard output belongs to the results of commands, so that `ispmon-agent … | …` and `> file` never
//! mix the two.

#[cfg(target_os = "linux")]
mod journald;
mod layer;
mod line;
mod output;
mod queue;
#[cfg(target_os = "macos")]
mod unified_log;
mod writer;

use std::{env, ffi::OsString, io, sync::Arc, thread, time::Duration};

use thiserror::Error;
use tracing::{Level, level_filters::LevelFilter, subscriber::SetGlobalDefaultError};
use tracing_subscriber::{Registry, layer::SubscriberExt, reload};

use crate::event::Event;
use layer::QueueLayer;
pub use line::Style;
use output::LogOutput;
use queue::LogQueue;

/// How many lines wait to be written; a day of state changes, or some seconds of debugging.
const QUEUE_LINES: usize = 1_000;

/// How long the end of the agent waits for the lines that are not written yet.
pub const FLUSH_LIMIT: Duration = Duration::from_millis(200);

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// Standard error cannot be duplicated for the writing thread.
    #[error("standard error cannot be opened for the log")]
    Output(#[source] io::Error),
    /// The writing thread cannot be started.
    #[error("the thread that writes the log cannot be started")]
    Thread(#[source] io::Error),
    /// This process has a log already.
    #[error("the log was started twice")]
    StartedTwice(#[source] SetGlobalDefaultError),
}

/// The running log of this process. Dropped, it writes what it still can.
pub struct Logging {
    queue: Arc<LogQueue>,
    level: reload::Handle<LevelFilter, Registry>,
}

impl Logging {
    /// Starts the log of this process.
    ///
    /// Only lines of `level` and more severe ones are written. Panics are logged too, because the
    /// standard library would report them by a write that may block for ever.
    ///
    /// # Errors
    /// [`LoggingError`] in all its cases.
    pub fn start(level: Level) -> Result<Self, LoggingError> {
        let output = LogOutput::choose(&io::stderr(), &|name| env::var_os(name))
            .map_err(LoggingError::Output)?;
        let queue = Arc::new(LogQueue::new(QUEUE_LINES));
        let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
        let subscriber =
            tracing_subscriber::registry().with(filter).with(QueueLayer::new(Arc::clone(&queue)));
        tracing::subscriber::set_global_default(subscriber).map_err(LoggingError::StartedTwice)?;
        let lines = Arc::clone(&queue);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer::run(&lines, output))
            .map_err(LoggingError::Thread)?;
        report_panics(Arc::clone(&queue));
        Ok(Self { queue, level: handle })
    }

    /// Changes the least severe level that is written.
    pub fn set_level(&self, level: Level) {
        // It fails only when the subscriber is gone, and then there is nothing to filter.
        let _ = self.level.reload(LevelFilter::from_level(level));
    }
}

/// Ends the log: lines that are not written within [`FLUSH_LIMIT`] are lost.
impl Drop for Logging {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.wait_until_written(FLUSH_LIMIT);
    }
}

fn report_panics(queue: Arc<LogQueue>) {
    std::panic::set_hook(Box::new(move |panic| {
        Event::Panicked { what: &panic.to_string() }.emit();
        queue.wait_until_written(FLUSH_LIMIT);
    }));
}

/// Reads a variable of the environment; a test gives its own.
type ReadVariable<'a> = &'a dyn Fn(&str) -> Option<OsString>;
