use proptest::prelude::*;

use super::*;

fn minute(minutes: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(minutes * 60.0)
}

fn at(minutes: f64, what: StoryEvent) -> TimedStoryEvent {
    TimedStoryEvent { at: minute(minutes), event: what }
}

/// A heartbeat that becomes visible a tenth of a minute after it was written.
fn heartbeat(written: f64) -> TimedStoryEvent {
    at(written + 0.1, StoryEvent::Heartbeat { written: minute(written) })
}

fn report(cause: &str, start: &str, end: &str) -> StoryReport {
    let time = |text: &str| format!("1970-01-01 {text} UTC");
    StoryReport { cause: cause.to_owned(), start: time(start), end: time(end) }
}

fn mail(kind: StoryMailKind, evaluated: f64, minutes: f64) -> TimedStoryEvent {
    let about = "dl-home".to_owned();
    let evaluated = minute(evaluated);
    let report =
        (kind == StoryMailKind::Report).then(|| report("isp (provider)", "00:06:30", "00:20:36"));
    let mail = StoryMail { kind, about, minutes, report, evaluated };
    TimedStoryEvent { at: evaluated + SignedDuration::from_secs(1), event: StoryEvent::Mail(mail) }
}

fn noticed(minutes: f64) -> TimedStoryEvent {
    at(minutes, StoryEvent::AgentNoticed)
}

/// Indexes of the main events in [`right`].
const CUT: usize = 6;
const NOTICED: usize = 7;
const ALERT: usize = 8;
const REMINDER: usize = 9;
const RESTORED: usize = 10;
const BACK: usize = 11;

/// The events of a story without any fault.
fn right() -> Vec<TimedStoryEvent> {
    let mut story: Vec<TimedStoryEvent> =
        (0..6).map(|index| heartbeat(f64::from(index) + 0.5)).collect();
    story.extend([
        at(6.5, StoryEvent::ConnectionCut),
        noticed(7.6),
        mail(StoryMailKind::Alert, 15.0, 9.5),
        mail(StoryMailKind::Reminder, 20.0, 14.5),
        at(20.5, StoryEvent::ConnectionRestored),
    ]);
    story.extend((21..35).map(|minute| heartbeat(f64::from(minute))));
    story.push(mail(StoryMailKind::Report, 25.0, 14.1));
    story.push(mail(StoryMailKind::Resolved, 35.0, 0.9));
    story.extend((35..41).map(|minute| heartbeat(f64::from(minute))));
    story.push(at(40.6, StoryEvent::Over));
    story.sort_by_key(|happened| happened.at);
    story
}

/// Returns the completed steps, or the fault. After the last event, time goes on to `end`.
fn tell(happened: &[TimedStoryEvent], end: f64) -> Result<Vec<StoryStep>, StoryFault> {
    let mut story = Story::new("dl-home", minute(0.0));
    let mut steps = Vec::new();
    for each in happened {
        steps.extend(story.observe(each)?);
    }
    if minute(end) > story.deadline() { Err(story.overdue()) } else { Ok(steps) }
}

fn position(happened: &[TimedStoryEvent], kind: StoryMailKind) -> usize {
    happened
        .iter()
        .position(|each| matches!(&each.event, StoryEvent::Mail(mail) if mail.kind == kind))
        .expect("such a mail")
}

#[test]
fn a_story_without_fault_completes_every_step_in_order() {
    assert_eq!(tell(&right(), 60.0), Ok(StoryStep::ALL.to_vec()));
}

#[test]
fn each_missing_step_is_detected() {
    let resolved = position(&right(), StoryMailKind::Resolved);
    let reported = position(&right(), StoryMailKind::Report);
    for (missing, step) in [
        (NOTICED, StoryStep::AgentNotices),
        (ALERT, StoryStep::AlertMail),
        (REMINDER, StoryStep::ReminderMail),
        (reported, StoryStep::ReportMail),
        (resolved, StoryStep::ResolvedMail),
    ] {
        let mut happened = right();
        happened.remove(missing);
        match tell(&happened, 60.0).expect_err("a step is missing") {
            StoryFault::Missing { step: found, .. } => assert_eq!(found, step),
            StoryFault::OutOfOrder { instead_of, .. } => assert_eq!(instead_of, step),
            other => panic!("{step} is missing, but: {other}"),
        }
    }
    for (missing, end) in [(CUT, NOTICED), (RESTORED, BACK)] {
        let mut happened = right();
        happened.remove(missing);
        assert!(tell(&happened, 60.0).is_err(), "without {:?}", right()[missing]);
        assert!(tell(&right()[..end], 60.0).is_err(), "nothing after {:?}", right()[missing]);
    }
}

#[test]
fn a_story_that_stops_is_overdue_unless_the_director_acts_next() {
    let happened = right();
    for length in 0..happened.len() {
        let result = tell(&happened[..length], 120.0);
        let teller_is_to_act = length == RESTORED;
        assert_eq!(result.is_ok(), teller_is_to_act, "after {length} happenings");
    }
}

#[test]
fn each_repeated_mail_breaks_the_story() {
    for kind in [
        StoryMailKind::Alert,
        StoryMailKind::Reminder,
        StoryMailKind::Report,
        StoryMailKind::Resolved,
    ] {
        let mut happened = right();
        let twice = position(&happened, kind);
        happened.insert(twice, happened[twice].clone());
        let error = tell(&happened, 60.0).expect_err("twice");
        assert!(matches!(error, StoryFault::OutOfOrder { .. }), "{error}");
    }
}

#[test]
fn no_mail_may_follow_the_resolved_one() {
    let silent = [
        mail(StoryMailKind::Alert, 40.0, 6.0),
        mail(StoryMailKind::Reminder, 40.0, 12.0),
        mail(StoryMailKind::Resolved, 40.0, 0.5),
    ];
    for extra in silent {
        let mut happened = right();
        happened.insert(happened.len() - 1, extra);
        let error = tell(&happened, 60.0).expect_err("one mail too many").to_string();
        assert!(error.ends_with("what should have happened next is: no further mail."), "{error}");
    }
}

#[test]
fn a_story_must_not_end_before_another_mail_could_have_come() {
    let mut happened = right();
    happened.pop();
    happened.retain(|each| each.at < minute(39.0));
    happened.push(at(39.0, StoryEvent::Over));
    let error = tell(&happened, 39.0).expect_err("too short");
    assert!(matches!(error, StoryFault::TooShort { .. }), "{error}");
}

#[test]
fn swapped_neighbours_break_the_story() {
    for (first, second) in [(CUT, NOTICED), (ALERT, REMINDER), (REMINDER, RESTORED)] {
        let mut happened = right();
        let (earlier, later) = (happened[first].event.clone(), happened[second].event.clone());
        happened[first].event = later;
        happened[second].event = earlier;
        assert!(tell(&happened, 60.0).is_err(), "{first} and {second}");
    }
}

#[test]
fn mails_at_the_wrong_time_break_the_story() {
    for (kind, evaluated, silent, complaint) in [
        (StoryMailKind::Alert, 10.0, 4.5, "4.5 min after the last change, not 5 to 10 min"),
        (StoryMailKind::Alert, 16.0, 10.5, "10.5 min after the last change, not 5 to 10 min"),
        (StoryMailKind::Reminder, 15.2, 9.7, "9.7 min after the last change, not 10 to 20 min"),
        (StoryMailKind::Resolved, 30.0, 0.9, "9.0 min after the last change, not 10 to 20 min"),
    ] {
        let mut happened = right();
        let place = position(&happened, kind);
        happened[place] = mail(kind, evaluated, silent);
        happened.sort_by_key(|each| each.at);
        let error = tell(&happened, 60.0).expect_err(complaint).to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn mails_with_wrong_contents_break_the_story() {
    for kind in [StoryMailKind::Alert, StoryMailKind::Reminder, StoryMailKind::Resolved] {
        let mut happened = right();
        let place = position(&happened, kind);
        let StoryEvent::Mail(mail) = &mut happened[place].event else { unreachable!("a mail") };
        mail.about = "office".to_owned();
        let error = tell(&happened, 60.0).expect_err("another device").to_string();
        assert!(error.contains("`office`"), "{error}");
    }
    let mut happened = right();
    happened[ALERT] = mail(StoryMailKind::Alert, 15.0, 5.0);
    let error = tell(&happened, 60.0).expect_err("other minutes").to_string();
    assert!(error.contains("shows 5.0 minutes of silence, but there were 9.5"), "{error}");
}

#[test]
fn a_heartbeat_during_the_cut_breaks_the_story() {
    let mut happened = right();
    happened.insert(ALERT, heartbeat(8.0));
    let error = tell(&happened, 60.0).expect_err("the line was not cut");
    assert_eq!(error, StoryFault::HeartbeatDuringCut { written: minute(8.0) });
}

#[test]
fn a_heartbeat_in_flight_at_the_cut_is_accepted() {
    let mut happened = right();
    happened.insert(NOTICED, at(6.6, StoryEvent::Heartbeat { written: minute(6.4) }));
    happened[ALERT + 1] = mail(StoryMailKind::Alert, 15.0, 8.6);
    happened[REMINDER + 1] = mail(StoryMailKind::Reminder, 20.0, 13.6);
    assert_eq!(tell(&happened, 60.0), Ok(StoryStep::ALL.to_vec()));
}

#[test]
fn heartbeats_that_stop_while_connected_break_the_story() {
    let error = tell(&right()[..3], 10.0).expect_err("no more heartbeats");
    assert_eq!(error, StoryFault::HeartbeatsStopped { last: minute(2.5) });
    let mut happened = right();
    happened.retain(|each| match each.event {
        StoryEvent::Heartbeat { written } => written < minute(24.0),
        _ => true,
    });
    let error = tell(&happened, 60.0).expect_err("no more heartbeats");
    assert_eq!(error, StoryFault::HeartbeatsStopped { last: minute(23.0) });
}

#[test]
fn a_heartbeat_that_returns_late_breaks_the_story() {
    let mut happened = right();
    happened.retain(|each| match each.event {
        StoryEvent::Heartbeat { written } => !(minute(20.0)..minute(24.0)).contains(&written),
        _ => true,
    });
    let error = tell(&happened, 60.0).expect_err("late");
    assert!(
        matches!(error, StoryFault::Missing { step: StoryStep::HeartbeatReturns, .. }),
        "{error}"
    );
}

proptest! {
    /// Leaving out anything but a single regular heartbeat, and moving any event by many minutes,
    /// never makes a story complete with other steps than all of them in order.
    #[test]
    fn any_complete_story_has_every_step_in_order(
        order in Just(right()).prop_shuffle(),
        length in 0_usize..40,
    ) {
        let mut story = Story::new("dl-home", minute(0.0));
        let mut steps = Vec::new();
        for happened in order.iter().take(length) {
            match story.observe(happened) {
                Ok(step) => steps.extend(step),
                Err(error) => {
                    prop_assert!(error.to_string().ends_with('.'), "{}", error);
                    break;
                }
            }
        }
        prop_assert_eq!(&steps[..], &StoryStep::ALL[..steps.len()]);
    }
}

#[test]
fn a_report_with_any_wrong_part_breaks_the_story() {
    let place = position(&right(), StoryMailKind::Report);
    for (what, wrong) in [
        ("cause", Some(report("gateway (yours)", "00:06:30", "00:20:36"))),
        ("start", Some(report("isp (provider)", "00:03:30", "00:20:36"))),
        ("end", Some(report("isp (provider)", "00:06:30", "00:24:36"))),
        ("outage", None),
    ] {
        let mut happened = right();
        if let StoryEvent::Mail(mail) = &mut happened[place].event {
            mail.report = wrong;
        }
        let error = tell(&happened, 60.0).expect_err(what);
        assert!(
            matches!(&error, StoryFault::WrongReport { what: found, .. } if *found == what),
            "{error}"
        );
    }
    for (more, is_right) in [(6.0, false), (0.0, true), (-2.9, true), (-3.3, false)] {
        let mut happened = right();
        if let StoryEvent::Mail(mail) = &mut happened[place].event {
            mail.minutes += more;
        }
        match tell(&happened, 60.0) {
            Ok(_) => assert!(is_right, "{more} minutes"),
            Err(StoryFault::WrongMinutes { step: StoryStep::ReportMail, .. }) => {
                assert!(!is_right, "{more} minutes");
            }
            Err(error) => panic!("{more} minutes: {error}"),
        }
    }
}
