//! Reading the configuration again on SIGHUP.

use std::path::Path;

use ispmon_wire::AgentState;
use rustix::process::Signal;

use super::server::{OK, Server};
use crate::process::{Agent, Folder};

#[test]
fn a_valid_file_changes_device_and_url_and_the_sequence_continues() {
    let (old, new) = (Server::start(OK), Server::start(OK));
    let folder = Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", old.url()));
    let mut agent = folder.run();
    let before = old.heartbeat();
    agent.wait_for_log("The first heartbeat reached");
    folder.configure(&format!("device = 'dl-attic'\n[heartbeat]\nurl = '{}'\n", new.url()));
    agent.signal(Signal::HUP);
    agent.wait_for_log("The new configuration is in use.");
    let after = new.heartbeat();
    assert_eq!(after.device(), Some("dl-attic"));
    let (before, after) = (before.agent.expect("agent"), after.agent.expect("agent"));
    assert_eq!(after.seq, before.seq + 1);
    assert_eq!(after.boot, before.boot);
}

#[test]
fn a_valid_file_changes_the_interval() {
    let server = Server::start(OK);
    let configuration = |interval: &str| {
        format!(
            "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '{interval}'\n",
            server.url()
        )
    };
    let folder = Folder::with(&configuration("1h"));
    let mut agent = folder.run();
    server.heartbeat();
    agent.wait_for_log("The first heartbeat reached");
    folder.configure(&configuration("1s"));
    agent.signal(Signal::HUP);
    // At one heartbeat per hour these would not come before the test times out.
    for _ in 0..3 {
        server.heartbeat();
    }
}

#[test]
fn an_invalid_file_keeps_the_old_configuration_and_every_problem_is_logged() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '1s'\n",
        server.url()
    ));
    let mut agent = folder.run();
    server.heartbeat();
    folder.configure("[heartbeat]\ninterval = '1ms'\ntimeot = '5s'\n[log]\nlevel = 'loud'\n");
    agent.signal(Signal::HUP);
    agent.wait_for_log("The agent goes on with the old configuration.");
    let _ = server.pending();
    for _ in 0..2 {
        assert_eq!(server.heartbeat().device(), Some("dl-home"));
    }
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}");
    let problems = log.lines().filter(|line| line.contains("The new configuration is refused: "));
    assert_eq!(problems.count(), 3, "{log}");
    for key in ["heartbeat.interval", "heartbeat.timeot", "log.level"] {
        assert!(log.contains(key), "{key} in:\n{log}");
    }
}

/// Asserts that the heartbeat that announces the stop is the second one, so that none was sent early.
fn assert_no_early_heartbeat(agent: Agent, server: &Server, first: u64) {
    agent.signal(Signal::TERM);
    let last = server.heartbeat().agent.expect("agent");
    assert_eq!((last.seq, last.state), (first + 1, AgentState::Stopping));
    assert!(agent.wait_for_exit().0.success());
}

#[test]
fn an_unchanged_file_changes_nothing() {
    let server = Server::start(OK);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '1h'\n",
        server.url()
    ));
    let mut agent = folder.run();
    let first = server.heartbeat().agent.expect("agent").seq;
    agent.wait_for_log("The first heartbeat reached");
    agent.signal(Signal::HUP);
    agent.wait_for_log("nothing in it has changed");
    assert_no_early_heartbeat(agent, &server, first);
}

#[test]
fn a_new_log_level_does_not_disturb_the_heartbeats() {
    let server = Server::start(OK);
    let configuration = |level: &str| {
        format!(
            "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '1h'\n[log]\nlevel = '{level}'\n",
            server.url()
        )
    };
    let folder = Folder::with(&configuration("error"));
    let mut agent = folder.run();
    let first = server.heartbeat().agent.expect("agent").seq;
    folder.configure(&configuration("info"));
    agent.signal(Signal::HUP);
    agent.wait_for_log("The new configuration is in use.");
    assert_no_early_heartbeat(agent, &server, first);
}

#[test]
fn only_a_changed_state_folder_is_logged_with_advice() {
    let folder = Folder::with("device = 'dl-home'\n");
    let in_use = folder.path().join("state");
    let configure = |state_dir: &Path| {
        let text = format!("device = 'dl-home'\nstate_dir = '{}'\n", state_dir.display());
        folder.configure(&text);
    };
    configure(&in_use);
    let mut command = folder.command(["run"]);
    let mut agent = Agent::spawn(command.env_remove("ISPMON_STATE_DIR"));
    agent.wait_for_log("dl-home");
    configure(&folder.path().join("another"));
    agent.signal(Signal::HUP);
    agent.wait_for_log("The new `state_dir` is used from the next start on.");
    configure(&in_use);
    agent.signal(Signal::HUP);
    agent.wait_for_log("The new configuration is in use.");
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}");
    assert_eq!(log.matches("from the next start on").count(), 1, "{log}");
}

#[test]
fn many_reloads_end_with_the_last_configuration() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut agent = folder.run();
    agent.wait_for_log("The first heartbeat reached");
    for number in 0..20 {
        folder
            .configure(&format!("device = 'dl-{number}'\n[heartbeat]\nurl = '{}'\n", server.url()));
        agent.signal(Signal::HUP);
    }
    let mut heartbeats = (0..100).map(|_| server.heartbeat());
    assert!(
        heartbeats.any(|heartbeat| heartbeat.device() == Some("dl-19")),
        "the last configuration is never used"
    );
}

#[test]
fn warnings_are_logged_even_if_no_setting_has_changed() {
    let folder = Folder::with("device = 'dl-home'\n[heartbeat]\nexpect = 'OK'\n");
    let mut agent = folder.run();
    agent.wait_for_log("heartbeat.expect has no effect");
    agent.signal(Signal::HUP);
    agent.wait_for_log("nothing in it has changed");
    agent.wait_for_log("heartbeat.expect has no effect");
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}");
    assert_eq!(log.matches("heartbeat.expect has no effect").count(), 2, "{log}");
}
