use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, mpsc},
    thread,
};

use ispmon_agent::{
    probe::{PortalAnswer, PortalOutcome, portal},
    resolver::Resolver,
};
use ispmon_testing::network::{TestHost, TestNetwork};

use super::{PATIENCE, SHORT, clock, on};

const SERVER: [&str; 2] = ["203.0.113.1", "fd00:113::1"];
const GENUINE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const LOGIN: &str = "HTTP/1.1 302 Found\r\nLocation: http://192.168.7.1/login\r\n\
                     Content-Length: 0\r\nConnection: close\r\n\r\n";

/// Answers every request to an address and port of the internet host with `answer`, until the process
/// exits. The receiver yields the requests.
fn serve(
    network: &TestNetwork,
    address: &str,
    port: u16,
    answer: &'static str,
) -> mpsc::Receiver<String> {
    serve_at(&network.internet, address, port, answer)
}

/// The same on any host of the test network.
fn serve_at(
    host: &TestHost,
    address: &str,
    port: u16,
    answer: &'static str,
) -> mpsc::Receiver<String> {
    let listener = host.enter(|| TcpListener::bind((address, port)).expect("a free port"));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    receiver
}

/// Runs the portal check on the device.
fn check(network: &TestNetwork, urls: &[String], limit: std::time::Duration) -> PortalAnswer {
    let urls: Vec<_> = urls.iter().map(|url| url.parse().expect("a URL")).collect();
    let resolver = Arc::new(network.device.enter(Resolver::new));
    let routers: [std::net::IpAddr; 2] =
        ["192.168.7.1", "fe80::1"].map(|router| router.parse().expect("an address"));
    let is_router = |address| routers.contains(&address);
    on(&network.device, || portal::check(&urls, &resolver, &is_router, limit, &clock))
}

fn url(address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("http://[{address}]:{port}/generate_204")
    } else {
        format!("http://{address}:{port}/generate_204")
    }
}

#[test]
fn only_a_complete_http_response_that_is_not_genuine_is_a_portal() {
    let Some(network) = TestNetwork::build() else { return };
    for (port, (answer, expected)) in (1..).zip([
        (GENUINE, PortalOutcome::Genuine),
        (LOGIN, PortalOutcome::Intercepted),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlogin", PortalOutcome::Intercepted),
        ("HTTP/1.1 200 OK\r\n\r\nlogin until the end", PortalOutcome::Intercepted),
        ("HTTP/1.0 200 OK\r\n\r\n", PortalOutcome::Intercepted),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nlogin", PortalOutcome::Intercepted),
        // The only 5xx status that portals send, and only they (RFC 6585).
        (
            "HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n",
            PortalOutcome::Intercepted,
        ),
        // From a proxy on the path that cannot reach the server, as in an outage.
        ("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", PortalOutcome::NoAnswer),
        // A TLS alert: the port speaks HTTPS.
        ("\x15\x03\x01\x00\x02\x02\x28", PortalOutcome::NoAnswer),
        ("SSH-2.0-OpenSSH_9.2\r\n", PortalOutcome::NoAnswer),
        ("HTTP/1.1 20", PortalOutcome::NoAnswer),
        ("", PortalOutcome::NoAnswer),
    ]) {
        for address in SERVER {
            let _requests = serve(&network, address, port, answer);
            let found = check(&network, &[url(address, port)], PATIENCE);
            assert_eq!(found.portal, expected, "{answer:?} from {address}");
            assert_eq!(found.observation.answer, expected.as_str());
        }
    }
}

#[test]
fn the_request_has_a_nonce_the_servers_host_and_no_keep_alive() {
    let Some(network) = TestNetwork::build() else { return };
    let requests = serve(&network, SERVER[0], 80, GENUINE);
    let servers = [format!("http://{}/generate_204", SERVER[0])];
    assert_eq!(check(&network, &servers, PATIENCE).portal, PortalOutcome::Genuine);
    let request = requests.recv().expect("a request arrived");
    assert!(request.starts_with("GET /generate_204?ispmon="), "{request}");
    assert!(request.contains(&format!("host: {}\r\n", SERVER[0])), "{request}");
    assert!(!request.to_lowercase().contains("keep-alive"), "{request}");
}

#[test]
fn one_genuine_response_means_no_portal() {
    let Some(network) = TestNetwork::build() else { return };
    let _genuine = serve(&network, SERVER[0], 80, GENUINE);
    let _login = serve(&network, SERVER[0], 81, LOGIN);
    let [genuine, login, closed] = [80, 81, 82].map(|port| url(SERVER[0], port));
    for (servers, expected) in [
        (vec![genuine.clone(), login.clone()], PortalOutcome::Genuine),
        (vec![login.clone(), genuine.clone()], PortalOutcome::Genuine),
        (vec![login.clone(), login.clone()], PortalOutcome::Intercepted),
        (vec![login, closed.clone()], PortalOutcome::Intercepted),
        (vec![closed.clone(), genuine], PortalOutcome::Genuine),
        (vec![closed], PortalOutcome::NoAnswer),
        (vec![], PortalOutcome::NoAnswer),
    ] {
        assert_eq!(check(&network, &servers, PATIENCE).portal, expected, "{servers:?}");
    }
}

#[test]
fn a_page_from_the_routers_address_or_redirecting_to_it_is_the_routers() {
    const ELSEWHERE: &str = "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\
                             Content-Length: 0\r\nConnection: close\r\n\r\n";
    let Some(network) = TestNetwork::build() else { return };
    let _page = serve_at(&network.router, "192.168.7.1", 80, LOGIN);
    let _redirect = serve(&network, SERVER[0], 81, LOGIN);
    let _elsewhere = serve(&network, SERVER[0], 82, ELSEWHERE);
    let _genuine = serve_at(&network.router, "192.168.7.1", 83, GENUINE);
    for (what, address, port, expected) in [
        ("from its own address", "192.168.7.1", 80, (PortalOutcome::Intercepted, true)),
        (
            "from another address, redirects to the router",
            SERVER[0],
            81,
            (PortalOutcome::Intercepted, true),
        ),
        ("a login page elsewhere", SERVER[0], 82, (PortalOutcome::Intercepted, false)),
        ("nothing is intercepted", "192.168.7.1", 83, (PortalOutcome::Genuine, false)),
    ] {
        let answer = check(&network, &[url(address, port)], PATIENCE);
        assert_eq!((answer.portal, answer.from_router), expected, "{what}");
    }
}

#[test]
fn a_dead_connection_is_no_portal() {
    let Some(network) = TestNetwork::build() else { return };
    let servers = [url(SERVER[0], 80), url(SERVER[1], 80)];
    for verdict in ["drop", "reject", "meta l4proto tcp reject with tcp reset"] {
        network.filter_forwarding(verdict);
        assert_eq!(check(&network, &servers, SHORT).portal, PortalOutcome::NoAnswer, "{verdict}");
    }
    network.device.ip("link set eth0 down").expect("ip");
    assert_eq!(check(&network, &servers, SHORT).portal, PortalOutcome::NoAnswer, "no network");
}
