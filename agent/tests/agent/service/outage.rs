//! An outage from its start to its hand-over. The anchors are on this machine and refuse connections
//! during the outage: a reset does not count as contact.

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
use crate::process::{Agent, Folder, PATIENCE, POLL_INTERVAL};

/// Anchors that accept connections until they are cut.
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
        // The thread waits for a connection and then checks the channel.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread ends");
        }
    }
}

impl Anchors {
    fn open() -> Self {
        let mut ports: Vec<HeldPort> = (0..3).map(|_| HeldPort::reserve()).collect();
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
    // Use the anchors in the file, not those that keep other tests off the internet.
    command.env_remove("ISPMON_PROBE_ANCHORS");
    Agent::spawn(&mut command)
}

fn run_command(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command: Command = folder.command(arguments);
    command.output().expect("the command runs")
}

/// The JSON that a command has printed; null if it has printed none.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Waits until the status shows that the connection is up.
#[allow(clippy::disallowed_methods, reason = "it only limits a test that hangs")]
fn wait_until_up(folder: &Folder) {
    let start = std::time::Instant::now();
    while json(&run_command(folder, &["status", "--json"]))["status"]["condition"] != "up" {
        assert!(start.elapsed() < PATIENCE, "the connection does not come up");
        thread::sleep(POLL_INTERVAL);
    }
}

fn only(report: &OutageReport) -> &ispmon_wire::ReportedIncident {
    let incidents: Vec<_> = report
        .incidents
        .iter()
        .filter(|incident| incident.kind == IncidentKind::Incident)
        .collect();
    assert_eq!(incidents.len(), 1, "{report:?}");
    incidents[0]
}

#[test]
fn an_outage_is_detected_recorded_logged_and_handed_over() {
    let (server, mut anchors) = (Server::start(OK), Anchors::open());
    let folder = folder(&anchors, &format!("url = '{}'\ninterval = '200ms'", server.url()));
    let mut agent = run(&folder);
    agent.wait_for_log("The first heartbeat reached");
    // Stop the server, because a delivered heartbeat counts as contact even if all anchors fail.
    drop(server);
    anchors.cut();
    let opened = agent.wait_for_log("Internet outage since");
    assert!(opened.contains("cause: ISP (router answered, nothing beyond it)"), "{opened}");
    anchors.restore();
    let closed = agent.wait_for_log("Internet outage over");
    assert!(closed.contains("cause: ISP"), "{closed}");
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}: {log}");
    // The next run hands it over, because there was no server to receive it.
    let server = Server::start(OK);
    folder.configure(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '200ms'\n",
        server.url()
    ));
    let mut agent = folder.run();
    let mut report = server.report();
    let incident = only(&report).clone();
    assert_eq!((incident.cause.as_str(), incident.party.as_deref()), ("isp", Some("provider")));
    assert!(incident.downtime_s >= 1 && incident.ended > incident.started, "{incident:?}");
    // The gap between the runs may be recorded after the first hand-over; the next one then includes it.
    while !report.incidents.iter().any(|incident| incident.kind == IncidentKind::Gap) {
        report = server.report();
    }
    agent.wait_for_log("The cloud has accepted");
    // The heartbeat contains the hash of the newest record, which the cloud stores as a witness.
    let heartbeat = server.heartbeat_that_is(AgentState::Running);
    assert!(heartbeat.journal.is_some_and(|journal| journal.head.len() == 64));
    agent.signal(Signal::TERM);
    agent.wait_for_exit();
    let verified = run_command(&folder, &["journal", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let listed = run_command(&folder, &["outages", "--json"]);
    let listed = String::from_utf8(listed.stdout).expect("valid UTF-8");
    assert!(listed.contains(&incident.id.to_string()), "{listed}");
}

#[test]
fn an_outage_continues_after_the_agent_was_killed() {
    let mut anchors = Anchors::open();
    let folder = folder(&anchors, "");
    let mut agent = run(&folder);
    agent.wait_for_log("monitors dl-home locally");
    // The agent cannot judge a connection that has never worked while it ran.
    wait_until_up(&folder);
    anchors.cut();
    agent.wait_for_log("Internet outage since");
    agent.signal(Signal::KILL);
    drop(agent);
    let mut agent = run(&folder);
    agent.wait_for_log("Unmonitored for");
    anchors.restore();
    let over = agent.wait_for_log("Internet outage over");
    assert!(over.contains("cause: ISP"), "{over}");
    agent.signal(Signal::TERM);
    agent.wait_for_exit();
    let listed = json(&run_command(&folder, &["outages", "--json"]));
    let incidents = listed["incidents"].as_array().expect("a list");
    assert_eq!(incidents.len(), 1, "{listed}");
    assert_eq!((&incidents[0]["cause"], &incidents[0]["open"]), (&"isp".into(), &false.into()));
}
