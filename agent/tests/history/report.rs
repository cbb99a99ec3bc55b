//! `ispmon-agent report` as text, JSON and CSV.

use ispmon_agent::outage::{Cause, Party, Scope};
use tempfile::TempDir;

use crate::{ispmon, record::Maker, shown};

/// A quiet October with an outage across its end, and a router that failed first.
fn october() -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let mut record = Maker::begin(7, "dl-home", "2026-09-30T22:00:00Z");
    record.fill("2026-09-30T22:00:00Z", 31, 0);
    let from = "2026-10-31T22:50:00Z".parse().expect("a time");
    let parts = [(Cause::Gateway, 300), (Cause::Isp, 900)];
    let id = record.incident(Scope::Internet, Cause::Isp, Some(Party::Provider), from, &parts);
    record.fill("2026-10-31T23:30:00Z", 3, 0);
    record.write(folder.path());
    (folder, id.to_string())
}

#[test]
fn the_provider_comes_first_and_coverage_is_shown() {
    let (folder, _) = october();
    let out = shown(folder.path(), &["report", "--until", "2026-11-03"]);
    insta::assert_snapshot!(out, @"");
}

#[test]
fn one_month_has_its_part_only() {
    let (folder, _) = october();
    let out = shown(folder.path(), &["report", "--json", "--month", "2026-10"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(json["all"]["provider"]["downtime_s"], 600.0);
    assert_eq!(json["all"]["total"]["count"], 1);
    assert_eq!(json["to"], "2026-11-01T00:00:00.000+01:00");
}

#[test]
fn one_incident_is_shown_in_full() {
    let (folder, id) = october();
    let arguments = ["report", "--month", "2026-10", "--incident", &id[..8]];
    let out = shown(folder.path(), &arguments);
    let incident = out.find("Incident ").expect("it is shown");
    insta::assert_snapshot!(&out[incident..], @"");
}

#[test]
fn an_unknown_incident_is_a_failure_with_advice() {
    let (folder, _) = october();
    let printed = ispmon(folder.path(), &["report", "--incident", "abc"]);
    assert_eq!(printed.code, 1);
    insta::assert_snapshot!(printed.err, @"");
    assert_eq!(ispmon(folder.path(), &["report", "--incident", "x"]).code, 64);
}

#[test]
fn csv_has_a_row_for_each_party_and_month() {
    let (folder, _) = october();
    let out = shown(folder.path(), &["report", "--csv", "--until", "2026-11-03"]);
    insta::assert_snapshot!(out.replace("\r\n", "\n"), @"");
}
