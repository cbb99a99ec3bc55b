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
mod line;
mod output;
mod queue;
#[cfg(target_os = "macos")]
mod unified_log;
mod writer;

use std::{
    env,
    ffi::OsString,
    io,
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::Duration,
};

use thiserror::Error;
use tracing::Level;

use crate::{
    clock,
    event::{self, AgentPanicked, Fields, LogEvent, LogSink},
};
use line::EventLine;
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
    StartedTwice,
}

/// The running log of this process. Dropped, it writes what it still can.
pub struct Logging {
    queue: Arc<LogQueue>,
    /// The least severe level that is written.
    level: Arc<RwLock<Level>>,
}

impl Logging {
    /// Starts the log of this process.
    ///
    /// Only events of `level` and more severe ones are written. Panics are logged too, because the
    /// standard library would report them by a write that may block for ever.
    ///
    /// # Errors
    /// [`LoggingError`] in all its cases.
    pub fn start(level: Level) -> Result<Self, LoggingError> {
        let output = LogOutput::choose(&io::stderr(), &|name| env::var_os(name))
            .map_err(LoggingError::Output)?;
        let queue = Arc::new(LogQueue::new(QUEUE_LINES));
        let level = Arc::new(RwLock::new(level));
        let sink = QueueSink { queue: Arc::clone(&queue), level: Arc::clone(&level) };
        if !event::set_sink(Box::new(sink)) {
            return Err(LoggingError::StartedTwice);
        }
        let lines = Arc::clone(&queue);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer::run(&lines, output))
            .map_err(LoggingError::Thread)?;
        report_panics(Arc::clone(&queue));
        Ok(Self { queue, level })
    }

    /// Changes the least severe level that is written.
    pub fn set_level(&self, level: Level) {
        *self.level.write().unwrap_or_else(PoisonError::into_inner) = level;
    }
}

/// Puts events into the queue. Never waits for the thread that writes.
struct QueueSink {
    queue: Arc<LogQueue>,
    level: Arc<RwLock<Level>>,
}

impl LogSink for QueueSink {
    fn is_enabled(&self, level: Level) -> bool {
        level <= *self.level.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, level: Level, sentence: String, fields: Fields) {
        self.queue.push(EventLine::new(clock::now(), level, sentence).with_fields(fields));
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
        AgentPanicked { what: &panic.to_string() }.emit();
        queue.wait_until_written(FLUSH_LIMIT);
    }));
}

/// Reads a variable of the environment; a test gives its own.
type ReadVariable<'a> = &'a dyn Fn(&str) -> Option<OsString>;
