use proptest::prelude::*;

use super::*;

/// The boot of all these tests.
const BOOT: BootId = BootId::UNKNOWN;

/// 2027-01-01, a second after [`BOOT`].
fn first() -> Reading {
    Reading {
        boot_ms: 1_000,
        awake_ms: 1_000,
        wall: "2027-01-01T00:00:00Z".parse().expect("a time"),
    }
}

/// Simulated clocks.
struct Machine(Reading);

impl Machine {
    fn awake(&mut self, seconds: i64) -> Reading {
        self.awake_ms(seconds * 1_000)
    }

    fn awake_ms(&mut self, milliseconds: i64) -> Reading {
        self.0.awake_ms += milliseconds.unsigned_abs();
        self.asleep_ms(milliseconds)
    }

    fn asleep(&mut self, seconds: i64) -> Reading {
        self.asleep_ms(seconds * 1_000)
    }

    fn asleep_ms(&mut self, milliseconds: i64) -> Reading {
        self.0.boot_ms += milliseconds.unsigned_abs();
        self.step_ms(milliseconds)
    }

    fn step_ms(&mut self, milliseconds: i64) -> Reading {
        let wall = self.0.wall.as_millisecond() + milliseconds;
        self.0.wall = Timestamp::from_millisecond(wall).expect("within range");
        self.0
    }
}

fn start() -> (Machine, ClockComparison) {
    (Machine(first()), ClockComparison::new(BOOT, first(), Timestamp::UNIX_EPOCH))
}

/// A stamp at `boot_ms` whose wall clock must not matter.
fn at(boot_ms: u64) -> Stamp {
    Stamp { boot: BOOT, boot_ms, wall: Timestamp::UNIX_EPOCH }
}

fn spans(events: &[ClockEvent]) -> Vec<(u64, u64)> {
    let span = |event: &ClockEvent| match event {
        ClockEvent::Suspended { from, to } => Some((from.boot_ms, to.boot_ms)),
        ClockEvent::Stepped { .. } => None,
    };
    events.iter().filter_map(span).collect()
}

#[test]
fn a_suspension_lasts_from_the_reading_before_it_to_the_one_after() {
    let (mut machine, mut watch) = start();
    assert_eq!(watch.observe(machine.awake(1)), []);
    machine.asleep(3_600);
    let events = watch.observe(machine.awake(1));
    assert_eq!(spans(&events), [(2_000, 3_603_000)]);
    let ClockEvent::Suspended { from, to } = events[0] else { panic!("{events:?}") };
    assert_eq!(from.wall.to_string(), "2027-01-01T00:00:01Z");
    assert_eq!(to.wall.to_string(), "2027-01-01T01:00:02Z");
}

#[test]
fn readings_that_are_not_quite_simultaneous_are_no_suspension() {
    let (mut machine, mut watch) = start();
    machine.asleep_ms(999);
    assert_eq!(watch.observe(machine.awake(1)), []);
    machine.asleep_ms(1_000);
    assert_eq!(spans(&watch.observe(machine.awake(1))).len(), 1);
}

#[test]
fn a_dark_wake_is_part_of_the_suspension_and_a_longer_one_is_not() {
    for (awake, begins_ms) in [(59, 101_000), (60, 161_000)] {
        let (mut machine, mut watch) = start();
        assert_eq!(spans(&watch.observe(machine.asleep(100))), [(1_000, 101_000)]);
        for _ in 0..awake {
            assert_eq!(watch.observe(machine.awake(1)), []);
        }
        let ends_ms = 101_000 + awake * 1_000 + 100_000;
        let events = watch.observe(machine.asleep(100));
        assert_eq!(spans(&events), [(begins_ms, ends_ms)], "awake for {awake} s");
    }
}

#[test]
fn setting_the_clock_is_a_step_and_slewing_it_is_not() {
    for (by_ms, is_step) in [
        (2_000, false),
        (2_001, true),
        (-2_000, false),
        (-2_001, true),
        (-3_600_000, true),
        (1_800_000_000, true),
    ] {
        let (mut machine, mut watch) = start();
        machine.awake(1);
        let events = watch.observe(machine.step_ms(by_ms));
        let expected = [ClockEvent::Stepped { by_ms, source: StepSource::System }];
        assert_eq!(events, if is_step { &expected[..] } else { &[] }, "moved by {by_ms} ms");
        assert_eq!(watch.stamp(machine.0.boot_ms).wall, machine.0.wall, "the newest time is used");
    }
    let (mut machine, mut watch) = start();
    for _ in 0..100_000 {
        // NTP slews a clock by up to 500 parts in a million.
        machine.awake_ms(10_000);
        assert_eq!(watch.observe(machine.step_ms(5)), []);
    }
    machine.asleep(40_000);
    assert_eq!(
        spans(&watch.observe(machine.step_ms(20_000))).len(),
        1,
        "the drift of a night is no step either"
    );
}

#[test]
fn waking_with_a_wrong_clock_is_a_suspension_and_a_step() {
    let (mut machine, mut watch) = start();
    machine.asleep(600);
    let events = watch.observe(machine.step_ms(-600_000));
    assert_eq!(spans(&events), [(1_000, 601_000)]);
    assert_eq!(events[1], ClockEvent::Stepped { by_ms: -600_000, source: StepSource::System });
}

#[test]
fn an_impossible_date_is_rejected() {
    let (mut machine, mut watch) = start();
    watch.observe(machine.awake(9));
    for date in ["1973-01-01T00:00:00Z", "2090-01-01T00:00:00Z"] {
        let date = date.parse().expect("a time");
        assert_eq!(watch.heartbeat_date(date, at(9_800), at(10_000)), None);
        assert_eq!(watch.correction_ms(), 0, "{date}");
    }
}

#[test]
fn a_response_corrects_a_wrong_clock_once() {
    let (mut machine, mut watch) = start();
    watch.observe(machine.awake(9));
    // The response came within 200 ms; by this machine it was 00:00:09.
    let date = "2027-01-01T05:00:09Z".parse().expect("a time");
    let event = watch.heartbeat_date(date, at(9_800), at(10_000));
    let Some(ClockEvent::Stepped { by_ms, source: StepSource::Heartbeat }) = event else {
        panic!("{event:?}")
    };
    assert!((by_ms - 18_000_000).abs() <= 1_000, "{by_ms}");
    let wall = watch.stamp(10_000).wall;
    assert!(wall.duration_since(date).as_secs() <= 1, "{wall}");
    watch.observe(machine.awake(60));
    let date = "2027-01-01T05:01:09Z".parse().expect("a time");
    assert_eq!(watch.heartbeat_date(date, at(69_800), at(70_000)), None, "it is right now");

    let events = watch.observe(machine.step_ms(18_000_000));
    assert_eq!(
        events,
        [],
        "NTP sets the clock to the corrected time, so the best-known time does not move"
    );
    assert_eq!(watch.stamp(machine.0.boot_ms).wall, machine.0.wall);
}

#[test]
fn a_clock_within_the_tolerance_is_not_corrected() {
    // By this machine the response was made between 00:00:09 and 00:00:12.
    for (date, is_corrected) in [
        ("2027-01-01T00:00:02Z", true),
        ("2027-01-01T00:00:03Z", false),
        ("2027-01-01T00:00:17Z", false),
        ("2027-01-01T00:00:18Z", true),
        // Here it is the server's clock that cannot be right.
        ("1970-01-01T00:00:09Z", false),
    ] {
        let (mut machine, mut watch) = start();
        watch.observe(machine.awake(12));
        let event = watch.heartbeat_date(date.parse().expect("a time"), at(10_000), at(13_000));
        assert_eq!(event.is_some(), is_corrected, "{date}: {event:?}");
    }
}

#[test]
fn a_slow_response_or_one_of_another_boot_is_ignored() {
    let (_, mut watch) = start();
    let date = "2027-06-01T00:00:00Z".parse().expect("a time");
    assert_eq!(watch.heartbeat_date(date, at(2_000), at(2_000 + 61_000)), None);
    let other = "7e6b4b8c-6f0e-4f5e-9d1e-0c6f1c1f2a3b".parse().expect("an id");
    let elsewhere = |boot_ms| Stamp { boot: other, ..at(boot_ms) };
    assert_eq!(watch.heartbeat_date(date, elsewhere(2_000), elsewhere(2_100)), None);
    assert_eq!(watch.heartbeat_date(date, at(2_000), elsewhere(2_100)), None);
}

#[test]
fn a_clock_is_plausible_once_it_shows_no_time_that_has_passed() {
    let record: Timestamp = "2027-03-01T00:00:00Z".parse().expect("a time");
    for (shows, not_before, plausible) in [
        ("1970-01-01T00:00:30Z", Timestamp::UNIX_EPOCH, false),
        ("2026-11-23T23:59:59Z", Timestamp::UNIX_EPOCH, false),
        ("2026-11-24T00:00:00Z", Timestamp::UNIX_EPOCH, true),
        ("2027-02-28T23:59:59Z", record, false),
        ("2027-03-01T00:00:00Z", record, true),
    ] {
        let reading = Reading { wall: shows.parse().expect("a time"), ..first() };
        let watch = ClockComparison::new(BOOT, reading, not_before);
        assert_eq!(watch.is_plausible(), plausible, "{shows}, not before {not_before}");
    }
}

#[test]
fn a_record_from_the_future_does_not_make_the_clock_implausible_forever() {
    let far = "2099-01-01T00:00:00Z".parse().expect("a time");
    let mut watch = ClockComparison::new(BOOT, first(), far);
    assert!(!watch.is_plausible());
    let date = "2027-01-01T00:00:00Z".parse().expect("a time");
    assert_eq!(watch.heartbeat_date(date, at(1_000), at(1_100)), None, "the clock was right");
    assert!(watch.is_plausible());
}

#[test]
fn a_clock_after_the_latest_date_is_wrong() {
    let reading = Reading { wall: "2069-12-31T19:42:47Z".parse().expect("a time"), ..first() };
    let mut machine = Machine(reading);
    let mut watch = ClockComparison::new(BOOT, reading, Timestamp::UNIX_EPOCH);
    assert!(!watch.is_plausible());
    machine.awake(10);
    watch.observe(machine.step_ms(-1_300_000_000_000));
    assert!(watch.is_plausible());
}

#[test]
fn a_machine_that_starts_in_1970_is_right_after_the_first_step() {
    let reading = Reading { wall: "1970-01-01T00:00:20Z".parse().expect("a time"), ..first() };
    let mut machine = Machine(reading);
    let mut watch = ClockComparison::new(BOOT, reading, Timestamp::UNIX_EPOCH);
    let before = watch.stamp(1_000);
    machine.awake(10);
    let events = watch.observe(machine.step_ms(1_800_000_000_000));
    assert_eq!(
        events,
        [ClockEvent::Stepped { by_ms: 1_800_000_000_000, source: StepSource::System }]
    );
    assert!(watch.is_plausible());
    let after = watch.stamp(machine.0.boot_ms);
    assert_eq!(
        after.since(&before),
        Some(Duration::from_secs(10)),
        "the step is not part of a duration"
    );
}

#[test]
fn the_source_is_not_from_the_future() {
    assert!(SOURCE_DATE <= super::super::now());
}

#[derive(Clone, Debug)]
enum Action {
    Awake(i64),
    Asleep(i64),
    Step(i64),
    /// The server's clock is ahead of the machine's by this many milliseconds.
    Answer(i64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (1_i64..120_000).prop_map(Action::Awake),
        (1_i64..50_000_000).prop_map(Action::Asleep),
        (-2_000_000_i64..2_000_000_000).prop_map(Action::Step),
        (-2_000_000_i64..2_000_000_000).prop_map(Action::Answer),
    ]
}

proptest! {
    #[test]
    fn neither_sleep_nor_steps_falsify_a_duration(actions in prop::collection::vec(action(), 1..60)) {
        let (mut machine, mut watch) = start();
        let mut stamps = vec![watch.stamp(first().boot_ms)];
        let mut resumed_at = 0;
        for action in actions {
            let before = watch.stamp(machine.0.boot_ms);
            let (events, took) = match action {
                Action::Awake(by) => (watch.observe(machine.awake_ms(by)), by),
                Action::Asleep(by) => (watch.observe(machine.asleep_ms(by)), by),
                Action::Step(by) => (watch.observe(machine.step_ms(by)), 0),
                Action::Answer(ahead) => {
                    let date = machine.0.wall.as_millisecond() + ahead;
                    let date = Timestamp::from_second(date / 1_000).expect("within range");
                    let sent = before.earlier(Duration::from_millis(100));
                    (watch.heartbeat_date(date, sent, before).into_iter().collect(), 0)
                }
            };
            let now = watch.stamp(machine.0.boot_ms);
            prop_assert_eq!(now.since(&before), Some(Duration::from_millis(took.unsigned_abs())));
            for event in &events {
                match event {
                    ClockEvent::Suspended { from, to } => {
                        prop_assert!(matches!(action, Action::Asleep(1_000..)));
                        prop_assert_eq!(*to, now);
                        prop_assert!(from.boot_ms >= resumed_at, "suspensions do not overlap");
                        resumed_at = to.boot_ms;
                    }
                    ClockEvent::Stepped { by_ms, .. } => {
                        let moved = now.wall.as_millisecond() - before.wall.as_millisecond();
                        prop_assert_eq!(moved, *by_ms, "the time moves by what is reported");
                    }
                }
            }
            stamps.push(now);
        }
        let total = machine.0.boot_ms - first().boot_ms;
        prop_assert_eq!(stamps.last().and_then(|last| last.since(&stamps[0])), Some(Duration::from_millis(total)));
    }

    #[test]
    fn a_response_corrects_the_time_to_within_its_own_uncertainty(
        ahead in -2_000_000_i64..2_000_000_000,
        latency in 0_u64..30_000,
    ) {
        let (mut machine, mut watch) = start();
        watch.observe(machine.awake(100));
        let truth = machine.0.wall.as_millisecond() + ahead;
        // The response is made at the very end.
        let date = Timestamp::from_second(truth / 1_000).expect("within range");
        watch.heartbeat_date(date, at(machine.0.boot_ms - latency), at(machine.0.boot_ms));
        let shown = watch.stamp(machine.0.boot_ms).wall.as_millisecond();
        let tolerance = i64::try_from(milliseconds(DATE_TOLERANCE) + 1_000 + latency).expect("small");
        prop_assert!((shown - truth).abs() <= tolerance, "{shown} for {truth}");
        prop_assert!(watch.is_plausible());
    }
}
