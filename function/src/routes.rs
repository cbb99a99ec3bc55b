//! Dispatches requests to the endpoints.

use hyper::{Method, Request, body::Incoming};
use ispmon_wire::{OUTAGES_PATH, PING_PATH};

use crate::{
    answer::{self, FunctionResponse},
    outages, ping,
    shared::Shared,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Ready,
    Ping,
    Outages,
}

/// Handles one request.
pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> FunctionResponse {
    let Some(endpoint) = Endpoint::of(request.uri().path()) else {
        return answer::not_found();
    };
    if !endpoint.methods().contains(request.method()) {
        return answer::wrong_method(endpoint.allowed());
    }
    let Shared { expected, bodies, lines } = shared;
    match endpoint {
        Endpoint::Ready => answer::ready(),
        Endpoint::Ping => ping::answer(bodies, lines, expected.as_ref(), request).await,
        Endpoint::Outages => outages::answer(bodies, lines, request).await,
    }
}

impl Endpoint {
    /// Returns the endpoint of a path.
    ///
    /// The Functions host matches routes in any case and with a trailing slash, and passes both on
    /// as the client sent them (measured with Functions host 4.1037).
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            Some(Self::Ready)
        } else if path.eq_ignore_ascii_case(PING_PATH) {
            Some(Self::Ping)
        } else if path.eq_ignore_ascii_case(OUTAGES_PATH) {
            Some(Self::Outages)
        } else {
            None
        }
    }

    fn methods(self) -> &'static [Method] {
        match self {
            Self::Ready => &[Method::GET, Method::HEAD],
            Self::Ping => &[Method::GET, Method::HEAD, Method::POST],
            Self::Outages => &[Method::POST],
        }
    }

    /// The value of the `Allow` header.
    fn allowed(self) -> &'static str {
        match self {
            Self::Ready => "GET, HEAD",
            Self::Ping => "GET, HEAD, POST",
            Self::Outages => "POST",
        }
    }
}
