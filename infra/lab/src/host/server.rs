//! The host's web server: routes, authorizes and forwards requests, and returns the responses.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    body,
    event::{HostEvent, InvocationResult, Rejection},
    exchange::{self, ExchangeError},
    forward::{self, FunctionInvocation},
    report::{self, Invoked},
    routes::{self, Target},
    shared::{HandlerState, HostShared, wait_for_switch},
};
use crate::telemetry::item::Severity;

/// How long a client may take for the head of a request; Kestrel's `RequestHeadersTimeout`.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How long the host waits for invocations in flight when it stops; ASP.NET Core's
/// `ShutdownTimeout`.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// How long clients may then take to read their responses.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);
/// The pause after an accept error, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long it may take to detect that a handler which does not respond has exited.
const ENDING_LIMIT: Duration = Duration::from_secs(2);

/// The stand-in's own page.
const PAGE: &str = "<!DOCTYPE html>\n<title>ispmon-lab</title>\n<p>The Functions host stand-in of ispmon-lab is running.</p>\n";

type HostResponse = Response<Full<Bytes>>;

/// Serves until the host is stopped or gives up; finishes invocations in flight first.
pub(super) async fn serve(
    shared: Arc<HostShared>,
    listener: TcpListener,
    mut stopping: watch::Receiver<bool>,
) {
    let mut state = shared.state.subscribe();
    let mut connections = JoinSet::new();
    let end = watch::Sender::new(false);
    loop {
        tokio::select! {
            biased;
            () = wait_for_switch(&mut stopping) => break,
            () = stopped(&mut state) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, caller)) => {
                    connections.spawn(serve_connection(Arc::clone(&shared), stream, caller, end.subscribe()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    end.send_replace(true);
    let mut in_flight = shared.in_flight.subscribe();
    // Requests that are still in flight then are aborted.
    let _ = timeout(DRAIN_LIMIT, in_flight.wait_for(|requests| *requests == 0)).await;
    let _ = timeout(FLUSH_LIMIT, async { while connections.join_next().await.is_some() {} }).await;
}

/// Waits until the host has given up on its handler.
async fn stopped(state: &mut watch::Receiver<HandlerState>) {
    // A closed channel counts as stopped: no supervisor is left to restart the handler.
    let _ = state.wait_for(|state| *state == HandlerState::Stopped).await;
}

/// Serves one connection until it closes or `end` is set.
async fn serve_connection(
    shared: Arc<HostShared>,
    stream: TcpStream,
    caller: SocketAddr,
    mut end: watch::Receiver<bool>,
) {
    // Only an optimization.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(shared, request, caller).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // An error concerns only this connection's client, which sees it.
    tokio::select! {
        _ = &mut connection => {}
        () = wait_for_switch(&mut end) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(
    shared: Arc<HostShared>,
    request: Request<Incoming>,
    caller: SocketAddr,
) -> HostResponse {
    let (head, body) = request.into_parts();
    let close = forward::wants_close(&head.headers);
    let path = routes::normalize(head.uri.path());
    let mut answer = match routes::find(&shared.app, &head.method, &path) {
        Target::Page => page(),
        Target::Nothing => empty(StatusCode::NOT_FOUND),
        Target::Function(function) => {
            let header = head.headers.get(ispmon_wire::FUNCTION_KEY_HEADER);
            let code = head.uri.query().and_then(forward::code);
            let header = header.map(HeaderValue::as_bytes);
            if shared.keys.allow(function, header, code.as_deref().map(str::as_bytes)) {
                let time = shared.clock.now();
                let method = head.method.clone();
                let name = &function.name;
                let invoked = Invoked::new(name, method, path.clone(), &head.headers, caller, time);
                invoke(Arc::clone(&shared), invoked, head.clone(), body).await
            } else {
                empty(StatusCode::UNAUTHORIZED)
            }
        }
    };
    let rejected = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND].contains(&answer.status());
    if rejected && answer.extensions().get::<Forwarded>().is_none() {
        let status = answer.status().as_u16();
        let rejection = Rejection { method: head.method, path, status, caller };
        shared.emit(HostEvent::Rejected(rejection));
    }
    forward::add_server_headers(answer.headers_mut(), close);
    answer
}

/// Marks a response from the handler.
#[derive(Clone, Copy)]
struct Forwarded;

/// Invokes the function; the invocation continues when the client disconnects.
async fn invoke(
    shared: Arc<HostShared>,
    invoked: Invoked,
    head: Parts,
    body: Incoming,
) -> HostResponse {
    let started = Instant::now();
    // Forwarding copies a body by its Content-Length; the host fails on a chunked one.
    let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
    let body = if chunked { Ok(Bytes::new()) } else { body::read(body).await };
    let body = match body {
        Ok(body) => body,
        Err(status) => return empty(status),
    };
    let guard = InFlight::enter(&shared);
    let invocation = tokio::spawn(async move {
        let _guard = guard;
        let handler = Instant::now();
        let forwarded = if chunked { None } else { forward(&shared, &invoked, &head, body).await };
        let (answer, success) = match forwarded {
            Some(answer) => (answer, true),
            None => (empty(StatusCode::INTERNAL_SERVER_ERROR), false),
        };
        let status = answer.status().as_u16();
        let (took, handler) = (started.elapsed(), handler.elapsed());
        let item = report::request(&invoked, status, success, took, handler, &shared.identity);
        shared.record(report::CATEGORY, Severity::Information, item);
        let Invoked { function, method, .. } = invoked;
        shared.emit(HostEvent::Invoked(InvocationResult { function, method, status }));
        answer
    });
    // Fails only when the runtime shuts down.
    invocation.await.unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Forwards the request to the handler; `None` when there is no response.
///
/// A request that arrives while the handler starts waits for it; one that the handler had received
/// when it exited fails.
async fn forward(
    shared: &HostShared,
    invoked: &Invoked,
    head: &Parts,
    body: Bytes,
) -> Option<HostResponse> {
    let mut state = shared.state.subscribe();
    loop {
        let ready =
            state.wait_for(|state| *state != HandlerState::Starting).await.ok().map(|now| *now);
        match ready? {
            HandlerState::Ready(number) => {
                let request = to_handler(shared, invoked, head, body.clone())?;
                match exchange::send(shared.port.number(), request).await {
                    Ok(answer) => return Some(to_client(answer, &head.method)),
                    Err(error) => {
                        // If the handler has exited, wait until the supervisor has detected it, so
                        // that later requests wait for the restart.
                        let ended = state.wait_for(|now| *now != HandlerState::Ready(number));
                        let noticed = timeout(ENDING_LIMIT, ended).await.is_ok();
                        if matches!(error, ExchangeError::Answer { .. }) || !noticed {
                            return None;
                        }
                    }
                }
            }
            HandlerState::Stopped => return Some(empty(StatusCode::SERVICE_UNAVAILABLE)),
            HandlerState::Gone | HandlerState::Starting => return None,
        }
    }
}

fn to_handler(
    shared: &HostShared,
    invoked: &Invoked,
    head: &Parts,
    body: Bytes,
) -> Option<Request<Full<Bytes>>> {
    let invocation = FunctionInvocation {
        id: &invoked.id,
        trace_parent: &invoked.trace_parent,
        caller: shared.front_end.then_some(invoked.caller),
    };
    let target = match head.uri.query() {
        Some(query) if !query.is_empty() => {
            format!("{}?{}", invoked.path, forward::rebuild_query(query))
        }
        _ => invoked.path.clone(),
    };
    let mut request =
        Request::builder().method(&head.method).uri(target).body(Full::new(body)).ok()?;
    *request.headers_mut() = forward::to_handler(&head.headers, &invocation);
    Some(request)
}

fn to_client(answer: Response<Bytes>, method: &Method) -> HostResponse {
    let (head, body) = answer.into_parts();
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = forward::to_client(&head.headers);
    if *method != Method::HEAD {
        // The server sets it again.
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
    answer.extensions_mut().insert(Forwarded);
    answer
}

fn page() -> HostResponse {
    let mut answer = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}

fn empty(status: StatusCode) -> HostResponse {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// Counts an invocation as in flight until it is dropped.
struct InFlight(Arc<HostShared>);

impl InFlight {
    fn enter(shared: &Arc<HostShared>) -> Self {
        shared.in_flight.send_modify(|requests| *requests += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|requests| *requests -= 1);
    }
}
