//! The proxy of the environment.

use ispmon_testing::{
    port::HeldPort,
    server::{OK, TestServer},
};

use super::ping::ping;

#[test]
fn heartbeats_to_other_hosts_go_through_the_proxy() {
    let proxy = TestServer::answering(
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    );
    let address = format!("http://me:s3cret@127.0.0.1:{}", proxy.port());
    let pinged = ping("https://func.example/api/ping", &[("HTTPS_PROXY", &address)]);
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    let request = &proxy.requests()[0];
    assert!(request.starts_with("CONNECT func.example:443 HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("k3y"), "the proxy never sees the key: {request}");
    let expected = format!("the proxy http://127.0.0.1:{} asks for a user name", proxy.port());
    assert!(pinged.errors.contains(&expected), "{pinged:?}");
    assert!(!pinged.errors.contains("s3cret"), "{pinged:?}");
}

#[test]
fn heartbeats_to_loopback_bypass_the_proxy() {
    let server = TestServer::answering(OK);
    let proxy = TestServer::answering(OK);
    let address = proxy.url("/");
    let pinged = ping(
        &server.url("/api/ping"),
        &[("http_proxy", &address), ("ALL_PROXY", &address), ("HTTP_PROXY", &address)],
    );
    assert_eq!(pinged.code, Some(0), "{pinged:?}");
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_password_that_breaks_the_proxy_url_is_refused_with_advice() {
    let pinged = ping(
        "https://func.example/api/ping",
        &[("https_proxy", "http://user:pa#ss@127.0.0.1:3128")],
    );
    assert_eq!(pinged.code, Some(78), "{pinged:?}");
    assert!(pinged.errors.contains("write that as %23, %2F or %3F"), "{pinged:?}");
    assert!(!pinged.errors.contains("pa#ss"), "{pinged:?}");
}

#[test]
fn an_unreachable_proxy_is_reported_with_advice() {
    let held = HeldPort::reserve();
    let port = held.address().port();
    let closed = TestServer::answering("");
    for (proxy, expected) in [
        // A name that never exists (RFC 6761, section 6.4).
        ("http://proxy.invalid:3128".to_owned(), "proxy.invalid"),
        ("socks5://proxy.invalid:1080".to_owned(), "the proxy socks5://proxy.invalid:1080"),
        (format!("http://127.0.0.1:{port}"), "refused the connection"),
        (format!("socks5h://127.0.0.1:{port}"), "no connection to the proxy"),
        (format!("http://127.0.0.1:{}", closed.port()), "would not connect further"),
    ] {
        let pinged = ping("https://203.0.113.1/api/ping", &[("https_proxy", &proxy)]);
        assert_eq!(pinged.code, Some(1), "{proxy}: {pinged:?}");
        assert!(pinged.errors.contains(expected), "{proxy}: {pinged:?}");
        assert!(pinged.errors.contains("Check the proxy in the agent's environment"), "{pinged:?}");
        assert!(!pinged.errors.contains("heartbeat.url"), "{proxy}: {pinged:?}");
    }
}

#[test]
fn an_unsupported_proxy_is_reported_without_its_password() {
    let pinged =
        ping("https://func.example/api/ping", &[("https_proxy", "ftp://me:s3cret@proxy.example")]);
    assert_eq!(pinged.code, Some(78), "{pinged:?}");
    assert!(pinged.errors.contains("https_proxy asks for a proxy that speaks ftp"), "{pinged:?}");
    assert!(!pinged.errors.contains("s3cret"), "{pinged:?}");
}
