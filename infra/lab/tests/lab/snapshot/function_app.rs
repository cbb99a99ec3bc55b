//! The function app: a custom handler on Flex Consumption.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::deployment::{self, Deployment, IDENTITY, SITE, STORAGE};

fn settings(deployment: &Deployment) -> BTreeMap<String, String> {
    let settings = deployment.only(SITE)["properties"]["siteConfig"]["appSettings"].clone();
    let settings: Vec<BTreeMap<String, String>> = serde_json::from_value(settings).unwrap();
    settings.iter().map(|each| (each["name"].clone(), each["value"].clone())).collect()
}

#[test]
fn it_runs_on_flex_consumption_with_a_limited_instance_count() {
    for (deployment, runtime, instances) in [
        (deployment::main(), ["custom", "1.0"], 2),
        (deployment::many(), ["node", "22"], 40),
        (deployment::thousand(), ["custom", "1.0"], 2),
    ] {
        let plan = deployment.only("Microsoft.Web/serverfarms");
        assert_eq!(plan["sku"], json!({"tier": "FlexConsumption", "name": "FC1"}));
        assert_eq!(plan["properties"]["reserved"], true);
        let site = deployment.only(SITE);
        assert_eq!(site["kind"], "functionapp,linux");
        assert_eq!(site["properties"]["serverFarmId"], plan["id"]);
        let config = &site["properties"]["functionAppConfig"];
        assert_eq!(config["runtime"], json!({"name": runtime[0], "version": runtime[1]}));
        let expected = json!({
            "maximumInstanceCount": instances,
            "instanceMemoryMB": 512,
            "triggers": {"http": {"perInstanceConcurrency": 100}},
        });
        assert_eq!(config["scaleAndConcurrency"], expected);
    }
}

#[test]
fn its_package_is_in_its_own_container_and_read_by_its_identity() {
    for deployment in deployment::all() {
        let account = deployment.only(STORAGE)["name"].as_str().unwrap();
        let container =
            deployment.only("Microsoft.Storage/storageAccounts/blobServices/containers");
        assert_eq!(container["name"], format!("{account}/default/packages"));
        assert_eq!(container["properties"]["publicAccess"], "None");
        assert_eq!(deployment.outputs["deploymentContainer"], "packages");
        assert_eq!(deployment.outputs["storageAccountName"], account);
        let storage =
            &deployment.only(SITE)["properties"]["functionAppConfig"]["deployment"]["storage"];
        let address = storage["value"].as_str().unwrap();
        assert!(address.contains(account) && address.contains("packages"), "{address}");
        let identity = format!("{}-app-identity", deployment.prefix);
        let expected = json!({
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": deployment.named(IDENTITY, &identity)["id"],
        });
        assert_eq!(storage["authentication"], expected);
    }
}

#[test]
fn it_is_reachable_by_https_only() {
    for deployment in deployment::all() {
        let properties = &deployment.only(SITE)["properties"];
        assert_eq!(properties["httpsOnly"], true);
        assert_eq!(properties["siteConfig"]["ftpsState"], "Disabled");
        assert_eq!(properties["siteConfig"]["minTlsVersion"], "1.2");
        assert_eq!(properties["siteConfig"]["scmMinTlsVersion"], "1.2");
        let url = deployment.outputs["functionUrl"].as_str().unwrap();
        assert!(url.starts_with("[format('https://{0}/api/ping', reference("), "{url}");
        assert_eq!(deployment.outputs["functionAppName"], deployment.only(SITE)["name"]);
    }
}

#[test]
fn its_settings_are_complete_and_allowed_on_flex_consumption() {
    for deployment in deployment::all() {
        let settings = settings(&deployment);
        let names: Vec<_> = settings.keys().map(String::as_str).collect();
        let expected = [
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "AzureWebJobsStorage__blobServiceUri",
            "AzureWebJobsStorage__clientId",
            "AzureWebJobsStorage__credential",
            "EXPECTED_DEVICES",
        ];
        let wanted = if deployment.name == "thousand" { &expected[..5] } else { &expected };
        assert_eq!(names, wanted);
        assert_eq!(settings["AzureWebJobsStorage__credential"], "managedidentity");
        let client = settings["AzureWebJobsStorage__clientId"].trim_matches(['[', ']']).to_owned();
        assert!(client.ends_with("-app-identity', '2024-11-30').clientId"), "{client}");
        let authentication = &settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"];
        assert!(authentication.contains("Authorization=AAD;ClientId="), "{authentication}");
        assert!(authentication.contains(&client), "{authentication}");
    }
}

#[test]
fn it_has_the_monitored_devices_as_a_setting_if_the_list_is_short() {
    for deployment in [deployment::main(), deployment::many()] {
        let expected = deployment.devices.join(",");
        assert_eq!(settings(&deployment)["EXPECTED_DEVICES"], expected);
    }
    assert!(deployment::thousand().devices.join(",").len() > 8_192);
}

/// The function sets its telemetry levels in host.json; no app setting may override them.
#[test]
fn nothing_overrides_the_hosts_file() {
    let host: Value =
        serde_json::from_str(include_str!("../../../../../function/host.json")).unwrap();
    assert_eq!(host["logging"]["applicationInsights"]["samplingSettings"]["isEnabled"], false);
    for deployment in deployment::all() {
        for name in settings(&deployment).into_keys() {
            assert!(!name.starts_with("AzureFunctionsJobHost__"), "{name}");
        }
    }
}
