//! The lines that can still decide what a query yields, out of the 48 hours that it may look at.
//!
//! A query about silence needs the newest heartbeats of each device, not the thousands before them. The
//! index drops a heartbeat only when a newer one makes it meaningless whatever the query does with
//! times and sequence numbers; it keeps all outages, and every line that it does not understand. So a
//! query yields on the index what it yields on all lines, and there is no second implementation of
//! any query here: the tests compare both on random timelines.
//!
//! A world that is simulated has no lines, only values that become lines when a query looks at them;
//! that is why the index is generic over [`TraceSource`].

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::query::{Trace, silence::RANGE};

/// Something that is, or can become, a row of the table `traces`.
pub trait TraceSource {
    /// When the line was written.
    fn timestamp(&self) -> Timestamp;

    /// What the index needs to know about it.
    fn kind(&self) -> LineKind;

    /// The row.
    fn to_trace(&self) -> Trace;
}

/// What the index needs to know about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A heartbeat of an expected device.
    Heartbeat(HeartbeatKey),
    /// A heartbeat of a device that no rule watches.
    Unwatched,
    /// A handed-over incident or gap, of whichever device.
    Outage,
    /// Anything else, which a query may understand in its own way.
    Other,
}

/// Whose heartbeat it is, and its place among the heartbeats of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatKey {
    /// The place of the device in the list of expected devices.
    pub device: usize,
    /// Stands for the boot, the same for all its heartbeats; 0 when the line names none.
    pub boot: u64,
    /// The sequence number, when the line has one.
    pub seq: Option<u64>,
}

/// Lines in the order in which they became visible, without those that mean nothing any more.
#[derive(Debug)]
pub struct TraceIndex<L> {
    boots: Vec<IndexedBoot<L>>,
    others: VecDeque<L>,
    expected: usize,
    rows: IndexedRows,
}

/// What queries look at, until something changes.
#[derive(Debug, Default)]
struct IndexedRows {
    heartbeats: Option<Vec<Trace>>,
    outages: Option<Vec<Trace>>,
}

/// The heartbeats of one boot of one device that can still matter.
#[derive(Debug)]
struct IndexedBoot<L> {
    device: usize,
    id: u64,
    heartbeats: Vec<L>,
}

impl<L: TraceSource> TraceIndex<L> {
    /// An empty index for so many expected devices.
    pub const fn new(expected: usize) -> Self {
        let rows = IndexedRows { heartbeats: None, outages: None };
        Self { boots: Vec::new(), others: VecDeque::new(), expected, rows }
    }

    /// Takes in a line that has become visible, not before its own time.
    pub fn insert(&mut self, line: L) {
        match line.kind() {
            LineKind::Heartbeat(key) => self.insert_heartbeat(key, line),
            LineKind::Unwatched => {}
            LineKind::Outage | LineKind::Other => {
                self.rows = IndexedRows::default();
                self.others.push_back(line);
            }
        }
    }

    /// Forgets what no query sees at `now` or later.
    pub fn expire(&mut self, now: Timestamp) {
        let from = now.saturating_sub(RANGE).unwrap_or(Timestamp::MIN);
        let before = self.others.len();
        if self.others.front().is_some_and(|first| first.timestamp() <= from) {
            self.others.retain(|line| line.timestamp() > from);
        }
        if self.others.len() != before {
            self.rows = IndexedRows::default();
        }
        // A boot that another one followed may yet go on: two machines with one name do so in turn.
        let boots = self.boots.len();
        self.boots.retain(|boot| boot.newest().is_some_and(|newest| newest > from));
        if self.boots.len() != boots {
            self.rows.heartbeats = None;
        }
    }

    /// The rows that decide what a query about silence yields, in no particular order.
    pub fn heartbeats(&mut self) -> &[Trace] {
        let (boots, others) = (&self.boots, &self.others);
        self.rows.heartbeats.get_or_insert_with(|| {
            let heartbeats = boots.iter().flat_map(|boot| &boot.heartbeats);
            let others = others.iter().filter(|line| line.kind() == LineKind::Other);
            heartbeats.chain(others).map(TraceSource::to_trace).collect()
        })
    }

    /// The rows that decide what a query about outages yields, in no particular order.
    pub fn outages(&mut self) -> &[Trace] {
        let others = &self.others;
        self.rows.outages.get_or_insert_with(|| others.iter().map(TraceSource::to_trace).collect())
    }

    /// When the newest line was written that is no heartbeat of an expected device.
    pub fn newest_other(&self) -> Option<Timestamp> {
        self.others.iter().map(TraceSource::timestamp).max()
    }

    /// A time since which every expected device has certainly sent a heartbeat; `None` when there is no
    /// such time. Any heartbeat shows that its device was alive, whatever it announces.
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
            LineKind::Unwatched | LineKind::Outage | LineKind::Other => None,
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

/// Whether one heartbeat makes another of the same boot meaningless: it is later by the clock and by the
/// sequence number, or neither has a number. Equal ones never replace each other.
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
