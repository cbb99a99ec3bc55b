//! Lists that the compiler cannot compare with the enums of the agent: each must have every variant.

use std::{fs, path::Path};

use ispmon_agent::outage::Cause;

/// The texts of all files below a folder of this crate whose names end with `extension`.
fn texts_below(folder: &str, extension: &str) -> String {
    let mut texts = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                texts += &fs::read_to_string(path).expect("the file can be read");
            }
        }
    }
    texts
}

/// The causes that an incident can have; `up` is only that of a segment.
fn incident_causes() -> impl Iterator<Item = Cause> {
    Cause::ALL.into_iter().filter(|cause| *cause != Cause::Up)
}

#[test]
fn the_readme_explains_every_cause() {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("| cause | what was found |").expect("the table of causes");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let explained: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|names| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .collect();
    for cause in incident_causes() {
        assert!(explained.contains(&cause.as_str()), "README.md does not explain {cause}");
    }
    assert_eq!(explained.len(), incident_causes().count(), "{explained:?}");
}

#[test]
fn every_cause_is_expected_by_a_scenario() {
    let scenarios = texts_below("tests/scenarios", "toml");
    for cause in incident_causes() {
        let expected = format!("cause = \"{cause}\"");
        assert!(scenarios.contains(&expected), "no scenario expects {expected}");
    }
}

#[test]
fn every_cause_is_expected_by_a_row_of_the_matrix() {
    let rows = texts_below("tests/matrix/rows", "rs");
    for cause in incident_causes() {
        let expected = format!("Cause::{cause:?}");
        assert!(rows.contains(&expected), "no row of the matrix expects {expected}");
    }
}
