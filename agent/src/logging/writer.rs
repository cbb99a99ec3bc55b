//! The thread that writes the log.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    thread,
    time::Duration,
};

use super::{
    line::{Line, Style},
    queue::{Entry, Queue},
};
use crate::{clock, event::Event};

/// How long to wait when the output was made non-blocking by somebody who shares it, and is full.
const FULL_OUTPUT_PAUSE: Duration = Duration::from_millis(20);

/// Writes lines until the queue is closed and empty.
///
/// A reader that is gone (a broken pipe) or a full disk is no reason for a monitor to stop: such
/// lines are lost, and the next one is tried again.
pub(super) fn run(queue: &Queue, mut output: File, style: Style) {
    while let Some(entry) = queue.next() {
        let line = match entry {
            Entry::Line(line) => line,
            Entry::Dropped(count) => {
                let event = Event::LinesDropped { count };
                Line::new(clock::now(), event.level(), event.to_string())
            }
        };
        let text = line.render(style, &clock::local_zone());
        let _ = write_all(&mut output, text.as_bytes());
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
