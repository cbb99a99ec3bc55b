//! The stand-in for the Functions host, compared with recordings of the real host 4.1037, and its
//! lifecycle rules.
//!
//! The handler is a separate process: this test binary, started as the test `host::handler`.

mod handler;
mod lifecycle;
mod stage;
mod wire;

use std::collections::BTreeSet;

use ispmon_lab::telemetry::item::{Data, Severity, TelemetryItem};
use serde::Deserialize;
use serde_json::Value;
use stage::{Stage, Wanted};
use wire::Message;

const REQUESTS: &str = include_str!("../fixtures/functions-host/requests.jsonl");
const TELEMETRY: &str = include_str!("../fixtures/functions-host/telemetry.jsonl");

/// One recorded exchange: the bytes that the client sent, the handler received, and the client got.
#[derive(Deserialize)]
struct Recording {
    case: String,
    client_sent: String,
    handler_received: Option<String>,
    client_got: String,
}

fn recordings() -> Vec<Recording> {
    let recordings: Vec<_> =
        REQUESTS.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(recordings.len(), 19);
    recordings
}

fn recording(case: &str) -> Recording {
    recordings().into_iter().find(|recording| recording.case == case).expect(case)
}

const PING: &str = "GET /api/ping HTTP/1.1\r\nHost: h\r\nx-functions-key: hostkey\r\n";

/// A request that triggers an action of the handler.
fn perform(to_do: &str) -> String {
    format!("{PING}x-do: {to_do}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn every_recorded_exchange_is_reproduced() {
    let stage = Stage::set(Wanted::default()).await;
    for recording in recordings() {
        let case = &recording.case;
        stage.forget_received();
        let got = stage.exchange(recording.client_sent.as_bytes()).await;
        let recorded = Message::parse(recording.client_got.as_bytes());
        if case == "root" {
            // The page itself is Microsoft's and not copied: only its status and type are compared.
            assert_eq!(got.start, recorded.start);
            assert_eq!(got.header("content-type"), recorded.header("content-type"));
        } else {
            assert_eq!(got, recorded, "{case}: the client");
        }
        let expected = recording.handler_received.map(|bytes| Message::parse(bytes.as_bytes()));
        assert_eq!(stage.received(), expected, "{case}: the handler");
    }
}

#[tokio::test]
async fn the_readiness_request_has_only_a_host_header() {
    let stage = Stage::set(Wanted::default()).await;
    stage.exchange(perform("nothing").as_bytes()).await;
    let question = stage.readiness_question();
    assert_eq!(question.start, "GET / HTTP/1.1");
    let names: Vec<_> = question.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host"]);
}

#[tokio::test]
async fn the_front_end_appends_the_callers_address() {
    let stage = Stage::set(Wanted { front_end: true, ..Wanted::default() }).await;
    let mut connection = stage.connect().await;
    let own = connection.local_address();
    let sent = recording("two X-Forwarded-For").client_sent;
    connection.exchange(sent.as_bytes()).await;
    let received = stage.received().expect("the handler received a request");
    let expected = format!("203.0.113.9, 10.0.0.1:80, [2001:db8::7]:443, {own}");
    assert_eq!(received.header("x-forwarded-for"), Some(expected.as_str()));
}

#[tokio::test]
async fn every_kind_of_key_opens_its_endpoints() {
    let stage = Stage::set(Wanted::default()).await;
    for (function, key, status) in [
        ("ping", "hostkey", 200),
        ("ping", "pingkey", 200),
        ("ping", "masterkey", 200),
        ("outages", "pingkey", 401),
        ("outages", "hostkey", 200),
        ("ping", "", 401),
    ] {
        let method = if function == "ping" { "GET" } else { "POST" };
        let end = "Host: h\r\nContent-Length: 0\r\nConnection: close\r\n";
        let header =
            format!("{method} /api/{function} HTTP/1.1\r\nx-functions-key: {key}\r\n{end}\r\n");
        let query = format!("{method} /api/{function}?code={key} HTTP/1.1\r\n{end}\r\n");
        for request in [header, query] {
            assert_eq!(stage.exchange(request.as_bytes()).await.status(), status, "{request}");
        }
    }
}

#[tokio::test]
async fn a_clients_host_headers_are_joined_and_bodies_are_byte_exact() {
    let stage = Stage::set(Wanted::default()).await;
    let body: Vec<u8> = (0..300_000_u32).map(|number| (number * 31 % 251) as u8).collect();
    let mut request = format!(
        "POST /api/ping HTTP/1.1\r\nHost: h\r\nx-functions-key: hostkey\r\nX-Azure-Functions-HostVersion: evil\r\nX-Azure-Functions-InvocationId: evil\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(&body);
    assert_eq!(stage.exchange(&request).await.status(), 200);
    let received = stage.received().expect("the handler received a request");
    assert!(received.body == body, "the body differs");
    let version = received.header("x-azure-functions-hostversion");
    assert_eq!(version, Some("evil, 4.1037.0.0"));
    let id = received.header("x-azure-functions-invocationid");
    assert_eq!(id, Some("evil, <id>"));
}

#[tokio::test]
async fn a_connection_serves_several_requests() {
    let stage = Stage::set(Wanted::default()).await;
    let mut connection = stage.connect().await;
    for _ in 0..3 {
        let answer = connection.exchange(format!("{PING}\r\n").as_bytes()).await;
        assert_eq!((answer.status(), answer.body.as_slice()), (200, b"ok".as_slice()));
        assert_eq!(answer.header("connection"), None);
    }
}

#[tokio::test]
async fn the_handler_has_only_the_hosts_environment() {
    let stage = Stage::set(Wanted::default()).await;
    stage.exchange(perform("nothing").as_bytes()).await;
    let (folder, environment) = stage.surroundings();
    let names: Vec<_> = environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "FUNCTIONS_APP_ROOT_PATH",
            "FUNCTIONS_CUSTOMHANDLER_PORT",
            "FUNCTIONS_CUSTOMHANDLER_WORKER_ID",
            "FUNCTIONS_HTTPWORKER_ID",
            "FUNCTIONS_HTTPWORKER_PORT",
            "TEST_FOLDER",
            "TEST_START",
        ]
    );
    assert_eq!(
        environment["FUNCTIONS_CUSTOMHANDLER_PORT"],
        environment["FUNCTIONS_HTTPWORKER_PORT"]
    );
    assert_eq!(folder, stage.app().canonicalize().expect("the app folder"));
}

/// Collects the paths of all keys of a JSON value.
fn keys(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Value::Object(object) = value {
        for (key, value) in object {
            let path = format!("{path}/{key}");
            keys.insert(path.clone());
            self::keys(value, &path, keys);
        }
    }
}

fn shape(item: &Value) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    keys(item, "", &mut paths);
    paths
}

fn recorded_shape(category: &str) -> BTreeSet<String> {
    let items = TELEMETRY.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let pointer = "/data/baseData/properties/Category";
    let item = items.into_iter().find(|item| item.pointer(pointer) == Some(&category.into()));
    shape(&item.expect(category))
}

#[tokio::test]
async fn telemetry_has_the_recorded_shape() {
    let stage = Stage::set(Wanted::default()).await;
    stage.exchange(recording("plain GET").client_sent.as_bytes()).await;
    let request = stage.telemetry(|item| matches!(item.data, Data::RequestData(_))).await;
    let shown = serde_json::to_value(&request).expect("JSON");
    assert_eq!(shape(&shown), recorded_shape("Host.Results"));
    let Data::RequestData(data) = &request.data else { unreachable!() };
    assert_eq!(
        (data.name.as_str(), data.success, data.response_code.as_str()),
        ("Ping", true, "200")
    );
    assert_eq!(data.url, "http://ispmon-x.azurewebsites.net/api/ping");
    assert_eq!(data.properties["FullName"], "Functions.Ping");

    let line = handler::LINE;
    let trace = stage.trace(line).await;
    let shown = serde_json::to_value(&trace).expect("JSON");
    assert_eq!(shape(&shown), recorded_shape("Host.Function.Console"));
    let Data::MessageData(data) = &trace.data else { unreachable!() };
    assert_eq!(data.message, line);
    assert_eq!(data.properties["prop__{OriginalFormat}"], line);
    assert_eq!(data.severity, Severity::Information);
}

#[tokio::test]
async fn keys_in_the_query_reach_no_telemetry() {
    let stage = Stage::set(Wanted::default()).await;
    stage.exchange(recording("GET with code in the query").client_sent.as_bytes()).await;
    stage.telemetry(|item| matches!(item.data, Data::RequestData(_))).await;
    for item in stage.all_telemetry() {
        let shown = serde_json::to_string(&item).expect("JSON");
        assert!(!shown.contains("hostkey"), "{shown}");
    }
}

#[tokio::test]
async fn only_invocations_are_reported_and_their_success_is_not_the_status() {
    let stage = Stage::set(Wanted::default()).await;
    for case in ["no key", "PUT", "unknown path", "root"] {
        stage.exchange(recording(case).client_sent.as_bytes()).await;
    }
    assert_eq!(stage.exchange(perform("status 500").as_bytes()).await.status(), 500);
    stage.exchange(recording("POST chunked").client_sent.as_bytes()).await;
    let is_second =
        |item: &TelemetryItem| matches!(&item.data, Data::RequestData(data) if !data.success);
    stage.telemetry(is_second).await;
    let reported: Vec<_> = stage
        .all_telemetry()
        .into_iter()
        .filter_map(|item| match item.data {
            Data::RequestData(data) => Some((data.success, data.response_code)),
            Data::MessageData(_) => None,
        })
        .collect();
    assert_eq!(reported, [(true, "500".to_owned()), (false, "500".to_owned())]);
}

#[tokio::test]
async fn stderr_becomes_errors_and_warnings() {
    let stage = Stage::set(Wanted::default()).await;
    for (line, severity) in
        [("all is lost", Severity::Error), ("WARNING: take care", Severity::Warning)]
    {
        stage.exchange(perform(&format!("stderr {line}")).as_bytes()).await;
        let trace = stage.trace(line).await;
        let Data::MessageData(data) = &trace.data else { unreachable!() };
        assert_eq!(data.severity, severity);
    }
}

/// The handler that the other tests start as a process; does nothing if no test started it.
#[test]
fn handler() {
    handler::run();
}
