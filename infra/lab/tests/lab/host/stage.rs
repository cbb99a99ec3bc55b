//! A host with the recording handler, and accessors for the tests.

use std::{
    collections::BTreeMap,
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ispmon_lab::{
    clock::{Scale, StoryClock},
    host::{Host, HostSettings, event::HostEvent, keys::Keys},
    telemetry::item::{Data, TelemetryItem},
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::wire::{Connection, Message};

/// Timeout for a hanging test.
const DEADLINE: Duration = Duration::from_mins(1);

/// Awaits a future that must complete.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("the future completes in time")
}

/// Settings of a test that may differ from the defaults.
pub(crate) struct Wanted {
    /// When the handler starts to answer: `at-once`, `when-released`, `never`.
    pub(crate) start: &'static str,
    /// `initializationTimeout` of host.json.
    pub(crate) initialization: &'static str,
    /// Whether the front end appends the client's address.
    pub(crate) front_end: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { start: "at-once", initialization: "00:00:30", front_end: false }
    }
}

type Events = watch::Sender<Vec<HostEvent>>;

/// A running host.
pub(crate) struct Stage {
    host: Host,
    rest: Rest,
}

/// The parts that outlive the host.
pub(crate) struct Rest {
    folder: TempDir,
    events: Arc<Events>,
}

impl Stage {
    pub(crate) async fn set(wanted: Wanted) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let app = folder.path().join("app");
        write_app(&app, wanted.initialization);
        let events = Arc::new(watch::Sender::new(Vec::new()));
        let heard = Arc::clone(&events);
        let text = |text: &str| text.to_owned();
        let settings = HostSettings {
            app,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            keys: Keys {
                host: vec![text("hostkey")],
                functions: BTreeMap::from([(text("Ping"), vec![text("pingkey")])]),
                master: Some(text("masterkey")),
            },
            app_settings: BTreeMap::from([
                (text("TEST_FOLDER"), folder.path().to_str().expect("UTF-8").to_owned()),
                (text("TEST_START"), text(wanted.start)),
            ]),
            front_end: wanted.front_end,
            clock: StoryClock::start(Scale::REAL),
            observer: Arc::new(move |event| {
                heard.send_modify(|events: &mut Vec<HostEvent>| events.push(event));
            }),
        };
        let host = Host::start(settings).await.expect("the host starts");
        Self { host, rest: Rest { folder, events } }
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.host.address()
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address()).await
    }

    /// Sends a request on a new connection.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Message {
        self.connect().await.exchange(request).await
    }

    pub(crate) fn stop(self) -> (JoinHandle<()>, Rest) {
        (tokio::spawn(self.host.stop()), self.rest)
    }

    pub(crate) fn drop_host(self) -> Rest {
        self.rest
    }
}

impl std::ops::Deref for Stage {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl Rest {
    pub(crate) fn app(&self) -> PathBuf {
        self.path("app")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn message(&self, name: &str) -> Option<Message> {
        fs::read(self.path(name)).ok().map(|bytes| Message::parse(&bytes))
    }

    /// The last request that the handler received.
    pub(crate) fn received(&self) -> Option<Message> {
        self.message("received")
    }

    pub(crate) fn forget_received(&self) {
        // There may be none.
        let _ = fs::remove_file(self.path("received"));
    }

    pub(crate) fn readiness_question(&self) -> Message {
        self.message("readiness").expect("the host sent the readiness request")
    }

    /// The handler's working directory and environment.
    pub(crate) fn surroundings(&self) -> (PathBuf, BTreeMap<String, String>) {
        let text = fs::read(self.path("surroundings")).expect("the handler started");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Releases a handler that holds a request or its start.
    pub(crate) fn release(&self) {
        fs::write(self.path("released"), "").expect("a file can be written");
    }

    /// Waits until the handler holds a request.
    pub(crate) async fn held(&self) {
        let path = self.path("held");
        in_time(async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) fn events(&self) -> Vec<HostEvent> {
        self.events.borrow().clone()
    }

    /// Waits for the first event of a kind.
    pub(crate) async fn event(&self, wanted: impl Fn(&HostEvent) -> bool) -> HostEvent {
        self.nth_event(1, |event| wanted(event)).await
    }

    /// Waits for the n-th event of a kind, counted from 1.
    pub(crate) async fn nth_event(
        &self,
        nth: usize,
        wanted: impl Fn(&&HostEvent) -> bool,
    ) -> HostEvent {
        let mut events = self.events.subscribe();
        let find = |events: &Vec<HostEvent>| events.iter().filter(&wanted).nth(nth - 1).cloned();
        let seen = in_time(events.wait_for(|events| find(events).is_some())).await;
        find(&seen.expect("the host is running")).expect("the event was found")
    }

    /// Waits for the first item of a kind.
    pub(crate) async fn telemetry(&self, wanted: impl Fn(&TelemetryItem) -> bool) -> TelemetryItem {
        let is_wanted =
            |event: &HostEvent| matches!(event, HostEvent::Telemetry(item) if wanted(item));
        match self.event(is_wanted).await {
            HostEvent::Telemetry(item) => *item,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the trace of a log line.
    pub(crate) async fn trace(&self, line: &str) -> TelemetryItem {
        let is_wanted = |item: &TelemetryItem| matches!(&item.data, Data::MessageData(data) if data.message == line);
        self.telemetry(is_wanted).await
    }

    pub(crate) fn all_telemetry(&self) -> Vec<TelemetryItem> {
        let item = |event| match event {
            HostEvent::Telemetry(item) => Some(*item),
            _ => None,
        };
        self.events().into_iter().filter_map(item).collect()
    }

    fn processes(&self) -> Vec<Pid> {
        let started = |event: &HostEvent| match event {
            HostEvent::HandlerStarted { process } => Pid::from_raw(process.cast_signed()),
            _ => None,
        };
        self.events.borrow().iter().filter_map(started).collect()
    }

    /// The number of handler starts.
    pub(crate) fn starts(&self) -> usize {
        self.processes().len()
    }

    pub(crate) fn any_handler_lives(&self) -> bool {
        self.processes().into_iter().any(|process| test_kill_process(process).is_ok())
    }

    /// Kills the handler that was started last.
    pub(crate) fn kill_handler(&self) {
        let last = *self.processes().last().expect("a handler was started");
        kill_process(last, Signal::KILL).expect("the handler is running");
    }
}

/// The app of the recording, with this test binary as its handler.
fn write_app(app: &Path, initialization: &str) {
    let host = serde_json::json!({
        "version": "2.0",
        "customHandler": {
            "description": {
                "defaultExecutablePath": "handler",
                // With one test thread, the default on one processor, the test's name would be printed
                // before the first line.
                "arguments": ["--exact", "host::handler", "--nocapture", "--test-threads=2"],
            },
            "enableForwardingHttpRequest": true,
            "initializationTimeout": initialization,
        },
    });
    let function = |methods: &[&str], route: &str| {
        serde_json::json!({
            "bindings": [
                { "type": "httpTrigger", "direction": "in", "name": "req",
                  "authLevel": "function", "methods": methods, "route": route },
                { "type": "http", "direction": "out", "name": "res" },
            ],
        })
    };
    let write = |name: &str, content: serde_json::Value| {
        let path = app.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content.to_string()).expect("a file");
    };
    write("host.json", host);
    write("Ping/function.json", function(&["get", "head", "post"], "ping"));
    write("Outages/function.json", function(&["post"], "outages"));
    let own = env::current_exe().expect("the path of this test");
    std::os::unix::fs::symlink(own, app.join("handler")).expect("a link");
}
