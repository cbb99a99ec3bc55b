//! An outage from its beginning to its hand-over, with anchors on this machine that refuse while the
//! line is cut: a reset is no sign of life.

use std::{
    net::SocketAddr,
    process::{Command, Output},
    sync::mpsc,
    thread,
};

use ispmon_testing::port::HeldPort;
use ispmon_wire::{AgentState, IncidentKind, OutageReport};
use rustix::process::Signal;

use super::server::{OK, Server};
use crate::process::{Agent, Folder, PATIENCE, PAUSE};

/// Anchors that answer as long as they are not cut.
struct Anchors {
    ports: Vec<HeldPort>,
    listening: Vec<Listening>,
}

/// A port that is open until this is dropped.
struct Listening {
    address: SocketAddr,
    end: mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Listening {
    fn at(port: &mut HeldPort) -> Self {
        let (listener, address) = (port.listen(), port.address());
        let (end, ended) = mpsc::channel();
        let accept = move || {
            for connection in listener.incoming() {
                drop(connection);
                if ended.try_recv().is_ok() {
                    return;
                }
            }
        };
        Self { address, end, thread: Some(thread::spawn(accept)) }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.end.send(());
        // The thread waits for a connection, and looks for the end then.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

impl Anchors {
    fn open() -> Self {
        let mut ports: Vec<HeldPort> = (0..3).map(|_| HeldPort::take()).collect();
        let listening = ports.iter_mut().map(Listening::at).collect();
        Self { ports, listening }
    }

    fn cut(&mut self) {
        self.listening.clear();
    }

    fn restore(&mut self) {
        self.listening = self.ports.iter_mut().map(Listening::at).collect();
    }

    fn list(&self) -> String {
        let addresses: Vec<String> =
            self.ports.iter().map(|port| port.address().to_string()).collect();
        addresses.join(", ")
    }
}

fn folder(anchors: &Anchors, heartbeat: &str) -> Folder {
    Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\n{heartbeat}\n[probe]\ninterval = '100ms'\ngrace = '0s'\n\
         gateway = '127.0.0.1'\nresolver = '127.0.0.1:9'\nanchors = '{}'\n",
        anchors.list()
    ))
}

fn run(folder: &Folder) -> Agent {
    let mut command = folder.command(["run"]);
    // The file's, not those that keep other tests from the internet.
    command.env_remove("ISPMON_PROBE_ANCHORS");
    Agent::spawn(&mut command)
}

fn ask(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command: Command = folder.command(arguments);
    command.output().expect("the command runs")
}

/// What a command has printed; null while it has printed nothing.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Waits until the status says that the line works.
#[allow(clippy::disallowed_methods, reason = "it only ends a test that hangs")]
fn wait_until_up(folder: &Folder) {
    let start = std::time::Instant::now();
    while json(&ask(folder, &["status", "--json"]))["status"]["condition"] != "up" {
        assert!(start.elapsed() < PATIENCE, "the line does not come up");
        thread::sleep(PAUSE);
    }
}

fn only(report: &OutageReport) -> &ispmon_wire::ReportedIncident {
    let incidents: Vec<_> =
        report.incidents.iter().filter(|told| told.kind == IncidentKind::Incident).collect();
    assert_eq!(incidents.len(), 1, "{report:?}");
    incidents[0]
}

#[test]
fn an_outage_is_noticed_recorded_told_and_handed_over() {
    let (server, mut anchors) = (Server::start(OK), Anchors::open());
    let folder = folder(&anchors, &format!("url = '{}'\ninterval = '200ms'", server.url()));
    let mut agent = run(&folder);
    agent.logged("The first heartbeat reached");
    // A heartbeat that passes says that the line works, whatever the anchors say.
    drop(server);
    anchors.cut();
    let opened = agent.logged("Internet outage since");
    assert!(opened.contains("cause: ISP (router answered, nothing beyond it)"), "{opened}");
    anchors.restore();
    let closed = agent.logged("Internet outage over");
    assert!(closed.contains("cause: ISP"), "{closed}");
    agent.signal(Signal::TERM);
    let (status, log) = agent.end();
    assert!(status.success(), "{status}: {log}");
    // It is handed over by the next run, for nobody was there to take it.
    let server = Server::start(OK);
    folder.configure(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '200ms'\n",
        server.url()
    ));
    let mut agent = folder.run();
    let mut report = server.report();
    let told = only(&report).clone();
    assert_eq!((told.cause.as_str(), told.party.as_deref()), ("isp", Some("provider")));
    assert!(told.downtime_s >= 1 && told.ended > told.started, "{told:?}");
    // The gap between the two runs may be recorded after the first hand-over, and comes with the next then.
    while !report.incidents.iter().any(|told| told.kind == IncidentKind::Gap) {
        report = server.report();
    }
    agent.logged("The cloud has accepted");
    // The heartbeat names the record that the cloud may witness.
    let heartbeat = server.heartbeat_that_is(AgentState::Running);
    assert!(heartbeat.journal.is_some_and(|journal| journal.head.len() == 64));
    agent.signal(Signal::TERM);
    agent.end();
    let verified = ask(&folder, &["journal", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let listed = ask(&folder, &["outages", "--json"]);
    let listed = String::from_utf8(listed.stdout).expect("it is UTF-8");
    assert!(listed.contains(&told.id.to_string()), "{listed}");
}

#[test]
fn an_outage_outlives_the_agent_that_was_killed_in_it() {
    let mut anchors = Anchors::open();
    let folder = folder(&anchors, "");
    let mut agent = run(&folder);
    agent.logged("monitors dl-home locally");
    // Nothing is known of a line that never worked while the agent ran.
    wait_until_up(&folder);
    anchors.cut();
    agent.logged("Internet outage since");
    agent.signal(Signal::KILL);
    drop(agent);
    let mut agent = run(&folder);
    agent.logged("Unmonitored for");
    anchors.restore();
    let over = agent.logged("Internet outage over");
    assert!(over.contains("cause: ISP"), "{over}");
    agent.signal(Signal::TERM);
    agent.end();
    let listed = json(&ask(&folder, &["outages", "--json"]));
    let incidents = listed["incidents"].as_array().expect("a list");
    assert_eq!(incidents.len(), 1, "{listed}");
    assert_eq!((&incidents[0]["cause"], &incidents[0]["open"]), (&"isp".into(), &false.into()));
}
