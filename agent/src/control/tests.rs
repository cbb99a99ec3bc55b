use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream as StdStream},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::*;
use crate::clock::{BootId, Stamp};

/// Only ends a hung test.
const PATIENCE: Duration = Duration::from_mins(1);

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("control.sock");
    (folder, path)
}

async fn bind(path: &Path) -> ControlServer {
    ControlServer::bind(path).await.expect("the path can be bound")
}

fn stamp() -> Stamp {
    let wall = "2026-11-24T07:00:00Z".parse().expect("a time");
    Stamp { boot: BootId::UNKNOWN, boot_ms: 5_000, wall }
}

/// Sends raw bytes and reads until the server closes the connection.
fn raw(path: &Path, bytes: &[u8]) -> std::thread::JoinHandle<String> {
    let mut socket = StdStream::connect(path).expect("the server listens");
    socket.write_all(bytes).expect("the bytes are sent");
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        answer
    })
}

#[tokio::test]
async fn a_request_carries_its_caller_and_is_answered() {
    let (_folder, path) = place();
    let mut server = bind(&path).await;
    let answer = ControlAnswer::Paused { until: stamp(), again: false, announced: Some(true) };
    let serve = async {
        let (request, reply) = server.next().await;
        let caller = reply.caller();
        reply.send(&answer);
        (request, caller)
    };
    let request = ControlRequest::Pause { time: Duration::from_hours(2) };
    let (asked, (request_seen, caller)) =
        tokio::join!(send_request(&path, request, PATIENCE), serve);
    assert_eq!(asked.expect("an answer"), answer);
    assert_eq!(request_seen, request);
    let user = rustix::process::geteuid();
    let name =
        if user.is_root() { "root".to_owned() } else { format!("the user with the id {user}") };
    assert_eq!(caller.to_string(), name);
}

#[tokio::test]
async fn only_owner_and_group_may_use_the_socket() {
    let (folder, path) = place();
    let _server = bind(&path).await;
    let mode = fs::metadata(&path).expect("the socket exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "and nothing else");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_that_of_a_running_agent_is_not() {
    let (_folder, path) = place();
    // A listener that is closed without removing its file.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the path can be bound"));
    let first = bind(&path).await;
    let second = ControlServer::bind(&path).await;
    assert!(matches!(second, Err(BindError::InUse(_))), "{second:?}");
    drop(first);
    assert!(!path.exists(), "an agent that stops cleanly removes its socket");
    bind(&path).await;
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_never_removed() {
    let (_folder, path) = place();
    fs::write(&path, "a letter").expect("the file is written");
    let refused = ControlServer::bind(&path).await;
    assert!(matches!(refused, Err(BindError::InTheWay(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(&path).expect("the file is still there"), "a letter");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_an_error() {
    let (folder, _) = place();
    let long = folder.path().join("x".repeat(120));
    fs::create_dir(&long).expect("a folder");
    let refused = ControlServer::bind(&long.join("control.sock")).await;
    assert!(matches!(refused, Err(BindError::Io(..))), "{refused:?}");
}

#[tokio::test]
async fn invalid_requests_are_answered_and_do_not_reach_the_agent() {
    let (_folder, path) = place();
    let mut server = bind(&path).await;
    let nonsense = raw(&path, b"pause for a while, please\n");
    let too_long = raw(&path, &[b'x'; 4_096]);
    let too_much = raw(&path, b"{\"request\":\"pause\",\"seconds\":90000}\n");
    // Only the valid request behind them is returned.
    let resume = raw(&path, b"{\"request\":\"resume\"}\n");
    let (request, reply) = server.next().await;
    assert_eq!(request, ControlRequest::Resume);
    reply.send(&ControlAnswer::NotPaused);
    // The invalid ones are answered while the agent waits for the next request.
    let waiting = async {
        server.next().await;
    };
    let answers = async {
        for (client, start) in [
            (nonsense, "{\"answer\":\"refused\""),
            (too_long, ""),
            (too_much, "{\"answer\":\"refused\""),
            (resume, "{\"answer\":\"not_paused\"}"),
        ] {
            let answered = tokio::task::spawn_blocking(move || client.join().expect("it reads"));
            let answered = tokio::time::timeout(PATIENCE, answered).await;
            let answer = answered.expect("it is answered").expect("it reads");
            assert!(answer.starts_with(start), "{answer:?}");
            assert_eq!(answer.is_empty(), start.is_empty(), "{answer:?}");
        }
    };
    tokio::select! {
        () = waiting => panic!("there was no other request"),
        () = answers => {}
    }
}

#[tokio::test]
async fn silent_clients_do_not_block_others_for_long() {
    let (_folder, path) = place();
    let mut server = bind(&path).await;
    let silent: Vec<_> =
        (0..6).map(|_| StdStream::connect(&path).expect("the server listens")).collect();
    let serve = async {
        let (request, reply) = server.next().await;
        reply.send(&ControlAnswer::NotPaused);
        request
    };
    let (answer, request) =
        tokio::join!(send_request(&path, ControlRequest::Resume, PATIENCE), serve);
    assert_eq!(answer.expect("an answer"), ControlAnswer::NotPaused);
    assert_eq!(request, ControlRequest::Resume);
    drop(silent);
}

#[tokio::test]
async fn each_failure_has_its_error() {
    let (folder, path) = place();
    let unbound = send_request(&path, ControlRequest::Resume, PATIENCE).await;
    assert!(matches!(unbound, Err(ControlClientError::NotRunning(_))), "{unbound:?}");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the path can be bound"));
    let crashed = send_request(&path, ControlRequest::Resume, PATIENCE).await;
    assert!(matches!(crashed, Err(ControlClientError::NotRunning(_))), "{crashed:?}");

    let other = folder.path().join("other.sock");
    let listener = std::os::unix::net::UnixListener::bind(&other).expect("the path can be bound");
    let hanging = send_request(&other, ControlRequest::Resume, Duration::from_millis(50)).await;
    assert!(matches!(hanging, Err(ControlClientError::NoAnswer(_))), "{hanging:?}");
    let (leaving, ()) =
        tokio::join!(send_request(&other, ControlRequest::Resume, PATIENCE), async {
            // The first is the client that timed out.
            for _ in 0..2 {
                drop(listener.accept());
            }
        });
    assert!(matches!(leaving, Err(ControlClientError::Stopped(_))), "{leaving:?}");
}
