//! The outbox task on paused time, with a real journal and a real server.

use std::sync::mpsc;

use ispmon_testing::server::TestServer;
use ispmon_wire::OutageReport;
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::spawn_blocking,
    time::{advance, timeout},
};

use super::{progress::SECOND_ROUND_AFTER, *};
use crate::{
    clock::{BootId, Stamp},
    heartbeat::tests::settings,
    journal::{Appended, Entry},
    outage::{Gap, GapCause},
    resolver::Resolver,
};

/// A running outbox with its surroundings.
struct Stage {
    server: Arc<TestServer>,
    journal: Journal,
    closed: Arc<Notify>,
    messages: UnboundedReceiver<MonitorMessage>,
    ids: Vec<IncidentId>,
    _delivered: watch::Sender<bool>,
    _client: watch::Sender<Option<Arc<CloudClient>>>,
    _folder: TempDir,
    /// While a blocking task runs, only [`advance`] moves the time.
    _block: mpsc::Sender<()>,
}

impl Stage {
    /// Starts with a journal of this many gaps; `answers` are the responses in order.
    async fn set(gaps: usize, answers: &'static [(&'static str, &'static str)]) -> Self {
        let (block, blocked) = mpsc::channel::<()>();
        drop(spawn_blocking(move || blocked.recv()));
        let folder = tempfile::tempdir().expect("a folder");
        let server = TestServer::with(move |connection, count| {
            let (status, body) = answers[count];
            let length = body.len();
            write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
        });
        let url = settings(&server.url("/api/ping"));
        let client = CloudClient::new(&url, "dl-home", "b00t", Arc::new(Resolver::new()));
        let (client_sender, client) = watch::channel(client.ok().map(Arc::new));
        let (delivered_sender, delivered) = watch::channel(true);
        let (monitor, messages) = unbounded_channel();
        let clock = Clock::start(BootId::UNKNOWN, jiff::Timestamp::MIN);
        let opened = Journal::open(folder.path(), "dl-home", clock.now());
        let (journal, _) = opened.expect("the journal opens");
        let closed = Arc::new(Notify::new());
        let mut stage = Self {
            server: Arc::new(server),
            journal: journal.clone(),
            closed: Arc::clone(&closed),
            messages,
            ids: Vec::new(),
            _delivered: delivered_sender,
            _client: client_sender,
            _folder: folder,
            _block: block,
        };
        for _ in 0..gaps {
            stage.write().await;
        }
        // The outbox finds these gaps without a notification.
        let _ = timeout(Duration::ZERO, stage.closed.notified()).await;
        let folder = journal.folder().to_owned();
        let walls = WallClockOffsets::default();
        let deps = OutboxDeps {
            folder,
            journal,
            clock_offsets: walls,
            clock,
            client,
            delivered,
            closed,
            monitor,
        };
        tokio::spawn(Outbox::new(deps).run());
        stage
    }

    /// Appends one more gap to the journal.
    async fn write(&mut self) {
        let at = Stamp { boot: BootId::UNKNOWN, ..Stamp::now() };
        let id = IncidentId::new(at, &mut Rng::new());
        let cause = GapCause::Suspended;
        let gap = Gap { id, cause, started: at, ended: at, uncertain_s: 0, reason: None };
        let appended = self.journal.append(Entry::Gap { gap }, at).await;
        assert!(matches!(appended, Appended::Durable { .. }));
        self.ids.push(id);
        self.closed.notify_one();
    }

    /// Waits for the `count`th message in all; returns the gaps in it.
    async fn message(&mut self, count: usize) -> Vec<usize> {
        let server = Arc::clone(&self.server);
        let requests = spawn_blocking(move || server.wait_for_requests(count)).await;
        let requests = requests.expect("the requests arrive");
        let (_, body) = requests[count - 1].split_once("\r\n\r\n").expect("a body");
        let report = OutageReport::parse(body.as_bytes()).expect("a report");
        let place =
            |reported: &ReportedIncident| self.ids.iter().position(|id| id.0 == reported.id);
        report
            .incidents
            .iter()
            .map(|reported| place(reported).expect("a gap of this test") + 1)
            .collect()
    }

    /// Waits until the waiting gaps are accepted.
    async fn taken(&mut self) {
        let mut is_on_its_way = false;
        loop {
            match self.messages.recv().await.expect("the outbox runs") {
                MonitorMessage::HandOver { waiting: 0, problem: None } if is_on_its_way => return,
                MonitorMessage::HandOver { waiting, .. } => is_on_its_way = waiting > 0,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until the outbox reports this problem.
    async fn wrong(&mut self, reason: &str) {
        loop {
            match self.messages.recv().await.expect("the outbox runs") {
                MonitorMessage::HandOver { problem: Some(problem), .. }
                    if problem.reason == reason =>
                {
                    return;
                }
                _ => {}
            }
        }
    }
}

const OK_1: (&str, &str) = ("200 OK", "{\"accepted\":1}");
const OK_3: (&str, &str) = ("200 OK", "{\"accepted\":3}");

#[tokio::test(start_paused = true)]
async fn every_gap_is_sent_again_minutes_later_and_new_ones_go_first() {
    let mut stage = Stage::set(3, &[OK_3, OK_1, OK_3, OK_1, OK_1, OK_1, OK_1]).await;
    assert_eq!(stage.message(1).await, [1, 2, 3]);
    stage.taken().await;
    advance(SECOND_ROUND_AFTER.mul_f64(0.9)).await;
    stage.write().await;
    assert_eq!(stage.message(2).await, [4], "the second round is not due");
    stage.taken().await;
    advance(SECOND_ROUND_AFTER).await;
    assert_eq!(stage.message(3).await, [1, 2, 3]);
    // Each new gap shows that nothing else was sent before it, however much time passes.
    for (messages, new, again) in [(4, 5, 4), (6, 6, 5)] {
        stage.write().await;
        assert_eq!(stage.message(messages).await, [new]);
        stage.taken().await;
        advance(Duration::from_hours(24)).await;
        assert_eq!(stage.message(messages + 1).await, [again], "and never a third time");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_empty_message_all_gaps_are_retried() {
    const NO: (&str, &str) = ("400 Bad Request", "");
    let mut stage = Stage::set(3, &[NO, NO, NO, NO, ("503 Service Unavailable", ""), OK_3]).await;
    stage.wrong("the answer was 400 Bad Request").await;
    assert_eq!(stage.message(2).await, [] as [usize; 0]);
    advance(BACKOFF_CAP).await;
    assert_eq!(stage.message(4).await, [] as [usize; 0]);
    // Reported before the second attempt, and after it.
    stage.wrong("the answer was 400 Bad Request").await;
    stage.wrong("the answer was 400 Bad Request").await;
    advance(BACKOFF_CAP).await;
    stage.wrong("the answer was 503 Service Unavailable").await;
    assert_eq!(stage.message(5).await, [1, 2, 3]);
    advance(BACKOFF_CAP).await;
    assert_eq!(stage.message(6).await, [1, 2, 3]);
    stage.taken().await;
}
