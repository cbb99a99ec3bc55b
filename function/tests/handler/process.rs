//! Start, exit and robustness of the process.

use std::{
    env,
    ffi::OsString,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    process::{Command, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    http::{Client, bare, once, post},
    process::{self, Process, assert_flat, port_variable, run},
};

/// The message of the only log line of a failing start.
#[track_caller]
fn message(stdout: &str) -> String {
    let line = stdout.strip_suffix('\n').expect("a line");
    let line: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {stdout:?}"));
    assert_eq!(line["event"], "failure");
    line["message"].as_str().expect("a message").to_owned()
}

#[test]
fn a_start_without_the_host_s_port_names_the_missing_variable() {
    let (status, stdout, stderr) = run([]);
    assert_eq!((status.code(), stderr.as_str()), (Some(78), ""));
    assert_eq!(
        message(&stdout),
        "FUNCTIONS_CUSTOMHANDLER_PORT is not set; the Functions host sets it, by hand use a port from 1 to 65535"
    );
}

#[test]
fn an_invalid_port_is_named() {
    for port in ["", "x", "0", "-1", "65536", "80 80", "0x50"] {
        let (status, stdout, stderr) = run(port_variable(port));
        assert_eq!((status.code(), stderr.as_str()), (Some(78), ""), "{port:?}");
        assert_eq!(
            message(&stdout),
            format!("FUNCTIONS_CUSTOMHANDLER_PORT is {port:?}; it must be a port from 1 to 65535")
        );
    }
    let (status, stdout, _) = run(port_variable(OsString::from_vec(vec![b'8', 0xff])));
    assert_eq!(status.code(), Some(78));
    assert!(message(&stdout).contains(r"8\xFF"), "{stdout}");
}

#[test]
fn devices_that_are_not_utf_8_are_rejected() {
    let port = port_variable("1");
    let devices = ("EXPECTED_DEVICES", OsString::from_vec(vec![0xff]));
    let (status, stdout, stderr) = run(port.into_iter().chain([devices]));
    assert_eq!((status.code(), stderr.as_str()), (Some(78), ""));
    assert_eq!(
        message(&stdout),
        r#"EXPECTED_DEVICES is "\xFF"; it must be UTF-8 text, device names separated by commas"#
    );
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let (status, stdout, stderr) = run(port_variable(port.to_string()));
    assert_eq!((status.code(), stderr.as_str()), (Some(1), ""));
    let message = message(&stdout);
    let start =
        format!("cannot listen on 127.0.0.1:{port}, the port that the Functions host has chosen: ");
    assert!(message.starts_with(&start), "{message}");
}

/// The host treats exit status 0 as success and never restarts the handler.
#[test]
fn signals_kill_the_handler_and_the_status_is_never_0() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        // nohup(1), and a shell's `&`, start their programs with some signals ignored.
        if is_ignored(signal) {
            println!("SKIPPED: the parent of this test has it ignore signal {}", signal.as_raw());
            continue;
        }
        let function = Process::start();
        assert_eq!(once(function.port, &bare("GET", "/api/ping")).status, 200);
        function.signal(signal);
        let (status, lines, stderr) = function.wait();
        assert_eq!((status.code(), status.signal()), (None, Some(signal.as_raw())));
        assert_eq!(lines, [r#"{"event":"heartbeat","device":"unknown","key":"d:unknown"}"#]);
        assert_eq!(stderr, "");
    }
}

/// Whether this process, and thus every child, ignores a signal; `false` if the kernel does not report
/// it.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (signal.as_raw() - 1) != 0
}

/// The Functions host restarts a killed handler at once, on the same port.
#[test]
fn the_port_is_free_again_at_once() {
    let first = Process::start();
    let port = first.port;
    let mut client = Client::connect(port);
    assert_eq!(client.exchange(&bare("GET", "/api/ping")).status, 200);
    first.end();
    let mut command = Command::new(process::BINARY);
    let second = Process::start_on(port, command.env_clear(), Stdio::piped())
        .expect("the handler starts on the same port");
    assert_eq!(once(second.port, &bare("GET", "/")).status, 200);
    drop(client);
}

/// In the child process this test panics with the handler's hook installed; the parent checks the
/// output.
#[test]
fn a_panic_is_one_log_line_and_a_crash_for_the_host() {
    const ROLE: &str = "ISPMON_TEST_PANICS";
    if env::var_os(ROLE).is_some() {
        ispmon_function::install_panic_hook();
        // Ends the harness's unfinished line.
        println!();
        std::io::stdout().flush().expect("stdout");
        panic!("on purpose,\nwith a second line");
    }
    let (status, stdout, stderr) = process::run_command(
        Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "process::a_panic_is_one_log_line_and_a_crash_for_the_host"])
            .args(["--nocapture", "--test-threads=1"])
            .env(ROLE, "1"),
    );
    assert_eq!((status.code(), stderr.as_str()), (Some(1), ""));
    let line = stdout.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    let message = message(&format!("{line}\n"));
    assert!(message.starts_with("panicked at "), "{message}");
    assert!(message.ends_with(": on purpose,\nwith a second line"), "{message}");
}

#[test]
fn the_first_response_comes_soon_after_the_start() {
    let start = Instant::now();
    let function = Process::start();
    println!(
        "from start to first answer: {:?} (in this profile, on this machine)",
        start.elapsed()
    );
    function.end();
}

/// A random request, mostly invalid.
fn random_request(random: &mut fastrand::Rng) -> Vec<u8> {
    let method = *random
        .choice(&["GET", "POST", "POST", "POST", "HEAD", "PUT", "OPTIONS", "get", "\u{0}", "PRI"])
        .expect("one");
    let path = *random
        .choice(&[
            "/",
            "/api/ping",
            "/api/ping?x",
            "/API/outages/",
            "/api/outages",
            "/x",
            "",
            "\u{fc}",
        ])
        .expect("one");
    let body: Vec<u8> = match random.u8(..6) {
        0 => Vec::new(),
        1 => br#"{"device":"dl-home","note":"random"}"#.to_vec(),
        2 => format!(r#"{{"note":"{}"}}"#, "\u{2028}".repeat(random.usize(..30_000))).into_bytes(),
        3 => (0..random.usize(..2_000)).map(|_| random.u8(..)).collect(),
        4 => vec![b'['; random.usize(..80_000)],
        _ => br#"{"incidents":[{"id":1}]}"#.to_vec(),
    };
    let length = match random.u8(..8) {
        0 => random.u64(..),
        1 => random.u64(..100),
        _ => body.len() as u64,
    };
    let framing = match random.u8(..10) {
        0 => "Transfer-Encoding: chunked".to_owned(),
        1 => format!("Content-Length: {length}\r\nContent-Length: {}", random.u8(..)),
        _ => format!("Content-Length: {length}"),
    };
    let mut request =
        format!("{method} {path} HTTP/1.{}\r\nHost: h\r\n{framing}\r\n\r\n", random.u8(..3))
            .into_bytes();
    request.extend_from_slice(&body);
    if random.u8(..10) == 0 {
        request.truncate(random.usize(..=request.len()));
    }
    request
}

#[test]
fn ten_thousand_random_requests_neither_kill_it_nor_leak_memory() {
    let function = Process::start();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut warm = None;
    for number in 0..10_000 {
        if number == 2_000 {
            warm = function.resident_bytes();
        }
        let mut client = function.connect();
        // The handler may respond and close before it has received everything.
        let _ = client.send(&random_request(&mut random));
        client.finish_sending();
        client.wait_for_close();
        if number % 1_000 == 0 {
            let answer = once(function.port, &post("/api/ping", r#"{"device":"alive"}"#));
            assert_eq!(answer.status, 200);
        }
    }
    assert_flat(warm, function.resident_bytes());
    function.end();
}
