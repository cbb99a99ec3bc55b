//! `ispmon-lab up` as a user runs it: the binary with the real function, with requests by curl, Python
//! and raw bytes.

mod cloud;
mod noise;

use std::{fs, process::Command};

use cloud::{Cloud, KEY};
use rustix::process::{Signal, kill_process};

use crate::http::{Answer, Connection};

const BODY: &str = r#"{"device":"dl-home","note":"test ping"}"#;

fn assert_ok(answer: &Answer) {
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"ok".as_slice()));
    assert_eq!(answer.header("x-ispmon-client-ip"), Some("127.0.0.1"));
}

/// Runs a program; `None`, with a printed note, if it is not installed.
fn run(command: &mut Command) -> Option<std::process::Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("SKIPPED: {}: {error}\n", command.get_program().display()),
            );
            None
        }
    }
}

#[test]
fn the_documented_curl_command_gets_ok() {
    let cloud = Cloud::start(&[]);
    let url = cloud.url();
    let mut curl = Command::new("curl");
    curl.env_clear().args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--write-out",
        " %{http_code}",
    ]);
    curl.args(["-X", "POST", &url, "-H", &format!("x-functions-key: {KEY}"), "-d", BODY]);
    let Some(output) = run(&mut curl) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok 200", "{output:?}");
    assert!(cloud.wait_for("Heartbeat from dl-home").contains("note: test ping"));
}

#[test]
fn every_simple_client_gets_ok() {
    let cloud = Cloud::start(&[]);
    let mut connection = cloud.connect();
    let requests = [
        ("POST", String::new(), BODY),
        ("POST", "Content-Type: application/json\r\n".to_owned(), BODY),
        ("GET", String::new(), ""),
        ("POST", String::new(), ""),
        ("POST", "X-Device: from-header\r\n".to_owned(), ""),
        ("GET", "X-Device: from-header\r\n".to_owned(), ""),
    ];
    for (method, headers, body) in requests {
        let headers = format!("{headers}x-functions-key: {KEY}\r\n");
        assert_ok(&connection.exchange(method, "/api/ping", &headers, body.as_bytes()));
    }
    cloud.wait_for("Heartbeat from unknown");
    cloud.wait_for("Heartbeat from from-header");
    let headers = format!("x-functions-key: {KEY}\r\n");
    let head = connection.exchange("HEAD", "/api/ping", &headers, b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("2")));
    assert_ok(&connection.exchange("GET", &format!("/api/ping?code={KEY}"), "", b""));
}

#[test]
fn listed_devices_are_expected() {
    let cloud = Cloud::start(&["--device", "office", "--device", "dl-home"]);
    let mut connection = cloud.connect();
    for (device, expected) in [("Office", "yes"), ("dl-home", "yes"), ("other", "no")] {
        let headers = format!("x-functions-key: {KEY}\r\nX-Device: {device}\r\n");
        let answer = connection.exchange("GET", "/api/ping", &headers, b"");
        assert_eq!(answer.header("x-ispmon-expected"), Some(expected), "{device}");
    }
}

#[test]
fn invalid_requests_are_rejected_and_the_connection_stays_open() {
    let cloud = Cloud::start(&[]);
    let mut connection = cloud.connect();
    let key = format!("x-functions-key: {KEY}\r\n");
    let too_long = vec![b' '; 64 * 1024 + 1];
    let cases: [(&str, &str, &str, &[u8], u16); 8] = [
        ("GET", "/api/ping", "", b"", 401),
        ("GET", "/api/ping", "x-functions-key: wrong\r\n", b"", 401),
        ("PUT", "/api/ping", &key, b"x", 404),
        ("DELETE", "/api/ping", &key, b"", 404),
        ("GET", "/api/outages", &key, b"", 404),
        ("GET", "/api/nothing", &key, b"", 404),
        ("POST", "/api/ping", &key, b"{\"device\":", 400),
        ("POST", "/api/ping", &key, &too_long, 413),
    ];
    for (method, path, headers, body, status) in cases {
        let answer = connection.exchange(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}");
        if answer.header("connection") == Some("close") {
            assert!(connection.is_closed(), "{method} {path}: announced a close, but stays open");
            connection = cloud.connect();
        }
        assert_ok(&connection.exchange("GET", "/api/ping", &key, b""));
    }
    let limit = vec![b' '; 64 * 1024];
    assert_eq!(
        connection.exchange("POST", "/api/ping", &key, &limit).status,
        200,
        "only blanks: empty"
    );
    cloud.wait_for("GET /api/ping from 127.0.0.1: 401");
    cloud.wait_for("POST to Ping: the answer was 413");
}

#[test]
fn outages_are_accepted() {
    let cloud = Cloud::start(&[]);
    let headers = format!("x-functions-key: {KEY}\r\nContent-Type: application/json\r\n");
    let body = br#"{"device":"dl-home","incidents":[]}"#;
    let answer = cloud.connect().exchange("POST", "/api/outages", &headers, body);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, br#"{"accepted":0}"#);
    let body = br#"{"device":"dl-home","incidents":[{"id":"0198c0de-0000-7000-8000-000000000001",
        "kind":"incident","cause":"isp","started":"2026-03-01T11:45:07Z","ended":"2026-03-01T12:05:04Z"}]}"#;
    let answer = cloud.connect().exchange("POST", "/api/outages", &headers, body);
    assert_eq!(answer.body, br#"{"accepted":1}"#);
    let line = cloud.wait_for("Handed over by dl-home");
    assert!(line.contains("isp, 2026-03-01 11:45:07 to 12:05:04"), "{line}");
}

#[test]
fn python_clients_get_ok() {
    let cloud = Cloud::start(&[]);
    // A proxy from the environment must not capture loopback traffic.
    let clients = [
        ("requests", "session = requests.Session(); session.trust_env = False", "data"),
        ("httpx", "session = httpx.Client(trust_env=False)", "content"),
    ];
    for (library, session, raw) in clients {
        let probe = run(Command::new("python3").args(["-c", &format!("import {library}")]));
        if !probe.is_some_and(|output| output.status.success()) {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("SKIPPED: Python cannot import {library}\n"),
            );
            continue;
        }
        let script = format!(
            r#"
import os, {library}
url, headers = os.environ["URL"], {{"x-functions-key": os.environ["KEY"]}}
{session}
answers = [
    session.post(url, json={{"device": "python", "note": "{library}"}}, headers=headers),
    session.post(url, headers=headers),
    session.get(url, headers=headers),
    session.get(url, headers={{**headers, "X-Device": "python"}}),
    session.get(url, params={{"code": os.environ["KEY"]}}),
]
assert [(answer.status_code, answer.text) for answer in answers] == [(200, "ok")] * 5, answers
assert session.head(url, headers=headers).status_code == 200
assert session.post(url, headers=headers, {raw}=b"{{").status_code == 400
assert session.get(url).status_code == 401
"#
        );
        let mut python = Command::new("python3");
        let output = python.args(["-c", &script]).env("URL", cloud.url()).env("KEY", KEY).output();
        let output = output.expect("python3 ran a moment ago");
        assert!(output.status.success(), "{library}: {}", String::from_utf8_lossy(&output.stderr));
        cloud.wait_for(&format!("note: {library}"));
    }
}

#[test]
fn ten_thousand_random_requests_neither_kill_it_nor_leak_memory() {
    let cloud = Cloud::start(&[]);
    let mut random = fastrand::Rng::with_seed(4);
    let mut memory = Vec::new();
    for round in 0..10_000 {
        Connection::open(cloud.address()).send_and_drain(&noise::request(&mut random, KEY));
        if [2_000, 9_999].contains(&round) {
            memory.push(cloud.function_memory());
        }
    }
    let key = format!("x-functions-key: {KEY}\r\n");
    assert_ok(&cloud.connect().exchange("GET", "/api/ping", &key, b""));
    assert_eq!(cloud.lines_with("The function exited"), 0);
    assert_eq!(cloud.lines_with("The function was ended"), 0);
    if let [Some(before), Some(after)] = memory[..] {
        // Requests may be in flight at both measurements, and an allocator keeps freed memory; a leak
        // of half a kilobyte per request would exceed this.
        assert!(after <= before + 4 * 1024, "the function grew from {before} kB to {after} kB");
    } else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: memory is read in /proc, which this system does not have\n"),
        );
    }
}

#[test]
fn a_stop_is_clean_and_leaves_nothing_but_mails() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let cloud = Cloud::start(&[]);
        cloud.wait_for("The function is ready");
        let function = cloud.function();
        let ended = cloud.end(signal);
        assert!(ended.status.success(), "{signal:?}: {:?}", ended.status);
        assert_eq!(ended.stderr, "");
        if let Some(function) = function {
            assert!(cloud::is_gone(function), "the function is still running");
        }
        let left: Vec<_> = fs::read_dir(ended.temporary.path()).expect("a folder").collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(ended.home.path().join("mails").is_dir());
    }
}

#[test]
fn it_exits_with_the_reason_when_the_function_fails_for_the_third_time() {
    let cloud = Cloud::start(&[]);
    for round in 1..=3 {
        cloud.wait_for_lines("The function is ready", round);
        let Some(function) = cloud.function() else {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!(
                    "SKIPPED: the function is found in /proc, which this system does not have\n"
                ),
            );
            return;
        };
        kill_process(function, Signal::KILL).expect("the function is running");
    }
    let ended = cloud.wait();
    assert_eq!(ended.status.code(), Some(1));
    let reason = "the function failed for the third time: it was ended by signal 9";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
}

#[test]
fn a_key_from_a_file_is_neither_shown_nor_an_argument() {
    let cloud = Cloud::start(&[]);
    let shown = cloud.guide();
    assert!(!shown.contains(KEY), "{shown}");
    assert!(shown.contains("$(cat "), "{shown}");
}

#[test]
fn a_key_is_generated_if_there_is_none_and_the_printed_commands_work() {
    let cloud = Cloud::start_without_key();
    let guide = cloud.guide();
    let word = |before: &str| {
        let (_, rest) = guide.split_once(before).expect(before);
        rest.split(['\'', ' ', '\n']).next().expect("a word").to_owned()
    };
    let key = word("x-functions-key: ");
    assert_eq!(key.len(), 32, "{guide}");
    let headers = format!("x-functions-key: {key}\r\n");
    assert_ok(&cloud.connect().exchange("GET", "/api/ping", &headers, b""));
    let file = word("ISPMON_HEARTBEAT_KEY_FILE=");
    assert_eq!(fs::read_to_string(file).expect("the key file"), key);
}

#[test]
fn errors_are_reported() {
    let taken = Cloud::start(&[]);
    let address = taken.address().to_string();
    let ended = cloud::fail(&["--listen", &address]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains(&format!("cannot listen on {address}")), "{}", ended.stderr);

    let ended = cloud::fail(&["--key-file", "/nowhere/key"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("cannot read the key file /nowhere/key"), "{}", ended.stderr);

    let ended = cloud::fail(&["--device", "a,b"]);
    assert_eq!(ended.status.code(), Some(64));
}
