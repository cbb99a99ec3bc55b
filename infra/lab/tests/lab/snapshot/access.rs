//! Role assignments, keys and secrets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::deployment::{
    self, COMPONENT, Deployment, IDENTITY, ROLE, RULE, SITE, STORAGE, WORKSPACE,
};

const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const BLOB_OWNER: &str = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
const METRICS_PUBLISHER: &str = "3913510d-42f4-4e42-8a64-420c390055eb";

fn identity(deployment: &Deployment, end: &str) -> String {
    let name = format!("{}-{end}", deployment.prefix);
    deployment.named(IDENTITY, &name)["id"].as_str().unwrap().to_owned()
}

/// The roles of an identity: scope and role.
fn roles(deployment: &Deployment, identity: &str) -> BTreeSet<(String, String)> {
    let principal = format!("[reference('{identity}', '2024-11-30').principalId]");
    let assignments = deployment.of_type(ROLE).into_iter();
    assignments
        .filter(|assignment| assignment["properties"]["principalId"] == *principal)
        .map(|assignment| {
            assert_eq!(assignment["properties"]["principalType"], "ServicePrincipal");
            let id = assignment["id"].as_str().unwrap();
            let (_, rest) = id.split_once("extensionResourceId('").unwrap();
            let role = assignment["properties"]["roleDefinitionId"].as_str().unwrap();
            let (_, role) = role.rsplit_once('/').unwrap();
            (rest.split('\'').next().unwrap().to_owned(), role.to_owned())
        })
        .collect()
}

#[test]
fn the_rules_can_read_only_the_tables_they_query() {
    for deployment in deployment::all() {
        let identity = identity(&deployment, "alert-identity");
        let expected = json!({"type": "UserAssigned", "userAssignedIdentities": {&identity: {}}});
        for rule in deployment.of_type(RULE) {
            assert_eq!(rule["identity"], expected, "{}", rule["name"]);
        }
        let expected =
            [COMPONENT, WORKSPACE].map(|kind| (deployment.id(kind).to_owned(), READER.to_owned()));
        assert_eq!(roles(&deployment, &identity), BTreeSet::from(expected));
    }
}

#[test]
fn the_app_can_only_use_its_storage_and_write_telemetry() {
    for deployment in deployment::all() {
        let identity = identity(&deployment, "app-identity");
        let expected = json!({"type": "UserAssigned", "userAssignedIdentities": {&identity: {}}});
        assert_eq!(deployment.only(SITE)["identity"], expected);
        let expected = [
            (deployment.id(STORAGE).to_owned(), BLOB_OWNER.to_owned()),
            (deployment.id(COMPONENT).to_owned(), METRICS_PUBLISHER.to_owned()),
        ];
        assert_eq!(roles(&deployment, &identity), BTreeSet::from(expected));
        assert_eq!(deployment.of_type(ROLE).len(), 4, "no other identity has a role");
    }
}

/// With a name derived from anything else, an assignment clashes with its predecessor when the identity
/// is recreated.
#[test]
fn assignments_are_named_after_principal_ids() {
    for deployment in deployment::all() {
        for assignment in deployment.of_type(ROLE) {
            let name = assignment["name"].as_str().unwrap();
            let principal = assignment["properties"]["principalId"].as_str().unwrap();
            let principal = principal.trim_matches(['[', ']']);
            assert!(name.starts_with("[guid(") && name.contains(principal), "{name}");
        }
    }
}

#[test]
fn shared_keys_are_disabled() {
    for deployment in deployment::all() {
        let storage = &deployment.only(STORAGE)["properties"];
        for (property, value) in [
            ("allowSharedKeyAccess", json!(false)),
            ("allowBlobPublicAccess", json!(false)),
            ("allowCrossTenantReplication", json!(false)),
            ("defaultToOAuthAuthentication", json!(true)),
            ("supportsHttpsTrafficOnly", json!(true)),
            ("minimumTlsVersion", json!("TLS1_2")),
        ] {
            assert_eq!(storage[property], value, "{property}");
        }
        assert_eq!(deployment.only(COMPONENT)["properties"]["DisableLocalAuth"], true);
        let features = &deployment.only(WORKSPACE)["properties"]["features"];
        assert_eq!(features["disableLocalAuth"], true);
        assert_eq!(features["enableLogAccessUsingOnlyResourcePermissions"], true);
        let policies = deployment.of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies");
        let names: Vec<_> = policies
            .iter()
            .map(|policy| {
                assert_eq!(policy["properties"]["allow"], false, "{}", policy["name"]);
                policy["name"].as_str().unwrap().rsplit_once('/').unwrap().1
            })
            .collect();
        assert_eq!(names, ["ftp", "scm"]);
    }
}

#[test]
fn outputs_are_complete_and_have_no_secret() {
    for deployment in deployment::all() {
        let outputs = deployment.outputs.as_object().unwrap();
        let names: BTreeSet<_> = outputs.keys().map(String::as_str).collect();
        let expected = [
            "actionGroupName",
            "componentName",
            "deploymentContainer",
            "functionAppName",
            "functionUrl",
            "identityPrincipalId",
            "ruleNames",
            "storageAccountName",
            "workspaceId",
            "workspaceName",
        ];
        assert_eq!(names, BTreeSet::from(expected));
        let text = deployment.outputs.to_string().to_lowercase();
        for secret in
            ["listkeys", "list(", "connectionstring", "instrumentationkey", "webhook", "code="]
        {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    let template: Value =
        serde_json::from_str(include_str!("../../../../azuredeploy.json")).unwrap();
    assert_eq!(template["parameters"]["webhookUrls"]["type"], "securestring");
    assert_eq!(template["parameters"]["webhookUrls"]["defaultValue"], "");
}
