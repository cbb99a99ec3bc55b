//! Schedule, time range and conditions of the rules.

use ispmon_lab::rules;
use serde_json::{Value, json};

use super::deployment::{self, COMPONENT, KINDS, RULE, WORKSPACE};

#[test]
fn the_rules_are_complete() {
    for deployment in deployment::all() {
        let mut expected = Vec::new();
        for set in 0..deployment.sets().len() {
            let end = if set == 0 { String::new() } else { format!("-{}", set + 1) };
            expected.extend(
                KINDS.iter().map(|kind| format!("{}-{}{end}", deployment.prefix, kind.name)),
            );
        }
        // A deployment without a daily cap needs no rule about it.
        if deployment.name != "many" {
            expected.push(format!("{}-daily-cap", deployment.prefix));
        }
        assert_eq!(deployment.outputs["ruleNames"], json!(expected));
        let rules = deployment.of_type(RULE);
        let names: Vec<_> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected);
    }
    assert_eq!(deployment::thousand().rules().len(), 15);
}

#[test]
fn deploy_its_tests_and_the_readmes_name_every_rule() {
    let deploy = include_str!("../../../../deploy/rules.py");
    let tests = include_str!("../../../../tests/deploy/cloud.py");
    let names: Vec<_> = KINDS.iter().map(|kind| format!("{:?}", kind.name)).collect();
    let kinds = format!("\nKINDS = ({})\n", names.join(", "));
    for (file, text) in [("infra/deploy/rules.py", deploy), ("infra/tests/deploy/cloud.py", tests)]
    {
        assert!(text.contains(&kinds), "{file}: {kinds}");
    }
    let names: Vec<_> = KINDS.iter().map(|kind| format!("`PREFIX-{}`", kind.name)).collect();
    let row = format!("rules | {} |", names.join(", "));
    assert!(include_str!("../../../../README.md").contains(&row), "infra/README.md: {row}");
    let readme = include_str!("../../../../../README.md");
    for kind in &KINDS {
        let (bold, node) = (format!("**{}**", kind.name), format!("{{{{\"{}<br/>", kind.name));
        assert!(readme.contains(&bold) && readme.contains(&node), "README.md: {bold} and {node}");
    }
}

#[test]
fn only_the_reminder_repeats() {
    for deployment in deployment::all() {
        for rule in deployment.rules() {
            let remembers = rule.kind.name != "device-silent-reminder";
            assert_eq!(rule.properties()["autoMitigate"], remembers, "{}", rule.name);
        }
        for rule in deployment.of_type(RULE) {
            // A muted rule cannot be stateful, and a reminder must not be muted.
            assert_eq!(rule["properties"]["muteActionsDuration"], Value::Null, "{rule}");
        }
    }
}

#[test]
fn the_rules_are_enabled_and_look_back_48_hours_at_every_evaluation() {
    for deployment in deployment::all() {
        for rule in deployment.rules() {
            let name = &rule.name;
            assert_eq!(rule.resource["kind"], "LogAlert", "{name}");
            let properties = rule.properties();
            assert_eq!(properties["enabled"], true, "{name}");
            assert_eq!(properties["overrideQueryTimeRange"], "P2D", "{name}");
            // A table may still be unknown to a component that is seconds old.
            assert_eq!(properties["skipQueryValidation"], true, "{name}");
            let frequency = match (deployment.name, rule.kind.name) {
                ("many", "device-silent") => "PT1M",
                ("thousand", _) => "PT15M",
                _ => "PT5M",
            };
            assert_eq!(properties["evaluationFrequency"], frequency, "{name}");
            assert_eq!(properties["windowSize"], frequency, "{name}");
        }
        for rule in deployment.of_type(RULE) {
            let condition = &rule["properties"]["criteria"]["allOf"][0];
            let periods = json!({"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1});
            assert_eq!(condition["failingPeriods"], periods, "{rule}");
        }
    }
}

/// The values that the resource provider accepts.
#[test]
fn frequencies_windows_and_ranges_are_valid_in_azure() {
    const FREQUENCIES: [&str; 4] = ["PT1M", "PT5M", "PT10M", "PT15M"];
    const RANGES: [&str; 5] = ["PT15M", "PT30M", "PT1H", "P1D", "P2D"];
    for deployment in deployment::all() {
        for rule in deployment.of_type(RULE) {
            let properties = &rule["properties"];
            let text = |name: &str| properties[name].as_str().unwrap();
            assert!(FREQUENCIES.contains(&text("evaluationFrequency")), "{rule}");
            assert!(FREQUENCIES.contains(&text("windowSize")), "{rule}");
            assert!(RANGES.contains(&text("overrideQueryTimeRange")), "{rule}");
            assert!((0..=4).contains(&properties["severity"].as_u64().unwrap()), "{rule}");
        }
    }
}

#[test]
fn the_rules_query_the_component_that_keeps_every_heartbeat() {
    for deployment in deployment::all() {
        let component = deployment.only(COMPONENT);
        let workspace = deployment.only(WORKSPACE);
        assert_eq!(component["properties"]["SamplingPercentage"], 100);
        assert_eq!(component["properties"]["IngestionMode"], "LogAnalytics");
        assert_eq!(component["properties"]["WorkspaceResourceId"], workspace["id"]);
        for rule in deployment.rules() {
            // The tables of a component are functions, which a rule that runs every minute must not
            // use.
            let scope = if rule.is_every_minute() { workspace } else { component };
            assert_eq!(rule.properties()["scopes"], json!([scope["id"]]), "{}", rule.name);
            assert_eq!(rule.resource["location"], deployment.location, "{}", rule.name);
        }
    }
}

#[test]
fn thresholds_match_the_parameters() {
    for (deployment, silence, report) in [
        (deployment::main(), 5.0, 5.0),
        (deployment::many(), 6.5, 12.0),
        (deployment::thousand(), 5.0, 5.0),
    ] {
        for rule in deployment.rules() {
            let threshold = if rule.kind.name == "outage-report" { report } else { silence };
            let condition = rule.condition();
            assert_eq!(condition["operator"], "GreaterThanOrEqual", "{}", rule.name);
            assert_eq!(condition["threshold"].as_f64(), Some(threshold), "{}", rule.name);
            // The queries return tenths, so only a threshold in tenths is reached in time.
            assert!((threshold * 10.0).fract().abs() < f64::EPSILON);
        }
    }
}

#[test]
fn the_lab_evaluates_the_rules_about_devices_of_every_deployment() {
    for (text, played) in [
        (include_str!("../../../../main.snapshot.json"), 3),
        (include_str!("../../../../thousand.snapshot.json"), 15),
    ] {
        let rules = rules::from_snapshot(text).unwrap();
        assert_eq!(rules.len(), played);
        assert!(rules.iter().all(|rule| !rule.settings().name.ends_with("daily-cap")));
    }
}
