//! Requests on the wire and the outcomes of answers, over real sockets.

use std::{
    io::Write,
    net::Ipv4Addr,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use ispmon_testing::{
    certificates::{self, Authority},
    server::{OK, PATIENCE, TestServer, read_until_closed, write_repeatedly},
};
use rustls::HandshakeKind::{Full, Resumed};

use super::*;
use crate::{
    config::settings::FunctionKey,
    heartbeat::tests::{Roots, client, settings},
};

async fn send(client: &CloudClient) -> HeartbeatOutcome {
    client.send(AgentState::Running, Duration::ZERO, PATIENCE).await
}

fn with_key(url: &str) -> HeartbeatSettings {
    HeartbeatSettings { key: Some(FunctionKey::new("k3y".to_owned())), ..settings(url) }
}

fn plain(url: &str, method: HeartbeatMethod) -> HeartbeatSettings {
    HeartbeatSettings {
        kind: HeartbeatKind::Plain,
        method,
        url: Some(HeartbeatUrl::new(url.parse().expect("a URL"), true)),
        ..with_key(url)
    }
}

/// The request with its headers in alphabetical order, and placeholders for values that differ between runs.
fn normal(request: &str, server: &TestServer) -> String {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    format!("{}\n\n{body}", lines.join("\n"))
        .replace(&format!("content-length: {}\n", body.len()), "content-length: OF THE BODY\n")
        .replace(&server.port().to_string(), "PORT")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[tokio::test]
async fn a_heartbeat_is_one_post_with_a_length_and_the_key() {
    let server = TestServer::answering(OK);
    let client = client(&with_key(&server.url("/api/ping")), Roots::None, None);
    let outcome = client.send(AgentState::Stopping, Duration::from_mins(30), PATIENCE).await;
    assert!(matches!(outcome, HeartbeatOutcome::Delivered { .. }), "{outcome}");
    let request = normal(&server.requests()[0], &server);
    insta::assert_snapshot!(request, @r#"
    POST /api/ping HTTP/1.1
    accept: */*
    connection: close
    content-length: OF THE BODY
    content-type: application/json
    host: 127.0.0.1:PORT
    user-agent: ispmon-agent/VERSION
    x-functions-key: k3y

    {"device":"dl-home","agent":{"version":"VERSION","boot":"b00t","seq":1,"state":"stopping","quiet_s":1800}}
    "#);
}

#[tokio::test]
async fn an_announced_silence_needs_no_name_server() {
    let server = TestServer::answering(OK);
    let is_stopped = Arc::new(AtomicBool::new(false));
    // The lookup hangs until the test drops the sender.
    let (_release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let look_up = {
        let is_stopped = Arc::clone(&is_stopped);
        move |_: &str| {
            if is_stopped.load(Ordering::Relaxed) {
                let _ = released.lock().expect("not poisoned").recv();
            }
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        }
    };
    let resolver = Arc::new(Resolver::with(look_up, PATIENCE));
    let settings = settings(&format!("http://function.test:{}/api/ping", server.port()));
    let tls = tls::client_config(None).expect("a TLS configuration");
    let client =
        CloudClient::assemble(&settings, "dl-home", "b00t", None, tls, resolver).expect("a client");
    assert!(send(&client).await.is_delivered());
    is_stopped.store(true, Ordering::Relaxed);
    let limit = Duration::from_millis(900);
    for (state, is_delivered) in [(AgentState::Running, false), (AgentState::Stopping, true)] {
        let outcome = client.send(state, Duration::ZERO, limit).await;
        assert_eq!(outcome.is_delivered(), is_delivered, "{state:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn outages_are_posted_beside_the_heartbeat_url() {
    let server =
        TestServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"accepted\":1}");
    let client = client(&with_key(&server.url("/api/ping")), Roots::None, None);
    let incident = ReportedIncident {
        id: "01936f3e-0000-7000-8000-000000000001".parse().expect("an id"),
        kind: ispmon_wire::IncidentKind::Incident,
        cause: "isp".to_owned(),
        party: Some("provider".to_owned()),
        scope: None,
        started: "2026-03-29T02:10:07Z".parse().expect("a time"),
        ended: "2026-03-29T02:30:10Z".parse().expect("a time"),
        downtime_s: 1_203,
        one_family_s: 0,
        segments: Vec::new(),
    };
    let outcome = client.hand_over(None, vec![incident], PATIENCE).await;
    let outcome = outcome.expect("an endpoint that takes outages");
    assert!(outcome.is_delivered(), "{outcome}");
    insta::assert_snapshot!(normal(&server.requests()[0], &server), @r#"
    POST /api/outages HTTP/1.1
    accept: */*
    connection: close
    content-length: OF THE BODY
    content-type: application/json
    host: 127.0.0.1:PORT
    user-agent: ispmon-agent/VERSION
    x-functions-key: k3y

    {"device":"dl-home","incidents":[{"id":"01936f3e-0000-7000-8000-000000000001","kind":"incident","cause":"isp","party":"provider","started":"2026-03-29T02:10:07Z","ended":"2026-03-29T02:30:10Z","downtime_s":1203}]}
    "#);
}

#[tokio::test]
async fn a_plain_endpoint_takes_no_outages() {
    let server = TestServer::answering(OK);
    let client = client(&plain(&server.url("/x"), HeartbeatMethod::Get), Roots::None, None);
    assert_eq!(client.hand_over(None, Vec::new(), PATIENCE).await, None);
}

#[tokio::test]
async fn a_plain_heartbeat_requests_the_url_and_sends_nothing_else() {
    let server = TestServer::answering(OK);
    let url = server.url("/ping/s3cret?x=1");
    for method in [HeartbeatMethod::Get, HeartbeatMethod::Post] {
        let outcome = send(&client(&plain(&url, method), Roots::None, None)).await;
        assert!(matches!(outcome, HeartbeatOutcome::Delivered { .. }), "{outcome}");
    }
    let requests = server.requests();
    insta::assert_snapshot!(normal(&requests[0], &server), @"
    GET /ping/s3cret?x=1 HTTP/1.1
    accept: */*
    connection: close
    host: 127.0.0.1:PORT
    user-agent: ispmon-agent/VERSION
    ");
    insta::assert_snapshot!(normal(&requests[1], &server), @"
    POST /ping/s3cret?x=1 HTTP/1.1
    accept: */*
    connection: close
    content-length: OF THE BODY
    host: 127.0.0.1:PORT
    user-agent: ispmon-agent/VERSION
    ");
}

#[tokio::test]
async fn the_path_of_a_plain_heartbeat_is_in_no_sentence() {
    for answer in ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "garbage\r\n\r\n", ""] {
        let server = TestServer::answering(answer);
        let client =
            client(&plain(&server.url("/s3cret"), HeartbeatMethod::Get), Roots::None, None);
        let outcome = send(&client).await;
        assert!(!outcome.to_string().contains("s3cret"), "{outcome}");
        assert!(!format!("{outcome:?}").contains("s3cret"), "{outcome:?}");
    }
}

#[test]
fn debug_of_a_client_shows_no_secret() {
    let proxy = |name: &str| (name == "http_proxy").then(|| "http://me:s3cret@proxy".to_owned());
    let settings = plain("http://hc.example/s3cret?token=s3cret", HeartbeatMethod::Get);
    let url = settings.url.as_ref().expect("a URL").expose();
    let proxy = proxy::choose(url, proxy).expect("a readable address").expect("a proxy");
    for settings in [settings, with_key("http://func.example/")] {
        let printed = format!("{:?}", client(&settings, Roots::None, Some(&proxy)));
        assert!(!printed.contains("s3cret") && !printed.contains("k3y"), "{printed}");
    }
}

#[tokio::test]
async fn every_heartbeat_opens_a_new_connection() {
    let server = TestServer::with(|connection, _| {
        connection.write_all(OK.as_bytes())?;
        // The server keeps the connection open for another request.
        read_until_closed(connection)
    });
    let client = client(&settings(&server.url("/")), Roots::None, None);
    for _ in 0..3 {
        assert!(matches!(send(&client).await, HeartbeatOutcome::Delivered { .. }));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn the_answers_headers_are_parsed() {
    let server = TestServer::answering(
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-ispmon-client-ip: 2001:db8::7\r\n\
         x-ispmon-expected: no\r\nContent-Length: 2\r\n\r\nok",
    );
    let HeartbeatOutcome::Delivered { client_address, expected, date, .. } =
        send(&client(&settings(&server.url("/")), Roots::None, None)).await
    else {
        panic!("a 200")
    };
    assert_eq!(client_address, "2001:db8::7".parse().ok());
    assert_eq!(expected, Some(false));
    assert_eq!(date, None, "the answer is no proof");
}

#[tokio::test]
async fn a_plain_heartbeat_ignores_the_functions_headers() {
    let server = TestServer::answering(
        "HTTP/1.1 204 No Content\r\nx-ispmon-client-ip: 192.0.2.1\r\nx-ispmon-expected: no\r\n\r\n",
    );
    let client = client(&plain(&server.url("/"), HeartbeatMethod::Get), Roots::None, None);
    let HeartbeatOutcome::Delivered { client_address, expected, .. } = send(&client).await else {
        panic!("a 204")
    };
    assert_eq!((client_address, expected), (None, None));
}

#[tokio::test]
async fn every_other_status_is_a_refusal_and_redirects_are_not_followed() {
    let target = TestServer::answering(OK);
    for (line, wanted) in [
        (format!("302 Found\r\nLocation: {}", target.url("/")), (302, None)),
        (format!("307 Temporary Redirect\r\nLocation: {}", target.url("/")), (307, None)),
        ("401 Unauthorized".to_owned(), (401, None)),
        ("429 Too Many Requests\r\nRetry-After: 120".to_owned(), (429, Some(120))),
        (
            "503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Retry-After: Sun, 06 Nov 1994 08:51:37 GMT"
                .to_owned(),
            (503, Some(120)),
        ),
        ("500 Internal Server Error".to_owned(), (500, None)),
    ] {
        let server = TestServer::answering(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
        let outcome = send(&client(&settings(&server.url("/")), Roots::None, None)).await;
        let HeartbeatOutcome::Refused { status, retry_after, .. } = outcome else {
            panic!("{outcome}")
        };
        assert_eq!((status, retry_after.map(|wait| wait.as_secs())), wanted);
    }
    assert_eq!(target.connections(), 0);
}

fn expecting(url: &str, expect: &str) -> HeartbeatSettings {
    HeartbeatSettings { expect: Some(expect.to_owned()), ..plain(url, HeartbeatMethod::Get) }
}

fn answering(body: &str) -> TestServer {
    TestServer::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test]
async fn only_the_expected_answer_is_a_delivery() {
    type Settings = fn(&str) -> HeartbeatSettings;
    let function: Settings = settings;
    let ok: Settings = |url| expecting(url, "OK");
    let any: Settings = |url| plain(url, HeartbeatMethod::Get);
    let cases: [(Settings, &str, Option<&str>); 9] = [
        (function, "ok", None),
        (function, " ok\r\n", None),
        (function, "OK", Some("but \"OK\" in place of \"ok\"")),
        (function, "", Some("but empty in place of \"ok\"")),
        (function, "<html>Welcome to our Wi-Fi!</html>", Some("but \"<html>Welcome")),
        (ok, "OK\n", None),
        (ok, "OK (not found)", Some("but \"OK (not found)\" in place of \"OK\"")),
        (ok, "\u{1b}]0;title\u{7}OK", Some("but \"]0;titleOK\" in place of \"OK\"")),
        (any, "OK (not found)", None),
    ];
    for (settings, body, refusal) in cases {
        let server = answering(body);
        let outcome = send(&client(&settings(&server.url("/")), Roots::None, None)).await;
        assert_eq!(outcome.is_delivered(), refusal.is_none(), "{body:?}: {outcome}");
        let words = refusal.unwrap_or_default();
        assert!(outcome.to_string().contains(words), "{body:?}: {outcome}");
        assert_eq!(outcome.proof(), None, "any host can answer plain HTTP");
    }
}

#[tokio::test]
async fn an_endless_or_truncated_body_is_judged_by_its_beginning() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let endless = TestServer::with(move |connection, _| {
        connection.write_all(head.as_bytes())?;
        write_repeatedly(connection, b"20\r\n0123456789abcdef0123456789abcdef\r\n")
    });
    let torn = TestServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nok");
    let silent = TestServer::with(move |connection, _| {
        connection.write_all(head.as_bytes())?;
        read_until_closed(connection)
    });
    for server in [endless, torn, silent] {
        let outcome = send(&client(&settings(&server.url("/")), Roots::None, None)).await;
        assert!(matches!(outcome, HeartbeatOutcome::Refused { status: 200, .. }), "{outcome}");
        let any = plain(&server.url("/"), HeartbeatMethod::Get);
        let outcome = send(&client(&any, Roots::None, None)).await;
        assert!(outcome.is_delivered(), "without an expected text, the status decides: {outcome}");
    }
}

#[tokio::test]
async fn outages_are_delivered_if_the_function_accepts_as_many_as_were_sent() {
    for (body, is_taken) in [
        ("{\"accepted\":0}", true),
        ("{\"accepted\":1}", false),
        ("ok", false),
        ("<html>Welcome to our Wi-Fi!</html>", false),
    ] {
        let server = answering(body);
        let client = client(&with_key(&server.url("/api/ping")), Roots::None, None);
        let outcome = client.hand_over(None, Vec::new(), PATIENCE).await;
        let outcome = outcome.expect("an endpoint that takes outages");
        assert_eq!(outcome.is_delivered(), is_taken, "{body}: {outcome}");
    }
}

#[tokio::test]
async fn a_stopped_app_is_distinguished_from_a_wrong_key() {
    let page =
        "<html><title>Web App - Unavailable</title>Error 403 - This web app is stopped.</html>";
    for (body, advice) in [(page, "az functionapp start"), ("", "Check the function key")] {
        let server = TestServer::answering(format!(
            "HTTP/1.1 403 Site Disabled\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let outcome = send(&client(&settings(&server.url("/")), Roots::None, None)).await;
        assert!(outcome.advice().is_some_and(|words| words.contains(advice)), "{outcome}");
        assert_eq!(outcome.to_string().contains("the app is stopped"), !body.is_empty());
    }
}

/// The outcome of one heartbeat by TLS to which a server with this configuration sends `answer`.
async fn by_tls(
    authority: &Authority,
    configuration: Arc<rustls::ServerConfig>,
    answer: &str,
) -> HeartbeatOutcome {
    let answer = answer.to_owned();
    let server = TestServer::with_tls(configuration, move |connection, _| {
        connection.write_all(answer.as_bytes())
    });
    let settings = settings(&format!("https://localhost:{}/", server.port()));
    send(&client(&settings, Roots::Only(vec![authority.root()]), None)).await
}

#[tokio::test]
async fn every_answer_by_verified_tls_is_proof_whatever_its_content() {
    let authority = Authority::new("A");
    let date = "Date: Wed, 06 Jan 2027 08:49:37 GMT\r\n";
    for (answer, delivered) in [
        (format!("HTTP/1.1 200 OK\r\n{date}Content-Length: 2\r\n\r\nok"), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_owned(), false),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(), false),
    ] {
        let outcome = by_tls(&authority, authority.server("localhost", 2000..2100), &answer).await;
        assert_eq!(outcome.is_delivered(), delivered, "{outcome}");
        // It comes from this machine: it proves the server's identity, and nothing about the internet.
        assert_eq!(outcome.proof(), Some(NetworkPath::Nearby), "{outcome}");
        if let HeartbeatOutcome::Delivered { date, .. } = outcome {
            assert_eq!(date.map(jiff::Timestamp::as_second), Some(1_799_225_377));
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_proof_and_an_expired_one_is_not() {
    let authority = Authority::new("A");
    for (name, years, proof) in [
        ("localhost", 2100..2101, Some(NetworkPath::Nearby)),
        ("localhost", 2000..2001, None),
        ("portal.example", 2100..2101, None),
    ] {
        let outcome = by_tls(&authority, authority.server(name, years.clone()), OK).await;
        assert!(matches!(outcome, HeartbeatOutcome::Failed(_)), "{outcome}");
        assert_eq!(outcome.proof(), proof, "{name} {years:?}: {outcome}");
    }
    let other = Authority::new("B");
    let outcome = by_tls(&authority, other.server("localhost", 2100..2101), OK).await;
    assert_eq!(outcome.proof(), None, "{outcome}");
}

#[tokio::test]
async fn a_copied_certificate_proves_nothing() {
    let authority = Authority::new("A");
    for years in [2000..2100, 2100..2101] {
        let (certificate, _) = authority.certificate("localhost", years.clone());
        let (_, key) = authority.certificate("localhost", years);
        let configuration = certificates::server_with_key(certificate, &key);
        let outcome = by_tls(&authority, configuration, OK).await;
        assert!(matches!(outcome, HeartbeatOutcome::Failed(_)), "{outcome}");
        assert_eq!(outcome.proof(), None, "{outcome}");
    }
}

#[tokio::test]
async fn only_an_answer_is_proof() {
    let authority = Authority::new("A");
    let outcome = by_tls(&authority, authority.server("localhost", 2000..2100), "").await;
    assert!(matches!(outcome, HeartbeatOutcome::Failed(_)), "{outcome}");
    assert_eq!(outcome.proof(), None);
}

#[tokio::test]
async fn heartbeats_to_a_trusted_server_resume_the_tls_session() {
    let authority = Authority::new("A");
    let resumed = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&resumed);
    let configuration = authority.server("localhost", 2000..2100);
    // `TestServer` hides the TLS connection and so its handshake kind; this server uses rustls directly.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let connection = rustls::ServerConnection::new(Arc::clone(&configuration));
            let connection = connection.expect("a connection");
            let mut stream = rustls::StreamOwned::new(connection, stream.expect("a stream"));
            let mut request = Vec::new();
            while !request.ends_with(b"}}") {
                let mut byte = [0];
                std::io::Read::read_exact(&mut stream, &mut byte).expect("a request");
                request.push(byte[0]);
            }
            // Before the answer, after which the test reads it.
            noted.lock().expect("not poisoned").push(stream.conn.handshake_kind());
            stream.write_all(OK.as_bytes()).expect("an answer");
        }
    });
    let settings = settings(&format!("https://localhost:{port}/api/ping"));
    let client = client(&settings, Roots::Only(vec![authority.root()]), None);
    for _ in 0..3 {
        let outcome = send(&client).await;
        assert!(matches!(outcome, HeartbeatOutcome::Delivered { .. }), "{outcome}");
    }
    assert_eq!(*resumed.lock().expect("not poisoned"), [Some(Full), Some(Resumed), Some(Resumed)]);
}

#[tokio::test]
async fn a_heartbeat_goes_by_tls_through_a_proxy() {
    let authority = Authority::new("A");
    let target =
        TestServer::with_tls(authority.server("func.example", 2000..2100), |connection, _| {
            connection.write_all(OK.as_bytes())
        });
    let port = target.port();
    // A proxy that forwards every CONNECT to the target.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let proxy_port = listener.local_addr().expect("its address").port();
    let serve = async {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::io::AsyncReadExt::read_u8(&mut client).await.expect("a head"));
        }
        let mut upstream =
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the target");
        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut client, established).await.expect("an answer");
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        String::from_utf8(head).expect("text")
    };
    let settings = with_key("https://func.example/api/ping");
    let url = settings.url.as_ref().expect("a URL").expose();
    let variable = |name: &str| {
        (name == "HTTPS_PROXY").then(|| format!("http://me:p%40ss@127.0.0.1:{proxy_port}"))
    };
    let proxy = proxy::choose(url, variable).expect("a proxy").expect("for this URL");
    let client = client(&settings, Roots::Only(vec![authority.root()]), Some(&proxy));
    let (outcome, head) = tokio::join!(send(&client), serve);
    assert!(matches!(outcome, HeartbeatOutcome::Delivered { .. }), "{outcome}");
    let head = head.to_lowercase();
    assert!(head.starts_with("connect func.example:443 http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6cebzcw=="), "me:p@ss, {head}");
    assert!(!head.contains("k3y"), "the proxy never sees the key: {head}");
    assert!(target.requests()[0].contains("x-functions-key: k3y"));
}

#[tokio::test]
async fn sequence_numbers_count_attempts() {
    let server = TestServer::with(|connection, count| match count {
        0 => Ok(()),
        _ => connection.write_all(OK.as_bytes()),
    });
    let client = client(&settings(&server.url("/")), Roots::None, None);
    assert!(matches!(send(&client).await, HeartbeatOutcome::Failed(_)));
    assert!(matches!(send(&client).await, HeartbeatOutcome::Delivered { .. }));
    assert!(server.requests()[1].contains("\"seq\":2"));
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_and_not_shown() {
    let key = Some(FunctionKey::new("s3cret\n".to_owned()));
    let settings = HeartbeatSettings { key, ..settings("http://127.0.0.1/") };
    let error = CloudClient::new(&settings, "dl-home", "", Arc::default()).expect_err("no header");
    assert!(matches!(error, ClientError::Key));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn without_a_url_there_is_no_client() {
    let settings = HeartbeatSettings { url: None, ..settings("http://127.0.0.1/") };
    assert!(matches!(CloudClient::new(&settings, "", "", Arc::default()), Err(ClientError::NoUrl)));
}

#[test]
fn debug_of_a_client_does_not_show_the_key() {
    let client = client(&with_key("http://127.0.0.1/"), Roots::None, None);
    assert!(!format!("{client:?}").contains("k3y"));
}
