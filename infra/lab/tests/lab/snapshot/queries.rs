//! The queries of the rules: their devices, and their results.

use std::{collections::BTreeSet, fs, path::Path};

use ispmon_lab::{
    query::{Query, TEMPLATES, Trace, template::quote},
    timelines,
};
use serde_json::{Value, json};

use super::deployment::{self, KINDS, RULE, Rule};

/// The columns of a query's result: its last line is a projection.
fn columns(text: &str) -> Vec<String> {
    let (_, projection) = text.rsplit_once("\n| project ").unwrap();
    let mut depth = 0;
    let mut columns = vec![String::new()];
    for character in projection.chars() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                columns.push(String::new());
                continue;
            }
            _ => {}
        }
        columns.last_mut().unwrap().push(character);
    }
    let name = |column: &String| column.split(" = ").next().unwrap().trim().to_owned();
    columns.iter().map(name).collect()
}

/// Native forms of all queries except the one that runs every minute.
fn native(rule: &Rule) -> Option<Query> {
    (!rule.is_every_minute()).then(|| Query::parse(rule.query()).unwrap())
}

/// The names of the query files in a folder of `infra`.
fn files_in(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let queries = files.filter(|path| path.extension().is_some_and(|found| found == "kql"));
    queries.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_query_of_a_rule_is_deployed_played_and_compared() {
    let files = files_in("queries");
    let played: BTreeSet<_> = TEMPLATES.iter().map(|template| template.name.to_owned()).collect();
    assert_eq!(played, files, "TEMPLATES in infra/lab/src/query.rs");

    let mut lines = Vec::new();
    timelines::write(1, 1, &mut lines).unwrap();
    let compared: BTreeSet<_> = serde_json::Deserializer::from_slice(&lines)
        .into_iter::<Value>()
        .map(|line| format!("{}.kql", line.unwrap()["rule"].as_str().unwrap()))
        .collect();
    assert_eq!(compared, files, "timeline() in infra/lab/src/timelines.rs");

    let rules = include_str!("../../../../modules/rules.bicep");
    let cases = include_str!("../../../../queries/cases.py");
    let readme = include_str!("../../../../README.md");
    for file in &files {
        let stem = file.strip_suffix(".kql").unwrap();
        assert!(rules.contains(&format!("'../queries/{file}'")), "rules.bicep: {file}");
        assert!(cases.contains(&format!("\"queries/{stem}\": ")), "LAB in cases.py: {stem}");
        assert!(readme.contains(&format!("`{file}`")), "infra/README.md: {file}");
    }
}

#[test]
fn every_query_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries/cases");
    let cases: String = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for folder in ["queries", "queries/self-monitoring", "queries/workbook"] {
        for file in files_in(folder) {
            let stem = file.strip_suffix(".kql").unwrap();
            assert!(cases.contains(&format!("\"{folder}/{stem}\"")), "infra/queries/cases: {file}");
        }
    }
    for file in files_in("deploy/queries") {
        let stem = file.strip_suffix(".kql").unwrap();
        assert!(cases.contains(&format!("\"deploy: {stem}\"")), "infra/queries/cases: {file}");
    }
}

#[test]
fn every_placeholder_has_a_value_in_the_cases_and_is_known_to_deploy() {
    let cases = include_str!("../../../../queries/cases.py");
    let deploy = include_str!("../../../../deploy/rules.py");
    let (_, list) = deploy.split_once("re.search(r\"'(").unwrap();
    let known: BTreeSet<_> = list.split_once(")'\"").unwrap().0.split('|').collect();
    for placeholder in TEMPLATES.iter().flat_map(|template| template.placeholders) {
        assert!(known.contains(placeholder), "has_placeholder() in rules.py: {placeholder}");
        let has_value =
            *placeholder == "DEVICES" || cases.contains(&format!("    \"{placeholder}\": "));
        assert!(has_value, "VALUES in cases.py: {placeholder}");
    }
}

#[test]
fn every_query_names_exactly_the_devices_of_its_set() {
    for deployment in deployment::all() {
        let sets = deployment.sets();
        for rule in deployment.rules() {
            let list = sets[rule.set].iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
            assert_eq!(rule.query().matches(&list).count(), 1, "{}", rule.name);
            let others = deployment.devices.len() - sets[rule.set].len();
            let named =
                deployment.devices.iter().filter(|name| rule.query().contains(&quote(name)));
            assert_eq!(named.count() + others, deployment.devices.len(), "{}", rule.name);
        }
        let mut monitored: Vec<_> = sets.concat();
        monitored.sort();
        monitored.dedup();
        assert_eq!(monitored.len(), deployment.devices.len(), "{}", deployment.name);
    }
}

#[test]
fn a_result_has_the_dimensions_and_the_measure_and_no_time() {
    for deployment in deployment::all() {
        for rule in deployment.rules() {
            let condition = rule.condition();
            let all = |dimension: &&str| json!({"name": dimension, "operator": "Include", "values": ["*"]});
            let expected: Vec<_> = rule.kind.dimensions.iter().map(all).collect();
            assert_eq!(condition["dimensions"], json!(expected), "{}", rule.name);
            assert_eq!(condition["metricMeasureColumn"], rule.kind.measured, "{}", rule.name);
            assert_eq!(condition["timeAggregation"], "Maximum", "{}", rule.name);
            let mut expected = rule.kind.dimensions.to_vec();
            expected.push(rule.kind.measured);
            assert_eq!(columns(rule.query()), expected, "{}", rule.name);
        }
    }
}

#[test]
fn the_queries_yield_rows_for_their_events() {
    let seen = "2026-03-01T07:59:00Z".parse().unwrap();
    let message = r#"{"event":"outage","device":"dl-home","key":"d:dl-home","id":"a","kind":"incident","cause":"isp","started":"2026-03-01T07:00:00Z","ended":"2026-03-01T07:20:03Z","downtime_s":1203}"#;
    let rows = [Trace { timestamp: seen, message: message.to_owned() }];
    for rule in deployment::main().rules() {
        let query = native(&rule).unwrap();
        assert_eq!(query.measured_column(), rule.kind.measured, "{}", rule.name);
        let result = query.evaluate("2026-03-01T08:00:00Z".parse().unwrap(), &rows);
        assert!(!result.is_empty(), "{}", rule.name);
        for row in result {
            let names: Vec<_> = row.dimensions.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, rule.kind.dimensions, "{}", rule.name);
        }
    }
}

/// Azure does not define the order of dimensions in a mail: here the alphabetical order and the rule's
/// order are the same.
#[test]
fn dimensions_are_in_alphabetical_order() {
    for kind in &KINDS {
        assert!(kind.dimensions.is_sorted(), "{}", kind.name);
        assert!(kind.dimensions.len() <= 6, "{}: more dimensions than a rule may have", kind.name);
        // A default mail shows the dimension of this name as the configuration item.
        assert!(kind.dimensions.contains(&"Computer"), "{}", kind.name);
    }
}

#[test]
fn the_queries_use_only_what_an_alert_rule_can_run() {
    for deployment in deployment::all() {
        for rule in deployment.rules() {
            let (name, text) = (&rule.name, rule.query());
            let (table, time) = if rule.is_every_minute() {
                ("AppTraces", "TimeGenerated")
            } else {
                ("traces", "timestamp")
            };
            assert!(text.starts_with(&format!("{table}\n| where {time} > ago(2d)\n")), "{name}");
            let mut text = text.to_owned();
            for device in &deployment.devices {
                text = text.replace(&quote(device), "''");
            }
            for forbidden in
                [";", "//", "let ", "datetime_diff", "bag_unpack", "pivot", "union", "search "]
            {
                assert!(!text.contains(forbidden), "{name} contains {forbidden}");
            }
            for unfilled in TEMPLATES.iter().flat_map(|template| template.placeholders) {
                assert!(!text.contains(unfilled), "{name} contains {unfilled}");
            }
        }
        for rule in deployment.of_type(RULE) {
            let text = rule["properties"]["criteria"]["allOf"][0]["query"].as_str().unwrap();
            assert!(!text.ends_with([';', ' ', '\n', '\r', '\t']), "{rule}");
        }
    }
}

#[test]
fn the_rule_that_runs_every_minute_joins_nothing_and_reads_only_its_own_component() {
    let many = deployment::many();
    let rules = many.rules();
    let [rule] = &rules.iter().filter(|rule| rule.is_every_minute()).collect::<Vec<_>>()[..] else {
        panic!("expected only the silence rule");
    };
    assert_eq!(rule.kind.name, "device-silent");
    for forbidden in ["join", "take ", "ingestion_time", "traces\n"] {
        let text = rule.query().replace(&quote("'] | take 0 //"), "");
        assert!(!text.contains(forbidden), "{forbidden}");
    }
    let component = many.id(deployment::COMPONENT).to_lowercase();
    assert!(rule.query().contains(&format!("_ResourceId =~ '{component}'")), "{}", rule.query());
}

#[test]
fn the_rules_agree_on_devices_silence_and_frequency() {
    let first_hour = (2..=12).map(|step| step * 5);
    let first_day = (2..=24).map(|hour| hour * 60);
    let default_marks: Vec<_> = first_hour.chain(first_day).collect();
    for (deployment, silence, frequency, marks, hour, minimum) in [
        (deployment::main(), 5.0, 5, default_marks.clone(), 8, 5),
        (deployment::many(), 6.5, 5, vec![15, 60], 20, 12),
        (deployment::thousand(), 5.0, 15, default_marks, 8, 5),
    ] {
        let sets = deployment.sets();
        for rule in deployment.rules() {
            match native(&rule) {
                Some(Query::DeviceSilent(query)) => {
                    assert_eq!(query.devices, sets[rule.set], "{}", rule.name);
                }
                Some(Query::DeviceSilentReminder(query)) => {
                    assert_eq!(query.devices, sets[rule.set], "{}", rule.name);
                    assert!((query.silence_minutes - silence).abs() < f64::EPSILON);
                    assert_eq!(query.frequency_minutes, frequency, "{}", rule.name);
                    assert_eq!(query.marks, marks, "{}", rule.name);
                    assert_eq!(query.daily_hour, hour, "{}", rule.name);
                    let own = format!("PT{frequency}M");
                    assert_eq!(rule.properties()["evaluationFrequency"], own, "{}", rule.name);
                }
                Some(Query::OutageReport(query)) => {
                    assert_eq!(query.devices, sets[rule.set], "{}", rule.name);
                    assert_eq!(query.minimum_minutes, minimum, "{}", rule.name);
                }
                _ => assert!(rule.is_every_minute(), "{}", rule.name),
            }
        }
    }
}
