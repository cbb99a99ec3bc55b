//! Starting: with and without a URL, with an old flag, next to a foreign `.env` file.

use std::fs;

use rustix::process::Signal;

use super::server::{NOT_EXPECTED, OK, Server, UNAUTHORIZED};
use crate::process::{Agent, Folder};

#[test]
fn a_start_logs_the_heartbeat_url_and_the_first_delivery() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let mut agent = folder.run();
    let version = env!("CARGO_PKG_VERSION");
    let url = server.url();
    agent.wait_for_log(&format!(
        " INFO  ispmon-agent {version} sends a heartbeat for dl-home to {url} every 1 min."
    ));
    let first = agent.wait_for_log(" INFO  The first heartbeat reached");
    assert!(first.ends_with("; the cloud saw it come from 203.0.113.7."), "{first}");
    let heartbeat = server.heartbeat();
    assert_eq!(heartbeat.device(), Some("dl-home"));
    let sender = heartbeat.agent.expect("agent");
    assert_eq!(sender.version.as_str(), version);
}

#[test]
fn without_a_url_the_agent_runs_logs_it_once_and_obeys_signals() {
    let folder = Folder::with("device = 'dl-home'\n");
    for signal in [Signal::TERM, Signal::INT] {
        let mut agent = folder.run();
        agent.wait_for_log("no heartbeat URL is set");
        agent.signal(Signal::HUP);
        agent.wait_for_log("nothing in it has changed");
        agent.signal(signal);
        let (status, log) = agent.wait_for_exit();
        assert!(status.success(), "{status}");
        assert_eq!(log.matches("no heartbeat URL is set").count(), 1, "{log}");
        assert!(!log.contains("could not be announced"), "{log}");
    }
}

#[test]
fn a_url_added_by_a_reload_is_used() {
    let server = Server::start(OK);
    let folder = Folder::with("device = 'dl-home'\n");
    let mut agent = folder.run();
    agent.wait_for_log("no heartbeat URL is set");
    folder.configure(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    agent.signal(Signal::HUP);
    assert_eq!(server.heartbeat().device(), Some("dl-home"));
    agent.wait_for_log("The first heartbeat reached");
}

#[test]
fn the_old_daemon_flag_is_explained_and_the_agent_stays_in_the_foreground() {
    let server = Server::start(OK);
    let folder = Folder::with("");
    let url = server.url();
    let arguments = ["--daemon", "--url", &url, "--device", "old-home", "--interval", "60"];
    let mut agent = Agent::spawn(&mut folder.command(arguments));
    agent.wait_for_log("the service manager (systemd, launchd) runs the agent in the background");
    assert_eq!(server.heartbeat().device(), Some("old-home"));
    agent.signal(Signal::TERM);
    assert!(agent.wait_for_exit().0.success());
}

#[test]
fn a_foreign_env_file_is_ignored_if_there_is_a_configuration_file() {
    let (server, foreign) = (Server::start(OK), Server::start(OK));
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    fs::write(
        folder.path().join(".env"),
        format!("HEARTBEAT_URL={}\nHEARTBEAT_DEVICE=foreign\n", foreign.url()),
    )
    .expect("the file is written");
    let agent = folder.run();
    assert_eq!(server.heartbeat().device(), Some("dl-home"));
    agent.signal(Signal::TERM);
    assert!(agent.wait_for_exit().0.success());
    assert!(foreign.pending().is_empty());
}

#[test]
fn a_bad_configuration_is_refused_with_every_problem_and_status_78() {
    let folder =
        Folder::with("[heartbeat]\ninterval = '1ms'\ntimeot = '5s'\n[log]\nlevel = 'loud'\n");
    let (status, log) = folder.run().wait_for_exit();
    assert_eq!(status.code(), Some(78), "{log}");
    for key in ["heartbeat.interval", "heartbeat.timeot", "log.level"] {
        assert!(log.contains(key), "{key} in:\n{log}");
    }
}

#[test]
fn a_device_without_an_alert_rule_causes_one_warning() {
    let server = Server::start(NOT_EXPECTED);
    let folder = Folder::with(&format!(
        "device = 'dl-hoem'\n[heartbeat]\nurl = '{}'\ninterval = '1s'\n",
        server.url()
    ));
    let mut agent = folder.run();
    agent.wait_for_log(" WARN  The cloud does not expect a device named dl-hoem");
    for _ in 0..3 {
        server.heartbeat();
    }
    agent.signal(Signal::TERM);
    let (_, log) = agent.wait_for_exit();
    assert_eq!(log.matches("does not expect").count(), 1, "{log}");
}

#[test]
fn a_refused_key_is_explained_once() {
    let server = Server::start(UNAUTHORIZED);
    let folder = Folder::with(&format!(
        "device = 'dl-home'\n[heartbeat]\nurl = '{}'\ninterval = '1s'\n",
        server.url()
    ));
    let mut agent = folder.run();
    // Not "401" alone, because the port may contain these digits too.
    let line = agent.wait_for_log("the answer was 401");
    assert!(line.contains(" WARN ") && line.contains("key"), "{line}");
    for _ in 0..3 {
        server.heartbeat();
    }
    agent.signal(Signal::TERM);
    let (status, log) = agent.wait_for_exit();
    assert!(status.success(), "{status}");
    let warnings = log.lines().filter(|line| line.contains(" WARN ")).collect::<Vec<_>>();
    assert_eq!(warnings.len(), 2, "one for the heartbeats, one for the stop: {warnings:#?}");
}

#[test]
fn ping_prints_what_the_cloud_has_seen() {
    let server = Server::start(OK);
    let folder =
        Folder::with(&format!("device = 'dl-home'\n[heartbeat]\nurl = '{}'\n", server.url()));
    let output = folder.command(["ping"]).output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        text.starts_with(&format!("The heartbeat of dl-home reached {} in ", server.url())),
        "{text}"
    );
    assert!(text.contains("came from 203.0.113.7"), "{text}");
    assert!(text.contains("expects this device"), "{text}");
    assert_eq!(server.pending().len(), 1);
}

#[test]
fn ping_reports_a_refused_connection() {
    let folder = Folder::with("device = 'dl-home'\n[heartbeat]\nurl = 'http://127.0.0.1:1/'\n");
    let output = folder.command(["ping"]).output().expect("the program runs");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn ping_without_a_url_is_a_configuration_error() {
    let folder = Folder::with("device = 'dl-home'\n");
    let output = folder.command(["ping"]).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(text.contains("heartbeat.url"), "{text}");
}
