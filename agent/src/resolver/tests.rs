//! Tests of the lookup thread, with lookups that answer or hang as a test requires.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, Sender, channel},
};

use super::*;

/// Far more than any of these tests needs.
const PATIENCE: Duration = Duration::from_mins(1);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn address(last: u8) -> Vec<IpAddr> {
    vec![Ipv4Addr::new(192, 0, 2, last).into()]
}

/// Lookups that block until they are released: the test is notified when each begins, and releases a name
/// permanently.
struct Held {
    begun: Receiver<String>,
    released: Arc<(Mutex<HashMap<String, LookupResult>>, Condvar)>,
}

impl Held {
    fn resolver(give_up_after: Duration) -> (Resolver, Self) {
        let (sender, begun): (Sender<String>, _) = channel();
        let released =
            Arc::new((Mutex::<HashMap<String, LookupResult>>::default(), Condvar::new()));
        let shared = Arc::clone(&released);
        let look_up = move |name: &str| {
            let _ = sender.send(name.to_owned());
            let (answers, changed) = &*shared;
            let answers = answers.lock().expect("not poisoned");
            let answers = changed
                .wait_while(answers, |answers| !answers.contains_key(name))
                .expect("not poisoned");
            answers[name].clone()
        };
        (Resolver::with(look_up, give_up_after), Self { begun, released })
    }

    fn next_begun(&self) -> String {
        self.begun.recv_timeout(PATIENCE).expect("a lookup begins")
    }

    /// Calls `resolve` for a name, and cancels the call when its lookup has begun.
    async fn leave_hanging(&self, resolver: &Resolver, name: &str) {
        tokio::select! {
            biased;
            answer = resolver.resolve(name, soon()) => panic!("{answer:?}"),
            () = async { assert_eq!(self.next_begun(), name) } => {}
        }
    }

    fn none_begun(&self) -> bool {
        self.begun.try_recv().is_err()
    }

    fn release(&self, name: &str, answer: LookupResult) {
        self.released.0.lock().expect("not poisoned").insert(name.to_owned(), answer);
        self.released.1.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Threads that still wait for a name would otherwise outlive the test.
        for name in ["a.example", "b.example", "c.example", "d.example", "e.example"] {
            self.release(name, Ok(address(0)));
        }
    }
}

#[tokio::test]
async fn callers_of_one_name_share_one_lookup() {
    let (resolver, held) = Held::resolver(PATIENCE);
    let (first, second, released) = tokio::join!(
        resolver.resolve("a.example", soon()),
        resolver.resolve("a.example", soon()),
        async {
            let begun = held.next_begun();
            held.release("a.example", Ok(address(1)));
            begun
        },
    );
    assert_eq!(released, "a.example");
    assert_eq!(first, Ok(address(1)));
    assert_eq!(second, Ok(address(1)));
    assert!(held.none_begun(), "the second caller joined");
}

#[tokio::test]
async fn lookups_run_one_at_a_time_in_order() {
    let (resolver, held) = Held::resolver(PATIENCE);
    let (first, second, ()) = tokio::join!(
        resolver.resolve("a.example", soon()),
        resolver.resolve("b.example", soon()),
        async {
            assert_eq!(held.next_begun(), "a.example");
            assert!(held.none_begun(), "the other one waits");
            held.release("a.example", Ok(address(1)));
            assert_eq!(held.next_begun(), "b.example");
            held.release("b.example", Ok(address(2)));
        },
    );
    assert_eq!((first, second), (Ok(address(1)), Ok(address(2))));
}

#[tokio::test]
async fn each_caller_has_its_own_deadline_and_the_lookup_continues() {
    let (resolver, held) = Held::resolver(PATIENCE);
    let gave_up = tokio::sync::Notify::new();
    let (hasty, patient, ()) = tokio::join!(
        async {
            let answer = resolver.resolve("a.example", Instant::now()).await;
            gave_up.notify_one();
            answer
        },
        resolver.resolve("a.example", soon()),
        async {
            assert_eq!(held.next_begun(), "a.example");
            gave_up.notified().await;
            held.release("a.example", Ok(address(1)));
        },
    );
    assert!(
        matches!(&hasty, Err(LookupError::TimedOut { name, .. }) if name == "a.example"),
        "{hasty:?}"
    );
    assert_eq!(patient, Ok(address(1)));
}

#[tokio::test]
async fn queued_names_without_callers_are_skipped() {
    let (resolver, held) = Held::resolver(PATIENCE);
    held.leave_hanging(&resolver, "a.example").await;
    let gone = resolver.resolve("b.example", Instant::now()).await;
    assert!(gone.is_err());
    let (third, ()) = tokio::join!(resolver.resolve("c.example", soon()), async {
        held.release("a.example", Ok(address(1)));
        assert_eq!(held.next_begun(), "c.example", "no caller waits for b.example");
        held.release("c.example", Ok(address(3)));
    });
    assert_eq!(third, Ok(address(3)));
}

#[tokio::test]
async fn a_hanging_lookup_is_abandoned_and_the_next_caller_starts_a_new_thread() {
    let (resolver, held) = Held::resolver(Duration::ZERO);
    held.leave_hanging(&resolver, "a.example").await;

    let (other, ()) = tokio::join!(resolver.resolve("b.example", soon()), async {
        assert_eq!(held.next_begun(), "b.example");
        held.release("b.example", Ok(address(2)));
    });
    assert_eq!(other, Ok(address(2)));

    let (again, ()) = tokio::join!(resolver.resolve("a.example", soon()), async {
        assert_eq!(held.next_begun(), "a.example", "the name that hangs is looked up anew as well");
        held.release("a.example", Ok(address(1)));
    });
    assert_eq!(again, Ok(address(1)));
}

#[tokio::test]
async fn while_too_many_lookups_hang_callers_fail_at_once() {
    let (resolver, held) = Held::resolver(Duration::ZERO);
    for name in ["a.example", "b.example", "c.example", "d.example"] {
        held.leave_hanging(&resolver, name).await;
    }
    let refused = resolver.resolve("e.example", soon()).await;
    assert!(matches!(refused, Err(LookupError::Hanging { .. })), "{refused:?}");

    held.release("a.example", Ok(address(1)));
    held.release("e.example", Ok(address(5)));
    let deadline = Instant::now() + PATIENCE;
    // The thread that was released needs a moment to finish.
    while resolver.resolve("e.example", soon()).await != Ok(address(5)) {
        assert!(Instant::now() < deadline, "a place is free again");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn failures_reach_every_caller() {
    let (resolver, held) = Held::resolver(PATIENCE);
    let error = LookupError::Temporary { name: "a.example".into(), reason: "try again".into() };
    held.release("a.example", Err(error.clone()));
    let (first, second) =
        tokio::join!(resolver.resolve("a.example", soon()), resolver.resolve("a.example", soon()));
    assert_eq!(first, Err(error.clone()));
    assert_eq!(second, Err(error));
}

#[tokio::test]
async fn addresses_and_local_names_need_no_lookup() {
    let resolver = Resolver::with(|name| panic!("{name} was looked up"), PATIENCE);
    for (name, first) in [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("localhost", "127.0.0.1"),
        ("LocalHost.", "127.0.0.1"),
        ("lab.localhost", "127.0.0.1"),
    ] {
        let addresses = resolver.resolve(name, Instant::now()).await.expect("no lookup");
        assert_eq!(addresses[0].to_string(), first, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_reported_by_the_system() {
    // No name has a label of more than 63 characters (RFC 1035), so no server is queried.
    let name = format!("{}.example", "a".repeat(64));
    let error = Resolver::new().resolve(&name, soon()).await.expect_err("no such name");
    assert!(
        !matches!(error, LookupError::TimedOut { .. } | LookupError::Hanging { .. }),
        "{error}"
    );
}

#[test]
fn each_error_is_a_phrase() {
    let name = || "func.example".to_owned();
    let second = Duration::from_secs(1);
    insta::assert_snapshot!(LookupError::TimedOut { name: name() }, @"the name func.example cannot be looked up, because no name server answers");
    insta::assert_snapshot!(LookupError::Unknown { name: name() }, @"the name func.example does not exist");
    insta::assert_snapshot!(LookupError::Temporary { name: name(), reason: "Temporary failure in name resolution".into() }, @"the name func.example cannot be looked up now (Temporary failure in name resolution)");
    insta::assert_snapshot!(LookupError::Hanging { name: name(), since: 90 * second }, @"the name func.example cannot be looked up, because lookups have been hanging for 1 min 30 s");
}
