//! `ispmon-agent outages`.

use ispmon_agent::outage::{Cause, GapCause, Party, Scope};
use tempfile::TempDir;

use super::{ispmon, output_of};
use crate::record::JournalBuilder;

fn time(text: &str) -> jiff::Timestamp {
    text.parse().expect("a time")
}

/// Three days around the end of summer time in Berlin, 2026-10-25 01:00 UTC.
fn autumn() -> (TempDir, JournalBuilder) {
    let folder = TempDir::new().expect("a folder");
    let mut journal = JournalBuilder::start(1, "dl-home", "2026-10-24T00:00:00Z");
    let (isp, provider) = (Cause::Isp, Some(Party::Provider));
    journal.incident(Scope::Internet, isp, provider, time("2026-10-25T00:30:00Z"), &[(isp, 90)]);
    journal.incident(Scope::Internet, isp, provider, time("2026-10-25T01:30:00Z"), &[(isp, 1_203)]);
    journal.gap(GapCause::Suspended, time("2026-10-25T10:00:00Z"), time("2026-10-25T14:00:00Z"));
    let bad = Cause::Degraded;
    journal.incident(Scope::Quality, bad, None, time("2026-10-25T18:00:00Z"), &[(bad, 600)]);
    journal.incident(Scope::Ipv6, isp, provider, time("2026-10-26T05:00:00Z"), &[(isp, 60)]);
    (folder, journal)
}

#[test]
fn the_repeated_hour_is_shown_with_its_offset() {
    let (folder, journal) = autumn();
    journal.write(folder.path());
    let out = output_of(folder.path(), &["outages", "--until", "2026-10-26"]);
    insta::assert_snapshot!(out, @"
    STARTED                    LASTED      WHOSE     ID             CAUSE
    2026-10-25 02:30:00+02:00  1 min 30 s  provider  01a17076-db40  ISP: no server on the internet answered
    2026-10-25 02:30:00+01:00  20 min 3 s  provider  01a170ad-c9c0  ISP: no server on the internet answered
    2026-10-25 19:00:00+01:00  10 min      –         01a17438-2900  Degraded connection: loss or slowness (no downtime)
    2026-10-26 06:00:00+01:00  1 min       provider  01a17694-6880  ISP: no server on the internet answered (IPv6 only)

    The internet was down 2 times, 21 min 33 s in all; IPv6 only: 1 min. Monitored: 69.038 % of 2 d 23 h.
    Journal: FOLDER
    ");
}

#[test]
fn gaps_are_listed_with_all() {
    let (folder, journal) = autumn();
    journal.write(folder.path());
    let out = output_of(
        folder.path(),
        &["outages", "--all", "--since", "2026-10-25T03:00", "--until", "2026-10-25"],
    );
    insta::assert_snapshot!(out, @"
    STARTED                    LASTED  WHOSE  ID             CAUSE
    2026-10-25 11:00:00+01:00  4 h     –      01a1735c-6f00  Not monitored: the machine slept
    2026-10-25 19:00:00+01:00  10 min  –      01a17438-2900  Degraded connection: loss or slowness (no downtime)

    The internet was never down. Monitored: 80.952 % of 21 h.
    Journal: FOLDER
    ");
}

#[test]
fn an_open_incident_is_marked() {
    let folder = TempDir::new().expect("a folder");
    let mut journal = JournalBuilder::start(1, "dl-home", "2026-10-24T00:00:00Z");
    journal.open_incident(Cause::Gateway, Party::Yours, time("2026-10-24T01:00:00Z"));
    journal.write(folder.path());
    let out = output_of(folder.path(), &["outages"]);
    assert!(out.contains("Router: it did not answer (still open)"), "{out}");
}

#[test]
fn csv_and_json_have_all_fields() {
    let (folder, journal) = autumn();
    journal.write(folder.path());
    let csv = output_of(folder.path(), &["outages", "--csv", "--all", "--until", "2026-10-26"]);
    // The last line is the gap up to now, which grows.
    let csv = csv.replace("\r\n", "\n");
    let (csv, open) = csv.trim_end().rsplit_once('\n').expect("lines");
    assert!(open.starts_with("gap,,2026-10-26T06:01:02.000+01:00,,"), "{open}");
    insta::assert_snapshot!(csv, @"
    kind,id,started,ended,duration_s,downtime_s,ipv4_only_s,ipv6_only_s,cause,party,scope,failures,notes
    incident,01a17076-db40-7f31-88dc-97e5aab5fe3d,2026-10-25T02:30:00.000+02:00,2026-10-25T02:31:30.000+02:00,90.000,90.000,0.000,0.000,isp,provider,internet,1,
    incident,01a170ad-c9c0-7e2a-87f4-e5c44c95357a,2026-10-25T02:30:00.000+01:00,2026-10-25T02:50:03.000+01:00,1203.000,1203.000,0.000,0.000,isp,provider,internet,1,
    gap,01a1735c-6f00-74fa-aa77-99127b9e31c8,2026-10-25T11:00:00.000+01:00,2026-10-25T15:00:00.000+01:00,14400.000,,,,suspended,,,,
    incident,01a17438-2900-78cf-815b-4857625a9156,2026-10-25T19:00:00.000+01:00,2026-10-25T19:10:00.000+01:00,600.000,0.000,0.000,0.000,degraded,,quality,1,no downtime
    incident,01a17694-6880-7df0-8e5f-f226dfa3a096,2026-10-26T06:00:00.000+01:00,2026-10-26T06:01:00.000+01:00,60.000,0.000,0.000,60.000,isp,provider,ipv6,1,IPv6 only
    ");
    let json = output_of(folder.path(), &["outages", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
    assert_eq!(json["device"], "dl-home");
    assert_eq!(json["chain"]["head"], journal.head().as_str());
    assert_eq!(json["incidents"][1]["started"], "2026-10-25T02:30:00.000+01:00");
    assert_eq!(json["incidents"][1]["downtime_s"], 1203.0);
    assert_eq!(json["incidents"].as_array().map(Vec::len), Some(4));
    assert!(json.get("gaps").is_none());
}

/// An outage in which IPv6 returns twelve minutes after IPv4, and one by the device's own firewall.
fn partial() -> (TempDir, JournalBuilder) {
    let folder = TempDir::new().expect("a folder");
    let mut journal = JournalBuilder::start(3, "=1+1", "2026-11-01T00:00:00Z");
    let (isp, provider) = (Cause::Isp, Some(Party::Provider));
    let parts = [
        (Scope::Ipv6, isp, 20),
        (Scope::Internet, Cause::Gateway, 3),
        (Scope::Internet, isp, 1_200),
        (Scope::Ipv6, isp, 700),
    ];
    journal.incident_with_segments(
        Scope::Internet,
        isp,
        provider,
        time("2026-11-01T01:10:07Z"),
        &parts,
    );
    let own = Cause::Firewall;
    let yours = Some(Party::Yours);
    journal.incident(Scope::Internet, own, yours, time("2026-11-01T03:00:00Z"), &[(own, 60)]);
    journal.write(folder.path());
    (folder, journal)
}

#[test]
fn time_with_one_family_down_is_shown_beside_the_downtime() {
    let (folder, _) = partial();
    let out = output_of(folder.path(), &["outages", "--until", "2026-11-01T04:02"]);
    insta::assert_snapshot!(out, @"
    STARTED                    LASTED      WHOSE     ID             CAUSE
    2026-11-01 02:10:07+01:00  32 min 3 s  provider  01a194a8-1998  ISP: no server on the internet answered (20 min 3 s of it down, IPv6 only: 12 min)
    2026-11-01 04:00:00+01:00  1 min       yours     01a1950c-b380  Firewall: this device's own rules forbade it

    The internet was down 2 times, 21 min 3 s in all; IPv6 only: 12 min. Monitored: 99.468 % of 3 h 2 min.
    Journal: FOLDER
    ");
    let csv = output_of(folder.path(), &["outages", "--csv", "--until", "2026-11-01T04:02"]);
    insta::assert_snapshot!(csv.replace("\r\n", "\n"), @r#"
    kind,id,started,ended,duration_s,downtime_s,ipv4_only_s,ipv6_only_s,cause,party,scope,failures,notes
    incident,01a194a8-1998-7c2f-9121-4f2dfad25d9a,2026-11-01T02:10:07.000+01:00,2026-11-01T02:42:10.000+01:00,1923.000,1203.000,0.000,720.000,isp,provider,internet,1,"20 min 3 s of it down; IPv6 only: 12 min"
    incident,01a1950c-b380-7334-9b4e-ee3c9581597a,2026-11-01T04:00:00.000+01:00,2026-11-01T04:01:00.000+01:00,60.000,60.000,0.000,0.000,firewall,yours,internet,1,
    "#);
    let json = output_of(folder.path(), &["outages", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("valid JSON");
    let incident = &json["incidents"][0];
    assert_eq!(incident["scope"], "internet");
    assert_eq!(incident["downtime_s"], 1203.0);
    assert_eq!((&incident["ipv4_only_s"], &incident["ipv6_only_s"]), (&0.0.into(), &720.0.into()));
    let scopes: Vec<_> = (0..4).map(|index| &incident["segments"][index]["scope"]).collect();
    assert_eq!(scopes, ["ipv6", "internet", "internet", "ipv6"]);
}

#[test]
fn a_report_shows_time_with_one_family_down_separately() {
    let (folder, _) = partial();
    let out = output_of(
        folder.path(),
        &["report", "--until", "2026-11-01T04:02", "--incident", "01a194a8"],
    );
    let out = out.split("Record ").next().unwrap_or_default().to_owned();
    insta::assert_snapshot!(out, @"
    Internet connection of =1+1
    2026-11-01 01:00:00+01:00 to 2026-11-01 04:02:00+01:00
    Monitored for 3 h 1 min, 99.468 % of the time; availability is over the monitored time.

    WHOSE PART         AVAILABLE  OUTAGES  DOWNTIME    LONGEST     MEAN REPAIR
    Internet provider  88.924 %   1        20 min 3 s  20 min 3 s  20 min 3 s
    Own equipment      99.447 %   1        1 min       1 min       1 min
    Others             100.000 %  0        –           –           –
    All                88.372 %   2        21 min 3 s  20 min 3 s  10 min 31 s
    IPv6 only          93.371 %   1        12 min      12 min      12 min
    IPv4 only and IPv6 only are not in the sum: the other family worked.

    Incident 01a194a8-1998-7c2f-9121-4f2dfad25d9a
    ISP: no server on the internet answered (20 min 3 s of it down, IPv6 only: 12 min)

    MOMENT            TIME                       SINCE BOOT       CLOCK AS RECORDED
    last good answer  2026-11-01 02:10:02+01:00  0 d 1:11:02.000  2026-11-01 02:10:02+01:00
    first failure     2026-11-01 02:10:07+01:00  0 d 1:11:07.000  2026-11-01 02:10:07+01:00
    good again        2026-11-01 02:42:10+01:00  0 d 1:43:10.000  2026-11-01 02:42:10+01:00
    Boot 1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42, record 4

    FROM                       TO                         LASTED       SCOPE      CAUSE
    2026-11-01 02:10:07+01:00  2026-11-01 02:10:27+01:00  20 s         IPv6 only  ISP: no server on the internet answered
    2026-11-01 02:10:27+01:00  2026-11-01 02:10:30+01:00  3 s          Internet   Router: it did not answer
    2026-11-01 02:10:30+01:00  2026-11-01 02:30:30+01:00  20 min       Internet   ISP: no server on the internet answered
    2026-11-01 02:30:30+01:00  2026-11-01 02:42:10+01:00  11 min 40 s  IPv6 only  ISP: no server on the internet answered

    PROBED AT                  HOW                        TARGET              ANSWER   AFTER
    2026-11-01 02:10:07+01:00  TCP connect to a server    1.1.1.1:443         timeout  2500 ms
    2026-11-01 02:10:07+01:00  TCP connect to a server    8.8.8.8:443         timeout  2500 ms
    2026-11-01 02:10:08+01:00  TCP connect to a server    9.9.9.9:443         timeout  2500 ms
    2026-11-01 02:10:08+01:00  TCP connect to a server    208.67.222.222:443  timeout  2500 ms
    2026-11-01 02:10:08+01:00  TCP connect to the router  192.168.1.1:53      alive    3 ms
    ");
}

#[test]
fn without_a_journal_the_error_names_the_folder() {
    let folder = TempDir::new().expect("a folder");
    let printed = ispmon(folder.path(), &["outages"]);
    assert_eq!((printed.code, printed.out.as_str()), (1, ""));
    let err = printed.err.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(err, @"ispmon-agent: there is no journal yet in FOLDER. The agent creates it when it starts; --state-dir names another folder.");
}

#[test]
fn a_journal_without_outages_is_no_failure() {
    let folder = TempDir::new().expect("a folder");
    JournalBuilder::start(1, "dl-home", "2026-10-24T00:00:00Z").write(folder.path());
    let out = output_of(folder.path(), &["outages", "--until", "2026-10-24"]);
    insta::assert_snapshot!(out, @"
    No outages. The journal begins on 2026-10-24 02:00:00+02:00.
    Not monitored. Monitored: 0.000 % of 22 h.
    Journal: FOLDER
    ");
}

#[test]
fn damage_is_reported() {
    let (folder, journal) = autumn();
    journal.write(folder.path());
    let file = folder.path().join("journal.ndjson");
    let text = std::fs::read_to_string(&file).expect("the journal is UTF-8");
    std::fs::write(&file, text.replacen("1.1.1.1", "1.1.1.2", 1)).expect("a file");
    let out = output_of(folder.path(), &["outages"]);
    assert!(out.contains("Caution, the journal is damaged: journal.ndjson, line 3"), "{out}");
}

#[test]
fn invalid_times_are_wrong_usage() {
    let folder = TempDir::new().expect("a folder");
    for time in ["soon", "2026-13", "2026-02-30", "7", "7y", ""] {
        let printed = ispmon(folder.path(), &["outages", "--since", time]);
        assert_eq!(printed.code, 64, "{time:?}: {}", printed.err);
    }
    let printed = ispmon(folder.path(), &["outages", "--json", "--csv"]);
    assert_eq!(printed.code, 64);
}
