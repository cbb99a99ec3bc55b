//! Turns the handler's lines on stdout and stderr into traces.
//!
//! Source: Azure Functions host, `WorkerProcess.cs`; measured with Functions host 4.1037: one trace
//! per line, without an operation id, with the time at which the host read the line.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::identity::Identity;
use crate::telemetry::item::{
    Data, MESSAGE_UNITS, PROPERTY_UNITS, Severity, Table, Tags, TelemetryItem, TraceItem, cut,
};

/// The category of a handler's lines.
pub const CATEGORY: &str = "Host.Function.Console";
/// Lines with this prefix go to the platform's own log.
const PLATFORM: &str = "LanguageWorkerConsoleLog";
/// How many bytes of a line are buffered: never less than what a trace can keep.
const LINE_BYTES: usize = MESSAGE_UNITS * 4;
/// How many lines of stderr the host quotes when the handler exits.
const LAST_WORDS: usize = 3;

/// Stdout or stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Returns a line's severity: stderr is an error unless the line contains "warn".
pub fn severity(output: OutputStream, line: &str) -> Severity {
    match output {
        OutputStream::Stdout => Severity::Information,
        OutputStream::Stderr if line.to_ascii_lowercase().contains("warn") => Severity::Warning,
        OutputStream::Stderr => Severity::Error,
    }
}

/// Creates the trace for a line that was read at `time`; `None` for the platform's own lines.
pub fn trace(
    output: OutputStream,
    line: &str,
    time: Timestamp,
    host: &Identity,
) -> Option<TelemetryItem> {
    if line.starts_with(PLATFORM) {
        return None;
    }
    let severity = severity(output, line);
    let property =
        |name: &str, value: &str| (name.to_owned(), cut(value, PROPERTY_UNITS).to_owned());
    Some(TelemetryItem {
        name: Table::AppTraces,
        time,
        tags: Tags { location: "0.0.0.0".to_owned(), ..host.tags() },
        data: Data::MessageData(TraceItem {
            ver: 2,
            message: cut(line, MESSAGE_UNITS).to_owned(),
            severity,
            properties: BTreeMap::from([
                property("ProcessId", &host.process.to_string()),
                property("HostInstanceId", &host.instance),
                // The host logs the line as if it were a message template.
                property("prop__{OriginalFormat}", line),
                property("LogLevel", severity.name()),
                property("Category", CATEGORY),
            ]),
        }),
    })
}

/// Reads lines of an output with bounded memory.
#[derive(Debug)]
pub struct OutputLines<R> {
    from: R,
}

impl<R: AsyncBufRead + Unpin> OutputLines<R> {
    /// Creates a reader on `from`.
    pub const fn new(from: R) -> Self {
        Self { from }
    }

    /// Returns the next line in UTF-8, without its line end and cut to 128 KiB. `None` at the end
    /// of the output and after a read error.
    pub async fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut any = false;
        loop {
            let chunk = self.from.fill_buf().await.ok()?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        any.then(|| String::from_utf8_lossy(&line).into_owned())
    }
}

/// The last lines of stderr.
#[derive(Clone, Debug, Default)]
pub struct LastErrorLines(VecDeque<String>);

impl LastErrorLines {
    /// Adds a line.
    pub fn push(&mut self, line: &str) {
        if self.0.len() == LAST_WORDS {
            self.0.pop_front();
        }
        self.0.push_back(cut(line, 1_000).to_owned());
    }

    /// Adds the lines of another.
    pub fn extend(&mut self, other: Self) {
        for line in other.0 {
            self.push(&line);
        }
    }

    /// Removes and returns the lines, oldest first.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<String> {
        // A small buffer, so that lines span several reads.
        let mut lines = OutputLines::new(tokio::io::BufReader::with_capacity(3, text));
        let mut read = Vec::new();
        while let Some(line) = lines.next().await {
            read.push(line);
        }
        read
    }

    #[tokio::test]
    async fn lines_end_with_a_newline_or_the_output() {
        assert_eq!(lines(b"first\r\n\nlast").await, ["first", "", "last"]);
        assert_eq!(lines(b"a\nb\n").await, ["a", "b"]);
        assert_eq!(lines(b"").await, [""; 0]);
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
        assert_eq!(lines("ä\u{2028}b\n".as_bytes()).await, ["ä\u{2028}b"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_not_buffered() {
        let mut text = vec![b'x'; 10 * LINE_BYTES];
        text.extend(b"\nnext\n");
        let read = lines(&text).await;
        assert_eq!(read[0].len(), LINE_BYTES);
        assert_eq!(read[1], "next");
    }

    #[test]
    fn stderr_is_an_error_unless_it_warns() {
        assert_eq!(severity(OutputStream::Stdout, "error"), Severity::Information);
        assert_eq!(severity(OutputStream::Stderr, "anything"), Severity::Error);
        assert_eq!(severity(OutputStream::Stderr, "[WARNING] thing"), Severity::Warning);
    }

    #[test]
    fn a_long_line_is_cut_to_what_is_kept() {
        let line = "ä".repeat(MESSAGE_UNITS + 1);
        let item =
            trace(OutputStream::Stdout, &line, Timestamp::UNIX_EPOCH, &Identity::of_this_process());
        let Some(TelemetryItem { data: Data::MessageData(message), .. }) = item else {
            panic!("{item:?}")
        };
        assert_eq!(message.message.chars().count(), MESSAGE_UNITS);
        let copy = &message.properties["prop__{OriginalFormat}"];
        assert_eq!(copy.chars().count(), PROPERTY_UNITS);
    }

    #[test]
    fn the_platforms_own_lines_become_no_traces() {
        let line = "LanguageWorkerConsoleLog[info] started";
        assert_eq!(
            trace(OutputStream::Stdout, line, Timestamp::UNIX_EPOCH, &Identity::of_this_process()),
            None
        );
    }

    #[test]
    fn only_the_last_words_are_kept() {
        let mut words = LastErrorLines::default();
        for line in ["1", "2", "3", "4"] {
            words.push(line);
        }
        assert_eq!(words.take(), ["2", "3", "4"]);
        assert_eq!(words.take(), [""; 0]);
    }
}
