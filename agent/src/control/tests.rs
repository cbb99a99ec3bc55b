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

/// Only ends a test that hangs.
const PATIENCE: Duration = Duration::from_mins(1);

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    (folder, path)
}

async fn bind(path: &Path) -> Server {
    Server::bind(path).await.expect("it can be bound")
}

fn stamp() -> Stamp {
    let wall = "2026-11-24T07:00:00Z".parse().expect("a time");
    Stamp { boot: BootId::UNKNOWN, boot_ms: 5_000, wall }
}

/// Sends bytes as they are, and reads until the server closes.
fn raw(path: &Path, bytes: &[u8]) -> std::thread::JoinHandle<String> {
    let mut socket = StdStream::connect(path).expect("somebody listens");
    socket.write_all(bytes).expect("it takes it");
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        answer
    })
}

#[tokio::test]
async fn a_request_comes_with_its_caller_and_is_answered() {
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
    let (asked, (request_seen, caller)) = tokio::join!(ask(&path, request, PATIENCE), serve);
    assert_eq!(asked.expect("it is answered"), answer);
    assert_eq!(request_seen, request);
    let user = rustix::process::geteuid();
    let name =
        if user.is_root() { "root".to_owned() } else { format!("the user with the id {user}") };
    assert_eq!(caller.to_string(), name);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_the_group() {
    let (folder, path) = place();
    let _server = bind(&path).await;
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "and nothing else");
}

#[tokio::test]
async fn what_a_crash_left_is_replaced_and_a_live_agent_is_not() {
    let (_folder, path) = place();
    // A listener that is closed without removing its file.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("it can be bound"));
    let first = bind(&path).await;
    let second = Server::bind(&path).await;
    assert!(matches!(second, Err(BindError::InUse(_))), "{second:?}");
    drop(first);
    assert!(!path.exists(), "an agent that leaves in order takes it away");
    bind(&path).await;
}

#[tokio::test]
async fn what_is_no_socket_is_never_removed() {
    let (_folder, path) = place();
    fs::write(&path, "a letter").expect("it is written");
    let refused = Server::bind(&path).await;
    assert!(matches!(refused, Err(BindError::InTheWay(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "a letter");
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_told() {
    let (folder, _) = place();
    let long = folder.path().join("x".repeat(120));
    fs::create_dir(&long).expect("a folder");
    let refused = Server::bind(&long.join("control.sock")).await;
    assert!(matches!(refused, Err(BindError::Io(..))), "{refused:?}");
}

#[tokio::test]
async fn nonsense_is_answered_and_does_not_reach_the_agent() {
    let (_folder, path) = place();
    let mut server = bind(&path).await;
    let nonsense = raw(&path, b"pause for a while, please\n");
    let too_long = raw(&path, &[b'x'; 4_096]);
    let too_much = raw(&path, b"{\"request\":\"pause\",\"seconds\":90000}\n");
    // Behind them comes a request, which alone is handed over.
    let resume = raw(&path, b"{\"request\":\"resume\"}\n");
    let (request, reply) = server.next().await;
    assert_eq!(request, ControlRequest::Resume);
    reply.send(&ControlAnswer::NotPaused);
    // The others are served while the agent waits for more.
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
async fn clients_that_say_nothing_keep_nobody_out_for_long() {
    let (_folder, path) = place();
    let mut server = bind(&path).await;
    let silent: Vec<_> =
        (0..6).map(|_| StdStream::connect(&path).expect("somebody listens")).collect();
    let serve = async {
        let (request, reply) = server.next().await;
        reply.send(&ControlAnswer::NotPaused);
        request
    };
    let (answer, request) = tokio::join!(ask(&path, ControlRequest::Resume, PATIENCE), serve);
    assert_eq!(answer.expect("it is answered"), ControlAnswer::NotPaused);
    assert_eq!(request, ControlRequest::Resume);
    drop(silent);
}

#[tokio::test]
async fn each_way_not_to_be_answered_has_its_error() {
    let (folder, path) = place();
    let nobody = ask(&path, ControlRequest::Resume, PATIENCE).await;
    assert!(matches!(nobody, Err(AskError::NotRunning(_))), "{nobody:?}");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("it can be bound"));
    let crashed = ask(&path, ControlRequest::Resume, PATIENCE).await;
    assert!(matches!(crashed, Err(AskError::NotRunning(_))), "{crashed:?}");

    let other = folder.path().join("other.sock");
    let listener = std::os::unix::net::UnixListener::bind(&other).expect("it can be bound");
    let hanging = ask(&other, ControlRequest::Resume, Duration::from_millis(50)).await;
    assert!(matches!(hanging, Err(AskError::NoAnswer(_))), "{hanging:?}");
    let (leaving, ()) = tokio::join!(ask(&other, ControlRequest::Resume, PATIENCE), async {
        // The first is the client that has given up.
        for _ in 0..2 {
            drop(listener.accept());
        }
    });
    assert!(matches!(leaving, Err(AskError::Left(_))), "{leaving:?}");
}
