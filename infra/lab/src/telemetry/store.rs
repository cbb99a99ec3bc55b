//! The traces of the last 48 hours, as queries see them.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{
    delay::IngestionDelay,
    item::{Data, TelemetryItem},
    story,
};
use crate::{
    clock::StoryClock,
    query::{LONGEST_RANGE, Trace},
};

/// The memory limit for the stored traces, in bytes; the oldest are evicted first.
const CAPACITY: usize = 64 * 1024 * 1024;

/// The memory of a trace besides its text, in bytes, rounded up generously.
const OVERHEAD: usize = 96;

/// Traces, each visible after its ingestion delay. Requests are not kept: no rule queries them.
///
/// Times are story times. The agent reports real times and durations, because it runs in real time;
/// they are converted when they are stored.
#[derive(Debug)]
pub struct Store {
    clock: StoryClock,
    delay: IngestionDelay,
    random: fastrand::Rng,
    traces: BoundedTraces,
}

impl Store {
    /// Creates an empty store with the clock `clock` and ingestion delays of `delay`; `seed`
    /// decides the random tail.
    pub fn new(clock: StoryClock, delay: IngestionDelay, seed: u64) -> Self {
        Self {
            clock,
            delay,
            random: fastrand::Rng::with_seed(seed),
            traces: BoundedTraces::default(),
        }
    }

    /// Stores an item, and returns when it becomes visible to queries.
    pub fn ingest(&mut self, item: TelemetryItem) -> Timestamp {
        let timestamp = item.time;
        let delay = self.delay.sample(&mut self.random);
        let visible = timestamp.saturating_add(delay).unwrap_or(Timestamp::MAX);
        if let Data::MessageData(message) = item.data {
            let message = story::to_story_time(message.message, &self.clock);
            self.traces.put(visible, Trace { timestamp, message });
        }
        visible
    }

    /// The traces that a query sees at `now`.
    pub fn traces_at(&self, now: Timestamp) -> Vec<Trace> {
        self.traces.at(now)
    }
}

/// Traces in order of arrival, limited in age and size.
#[derive(Debug)]
struct BoundedTraces {
    rows: VecDeque<StoredTrace>,
    bytes: usize,
    newest: Timestamp,
}

#[derive(Debug)]
struct StoredTrace {
    visible: Timestamp,
    row: Trace,
}

impl StoredTrace {
    fn bytes(&self) -> usize {
        self.row.message.len() + OVERHEAD
    }
}

impl Default for BoundedTraces {
    fn default() -> Self {
        Self { rows: VecDeque::new(), bytes: 0, newest: Timestamp::MIN }
    }
}

impl BoundedTraces {
    fn put(&mut self, visible: Timestamp, row: Trace) {
        self.newest = self.newest.max(row.timestamp);
        let stored = StoredTrace { visible, row };
        self.bytes += stored.bytes();
        self.rows.push_back(stored);
        let oldest = self.newest.saturating_sub(LONGEST_RANGE).unwrap_or(Timestamp::MIN);
        while let Some(first) = self.rows.front()
            && (first.row.timestamp < oldest || self.bytes > CAPACITY)
        {
            self.bytes -= first.bytes();
            self.rows.pop_front();
        }
    }

    fn at(&self, now: Timestamp) -> Vec<Trace> {
        let oldest = now.saturating_sub(LONGEST_RANGE).unwrap_or(Timestamp::MIN);
        let is_seen = |stored: &&StoredTrace| {
            let time = stored.row.timestamp;
            stored.visible <= now && time <= now && time > oldest
        };
        self.rows.iter().filter(is_seen).map(|stored| stored.row.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;

    use super::*;
    use crate::clock::Scale;
    use crate::telemetry::item::{RequestItem, Severity, Table, Tags, TraceItem};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn trace(seconds: i64, message: &str) -> TelemetryItem {
        TelemetryItem {
            name: Table::AppTraces,
            time: at(seconds),
            tags: Tags::default(),
            data: Data::MessageData(TraceItem {
                ver: 2,
                message: message.to_owned(),
                severity: Severity::Information,
                properties: BTreeMap::new(),
            }),
        }
    }

    fn messages(store: &Store, seconds: i64) -> Vec<String> {
        store.traces_at(at(seconds)).into_iter().map(|trace| trace.message).collect()
    }

    #[test]
    fn an_item_is_visible_after_its_delay_and_for_two_days() {
        let delay = IngestionDelay::fixed(SignedDuration::from_secs(30));
        let mut store = Store::new(StoryClock::start(Scale::REAL), delay, 1);
        store.ingest(trace(0, "a"));
        store.ingest(trace(60, "b"));
        assert!(messages(&store, 29).is_empty());
        assert_eq!(messages(&store, 30), ["a"]);
        assert_eq!(messages(&store, 90), ["a", "b"]);
        let two_days = 48 * 3600;
        assert_eq!(messages(&store, two_days), ["b"]);
        assert!(messages(&store, two_days + 60).is_empty());
    }

    #[test]
    fn items_beyond_the_retention_are_dropped() {
        let mut store = Store::new(StoryClock::start(Scale::REAL), IngestionDelay::NONE, 1);
        for minute in 0..10_000 {
            store.ingest(trace(minute * 60, "beat"));
        }
        // The last item, and all items that are at most 48 hours older.
        assert_eq!(store.traces.rows.len(), 48 * 60 + 1);
        assert_eq!(store.traces.bytes, store.traces.rows.len() * ("beat".len() + OVERHEAD));
    }

    #[test]
    fn a_flood_evicts_the_oldest_items() {
        let mut store = Store::new(StoryClock::start(Scale::REAL), IngestionDelay::NONE, 1);
        let long = "x".repeat(32_768);
        for second in 0..3_000 {
            store.ingest(trace(second, &long));
        }
        assert!(store.traces.bytes <= CAPACITY);
        assert_eq!(store.traces.rows.back().map(|last| last.row.timestamp), Some(at(2_999)));
    }

    #[test]
    fn requests_are_not_among_the_traces() {
        let mut store = Store::new(StoryClock::start(Scale::REAL), IngestionDelay::NONE, 1);
        let mut item = trace(0, "");
        item.name = Table::AppRequests;
        item.data = Data::RequestData(RequestItem {
            ver: 2,
            id: "bf506421314e44b3".to_owned(),
            name: "Ping".to_owned(),
            duration: "00:00:00.1428565".to_owned(),
            success: true,
            response_code: "200".to_owned(),
            url: "http://localhost/api/ping".to_owned(),
            properties: BTreeMap::new(),
        });
        store.ingest(item);
        assert!(store.traces_at(at(1)).is_empty());
    }
}
