//! Detects a captive portal, which answers with its login page in place of internet servers.
//!
//! A plain HTTP request goes to a server that always answers `204 No Content`. A portal cannot let that
//! through: it answers with its own page, or redirects the browser there. The request has a random number,
//! so that no cache can answer it; it follows no redirect, keeps no connection and uses no proxy.
//!
//! Only a complete HTTP answer decides. Refusals, resets and silence also occur in an outage and never count
//! as a portal; neither do errors of a server or of a proxy on the path (5xx), which report that it could
//! not reach its upstream. `511 Network Authentication Required` is the exception: only portals send it
//! (RFC 6585).
//!
//! The servers are addressed by name, although a portal may answer lookups with its own address: then its
//! page comes back, which is what is to be detected. A portal cannot drop lookups altogether, since a
//! browser could not load its page.
//!
//! A router without internet may answer as a portal does, with a page of its own. The result states whether
//! the page came from the router, so that the caller can distinguish the two.

use std::{
    fmt::Write as _,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use hyper::{
    Request, Response, StatusCode, Version,
    body::{Body, Incoming},
    header,
};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{Observation, PortalOutcome, ProbeKind, dns, is_private};
use crate::{clock::Stamp, resolver::Resolver};

/// The default servers: two, of different owners, because one may be blocked, and because some portals let
/// the best-known one through. Both exist for this purpose and serve hundreds of millions of devices.
pub const DEFAULT: &str =
    "http://connectivitycheck.gstatic.com/generate_204, http://cp.cloudflare.com/generate_204";

/// Time limit of the check: a portal is on the local network or close to it.
pub const LIMIT: Duration = Duration::from_secs(3);

/// The result of requesting all pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalAnswer {
    /// [`PortalOutcome::Intercepted`] only if every page that answered was intercepted.
    pub portal: PortalOutcome,
    /// An intercepted page came from the router itself: from its own address, by a redirect to that, or
    /// from a private address that the name servers return for every name. If the network has worked
    /// without a login before, that is the router's own "no internet" page.
    pub from_router: bool,
    /// The same for the journal; its target is the page that decided, or the first.
    pub observation: Observation,
}

/// Requests all pages at once, for `limit` at most, and returns the result. `is_router` is true for the
/// addresses of the router that the anchors are reached through.
///
/// A genuine answer decides at once: a network that lets one page through is not closed. An intercepted
/// page decides only once all requests have ended without a genuine answer.
pub async fn check(
    servers: &[Url],
    resolver: &Arc<Resolver>,
    is_router: &(impl Fn(IpAddr) -> bool + Sync),
    limit: Duration,
    clock: &impl Fn() -> Stamp,
) -> PortalAnswer {
    let at = clock();
    let begun = Instant::now();
    let deadline = begun + limit;
    let mut checks = JoinSet::new();
    for server in servers {
        let (server, resolver) = (server.clone(), Arc::clone(resolver));
        checks.spawn(async move {
            let page = timeout_at(deadline, fetch(&server, &resolver, deadline)).await;
            // Any error on the path counts as no answer.
            (page.ok().and_then(Result::ok), server)
        });
    }
    let mut portal = PortalOutcome::NoAnswer;
    let mut decided = servers.first().cloned();
    let mut from_router = false;
    while let Some(ended) = checks.join_next().await {
        let Ok((Some(page), server)) = ended else { continue };
        match judge(page.status, page.has_body) {
            PortalOutcome::NoAnswer => {}
            PortalOutcome::Genuine => {
                (portal, decided, from_router) = (PortalOutcome::Genuine, Some(server), false);
                break;
            }
            PortalOutcome::Intercepted => {
                (portal, decided) = (PortalOutcome::Intercepted, Some(server));
                from_router =
                    from_router || page.is_from_router(is_router, resolver, deadline).await;
            }
        }
    }
    let observation = Observation {
        probe: ProbeKind::Portal,
        target: decided.as_ref().and_then(Url::host_str).unwrap_or("none").to_owned(),
        family: None,
        answer: portal.as_str().to_owned(),
        ms: u64::try_from(begun.elapsed().as_millis()).ok(),
        at,
    };
    PortalAnswer { portal, from_router, observation }
}

/// An HTTP answer.
#[derive(Debug)]
struct HttpPage {
    status: StatusCode,
    has_body: bool,
    /// The address that answered.
    peer: IpAddr,
    /// Whether that address came from a lookup.
    is_looked_up: bool,
    /// The target of a redirect, if it is an IP address.
    redirect: Option<IpAddr>,
}

impl HttpPage {
    /// Whether the router itself has answered.
    async fn is_from_router(
        &self,
        is_router: &(impl Fn(IpAddr) -> bool + Sync),
        resolver: &Resolver,
        deadline: Instant,
    ) -> bool {
        if is_router(self.peer) || self.redirect.is_some_and(is_router) {
            return true;
        }
        if !self.is_looked_up || !is_private(self.peer) {
            return false;
        }
        // A name that does not exist, and that no local stub answers without asking a server.
        let nonce = format!("ispmon-{:016x}.{}", fastrand::u64(..), dns::WELL_KNOWN);
        let answer = resolver.resolve(&nonce, deadline).await;
        answer.is_ok_and(|addresses| addresses.contains(&self.peer))
    }
}

/// Classifies an answer.
fn judge(status: StatusCode, has_body: bool) -> PortalOutcome {
    match status {
        StatusCode::NO_CONTENT if !has_body => PortalOutcome::Genuine,
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED => PortalOutcome::Intercepted,
        status if status.is_server_error() => PortalOutcome::NoAnswer,
        _ => PortalOutcome::Intercepted,
    }
}

async fn fetch(server: &Url, resolver: &Resolver, deadline: Instant) -> io::Result<HttpPage> {
    let host = server.host_str().ok_or(io::ErrorKind::InvalidInput)?;
    let port = server.port_or_known_default().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = resolver.resolve(bare, deadline).await.map_err(io::Error::other)?;
    let addresses: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let stream = connect(&addresses).await?;
    let peer = stream.peer_addr()?.ip().to_canonical();
    let is_looked_up = bare.parse::<IpAddr>().is_err();
    let request = request(server, host)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let redirect = redirect(&response);
        let (status, has_body) = describe(response).await;
        Ok(HttpPage { status, has_body, peer, is_looked_up, redirect })
    };
    // The connection makes progress only while it is polled.
    tokio::pin!(connection, exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}

/// Connects to the first address of each family at once, and returns the connection that completes first:
/// where one family is dead, a portal may still answer on the other.
async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for is_of_family in [SocketAddr::is_ipv6, SocketAddr::is_ipv4] {
        if let Some(address) = addresses.iter().copied().find(is_of_family) {
            attempts.spawn(TcpStream::connect(address));
        }
    }
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(io::Error::other).flatten() {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn request(server: &Url, host: &str) -> io::Result<Request<String>> {
    let mut target = server.path().to_owned();
    target.push('?');
    if let Some(query) = server.query() {
        target.push_str(query);
        target.push('&');
    }
    // Writing to a string cannot fail.
    let _ = write!(target, "ispmon={:016x}", fastrand::u64(..));
    let host = match server.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Request::get(target)
        .version(Version::HTTP_11)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("ispmon-agent/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header(header::CACHE_CONTROL, "no-cache")
        .body(String::new())
        .map_err(io::Error::other)
}

/// The target of a redirect; `None` if there is none or it is no IP address.
fn redirect(response: &Response<Incoming>) -> Option<IpAddr> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let url: Url = location.parse().ok()?;
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

async fn describe(response: Response<Incoming>) -> (StatusCode, bool) {
    let status = response.status();
    // By HTTP a 204 has no body; a genuine 204 declares no length but 0.
    let claims_length = response
        .headers()
        .get(header::CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() != b"0");
    let mut body = response.into_body();
    let has_body = claims_length
        || !body.is_end_stream()
            && std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context))
                .await
                .is_some();
    (status, has_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_the_genuine_server_does_not_give_is_a_portal() {
        for (status, has_body, expected) in [
            (204, false, PortalOutcome::Genuine),
            (204, true, PortalOutcome::Intercepted),
            (200, true, PortalOutcome::Intercepted),
            (200, false, PortalOutcome::Intercepted),
            (302, false, PortalOutcome::Intercepted),
            (307, true, PortalOutcome::Intercepted),
            (403, true, PortalOutcome::Intercepted),
            (404, true, PortalOutcome::Intercepted),
            (511, true, PortalOutcome::Intercepted),
            (500, true, PortalOutcome::NoAnswer),
            (502, true, PortalOutcome::NoAnswer),
            (503, false, PortalOutcome::NoAnswer),
            (504, true, PortalOutcome::NoAnswer),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(judge(status, has_body), expected, "{status}, body: {has_body}");
        }
    }

    #[test]
    fn a_request_has_the_host_and_path_of_the_url_and_a_nonce() {
        let url: Url = "http://portal.test:8080/check?a=b".parse().expect("a URL");
        let first = request(&url, "portal.test").expect("a request");
        let second = request(&url, "portal.test").expect("a request");
        let target = first.uri().to_string();
        assert!(target.starts_with("/check?a=b&ispmon="), "{target}");
        assert_ne!(first.uri(), second.uri());
        assert_eq!(first.headers()[header::HOST], "portal.test:8080");
    }

    #[test]
    fn a_page_is_the_routers_by_its_address_or_by_one_that_every_name_has() {
        let router = IpAddr::from([192, 168, 1, 1]);
        let trap = IpAddr::from([10, 0, 0, 1]);
        let from = |peer, is_looked_up, redirect| HttpPage {
            status: StatusCode::OK,
            has_body: true,
            peer,
            is_looked_up,
            redirect,
        };
        let elsewhere = IpAddr::from([203, 0, 113, 1]);
        for (what, page, of_all_names, expected) in [
            ("its own address", from(router, false, None), elsewhere, true),
            ("a redirect to it", from(elsewhere, true, Some(router)), elsewhere, true),
            ("the address of every name", from(trap, true, None), trap, true),
            ("that of this name alone", from(trap, true, None), elsewhere, false),
            ("a private server that was set", from(trap, false, None), trap, false),
            ("a public one for every name", from(elsewhere, true, None), elsewhere, false),
            ("a login page elsewhere", from(elsewhere, true, Some(elsewhere)), elsewhere, false),
        ] {
            let resolver = Resolver::with(move |_| Ok(vec![of_all_names]), LIMIT);
            let seen = crate::runtime::run(async {
                page.is_from_router(&|address| address == router, &resolver, Instant::now() + LIMIT)
                    .await
            });
            assert_eq!(seen.expect("a runtime"), expected, "{what}");
        }
    }

    #[test]
    fn the_defaults_are_plain_http() {
        for server in DEFAULT.split(',') {
            let url: Url = server.parse().expect("a URL");
            assert_eq!(url.scheme(), "http", "{server}");
        }
    }
}
