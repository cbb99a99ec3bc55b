//! The log with a reader that stalls or is gone, and its colours.

use std::{
    fs::File,
    io::{self, ErrorKind, PipeReader, PipeWriter, Write},
    path::Path,
    process::Stdio,
};

use rustix::{
    io::ioctl_fionbio,
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use tokio::time::Instant;

use super::server::{Behaviour, OK, Server};
use crate::process::{Agent, Folder, PATIENCE, lines};

/// A full pipe: a write blocks until the other end is read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    ioctl_fionbio(&writer, true).expect("the pipe stops blocking");
    loop {
        match writer.write(&[b'.'; 512]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the pipe cannot be filled: {error}"),
        }
    }
    ioctl_fionbio(&writer, false).expect("the pipe blocks again");
    (reader, writer)
}

fn spawn_with(folder: &Folder, log: PipeWriter) -> Agent {
    let mut command = folder.command(["run"]);
    command.stderr(Stdio::from(log));
    Agent::spawn(&mut command)
}

#[test]
fn a_stalled_reader_costs_log_lines_but_no_heartbeat() {
    // More log lines than the log's queue holds.
    const HEARTBEATS: u64 = 1_500;
    // Each fails, the next follows within 10 ms, and each is a log line at this level.
    let server = Server::start(Behaviour::Close);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\nbackoff_base = '10ms'\nbackoff_cap = '10ms'\n\
         [log]\nlevel = 'debug'\n",
        server.url()
    ));
    let (reader, writer) = full_pipe();
    let agent = spawn_with(&folder, writer);
    let first = server.heartbeat().agent.expect("agent").seq;
    for expected in first + 1..first + HEARTBEATS {
        assert_eq!(server.heartbeat().agent.expect("agent").seq, expected);
    }
    let lines = lines(reader);
    let line_with = |text| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left).expect("a log line");
            if line.contains(text) {
                return line;
            }
        }
    };
    let dropped = line_with("dropped here: the log is not read fast enough");
    let count = dropped.split(' ').find_map(|word| word.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count > 0), "{dropped}");
    line_with("in a row");
    drop(agent);
}

#[test]
fn a_stalled_reader_does_not_keep_the_agent_from_stopping() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    for signal in [Signal::TERM, Signal::INT] {
        let (reader, writer) = full_pipe();
        let agent = spawn_with(&folder, writer);
        server.heartbeat_that_is(ispmon_wire::AgentState::Running);
        agent.signal(signal);
        server.heartbeat_that_is(ispmon_wire::AgentState::Stopping);
        let (status, _) = agent.wait_for_exit();
        assert!(status.success(), "{status}");
        drop(reader);
    }
}

#[test]
fn a_closed_log_does_not_stop_the_agent() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '1s'\n[log]\nlevel = 'debug'\n",
        server.url()
    ));
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let agent = spawn_with(&folder, writer);
    for _ in 0..3 {
        server.heartbeat();
    }
    agent.signal(Signal::TERM);
    assert!(agent.wait_for_exit().0.success());
}

#[test]
fn a_file_gets_no_colour_and_standard_output_stays_empty() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut command = folder.command(["run"]);
    command
        .env("TERM", "xterm-256color")
        .stdout(Stdio::from(File::create(folder.path().join("stdout")).expect("the file is made")));
    let mut agent = Agent::spawn(&mut command);
    agent.wait_for_log("The first heartbeat reached");
    agent.signal(Signal::TERM);
    let (_, log) = agent.wait_for_exit();
    assert!(!log.contains('\u{1b}'), "{log:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("stdout")).expect("the file exists"), "");
}

/// Both ends of a new terminal: what is written to the second one can be read from the first.
fn terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let controller = openpt(flags).expect("a pseudo-terminal");
    grantpt(&controller).expect("the terminal is granted");
    unlockpt(&controller).expect("the terminal is unlocked");
    let name = ptsname(&controller, Vec::new()).expect("the terminal has a name");
    let path = Path::new(name.to_str().expect("a path is UTF-8"));
    let terminal = File::options().read(true).write(true).open(path).expect("the terminal opens");
    (controller.into(), terminal)
}

/// The first log line that the agent writes to a terminal.
fn first_line_in_a_terminal(variables: &[(&str, &str)]) -> String {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let (controller, terminal) = terminal();
    let mut command = folder.command(["run"]);
    command.envs(variables.iter().copied()).stderr(Stdio::from(terminal));
    let agent = Agent::spawn(&mut command);
    let line = lines(controller).recv_timeout(PATIENCE).expect("a log line");
    agent.signal(Signal::TERM);
    line
}

#[test]
fn a_terminal_gets_colour_unless_the_environment_disables_it() {
    let coloured = first_line_in_a_terminal(&[("TERM", "xterm-256color")]);
    assert!(coloured.contains("\u{1b}[32mINFO "), "{coloured:?}");
    for variables in
        [[("TERM", "xterm-256color"), ("NO_COLOR", "1")], [("TERM", "dumb"), ("A", "")]]
    {
        let plain = first_line_in_a_terminal(&variables);
        assert!(plain.contains(" INFO  ispmon-agent "), "{plain:?}");
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }
}
