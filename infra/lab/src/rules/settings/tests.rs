use std::error::Error as _;

use serde_json::{Value, json};

use super::*;
use crate::rules::condition::{Choice, Dimension, Operator};

const GROUP_ID: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/actionGroups/people";

/// An evaluated deployment with one valid rule.
fn deployment() -> Value {
    json!({"predictedResources": [
        {
            "id": GROUP_ID, "type": "Microsoft.Insights/actionGroups", "name": "people",
            "properties": {"enabled": true, "emailReceivers": [
                {"name": "a", "emailAddress": "a@example.org"},
                {"name": "b", "emailAddress": "b@example.org"},
                {"name": "again", "emailAddress": "a@example.org"},
            ]},
        },
        {
            "id": "/rules/silent", "type": "Microsoft.Insights/scheduledQueryRules", "name": "silent",
            "kind": "LogAlert",
            "properties": {
                "severity": 1,
                "enabled": true,
                "scopes": ["/components/insights"],
                "evaluationFrequency": "PT5M",
                "windowSize": "PT10M",
                "overrideQueryTimeRange": "P2D",
                "criteria": {"allOf": [{
                    "query": "traces",
                    "timeAggregation": "Maximum",
                    "metricMeasureColumn": "minutes",
                    "operator": "GreaterThan",
                    "threshold": 6.5,
                    "dimensions": [{"name": "device", "operator": "Include", "values": ["*"]}],
                    "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
                }]},
                "autoMitigate": true,
                "actions": {
                    "actionGroups": [GROUP_ID.to_lowercase()],
                    "actionProperties": {"Email.Subject": "down"},
                },
            },
        },
    ]})
}

fn with(pointer: &str, value: Value) -> Value {
    let mut deployment = deployment();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent =
        deployment["predictedResources"][1]["properties"].pointer_mut(parent).expect("there");
    parent[key] = value;
    deployment
}

fn without(key: &str) -> Value {
    let mut deployment = deployment();
    let rule = &mut deployment["predictedResources"][1]["properties"];
    rule.as_object_mut().expect("an object").remove(key).expect("was there");
    deployment
}

fn read_value(deployment: &Value) -> Result<RuleSettings, RuleSettingsError> {
    read(&deployment.to_string()).map(|mut rules| rules.remove(0))
}

/// Formats the error and its causes.
fn chain(error: &RuleSettingsError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn all_settings_of_a_rule_are_read() {
    let rule = read_value(&deployment()).expect("right");
    assert_eq!(
        rule,
        RuleSettings {
            id: "/rules/silent".to_owned(),
            name: "silent".to_owned(),
            description: String::new(),
            severity: 1,
            scope: "/components/insights".to_owned(),
            query: "traces".to_owned(),
            condition: AlertCondition {
                aggregation: Aggregation::Maximum,
                measure: Some("minutes".to_owned()),
                operator: Operator::GreaterThan,
                threshold: 6.5,
                dimensions: vec![Dimension {
                    name: "device".to_owned(),
                    operator: Choice::Include,
                    values: vec!["*".to_owned()],
                }],
                failing: FailingPeriods::SINGLE,
            },
            frequency: SignedDuration::from_mins(5),
            range: SignedDuration::from_hours(48),
            mode: RuleMode::Stateful { healthy_evaluations: 3 },
            subject: Some("down".to_owned()),
            receivers: vec!["a@example.org".to_owned(), "b@example.org".to_owned()],
            suppressed: vec![],
        }
    );
}

#[test]
fn missing_settings_have_the_providers_defaults() {
    let rule = read_value(&without("autoMitigate")).expect("right");
    assert_eq!(rule.mode, RuleMode::Stateful { healthy_evaluations: 3 });
    let rule = read_value(&without("overrideQueryTimeRange")).expect("right");
    assert_eq!(rule.range, SignedDuration::from_mins(10));
    let rule = read_value(&without("actions")).expect("right");
    assert_eq!((rule.subject, rule.receivers.len()), (None, 0));
    let rule = read_value(&without("enabled")).expect("right");
    assert_eq!(rule.name, "silent");
    let rule = read_value(&with("/autoMitigate", json!(false))).expect("right");
    assert_eq!(rule.mode, RuleMode::Stateless);
}

#[test]
fn a_disabled_rule_is_none_and_a_disabled_group_has_no_receivers() {
    let error = read_value(&with("/enabled", json!(false))).expect_err("nothing to play");
    assert!(matches!(error, RuleSettingsError::NoRules));
    let mut deployment = deployment();
    deployment["predictedResources"][0]["properties"]["enabled"] = json!(false);
    assert_eq!(read_value(&deployment).expect("right").receivers.len(), 0);
}

#[test]
fn a_rule_on_the_workspaces_own_events_is_skipped() {
    let mut deployment = deployment();
    let mut daily_cap = deployment["predictedResources"][1].clone();
    daily_cap["properties"]["criteria"]["allOf"][0]["query"] = json!("_LogOperation\n| take 1");
    deployment["predictedResources"].as_array_mut().expect("a list").push(daily_cap);
    assert_eq!(read(&deployment.to_string()).expect("right").len(), 1);
    let other = with("/criteria/allOf/0/query", json!("_LogOperations"));
    assert_eq!(read(&other.to_string()).expect("right").len(), 1);
}

#[test]
fn an_unsupported_setting_is_an_error_that_names_rule_and_value() {
    let criterion = "/criteria/allOf/0";
    let two = json!([{}, {}]);
    for (deployment, reason) in [
        (with("/muteActionsDuration", json!("PT1H")), "`muteActionsDuration` is `PT1H`"),
        (with("/scopes", json!(["a", "b"])), "`scopes` is `2`"),
        (with("/evaluationFrequency", json!("5 minutes")), "`evaluationFrequency` is `5 minutes`"),
        (with("/windowSize", json!("PT0S")), "`windowSize` is `PT0S`"),
        (with("/evaluationFrequency", json!("PT15M")), "every 15m but its windows cover only 10m"),
        (with("/overrideQueryTimeRange", json!("P3D")), "see 72h back"),
        (with("/overrideQueryTimeRange", json!("PT5M")), "see 5m back"),
        (with("/severity", json!("high")), "invalid type: string \"high\""),
        (with("/criteria/allOf", two), "missing field `query`"),
        (without("criteria"), "missing field `criteria`"),
        (with(&format!("{criterion}/operator"), json!("GreaterOrLessThan")), "GreaterOrLessThan"),
        (
            with(&format!("{criterion}/criterionType"), json!("DynamicThresholdCriterion")),
            "`criterionType` is `DynamicThresholdCriterion`",
        ),
        (with(&format!("{criterion}/timeAggregation"), json!("Count")), "`metricMeasureColumn`"),
        (with(&format!("{criterion}/metricMeasureColumn"), json!(null)), "`metricMeasureColumn`"),
        (
            with(
                &format!("{criterion}/failingPeriods"),
                json!({"numberOfEvaluationPeriods": 2, "minFailingPeriodsToAlert": 3}),
            ),
            "3 of 2 periods",
        ),
        (
            with(
                &format!("{criterion}/failingPeriods"),
                json!({"numberOfEvaluationPeriods": 2, "minFailingPeriodsToAlert": 1}),
            ),
            "`numberOfEvaluationPeriods` is `2`",
        ),
        (with("/actions/actionGroups", json!(["/elsewhere"])), "action group `/elsewhere`"),
    ] {
        let error = chain(&read_value(&deployment).expect_err(reason));
        assert!(error.starts_with("the rule `silent`"), "{error}");
        assert!(error.contains(reason), "{error} should contain {reason}");
    }
}

#[test]
fn other_kinds_of_rule_and_frequencies_that_never_resolve_are_refused() {
    let mut deployment = deployment();
    deployment["predictedResources"][1]["kind"] = json!("SimpleLogAlert");
    let error = chain(&read_value(&deployment).expect_err("not played"));
    assert!(error.contains("`kind` is `SimpleLogAlert`"), "{error}");

    let mut deployment = with("/evaluationFrequency", json!("P1D"));
    deployment["predictedResources"][1]["properties"]["windowSize"] = json!("P1D");
    let error = chain(&read_value(&deployment).expect_err("never resolves"));
    assert!(error.contains("every 24h cannot resolve"), "{error}");
}

/// The deployment plus an alert processing rule with these properties.
fn processed(properties: &Value) -> Value {
    let mut deployment = deployment();
    let resources = deployment["predictedResources"].as_array_mut().expect("a list");
    resources.push(json!({
        "id": "/processing/quiet", "type": "microsoft.alertsmanagement/actionrules",
        "name": "quiet", "properties": properties,
    }));
    deployment
}

fn remove_all(scope: &str, conditions: &Value) -> Value {
    json!({
        "scopes": [scope], "conditions": conditions,
        "actions": [{"actionType": "RemoveAllActionGroups"}],
    })
}

#[test]
fn a_processing_rule_suppresses_its_monitor_conditions() {
    use MonitorCondition::{Fired, Resolved};

    let resolved =
        json!({"field": "MonitorCondition", "operator": "Equals", "values": ["Resolved"]});
    let this = json!({"field": "AlertRuleId", "operator": "Equals", "values": ["/RULES/silent"]});
    for (properties, untold) in [
        (remove_all("/components/insights", &json!([this, resolved])), &[Resolved][..]),
        (remove_all("/COMPONENTS", &json!([resolved])), &[Resolved]),
        (remove_all("/components", &json!([this])), &[Fired, Resolved]),
        (remove_all("/comp", &json!([resolved])), &[]),
        (remove_all("/components/insights/inside", &json!([resolved])), &[]),
    ] {
        let rule = read_value(&processed(&properties)).expect("right");
        assert_eq!(rule.suppressed, untold, "{properties}");
    }
    let mut disabled = remove_all("/components", &json!([]));
    disabled["enabled"] = json!(false);
    assert_eq!(read_value(&processed(&disabled)).expect("right").suppressed, []);
}

#[test]
fn an_unsupported_processing_rule_is_an_error_that_names_it() {
    let condition = |field: &str, operator: &str, value: &str| {
        let condition = json!([{"field": field, "operator": operator, "values": [value]}]);
        remove_all("/components", &condition)
    };
    let mut scheduled = remove_all("/components", &json!([]));
    scheduled["schedule"] = json!({"timeZone": "UTC"});
    let mut adding = remove_all("/components", &json!([]));
    adding["actions"] = json!([{"actionType": "AddActionGroups", "actionGroupIds": []}]);
    for (properties, reason) in [
        (scheduled, "`schedule` is `{\"timeZone\":\"UTC\"}`"),
        (adding, "`actions[].actionType` is `AddActionGroups`"),
        (condition("Severity", "Equals", "Sev1"), "`conditions[].field` is `Severity`"),
        (condition("AlertRuleId", "Contains", "x"), "`conditions[].operator` is `Contains`"),
        (condition("MonitorCondition", "Equals", "Gone"), "`conditions[].values` is `Gone`"),
        (condition("AlertRuleId", "Equals", "/rules/other"), "alert rule `/rules/other`"),
        (json!({}), "missing field `scopes`"),
    ] {
        let error = chain(&read_value(&processed(&properties)).expect_err(reason));
        assert!(error.starts_with("the alert processing rule `quiet`"), "{error}");
        assert!(error.contains(reason), "{error} should contain {reason}");
    }
}

#[test]
fn a_file_that_is_not_a_snapshot_is_an_error() {
    for text in ["", "{}", "[]", "null"] {
        let error = read(text).expect_err("not a snapshot").to_string();
        assert!(error.contains("`bicep snapshot`"), "{error}");
    }
}
