//! `ispmon-agent outages`.

use ispmon_agent::outage::{Cause, GapCause, Party, Scope};
use tempfile::TempDir;

use crate::{ispmon, record::Maker, shown};

fn time(text: &str) -> jiff::Timestamp {
    text.parse().expect("a time")
}

/// Three days around the end of summer time in Berlin, 2026-10-25 01:00 UTC.
fn autumn() -> (TempDir, Maker) {
    let folder = TempDir::new().expect("a folder");
    let mut record = Maker::begin(1, "dl-home", "2026-10-24T00:00:00Z");
    let (isp, provider) = (Cause::Isp, Some(Party::Provider));
    record.incident(Scope::Internet, isp, provider, time("2026-10-25T00:30:00Z"), &[(isp, 90)]);
    record.incident(Scope::Internet, isp, provider, time("2026-10-25T01:30:00Z"), &[(isp, 1_203)]);
    record.gap(GapCause::Suspended, time("2026-10-25T10:00:00Z"), time("2026-10-25T14:00:00Z"));
    let bad = Cause::Degraded;
    record.incident(Scope::Quality, bad, None, time("2026-10-25T18:00:00Z"), &[(bad, 600)]);
    record.incident(Scope::Ipv6, isp, provider, time("2026-10-26T05:00:00Z"), &[(isp, 60)]);
    (folder, record)
}

#[test]
fn the_hour_that_comes_twice_is_told_apart() {
    let (folder, record) = autumn();
    record.write(folder.path());
    let out = shown(folder.path(), &["outages", "--until", "2026-10-26"]);
    insta::assert_snapshot!(out, @"");
}

#[test]
fn gaps_are_listed_when_asked_for() {
    let (folder, record) = autumn();
    record.write(folder.path());
    let out = shown(
        folder.path(),
        &["outages", "--all", "--since", "2026-10-25T03:00", "--until", "2026-10-25"],
    );
    insta::assert_snapshot!(out, @"");
}

#[test]
fn an_open_incident_is_told_so() {
    let folder = TempDir::new().expect("a folder");
    let mut record = Maker::begin(1, "dl-home", "2026-10-24T00:00:00Z");
    record.open_incident(Cause::Gateway, Party::Yours, time("2026-10-24T01:00:00Z"));
    record.write(folder.path());
    let out = shown(folder.path(), &["outages"]);
    assert!(out.contains("Router: it was silent (still open)"), "{out}");
}

#[test]
fn csv_and_json_have_all_of_it() {
    let (folder, record) = autumn();
    record.write(folder.path());
    let csv = shown(folder.path(), &["outages", "--csv", "--all", "--until", "2026-10-26"]);
    // The last line is the time since, which goes on.
    let csv = csv.replace("\r\n", "\n");
    let (csv, open) = csv.trim_end().rsplit_once('\n').expect("lines");
    assert!(open.starts_with("gap,,2026-10-26T06:01:02.000+01:00,,"), "{open}");
    insta::assert_snapshot!(csv, @"");
    let json = shown(folder.path(), &["outages", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["device"], "dl-home");
    assert_eq!(json["chain"]["head"], record.head().as_str());
    assert_eq!(json["incidents"][1]["started"], "2026-10-25T02:30:00.000+01:00");
    assert_eq!(json["incidents"][1]["downtime_s"], 1203.0);
    assert_eq!(json["incidents"].as_array().map(Vec::len), Some(4));
    assert!(json.get("gaps").is_none());
}

#[test]
fn without_a_record_it_says_where_it_looked() {
    let folder = TempDir::new().expect("a folder");
    let printed = ispmon(folder.path(), &["outages"]);
    assert_eq!((printed.code, printed.out.as_str()), (1, ""));
    let err = printed.err.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(err, @"");
}

#[test]
fn a_record_without_outages_is_no_failure() {
    let folder = TempDir::new().expect("a folder");
    Maker::begin(1, "dl-home", "2026-10-24T00:00:00Z").write(folder.path());
    let out = shown(folder.path(), &["outages", "--until", "2026-10-24"]);
    insta::assert_snapshot!(out, @"");
}

#[test]
fn damage_is_told() {
    let (folder, record) = autumn();
    record.write(folder.path());
    let file = folder.path().join("journal.ndjson");
    let text = std::fs::read_to_string(&file).expect("it is text");
    std::fs::write(&file, text.replacen("1.1.1.1", "1.1.1.2", 1)).expect("a file");
    let out = shown(folder.path(), &["outages"]);
    assert!(out.contains("Caution, the record is damaged: journal.ndjson, line 3"), "{out}");
}

#[test]
fn wrong_times_are_wrong_usage() {
    let folder = TempDir::new().expect("a folder");
    for time in ["soon", "2026-13", "2026-02-30", "7", "7y", ""] {
        let printed = ispmon(folder.path(), &["outages", "--since", time]);
        assert_eq!(printed.code, 64, "{time:?}: {}", printed.err);
    }
    let printed = ispmon(folder.path(), &["outages", "--json", "--csv"]);
    assert_eq!(printed.code, 64);
}
