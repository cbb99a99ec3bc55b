//! The format of a scenario, and the comparison of a run with its expectations.

use std::{fmt::Write, time::Duration};

use ispmon_agent::{
    outage::{
        GapCause, Incident, MachineLimits, MachineSettings, MachineSnapshot, Transition, sentence,
    },
    probe::Family,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;

use crate::{
    change::Change,
    player::{self, HeartbeatSchedule, News, Outcome, Plot},
    timeline::Timeline,
    world::{FamilyName, GatewayState, MacState, World},
};

/// An outage starts at most one probe interval before its first failed probe was sent.
const START_WITHIN_MS: u64 = 5_000;
/// Limit of the time from the start of an outage to its record.
const KNOWN_WITHIN_MS: u64 = 10_000;
/// Tolerance of the end of an outage.
const END_WITHIN_MS: u64 = 2_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    #[allow(dead_code, reason = "it is for the reader")]
    #[allow(clippy::struct_field_names, reason = "it is the key in the file")]
    story: String,
    lasts: String,
    #[serde(default = "begins")]
    begins: Timestamp,
    #[serde(default = "zone")]
    zone: String,
    #[serde(default = "families")]
    families: Vec<FamilyName>,
    /// The families whose route leads into a tunnel.
    #[serde(default)]
    tunnels: Vec<FamilyName>,
    #[serde(default = "yes")]
    heartbeats: bool,
    /// The grace period: how long no incident opens after a start, a resume or a link-up.
    grace: Option<String>,
    /// The probe interval.
    interval: Option<String>,
    #[serde(default)]
    router_mac: MacState,
    /// The median round-trip time of the last two days, in milliseconds.
    usual_ms: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    event: Vec<Change>,
    #[serde(default)]
    expect: Vec<Expected>,
    #[serde(default)]
    end: End,
}

fn begins() -> Timestamp {
    "2026-03-10T01:00:00Z".parse().expect("the constant is a time")
}

fn zone() -> String {
    "Europe/Berlin".to_owned()
}

fn families() -> Vec<FamilyName> {
    vec![FamilyName::Ipv4]
}

fn yes() -> bool {
    true
}

/// Expectations in turn, and how often; a table without `repeat` is one expectation, once.
#[derive(Debug, Deserialize)]
#[serde(try_from = "toml::Table")]
struct Expected {
    times: usize,
    each: Vec<Expectation>,
}

/// A table with `repeat`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepeatedExpectations {
    repeat: usize,
    each: Vec<Expectation>,
}

impl TryFrom<toml::Table> for Expected {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        if !table.contains_key("repeat") && !table.contains_key("each") {
            let one = table.try_into().map_err(|error| error.to_string())?;
            return Ok(Self { times: 1, each: vec![one] });
        }
        let RepeatedExpectations { repeat, each } =
            table.try_into().map_err(|error| error.to_string())?;
        if repeat < 2 || each.is_empty() {
            return Err("repeated expectations need a `repeat` of 2 or more and `each`".to_owned());
        }
        let names_time =
            |one: &Expectation| [&one.started, &one.known, &one.ended].iter().any(|t| t.is_some());
        if each.iter().any(names_time) {
            let problem = "repeated expectations cannot name `started`, `known` or `ended`, which";
            return Err(format!("{problem} are counted from the start of the story"));
        }
        Ok(Self { times: repeat, each })
    }
}

/// One transition; keys that are not set match anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    event: String,
    cause: Option<String>,
    scope: Option<String>,
    party: Option<String>,
    started: Option<String>,
    known: Option<String>,
    ended: Option<String>,
    downtime: Option<String>,
    failures: Option<u32>,
    segments: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    /// A probe and its answer that the journal must hold, such as `gateway silent`.
    evidence: Option<String>,
    sentence: Option<String>,
}

/// The final state.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    blips: Option<u64>,
    anchors_blocked: Option<bool>,
    /// The causes of the incidents that are open.
    open: Option<Vec<String>>,
}

/// Runs a scenario and reports the first difference from its expectations.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let story: Story = toml::from_str(text).map_err(|error| error.to_string())?;
    let plot = plot(&story)?;
    let expected: Vec<&Expectation> =
        story.expect.iter().flat_map(|one| (0..one.times).flat_map(move |_| &one.each)).collect();
    let zone = TimeZone::get(&story.zone).map_err(|error| error.to_string())?;
    let outcome = player::play(&plot);
    let result = compare(&expected, &story.end, &outcome, &zone);
    result.map_err(|problem| format!("{problem}\nWhat happened:\n{}", transcript(&outcome, &zone)))
}

fn plot(story: &Story) -> Result<Plot, String> {
    let present: Vec<Family> = story.families.iter().map(|name| Family::from(*name)).collect();
    let tunnels: Vec<Family> = story.tunnels.iter().map(|name| Family::from(*name)).collect();
    let mut world = World::good(&present, &tunnels);
    let mut networks = vec!["home".to_owned()];
    let mut timeline: Vec<(u64, World)> = vec![(0, world.clone())];
    let mut news = Vec::new();
    let lasts_ms = milliseconds(&story.lasts)?;
    for (at, change) in expand(&story.event, lasts_ms)? {
        let before = world.clone();
        change.apply(&mut world, &present, &mut networks)?;
        timeline.push((at, world.clone()));
        news.extend(news_of(change, &before, &world, at)?.into_iter().map(|news| (at, news)));
    }
    let grace = story.grace.as_deref().map_or(Ok(60_000), milliseconds)?;
    Ok(Plot {
        begins: story.begins,
        lasts_ms,
        timeline: Timeline(timeline),
        news,
        heartbeats: if story.heartbeats {
            HeartbeatSchedule::Steady
        } else {
            HeartbeatSchedule::None
        },
        interval_ms: story.interval.as_deref().map_or(Ok(5_000), milliseconds)?,
        settings: MachineSettings {
            grace: Duration::from_millis(grace),
            limits: MachineLimits::default(),
        },
        router_mac: story.router_mac,
        usual_ms: story.usual_ms,
        seed: story.seed,
        checkpoints: Vec::new(),
        dates_crashes: false,
        strict: true,
        traced: std::env::var_os("ISPMON_TRACE").is_some(),
    })
}

/// Each event as often as it happens, in chronological order.
fn expand(events: &[Change], lasts_ms: u64) -> Result<Vec<(u64, &Change)>, String> {
    let mut expanded: Vec<(u64, &Change)> = Vec::new();
    let mut last = 0;
    for change in events {
        let at = milliseconds(&change.at)?;
        if at < last {
            return Err(format!("the event at {} comes after a later one", change.at));
        }
        last = at;
        if change.gap.is_some() != change.until.is_some() {
            return Err(format!("the gap at {} needs a cause and an `until`", change.at));
        }
        let (repeat, every) = repetition(change, at, lasts_ms)?;
        expanded.extend((0..repeat).map(|number| (at + number * every, change)));
    }
    expanded.sort_by_key(|(at, _)| *at);
    Ok(expanded)
}

/// Number of occurrences of an event, and the time from one to the next in milliseconds.
fn repetition(change: &Change, at: u64, lasts_ms: u64) -> Result<(u64, u64), String> {
    let refuse = |problem: &str| Err(format!("the event at {} {problem}", change.at));
    let (repeat, every) = match (change.repeat, &change.every) {
        (None, None) => return Ok((1, 0)),
        (Some(repeat), Some(every)) => (repeat, milliseconds(every)?),
        _ => return refuse("needs both `repeat` and `every`"),
    };
    if repeat < 2 {
        return refuse("has a `repeat` below 2; an event without it happens once");
    }
    if every == 0 {
        return refuse("is repeated every 0 s, which is the same moment");
    }
    if change.gap.is_some() {
        return refuse("cannot be repeated: `until` is one moment");
    }
    let last = every.checked_mul(repeat - 1).and_then(|after| after.checked_add(at));
    if last.is_none_or(|last| last > lasts_ms) {
        return refuse("is repeated beyond the end of the story");
    }
    Ok((repeat, every))
}

/// Events that the agent learns from a change without a probe.
fn news_of(change: &Change, before: &World, world: &World, at: u64) -> Result<Vec<News>, String> {
    let mut news = Vec::new();
    if let Some(by_s) = change.clock_step_s {
        news.push(News::ClockStep(by_s * 1_000));
    }
    if let Some(implausible) = change.clock_implausible {
        news.push(News::ClockImplausible(implausible));
    }
    if at > 0 && before.is_change_reported(world) {
        news.push(News::LinksChanged);
    }
    if change.link_up == Some(true) {
        news.push(News::LinkUp);
    }
    if change.gateway == Some(GatewayState::Gone) {
        news.push(News::GatewayGone);
    }
    if let Some(grace) = &change.grace {
        news.push(News::Grace(Duration::from_millis(milliseconds(grace)?)));
    }
    news.extend(change.cannot_verify.map(News::CannotVerify));
    if change.no_heartbeats == Some(true) {
        news.push(News::NoHeartbeats);
    }
    if let Some(family) = change.no_anchors {
        news.push(News::NoAnchors(family.into()));
    }
    if let (Some(gap), Some(until)) = (&change.gap, &change.until) {
        let causes = [
            GapCause::Suspended,
            GapCause::Paused,
            GapCause::Stopped,
            GapCause::Crashed,
            GapCause::PowerLost,
        ];
        let cause = causes.into_iter().find(|cause| cause.as_str() == gap);
        let cause = cause.ok_or_else(|| format!("unknown cause of a gap: {gap:?}"))?;
        news.push(News::Gap(cause, milliseconds(until)?));
    }
    Ok(news)
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let duration: SignedDuration =
        text.parse().map_err(|error| format!("{text:?} is no time: {error}"))?;
    u64::try_from(duration.as_millis()).map_err(|_| format!("{text:?} is negative"))
}

fn compare(
    expected: &[&Expectation],
    end: &End,
    outcome: &Outcome,
    zone: &TimeZone,
) -> Result<(), String> {
    let began_ms = |at: ispmon_agent::clock::Stamp| outcome.time_of(at);
    let mut happened = outcome.transitions.iter();
    for (index, expected) in expected.iter().enumerate() {
        let number = index + 1;
        let Some((at, transition)) = happened.next() else {
            return Err(format!("expected more: there is no transition number {number}"));
        };
        let differs = |what: &str, wanted: &str, got: &str| {
            Err(format!("number {number}: {what} should be {wanted}, and is {got}"))
        };
        let (event, incident) = parts(transition);
        if event != expected.event {
            return differs("the event", &expected.event, event);
        }
        if let Some(wanted) = &expected.sentence {
            let got = sentence::sentence(transition, zone);
            if got != *wanted {
                return differs("the sentence", wanted, &got);
            }
        }
        if let Transition::GapEnded(gap) = transition
            && let Some(wanted) =
                expected.cause.as_deref().filter(|text| *text != gap.cause.as_str())
        {
            return differs("the cause", wanted, gap.cause.as_str());
        }
        let Some(incident) = incident else { continue };
        let downtime = incident.downtime_ms;
        let texts = [
            ("the cause", &expected.cause, incident.cause.as_str()),
            ("the scope", &expected.scope, incident.scope.as_str()),
            ("the party", &expected.party, incident.party.map_or("none", |party| party.as_str())),
        ];
        for (what, wanted, got) in texts {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != got) {
                return differs(what, wanted, got);
            }
        }
        let ended = incident.ended.map(began_ms).unwrap_or_default();
        let times = [
            ("its start", &expected.started, began_ms(incident.started), 0, START_WITHIN_MS),
            ("its end", &expected.ended, ended, END_WITHIN_MS, END_WITHIN_MS),
            ("the time it is reported", &expected.known, *at, 0, 0),
            ("its downtime", &expected.downtime, downtime, START_WITHIN_MS, END_WITHIN_MS),
        ];
        for (what, wanted, got, before, after) in times {
            let Some(text) = wanted else { continue };
            let wanted = milliseconds(text)?;
            // `known` is the latest time.
            let least =
                if what == "the time it is reported" { 0 } else { wanted.saturating_sub(before) };
            if got < least || got > wanted + after {
                return differs(what, text, &seconds(got));
            }
        }
        if event == "opened"
            && expected.known.is_none()
            && let Some(started) = &expected.started
            && *at > milliseconds(started)? + KNOWN_WITHIN_MS
        {
            return differs("the time it is reported", "10 s after its start", &seconds(*at));
        }
        if let Some(wanted) = expected.failures.filter(|wanted| *wanted != incident.failures) {
            return differs("failures", &wanted.to_string(), &incident.failures.to_string());
        }
        if let Some(wanted) = &expected.segments {
            let got: Vec<_> = incident.segments.iter().map(|s| s.cause.to_string()).collect();
            if got != *wanted {
                return differs("the causes", &format!("{wanted:?}"), &format!("{got:?}"));
            }
        }
        if let Some(wanted) = &expected.scopes {
            let got: Vec<_> = incident.segments.iter().map(|s| s.scope.to_string()).collect();
            if got != *wanted {
                return differs("the scopes", &format!("{wanted:?}"), &format!("{got:?}"));
            }
        }
        if let Some(wanted) = &expected.evidence {
            let seen = |o: &ispmon_agent::outage::Observation| format!("{} {}", o.probe, o.answer);
            if !incident.evidence.iter().any(|observation| seen(observation) == *wanted) {
                let all: Vec<_> = incident.evidence.iter().map(seen).collect();
                return differs("the evidence", wanted, &format!("{all:?}"));
            }
        }
    }
    if let Some((at, transition)) = happened.next() {
        let sentence = sentence::sentence(transition, zone);
        return Err(format!("more happened than expected, at {}: {sentence}", seconds(*at)));
    }
    compare_end(end, &outcome.view)
}

fn compare_end(end: &End, view: &MachineSnapshot) -> Result<(), String> {
    if let Some(wanted) = end.blips.filter(|wanted| *wanted != view.blips) {
        return Err(format!(
            "at the end {wanted} blips are expected, but {} were counted",
            view.blips
        ));
    }
    if end.anchors_blocked.is_some_and(|wanted| wanted != view.anchors_blocked) {
        return Err(format!("at the end anchors_blocked is {}", view.anchors_blocked));
    }
    let open: Vec<_> = view.incidents.iter().map(|open| open.cause.to_string()).collect();
    if end.open.as_ref().is_some_and(|wanted| *wanted != open) {
        return Err(format!("at the end these are open: {open:?}"));
    }
    Ok(())
}

fn parts(transition: &Transition) -> (&'static str, Option<&Incident>) {
    match transition {
        Transition::Opened(incident) => ("opened", Some(incident)),
        Transition::Changed(incident) => ("changed", Some(incident)),
        Transition::Progressed(incident) => ("progressed", Some(incident)),
        Transition::Closed(incident) => ("closed", Some(incident)),
        Transition::GapEnded(_) => ("gap_ended", None),
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03} s", milliseconds / 1_000, milliseconds % 1_000)
}

/// All transitions of a run, for debugging the scenario or the machine.
fn transcript(outcome: &Outcome, zone: &TimeZone) -> String {
    let mut text = String::new();
    for (at, transition) in &outcome.transitions {
        let (event, incident) = parts(transition);
        let details = incident.map_or_else(String::new, |incident| {
            let segments: Vec<_> = incident
                .segments
                .iter()
                .map(|s| format!("{} {} {} ms", s.scope, s.cause, s.length().as_millis()))
                .collect();
            format!(
                "[{} {} {:?} down {} ms, {} failures, {segments:?}]",
                incident.scope,
                incident.cause,
                incident.party,
                incident.downtime_ms,
                incident.failures
            )
        });
        let _ = writeln!(
            text,
            "  {:>10}  {event:<10} {} {details}",
            seconds(*at),
            sentence::sentence(transition, zone)
        );
    }
    let _ = write!(
        text,
        "  at the end: ipv4 {:?}, ipv6 {:?}, {} blips, anchors blocked: {}",
        outcome.view.ipv4, outcome.view.ipv6, outcome.view.blips, outcome.view.anchors_blocked
    );
    text
}
