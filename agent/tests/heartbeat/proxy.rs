//! The environment's proxy.

use crate::{
    ping::ping,
    server::{OK, Server},
};

#[test]
fn heartbeats_for_elsewhere_go_through_the_proxy_of_the_environment() {
    let proxy = Server::answering(
        "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    );
    let address = format!("http://me:s3cret@127.0.0.1:{}", proxy.port());
    let pinged = ping("https://func.example/api/ping", &[("HTTPS_PROXY", &address)]);
    assert_eq!(pinged.code, Some(1), "{pinged:?}");
    let request = &proxy.requests()[0];
    assert!(request.starts_with("CONNECT func.example:443 HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("k3y"), "the proxy never sees the key: {request}");
    let told = format!("the proxy http://127.0.0.1:{} asks for a user name", proxy.port());
    assert!(pinged.errors.contains(&told), "{pinged:?}");
    assert!(!pinged.errors.contains("s3cret"), "{pinged:?}");
}

#[test]
fn heartbeats_for_this_machine_never_do() {
    let server = Server::answering(OK);
    let proxy = Server::answering(OK);
    let address = proxy.url("/");
    let pinged = ping(
        &server.url("/api/ping"),
        &[("http_proxy", &address), ("ALL_PROXY", &address), ("HTTP_PROXY", &address)],
    );
    assert_eq!(pinged.code, Some(0), "{pinged:?}");
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
    let pinged =
        ping("https://func.example/api/ping", &[("https_proxy", "ftp://me:s3cret@proxy.example")]);
    assert_eq!(pinged.code, Some(78), "{pinged:?}");
    assert!(pinged.errors.contains("https_proxy asks for a proxy that speaks ftp"), "{pinged:?}");
    assert!(!pinged.errors.contains("s3cret"), "{pinged:?}");
}
