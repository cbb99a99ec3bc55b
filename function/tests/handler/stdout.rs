//! A stdout that is slow, blocked, closed or a file: log lines stay whole, and a success response means
//! a written line.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{Read, pipe},
    os::fd::OwnedFd,
    process::Command,
    thread,
    time::Duration,
};

use ispmon_function::{LineWriter, ServerLimits, line};
use ispmon_wire::{Device, Heartbeat};
use serde_json::{Value, json};
use tokio::{runtime, task::JoinSet, time::Instant};

use crate::support::{
    PATIENCE,
    http::{Client, bare, once, post},
    in_process::InProcess,
    process::{BINARY, Process, free_port},
};

/// Limits with which a request soon times out when the host does not read.
fn impatient() -> ServerLimits {
    ServerLimits { line_timeout: Duration::from_millis(50), ..ServerLimits::default() }
}

fn note(number: usize, length: usize) -> Vec<u8> {
    let note = "\u{fc}\u{2028}".repeat(length / 2);
    post("/api/ping", json!({"device": number.to_string(), "note": note}).to_string())
}

/// The devices of all log lines, each of which must be whole.
fn devices(stdout: &str) -> Vec<String> {
    assert!(stdout.is_empty() || stdout.ends_with('\n'), "a torn last line");
    let device = |line| {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        line["device"].as_str().expect("a device").to_owned()
    };
    stdout.lines().map(device).collect()
}

#[test]
fn a_host_that_does_not_read_gets_503_and_later_whole_lines() {
    let (function, mut stdout) = InProcess::start(impatient());
    let mut client = function.connect();
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for number in 0..10_000 {
        let answer = client.exchange(&note(number, 500));
        if answer.status == 200 {
            accepted.push(number.to_string());
        } else {
            assert_eq!(answer.status, 503);
            assert_eq!(
                answer.body,
                "The message could not be written down in time; try again later.\n"
            );
            refused += 1;
            if refused == 5 {
                break;
            }
        }
        // The host's readiness request is still answered.
        assert_eq!(client.exchange(&bare("GET", "/")).status, 200);
    }
    assert_eq!(refused, 5, "a pipe takes less than 10,000 lines");
    // The host reads again: from then on everything is accepted, and every line is whole.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("text");
        text
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.exchange(&note(99_999, 2));
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 503);
        assert!(Instant::now() < deadline, "nothing is accepted although the host reads");
        thread::sleep(Duration::from_millis(1));
    }
    drop(function);
    let lines = devices(&reader.join().expect("the reader"));
    // Each accepted heartbeat has exactly one log line, in order; of the rejected ones only the first
    // may have one, because its start had been written.
    assert_eq!(lines[..accepted.len()], accepted);
    assert_eq!(lines.last().map(String::as_str), Some("99999"));
    let extra: HashSet<&String> = lines[accepted.len()..].iter().collect();
    assert!(extra.len() <= 2, "{extra:?}");
}

#[test]
fn a_slow_reader_gets_every_line_whole() {
    let limits = ServerLimits { line_timeout: PATIENCE, ..ServerLimits::default() };
    let (function, mut stdout) = InProcess::start(limits);
    let port = function.port;
    let reader = thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), [0; 777]);
        loop {
            match stdout.read(&mut piece).expect("stdout") {
                0 => break,
                read => text.extend_from_slice(&piece[..read]),
            }
            // Makes the writer find a full pipe again and again.
            thread::yield_now();
        }
        String::from_utf8(text).expect("text")
    });
    let clients: Vec<_> = (0..8_usize)
        .map(|first| {
            thread::spawn(move || {
                let mut client = Client::connect(port);
                for number in 0..100 {
                    let answer = client.exchange(&note(first * 100 + number, 1 + number * 5));
                    assert_eq!(answer.status, 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("every heartbeat accepted");
    }
    drop(function);
    let lines = devices(&reader.join().expect("the reader"));
    assert_eq!(lines.len(), 800);
    assert_eq!(lines.iter().collect::<HashSet<_>>().len(), 800);
}

/// Tasks that always have something to write find the pipe full most of the time, with lines so long
/// that they are written in parts.
#[test]
fn no_line_is_written_into_another() {
    let (mut stdout, writer) = pipe().expect("a pipe");
    let reader = thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), [0; 1_234]);
        loop {
            match stdout.read(&mut piece).expect("stdout") {
                0 => break,
                read => text.extend_from_slice(&piece[..read]),
            }
        }
        String::from_utf8(text).expect("text")
    });
    // The runtime polls the pipe after each step, so other tasks often run before the one that has to
    // finish a line.
    let runtime = runtime::Builder::new_current_thread().enable_all().event_interval(1).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let limits = ServerLimits {
            line_timeout: PATIENCE,
            queued_bytes: usize::MAX,
            ..ServerLimits::default()
        };
        let lines = LineWriter::to(File::from(OwnedFd::from(writer)), &limits).expect("a writer");
        let mut tasks = JoinSet::new();
        for task in 0..20 {
            let lines = lines.clone();
            tasks.spawn(async move {
                let device = Device::from(task.to_string().as_str());
                for number in 0..100 {
                    let note = Some("\u{10ffff}".repeat(450 + number % 50));
                    let heartbeat = Heartbeat { note, ..Heartbeat::default() };
                    let line = line::heartbeat(&device, None, &heartbeat);
                    lines.write([line]).await.expect("a line written");
                }
            });
        }
        tasks.join_all().await;
    });
    drop(runtime);
    assert_eq!(devices(&reader.join().expect("the reader")).len(), 2_000);
}

#[test]
fn the_queue_for_a_blocked_host_is_bounded() {
    let limits =
        ServerLimits { line_timeout: PATIENCE, queued_bytes: 20_000, ..ServerLimits::default() };
    let (function, stdout) = InProcess::start(limits);
    let mut waiting = Vec::new();
    for number in 0..10_000 {
        let mut client = function.connect();
        client.send(&note(number, 500)).expect("a request sent");
        // A readiness response shows that earlier input has been processed.
        assert_eq!(once(function.port, &bare("GET", "/")).status, 200);
        if !client.has_answer() {
            waiting.push(client);
        } else if client.receive().status == 503 {
            // At once, although each could wait for a minute.
            break;
        }
    }
    // Requests with a response in flight do not wait.
    waiting.retain_mut(|client| !client.has_answer());
    // Each log line has more than 3,000 bytes.
    assert!((1..=7).contains(&waiting.len()), "{} lines wait", waiting.len());
    drop(stdout);
    drop(waiting);
}

#[test]
fn a_waiting_client_that_disconnects_leaves_nothing_behind() {
    let limits = ServerLimits { line_timeout: PATIENCE, ..ServerLimits::default() };
    let (function, mut stdout) = InProcess::start(limits);
    let mut count = 0;
    // Fill the pipe: the first request without a response is the one that waits.
    let waits = loop {
        let mut client = function.connect();
        client.send(&note(count, 500)).expect("a request sent");
        for _ in 0..5 {
            assert_eq!(once(function.port, &bare("GET", "/")).status, 200);
        }
        if !client.has_answer() {
            break client;
        }
        count += 1;
    };
    drop(waits);
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("text");
        text
    });
    assert_eq!(once(function.port, &note(99_999, 2)).status, 200);
    drop(function);
    let lines = devices(&reader.join().expect("the reader"));
    assert!(lines.len() <= count + 2, "{} lines of {count} heartbeats", lines.len());
    assert_eq!(lines.last().map(String::as_str), Some("99999"));
}

#[test]
fn a_report_that_is_larger_than_the_pipe_becomes_whole_lines() {
    let mut function = Process::start_with(&[]);
    let mut stdout = function.take_stdout();
    let incident = |number: u32| {
        json!({
            "id": format!("0190163d-8694-739b-aea5-{number:012}"), "kind": "incident",
            "cause": "\u{2028}".repeat(64), "party": "\u{2028}".repeat(64),
            "started": "2026-11-23T02:10:07Z", "ended": "2026-11-23T02:30:10Z",
        })
    };
    let incidents: Vec<Value> = (0..100).map(incident).collect();
    let body = json!({"device": "\u{fc}".repeat(100), "incidents": incidents}).to_string();
    let port = function.port;
    let client = thread::spawn(move || once(port, &post("/api/outages", body)));
    let mut text = Vec::new();
    let mut piece = [0; 1000];
    let mut lines = 0;
    while lines < 100 {
        let read = stdout.read(&mut piece).expect("stdout");
        lines += piece[..read].split(|byte| *byte == b'\n').count() - 1;
        text.extend_from_slice(&piece[..read]);
    }
    let answer = client.join().expect("the client");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"accepted":100}"#));
    assert_eq!(devices(&String::from_utf8(text).expect("text")).len(), 100);
    function.end();
}

#[test]
fn without_a_reader_the_handler_exits_so_that_the_host_restarts_it() {
    let mut function = Process::start_with(&[]);
    drop(function.take_stdout());
    // The response may or may not arrive before the exit; it must not be a success.
    let mut client = function.connect();
    client.send(&bare("GET", "/api/ping")).expect("a request sent");
    if let Ok(answer) = client.try_receive(true) {
        assert_eq!(answer.status, 503);
    }
    let (status, _, errors) = function.wait();
    assert_eq!((status.code(), errors.as_str()), (Some(1), ""));
}

#[test]
fn the_library_returns_the_reason_for_its_end() {
    let (function, stdout) = InProcess::start(ServerLimits::default());
    drop(stdout);
    let mut client = function.connect();
    client.send(&bare("GET", "/api/ping")).expect("a request sent");
    assert_eq!(function.wait().to_string(), "cannot write to stdout");
}

#[test]
fn stdout_may_be_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lines");
    let function = (0..20)
        .find_map(|_| {
            let file = File::create(&path).expect("a file");
            Process::start_on(free_port(), Command::new(BINARY).env_clear(), file.into())
        })
        .expect("the handler becomes ready");
    assert_eq!(once(function.port, &note(7, 10)).status, 200);
    function.end();
    assert_eq!(devices(&fs::read_to_string(&path).expect("text")), ["7"]);
}
