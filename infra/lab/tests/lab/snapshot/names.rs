//! Resource names that are valid in Azure with any prefix.

use std::collections::BTreeSet;

use super::deployment::{self, COMPONENT, SITE, STORAGE, WORKSPACE};

fn is_lower_or_digit(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit()
}

#[test]
fn globally_unique_names_are_short_and_start_with_the_prefix() {
    for deployment in deployment::all() {
        let storage = deployment.only(STORAGE)["name"].as_str().unwrap();
        assert!((3..=24).contains(&storage.len()), "{storage}");
        assert!(storage.chars().all(is_lower_or_digit), "{storage}");
        // The host id is the first 32 characters: two apps with the same ones would share their locks
        // and keys.
        let app = deployment.only(SITE)["name"].as_str().unwrap();
        assert!((2..=32).contains(&app.len()), "{app}");
        assert!(app.chars().all(|each| is_lower_or_digit(each) || each == '-'), "{app}");
        assert!(!app.starts_with('-') && !app.ends_with('-'), "{app}");
        assert!(app.starts_with(&deployment.prefix.to_lowercase()), "{app}");
        assert_eq!(storage[storage.len() - 13..], app[app.len() - 13..]);
    }
    let [main, many, _] = deployment::all();
    assert_ne!(main.only(SITE)["name"], many.only(SITE)["name"]);
}

#[test]
fn all_names_start_with_the_prefix_and_are_unique() {
    for deployment in deployment::all() {
        let workspace = deployment.only(WORKSPACE)["name"].as_str().unwrap();
        assert!((4..=63).contains(&workspace.len()), "{workspace}");
        assert_eq!(deployment.outputs["workspaceName"], workspace);
        assert_eq!(deployment.outputs["componentName"], deployment.only(COMPONENT)["name"]);
        let ids: BTreeSet<_> = deployment
            .resources
            .iter()
            .map(|each| each["id"].as_str().unwrap().to_lowercase())
            .collect();
        assert_eq!(ids.len(), deployment.resources.len(), "{}", deployment.name);
        for resource in &deployment.resources {
            let (kind, name) =
                (resource["type"].as_str().unwrap(), resource["name"].as_str().unwrap());
            assert!(name.len() <= 260 || kind == deployment::ROLE, "{name}");
            if kind == deployment::ROLE || kind == "Microsoft.Insights/workbooks" {
                continue;
            }
            let own = name.to_lowercase().replace('-', "");
            let prefix = deployment.prefix.to_lowercase().replace('-', "");
            let prefix =
                if kind.starts_with(STORAGE) { &prefix[..prefix.len().min(11)] } else { &prefix };
            assert!(
                own.replace("failure anomalies ", "").trim().starts_with(prefix),
                "{kind} {name}"
            );
        }
    }
}

#[test]
fn the_workbook_is_named_by_a_guid() {
    for deployment in deployment::all() {
        let name = deployment.only("Microsoft.Insights/workbooks")["name"].as_str().unwrap();
        assert!(name.parse::<uuid::Uuid>().is_ok(), "{name}");
    }
}
