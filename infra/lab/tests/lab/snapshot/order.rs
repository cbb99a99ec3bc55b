//! The compiled templates: dependencies, optional parts, and default values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

fn template() -> Value {
    serde_json::from_str(include_str!("../../../../azuredeploy.json")).unwrap()
}

/// The direct and indirect dependencies of a resource of a template.
fn awaited(template: &Value, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let direct = template["resources"][&name]["dependsOn"].as_array().cloned();
        for next in direct.unwrap_or_default() {
            let next = next.as_str().unwrap().to_owned();
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

#[test]
fn roles_are_assigned_before_they_are_needed() {
    let template = template();
    let app = awaited(&template, "functionApp");
    assert!(
        app.contains("appRoles") && app.contains("storage") && app.contains("telemetry"),
        "{app:?}"
    );
    for name in ["rules", "selfMonitoring"] {
        let awaited = awaited(&template, name);
        assert!(
            awaited.contains("alertRoles") && awaited.contains("actionGroup"),
            "{name}: {awaited:?}"
        );
    }
    for name in ["appRoles", "alertRoles"] {
        assert!(awaited(&template, name).contains("telemetry"), "{name}");
    }
}

/// A package that the template itself deploys, if no script uploads it.
#[test]
fn code_is_deployed_last_and_only_when_its_address_is_given() {
    let template = template();
    let app = &template["resources"]["functionApp"]["properties"]["template"];
    let package = &app["resources"]["package"];
    assert_eq!(package["type"], "Microsoft.Web/sites/extensions");
    assert!(package["name"].as_str().unwrap().contains("'onedeploy'"), "{}", package["name"]);
    assert_eq!(package["condition"], "[not(empty(parameters('packageUri')))]");
    assert_eq!(package["properties"]["packageUri"], "[parameters('packageUri')]");
    assert!(awaited(app, "package").contains("app"));
    assert_eq!(template["parameters"]["packageUri"]["defaultValue"], "");
}

/// The first of two deployments has no rules: nothing may alert before a heartbeat can be queried.
#[test]
fn only_the_rules_and_their_monitoring_are_optional() {
    let template = template();
    let mut optional: Vec<_> = template["resources"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, resource)| Some((name.as_str(), resource["condition"].as_str()?)))
        .collect();
    optional.sort_unstable();
    let expected = [
        ("budget", "[greater(parameters('budgetAmount'), 0)]"),
        ("rules", "[parameters('rulesEnabled')]"),
        ("selfMonitoring", "[parameters('rulesEnabled')]"),
    ];
    assert_eq!(optional, expected);
}

#[test]
fn every_parameter_is_described_and_bounded() {
    for (name, parameter) in template()["parameters"].as_object().unwrap() {
        assert!(parameter["metadata"]["description"].is_string(), "{name}");
        let is_bounded = ["allowedValues", "minLength", "maxLength", "minValue", "maxValue"]
            .iter()
            .any(|bound| !parameter[bound].is_null());
        let is_free = parameter["type"] == "bool"
            || ["location", "webhookUrls", "packageUri"].contains(&name.as_str());
        assert!(is_bounded || is_free, "{name}");
    }
}

/// Defaults are defined in two files, because a parameter file cannot leave a value out.
#[test]
fn defaults_are_the_same_with_and_without_an_environment() {
    let parameters = template()["parameters"].clone();
    let mut compared = BTreeMap::new();
    for line in include_str!("../../../../main.bicepparam").lines() {
        let Some((name, value)) =
            line.strip_prefix("param ").and_then(|line| line.split_once(" = "))
        else {
            continue;
        };
        let Some((_, call)) = value.split_once("readEnvironmentVariable('") else { continue };
        let default = call.split('\'').nth(2).unwrap();
        compared.insert(name, default);
    }
    assert_eq!(compared.remove("location"), Some("westeurope"));
    for (name, default) in &compared {
        let declared = match &parameters[name]["defaultValue"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(&declared, default, "{name}");
    }
    assert_eq!(compared.len(), 14, "{compared:?}");
    let marks = (2..=12).map(|step| step * 5).chain((2..=24).map(|hour| hour * 60));
    let marks: Value = marks.collect();
    assert_eq!(parameters["reminderMarks"]["defaultValue"], marks);
    for (name, parameter) in parameters.as_object().unwrap() {
        let required = ["devices", "mailAddresses"].contains(&name.as_str());
        assert_eq!(parameter["defaultValue"].is_null(), required, "{name}");
    }
}
