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

/// The wait before retrying a full output that another process, which shares it, made non-blocking.
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
    /// Opens the output; call it on the log's thread, because a stopped journald blocks even this.
    fn open(output: LogOutput) -> Self {
        match output {
            LogOutput::Text(file, style) => Self::Text(file, style),
            #[cfg(target_os = "linux")]
            LogOutput::Journald(stderr) => match super::journald::Journald::connect() {
                Ok(journald) => Self::Journald(journald),
                // Standard error leads to journald too, but without the fields.
                Err(_) => Self::Text(stderr, Style::Plain),
            },
            #[cfg(target_os = "macos")]
            LogOutput::UnifiedLog => Self::UnifiedLog(super::unified_log::UnifiedLog::open()),
        }
    }

    /// Writes a line.
    ///
    /// A failure, such as a broken pipe or a full disk, must not stop the monitoring: that line is lost,
    /// and the next one is tried again.
    fn write(&mut self, line: &EventLine) {
        match self {
            Self::Text(file, style) => {
                // Reading the zone may block on a disk, which only this thread may do.
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
