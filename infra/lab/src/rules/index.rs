//! Keeps only the lines that can still affect a query's result, out of the 48 hours in its range.
//!
//! A query about silence needs the newest heartbeats of each device, not the thousands before them.
//! The index drops a heartbeat only when a newer one makes it irrelevant whatever the query does
//! with times and sequence numbers; it keeps all outages, and every line that it does not
//! recognize. So a query returns the same on the index as on all lines, and no query is implemented
//! twice: the tests compare both on random timelines.
//!
//! A simulated world has no lines, only values that are formatted as lines when a query reads them;
//! that is why the index is generic over [`TraceSource`].

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::query::{LONGEST_RANGE, Trace};

/// A row of the table `traces`, or a value that can be converted to one.
pub trait TraceSource {
    /// When the line was written.
    fn timestamp(&self) -> Timestamp;

    /// Its kind, as far as the index distinguishes.
    fn kind(&self) -> LineKind;

    /// Converts it to the row.
    fn to_trace(&self) -> Trace;
}

/// The kinds of line that the index distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A heartbeat of an expected device.
    Heartbeat(HeartbeatKey),
    /// A heartbeat of a device that no rule covers.
    Unexpected,
    /// A handed-over incident or gap of any device.
    Outage,
    /// Anything else; only the query can interpret it.
    Other,
}

/// The device of a heartbeat, and its order among the heartbeats of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatKey {
    /// The index of the device in the list of expected devices.
    pub device: usize,
    /// Identifies the boot; 0 when the line has none.
    pub boot: u64,
    /// The sequence number, if the line has one.
    pub seq: Option<u64>,
}

/// Lines in the order in which they became visible, without the irrelevant ones.
#[derive(Debug)]
pub struct TraceIndex<L> {
    boots: Vec<IndexedBoot<L>>,
    others: VecDeque<L>,
    expected: usize,
    rows: IndexedRows,
}

/// The rows for queries, cached until something changes.
#[derive(Debug, Default)]
struct IndexedRows {
    heartbeats: Option<Vec<Trace>>,
    outages: Option<Vec<Trace>>,
}

/// The heartbeats of one boot of one device that are still relevant.
#[derive(Debug)]
struct IndexedBoot<L> {
    device: usize,
    id: u64,
    heartbeats: Vec<L>,
}

impl<L: TraceSource> TraceIndex<L> {
    /// Creates an empty index for `expected` devices.
    pub const fn new(expected: usize) -> Self {
        let rows = IndexedRows { heartbeats: None, outages: None };
        Self { boots: Vec::new(), others: VecDeque::new(), expected, rows }
    }

    /// Inserts a line that has become visible, not before its own time.
    pub fn insert(&mut self, line: L) {
        match line.kind() {
            LineKind::Heartbeat(key) => self.insert_heartbeat(key, line),
            LineKind::Unexpected => {}
            LineKind::Outage | LineKind::Other => {
                self.rows = IndexedRows::default();
                self.others.push_back(line);
            }
        }
    }

    /// Drops lines that no query sees at `now` or later.
    pub fn expire(&mut self, now: Timestamp) {
        let from = now.saturating_sub(LONGEST_RANGE).unwrap_or(Timestamp::MIN);
        let before = self.others.len();
        if self.others.front().is_some_and(|first| first.timestamp() <= from) {
            self.others.retain(|line| line.timestamp() > from);
        }
        if self.others.len() != before {
            self.rows = IndexedRows::default();
        }
        // A boot may continue after another one began: two machines with one name alternate.
        let boots = self.boots.len();
        self.boots.retain(|boot| boot.newest().is_some_and(|newest| newest > from));
        if self.boots.len() != boots {
            self.rows.heartbeats = None;
        }
    }

    /// The rows that decide the result of a query about silence, unordered.
    pub fn heartbeats(&mut self) -> &[Trace] {
        let (boots, others) = (&self.boots, &self.others);
        self.rows.heartbeats.get_or_insert_with(|| {
            let heartbeats = boots.iter().flat_map(|boot| &boot.heartbeats);
            let others = others.iter().filter(|line| line.kind() == LineKind::Other);
            heartbeats.chain(others).map(TraceSource::to_trace).collect()
        })
    }

    /// The rows that decide the result of a query about outages, unordered.
    pub fn outages(&mut self) -> &[Trace] {
        let others = &self.others;
        self.rows.outages.get_or_insert_with(|| others.iter().map(TraceSource::to_trace).collect())
    }

    /// When the newest line was written that is not a heartbeat of an expected device.
    pub fn newest_other(&self) -> Option<Timestamp> {
        self.others.iter().map(TraceSource::timestamp).max()
    }

    /// A time since which every expected device has certainly sent a heartbeat, if any. Any
    /// heartbeat proves that its device was alive, whatever it announces.
    pub fn all_alive_since(&self) -> Option<Timestamp> {
        if self.others.iter().any(|line| line.kind() == LineKind::Other) {
            return None;
        }
        (0..self.expected)
            .map(|device| {
                self.boots
                    .iter()
                    .filter(|boot| boot.device == device)
                    .filter_map(IndexedBoot::newest)
                    .max()
            })
            .min()
            .flatten()
    }

    fn insert_heartbeat(&mut self, key: HeartbeatKey, line: L) {
        self.rows.heartbeats = None;
        let same = |boot: &IndexedBoot<L>| boot.device == key.device && boot.id == key.boot;
        if let Some(boot) = self.boots.iter_mut().rev().find(|boot| same(boot)) {
            boot.insert(key.seq, line);
        } else {
            let heartbeats = vec![line];
            self.boots.push(IndexedBoot { device: key.device, id: key.boot, heartbeats });
        }
    }
}

impl<L: TraceSource> IndexedBoot<L> {
    fn insert(&mut self, seq: Option<u64>, line: L) {
        let at = line.timestamp();
        let of = |known: &L| match known.kind() {
            LineKind::Heartbeat(key) => key.seq,
            LineKind::Unexpected | LineKind::Outage | LineKind::Other => None,
        };
        let replaces = |known: &L| replaces((at, seq), (known.timestamp(), of(known)));
        let is_replaced = |known: &L| self::replaces((known.timestamp(), of(known)), (at, seq));
        if self.heartbeats.iter().any(is_replaced) {
            return;
        }
        self.heartbeats.retain(|known| !replaces(known));
        self.heartbeats.push(line);
    }

    fn newest(&self) -> Option<Timestamp> {
        self.heartbeats.iter().map(TraceSource::timestamp).max()
    }
}

/// Whether one heartbeat makes another of the same boot irrelevant: it is later by both clock and
/// sequence number, or by clock and neither has a number. Equal ones never replace each other.
fn replaces(one: (Timestamp, Option<u64>), other: (Timestamp, Option<u64>)) -> bool {
    one.0 > other.0
        && match (one.1, other.1) {
            (Some(one), Some(other)) => one > other,
            (None, None) => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests;
