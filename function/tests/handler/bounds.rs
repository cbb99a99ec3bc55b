//! Slow, silent and many clients.

use std::{
    collections::VecDeque,
    io::{PipeReader, Read},
    process::Command,
    thread,
    time::Duration,
};

use ispmon_function::ServerLimits;

use crate::support::{
    PATIENCE,
    http::{Client, bare, once, post},
    in_process::InProcess,
    process::{BINARY, Process, assert_flat},
};

const SHORT: Duration = Duration::from_millis(100);

/// Starts the handler and reads its stdout, so that it never blocks.
fn start(limits: ServerLimits) -> InProcess {
    let (function, stdout) = InProcess::start(limits);
    thread::spawn(move || read_to_end(stdout));
    function
}

fn read_to_end(mut stdout: PipeReader) {
    let mut waste = [0; 4096];
    while stdout.read(&mut waste).is_ok_and(|read| read > 0) {}
}

#[test]
fn the_defaults_outlast_the_host_s_connection_pool() {
    // .NET closes an idle connection of its pool after one minute.
    assert!(ServerLimits::default().idle > Duration::from_mins(1));
}

#[test]
fn a_silent_connection_is_dropped() {
    let function = start(ServerLimits { idle: SHORT, ..ServerLimits::default() });
    function.connect().wait_for_close();
    // So is one that sends nothing after the first request.
    let mut client = function.connect();
    assert_eq!(client.exchange(&bare("GET", "/api/ping")).status, 200);
    client.wait_for_close();
}

#[test]
fn a_head_that_trickles_is_dropped() {
    let function = start(ServerLimits { head: SHORT, ..ServerLimits::default() });
    let mut client = function.connect();
    client.send(b"GET /api/ping HTTP/1.1\r\nX: ").expect("a beginning");
    // Each byte arrives in time, the whole head does not.
    let mut pieces = 0;
    while !client.is_closed() && client.send(b"x").is_ok() {
        thread::sleep(SHORT / 20);
        pieces += 1;
        assert!(pieces < 10_000, "the connection never ends");
    }
}

#[test]
fn a_body_that_trickles_is_refused() {
    let function = start(ServerLimits { body: SHORT, ..ServerLimits::default() });
    let mut client = function.connect();
    client
        .send(b"POST /api/ping HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n{")
        .expect("a beginning");
    let answer = client.receive();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (408, "The body did not arrive within 100ms.\n")
    );
    client.wait_for_close();
}

#[test]
fn a_client_that_never_reads_is_dropped() {
    let function = start(ServerLimits { answer: SHORT, ..ServerLimits::default() });
    let mut client = function.connect();
    let requests = bare("GET", "/nothing").repeat(1_000);
    // At some point the responses fill every buffer; then the handler stops reading, and the connection
    // has to end.
    let mut sent = 0;
    while client.send(&requests).is_ok() {
        sent += 1;
        assert!(sent < 100_000, "the connection never ends");
    }
}

/// If the handler stopped reading, the kernel would send a reset, which makes the client's writes fail
/// and may discard the response.
#[test]
fn a_client_that_still_sends_is_not_reset() {
    let function = start(ServerLimits { linger: PATIENCE, ..ServerLimits::default() });
    for (path, status) in [("/api/ping", 413), ("/api/outages", 413), ("/api/nothing", 404)] {
        let mut client = function.connect();
        let request = post(path, vec![b' '; 500_000]);
        let (first, rest) = request.split_at(100_000);
        assert_eq!(client.exchange(first).status, status);
        for piece in rest.chunks(1_000) {
            client.send(piece).expect("the rest sent");
        }
        client.wait_for_close();
    }
}

#[test]
fn a_client_that_does_not_close_after_connection_close_is_dropped() {
    let function = start(ServerLimits {
        linger: SHORT,
        connections: 1,
        idle_grace: PATIENCE,
        ..ServerLimits::default()
    });
    let mut stays = function.connect();
    let request = b"GET /api/ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(stays.exchange(request).status, 200);
    // Its slot becomes free although it keeps its end open.
    assert_eq!(once(function.port, &bare("GET", "/")).status, 200);
}

#[test]
fn the_longest_idle_connection_is_closed_for_a_new_one() {
    let function = start(ServerLimits {
        connections: 3,
        idle_grace: Duration::ZERO,
        ..ServerLimits::default()
    });
    let mut clients: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = function.connect();
            assert_eq!(client.exchange(&bare("GET", "/")).status, 200);
            client
        })
        .collect();
    // The first connection was used last.
    assert_eq!(clients[0].exchange(&bare("GET", "/")).status, 200);
    let mut newcomer = function.connect();
    assert_eq!(newcomer.exchange(&bare("GET", "/")).status, 200);
    clients[1].wait_for_close();
    for client in [0, 2] {
        assert_eq!(clients[client].exchange(&bare("GET", "/")).status, 200);
    }
}

#[test]
fn hanging_requests_are_closed_for_new_connections() {
    let function =
        start(ServerLimits { connections: 4, busy_grace: SHORT, ..ServerLimits::default() });
    let _hanging: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = function.connect();
            client
                .send(b"POST /api/ping HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
                .expect("a beginning");
            client
        })
        .collect();
    assert_eq!(once(function.port, &bare("GET", "/api/ping")).status, 200);
}

#[test]
fn many_large_bodies_at_once_are_all_read() {
    let function = start(ServerLimits::default());
    let port = function.port;
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let body = vec![b' '; 65_536];
            thread::spawn(move || once(port, &post("/api/ping", body)).status)
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().expect("a client"), 200);
    }
}

#[test]
fn a_flood_of_silent_connections_costs_little_and_does_not_block_others() {
    let function = Process::start();
    // More than the handler keeps, fewer than a process may have open on any system.
    let mut held: VecDeque<Client> = (0..160).map(|_| function.connect()).collect();
    let before = function.resident_bytes();
    for number in 0..10_000 {
        held.push_back(function.connect());
        held.pop_front();
        if number % 1_000 == 0 {
            assert_eq!(once(function.port, &bare("GET", "/api/ping")).status, 200);
        }
    }
    assert_flat(before, function.resident_bytes());
    function.end();
}

#[test]
fn without_descriptors_the_handler_waits_and_recovers() {
    let function = Process::start_command(|| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 24 && exec \"$0\"", BINARY]);
        command
    })
    .reading();
    let mut held: Vec<Client> = Vec::new();
    for number in 0..200 {
        held.push(function.connect());
        if number % 50 == 49 {
            assert_eq!(once(function.port, &bare("GET", "/api/ping")).status, 200);
        }
    }
    drop(held);
    assert_eq!(once(function.port, &bare("GET", "/api/ping")).status, 200);
    function.end();
}
