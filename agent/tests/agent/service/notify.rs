//! Notifications to the service manager: a socket like systemd's, and the real program.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::net::UnixDatagram,
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::Instant;

use super::server::{OK, Server};
use crate::process::{Agent, Folder, PATIENCE};

/// The watchdog timeout of the service manager.
const WATCHDOG: Duration = Duration::from_secs(1);

/// The service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    /// Starts `ispmon-agent run` in `folder` with a manager.
    fn start(folder: &Folder) -> (Self, Agent) {
        let path = folder.path().join("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let mut command = folder.command(["run"]);
        command.env("NOTIFY_SOCKET", path);
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        (Self { socket }, Agent::spawn(&mut command))
    }

    /// The next message that arrives within `limit`, its assignments joined by spaces.
    fn message_within(&self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).expect("a limit");
        let mut buffer = [0; 4_096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                let text = String::from_utf8(buffer[..length].to_vec()).expect("UTF-8");
                Some(text.trim_end().replace('\n', " "))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for a message that contains `text`; returns it and all earlier ones except watchdog pings.
    fn messages_until(&self, text: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Zero would mean no timeout.
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.message_within(left.max(Duration::from_millis(1)));
            let message = message.unwrap_or_else(|| panic!("no {text:?} after {messages:#?}"));
            let is_found = message.contains(text);
            if is_found || message != "WATCHDOG=1" {
                messages.push(message);
            }
            if is_found {
                return messages;
            }
        }
    }
}

fn configuration(server: &Server, device: &str) -> String {
    format!("device = '{device}'\n[heartbeat]\nurl = '{}'\ninterval = '1s'\n", server.url())
}

#[test]
fn readiness_status_and_stop_are_notified() {
    let server = Server::start(OK);
    let folder = Folder::with(&configuration(&server, "dl-home"));
    let (manager, agent) = Manager::start(&folder);
    let messages = manager.messages_until("READY=1");
    let [opening, ready] = &messages[..] else { panic!("{messages:#?}") };
    let state = folder.path().join("state");
    assert_eq!(
        *opening,
        format!("EXTEND_TIMEOUT_USEC=20000000 STATUS=Opening the journal in {}.", state.display())
    );
    assert!(ready.starts_with("READY=1 STATUS="), "{ready}");
    // The first record may come later, but from here on no other process may write.
    let lock = File::open(state.join("lock")).expect("the journal is open");
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)), "the journal is open");
    manager.messages_until("; last heartbeat ");
    agent.signal(Signal::TERM);
    let stopping = manager.messages_until("STOPPING=1");
    assert_eq!(
        stopping.last().map(String::as_str),
        Some("STOPPING=1 STATUS=Stopping because of SIGTERM.")
    );
    assert!(agent.wait_for_exit().0.success());
    assert_eq!(manager.message_within(Duration::from_millis(1)), None, "nothing comes after it");
}

#[test]
fn start_and_end_of_every_reload_are_notified() {
    let server = Server::start(OK);
    let folder = Folder::with(&configuration(&server, "dl-home"));
    let (manager, mut agent) = Manager::start(&folder);
    manager.messages_until("READY=1");
    // The file is refused, then another one is used, then the same once more.
    for (file, is_refused) in [
        ("nonsense = 1\n".to_owned(), true),
        (configuration(&server, "dl-attic"), false),
        (configuration(&server, "dl-attic"), false),
    ] {
        folder.configure(&file);
        agent.signal(Signal::HUP);
        let reloading = manager.messages_until("RELOADING=1").pop().expect("the last message");
        let time =
            reloading.strip_prefix("RELOADING=1 MONOTONIC_USEC=").expect("the time of the reload");
        assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading}");
        let ended = manager.messages_until("READY=1").pop().expect("the last message");
        assert_eq!(ended.contains("was refused, see the log; the old one is in use."), is_refused);
    }
    agent.wait_for_log("nothing in it has changed");
}

#[test]
fn the_reason_of_a_failed_start_is_notified() {
    let folder = Folder::with("nonsense = 1\n[heartbeat]\ninterval = '1ms'\n");
    let (manager, agent) = Manager::start(&folder);
    let message = manager.messages_until("STATUS=").pop().expect("the last message");
    assert!(message.starts_with("STATUS=Not started: "), "{message}");
    assert!(message.contains("nonsense") && message.ends_with(" (1 more in the log)"), "{message}");
    assert_eq!(agent.wait_for_exit().0.code(), Some(78));

    folder.configure("device = 'dl-home'\n");
    let (first, _running) = Manager::start(&folder);
    first.messages_until("READY=1");
    let (second, agent) = Manager::start(&folder);
    let message = second.messages_until("Not started").pop().expect("the last message");
    assert!(message.contains("another agent"), "{message}");
    assert_eq!(agent.wait_for_exit().0.code(), Some(1));
}

#[test]
fn watchdog_pings_stop_while_the_agent_hangs() {
    let folder = Folder::with("device = 'dl-home'\n");
    let (manager, agent) = Manager::start(&folder);
    manager.messages_until("READY=1");
    for _ in 0..3 {
        manager.messages_until("WATCHDOG=1");
    }
    agent.signal(Signal::STOP);
    // Messages from before the stop may still arrive; after that none for twice the timeout.
    let mut late = 0;
    while manager.message_within(2 * WATCHDOG).is_some() {
        late += 1;
        assert!(late < 10, "a stopped process sends nothing");
    }
    agent.signal(Signal::CONT);
    manager.messages_until("WATCHDOG=1");
    agent.signal(Signal::TERM);
    manager.messages_until("STOPPING=1");
    assert!(agent.wait_for_exit().0.success());
}
