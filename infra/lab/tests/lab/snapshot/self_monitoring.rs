//! The alerts that monitor the alert rules and the daily cap.

use serde_json::{Value, json};

use super::deployment::{
    self, ACTION_GROUP, COMPONENT, Deployment, RESOURCE_GROUP, RULE, WORKSPACE,
};

const ACTIVITY_LOG_ALERT: &str = "Microsoft.Insights/activityLogAlerts";

fn activity_log_alert<'a>(deployment: &'a Deployment, name: &str) -> &'a Value {
    &deployment.named(ACTIVITY_LOG_ALERT, &format!("{}-{name}", deployment.prefix))["properties"]
}

fn field(name: &str, value: &str) -> Value {
    json!({"field": name, "equals": value})
}

#[test]
fn disabling_deleting_or_failure_of_a_rule_is_mailed() {
    for deployment in deployment::all() {
        for (name, operation) in [
            ("rule-disabled", "Microsoft.Insights/ScheduledQueryRules/disable/action"),
            ("rule-deleted", "Microsoft.Insights/ScheduledQueryRules/delete"),
        ] {
            let expected = json!([
                field("category", "Administrative"),
                field("operationName", operation),
                field("status", "Succeeded"),
            ]);
            assert_eq!(activity_log_alert(&deployment, name)["condition"]["allOf"], expected);
        }
        let health = activity_log_alert(&deployment, "rule-unhealthy");
        let before = |status| field("properties.previousHealthStatus", status);
        let now = |status| field("properties.currentHealthStatus", status);
        let expected = json!([
            field("category", "ResourceHealth"),
            field("resourceType", RULE),
            {"anyOf": [now("Degraded"), now("Unavailable")]},
            // Not Unknown, which is the state before the first evaluation.
            {"anyOf": [before("Available"), before("Degraded"), before("Unavailable")]},
        ]);
        assert_eq!(health["condition"]["allOf"], expected);
        let alerts = deployment.of_type(ACTIVITY_LOG_ALERT);
        assert_eq!(alerts.len(), 3);
        for alert in alerts {
            assert_eq!(alert["location"], "global");
            assert_eq!(alert["properties"]["enabled"], true);
            assert_eq!(alert["properties"]["scopes"], json!([RESOURCE_GROUP]));
            let group = json!([{"actionGroupId": deployment.id(ACTION_GROUP)}]);
            assert_eq!(alert["properties"]["actions"]["actionGroups"], group);
        }
    }
}

#[test]
fn reaching_the_daily_cap_is_mailed_if_there_is_one() {
    for (deployment, cap) in
        [(deployment::main(), 1), (deployment::many(), -1), (deployment::thousand(), 5)]
    {
        let workspace = &deployment.only(WORKSPACE)["properties"];
        assert_eq!(workspace["workspaceCapping"]["dailyQuotaGb"], cap);
        let name = format!("{}-daily-cap", deployment.prefix);
        let rules = deployment.of_type(RULE);
        let rule = rules.iter().find(|rule| rule["name"] == name);
        let Some(rule) = rule else {
            assert_eq!(cap, -1, "{}", deployment.name);
            continue;
        };
        let properties = &rule["properties"];
        assert_eq!(properties["enabled"], true);
        assert_eq!(properties["scopes"], json!([deployment.id(WORKSPACE)]));
        let condition = &properties["criteria"]["allOf"][0];
        let query = condition["query"].as_str().unwrap();
        assert!(query.starts_with("_LogOperation\n") && query.contains("OverQuota"), "{query}");
        assert!(query.ends_with("| summarize notices = count()"), "{query}");
        // Never `Count`: the query always returns one row.
        assert_eq!(condition["timeAggregation"], "Maximum");
        assert_eq!(condition["metricMeasureColumn"], "notices");
        assert_eq!(
            (&condition["operator"], &condition["threshold"]),
            (&json!("GreaterThan"), &json!(0))
        );
    }
}

/// Azure itself adds this rule to a new component, under this name.
#[test]
fn the_rule_that_azure_adds_is_disabled() {
    for deployment in deployment::all() {
        let rule = deployment.only("Microsoft.AlertsManagement/smartDetectorAlertRules");
        let component = deployment.only(COMPONENT);
        let name = format!("Failure Anomalies - {}", component["name"].as_str().unwrap());
        assert_eq!(rule["name"], name);
        assert_eq!(rule["properties"]["state"], "Disabled");
        assert_eq!(rule["properties"]["scope"], json!([component["id"]]));
    }
}

#[test]
fn a_budget_is_created_if_requested() {
    let budgets = |deployment: Deployment| {
        deployment.of_type("Microsoft.Consumption/budgets").into_iter().cloned().collect::<Vec<_>>()
    };
    assert!(budgets(deployment::main()).is_empty());
    let [budget] = &budgets(deployment::many())[..] else { panic!("one budget") };
    let properties = &budget["properties"];
    assert_eq!(properties["amount"], 10);
    assert_eq!(properties["timePeriod"]["startDate"], "2026-12-01");
    for notification in properties["notifications"].as_object().unwrap().values() {
        assert_eq!(notification["enabled"], true);
        assert_eq!(notification["contactEmails"].as_array().unwrap().len(), 2);
    }
}
