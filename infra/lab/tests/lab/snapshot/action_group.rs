//! Recipients of alerts, and the content of mails.

use serde_json::json;

use super::deployment::{self, ACTION_GROUP, COMPONENT, RULE, WORKSPACE};

#[test]
fn all_recipients_use_the_common_schema() {
    let main = deployment::main();
    let group = &main.only(ACTION_GROUP)["properties"];
    let owner = json!({"name": "owner@example.org", "emailAddress": "owner@example.org", "useCommonAlertSchema": true});
    assert_eq!(group["emailReceivers"], json!([owner]));
    // The built-in role Owner, by default.
    let [owners] = &group["armRoleReceivers"].as_array().unwrap()[..] else { panic!("one role") };
    assert_eq!(owners["roleId"], "8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
    assert_eq!(owners["useCommonAlertSchema"], true);

    let many = deployment::many();
    let group = &many.only(ACTION_GROUP)["properties"];
    let receivers = group["emailReceivers"].as_array().unwrap();
    let addresses: Vec<_> = receivers.iter().map(|each| &each["emailAddress"]).collect();
    assert_eq!(addresses, ["owner@example.org", "night.shift+ispmon@mail.example.net"]);
    assert!(receivers.iter().all(|receiver| receiver["useCommonAlertSchema"] == true));
    assert_eq!(group["armRoleReceivers"], json!([]));

    for deployment in deployment::all() {
        let group = deployment.only(ACTION_GROUP);
        assert_eq!(group["location"], "global");
        assert_eq!(group["properties"]["enabled"], true);
        assert!(group["properties"]["groupShortName"].as_str().unwrap().len() <= 12);
        // An evaluated deployment keeps secrets unevaluated, and a URL may contain one.
        let webhooks = group["properties"]["webhookReceivers"].to_string();
        assert!(webhooks.contains("parameters('webhookUrls')"), "{webhooks}");
        assert!(webhooks.contains("'useCommonAlertSchema', true()"), "{webhooks}");
        assert!(!webhooks.contains("hooks.example.org"), "{webhooks}");
        assert_eq!(deployment.outputs["actionGroupName"], group["name"]);
    }
}

#[test]
fn every_rule_notifies_the_action_group_and_names_the_device() {
    for deployment in deployment::all() {
        let group = deployment.id(ACTION_GROUP);
        for rule in deployment.of_type(RULE) {
            let groups = &rule["properties"]["actions"]["actionGroups"];
            assert_eq!(groups, &json!([group]), "{}", rule["name"]);
        }
        for rule in deployment.rules() {
            let actions = &rule.properties()["actions"];
            let subject = actions["actionProperties"]["Email.Subject"].as_str().unwrap();
            let dimensions = rule.kind.dimensions;
            let place = dimensions.iter().position(|name| *name == "Computer").unwrap();
            let device =
                format!("${{data.alertContext.condition.allOf[0].dimensions[{place}].value}}");
            assert!(subject.contains(&device), "{}: {subject}", rule.name);
        }
    }
}

#[test]
fn a_subject_has_the_condition_if_both_are_mailed() {
    let condition = "${data.essentials.monitorCondition}";
    for rule in deployment::all().iter().flat_map(deployment::Deployment::rules) {
        let actions = &rule.properties()["actions"];
        let subject = actions["actionProperties"]["Email.Subject"].as_str().unwrap();
        let both = rule.kind.name == "device-silent";
        assert_eq!(subject.contains(condition), both, "{}: {subject}", rule.name);
    }
}

#[test]
fn only_the_resolve_of_an_outage_report_is_suppressed() {
    for deployment in deployment::all() {
        let mut covered = Vec::new();
        for processing in deployment.of_type("Microsoft.AlertsManagement/actionRules") {
            // The provider rejects a region.
            assert_eq!(processing["location"], "Global");
            let properties = &processing["properties"];
            assert_eq!(properties["enabled"], true);
            assert_eq!(properties["actions"], json!([{"actionType": "RemoveAllActionGroups"}]));
            let [rule, condition] = &properties["conditions"].as_array().unwrap()[..] else {
                panic!("two conditions")
            };
            let resolved =
                json!({"field": "MonitorCondition", "operator": "Equals", "values": ["Resolved"]});
            assert_eq!(condition, &resolved);
            assert_eq!(
                (&rule["field"], &rule["operator"]),
                (&json!("AlertRuleId"), &json!("Equals"))
            );
            let [id] = &rule["values"].as_array().unwrap()[..] else { panic!("one rule") };
            covered.push(id.clone());
            // The alert's target is the component or its workspace; both are in the scope.
            let [scope] = &properties["scopes"].as_array().unwrap()[..] else {
                panic!("one scope")
            };
            for kind in [COMPONENT, WORKSPACE] {
                let target = deployment.id(kind);
                assert!(target.starts_with(&format!("{}/", scope.as_str().unwrap())), "{kind}");
            }
        }
        let rules = deployment.rules();
        let reports = rules.iter().filter(|rule| rule.kind.name == "outage-report");
        let reports: Vec<_> = reports.map(|rule| rule.resource["id"].clone()).collect();
        assert_eq!(covered, reports, "{}", deployment.name);
    }
}
