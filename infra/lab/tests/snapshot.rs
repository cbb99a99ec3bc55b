//! What gets deployed, read from `infra/main.snapshot.json`: each of these settings has a wrong value
//! with which an alert never comes, never ends, or ends while the device is still silent.

use ispmon_lab::query::Query;
use serde_json::{Value, json};

const RULES: [&str; 2] = ["ispmon-device-silent", "ispmon-device-silent-reminder"];

fn resources(kind: &str) -> Vec<Value> {
    let snapshot: Value = serde_json::from_str(include_str!("../../main.snapshot.json")).unwrap();
    let resources = snapshot["predictedResources"].as_array().unwrap().iter();
    resources.filter(|resource| resource["type"] == kind).cloned().collect()
}

fn resource(kind: &str) -> Value {
    let resources = resources(kind);
    let [resource] = &resources[..] else { panic!("one {kind}, not {}", resources.len()) };
    resource.clone()
}

fn rule(name: &str) -> Value {
    let rules = resources("Microsoft.Insights/scheduledQueryRules");
    rules.into_iter().find(|rule| rule["name"] == name).unwrap()
}

fn condition(name: &str) -> Value {
    let conditions = rule(name)["properties"]["criteria"]["allOf"].clone();
    assert_eq!(conditions.as_array().unwrap().len(), 1, "{name}");
    conditions[0].clone()
}

fn query_text(name: &str) -> String {
    condition(name)["query"].as_str().unwrap().to_owned()
}

#[test]
fn there_are_exactly_these_rules() {
    let rules = resources("Microsoft.Insights/scheduledQueryRules");
    let names: Vec<_> = rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names, RULES);
}

#[test]
fn device_silent_resolves_and_its_reminder_repeats() {
    assert_eq!(rule("ispmon-device-silent")["properties"]["autoMitigate"], true);
    assert_eq!(rule("ispmon-device-silent-reminder")["properties"]["autoMitigate"], false);
    for name in RULES {
        // A muted rule cannot be stateful, and a reminder must not be swallowed.
        assert_eq!(rule(name)["properties"]["muteActionsDuration"], Value::Null, "{name}");
    }
}

#[test]
fn the_rules_are_enabled_and_look_back_48_hours_at_every_evaluation() {
    for name in RULES {
        let rule = rule(name);
        assert_eq!(rule["kind"], "LogAlert", "{name}");
        let properties = &rule["properties"];
        assert_eq!(properties["enabled"], true, "{name}");
        assert_eq!(properties["evaluationFrequency"], "PT5M", "{name}");
        assert_eq!(properties["windowSize"], "PT5M", "{name}");
        assert_eq!(properties["overrideQueryTimeRange"], "P2D", "{name}");
        assert_eq!(properties["skipQueryValidation"], true, "{name}");
        let periods = json!({"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1});
        assert_eq!(condition(name)["failingPeriods"], periods, "{name}");
    }
}

#[test]
fn the_rules_query_the_component_that_keeps_every_heartbeat() {
    let component = resource("Microsoft.Insights/components");
    let workspace = resource("Microsoft.OperationalInsights/workspaces");
    assert_eq!(component["properties"]["SamplingPercentage"], 100);
    assert_eq!(component["properties"]["IngestionMode"], "LogAnalytics");
    assert_eq!(component["properties"]["WorkspaceResourceId"], workspace["id"]);
    for name in RULES {
        assert_eq!(rule(name)["properties"]["scopes"], json!([component["id"]]), "{name}");
    }
}

#[test]
fn the_rules_run_under_an_identity_that_may_read_what_they_query() {
    let identity = resource("Microsoft.ManagedIdentity/userAssignedIdentities");
    let id = identity["id"].as_str().unwrap();
    for name in RULES {
        let expected = json!({"type": "UserAssigned", "userAssignedIdentities": {id: {}}});
        assert_eq!(rule(name)["identity"], expected, "{name}");
    }
    let assignments = resources("Microsoft.Authorization/roleAssignments");
    for kind in ["Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"] {
        let scope = resource(kind)["id"].as_str().unwrap().to_owned();
        let assignment = assignments
            .iter()
            .find(|assignment| {
                assignment["id"].as_str().unwrap().starts_with(&format!("{scope}/providers/"))
            })
            .unwrap_or_else(|| panic!("a role on {kind}"));
        let properties = &assignment["properties"];
        assert!(properties["principalId"].as_str().unwrap().contains(id), "{kind}");
        // The built-in role Reader.
        let role = properties["roleDefinitionId"].as_str().unwrap();
        assert!(role.ends_with("/acdd72a7-3385-48ef-bd42-f606fba81ae7"), "{kind}");
    }
}

#[test]
fn a_result_holds_the_dimensions_and_the_measured_number_and_no_time() {
    for (name, dimension) in RULES.into_iter().zip(["device", "devices"]) {
        let condition = condition(name);
        let expected = json!([{"name": dimension, "operator": "Include", "values": ["*"]}]);
        assert_eq!(condition["dimensions"], expected, "{name}");
        let measured = condition["metricMeasureColumn"].as_str().unwrap();
        assert_eq!(condition["timeAggregation"], "Maximum", "{name}");

        let text = query_text(name);
        let (_, columns) = text.rsplit_once("\n| project ").unwrap();
        assert!(columns.starts_with(dimension), "{name}: {columns}");
        assert!(columns.contains(&format!(", {measured}")), "{name}: {columns}");
        let query = Query::parse(&text).unwrap();
        assert_eq!(query.measured_column(), measured, "{name}");
        for row in query.evaluate("2026-03-01T08:00:00Z".parse().unwrap(), &[]) {
            let names: Vec<_> = row.dimensions.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, [dimension], "{name}");
        }
    }
}

#[test]
fn the_queries_keep_to_what_an_alert_rule_can_run() {
    for name in RULES {
        let text = query_text(name);
        assert!(text.starts_with("traces\n| where timestamp > ago(2d)\n"), "{name}");
        assert!(!text.ends_with(char::is_whitespace), "{name}");
        for forbidden in [";", "//", "let ", "datetime_diff", "AppTraces", "TimeGenerated"] {
            assert!(!text.contains(forbidden), "{name} contains {forbidden}");
        }
        for unfilled in ["DEVICES", "SILENCE_MINUTES", "FREQUENCY_MINUTES", "MARKS", "DAILY_HOUR"] {
            assert!(!text.contains(unfilled), "{name} contains {unfilled}");
        }
    }
}

#[test]
fn both_rules_mean_the_same_devices_silence_and_frequency() {
    let [Query::DeviceSilent(silent), Query::DeviceSilentReminder(reminder)] =
        RULES.map(|name| Query::parse(&query_text(name)).unwrap())
    else {
        panic!("one query of each kind");
    };
    assert_eq!(silent.devices, ["dl-home", "office"]);
    assert_eq!(reminder.devices, silent.devices);
    for name in RULES {
        assert_eq!(condition(name)["operator"], "GreaterThanOrEqual", "{name}");
        assert_eq!(condition(name)["threshold"].as_f64(), Some(reminder.silence_minutes), "{name}");
        let frequency = format!("PT{}M", reminder.frequency_minutes);
        assert_eq!(rule(name)["properties"]["evaluationFrequency"], frequency, "{name}");
    }
    assert!(reminder.silence_minutes >= 5.0);
    // The queries show whole tenths, so that only such a threshold is reached in time.
    assert!((reminder.silence_minutes * 10.0).fract().abs() < f64::EPSILON);
    let first_hour = (2..=12).map(|step| step * 5);
    let first_day = (2..=24).map(|hour| hour * 60);
    assert_eq!(reminder.marks, first_hour.chain(first_day).collect::<Vec<_>>());
    assert_eq!(reminder.daily_hour, 8);
}

#[test]
fn the_mails_go_to_the_people_and_name_the_devices() {
    let group = resource("Microsoft.Insights/actionGroups");
    assert_eq!(group["location"], "global");
    assert_eq!(group["properties"]["enabled"], true);
    assert!(group["properties"]["groupShortName"].as_str().unwrap().len() <= 12);
    let receiver = &group["properties"]["emailReceivers"][0];
    assert_eq!(receiver["emailAddress"], "owner@example.org");
    assert_eq!(receiver["useCommonAlertSchema"], true);
    for name in RULES {
        let actions = rule(name)["properties"]["actions"].clone();
        assert_eq!(actions["actionGroups"], json!([group["id"]]), "{name}");
        let subject = actions["actionProperties"]["Email.Subject"].as_str().unwrap().to_owned();
        let device = "${data.alertContext.condition.allOf[0].dimensions[0].value}";
        assert!(subject.contains(device), "{name}: {subject}");
    }
}

#[test]
fn a_subject_says_whether_the_alert_fired_or_resolved_if_it_can_do_both() {
    let condition = "${data.essentials.monitorCondition}";
    for name in RULES {
        let properties = &rule(name)["properties"];
        let subject = properties["actions"]["actionProperties"]["Email.Subject"].as_str().unwrap();
        let both = properties["autoMitigate"] == true;
        assert_eq!(subject.contains(condition), both, "{name}: {subject}");
    }
}
