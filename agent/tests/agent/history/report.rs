//! `ispmon-agent report` as text, JSON and CSV.

use ispmon_agent::outage::{Cause, Party, Scope};
use tempfile::TempDir;

use super::ispmon;
use crate::record::JournalBuilder;

/// The output of a command that must succeed, without the hash, which changes with every new field.
fn shown(folder: &std::path::Path, arguments: &[&str]) -> String {
    let out = super::output_of(folder, arguments);
    let Some((before, rest)) = out.split_once(" has the hash ") else { return out };
    assert!(rest.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit), "{rest}");
    format!("{before} has the hash HASH{}", &rest[64..])
}

/// A quiet October with an outage across its end, in which the router fails first.
fn october() -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let mut journal = JournalBuilder::start(7, "dl-home", "2026-09-30T22:00:00Z");
    journal.fill_hours("2026-09-30T22:00:00Z", 31, 0);
    let from = "2026-10-31T22:50:00Z".parse().expect("a time");
    let parts = [(Cause::Gateway, 300), (Cause::Isp, 900)];
    let id = journal.incident(Scope::Internet, Cause::Isp, Some(Party::Provider), from, &parts);
    journal.fill_hours("2026-10-31T23:30:00Z", 3, 0);
    journal.write(folder.path());
    (folder, id.to_string())
}

#[test]
fn the_provider_comes_first_and_coverage_is_shown() {
    let (folder, _) = october();
    let out = shown(folder.path(), &["report", "--until", "2026-11-03"]);
    insta::assert_snapshot!(out, @"
    Internet connection of dl-home
    2026-10-01 00:00:00+02:00 to 2026-11-04 00:00:00+01:00
    Monitored for 33 d 22 h, 99.632 % of the time; availability is over the monitored time.

    WHOSE PART         AVAILABLE  OUTAGES  DOWNTIME  LONGEST  MEAN REPAIR
    Internet provider  99.959 %   1        20 min    20 min   20 min
    Own equipment      100.000 %  0        –         –        –
    Others             100.000 %  0        –         –        –
    All                99.959 %   1        20 min    20 min   20 min

    By month
    MONTH    PROVIDER  ALL       OUTAGES  DOWNTIME  MONITORED
    2026-10  99.977 %  99.977 %  1        10 min    99.597 %
    2026-11  99.768 %  99.768 %  1        10 min    100.000 %

    Loss 0.17 %, round trip 10 ms (median hour), 22 ms (its 95th percentile).

    Record 824 of the chain has the hash HASH.
    `ispmon-agent journal verify` proves that nothing before it was changed.
    Journal: FOLDER
    ");
}

#[test]
fn a_month_has_only_its_part_of_an_outage() {
    let (folder, _) = october();
    let out = shown(folder.path(), &["report", "--json", "--month", "2026-10"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("valid JSON");
    assert_eq!(json["all"]["provider"]["downtime_s"], 600.0);
    assert_eq!(json["all"]["total"]["count"], 1);
    assert_eq!(json["to"], "2026-11-01T00:00:00.000+01:00");
}

#[test]
fn one_incident_is_shown_in_full() {
    let (folder, id) = october();
    let arguments = ["report", "--month", "2026-10", "--incident", &id[..8]];
    let out = shown(folder.path(), &arguments);
    let incident = out.find("Incident ").expect("the incident is shown");
    insta::assert_snapshot!(&out[incident..], @"
    Incident 01a19427-d1c0-7889-beb0-eac50bd03acf
    ISP: no server on the internet answered

    MOMENT            TIME                       SINCE BOOT        CLOCK AS RECORDED
    last good answer  2026-10-31 23:49:55+01:00  31 d 0:50:55.000  2026-10-31 23:49:55+01:00
    first failure     2026-10-31 23:50:00+01:00  31 d 0:51:00.000  2026-10-31 23:50:00+01:00
    good again        2026-11-01 00:10:00+01:00  31 d 1:11:00.000  2026-11-01 00:10:00+01:00
    Boot 1f0c5a7e-93b4-4d5e-8a60-0c2f5b1d7e42, record 752

    FROM                       TO                         LASTED  SCOPE     CAUSE
    2026-10-31 23:50:00+01:00  2026-10-31 23:55:00+01:00  5 min   Internet  Router: it did not answer
    2026-10-31 23:55:00+01:00  2026-11-01 00:10:00+01:00  15 min  Internet  ISP: no server on the internet answered

    PROBED AT                  HOW                        TARGET              ANSWER   AFTER
    2026-10-31 23:50:00+01:00  TCP connect to a server    1.1.1.1:443         timeout  2500 ms
    2026-10-31 23:50:00+01:00  TCP connect to a server    8.8.8.8:443         timeout  2500 ms
    2026-10-31 23:50:01+01:00  TCP connect to a server    9.9.9.9:443         timeout  2500 ms
    2026-10-31 23:50:01+01:00  TCP connect to a server    208.67.222.222:443  timeout  2500 ms
    2026-10-31 23:50:01+01:00  TCP connect to the router  192.168.1.1:53      alive    1 ms

    Record 824 of the chain has the hash HASH.
    `ispmon-agent journal verify` proves that nothing before it was changed.
    Journal: FOLDER
    ");
}

#[test]
fn an_unknown_incident_is_a_failure_with_advice() {
    let (folder, _) = october();
    let printed = ispmon(folder.path(), &["report", "--incident", "abc"]);
    assert_eq!(printed.code, 1);
    insta::assert_snapshot!(printed.err, @"ispmon-agent: no incident has an ID that begins with abc; `ispmon-agent outages` lists them.");
    assert_eq!(ispmon(folder.path(), &["report", "--incident", "x"]).code, 64);
}

#[test]
fn csv_has_a_row_for_each_party_and_month() {
    let (folder, _) = october();
    let out = shown(folder.path(), &["report", "--csv", "--until", "2026-11-03"]);
    insta::assert_snapshot!(out.replace("\r\n", "\n"), @"
    month,party,availability_percent,observed_s,coverage_percent,downtime_s,count,longest_s,mean_time_to_repair_s
    all,provider,99.959,2930400.000,99.632,1200.000,1,1200.000,1200.000
    all,yours,100.000,2930400.000,99.632,0.000,0,0.000,
    all,other,100.000,2930400.000,99.632,0.000,0,0.000,
    all,all,99.959,2930400.000,99.632,1200.000,1,1200.000,1200.000
    all,ipv4_only,100.000,2930400.000,99.632,0.000,0,0.000,
    all,ipv6_only,100.000,2930400.000,99.632,0.000,0,0.000,
    2026-10,provider,99.977,2671200.000,99.597,600.000,1,600.000,600.000
    2026-10,yours,100.000,2671200.000,99.597,0.000,0,0.000,
    2026-10,other,100.000,2671200.000,99.597,0.000,0,0.000,
    2026-10,all,99.977,2671200.000,99.597,600.000,1,600.000,600.000
    2026-10,ipv4_only,100.000,2671200.000,99.597,0.000,0,0.000,
    2026-10,ipv6_only,100.000,2671200.000,99.597,0.000,0,0.000,
    2026-11,provider,99.768,259200.000,100.000,600.000,1,600.000,600.000
    2026-11,yours,100.000,259200.000,100.000,0.000,0,0.000,
    2026-11,other,100.000,259200.000,100.000,0.000,0,0.000,
    2026-11,all,99.768,259200.000,100.000,600.000,1,600.000,600.000
    2026-11,ipv4_only,100.000,259200.000,100.000,0.000,0,0.000,
    2026-11,ipv6_only,100.000,259200.000,100.000,0.000,0,0.000,
    ");
}
