//! Tests of the loop on paused time, and helpers that the tests of its parts share.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use rustls::pki_types::CertificateDer;

use super::{failure::Peers, progress::HeartbeatPhase, proxy::Proxy, *};
use crate::{
    config::settings::{HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl},
    resolver::Resolver,
    tls::verifier_of,
};

/// The default settings with a URL.
pub(crate) fn settings(url: &str) -> HeartbeatSettings {
    HeartbeatSettings {
        kind: HeartbeatKind::Ispmon,
        url: Some(HeartbeatUrl::new(url.parse().expect("a URL"), false)),
        method: HeartbeatMethod::Get,
        expect: None,
        key: None,
        key_file: None,
        interval: Duration::from_mins(1),
        timeout: Duration::from_secs(30),
        backoff_base: Duration::from_secs(1),
        backoff_cap: Duration::from_secs(30),
        quiet_after_stop: Duration::from_mins(30),
        quiet_after_sleep: Duration::from_hours(12),
    }
}

/// A server on port 443, without a proxy.
pub(super) fn peers(host: &str) -> Peers {
    Peers { server: format!("{host}:443"), proxy: None, host: host.to_owned() }
}

/// The trusted roots of a client.
pub(super) enum Roots {
    /// None.
    None,
    /// These.
    Only(Vec<CertificateDer<'static>>),
}

/// A client with these settings, roots and proxy; it ignores the environment.
pub(super) fn client(
    settings: &HeartbeatSettings,
    roots: Roots,
    proxy: Option<&Proxy>,
) -> CloudClient {
    let verifier = match roots {
        Roots::None => None,
        Roots::Only(roots) if roots.is_empty() => None,
        Roots::Only(roots) => Some(verifier_of(roots).expect("they are certificates")),
    };
    let tls = tls::client_config(verifier).expect("a TLS configuration");
    CloudClient::assemble(settings, "dl-home", "b00t", proxy, tls, Arc::new(Resolver::new()))
        .expect("a client")
}

pub(super) fn delivered() -> HeartbeatOutcome {
    HeartbeatOutcome::Delivered {
        client_address: None,
        expected: None,
        date: None,
        proof: Some(NetworkPath::Unknown),
        took: Duration::ZERO,
    }
}

pub(crate) fn refused(status: u16, retry_after: Option<Duration>) -> HeartbeatOutcome {
    refused_with(status, AnswerRefusal::Status, retry_after)
}

pub(crate) fn refused_with(
    status: u16,
    refusal: AnswerRefusal,
    retry_after: Option<Duration>,
) -> HeartbeatOutcome {
    HeartbeatOutcome::Refused { status, refusal, retry_after, proof: None, took: Duration::ZERO }
}

pub(super) fn failed() -> HeartbeatOutcome {
    let peers = peers("example.net");
    HeartbeatOutcome::Failed(HeartbeatFailure::timed_out(
        HeartbeatPhase::Connecting,
        &peers,
        Duration::from_secs(30),
    ))
}

/// Runs the loop over `outcomes`, the last of which repeats, until `until`, and returns the times of the
/// heartbeats in seconds.
async fn send_times(outcomes: Vec<HeartbeatOutcome>, seed: u64, until: Duration) -> Vec<f64> {
    let started = Instant::now();
    let sent = Rc::new(RefCell::new(Vec::new()));
    let heartbeat = async || {
        let mut sent = sent.borrow_mut();
        sent.push((Instant::now() - started).as_secs_f64());
        outcomes[(sent.len() - 1).min(outcomes.len() - 1)].clone()
    };
    let pacing = Pacing::with_seed(&settings("http://127.0.0.1/"), seed);
    let returned = Notify::new();
    let heartbeats = repeat(heartbeat, &returned, pacing, |_| {});
    assert!(tokio::time::timeout(until, heartbeats).await.is_err(), "the loop never ends");
    sent.take()
}

fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn the_first_heartbeat_is_sent_at_once_and_the_others_at_the_interval() {
    for seed in 0..20 {
        let times = send_times(vec![delivered()], seed, HOUR).await;
        assert!(times[0] < 0.01);
        let gaps = gaps(&times);
        assert!(gaps[0] <= 60.1, "the second follows within the interval: {gaps:?}");
        assert!(gaps[1..].iter().all(|gap| (53.9..66.1).contains(gap)), "{gaps:?}");
        assert!(gaps[1..].iter().any(|gap| *gap < 59.0), "some come early: {gaps:?}");
        assert!(gaps[1..].iter().any(|gap| *gap > 61.0), "some come late: {gaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_after_growing_waits_that_stay_below_the_cap() {
    let mut first = Vec::new();
    for seed in 0..50 {
        let gaps = gaps(&send_times(vec![failed()], seed, HOUR).await);
        for (count, gap) in gaps.iter().enumerate() {
            let bound = 2_f64.powi(i32::try_from(count).expect("few gaps")).min(30.0);
            // A timer wakes up to a millisecond late.
            assert!(*gap <= bound + 0.002, "gap {count} is {gap}");
        }
        assert!(gaps.iter().any(|gap| *gap > 20.0), "{gaps:?}");
        first.push(gaps[0]);
    }
    assert!(first.iter().any(|gap| *gap < 0.3) && first.iter().any(|gap| *gap > 0.7), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn one_success_between_failures_does_not_reset_the_back_off() {
    let mut outcomes = vec![failed(); 6];
    outcomes.push(delivered());
    outcomes.push(failed());
    let mut later = Vec::new();
    for seed in 0..50 {
        later.push(gaps(&send_times(outcomes.clone(), seed, HOUR).await)[7]);
    }
    assert!(later.iter().any(|gap| *gap > 2.0), "the bound is still 30 s: {later:?}");
}

#[tokio::test(start_paused = true)]
async fn lasting_success_resets_the_back_off() {
    let mut outcomes = vec![failed(); 6];
    outcomes.extend(vec![delivered(); 3]);
    outcomes.push(failed());
    for seed in 0..50 {
        let gap = gaps(&send_times(outcomes.clone(), seed, HOUR).await)[9];
        assert!(gap <= 1.002, "the bound is 1 s again: {gap}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_retried_after_the_interval_or_a_longer_retry_after() {
    for (asked, proved, least) in [
        (None, false, 60.0),
        (Some(5), false, 60.0),
        (Some(300), false, 300.0),
        // Any host on the path can forge it.
        (Some(86_400), false, 3_600.0),
        (Some(86_400), true, 86_400.0),
        (Some(864_000), true, 86_400.0),
    ] {
        for seed in 0..20 {
            let mut answer = refused(429, asked.map(Duration::from_secs));
            if let HeartbeatOutcome::Refused { proof, .. } = &mut answer {
                *proof = proved.then_some(NetworkPath::Unknown);
            }
            let gaps = gaps(&send_times(vec![answer], seed, 50 * HOUR).await);
            assert!(
                gaps.iter().all(|gap| *gap >= least && *gap <= least * 1.1 + 0.002),
                "{gaps:?}"
            );
            assert!(gaps.len() >= 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn returned_connectivity_is_used_within_seconds() {
    let started = Instant::now();
    let sent = RefCell::new(Vec::new());
    let heartbeat = async || {
        sent.borrow_mut().push(Instant::now() - started);
        refused(503, Some(HOUR))
    };
    let returned = Arc::new(Notify::new());
    let notifier = Arc::clone(&returned);
    let pacing = Pacing::with_seed(&settings("http://127.0.0.1/"), 1);
    let heartbeats = repeat(heartbeat, &returned, pacing, |_| {});
    let connectivity_returns = async {
        tokio::time::sleep(Duration::from_mins(10)).await;
        notifier.notify_one();
        tokio::time::sleep(Duration::from_secs(3)).await;
    };
    tokio::select! {
        never = heartbeats => match never {},
        () = connectivity_returns => {}
    }
    let sent = sent.take();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[1] >= Duration::from_mins(10), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn the_loop_waits_as_long_as_it_reports_to_the_observer() {
    let started = Instant::now();
    let observed = RefCell::new(Vec::new());
    let heartbeat = async || delivered();
    let returned = Notify::new();
    let pacing = Pacing::with_seed(&settings("http://127.0.0.1/"), 5);
    let heartbeats =
        repeat(heartbeat, &returned, pacing, |HeartbeatAttempt { outcome, wait, .. }| {
            assert_eq!(*outcome, delivered());
            observed.borrow_mut().push((Instant::now() - started, wait));
        });
    assert!(tokio::time::timeout(HOUR, heartbeats).await.is_err());
    let observed = observed.into_inner();
    assert!(observed.len() > 50);
    for pair in observed.windows(2) {
        let passed = pair[1].0.saturating_sub(pair[0].0);
        assert!(passed >= pair[0].1 && passed <= pair[0].1 + Duration::from_millis(2), "{pair:?}");
    }
}
