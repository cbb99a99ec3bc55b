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
    insta::assert_snapshot!(out, @"
    STARTED                    LASTED      WHOSE     ID             CAUSE
    2026-10-25 02:30:00+02:00  1 min 30 s  provider  01a17076-db40  ISP: no server on the internet answered
    2026-10-25 02:30:00+01:00  20 min 3 s  provider  01a170ad-c9c0  ISP: no server on the internet answered
    2026-10-25 19:00:00+01:00  10 min      –         01a17438-2900  Bad line: loss or slowness (no downtime)
    2026-10-26 06:00:00+01:00  1 min       provider  01a17694-6880  ISP: no server on the internet answered (IPv6 only)

    The internet was down 2 times, 21 min 33 s in all. Watched: 69.038 % of 2 d 23 h.
    Record: FOLDER
    ");
}

#[test]
fn gaps_are_listed_when_asked_for() {
    let (folder, record) = autumn();
    record.write(folder.path());
    let out = shown(
        folder.path(),
        &["outages", "--all", "--since", "2026-10-25T03:00", "--until", "2026-10-25"],
    );
    insta::assert_snapshot!(out, @"
    STARTED                    LASTED  WHOSE  ID             CAUSE
    2026-10-25 11:00:00+01:00  4 h     –      01a1735c-6f00  Nobody watched: the machine slept
    2026-10-25 19:00:00+01:00  10 min  –      01a17438-2900  Bad line: loss or slowness (no downtime)

    The internet was never down. Watched: 80.952 % of 21 h.
    Record: FOLDER
    ");
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
    insta::assert_snapshot!(csv, @"
    kind,id,started,ended,duration_s,downtime_s,cause,party,scope,failures,notes
    incident,01a17076-db40-7f31-88dc-97e5aab5fe3d,2026-10-25T02:30:00.000+02:00,2026-10-25T02:31:30.000+02:00,90.000,90.000,isp,provider,internet,1,
    incident,01a170ad-c9c0-7e2a-87f4-e5c44c95357a,2026-10-25T02:30:00.000+01:00,2026-10-25T02:50:03.000+01:00,1203.000,1203.000,isp,provider,internet,1,
    gap,01a1735c-6f00-74fa-aa77-99127b9e31c8,2026-10-25T11:00:00.000+01:00,2026-10-25T15:00:00.000+01:00,14400.000,,suspended,,,,
    incident,01a17438-2900-78cf-815b-4857625a9156,2026-10-25T19:00:00.000+01:00,2026-10-25T19:10:00.000+01:00,600.000,0.000,degraded,,quality,1,no downtime
    incident,01a17694-6880-7df0-8e5f-f226dfa3a096,2026-10-26T06:00:00.000+01:00,2026-10-26T06:01:00.000+01:00,60.000,60.000,isp,provider,ipv6,1,IPv6 only
    ");
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
    insta::assert_snapshot!(err, @"ispmon-agent: there is no record yet in FOLDER. It begins when the agent is started; --state-dir names another folder.");
}

#[test]
fn a_record_without_outages_is_no_failure() {
    let folder = TempDir::new().expect("a folder");
    Maker::begin(1, "dl-home", "2026-10-24T00:00:00Z").write(folder.path());
    let out = shown(folder.path(), &["outages", "--until", "2026-10-24"]);
    insta::assert_snapshot!(out, @"
    No outages. The record begins on 2026-10-24 02:00:00+02:00.
    Nobody watched. Watched: 0.000 % of 22 h.
    Record: FOLDER
    ");
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
