//! The table, case by case: by real sockets and certificates, and by constructed errors where these cannot
//! be provoked.

use std::io::Write;

use ispmon_testing::{
    certificates::Authority,
    port::HeldPort,
    server::{OK, TestServer, read_until_closed, write_repeatedly},
};
use rustls::{CertificateError, pki_types::CertificateDer};

use super::*;
use crate::{
    config::settings::HeartbeatSettings,
    heartbeat::{
        HeartbeatOutcome,
        proxy::{self, Proxy},
        tests::{Roots, client, peers, settings},
    },
    resolver::Resolver,
};

/// A limit that no operation on loopback reaches.
const AMPLE: Duration = Duration::from_mins(1);
/// A limit for operations that never complete.
const SHORT: Duration = Duration::from_millis(300);

async fn fail(url: &str, roots: Roots, proxy: Option<&Proxy>, limit: Duration) -> HeartbeatFailure {
    let client = client(&settings(url), roots, proxy);
    match client.send(ispmon_wire::AgentState::Running, Duration::ZERO, limit).await {
        HeartbeatOutcome::Failed(failure) => failure,
        outcome => panic!("{outcome}"),
    }
}

async fn fail_plainly(server: &TestServer, limit: Duration) -> HeartbeatFailure {
    fail(&server.url("/api/ping"), Roots::None, None, limit).await
}

async fn fail_tls(server: &TestServer, roots: Vec<CertificateDer<'static>>) -> HeartbeatFailure {
    fail(&format!("https://localhost:{}/", server.port()), Roots::Only(roots), None, AMPLE).await
}

/// The reason without the port, which differs from run to run.
fn reason(failure: &HeartbeatFailure, port: u16) -> String {
    failure.reason.replace(&port.to_string(), "PORT")
}

#[tokio::test]
async fn a_refused_connection() {
    let held = HeldPort::reserve();
    let port = held.address().port();
    let failure = fail(&format!("http://127.0.0.1:{port}/"), Roots::None, None, AMPLE).await;
    assert_eq!(failure.kind, FailureKind::ConnectRefused);
    insta::assert_snapshot!(reason(&failure, port), @"127.0.0.1:PORT refused the connection");
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let server = TestServer::silent();
    let failure = fail_plainly(&server, SHORT).await;
    assert_eq!(failure.kind, FailureKind::AnswerTimeout);
    insta::assert_snapshot!(reason(&failure, server.port()), @"127.0.0.1:PORT accepted the connection but did not answer");
}

#[tokio::test]
async fn a_server_that_never_finishes_the_handshake_times_out() {
    // The server speaks plain text, and waits for a line break that never comes.
    let server = TestServer::silent();
    let url = format!("https://localhost:{}/", server.port());
    let failure = fail(&url, Roots::None, None, SHORT).await;
    assert_eq!(failure.kind, FailureKind::TlsTimeout);
    assert!(failure.reason.contains("did not finish the TLS handshake"), "{}", failure.reason);
}

/// A listener at `address` whose backlog is full; the second value keeps it so.
async fn listener_with_full_backlog(address: &str) -> (std::net::SocketAddr, impl Sized + use<>) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(address.parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("its address");
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await
    {
        held.push(stream);
        assert!(held.len() < 100, "the backlog fills up");
    }
    (address, (listener, held))
}

#[tokio::test]
async fn a_host_with_a_dead_address_is_reached_at_its_other_one() {
    // A listener whose backlog is full ignores further attempts on Linux; elsewhere it may refuse.
    if !cfg!(target_os = "linux") {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: only Linux ignores connections to a full backlog\n"),
        );
        return;
    }
    let server = TestServer::answering(OK);
    let port = server.port();
    let (_, _held) = listener_with_full_backlog(&format!("127.0.0.2:{port}")).await;
    let addresses = || Ok(vec![[127, 0, 0, 2].into(), [127, 0, 0, 1].into()]);
    let client = crate::heartbeat::CloudClient::assemble(
        &HeartbeatSettings {
            timeout: Duration::ZERO,
            ..settings(&format!("http://func.example:{port}/api/ping"))
        },
        "dl-home",
        "",
        None,
        crate::heartbeat::tls::client_config(None).expect("a configuration"),
        Resolver::with(move |_| addresses(), AMPLE).into(),
    );
    let client = client.expect("a client");
    let outcome = client.send(ispmon_wire::AgentState::Running, Duration::ZERO, AMPLE).await;
    assert!(outcome.is_delivered(), "{outcome}");
}

#[tokio::test]
async fn an_unanswered_attempt_to_connect_times_out() {
    // A listener whose backlog is full ignores further attempts on Linux; elsewhere it may refuse.
    if !cfg!(target_os = "linux") {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: only Linux ignores connections to a full backlog\n"),
        );
        return;
    }
    let (address, _held) = listener_with_full_backlog("127.0.0.1:0").await;
    let failure = fail(&format!("http://{address}/"), Roots::None, None, SHORT).await;
    assert_eq!(failure.kind, FailureKind::ConnectTimeout);
    assert!(failure.reason.contains("did not answer the attempt to connect"), "{}", failure.reason);
}

#[tokio::test]
async fn a_failed_lookup_keeps_its_reason() {
    let case = async |error: fn(String) -> LookupError| {
        let look_up = move |name: &str| Err(error(name.to_owned()));
        let tls = crate::heartbeat::tls::client_config(None).expect("a configuration");
        let client = crate::heartbeat::CloudClient::assemble(
            &settings("http://func.example/api/ping"),
            "dl-home",
            "",
            None,
            tls,
            Resolver::with(look_up, AMPLE).into(),
        );
        let client = client.expect("a client");
        match client.send(ispmon_wire::AgentState::Running, Duration::ZERO, AMPLE).await {
            HeartbeatOutcome::Failed(failure) => failure,
            outcome => panic!("{outcome}"),
        }
    };
    let unknown = case(|name| LookupError::Unknown { name }).await;
    assert_eq!(unknown.kind, FailureKind::NameUnknown);
    insta::assert_snapshot!(unknown.reason, @"the name func.example does not exist");

    let temporary = case(|name| LookupError::Temporary { name, reason: "try again".into() }).await;
    assert_eq!(temporary.kind, FailureKind::ResolveFailed);
    insta::assert_snapshot!(temporary.reason, @"the name func.example cannot be looked up now (try again)");
}

#[tokio::test]
async fn a_hanging_lookup_times_out() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let look_up = move |name: &str| {
        let _ = held.lock().expect("not poisoned").recv();
        Err(LookupError::Unknown { name: name.to_owned() })
    };
    let tls = crate::heartbeat::tls::client_config(None).expect("a configuration");
    let client = crate::heartbeat::CloudClient::assemble(
        &settings("https://func.example/api/ping"),
        "dl-home",
        "",
        None,
        tls,
        Resolver::with(look_up, AMPLE).into(),
    );
    let outcome = client
        .expect("a client")
        .send(ispmon_wire::AgentState::Running, Duration::ZERO, SHORT)
        .await;
    let HeartbeatOutcome::Failed(failure) = outcome else { panic!("{outcome}") };
    assert_eq!(failure.kind, FailureKind::ResolveTimeout);
    insta::assert_snapshot!(failure.reason, @"the name func.example cannot be looked up, because no name server answers");
    drop(release);
}

#[tokio::test]
async fn a_certificate_without_a_trusted_root_is_untrusted() {
    let server = TestServer::with_tls(
        Authority::new("A").server("localhost", 2000..2100),
        |connection, _| read_until_closed(connection),
    );
    // The last root has the name of the issuer, but another key.
    for roots in [vec![], vec![Authority::new("B").root()], vec![Authority::new("A").root()]] {
        let failure = fail_tls(&server, roots).await;
        assert_eq!(failure.kind, FailureKind::TlsUntrusted);
        assert_eq!(
            reason(&failure, server.port()),
            "the certificate of localhost:PORT is not signed by anybody whom this system trusts"
        );
    }
}

#[tokio::test]
async fn certificates_for_another_time_or_name_are_refused() {
    let authority = Authority::new("A");
    for (name, years, kind, words) in [
        (
            "localhost",
            2000..2001,
            FailureKind::TlsExpired,
            "expired on 2001-01-01 00:00:00 UTC (it is 20",
        ),
        (
            "localhost",
            2100..2101,
            FailureKind::TlsNotYetValid,
            "is not valid before 2100-01-01 00:00:00 UTC (it is 20",
        ),
        (
            "portal.example",
            2000..2100,
            FailureKind::TlsWrongName,
            "is for another host: portal.example",
        ),
    ] {
        let server = TestServer::with_tls(authority.server(name, years), |connection, _| {
            read_until_closed(connection)
        });
        let failure = fail_tls(&server, vec![authority.root()]).await;
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.reason.contains(words), "{failure}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_tls_fails_the_handshake() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let serve = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut stream = stream.into_std().expect("a socket");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        std::future::pending::<()>().await;
    };
    let url = format!("https://localhost:{port}/");
    tokio::select! {
        failure = fail(&url, Roots::None, None, AMPLE) => {
            assert_eq!(failure.kind, FailureKind::TlsHandshake);
            insta::assert_snapshot!(reason(&failure, port), @"what localhost:PORT answered is not TLS");
        }
        () = serve => {}
    }
}

#[tokio::test]
async fn a_server_that_closes_the_connection_in_the_handshake() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let serve = async {
        loop {
            drop(listener.accept().await.expect("a connection"));
        }
    };
    let url = format!("https://localhost:{port}/");
    tokio::select! {
        failure = fail(&url, Roots::None, None, AMPLE) => {
            assert_eq!(failure.kind, FailureKind::TlsHandshake, "{failure}");
            insta::assert_snapshot!(reason(&failure, port), @"localhost:PORT closed the connection in the middle of the TLS handshake");
        }
        () = serve => {}
    }
}

#[tokio::test]
async fn answers_that_are_incomplete_or_not_http() {
    for (answer, kind, words) in [
        ("", FailureKind::ConnectionClosed, "closed the connection before its answer was complete"),
        (
            "HTTP/1.1 200 OK\r\nContent-Le",
            FailureKind::ConnectionClosed,
            "closed the connection before its answer was complete",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", FailureKind::AnswerMalformed, "is not HTTP"),
        ("HTTP/1.1 2000 OK\r\n\r\n", FailureKind::AnswerMalformed, "is not HTTP"),
    ] {
        let server = TestServer::answering(answer);
        let failure = fail_plainly(&server, AMPLE).await;
        assert_eq!(failure.kind, kind, "{answer:?}: {failure}");
        assert!(failure.reason.contains(words), "{answer:?}: {failure}");
    }
}

#[tokio::test]
async fn an_endless_answer_head_is_malformed() {
    let server = TestServer::with(|connection, _| {
        connection.write_all(b"HTTP/1.1 200 OK\r\n")?;
        write_repeatedly(connection, b"x-more: and more\r\n")
    });
    let failure = fail_plainly(&server, AMPLE).await;
    assert_eq!(failure.kind, FailureKind::AnswerMalformed, "{failure}");
}

fn proxy_at(port: u16, credentials: &str) -> Proxy {
    let target = "https://func.example/api/ping".parse().expect("a URL");
    let address = format!("http://{credentials}127.0.0.1:{port}");
    let variable = |name: &str| (name == "https_proxy").then(|| address.clone());
    proxy::choose(&target, variable).expect("a proxy").expect("for this target")
}

#[tokio::test]
async fn proxies_that_refuse() {
    for (answer, words) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "asks for a user name and a password",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "was reached but would not connect further",
        ),
        ("", "was reached but would not connect further"),
    ] {
        let server = TestServer::answering(answer);
        let proxy = proxy_at(server.port(), "me:secret@");
        let failure = fail("https://func.example/api/ping", Roots::None, Some(&proxy), AMPLE).await;
        assert_eq!(failure.kind, FailureKind::ProxyRefused, "{failure}");
        assert!(failure.reason.contains(words), "{failure}");
        assert!(failure.reason.starts_with("the proxy http://127.0.0.1:"), "{failure}");
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_or_is_unreachable() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut held = HeldPort::reserve();
    let port = held.address().port();
    let listener = held.listen();
    listener.set_nonblocking(true).expect("a non-blocking socket");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let address = format!("socks5h://127.0.0.1:{port}");
    let target = "https://func.example/api/ping";
    let proxy = proxy::choose(&target.parse().expect("a URL"), |name| {
        (name == "ALL_PROXY").then(|| address.clone())
    });
    let proxy = proxy.expect("a proxy").expect("for this target");
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        // RFC 1928: version, one method, "no authentication"; then the request for a name and port.
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.expect("a greeting");
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.expect("a method");
        let mut request = [0; 4 + 1 + 12 + 2];
        stream.read_exact(&mut request).await.expect("a request");
        assert_eq!(&request[5..17], b"func.example", "the proxy looks the name up");
        // Reply 5 "connection refused", bound to 0.0.0.0:0.
        stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.expect("an answer");
        drop(listener);
    };
    let (failure, ()) = tokio::join!(fail(target, Roots::None, Some(&proxy), AMPLE), serve);
    assert_eq!(failure.kind, FailureKind::ProxyRefused);
    insta::assert_snapshot!(reason(&failure, port), @"the proxy socks5h://127.0.0.1:PORT was reached but would not connect further (connection refused)");

    let failure = fail(target, Roots::None, Some(&proxy), AMPLE).await;
    assert_eq!(failure.kind, FailureKind::ConnectFailed);
    insta::assert_snapshot!(reason(&failure, port), @"no connection to the proxy socks5h://127.0.0.1:PORT could be made");
}

#[tokio::test]
async fn an_unreachable_proxy() {
    let held = HeldPort::reserve();
    let port = held.address().port();
    let proxy = proxy_at(port, "");
    let failure = fail("https://func.example/", Roots::None, Some(&proxy), AMPLE).await;
    assert_eq!(failure.kind, FailureKind::ConnectRefused);
    insta::assert_snapshot!(reason(&failure, port), @"the proxy http://127.0.0.1:PORT refused the connection");
}

#[test]
fn io_errors_in_each_phase_have_a_kind() {
    use io::ErrorKind;

    let peers = peers("func.example");
    for (phase, error, kind) in [
        (
            HeartbeatPhase::Connecting,
            ErrorKind::NetworkUnreachable,
            FailureKind::NetworkUnreachable,
        ),
        (HeartbeatPhase::Connecting, ErrorKind::AddrNotAvailable, FailureKind::NetworkUnreachable),
        (HeartbeatPhase::Connecting, ErrorKind::HostUnreachable, FailureKind::HostUnreachable),
        (HeartbeatPhase::AwaitingAnswer, ErrorKind::HostUnreachable, FailureKind::HostUnreachable),
        (HeartbeatPhase::Connecting, ErrorKind::TimedOut, FailureKind::ConnectTimeout),
        (HeartbeatPhase::Connecting, ErrorKind::PermissionDenied, FailureKind::ConnectForbidden),
        (HeartbeatPhase::Connecting, ErrorKind::Other, FailureKind::ConnectFailed),
        (HeartbeatPhase::Connecting, ErrorKind::ConnectionReset, FailureKind::ConnectFailed),
        (HeartbeatPhase::TlsHandshake, ErrorKind::ConnectionReset, FailureKind::TlsHandshake),
        (HeartbeatPhase::AwaitingAnswer, ErrorKind::ConnectionReset, FailureKind::ConnectionClosed),
        (HeartbeatPhase::AwaitingAnswer, ErrorKind::TimedOut, FailureKind::AnswerTimeout),
        (HeartbeatPhase::AwaitingAnswer, ErrorKind::Other, FailureKind::Other),
    ] {
        let failure =
            HeartbeatFailure::from_error(&io::Error::from(error), phase, &peers, Duration::ZERO);
        assert_eq!(failure.kind, kind, "{phase:?} {error:?}");
        assert!(failure.reason.contains("func.example:443"), "{failure}");
    }
}

#[test]
fn the_errno_selects_the_sentence() {
    use rustix::io::Errno;

    let peers = peers("func.example");
    let failure = |errno: Errno| {
        let error = io::Error::from_raw_os_error(errno.raw_os_error());
        HeartbeatFailure::from_error(
            &error,
            HeartbeatPhase::Connecting,
            &peers,
            Duration::from_millis(20),
        )
        .to_string()
    };
    insta::assert_snapshot!(failure(Errno::NETUNREACH), @"Heartbeat failed after 20 ms: this device has no route to func.example:443.");
    insta::assert_snapshot!(failure(Errno::HOSTUNREACH), @"Heartbeat failed after 20 ms: the network has no way to func.example:443.");
    insta::assert_snapshot!(failure(Errno::PERM), @"Heartbeat failed after 20 ms: this device does not permit a connection to func.example:443.");
    insta::assert_snapshot!(failure(Errno::ACCESS), @"Heartbeat failed after 20 ms: a firewall here or on the way forbids a connection to func.example:443.");
}

#[test]
fn an_error_inside_an_io_error_is_classified() {
    let inner = rustls::Error::InvalidCertificate(CertificateError::Expired);
    let error = io::Error::new(io::ErrorKind::InvalidData, inner);
    let peers = peers("func.example");
    let failure =
        HeartbeatFailure::from_error(&error, HeartbeatPhase::TlsHandshake, &peers, Duration::ZERO);
    assert_eq!(failure.kind, FailureKind::TlsExpired);
}
