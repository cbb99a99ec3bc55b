//! Paths, methods, bodies and responses that the host's recordings do not cover.

use serde_json::json;

use crate::support::{
    http::{Answer, Client, bare, once, post},
    process::Process,
};

const TEXT: &str = "text/plain; charset=utf-8";

#[track_caller]
fn assert_sentence(answer: &Answer, status: u16, sentence: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, format!("{sentence}\n").as_str()));
    assert_eq!(answer.header("content-type"), Some(TEXT));
}

#[test]
fn paths_are_matched_as_the_host_forwards_them() {
    let function = Process::start();
    let mut client = function.connect();
    for path in [
        "/api/ping",
        "/api/ping/",
        "/API/PING",
        "/Api/Ping/?code=x",
        "/api/ping?",
        "/api/ping?a=/api/nothing#x",
        "http://127.0.0.1/api/ping",
    ] {
        let answer = client.exchange(&bare("GET", path));
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{path}");
        assert_eq!(
            function.line(),
            json!({"event": "heartbeat", "device": "unknown", "key": "d:unknown"}),
            "{path}"
        );
    }
    for path in [
        "/api",
        "/api/",
        "/ping",
        "/api//ping",
        "/api/ping//",
        "//api/ping",
        "/api/pings",
        "/api/pin",
        "/api/%70ing",
        "/api/ping/x",
        "/api/ping;x",
        "/API",
        "/?/api/ping/",
        "/robots.txt",
        "*",
    ] {
        let method = if path == "*" { "OPTIONS" } else { "GET" };
        let answer = client.exchange(&bare(method, path));
        if path.starts_with("/?") {
            assert_eq!((answer.status, answer.body.as_str()), (200, "ready"));
        } else {
            assert_sentence(
                &answer,
                404,
                "There is nothing here; heartbeats go to /api/ping, outages to /api/outages.",
            );
        }
    }
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn other_methods_are_rejected_and_the_allowed_ones_named() {
    let function = Process::start();
    let mut client = function.connect();
    for (path, allowed) in
        [("/api/ping", "GET, HEAD, POST"), ("/api/outages", "POST"), ("/", "GET, HEAD")]
    {
        for method in
            ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GET", "POST", "MADE-UP", "get"]
        {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = client.exchange(&bare(method, path));
            assert_sentence(&answer, 405, &format!("The method must be one of: {allowed}."));
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn a_connection_serves_many_requests_after_any_response() {
    let function = Process::start();
    let mut client = function.connect();
    for (request, status) in [
        (post("/api/ping", "{}"), 200),
        (post("/api/ping", "hello"), 400),
        (post("/api/nothing", "an unread body"), 404),
        (bare("DELETE", "/api/ping"), 405),
        (post("/api/outages", ""), 400),
        (bare("GET", "/"), 200),
        (post("/api/ping", ""), 200),
        (post("/api/outages", "{}"), 200),
    ] {
        assert_eq!(client.exchange(&request).status, status);
    }
    function.end();
}

#[test]
fn the_device_is_named_by_the_body_else_by_the_header() {
    let function = Process::start();
    let mut client = function.connect();
    for (header, body, device) in [
        ("from-header", r#"{"device":"from-body"}"#, "from-body"),
        ("from-header", "{}", "from-header"),
        ("from-header", "", "from-header"),
        ("  b\u{fc}ro  ", r#"{"device":" "}"#, "b\u{fc}ro"),
        ("", "{}", "unknown"),
    ] {
        let length = body.len();
        let request = format!(
            "POST /api/ping HTTP/1.1\r\nHost: h\r\nX-Device: {header}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        assert_eq!(client.exchange(request.as_bytes()).status, 200);
        assert_eq!(function.line()["device"], device);
    }
    // Invalid UTF-8.
    let answer = client.exchange(b"GET /api/ping HTTP/1.1\r\nHost: h\r\nX-Device: b\xfcro\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(function.line()["device"], "b\u{fffd}ro");
    function.end();
}

#[test]
fn all_fields_of_an_agent_are_in_its_log_line() {
    let function = Process::start();
    let body = json!({
        "device": "dl-home",
        "note": "any string",
        "agent": {"version": "0.1.0", "boot": "b7", "seq": 123, "state": "stopping", "quiet_s": 1800},
        "journal": {"seq": 41, "head": "ab12"},
        "link": {"probes": 12, "lost": 0, "rtt_ms": {"p50": 9.1, "p95": 22.4}},
        "from the future": true,
    });
    assert_eq!(once(function.port, &post("/api/ping", body.to_string())).status, 200);
    assert_eq!(
        function.line(),
        json!({
            "event": "heartbeat", "device": "dl-home", "key": "d:dl-home", "note": "any string",
            "seq": 123, "state": "stopping", "quiet_s": 1800, "version": "0.1.0", "boot": "b7",
            "journal": {"seq": 41, "head": "ab12"},
            "link": {"probes": 12, "lost": 0, "rtt_ms": {"p50": 9.1, "p95": 22.4}},
        })
    );
    function.end();
}

#[test]
fn any_note_is_one_log_line() {
    let function = Process::start();
    let mut client = function.connect();
    for (note, written) in [
        ("two\nlines\r\n", "twolines".to_owned()),
        ("separators \u{2028}\u{2029}\u{85}\u{b}\u{c}|", "separators \u{2028}\u{2029}|".to_owned()),
        ("\u{0}\u{1b}[31mred\u{7f}", "[31mred".to_owned()),
        (r#"","device":"forged","x":"{0}"#, r#"","device":"forged","x":"{0}"#.to_owned()),
        (&"\u{1f600}".repeat(16_000), "\u{1f600}".repeat(500)),
        (&"\n".repeat(32_000), String::new()),
    ] {
        let body = json!({"device": "d", "note": note}).to_string();
        assert_eq!(client.exchange(&post("/api/ping", body)).status, 200);
        let line = function.line();
        assert_eq!(line["device"], "d");
        assert_eq!(line["note"].as_str().unwrap_or_default(), written);
    }
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn a_report_becomes_one_log_line_per_incident() {
    let function = Process::start();
    let incident = |id: &str, kind: &str, downtime_s: u64| {
        json!({
            "id": id, "kind": kind, "cause": "isp", "party": "provider",
            "started": "2026-11-23T02:10:07Z", "ended": "2026-11-23T02:30:10Z",
            "downtime_s": downtime_s,
        })
    };
    let mut partial = incident("0190163d-8694-739b-aea5-966c26f8ad93", "incident", 903);
    partial["scope"] = "internet".into();
    partial["one_family_s"] = 300.into();
    partial["segments"] = json!([
        {"cause": "isp", "scope": "internet",
            "from": "2026-11-23T02:10:07Z", "to": "2026-11-23T02:25:10Z"},
        {"cause": "isp", "scope": "ipv6",
            "from": "2026-11-23T02:25:10Z", "to": "2026-11-23T02:30:10Z"},
    ]);
    let incidents = [
        incident("0190163d-8694-739b-aea5-966c26f8ad91", "incident", 1203),
        partial,
        incident("0190163d-8694-739b-aea5-966c26f8ad92", "gap", 0),
    ];
    let body = json!({
        "device": "dl-home", "journal": {"seq": 41, "head": "ab12"}, "incidents": incidents,
    });
    let answer = once(function.port, &post("/api/outages", body.to_string()));
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"accepted":3}"#));
    for (number, mut line) in incidents.into_iter().enumerate() {
        line["event"] = "outage".into();
        line["device"] = "dl-home".into();
        line["key"] = "d:dl-home".into();
        if number == 0 {
            line["journal"] = json!({"seq": 41, "head": "ab12"});
        }
        assert_eq!(function.line(), line);
    }
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn an_invalid_report_logs_nothing() {
    let function = Process::start();
    let good = json!({
        "id": "0190163d-8694-739b-aea5-966c26f8ad91", "kind": "incident", "cause": "isp",
        "started": "2026-11-23T02:10:07Z", "ended": "2026-11-23T02:30:10Z",
    });
    let mut bad = good.clone();
    bad["ended"] = "2026-11-23T02:00:00Z".into();
    let answer =
        once(function.port, &post("/api/outages", json!({"incidents": [good, bad]}).to_string()));
    assert_sentence(
        &answer,
        400,
        "Incident 0190163d-8694-739b-aea5-966c26f8ad91 ends before it starts.",
    );
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn a_body_of_64_kib_is_accepted_and_one_byte_more_is_rejected() {
    let function = Process::start();
    let body = |length: usize| {
        let mut body = br#"{"device":"big"}"#.to_vec();
        body.resize(length, b' ');
        body
    };
    let mut client = function.connect();
    assert_eq!(client.exchange(&post("/api/ping", body(65_536))).status, 200);
    assert_eq!(function.line()["device"], "big");
    let answer = client.exchange(&post("/api/ping", body(65_537)));
    assert_sentence(&answer, 413, "The body is longer than 65536 bytes.");
    assert_eq!(answer.header("connection"), Some("close"));
    client.wait_for_close();
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn a_chunked_body_is_read_and_bounded_too() {
    let function = Process::start();
    let chunked = |chunks: &[&str]| {
        let mut request =
            b"POST /api/ping HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in chunks {
            request.extend_from_slice(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
        }
        request.extend_from_slice(b"0\r\n\r\n");
        request
    };
    let mut client = function.connect();
    let answer = client.exchange(&chunked(&[r#"{"dev"#, r#"ice":"in-"#, r#"pieces"}"#]));
    assert_eq!(answer.status, 200);
    assert_eq!(function.line()["device"], "in-pieces");
    let kib = " ".repeat(1024);
    assert_eq!(client.exchange(&chunked(&vec![kib.as_str(); 64])).status, 200);
    assert_eq!(function.line()["device"], "unknown");
    let answer = client.exchange(&chunked(&vec![kib.as_str(); 65]));
    assert_sentence(&answer, 413, "The body is longer than 65536 bytes.");
    client.wait_for_close();
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn a_wrong_content_length_affects_only_its_sender() {
    let function = Process::start();
    // Shorter than its Content-Length, then the connection ends.
    let mut client = function.connect();
    client
        .send(b"POST /api/ping HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{}")
        .expect("a request sent");
    drop(client);
    // Longer than its Content-Length: the rest is parsed as the next request, and is invalid.
    let mut client = function.connect();
    let answer = client.exchange(
        b"POST /api/ping HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}{\"device\":1}\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(
        function.line(),
        json!({"event": "heartbeat", "device": "unknown", "key": "d:unknown"})
    );
    assert_eq!(client.receive().status, 400);
    client.wait_for_close();
    // Not a number, and a number that is too large.
    for length in ["x", "-1", "99999999999999999999999"] {
        let mut client = function.connect();
        let request =
            format!("POST /api/ping HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{{}}");
        assert_eq!(client.exchange(request.as_bytes()).status, 400, "{length}");
        client.wait_for_close();
    }
    // A head that is far too long.
    let mut client = function.connect();
    let request = format!("GET /api/ping HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    client.send(request.as_bytes()).expect("the whole request sent");
    assert_eq!(client.receive().status, 431);
    client.wait_for_close();
    function.assert_no_more_lines();
    function.end();
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    let function = Process::start();
    let mut client = function.connect();
    let head_with_expect = |length: usize| {
        format!(
            "POST /api/ping HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    client.send(head_with_expect(2).as_bytes()).expect("a head sent");
    let interim = client.try_receive(false).expect("an interim response");
    assert_eq!(interim.status, 100);
    assert_eq!(client.exchange(b"{}").status, 200);
    assert_eq!(client.exchange(head_with_expect(65_537).as_bytes()).status, 413);
    client.wait_for_close();
    function.end();
}

#[test]
fn the_response_header_shows_whether_the_device_has_an_alert_rule() {
    let names = " dl-home , B\u{dc}RO,,dl home,";
    let function = Process::start_with(&[("EXPECTED_DEVICES", names)]).reading();
    let mut client = Client::connect(function.port);
    for (device, expected) in [
        ("dl-home", "yes"),
        ("DL-Home ", "yes"),
        ("b\u{fc}ro", "yes"),
        ("Dl Home", "yes"),
        ("dl-hom", "no"),
        ("", "no"),
        ("dl-home,dl home", "no"),
    ] {
        let answer = client.exchange(&post("/api/ping", json!({"device": device}).to_string()));
        assert_eq!(answer.header("x-ispmon-expected"), Some(expected), "{device:?}");
    }
    let answer = client.exchange(b"GET /api/ping HTTP/1.1\r\nHost: h\r\nX-Device: DL-HOME\r\n\r\n");
    assert_eq!(answer.header("x-ispmon-expected"), Some("yes"));
    // Old scripts compare the whole body.
    let answer = client.exchange(b"GET /api/ping HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.body.as_str(), answer.header("x-ispmon-expected")), ("ok", Some("no")));
    function.end();
    for empty in ["", " , "] {
        let function = Process::start_with(&[("EXPECTED_DEVICES", empty)]).reading();
        let answer = once(function.port, &bare("GET", "/api/ping"));
        assert_eq!(answer.header("x-ispmon-expected"), None, "{empty:?}");
        function.end();
    }
}
