//! Tests against a real `dbus-daemon` with a stand-in for logind.

use std::io::{PipeReader, Read};

use ispmon_testing::logind::{Bus, Logind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

/// Only ends a hung test.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the lock behind `reader` is closed.
async fn closed(mut reader: PipeReader) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let read = reader.read(&mut [0]).expect("the pipe is read");
        let _ = sender.send(read);
    });
    assert_eq!(receiver.await, Ok(0));
}

fn is_open(reader: &PipeReader) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut descriptors = [PollFd::new(reader, PollFlags::IN)];
    poll(&mut descriptors, Some(&Timespec::default())).expect("the pipe is polled") == 0
}

async fn about_to_sleep(events: &mut UnboundedReceiver<SleepEvent>) -> Permit {
    match events.recv().await {
        Some(SleepEvent::AboutToSleep(permit)) => permit,
        other => panic!("{other:?}"),
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("the test does not hang") });
}

#[test]
fn the_machine_waits_for_the_permit_and_a_new_lock_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(bus) = Bus::start(folder.path()) else { return };
    run(async {
        let mut logind = Logind::start(&bus).await;
        let (sender, mut events) = unbounded_channel();
        let listening = tokio::spawn(listen(Some(bus.address.clone()), sender, RETRY));
        for _ in 0..2 {
            let lock = logind.grant_lock().await;
            logind.emit_prepare_for_sleep(true).await;
            let permit = about_to_sleep(&mut events).await;
            assert!(permit.holds());
            assert!(is_open(&lock), "the machine waits");
            permit.release();
            closed(lock).await;
            logind.emit_prepare_for_sleep(false).await;
            assert!(matches!(events.recv().await, Some(SleepEvent::Resumed)));
        }
        listening.abort();
    });
}

#[test]
fn sleep_is_announced_without_a_lock_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(bus) = Bus::start(folder.path()) else { return };
    run(async {
        let mut logind = Logind::start(&bus).await;
        let (sender, mut events) = unbounded_channel();
        let listening = tokio::spawn(listen(Some(bus.address.clone()), sender, RETRY));
        let call = logind.next_inhibit().await;
        let refusal = "org.freedesktop.DBus.Error.AccessDenied";
        let answered = logind.connection.reply_error(&call.header(), refusal, &"no").await;
        answered.expect("the call is answered");
        logind.emit_prepare_for_sleep(true).await;
        assert!(!about_to_sleep(&mut events).await.holds());
        listening.abort();
    });
}

#[test]
fn a_restarted_bus_is_connected_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(bus) = Bus::start(folder.path()) else { return };
    run(async {
        let (sender, mut events) = unbounded_channel();
        let retry = Duration::from_millis(20);
        let mut logind = Logind::start(&bus).await;
        let listening = tokio::spawn(listen(Some(bus.address.clone()), sender, retry));
        let lock = logind.grant_lock().await;
        drop(bus);
        closed(lock).await;
        let bus = Bus::start(folder.path()).expect("the bus starts again");
        let mut logind = Logind::start(&bus).await;
        let lock = logind.grant_lock().await;
        logind.emit_prepare_for_sleep(true).await;
        about_to_sleep(&mut events).await.release();
        closed(lock).await;
        listening.abort();
    });
}

#[test]
fn a_lock_is_taken_when_logind_appears_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(bus) = Bus::start(folder.path()) else { return };
    run(async {
        let (sender, _events) = unbounded_channel();
        let address = Some(bus.address.clone());
        let session = Session::open(address.as_deref()).await.expect("the bus can be reached");
        let listening = tokio::spawn(async move { session.run(&sender).await });
        for _ in 0..2 {
            let mut logind = Logind::start(&bus).await;
            let lock = logind.grant_lock().await;
            assert!(is_open(&lock));
        }
        listening.abort();
    });
}

#[test]
fn a_machine_without_a_bus_sends_no_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("unix:path={}", folder.path().join("none").display());
    run(async {
        let error = Session::open(Some(&address)).await.err().expect("an error without a bus");
        assert!(matches!(error, LogindError::Bus(_)), "{error:?}");
        let (sender, events) = unbounded_channel();
        let listening = tokio::spawn(listen(Some(address), sender, Duration::from_millis(1)));
        drop(events);
        listening.await.expect("the task ends without a receiver");
    });
}
