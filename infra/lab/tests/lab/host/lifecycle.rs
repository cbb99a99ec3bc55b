//! Start, exit, restart and stop of the handler.

use std::time::Duration;

use ispmon_lab::host::{
    event::{HandlerEnd, HostEvent},
    restart::{Consequence, Ending},
};
use tokio::{net::TcpStream, time::timeout};

use super::{
    perform, recording,
    stage::{Stage, Wanted, in_time},
};

#[tokio::test]
async fn a_request_during_the_start_is_held_and_answered() {
    let stage = Stage::set(Wanted { start: "when-released", ..Wanted::default() }).await;
    let mut connection = stage.connect().await;
    connection.send(perform("nothing").as_bytes()).await;
    assert!(connection.is_silent().await, "an answer before the handler was ready");
    stage.release();
    assert_eq!(connection.receive().await.status(), 200);
}

#[tokio::test]
async fn a_handler_that_exits_with_0_is_never_restarted() {
    let stage = Stage::set(Wanted::default()).await;
    assert_eq!(stage.exchange(perform("exit 0").as_bytes()).await.status(), 500);
    let ended = stage.event(|event| matches!(event, HostEvent::HandlerEnded { .. })).await;
    let HostEvent::HandlerEnded(HandlerEnd { ending, consequence, .. }) = ended else {
        unreachable!()
    };
    assert_eq!((ending, consequence), (Ending::Code(0), Consequence::Nothing));
    for _ in 0..3 {
        assert_eq!(stage.exchange(perform("nothing").as_bytes()).await.status(), 500);
    }
    assert_eq!(stage.starts(), 1);
    let page = stage.exchange(recording("root").client_sent.as_bytes()).await;
    assert_eq!(page.status(), 200, "the host itself still answers");
}

#[tokio::test]
async fn a_failing_handler_is_restarted_twice() {
    let mut stage = Stage::set(Wanted::default()).await;
    for round in 1..=3 {
        assert_eq!(stage.exchange(perform("stderr-and-exit 1").as_bytes()).await.status(), 500);
        let nth = |event: &&HostEvent| matches!(event, HostEvent::HandlerEnded { .. });
        let ended = stage.nth_event(round, nth).await;
        let HostEvent::HandlerEnded(HandlerEnd { ending, consequence, last_words }) = ended else {
            unreachable!()
        };
        assert_eq!(ending, Ending::Code(1));
        assert_eq!(last_words, ["words 2", "words 3", "words 4"]);
        if round < 3 {
            assert_eq!(consequence, Consequence::Restart);
            // Between two starts: the request waits and succeeds.
            assert_eq!(stage.exchange(perform("nothing").as_bytes()).await.status(), 200);
        } else {
            assert_eq!(consequence, Consequence::Stop);
        }
    }
    in_time(stage.host().stopped()).await;
    assert_eq!(stage.starts(), 3);
    let refused = TcpStream::connect(stage.address()).await;
    assert!(refused.is_err(), "a stopped host still accepts");
}

#[tokio::test]
async fn a_killed_handler_fails_the_request_in_flight_and_serves_the_next() {
    let stage = Stage::set(Wanted::default()).await;
    let mut connection = stage.connect().await;
    connection.send(perform("hold").as_bytes()).await;
    stage.held().await;
    stage.kill_handler();
    assert_eq!(connection.receive().await.status(), 500);
    assert_eq!(stage.exchange(perform("nothing").as_bytes()).await.status(), 200);
    let ended = stage.event(|event| matches!(event, HostEvent::HandlerEnded { .. })).await;
    let HostEvent::HandlerEnded(HandlerEnd { ending, .. }) = ended else { unreachable!() };
    assert_eq!(ending, Ending::Signal(9));
}

#[tokio::test]
async fn exit_200_always_restarts_the_handler() {
    let stage = Stage::set(Wanted::default()).await;
    for _ in 0..5 {
        assert_eq!(stage.exchange(perform("exit 200").as_bytes()).await.status(), 500);
        assert_eq!(stage.exchange(perform("nothing").as_bytes()).await.status(), 200);
    }
    assert_eq!(stage.starts(), 6);
}

#[tokio::test]
async fn a_handler_that_is_never_ready_is_killed_three_times() {
    let wanted = Wanted { start: "never", initialization: "00:00:01", ..Wanted::default() };
    let mut stage = Stage::set(wanted).await;
    in_time(stage.host().stopped()).await;
    let endings: Vec<_> = stage
        .events()
        .into_iter()
        .filter_map(|event| match event {
            HostEvent::HandlerEnded(HandlerEnd { ending, consequence, .. }) => {
                Some((ending, consequence))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        endings,
        [
            (Ending::NeverReady, Consequence::Restart),
            (Ending::NeverReady, Consequence::Restart),
            (Ending::NeverReady, Consequence::Stop),
        ]
    );
    assert!(!stage.any_handler_lives());
}

#[tokio::test]
async fn a_stopping_host_finishes_requests_in_flight_and_kills_the_handler() {
    let stage = Stage::set(Wanted::default()).await;
    let mut connection = stage.connect().await;
    connection.send(perform("hold").as_bytes()).await;
    stage.held().await;
    let (mut stopping, rest) = stage.stop();
    let waiting = timeout(Duration::from_millis(300), &mut stopping).await;
    assert!(waiting.is_err(), "the host stopped with a request in flight");
    assert!(rest.any_handler_lives());
    rest.release();
    assert_eq!(connection.receive().await.status(), 200);
    in_time(stopping).await.expect("the host stops");
    assert!(!rest.any_handler_lives());
    assert!(rest.events().iter().any(|event| matches!(event, HostEvent::Stopped)));
}

#[tokio::test]
async fn dropping_the_host_kills_the_handler() {
    let stage = Stage::set(Wanted::default()).await;
    stage.exchange(perform("nothing").as_bytes()).await;
    assert!(stage.any_handler_lives());
    let rest = stage.drop_host();
    in_time(async {
        while rest.any_handler_lives() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
