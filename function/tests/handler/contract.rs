//! The contract with the Functions host: the files deployed with the binary, and the host's requests.
//!
//! `fixtures/functions-host/requests.jsonl` was recorded with Functions host 4.1037 and a handler that
//! answered everything with 200: `handler_received` is what the host sends, byte for byte.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{
    http::Client,
    process::{BINARY, Process},
};

const RECORDING: &str = include_str!("../fixtures/functions-host/requests.jsonl");

/// Expected response and log lines for a recorded request.
struct Expected {
    status: u16,
    body: &'static str,
    client_address: Option<&'static str>,
    line: Option<Value>,
}

fn heartbeat(client_address: Option<&'static str>, line: Value) -> Expected {
    Expected { status: 200, body: "ok", client_address, line: Some(line) }
}

fn expected() -> BTreeMap<&'static str, Expected> {
    let nameless =
        || heartbeat(None, json!({"event": "heartbeat", "device": "unknown", "key": "d:unknown"}));
    let test_ping =
        json!({"event": "heartbeat", "device": "dl-home", "key": "d:dl-home", "note": "test ping"});
    let with_address = |address: &str| {
        let mut line = test_ping.clone();
        line["ip"] = address.into();
        line
    };
    BTreeMap::from([
        ("plain GET", nameless()),
        ("GET with code in the query", nameless()),
        ("HEAD", nameless()),
        ("POST JSON", heartbeat(Some("198.51.100.23"), with_address("198.51.100.23"))),
        ("POST without body", nameless()),
        ("other case and trailing slash", nameless()),
        ("percent-encoded", nameless()),
        ("two X-Forwarded-For", heartbeat(Some("2001:db8::7"), with_address("2001:db8::7"))),
        (
            "body that is not JSON",
            Expected {
                status: 400,
                body: "The body is not a valid message: expected value at line 1 column 1. Send JSON in \
                       UTF-8 such as {\"device\":\"dl-home\"}, or nothing.\n",
                client_address: None,
                line: None,
            },
        ),
        ("gzip content-encoding", heartbeat(None, test_ping)),
        (
            "outages",
            Expected { status: 200, body: r#"{"accepted":0}"#, client_address: None, line: None },
        ),
    ])
}

#[test]
fn every_recorded_request_is_answered() {
    let function = Process::start();
    let mut expected = expected();
    for recorded in RECORDING.lines() {
        let recorded: Value = serde_json::from_str(recorded).expect("a recording");
        let case = recorded["case"].as_str().expect("a name");
        let Some(request) = recorded["handler_received"].as_str() else { continue };
        let expected = expected.remove(case).unwrap_or_else(|| panic!("{case} is not expected"));
        let mut client = Client::connect(function.port);
        client.send(request.as_bytes()).expect("a request sent");
        let answer = client.try_receive(!request.starts_with("HEAD")).expect("a response");
        assert_eq!(answer.status, expected.status, "{case}");
        if request.starts_with("HEAD") {
            assert_eq!(answer.header("content-length"), Some("2"), "{case}");
        } else {
            assert_eq!(answer.body, expected.body, "{case}");
        }
        let kind = if case == "outages" { "application/json" } else { "text/plain; charset=utf-8" };
        assert_eq!(answer.header("content-type"), Some(kind), "{case}");
        assert_eq!(answer.header("x-ispmon-client-ip"), expected.client_address, "{case}");
        assert_eq!(answer.header("x-ispmon-expected"), None, "{case}");
        // The host forwarded that the client closes the connection.
        client.wait_for_close();
        match expected.line {
            Some(line) => assert_eq!(function.line(), line, "{case}"),
            None => function.assert_no_more_lines(),
        }
    }
    assert_eq!(expected.keys().collect::<Vec<_>>(), Vec::<&&str>::new(), "not in the recording");
    function.end();
}

#[test]
fn readiness_requests_are_answered_and_are_no_heartbeat() {
    let function = Process::start();
    let mut client = function.connect();
    for _ in 0..3 {
        // The host's own readiness request: only a Host header.
        let answer = client.exchange(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:40000\r\n\r\n");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ready"));
    }
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn no_header_and_no_query_is_logged() {
    let function = Process::start();
    let mut client = function.connect();
    for target in ["/api/ping?code=SECRET&x=SECRET", "/api/outages?code=SECRET"] {
        let body = if target.contains("ping") { "{}" } else { r#"{"incidents":[]}"# };
        let length = body.len();
        let answer = client.exchange(
            format!(
                "POST {target} HTTP/1.1\r\nHost: SECRET\r\nx-functions-key: SECRET\r\nCookie: SECRET\r\n\
                 Authorization: Bearer SECRET\r\nUser-Agent: SECRET\r\nX-Forwarded-For: SECRET\r\n\
                 traceparent: SECRET\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        );
        assert_eq!(answer.status, 200);
        assert!(!answer.head.contains("SECRET") && !answer.body.contains("SECRET"), "{answer:?}");
    }
    assert_eq!(
        function.line(),
        json!({"event": "heartbeat", "device": "unknown", "key": "d:unknown"})
    );
    function.assert_no_more_lines();
    function.end();
}

fn file(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn host_json_starts_this_binary_and_keeps_every_line() {
    assert_eq!(
        file(include_str!("../../host.json")),
        json!({
            "version": "2.0",
            "logging": {
                "logLevel": {
                    "default": "Warning",
                    "Host.Results": "Information",
                    "Host.Function.Console": "Information",
                    "Host.Aggregator": "None",
                },
                "applicationInsights": {"samplingSettings": {"isEnabled": false}},
            },
            "customHandler": {
                "description": {"defaultExecutablePath": "ispmon-function"},
                "enableProxyingHttpRequest": true,
                "enableForwardingHttpRequest": true,
            },
        })
    );
    assert!(BINARY.ends_with("/ispmon-function"), "{BINARY}");
}

/// A function with exactly one HTTP trigger and one HTTP output is forwarded as it is; every other
/// one would be wrapped in an envelope (Azure Functions host, `IsHttpInAndOutFunction`).
#[test]
fn both_functions_accept_plain_http_and_require_a_key() {
    for (text, route, methods) in [
        (include_str!("../../Ping/function.json"), "ping", json!(["get", "head", "post"])),
        (include_str!("../../Outages/function.json"), "outages", json!(["post"])),
    ] {
        assert_eq!(
            file(text),
            json!({
                "bindings": [
                    {
                        "type": "httpTrigger", "direction": "in", "name": "req",
                        "authLevel": "function", "methods": methods, "route": route,
                    },
                    {"type": "http", "direction": "out", "name": "res"},
                ],
            })
        );
    }
}
