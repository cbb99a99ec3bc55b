//! Stopping on SIGTERM and SIGINT.

use std::{
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use ispmon_wire::{AgentState, Heartbeat};
use rustix::process::Signal;

use super::{
    server::{Behaviour, OK, Server},
    silent_resolver,
};
use crate::process::{Agent, Folder};

/// The agent guarantees two seconds; the rest is for a machine that is busy with other tests. What
/// hangs in these tests hangs for at least 30 seconds.
const STOP_LIMIT: Duration = Duration::from_secs(2 + 8);

#[allow(clippy::disallowed_methods, reason = "the time of another process is measured")]
fn stop(agent: Agent, signal: Signal) -> (ExitStatus, String) {
    let start = Instant::now();
    agent.signal(signal);
    let (status, log) = agent.wait_for_exit();
    let took = start.elapsed();
    assert!(took < STOP_LIMIT, "the stop took {took:?}; the log:\n{log}");
    (status, log)
}

#[test]
fn a_clean_stop_announces_its_silence() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\nquiet_after_stop = '20min'\n",
        server.url()
    ));
    let mut agent = folder.run();
    let first = server.heartbeat();
    agent.wait_for_log("The first heartbeat reached");
    let (status, log) = stop(agent, Signal::TERM);
    let first = first.agent.expect("agent");
    assert_eq!(first.state, AgentState::Running);
    for number in [1, 2] {
        let last = server.heartbeat().agent.expect("agent");
        assert_eq!(
            (last.state, last.quiet_s),
            (AgentState::Stopping, 1_200),
            "it is announced twice"
        );
        assert_eq!(last.seq, first.seq + number);
        assert_eq!(last.boot, first.boot);
    }
    assert!(server.pending().is_empty(), "and no more");
    assert!(status.success(), "{status}");
    assert!(log.contains("SIGTERM: the agent stops."), "{log}");
    assert!(log.contains("dl-home stops, and raises no alarm for 20 min."), "{log}");
}

/// Stops an agent whose server behaves like this at the announcement with this number, from 0.
fn stop_with(odd: u32, behaviour: Behaviour) -> (ExitStatus, String) {
    let tries = Arc::new(AtomicU32::new(0));
    let server = Server::start_with(move |heartbeat| {
        let state = heartbeat.agent.as_ref().map(|agent| agent.state);
        let is_odd = || tries.fetch_add(1, Ordering::SeqCst) == odd;
        if state == Some(AgentState::Stopping) && is_odd() { behaviour } else { OK }
    });
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut agent = folder.run();
    agent.wait_for_log("The first heartbeat reached");
    stop(agent, Signal::TERM)
}

#[test]
fn a_failed_stop_announcement_is_retried() {
    let (status, log) = stop_with(0, Behaviour::Close);
    assert!(status.success(), "{status}");
    assert!(log.contains("dl-home stops, and raises no alarm for 30 min."), "{log}");
    assert!(!log.contains("could not be announced"), "{log}");
}

#[test]
fn a_stop_counts_as_announced_if_the_repetition_hangs() {
    let (status, log) = stop_with(1, Behaviour::Hang);
    assert_stopped(status, Signal::TERM);
    assert!(log.contains("dl-home stops, and raises no alarm for 30 min."), "{log}");
}

/// The cloud treats the highest sequence number of a boot as the newest heartbeat.
#[test]
fn sequence_numbers_increase_across_restarts() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut newest = 0;
    for _ in 0..3 {
        let mut agent = folder.run();
        agent.wait_for_log("The first heartbeat reached");
        stop(agent, Signal::TERM);
        for heartbeat in server.pending() {
            let agent = heartbeat.agent.expect("agent");
            assert!(agent.seq > newest, "{} after {newest}", agent.seq);
            newest = agent.seq;
        }
    }
}

#[test]
fn a_stop_without_announced_silence_sets_it_to_zero() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\nquiet_after_stop = '0s'\n",
        server.url()
    ));
    let agent = folder.run();
    server.heartbeat();
    let (status, log) = stop(agent, Signal::INT);
    let last = server.heartbeat_that_is(AgentState::Stopping);
    assert_eq!(last.agent.expect("agent").quiet_s, 0);
    assert!(status.success(), "{status}");
    assert!(log.contains("SIGINT: the agent stops."), "{log}");
    assert!(log.contains("raises the alarm as usual"), "{log}");
}

#[test]
fn a_plain_heartbeat_announces_nothing() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nkind = 'plain'\nurl = '{}'\n",
        server.url()
    ));
    let mut agent = folder.run();
    agent.wait_for_log("The first heartbeat reached");
    assert_eq!(server.heartbeat(), Heartbeat::default(), "it has no body");
    let (status, log) = stop(agent, Signal::TERM);
    assert!(status.success(), "{status}");
    assert!(server.pending().is_empty(), "another one would count as a sign that the agent runs");
    assert!(!log.contains("cloud"), "{log}");
}

/// Asserts that the agent stopped cleanly, or that its time limit for stopping was enforced.
fn assert_stopped(status: ExitStatus, signal: Signal) {
    assert!(status.success() || status.signal() == Some(signal.as_raw()), "{status}");
}

fn stops_while_the_server_hangs(signal: Signal) {
    let server = Server::start(Behaviour::Hang);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let agent = folder.run();
    server.heartbeat();
    let (status, log) = stop(agent, signal);
    assert_stopped(status, signal);
    assert_eq!(
        server.heartbeat().agent.expect("agent").state,
        AgentState::Stopping,
        "the stop was announced although the heartbeat before hung"
    );
    assert!(log.contains("This stop could not be announced to the cloud"), "{log}");
}

#[test]
fn sigterm_stops_the_agent_while_the_server_hangs() {
    stops_while_the_server_hangs(Signal::TERM);
}

#[test]
fn sigint_stops_the_agent_while_the_server_hangs() {
    stops_while_the_server_hangs(Signal::INT);
}

#[test]
fn a_second_signal_does_not_prevent_the_announcement_of_the_stop() {
    let server = Server::start(Behaviour::Hang);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    for second in [Signal::TERM, Signal::INT] {
        let mut agent = folder.run();
        server.heartbeat();
        agent.signal(Signal::TERM);
        agent.wait_for_log("SIGTERM: the agent stops.");
        let (status, log) = stop(agent, second);
        assert_stopped(status, Signal::TERM);
        assert_eq!(server.heartbeat().agent.expect("agent").state, AgentState::Stopping);
        assert!(log.contains("This stop could not be announced to the cloud"), "{log}");
    }
}

#[test]
fn signals_stop_the_agent_while_a_name_lookup_hangs() {
    let folder =
        Folder::with("device = 'dl-home'\n[heartbeat]\nurl = 'https://ispmon.example/api/ping'\n");
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = folder.command(["run"]);
        let Some(agent) = silent_resolver::spawn(&folder, &mut command) else { return };
        let agent = silent_resolver::wait_for_lookup(agent);
        let (status, log) = stop(agent, signal);
        assert_stopped(status, signal);
        assert!(log.contains("This stop could not be announced to the cloud"), "{log}");
    }
}

/// Here the agent reads its trusted roots from a pipe that no process writes to.
#[cfg(target_os = "linux")]
#[test]
fn the_limit_holds_while_a_file_read_hangs() {
    let folder =
        Folder::with("device = 'dl-home'\n[heartbeat]\nurl = 'https://127.0.0.1:1/api/ping'\n");
    let pipe = folder.path().join("roots");
    match std::process::Command::new("mkfifo").arg(&pipe).status() {
        Ok(status) if status.success() => {}
        problem => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("SKIPPED: mkfifo does not work here: {problem:?}\n"),
            );
            return;
        }
    }
    let agent = Agent::spawn(folder.command(["run"]).env("SSL_CERT_FILE", &pipe));
    let _writer = writer_once_there_is_a_reader(&pipe);
    let (status, log) = stop(agent, Signal::TERM);
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}; the log:\n{log}");
}

/// The writing end of a named pipe; a non-blocking open succeeds only once the reading end is open.
#[cfg(target_os = "linux")]
fn writer_once_there_is_a_reader(pipe: &std::path::Path) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;

    const PAUSE: Duration = Duration::from_millis(10);
    let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut left = crate::process::PATIENCE;
    loop {
        match std::fs::File::options().write(true).custom_flags(without_waiting).open(pipe) {
            Ok(writer) => return writer,
            Err(error) => assert!(!left.is_zero(), "no process reads the pipe: {error}"),
        }
        std::thread::sleep(PAUSE);
        left = left.saturating_sub(PAUSE);
    }
}
