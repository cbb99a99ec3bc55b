//! Leaving on SIGTERM and SIGINT.

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

/// What the agent promises is two seconds; the rest is for a machine that is busy with other tests.
/// Whatever hangs in these tests hangs for 30 seconds and more.
const LEAVE_LIMIT: Duration = Duration::from_secs(2 + 8);

#[allow(clippy::disallowed_methods, reason = "the time of another process is measured")]
fn leave(agent: Agent, signal: Signal) -> (ExitStatus, String) {
    let start = Instant::now();
    agent.signal(signal);
    let (status, log) = agent.end();
    let took = start.elapsed();
    assert!(took < LEAVE_LIMIT, "it took {took:?} to leave; the log:\n{log}");
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
    agent.logged("The first heartbeat reached");
    let (status, log) = leave(agent, Signal::TERM);
    let first = first.agent.expect("agent");
    assert_eq!(first.state, AgentState::Running);
    for number in [1, 2] {
        let last = server.heartbeat().agent.expect("agent");
        assert_eq!((last.state, last.quiet_s), (AgentState::Stopping, 1_200), "it is said twice");
        assert_eq!(last.seq, first.seq + number);
        assert_eq!(last.boot, first.boot);
    }
    assert!(server.pending().is_empty(), "and no more");
    assert!(status.success(), "{status}");
    assert!(log.contains("SIGTERM: the agent stops."), "{log}");
    assert!(log.contains("dl-home stops, and raises no alarm for 20 min."), "{log}");
}

/// Stops an agent whose server behaves so at one of the announcements, counted from 0.
fn leave_with(odd: u32, behaviour: Behaviour) -> (ExitStatus, String) {
    let tries = Arc::new(AtomicU32::new(0));
    let server = Server::start_with(move |heartbeat| {
        let state = heartbeat.agent.as_ref().map(|agent| agent.state);
        let is_odd = || tries.fetch_add(1, Ordering::SeqCst) == odd;
        if state == Some(AgentState::Stopping) && is_odd() { behaviour } else { OK }
    });
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut agent = folder.run();
    agent.logged("The first heartbeat reached");
    leave(agent, Signal::TERM)
}

#[test]
fn a_stop_that_could_not_be_announced_is_tried_once_more() {
    let (status, log) = leave_with(0, Behaviour::Close);
    assert!(status.success(), "{status}");
    assert!(log.contains("dl-home stops, and raises no alarm for 30 min."), "{log}");
    assert!(!log.contains("could not be told"), "{log}");
}

#[test]
fn a_stop_whose_repetition_hangs_is_announced_in_time() {
    let (status, log) = leave_with(1, Behaviour::Hang);
    assert_left(status, Signal::TERM);
    assert!(log.contains("dl-home stops, and raises no alarm for 30 min."), "{log}");
}

/// The cloud takes the highest number of a boot for the newest heartbeat.
#[test]
fn heartbeats_of_an_agent_are_numbered_above_those_of_the_one_before() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut newest = 0;
    for _ in 0..3 {
        let mut agent = folder.run();
        agent.logged("The first heartbeat reached");
        leave(agent, Signal::TERM);
        for heartbeat in server.pending() {
            let agent = heartbeat.agent.expect("agent");
            assert!(agent.seq > newest, "{} after {newest}", agent.seq);
            newest = agent.seq;
        }
    }
}

#[test]
fn a_stop_without_quiet_time_is_announced_as_such() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\nquiet_after_stop = '0s'\n",
        server.url()
    ));
    let agent = folder.run();
    server.heartbeat();
    let (status, log) = leave(agent, Signal::INT);
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
    agent.logged("The first heartbeat reached");
    assert_eq!(server.heartbeat(), Heartbeat::default(), "it has no body");
    let (status, log) = leave(agent, Signal::TERM);
    assert!(status.success(), "{status}");
    assert!(server.pending().is_empty(), "one more would have been a sign of life");
    assert!(!log.contains("cloud"), "{log}");
}

/// The orderly way out was taken to its end, or the limit was enforced.
fn assert_left(status: ExitStatus, signal: Signal) {
    assert!(status.success() || status.signal() == Some(signal.as_raw()), "{status}");
}

fn leaves_while_the_server_hangs(signal: Signal) {
    let server = Server::start(Behaviour::Hang);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let agent = folder.run();
    server.heartbeat();
    let (status, log) = leave(agent, signal);
    assert_left(status, signal);
    assert_eq!(
        server.heartbeat().agent.expect("agent").state,
        AgentState::Stopping,
        "the stop was announced although the heartbeat before hung"
    );
    assert!(log.contains("This stop could not be announced to the cloud"), "{log}");
}

#[test]
fn sigterm_leaves_while_the_server_hangs() {
    leaves_while_the_server_hangs(Signal::TERM);
}

#[test]
fn sigint_leaves_while_the_server_hangs() {
    leaves_while_the_server_hangs(Signal::INT);
}

#[test]
fn a_second_signal_does_not_keep_the_agent_from_announcing_its_silence() {
    let server = Server::start(Behaviour::Hang);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    for second in [Signal::TERM, Signal::INT] {
        let mut agent = folder.run();
        server.heartbeat();
        agent.signal(Signal::TERM);
        agent.logged("SIGTERM: the agent stops.");
        let (status, log) = leave(agent, second);
        assert_left(status, Signal::TERM);
        assert_eq!(server.heartbeat().agent.expect("agent").state, AgentState::Stopping);
        assert!(log.contains("This stop could not be announced to the cloud"), "{log}");
    }
}

#[test]
fn signals_leave_while_a_name_look_up_hangs() {
    let folder =
        Folder::with("device = 'dl-home'\n[heartbeat]\nurl = 'https://ispmon.example/api/ping'\n");
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = folder.command(["run"]);
        let Some(agent) = silent_resolver::spawn(&folder, &mut command) else { return };
        let agent = silent_resolver::wait_for_look_up(agent);
        let (status, log) = leave(agent, signal);
        assert_left(status, signal);
        assert!(log.contains("This stop could not be announced to the cloud"), "{log}");
    }
}

/// The trusted roots are read from a pipe here, which nobody writes to.
#[cfg(target_os = "linux")]
#[test]
fn whatever_hangs_the_limit_holds() {
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
    let (status, log) = leave(agent, Signal::TERM);
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{status}; the log:\n{log}");
}

/// The end of a named pipe for writing, which without waiting can be had when the other one is open.
#[cfg(target_os = "linux")]
fn writer_once_there_is_a_reader(pipe: &std::path::Path) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;

    const PAUSE: Duration = Duration::from_millis(10);
    let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut left = crate::process::PATIENCE;
    loop {
        match std::fs::File::options().write(true).custom_flags(without_waiting).open(pipe) {
            Ok(writer) => return writer,
            Err(error) => assert!(!left.is_zero(), "nobody reads the pipe: {error}"),
        }
        std::thread::sleep(PAUSE);
        left = left.saturating_sub(PAUSE);
    }
}
