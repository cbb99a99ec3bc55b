//! The commands with a real agent running.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use ispmon_agent::{clock::Stamp, duration::Readable};
use ispmon_testing::port::HeldPort;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

use super::place::{CommandOutput, TestMachine};
use crate::{
    process::{PATIENCE, POLL_INTERVAL},
    record::JournalBuilder,
};

/// A real agent whose connection is loopback.
struct Agent {
    machine: TestMachine,
    child: Child,
    /// The only anchor; without it the connection is down.
    anchor: Option<TcpListener>,
    /// Keeps the port of the anchor reserved.
    _port: HeldPort,
}

impl Agent {
    fn start() -> Self {
        let mut port = HeldPort::reserve();
        let anchor = port.listen();
        let machine = TestMachine::new();
        let address = port.address();
        let configuration = format!(
            "device = \"dl-home\"\n[probe]\nanchors = \"tcp://{address}\"\ngateway = \"127.0.0.1\"\n\
             resolver = \"127.0.0.1:1\"\nportal = \"off\"\ninterval = \"500ms\"\n"
        );
        fs::write(machine.path().join("agent.toml"), configuration).expect("the file is written");
        let child = spawn(&machine);
        let agent = Self { machine, child, anchor: Some(anchor), _port: port };
        agent.wait_for("the agent runs", |json| json["presence"] == "running");
        agent
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.machine.run(&[arguments, &["--config", "agent.toml"]].concat())
    }

    /// Polls the status until `is_wanted` holds.
    fn wait_for(&self, what: &str, mut is_wanted: impl FnMut(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ran = self.run(&["status", "--json"]);
            let json: Value = serde_json::from_str(&ran.output).unwrap_or_default();
            if is_wanted(&json) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {} {}", ran.output, ran.errors);
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn signal_and_wait(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the agent runs");
        self.child.wait().expect("the agent exits");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(machine: &TestMachine) -> Child {
    let mut command = machine.command(&["run", "--config", "agent.toml"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the agent starts")
}

#[test]
fn an_agent_can_be_paused_and_resumed() {
    let agent = Agent::start();
    let ran = agent.run(&["pause", "2h"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
    agent.wait_for("it is paused", |json| json["status"]["condition"] == "paused");
    let ran = agent.run(&["pause", "3h"]);
    assert!(ran.output.contains(" It was paused already; now this time counts."), "{}", ran.output);
    let ran = agent.run(&["status"]);
    assert!(ran.output.starts_with("dl-home: paused until "), "{}", ran.output);
    let ran = agent.run(&["resume"]);
    assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
    agent.wait_for("it has resumed", |json| json["status"]["condition"] != "paused");
    assert_eq!(agent.run(&["resume"]).output, "The agent was not paused.\n");
}

#[test]
fn status_and_outages_show_the_same_length_of_an_open_outage() {
    let mut agent = Agent::start();
    agent.wait_for("the connection is up", |json| json["status"]["condition"] == "up");
    agent.anchor = None;
    let started = |json: &Value| {
        serde_json::from_value::<Stamp>(json["status"]["incidents"][0]["started"].clone()).ok()
    };
    let mut began = None;
    agent.wait_for("the outage has lasted longer than its detection", |json| {
        let lasted = started(json).and_then(|started| Stamp::now().since(&started));
        lasted.is_some_and(|lasted| lasted > Duration::from_secs(12))
    });
    agent.wait_for("the outage is still open", |json| {
        assert_eq!(json["status"]["condition"], "down", "{json}");
        began = started(json);
        began.is_some()
    });
    let began = began.expect("the outage is open");
    for (arguments, around) in [(&["status"][..], ["(", " so far)"]), (&["outages"], ["  ", "  "])]
    {
        let lasted = || Stamp::now().since(&began).expect("this boot").as_millis() as u64;
        let before = lasted();
        let ran = agent.run(arguments);
        assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
        let mut shown = (before..=lasted()).map(|ms| {
            let lasted = Readable(Duration::from_millis(ms));
            format!("{}{lasted}{}", around[0], around[1])
        });
        assert!(shown.any(|words| ran.output.contains(&words)), "{before} ms: {}", ran.output);
    }
    let status = agent.run(&["status"]);
    assert!(status.output.starts_with("dl-home: THE INTERNET IS DOWN.\n"), "{}", status.output);
}

#[test]
fn the_control_socket_exists_before_the_status_file() {
    let mut agent = Agent::start();
    for _ in 0..10 {
        agent.signal_and_wait(Signal::KILL);
        let file = agent.machine.state_dir().join("status.json");
        fs::remove_file(&file).expect("the file existed");
        let _ = fs::remove_file(agent.machine.socket());
        agent.child = spawn(&agent.machine);
        let deadline = Instant::now() + PATIENCE;
        while !file.exists() {
            assert!(Instant::now() < deadline, "the agent writes its status");
            // As short as possible: the socket must exist already.
            thread::sleep(Duration::from_micros(100));
        }
        let connected = std::os::unix::net::UnixStream::connect(agent.machine.socket());
        assert!(connected.is_ok(), "{connected:?}");
    }
}

#[test]
fn a_command_waits_for_the_socket_of_a_starting_agent() {
    let machine = TestMachine::new();
    TestMachine::put(&machine.state_dir(), &machine.status());
    let mut command = machine.command(&["resume"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    // The command retries until this socket exists; its first attempt may come before or after.
    let listener = std::os::unix::net::UnixListener::bind(machine.socket()).expect("a socket");
    let (mut client, _) = listener.accept().expect("a client");
    let mut request = [0; 512];
    let _ = client.read(&mut request).expect("a request");
    client.write_all(b"{\"answer\":\"not_paused\"}\n").expect("an answer");
    drop(client);
    let output = child.wait_with_output().expect("the agent exits");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "The agent was not paused.\n");
}

#[test]
fn a_pause_survives_a_restart_of_the_agent() {
    let mut agent = Agent::start();
    assert_eq!(agent.run(&["pause", "2h"]).code, Some(0));
    agent.signal_and_wait(Signal::KILL);
    agent.child = spawn(&agent.machine);
    agent.wait_for("it is still paused", |json| {
        json["presence"] == "running" && json["status"]["condition"] == "paused"
    });
}

#[test]
fn a_stopped_agent_is_distinguished_from_a_killed_one() {
    let mut stopped = Agent::start();
    stopped.signal_and_wait(Signal::TERM);
    stopped.wait_for("it has stopped", |json| json["presence"] == "stopped");
    assert_eq!(stopped.run(&["status"]).code, Some(1));
    let mut killed = Agent::start();
    killed.signal_and_wait(Signal::KILL);
    killed.wait_for("it is gone", |json| json["presence"] == "gone");
    let ran = killed.run(&["pause", "2h"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.errors.contains("the agent is not running"), "{}", ran.errors);
}

#[test]
fn doctor_passes_for_a_running_agent() {
    let agent = Agent::start();
    let ran = agent.run(&["doctor", "--json"]);
    let json: Value = serde_json::from_str(&ran.output).expect("valid JSON");
    let checks = json["checks"].as_array().expect("a list");
    for name in ["configuration", "agent", "settings in use", "journal"] {
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("no row {name}: {}", ran.output));
        assert_eq!(check["result"], "pass", "{check}");
    }
}

/// The service of another environment, such as a drop-in's `ISPMON_STATE_DIR`, uses a folder that no setting
/// of the user names.
#[test]
fn outages_are_read_from_the_folder_that_the_running_agent_uses() {
    let machine = TestMachine::new();
    let runtime = machine.path().join("runtime");
    fs::create_dir(&runtime).expect("a folder");
    let outages = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ispmon-agent"));
        command.arg("outages").current_dir(machine.path()).env_clear();
        command.env("HOME", machine.path()).env("RUNTIME_DIRECTORY", &runtime).env("TZ", "UTC");
        super::place::run(command)
    };
    JournalBuilder::start(1, "dl-home", "2026-11-24T08:01:01Z").write(&machine.state_dir());
    let before = outages();
    assert!(!before.output.contains("2026-11-24"), "{before:?}");
    TestMachine::put(&runtime, &machine.status());
    let found = outages();
    assert!(found.output.contains("The journal begins on 2026-11-24 08:01:01"), "{found:?}");
}
