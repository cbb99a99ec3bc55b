//! Does a login page answer in the internet's place?
//!
//! A plain HTTP request goes to a server that is known to answer `204 No Content` and nothing else.
//! A portal cannot let that through: it answers with its own page, or sends the browser there. The
//! request carries a random number, so that no cache can answer, and follows no redirect, keeps no
//! connection and uses no proxy.
//!
//! Only a complete HTTP answer tells. Refusals, resets and silence are how a dead line looks too, and
//! never count as a portal; neither do errors of a server or of a proxy on the way (5xx), which
//! say that somebody could not get through. `511 Network Authentication Required` is the exception:
//! portals alone say that (RFC 6585).
//!
//! The servers are asked by name, although a portal may answer look-ups with its own address: then
//! its page is what comes back, which is the sign that is looked for. No portal can swallow look-ups
//! altogether, since a browser could not show its page.
//!
//! A router whose own line is down may answer as a portal does, with a page of its own. The answer says
//! whether the page came from the router, for the caller to know one from the other.

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

use super::{Observation, Portal, ProbeKind, dns};
use crate::{clock::Stamp, resolver::Resolver};

/// The servers that are asked when none is set: two, of different owners, because one may be
/// blocked, and because some portals let the best-known one through. Both exist for this purpose
/// and are asked by hundreds of millions of devices.
pub const DEFAULT: [&str; 2] =
    ["http://connectivitycheck.gstatic.com/generate_204", "http://cp.cloudflare.com/generate_204"];

/// How long to wait at most: a portal is on the local network or close to it.
pub const LIMIT: Duration = Duration::from_secs(3);

/// What came of asking all pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalAnswer {
    /// Intercepted only when every page that answered was.
    pub portal: Portal,
    /// An intercepted page came from the router itself: from its own address, by a redirect to that, or
    /// from a private address that the name servers give for every name. Where the network has worked
    /// without a login before, that is the router's own "no internet" page.
    pub from_router: bool,
    /// The same for the record; it names the page that decided, or the first.
    pub observation: Observation,
}

/// Asks all pages at once, for `limit` at most, and says what came back. `is_router` says which
/// addresses are the router's that
/// the anchors are reached through.
///
/// A genuine answer decides at once: a network that lets one page through is not closed. That a page was
/// intercepted counts only when all have ended without that.
pub async fn ask(
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
            // Whatever went wrong on the way, nobody has answered.
            (page.ok().and_then(Result::ok), server)
        });
    }
    let mut portal = Portal::NoAnswer;
    let mut decided = servers.first().cloned();
    let mut from_router = false;
    while let Some(ended) = checks.join_next().await {
        let Ok((Some(page), server)) = ended else { continue };
        match judge(page.status, page.has_body) {
            Portal::NoAnswer => {}
            Portal::Genuine => {
                (portal, decided, from_router) = (Portal::Genuine, Some(server), false);
                break;
            }
            Portal::Intercepted => {
                (portal, decided) = (Portal::Intercepted, Some(server));
                from_router = from_router || page.is_routers(is_router, resolver, deadline).await;
            }
        }
    }
    let observation = Observation {
        probe: ProbeKind::Portal,
        target: decided.as_ref().and_then(Url::host_str).unwrap_or("nobody").to_owned(),
        family: None,
        answer: portal.as_str().to_owned(),
        ms: u64::try_from(begun.elapsed().as_millis()).ok(),
        at,
    };
    PortalAnswer { portal, from_router, observation }
}

/// An answer by HTTP.
#[derive(Debug)]
struct HttpPage {
    status: StatusCode,
    has_body: bool,
    /// Who answered.
    peer: IpAddr,
    /// Whether that address came from a look-up.
    is_looked_up: bool,
    /// Where the browser is sent, when that is an address.
    redirect: Option<IpAddr>,
}

impl HttpPage {
    /// Whether the router itself has answered.
    async fn is_routers(
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
        // A name that does not exist, and that no stub on this device answers by itself.
        let nonce = format!("ispmon-{:016x}.{}", fastrand::u64(..), dns::WELL_KNOWN);
        let answer = resolver.resolve(&nonce, deadline).await;
        answer.is_ok_and(|addresses| addresses.contains(&self.peer))
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What an answer means.
fn judge(status: StatusCode, has_body: bool) -> Portal {
    match status {
        StatusCode::NO_CONTENT if !has_body => Portal::Genuine,
        StatusCode::NETWORK_AUTHENTICATION_REQUIRED => Portal::Intercepted,
        status if status.is_server_error() => Portal::NoAnswer,
        _ => Portal::Intercepted,
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
    // The connection works for as long as it is polled, and only then.
    tokio::pin!(connection, exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}

/// Connects to the first address of each family at once, and takes whichever answers first: where
/// one family is dead, a portal may still answer on the other.
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
    // Writing to a text cannot fail.
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

/// The address that a browser is sent to; `None` when it is a name, or nobody sends it.
fn redirect(response: &Response<Incoming>) -> Option<IpAddr> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let url: Url = location.parse().ok()?;
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

async fn describe(response: Response<Incoming>) -> (StatusCode, bool) {
    let status = response.status();
    // By HTTP a 204 ends with its head; a length that it claims to have is not the genuine one's.
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
    fn only_what_somebody_else_would_say_is_a_portal() {
        for (status, has_body, expected) in [
            (204, false, Portal::Genuine),
            (204, true, Portal::Intercepted),
            (200, true, Portal::Intercepted),
            (200, false, Portal::Intercepted),
            (302, false, Portal::Intercepted),
            (307, true, Portal::Intercepted),
            (403, true, Portal::Intercepted),
            (404, true, Portal::Intercepted),
            (511, true, Portal::Intercepted),
            (500, true, Portal::NoAnswer),
            (502, true, Portal::NoAnswer),
            (503, false, Portal::NoAnswer),
            (504, true, Portal::NoAnswer),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(judge(status, has_body), expected, "{status}, body: {has_body}");
        }
    }

    #[test]
    fn the_request_is_for_the_url_with_a_nonce_and_as_its_host() {
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
                page.is_routers(&|address| address == router, &resolver, Instant::now() + LIMIT)
                    .await
            });
            assert_eq!(seen.expect("a runtime"), expected, "{what}");
        }
    }

    #[test]
    fn the_defaults_are_plain_http() {
        for server in DEFAULT {
            let url: Url = server.parse().expect("a URL");
            assert_eq!(url.scheme(), "http", "{server}");
        }
    }
}
