//! Converts the agent's times and durations to story time.
//!
//! The agent runs in real time even when the lab's clock does not. Its lines are rewritten when
//! they are stored, so that queries and mails use story time only.

use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use crate::clock::{Scale, StoryClock};

/// Returns the line with its times converted to story time; a line without times is unchanged.
pub(super) fn to_story_time(line: String, clock: &StoryClock) -> String {
    if clock.scale() == Scale::REAL {
        return line;
    }
    let Ok(Value::Object(mut event)) = serde_json::from_str(&line) else { return line };
    match event.get("event").and_then(Value::as_str) {
        Some("heartbeat") => duration(&mut event, "quiet_s", clock.scale()),
        Some("outage") => {
            downtime(&mut event, clock.scale());
            times(&mut event, ["started", "ended"], clock);
            let segments = event.get_mut("segments").and_then(Value::as_array_mut);
            for segment in segments.into_iter().flatten().filter_map(Value::as_object_mut) {
                times(segment, ["from", "to"], clock);
            }
        }
        _ => return line,
    }
    // The queries search for the event at the start of the line, where the function writes it.
    let name = event.remove("event").unwrap_or_default();
    let rest = Value::Object(event).to_string();
    let comma = if rest == "{}" { "" } else { "," };
    format!("{{\"event\":{name}{comma}{}", &rest[1..])
}

/// Scales the downtime of an outage, and the time in which one address family was down.
///
/// A device counts whole seconds, which may be whole minutes of story time. Where the timestamps of
/// the segments, or of the whole outage, agree with it within a second, they are used, because they
/// are exact.
fn downtime(event: &mut Map<String, Value>, scale: Scale) {
    let whole = length(event, ["started", "ended"]);
    let internet = parts(event, &["internet"]);
    let one_family = parts(event, &["ipv4", "ipv6"]);
    for (field, seconds) in [("downtime_s", [internet, whole]), ("one_family_s", [one_family; 2])] {
        let Some(said) = event.get(field).and_then(Value::as_f64) else { continue };
        match seconds.into_iter().flatten().find(|seconds| (seconds - said).abs() < 1.0) {
            Some(exact) => {
                let story = (exact * f64::from(scale.factor())) as u64;
                event.insert(field.to_owned(), Value::from(story));
            }
            None => duration(event, field, scale),
        }
    }
}

/// Returns the total duration, in seconds, of the failed segments with these scopes.
fn parts(event: &Map<String, Value>, scopes: &[&str]) -> Option<f64> {
    let word = |part: &Map<String, Value>, field| part.get(field)?.as_str().map(str::to_owned);
    let parts = event.get("segments").and_then(Value::as_array).into_iter().flatten();
    let parts = parts.filter_map(Value::as_object).filter(|part| {
        word(part, "scope").is_some_and(|scope| scopes.contains(&scope.as_str()))
            && word(part, "cause").is_some_and(|cause| cause != "up")
    });
    parts.map(|part| length(part, ["from", "to"])).sum()
}

/// Returns the seconds between two timestamps.
fn length(event: &Map<String, Value>, [from, to]: [&str; 2]) -> Option<f64> {
    let time = |field| event.get(field)?.as_str()?.parse::<Timestamp>().ok();
    Some(time(to)?.duration_since(time(from)?).as_secs_f64())
}

/// Scales a number of seconds.
fn duration(event: &mut Map<String, Value>, field: &str, scale: Scale) {
    let Some(value) = event.get_mut(field) else { return };
    let factor = scale.factor();
    let scaled = match value.as_u64() {
        Some(seconds) => Some(Number::from(seconds.saturating_mul(factor.into()))),
        None => value.as_f64().and_then(|seconds| Number::from_f64(seconds * f64::from(factor))),
    };
    if let Some(scaled) = scaled {
        *value = Value::Number(scaled);
    }
}

/// Converts wall-clock times to story time.
fn times(event: &mut Map<String, Value>, fields: [&str; 2], clock: &StoryClock) {
    for field in fields {
        let Some(value) = event.get_mut(field) else { continue };
        if let Some(time) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
            *value = Value::String(clock.at_wall(time).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;

    const HEARTBEAT: &str = r#"{"event":"heartbeat","device":"a","quiet_s":30}"#;

    fn clock() -> StoryClock {
        StoryClock::start_on_the_hour(Scale::FASTEST)
    }

    #[test]
    fn announced_silence_is_converted_to_story_time() {
        let beat: Value =
            serde_json::from_str(&to_story_time(HEARTBEAT.to_owned(), &clock())).expect("JSON");
        assert_eq!(beat, json!({"event": "heartbeat", "device": "a", "quiet_s": 1800}));
    }

    #[test]
    fn the_event_stays_the_first_field() {
        let converted = |line: &str| to_story_time(line.to_owned(), &clock());
        assert!(converted(HEARTBEAT).starts_with(r#"{"event":"heartbeat","#));
        assert_eq!(converted(r#"{"event":"heartbeat"}"#), r#"{"event":"heartbeat"}"#);
    }

    #[test]
    fn start_and_duration_of_outages_are_converted_to_story_time() {
        let clock = clock();
        let epoch = clock.epoch();
        let wall = (0..).map(|seconds| epoch + SignedDuration::from_secs(seconds));
        let [wall_start, wall_middle, wall_end]: [Timestamp; 3] =
            wall.take(3).collect::<Vec<_>>().try_into().expect("three");
        let line = json!({
            "event": "outage", "id": "a", "started": wall_start, "ended": wall_end,
            "downtime_s": 2, "segments": [
                {"cause": "isp", "from": wall_start, "to": wall_middle},
                {"cause": "dns", "from": wall_middle, "to": wall_end},
            ],
        });
        let story: Value =
            serde_json::from_str(&to_story_time(line.to_string(), &clock)).expect("JSON");
        let (start, middle, end) =
            (clock.at_wall(wall_start), clock.at_wall(wall_middle), clock.at_wall(wall_end));
        assert_eq!(end.duration_since(start), SignedDuration::from_mins(2));
        assert_eq!(
            story,
            json!({
                "event": "outage", "id": "a", "started": start, "ended": end,
                "downtime_s": 120, "segments": [
                    {"cause": "isp", "from": start, "to": middle},
                    {"cause": "dns", "from": middle, "to": end},
                ],
            })
        );
    }

    #[test]
    fn downtime_is_exact_unless_it_is_only_part_of_the_outage() {
        let start = clock().epoch();
        for (lasted, downtime, expected) in
            [(14_350, 14, 861), (14_350, 15, 861), (14_350, 10, 600), (14_350, 13, 780)]
        {
            let end = start + SignedDuration::from_millis(lasted);
            let line =
                json!({"event": "outage", "started": start, "ended": end, "downtime_s": downtime});
            let story: Value =
                serde_json::from_str(&to_story_time(line.to_string(), &clock())).expect("JSON");
            assert_eq!(story["downtime_s"], expected, "{downtime} s of {lasted} ms");
        }
    }

    #[test]
    fn downtimes_are_summed_from_the_segments() {
        let start = clock().epoch();
        let at = |milliseconds| start + SignedDuration::from_millis(milliseconds);
        let part = |scope: &str, cause: &str, from, to| json!({"cause": cause, "scope": scope, "from": at(from), "to": at(to)});
        let line = json!({
            "event": "outage", "started": start, "ended": at(20_000),
            "downtime_s": 14, "one_family_s": 2, "segments": [
                part("ipv6", "isp", 0, 500),
                part("internet", "isp", 500, 14_250),
                part("ipv4", "isp", 14_250, 15_100),
                part("internet", "up", 15_100, 20_000),
            ],
        });
        let story: Value =
            serde_json::from_str(&to_story_time(line.to_string(), &clock())).expect("JSON");
        assert_eq!((&story["downtime_s"], &story["one_family_s"]), (&json!(825), &json!(81)));
    }

    #[test]
    fn other_fields_and_lines_are_unchanged() {
        for line in ["quiet_s 30", "", "[1]", r#"{"event":"failure","quiet_s":30}"#] {
            assert_eq!(to_story_time(line.to_owned(), &clock()), line);
        }
        assert_eq!(to_story_time(HEARTBEAT.to_owned(), &StoryClock::start(Scale::REAL)), HEARTBEAT);
        for line in [
            json!({"event": "heartbeat"}),
            json!({"event": "heartbeat", "quiet_s": "soon"}),
            json!({"event": "outage", "started": "yesterday", "ended": 5, "segments": [1]}),
        ] {
            let same: Value =
                serde_json::from_str(&to_story_time(line.to_string(), &clock())).expect("JSON");
            assert_eq!(same, line);
        }
    }
}
