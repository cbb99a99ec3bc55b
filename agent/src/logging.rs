//! The agent's log, which never blocks the agent.
//!
//! A log event becomes a line in a bounded queue, and one thread writes the lines. A full pipe or a
//! stopped terminal therefore blocks only that thread: when the queue is full, lines are dropped and
//! counted, and the count is logged as soon as there is room again. When the agent ends, it waits at most
//! [`FLUSH_LIMIT`] for the remaining lines.
//!
//! A service logs to its system's log, with fields for programs ([`crate::event::Fields`]): to journald
//! under systemd, to the unified log under launchd. Elsewhere lines go to standard error as text; standard
//! output is for the results of commands, so that `ispmon-agent … | …` and `> file` never mix the two.

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

/// Capacity of the queue in lines: a day of state changes, or some seconds at level `debug`.
const QUEUE_LINES: usize = 1_000;

/// How long the agent waits at its end for the lines that are not written yet.
pub const FLUSH_LIMIT: Duration = Duration::from_millis(200);

/// Why the log cannot be started.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// Standard error cannot be duplicated for the writing thread.
    #[error("standard error cannot be opened for the log")]
    Output(#[source] io::Error),
    /// The writing thread cannot be started.
    #[error("the thread that writes the log cannot be started")]
    Thread(#[source] io::Error),
    /// The log of this process was already started.
    #[error("the log was started twice")]
    StartedTwice,
}

/// The running log of this process. Dropping it flushes the queue within [`FLUSH_LIMIT`].
pub struct Logging {
    sink: Arc<QueueSink>,
}

impl Logging {
    /// Starts the log of this process.
    ///
    /// Only events of `level` and more severe ones are logged. Panics are logged too, because the
    /// standard library would report them with a write that may block forever.
    ///
    /// # Errors
    /// Every [`LoggingError`].
    pub fn start(level: Level) -> Result<Self, LoggingError> {
        let output = LogOutput::choose(&io::stderr(), &|name| env::var_os(name))
            .map_err(LoggingError::Output)?;
        let sink =
            Arc::new(QueueSink { queue: LogQueue::new(QUEUE_LINES), level: RwLock::new(level) });
        if !event::set_sink(sink.clone()) {
            return Err(LoggingError::StartedTwice);
        }
        let lines = Arc::clone(&sink);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer::run(&lines.queue, output))
            .map_err(LoggingError::Thread)?;
        log_panics(Arc::clone(&sink));
        Ok(Self { sink })
    }

    /// Changes the least severe level that is logged.
    pub fn set_level(&self, level: Level) {
        *self.sink.level.write().unwrap_or_else(PoisonError::into_inner) = level;
    }
}

/// Adds events to the queue. Never waits for the writing thread.
struct QueueSink {
    queue: LogQueue,
    /// The least severe level that is logged.
    level: RwLock<Level>,
}

impl LogSink for QueueSink {
    fn is_enabled(&self, level: Level) -> bool {
        level <= *self.level.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, level: Level, sentence: String, fields: Fields) {
        self.queue.push(EventLine::new(clock::now(), level, sentence).with_fields(fields));
    }
}

/// Lines that are not written within [`FLUSH_LIMIT`] are lost.
impl Drop for Logging {
    fn drop(&mut self) {
        self.sink.queue.close();
        self.sink.queue.wait_until_written(FLUSH_LIMIT);
    }
}

fn log_panics(sink: Arc<QueueSink>) {
    std::panic::set_hook(Box::new(move |panic| {
        AgentPanicked { what: &panic.to_string() }.emit();
        sink.queue.wait_until_written(FLUSH_LIMIT);
    }));
}

/// Reads an environment variable; tests supply their own.
type ReadVariable<'a> = &'a dyn Fn(&str) -> Option<OsString>;
