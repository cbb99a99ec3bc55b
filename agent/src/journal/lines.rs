//! Reads a file line by line, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line in bytes, without its line feed. A longer one cannot be a record.
pub(super) const LONGEST_LINE: usize = 1 << 20;
/// How many bytes are read at a time.
const BUFFER: usize = 16 << 10;

/// The next piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum JournalLine<'a> {
    /// A complete line, without its line feed.
    Whole(&'a [u8]),
    /// The file ends within a line.
    Torn,
    /// More than [`LONGEST_LINE`] bytes without a line feed; they are skipped.
    TooLong,
}

/// The lines of a source.
pub(super) struct JournalLines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
    /// The offset in bytes of the end of that line, including its line feed.
    pub(super) end: u64,
}

impl<R: Read> JournalLines<R> {
    pub(super) fn new(source: R) -> Self {
        let source = BufReader::with_capacity(BUFFER, source);
        Self { source, line: Vec::new(), number: 0, end: 0 }
    }

    /// Reads the next line; `None` at the end.
    ///
    /// # Errors
    /// An I/O error of the source.
    pub(super) fn next(&mut self) -> io::Result<Option<JournalLine<'_>>> {
        self.line.clear();
        let most = LONGEST_LINE as u64 + 1;
        let length = (&mut self.source).take(most).read_until(b'\n', &mut self.line)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.end += length as u64;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(JournalLine::Whole(&self.line)));
        }
        if length <= LONGEST_LINE {
            return Ok(Some(JournalLine::Torn));
        }
        self.end += self.source.skip_until(b'\n')? as u64;
        Ok(Some(JournalLine::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_line_feed_is_torn() {
        let mut lines = JournalLines::new(&b"one\n\nthr"[..]);
        assert_eq!(lines.next().expect("a slice does not fail"), Some(JournalLine::Whole(b"one")));
        assert_eq!(lines.next().expect("a slice does not fail"), Some(JournalLine::Whole(b"")));
        assert_eq!((lines.number, lines.end), (2, 5));
        assert_eq!(lines.next().expect("a slice does not fail"), Some(JournalLine::Torn));
        assert_eq!(lines.next().expect("a slice does not fail"), None);
    }

    #[test]
    fn an_endless_line_is_skipped_in_bounded_memory() {
        let endless = io::repeat(b'x').take(50 << 20).chain(&b"\nafter it\n"[..]);
        let mut lines = JournalLines::new(endless);
        assert_eq!(lines.next().expect("the source does not fail"), Some(JournalLine::TooLong));
        assert_eq!(
            lines.next().expect("the source does not fail"),
            Some(JournalLine::Whole(b"after it"))
        );
        assert!(lines.line.capacity() <= 2 * LONGEST_LINE + 2);
        assert_eq!(lines.end, (50 << 20) + 10);
    }

    #[test]
    fn a_line_of_the_maximum_length_is_whole() {
        let source = io::repeat(b'x').take(LONGEST_LINE as u64).chain(&b"\n"[..]);
        let mut lines = JournalLines::new(source);
        assert!(matches!(
            lines.next().expect("the source does not fail"),
            Some(JournalLine::Whole(_))
        ));
    }
}
