use std::{os::unix::net::UnixDatagram, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::status::working_status;

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Manager {
    fn listen() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, path, _folder: folder }
    }

    /// The agent's end, with a watchdog timeout of one minute.
    fn agents_end(&self) -> ServiceManager {
        ServiceManager::from_environment(&environment(&[
            ("NOTIFY_SOCKET", self.path.to_str().expect("UTF-8")),
            ("WATCHDOG_USEC", "60000000"),
        ]))
    }

    /// Receives all pending messages.
    fn received(&self) -> Vec<String> {
        let mut buffer = [0; 4_096];
        let mut messages = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).expect("UTF-8");
            messages.push(text.trim_end().replace('\n', " "));
        }
        messages
    }
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Whether the service loop would be woken now.
async fn is_woken(manager: &ServiceManager) -> bool {
    tokio::select! {
        biased;
        () = manager.keep_alive_is_due() => true,
        () = std::future::ready(()) => false,
    }
}

const AT: fn(u64) -> Duration = Duration::from_secs;

#[tokio::test]
async fn a_keep_alive_needs_both_loops() {
    let manager = Manager::listen();
    let agent = manager.agents_end();
    agent.ready();
    manager.received();
    assert_eq!(agent.poll_watchdog(AT(1_000)), Some(AT(1_030)));
    assert!(is_woken(&agent).await);
    agent.send_keep_alive();
    assert_eq!(manager.received(), ["WATCHDOG=1"]);

    for second in 1_001..1_030 {
        agent.poll_watchdog(AT(second));
    }
    assert!(!is_woken(&agent).await, "none is due yet");

    // The service loop hangs: the monitor loop alone sends nothing, however often it turns.
    for second in 1_030..1_300 {
        agent.poll_watchdog(AT(second));
    }
    assert_eq!(manager.received(), [""; 0]);
    assert!(is_woken(&agent).await, "the service loop is woken as soon as it continues");

    // The monitor loop hangs: nothing wakes the service loop.
    assert!(!is_woken(&agent).await);
    assert_eq!(manager.received(), [""; 0]);
}

#[tokio::test]
async fn without_a_socket_nothing_is_due() {
    for variables in [&[][..], &[("NOTIFY_SOCKET", "")], &[("NOTIFY_SOCKET", "vsock:2:1234")]] {
        let agent = ServiceManager::from_environment(&environment(variables));
        agent.ready();
        agent.show(&working_status());
        assert_eq!(agent.poll_watchdog(AT(1_000)), None);
        assert!(!is_woken(&agent).await);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_address_is_not_a_path() {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    let name = format!("ispmon-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("an address");
    let socket = UnixDatagram::bind_addr(&address).expect("a socket");
    let agent =
        ServiceManager::from_environment(&environment(&[("NOTIFY_SOCKET", &format!("@{name}"))]));
    agent.ready();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).expect("a message has arrived");
    assert!(buffer[..length].starts_with(b"READY=1\n"));
}

#[test]
fn a_busy_manager_gets_messages_later_and_only_the_newest_status() {
    let manager = Manager::listen();
    let agent = manager.agents_end();
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("a socket");
    while other.send_to(b"noise", &manager.path).is_ok() {}
    agent.ready();
    let mut status = working_status();
    for hour in 1..=3 {
        status.written = status.written.later(Duration::from_hours(hour));
        status.paused_until = Some(status.written.later(Duration::from_hours(1)));
        agent.show(&status);
    }
    agent.reloading();
    agent.reloaded();
    assert!(manager.received().iter().all(|message| message == "noise"));
    agent.poll_watchdog(AT(1_000));
    let received = manager.received();
    let words: Vec<_> = received.iter().map(|message| &message[..7]).collect();
    assert_eq!(words, ["READY=1", "STATUS=", "RELOADI", "READY=1"], "{received:#?}");
}

#[test]
fn a_manager_that_recreates_its_socket_gets_messages_again() {
    let mut manager = Manager::listen();
    let agent = manager.agents_end();
    std::fs::remove_file(&manager.path).expect("the socket exists");
    agent.ready();
    manager.socket = UnixDatagram::bind(&manager.path).expect("a socket");
    manager.socket.set_nonblocking(true).expect("a socket");
    agent.poll_watchdog(AT(1_000));
    assert_eq!(manager.received(), ["READY=1 STATUS=Started."]);
}
