//! A cut relay is silent: connects hang, open connections freeze, and everything continues after the
//! restore.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ispmon_lab::relay::Relay;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Timeout for a hanging test.
const DEADLINE: Duration = Duration::from_mins(1);
/// Long enough for an answer to arrive if the relay let it through.
const SILENCE: Duration = Duration::from_millis(700);

async fn echo_server(listen: SocketAddr) -> Option<SocketAddr> {
    let listener = TcpListener::bind(listen).await.ok()?;
    let address = listener.local_addr().ok()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Some(address)
}

async fn connect(relay: &Relay) -> TcpStream {
    timeout(DEADLINE, TcpStream::connect(relay.address()))
        .await
        .expect("in time")
        .expect("connects")
}

async fn echoes(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.expect("can be written");
    expect(stream, text).await;
}

async fn expect(stream: &mut TcpStream, text: &[u8]) {
    let mut answer = vec![0; text.len()];
    timeout(DEADLINE, stream.read_exact(&mut answer)).await.expect("in time").expect("an answer");
    assert_eq!(answer, text);
}

async fn a_cut_relay_is_silent(any: SocketAddr) {
    let Some(server) = echo_server(any).await else {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: this machine has no loopback address {}\n", any.ip()),
        );
        return;
    };
    let mut relay = Relay::start(any, server).expect("a relay");
    let mut open = connect(&relay).await;
    echoes(&mut open, b"before").await;

    for round in 0..2 {
        relay.cut().await.expect("the relay can be cut");
        assert!(relay.is_cut());

        let hanging: Vec<_> =
            (0..3).map(|_| tokio::spawn(TcpStream::connect(relay.address()))).collect();
        open.write_all(b"into the silence").await.expect("the kernel buffers it");
        let mut byte = [0];
        let silent = timeout(SILENCE, open.read(&mut byte)).await;
        assert!(silent.is_err(), "round {round}: a frozen connection answered: {silent:?}");
        for connect in &hanging {
            assert!(!connect.is_finished(), "round {round}: a connect through a cut relay ended");
        }

        relay.restore();
        assert!(!relay.is_cut());
        expect(&mut open, b"into the silence").await;
        for connect in hanging {
            let connected = timeout(DEADLINE, connect).await.expect("in time").expect("no panic");
            echoes(&mut connected.expect("the hanging connect completes"), b"late").await;
        }
        echoes(&mut connect(&relay).await, b"new").await;
    }
}

#[tokio::test]
async fn a_cut_relay_is_silent_over_ipv4() {
    a_cut_relay_is_silent((Ipv4Addr::LOCALHOST, 0).into()).await;
}

#[tokio::test]
async fn a_cut_relay_is_silent_over_ipv6() {
    a_cut_relay_is_silent((Ipv6Addr::LOCALHOST, 0).into()).await;
}

#[tokio::test]
async fn a_shutdown_passes_through_a_relay() {
    let server = echo_server((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a server");
    let relay = Relay::start((Ipv4Addr::LOCALHOST, 0).into(), server).expect("a relay");
    let mut stream = connect(&relay).await;
    stream.write_all(b"last words").await.expect("can be written");
    stream.shutdown().await.expect("can be closed");
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("in time").expect("an answer");
    assert_eq!(answer, b"last words");
}

#[tokio::test]
async fn a_relay_without_a_server_closes_accepted_connections() {
    let server = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("an address")
    };
    let relay = Relay::start((Ipv4Addr::LOCALHOST, 0).into(), server).expect("a relay");
    let mut stream = connect(&relay).await;
    let mut answer = Vec::new();
    let end = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("in time");
    assert!(end.is_err() || answer.is_empty());
}

#[tokio::test]
async fn dropping_a_relay_ends_its_connections() {
    let server = echo_server((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a server");
    let relay = Relay::start((Ipv4Addr::LOCALHOST, 0).into(), server).expect("a relay");
    let mut stream = connect(&relay).await;
    echoes(&mut stream, b"before").await;
    drop(relay);
    let mut answer = Vec::new();
    let end = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("in time");
    assert!(end.is_err() || answer.is_empty());
}
