//! All kinds of responses, and none.

use std::{
    sync::{Mutex, mpsc::channel},
    time::Duration,
};

use ispmon_testing::{
    port::HeldPort,
    server::{OK, PATIENCE, TestServer, write_repeatedly},
};
use tokio::time::Instant;

use super::ping::{PingOutput, ping};
use crate::process::{Agent, Folder};

/// Pings a server with this response and asserts that the heartbeat counts as failed.
fn refused(answer: &str) -> PingOutput {
    let server = TestServer::answering(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n"));
    let pinged = ping(&server.url("/api/ping"), &[]);
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert_eq!(server.requests().len(), 1, "there is one attempt");
    pinged
}

#[test]
fn an_accepted_heartbeat_carries_the_key_and_exits_with_0() {
    let server = TestServer::answering(OK);
    let pinged = ping(&server.url("/api/ping"), &[]);
    assert_eq!(pinged.code, Some(0), "{pinged:?}");
    let request = &server.requests()[0];
    assert!(request.starts_with("POST /api/ping HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("x-functions-key: k3y\r\n"), "{request}");
    assert!(request.contains("\"device\":\"dl-home\""), "{request}");
    // Its sequence number must not count among those of a running agent.
    assert!(request.contains("\"boot\":\"\""), "{request}");
}

#[test]
fn refusals_are_reported_with_status_and_advice() {
    let unauthorized = refused("401 Unauthorized").errors;
    assert!(unauthorized.contains("the answer was 401 Unauthorized."), "{unauthorized}");
    assert!(unauthorized.contains("Check the function key"), "{unauthorized}");
    let busy = refused("429 Too Many Requests\r\nRetry-After: 90").errors;
    assert!(busy.contains("429 Too Many Requests, and asks to wait 1 min 30 s."), "{busy}");
    let broken = refused("500 Internal Server Error").errors;
    assert!(broken.contains("the answer was 500 Internal Server Error."), "{broken}");
}

#[test]
fn a_redirect_is_a_refusal() {
    let target = TestServer::answering(OK);
    let errors = refused(&format!("302 Found\r\nLocation: {}", target.url("/"))).errors;
    assert!(
        errors.contains("302 Found") && errors.contains("Redirects are not followed"),
        "{errors}"
    );
    assert_eq!(target.connections(), 0);
}

#[test]
fn a_refused_connection_is_reported() {
    let port = HeldPort::reserve();
    let address = port.address();
    let pinged = ping(&format!("http://{address}/api/ping"), &[]);
    assert_eq!(pinged.code, Some(1));
    assert!(pinged.errors.contains(&format!("{address} refused the connection.")), "{pinged:?}");
}

#[test]
fn a_hanging_server_times_out() {
    let server = TestServer::silent();
    let pinged = ping(&server.url("/"), &[("ISPMON_HEARTBEAT_TIMEOUT", "300ms")]);
    assert_eq!(pinged.code, Some(1));
    let expected = "accepted the connection but did not answer.";
    assert!(pinged.errors.contains(expected), "{pinged:?}");
}

#[test]
fn an_endless_body_is_not_read_to_its_end() {
    let server = TestServer::with(|connection, _| {
        connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        write_repeatedly(connection, b"10\r\n0123456789abcdef\r\n")
    });
    let pinged = ping(&server.url("/"), &[]);
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    assert!(pinged.errors.contains("…\" in place of \"ok\"."), "{pinged:?}");
    let plain = [("ISPMON_HEARTBEAT_KIND", "plain"), ("ISPMON_HEARTBEAT_KEY_FILE", "")];
    assert_eq!(ping(&server.url("/"), &plain).code, Some(0), "any body is accepted");
}

fn answering(status: &str, body: &str) -> TestServer {
    let length = body.len();
    TestServer::answering(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

#[test]
fn a_login_page_does_not_count_as_delivery() {
    let page = "<html>\u{1b}]0;owned\u{7}<title>Please log in</title></html>";
    let pinged = ping(&answering("200 OK", page).url("/api/ping"), &[]);
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    let expected =
        "200 OK, but \"<html>]0;owned<title>Please log in</title></html>\" in place of \"ok\".";
    assert!(pinged.errors.contains(expected), "{pinged:?}");
}

#[test]
fn an_unexpected_body_from_a_plain_endpoint_is_a_failure() {
    for (expect, code) in [("", 0), ("OK", 1)] {
        let server = answering("200 OK", "OK (not found)");
        let plain = [
            ("ISPMON_HEARTBEAT_KIND", "plain"),
            ("ISPMON_HEARTBEAT_KEY_FILE", ""),
            ("ISPMON_HEARTBEAT_EXPECT", expect),
        ];
        let pinged = ping(&server.url("/8a3f"), &plain);
        assert_eq!(pinged.code, Some(code), "{pinged:?}");
        let expected = "but \"OK (not found)\" in place of \"OK\". Check `heartbeat.url`";
        assert_eq!(pinged.errors.contains(expected), code == 1, "{pinged:?}");
    }
    let server = answering("200 OK", "OK");
    let plain = [
        ("ISPMON_HEARTBEAT_KIND", "plain"),
        ("ISPMON_HEARTBEAT_KEY_FILE", ""),
        ("ISPMON_HEARTBEAT_EXPECT", "OK"),
    ];
    assert_eq!(ping(&server.url("/8a3f"), &plain).code, Some(0));
}

#[test]
fn a_stopped_app_is_distinguished_from_a_wrong_key() {
    let page = "<title>Web App - Unavailable</title><h1>Error 403 - This web app is stopped.</h1>";
    let errors = ping(&answering("403 Site Disabled", page).url("/api/ping"), &[]).errors;
    assert!(errors.contains("403 Forbidden, because the app is stopped. Start it:"), "{errors}");
}

#[test]
fn a_response_that_is_not_http_is_reported() {
    let server = TestServer::answering("SSH-2.0-OpenSSH_9.6\r\n\r\n");
    let pinged = ping(&server.url("/"), &[]);
    assert_eq!(pinged.code, Some(1));
    assert!(pinged.errors.contains("is not HTTP."), "{pinged:?}");
}

#[test]
fn a_running_agent_obeys_retry_after() {
    let (sender, times) = channel();
    let sender = Mutex::new(sender);
    let server = TestServer::with(move |connection, _| {
        let _ = sender.lock().expect("not poisoned").send(Instant::now());
        let answer =
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
        connection.write_all(answer)
    });
    let folder = Folder::with(&format!(
        "device = \"dl-home\"\n[heartbeat]\nurl = \"{}\"\ninterval = \"1s\"\nbackoff_base = \"10ms\"\n",
        server.url("/")
    ));
    let _agent = folder.run();
    let [first, second] =
        [(); 2].map(|()| times.recv_timeout(PATIENCE).expect("the agent retries"));
    assert!(second - first >= Duration::from_secs(3), "{:?}", second - first);
}

#[test]
fn a_running_agent_retries_after_a_failure_and_logs_the_recovery() {
    let server = TestServer::with(|connection, count| match count {
        0..3 => Ok(()),
        _ => connection.write_all(OK.as_bytes()),
    });
    let folder = Folder::with(&format!(
        "device = \"dl-home\"\n[heartbeat]\nurl = \"{}\"\ninterval = \"1h\"\nbackoff_base = \"10ms\"\n\
         backoff_cap = \"20ms\"\n",
        server.url("/")
    ));
    let mut agent: Agent = folder.run();
    agent.wait_for_log("closed the connection before its answer was complete.");
    agent.wait_for_log("Heartbeats work again after 3 failed attempts");
}
