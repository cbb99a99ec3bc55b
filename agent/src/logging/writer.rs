//! The thread that writes the log.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    thread,
    time::Duration,
};

use super::{
    line::{EventLine, Style},
    output::LogOutput,
    queue::{LogQueue, LogQueueEntry},
};
use crate::{
    clock,
    event::{LogEvent, LogLinesDropped},
};

/// How long to wait when the output was made non-blocking by somebody who shares it, and is full.
const FULL_OUTPUT_PAUSE: Duration = Duration::from_millis(20);

/// Writes lines until the queue is closed and empty.
pub(super) fn run(queue: &LogQueue, output: LogOutput) {
    let mut writer = LogWriter::open(output);
    while let Some(entry) = queue.next() {
        let line = match entry {
            LogQueueEntry::Line(line) => line,
            LogQueueEntry::Dropped(count) => {
                let event = LogLinesDropped { count };
                let line = EventLine::new(clock::now(), event.kind().level, event.to_string());
                line.with_fields(event.fields())
            }
        };
        writer.write(&line);
    }
}

/// An opened output.
enum LogWriter {
    Text(File, Style),
    #[cfg(target_os = "linux")]
    Journald(super::journald::Journald),
    #[cfg(target_os = "macos")]
    UnifiedLog(super::unified_log::UnifiedLog),
}

impl LogWriter {
    /// Opens it on the log's thread, because a journald that is stopped blocks already this.
    fn open(output: LogOutput) -> Self {
        match output {
            LogOutput::Text(file, style) => Self::Text(file, style),
            #[cfg(target_os = "linux")]
            LogOutput::Journald(stderr) => match super::journald::Journald::connect() {
                Ok(journald) => Self::Journald(journald),
                // Standard error leads there too, only without the fields.
                Err(_) => Self::Text(stderr, Style::Plain),
            },
            #[cfg(target_os = "macos")]
            LogOutput::UnifiedLog => Self::UnifiedLog(super::unified_log::UnifiedLog::open()),
        }
    }

    /// Writes a line.
    ///
    /// A reader that is gone (a broken pipe) or a full disk is no reason for a monitor to stop: such
    /// lines are lost, and the next one is tried again.
    fn write(&mut self, line: &EventLine) {
        match self {
            Self::Text(file, style) => {
                // This thread may wait for a disk.
                clock::refresh_local_zone();
                let text = line.render(*style, &clock::local_zone());
                let _ = write_all(file, text.as_bytes());
            }
            #[cfg(target_os = "linux")]
            Self::Journald(journald) => journald.write(line),
            #[cfg(target_os = "macos")]
            Self::UnifiedLog(log) => log.write(line),
        }
    }
}

fn write_all(output: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_OUTPUT_PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
