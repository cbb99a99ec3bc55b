//! What gets deployed, read from `infra/main.snapshot.json`: each of these settings has a wrong value
//! with which an alert never comes, never ends, or ends while the device is still silent.

use ispmon_lab::query::{Query, Trace};
use serde_json::{Value, json};

const RULES: [&str; 3] =
    ["ispmon-device-silent", "ispmon-device-silent-reminder", "ispmon-outage-report"];

/// What the alerts of each rule are split by, in the rule's order.
const DIMENSIONS: [&[&str]; 3] =
    [&["Computer"], &["Computer"], &["Cause", "Computer", "Duration", "End", "Id", "Start"]];

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
fn only_the_reminder_repeats() {
    for (name, remembers) in RULES.into_iter().zip([true, false, true]) {
        assert_eq!(rule(name)["properties"]["autoMitigate"], remembers, "{name}");
    }
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
    let seen = "2026-03-01T07:59:00Z".parse().unwrap();
    let message = r#"{"event":"outage","device":"office","id":"a","kind":"incident","cause":"isp","ended":"2026-03-01T07:58:00Z","downtime_s":1203}"#;
    let rows = [Trace { timestamp: seen, message: message.to_owned() }];
    for (name, dimensions) in RULES.into_iter().zip(DIMENSIONS) {
        let condition = condition(name);
        let all =
            |dimension: &&str| json!({"name": dimension, "operator": "Include", "values": ["*"]});
        let expected: Vec<_> = dimensions.iter().map(all).collect();
        assert_eq!(condition["dimensions"], json!(expected), "{name}");
        let measured = condition["metricMeasureColumn"].as_str().unwrap();
        assert_eq!(condition["timeAggregation"], "Maximum", "{name}");

        let text = query_text(name);
        let (_, columns) = text.rsplit_once("\n| project ").unwrap();
        let expected = dimensions.join(", ");
        let begins = columns.starts_with(&expected);
        assert!(begins || name.ends_with("reminder"), "{name}: {columns}");
        assert!(columns.contains(&format!(", {measured}")), "{name}: {columns}");
        let query = Query::parse(&text).unwrap();
        assert_eq!(query.measured_column(), measured, "{name}");
        let result = query.evaluate("2026-03-01T08:00:00Z".parse().unwrap(), &rows);
        assert!(!result.is_empty(), "{name}");
        for row in result {
            let names: Vec<_> = row.dimensions.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, dimensions, "{name}");
        }
    }
}

/// Azure does not say in which order a mail's dimensions come: these have one place in both orders.
#[test]
fn dimensions_stand_in_the_order_of_the_alphabet() {
    for dimensions in DIMENSIONS {
        assert!(dimensions.is_sorted(), "{dimensions:?}");
        assert!(dimensions.len() <= 6, "more than a rule may have");
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
        for unfilled in [
            "DEVICES",
            "SILENCE_MINUTES",
            "FREQUENCY_MINUTES",
            "MARKS",
            "DAILY_HOUR",
            "MINIMUM_MINUTES",
        ] {
            assert!(!text.contains(unfilled), "{name} contains {unfilled}");
        }
    }
}

#[test]
fn the_rules_mean_the_same_devices_silence_and_frequency() {
    let [
        Query::DeviceSilent(silent),
        Query::DeviceSilentReminder(reminder),
        Query::OutageReport(report),
    ] = RULES.map(|name| Query::parse(&query_text(name)).unwrap())
    else {
        panic!("one query of each kind");
    };
    assert_eq!(silent.devices, ["dl-home", "office"]);
    assert_eq!(reminder.devices, silent.devices);
    assert_eq!(report.devices, silent.devices);
    assert_eq!(report.minimum_minutes, 5);
    let thresholds = [reminder.silence_minutes, reminder.silence_minutes, 5.0];
    for (name, threshold) in RULES.into_iter().zip(thresholds) {
        assert_eq!(condition(name)["operator"], "GreaterThanOrEqual", "{name}");
        assert_eq!(condition(name)["threshold"].as_f64(), Some(threshold), "{name}");
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
    for (name, dimensions) in RULES.into_iter().zip(DIMENSIONS) {
        let actions = rule(name)["properties"]["actions"].clone();
        assert_eq!(actions["actionGroups"], json!([group["id"]]), "{name}");
        let subject = actions["actionProperties"]["Email.Subject"].as_str().unwrap().to_owned();
        let place = dimensions.iter().position(|dimension| *dimension == "Computer").unwrap();
        let device = format!("${{data.alertContext.condition.allOf[0].dimensions[{place}].value}}");
        assert!(subject.contains(&device), "{name}: {subject}");
    }
}

#[test]
fn a_subject_says_whether_the_alert_fired_or_resolved_if_both_are_mailed() {
    let condition = "${data.essentials.monitorCondition}";
    for (name, both) in RULES.into_iter().zip([true, false, false]) {
        let properties = &rule(name)["properties"];
        let subject = properties["actions"]["actionProperties"]["Email.Subject"].as_str().unwrap();
        assert_eq!(subject.contains(condition), both, "{name}: {subject}");
    }
}

#[test]
fn nobody_is_told_that_an_outage_report_resolves_and_of_everything_else_somebody_is() {
    let processing = resource("Microsoft.AlertsManagement/actionRules");
    // The provider refuses a region.
    assert_eq!(processing["location"], "Global");
    let properties = &processing["properties"];
    assert_eq!(properties["enabled"], true);
    assert_eq!(properties["actions"], json!([{"actionType": "RemoveAllActionGroups"}]));
    let report = rule("ispmon-outage-report");
    let conditions = json!([
        {"field": "AlertRuleId", "operator": "Equals", "values": [report["id"]]},
        {"field": "MonitorCondition", "operator": "Equals", "values": ["Resolved"]},
    ]);
    assert_eq!(properties["conditions"], conditions);
    // The alert's target is the component or its workspace; both lie in the scope.
    let [scope] = &properties["scopes"].as_array().unwrap()[..] else { panic!("one scope") };
    for kind in ["Microsoft.Insights/components", "Microsoft.OperationalInsights/workspaces"] {
        let target = resource(kind)["id"].as_str().unwrap().to_owned();
        assert!(target.starts_with(&format!("{}/", scope.as_str().unwrap())), "{kind}");
    }
}
