//! The bounded queue between the threads that log and the thread that writes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::line::EventLine;

/// An entry of the queue.
#[derive(Debug, PartialEq)]
pub(super) enum LogQueueEntry {
    /// A line to write.
    Line(EventLine),
    /// The number of lines that were dropped at this point.
    Dropped(u64),
}

/// A first-in, first-out queue of lines. When it is full, new lines are dropped and counted.
pub(super) struct LogQueue {
    capacity: usize,
    state: Mutex<LogQueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct LogQueueState {
    entries: VecDeque<LogQueueEntry>,
    /// The number of lines dropped after the last entry.
    dropped: u64,
    /// The writer has taken an entry and not finished writing it.
    is_writing: bool,
    is_closed: bool,
}

impl LogQueueState {
    fn is_written(&self) -> bool {
        self.entries.is_empty() && self.dropped == 0 && !self.is_writing
    }
}

impl LogQueue {
    /// Creates an empty queue of at most `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a line, or counts it as dropped. Never waits for the writer.
    pub(super) fn push(&self, line: EventLine) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        // The number of dropped lines needs an entry too, at the position where they are missing.
        let needed = 1 + usize::from(state.dropped > 0);
        if state.entries.len() + needed > self.capacity {
            state.dropped += 1;
            return;
        }
        if let Some(dropped) = take_dropped(&mut state) {
            state.entries.push_back(dropped);
        }
        state.entries.push_back(LogQueueEntry::Line(line));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the next entry; `None` when the queue is closed and empty.
    ///
    /// A call marks the entry that the previous call returned as written.
    pub(super) fn next(&self) -> Option<LogQueueEntry> {
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        loop {
            if let Some(entry) = state.entries.pop_front().or_else(|| take_dropped(&mut state)) {
                state.is_writing = true;
                return Some(entry);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ignores all further lines.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits at most `limit` until every line is written; returns whether they are.
    pub(super) fn wait_until_written(&self, limit: Duration) -> bool {
        self.changed
            .wait_timeout_while(self.lock(), limit, |state| !state.is_written())
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_written()
    }

    fn lock(&self) -> MutexGuard<'_, LogQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_dropped(state: &mut LogQueueState) -> Option<LogQueueEntry> {
    match std::mem::take(&mut state.dropped) {
        0 => None,
        dropped => Some(LogQueueEntry::Dropped(dropped)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tracing::Level;

    use super::*;

    fn line(text: &str) -> EventLine {
        EventLine::new(Timestamp::UNIX_EPOCH, Level::INFO, text.to_owned())
    }

    #[test]
    fn lines_keep_their_order() {
        let queue = LogQueue::new(10);
        queue.push(line("one"));
        queue.push(line("two"));
        queue.close();
        assert_eq!(queue.next(), Some(LogQueueEntry::Line(line("one"))));
        assert_eq!(queue.next(), Some(LogQueueEntry::Line(line("two"))));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn dropped_lines_are_counted_at_their_position() {
        let queue = LogQueue::new(2);
        for text in ["one", "two", "lost", "lost"] {
            queue.push(line(text));
        }
        assert_eq!(queue.next(), Some(LogQueueEntry::Line(line("one"))));
        queue.push(line("lost, because the count and the line need two entries"));
        assert_eq!(queue.next(), Some(LogQueueEntry::Line(line("two"))));
        queue.push(line("three"));
        queue.close();
        assert_eq!(queue.next(), Some(LogQueueEntry::Dropped(3)));
        assert_eq!(queue.next(), Some(LogQueueEntry::Line(line("three"))));
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn dropped_lines_are_reported_even_when_none_follows() {
        let queue = LogQueue::new(1);
        queue.push(line("one"));
        queue.push(line("lost"));
        assert_eq!(queue.next(), Some(LogQueueEntry::Line(line("one"))));
        assert_eq!(queue.next(), Some(LogQueueEntry::Dropped(1)));
    }

    #[test]
    fn an_entry_counts_as_written_when_the_writer_asks_for_the_next() {
        let queue = LogQueue::new(1);
        assert!(queue.wait_until_written(Duration::ZERO));
        queue.push(line("one"));
        assert!(!queue.wait_until_written(Duration::ZERO));
        queue.next();
        assert!(!queue.wait_until_written(Duration::from_millis(1)));
        queue.close();
        assert_eq!(queue.next(), None);
        assert!(queue.wait_until_written(Duration::ZERO));
    }
}
