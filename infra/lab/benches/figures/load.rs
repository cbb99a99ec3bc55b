//! Heartbeat load over keep-alive connections, and a bare hyper server for comparison.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

/// The argument that makes this benchmark run as the bare server.
pub(crate) const BARE_SERVER: &str = "bare-server";
/// How many connections carry the load, as many as a busy Functions host keeps open.
const CONNECTIONS: usize = 16;

/// Responds `ok` to every request, on the port of `FUNCTIONS_CUSTOMHANDLER_PORT`, forever.
pub(crate) fn serve_bare() {
    let port: u16 = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
            });
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

/// Sends heartbeats for `duration` and returns the number of responses per second.
pub(crate) async fn requests_per_second(server: SocketAddr, duration: Duration) -> f64 {
    let started = Instant::now();
    let deadline = started + duration;
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(send_until(server, deadline));
    }
    let answered: u64 = connections.join_all().await.into_iter().sum();
    answered as f64 / started.elapsed().as_secs_f64()
}

async fn send_until(server: SocketAddr, deadline: Instant) -> u64 {
    let stream = TcpStream::connect(server).await.expect("the server accepts");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let mut answered = 0;
    while Instant::now() < deadline {
        let body = r#"{"device":"dl-home","agent":{"version":"0.1.0","boot":"b","seq":1,"state":"running","quiet_s":0}}"#;
        let request = Request::post("/api/ping")
            .header("host", "localhost")
            .header("x-forwarded-for", "198.51.100.23:51712")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert!(answer.status().is_success(), "the load was refused: {}", answer.status());
        answer.into_body().collect().await.expect("a body");
        answered += 1;
    }
    answered
}

/// Waits until the port serves HTTP, and returns how long that took.
pub(crate) async fn first_answer(server: SocketAddr, started: Instant) -> io::Result<Duration> {
    while started.elapsed() < Duration::from_secs(30) {
        if let Ok(stream) = TcpStream::connect(server).await {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(io::Error::other)?;
            tokio::spawn(connection);
            let request =
                Request::get("/").header("host", "localhost").body(Full::<Bytes>::default());
            sender.send_request(request.expect("a request")).await.map_err(io::Error::other)?;
            return Ok(started.elapsed());
        }
        tokio::task::yield_now().await;
    }
    Err(io::Error::other("no answer within 30 s"))
}
