//! `ispmon-agent report --html`.

use std::{fs, path::Path};

use ispmon_agent::outage::{Cause, Party, Scope};
use tempfile::TempDir;

use super::{ispmon, output_of};
use crate::record::JournalBuilder;

/// A year with 2,000 incidents.
fn bad_year(folder: &Path) -> JournalBuilder {
    let mut journal = JournalBuilder::start(42, "dl-home", "2025-11-01T00:00:00Z");
    journal.fill_hours("2025-11-01T00:00:00Z", 365, 2_000);
    journal.write(folder);
    journal
}

#[test]
fn a_year_with_2000_incidents_is_a_small_self_contained_page() {
    let folder = TempDir::new().expect("a folder");
    let journal = bad_year(folder.path());
    let page = output_of(folder.path(), &["report", "--html"]);
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    assert!(page.contains(journal.head().as_str()));
    assert!(page.contains("These are the 200 longest of 2000"));
    for foreign in ["http:", "https:", "<script", "<link", "<img", "@import", "src="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn foreign_text_is_escaped() {
    let folder = TempDir::new().expect("a folder");
    let mut journal = JournalBuilder::start(1, "<script>alert(1)</script>", "2026-10-24T00:00:00Z");
    let from = "2026-10-24T01:00:00Z".parse().expect("a time");
    journal.incident(Scope::Internet, Cause::Isp, Some(Party::Provider), from, &[(Cause::Isp, 60)]);
    journal.write(folder.path());
    let page = output_of(folder.path(), &["report", "--html"]);
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn the_page_is_written_to_the_named_file() {
    let folder = TempDir::new().expect("a folder");
    JournalBuilder::start(1, "dl-home", "2026-10-24T00:00:00Z").write(folder.path());
    let file = folder.path().join("page.html");
    let name = file.display().to_string();
    let out = output_of(folder.path(), &["report", "--html", &name]);
    assert_eq!(out, "Written to FOLDER/page.html.\n");
    assert!(fs::read_to_string(file).expect("a page").starts_with("<!DOCTYPE html>"));
    let printed = ispmon(folder.path(), &["report", "--html", "/nowhere/page.html"]);
    assert_eq!(printed.code, 1);
    assert!(printed.err.contains("/nowhere/page.html cannot be written"), "{}", printed.err);
}

/// Keeps its journals and pages in `target/tmp/history`, for inspection in a browser.
#[test]
fn pages_have_balanced_tags_for_all_kinds_of_journals() {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Another run of the tests may write its own at the same time.
    let made = TempDir::new_in(kept).expect("a folder");
    let folder = made.path();
    let page = |name: &str, more: &[&str]| {
        let file = folder.join(name).join("page.html").display().to_string();
        output_of(&folder.join(name), &[&["report", "--html", &file], more].concat());
        let page = fs::read_to_string(&file).expect("a page");
        for element in ["html", "head", "style", "body", "main", "section", "svg", "table", "tr"] {
            let begun = page.matches(&format!("<{element}>")).count()
                + page.matches(&format!("<{element} ")).count();
            let ended = page.matches(&format!("</{element}>")).count();
            assert_eq!(begun, ended, "<{element}> in {file}");
        }
    };
    bad_year(&folder.join("year"));
    page("year", &["--until", "2026-10-31"]);
    JournalBuilder::start(1, "dl-home", "2026-10-24T00:00:00Z").write(&folder.join("empty"));
    page("empty", &["--until", "2026-10-24"]);
    let mut quiet = JournalBuilder::start(7, "dl-home", "2026-09-30T22:00:00Z");
    quiet.fill_hours("2026-09-30T22:00:00Z", 24, 2);
    let from = "2026-10-25T00:40:00Z".parse().expect("a time");
    let parts = [(Cause::Gateway, 1_500), (Cause::Isp, 5_400), (Cause::Dns, 900)];
    let id = quiet.incident(Scope::Internet, Cause::Isp, Some(Party::Provider), from, &parts);
    quiet.fill_hours("2026-10-25T03:00:00Z", 6, 1);
    quiet.write(&folder.join("month"));
    page("month", &["--month", "2026-10", "--incident", &id.to_string()]);
    // IPv6 fails first and returns last; then IPv6 fails alone; then the device's own firewall forbids.
    let mut partial = JournalBuilder::start(7, "dl-home", "2026-09-30T22:00:00Z");
    partial.fill_hours("2026-09-30T22:00:00Z", 24, 0);
    let parts = [
        (Scope::Ipv6, Cause::Isp, 1_800),
        (Scope::Internet, Cause::Isp, 5_400),
        (Scope::Ipv6, Cause::Isp, 7_200),
    ];
    let provider = Some(Party::Provider);
    let id = partial.incident_with_segments(Scope::Internet, Cause::Isp, provider, from, &parts);
    let later = |hours| from + std::time::Duration::from_hours(hours);
    let six = [(Cause::Isp, 3_600)];
    partial.incident(Scope::Ipv6, Cause::Isp, provider, later(8), &six);
    let own = [(Cause::Firewall, 3_600)];
    partial.incident(Scope::Internet, Cause::Firewall, Some(Party::Yours), later(12), &own);
    partial.fill_hours("2026-10-26T00:00:00Z", 5, 0);
    partial.write(&folder.join("partial"));
    page("partial", &["--month", "2026-10", "--incident", &id.to_string()]);
    let file = folder.join("partial").join("page.html");
    let page = fs::read_to_string(file).expect("a page");
    assert!(page.contains("IPv6 only, IPv4 worked") && !page.contains("IPv4 only, IPv6 worked"));
    // One path in the timeline has all periods with one family down: three periods, each in one row.
    let path = page.split(r#"<path class="family" d=""#).nth(1).expect("a path");
    let path = path.split('"').next().expect("its end");
    assert_eq!(path.matches('M').count(), 3, "{path}");
    assert!(page.contains(r#"<path class="firewall""#) && page.contains(r#"id="p-firewall""#));
    assert!(page.contains("IPv6 only: 2 h 30 min"), "the incident's notes contain it");
    let _ = fs::remove_dir_all(kept.join("history"));
    let _ = fs::rename(made.keep(), kept.join("history"));
}
