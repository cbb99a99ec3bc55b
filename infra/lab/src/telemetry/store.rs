//! The telemetry of the last 48 hours, as queries see it.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::{
    IngestionDelay,
    item::{Data, TelemetryItem},
    story,
};
use crate::{clock::StoryClock, query::Trace};

/// The longest time range of a rule's query: two days, whatever the query specifies.
///
/// Source: "the query only scans up to two days", Azure Monitor, log search alert rules.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(48);

/// The memory limit for the texts of stored items, in bytes; the oldest are evicted first.
const CAPACITY: usize = 64 * 1024 * 1024;

/// The memory of an item besides its text, in bytes, rounded up generously.
const OVERHEAD: usize = 96;

/// Requests and traces, each visible after its ingestion delay.
///
/// Times are story times. The agent reports real times and durations, because it runs in real time;
/// they are converted when they are stored.
#[derive(Debug)]
pub struct Store {
    clock: StoryClock,
    delay: IngestionDelay,
    random: fastrand::Rng,
    traces: BoundedRows<Trace>,
    requests: BoundedRows<RequestRow>,
}

/// A row of `requests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// When the request began.
    pub timestamp: Timestamp,
    /// The name of the function.
    pub name: String,
    /// Whether the host could invoke the function.
    pub success: bool,
    /// The HTTP status.
    pub result_code: String,
}

impl Store {
    /// Creates an empty store with the clock `clock` and ingestion delays of `delay`; `seed`
    /// decides the random tail.
    pub fn new(clock: StoryClock, delay: IngestionDelay, seed: u64) -> Self {
        Self {
            clock,
            delay,
            random: fastrand::Rng::with_seed(seed),
            traces: BoundedRows::default(),
            requests: BoundedRows::default(),
        }
    }

    /// Stores an item, and returns when it becomes visible to queries.
    pub fn ingest(&mut self, item: TelemetryItem) -> Timestamp {
        let visible =
            item.time.saturating_add(self.delay.sample(&mut self.random)).unwrap_or(Timestamp::MAX);
        let timestamp = item.time;
        match item.data {
            Data::MessageData(message) => {
                let message = story::to_story_time(message.message, &self.clock);
                let bytes = message.len();
                self.traces.put(timestamp, visible, bytes, Trace { timestamp, message });
            }
            Data::RequestData(request) => {
                let bytes = request.name.len();
                let row = RequestRow {
                    timestamp,
                    name: request.name,
                    success: request.success,
                    result_code: request.response_code,
                };
                self.requests.put(timestamp, visible, bytes, row);
            }
        }
        visible
    }

    /// The traces that a query sees at `now`.
    pub fn traces_at(&self, now: Timestamp) -> Vec<Trace> {
        self.traces.at(now)
    }

    /// The requests that a query sees at `now`.
    pub fn requests_at(&self, now: Timestamp) -> Vec<RequestRow> {
        self.requests.at(now)
    }
}

/// Rows in order of arrival, limited in age and size.
#[derive(Debug)]
struct BoundedRows<T> {
    rows: VecDeque<Stored<T>>,
    bytes: usize,
    newest: Timestamp,
}

#[derive(Debug)]
struct Stored<T> {
    time: Timestamp,
    visible: Timestamp,
    bytes: usize,
    row: T,
}

impl<T> Default for BoundedRows<T> {
    fn default() -> Self {
        Self { rows: VecDeque::new(), bytes: 0, newest: Timestamp::MIN }
    }
}

impl<T: Clone> BoundedRows<T> {
    fn put(&mut self, time: Timestamp, visible: Timestamp, bytes: usize, row: T) {
        let bytes = bytes + OVERHEAD;
        self.rows.push_back(Stored { time, visible, bytes, row });
        self.bytes += bytes;
        self.newest = self.newest.max(time);
        let oldest = self.newest.saturating_sub(RETENTION).unwrap_or(Timestamp::MIN);
        while let Some(first) = self.rows.front()
            && (first.time < oldest || self.bytes > CAPACITY)
        {
            self.bytes -= first.bytes;
            self.rows.pop_front();
        }
    }

    fn at(&self, now: Timestamp) -> Vec<T> {
        let oldest = now.saturating_sub(RETENTION).unwrap_or(Timestamp::MIN);
        let seen = |stored: &&Stored<T>| {
            stored.visible <= now && stored.time <= now && stored.time > oldest
        };
        self.rows.iter().filter(seen).map(|stored| stored.row.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        assert_eq!(store.traces.rows.back().map(|last| last.time), Some(at(2_999)));
    }

    #[test]
    fn requests_have_their_own_table() {
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
        let row = RequestRow {
            timestamp: at(0),
            name: "Ping".to_owned(),
            success: true,
            result_code: "200".to_owned(),
        };
        assert_eq!(store.requests_at(at(1)), [row]);
    }
}
