//! The workbook: all of its queries, on the component.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::deployment::{self, COMPONENT};

fn content(deployment: &deployment::Deployment) -> Value {
    let workbook = deployment.only("Microsoft.Insights/workbooks");
    assert_eq!(workbook["kind"], "shared");
    assert_eq!(workbook["properties"]["sourceId"], deployment.id(COMPONENT));
    serde_json::from_str(workbook["properties"]["serializedData"].as_str().unwrap()).unwrap()
}

fn queries(content: &Value) -> Vec<&Value> {
    let items = content["items"].as_array().unwrap().iter();
    items.filter(|item| item["type"] == 3).map(|item| &item["content"]).collect()
}

#[test]
fn every_query_file_is_shown() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../queries/workbook");
    for deployment in deployment::all() {
        let content = content(&deployment);
        let shown: Vec<_> =
            queries(&content).iter().map(|each| each["query"].as_str().unwrap()).collect();
        let mut files = 0;
        for file in fs::read_dir(&folder).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let text = text.trim().replace("ago('RANGE')", "datetime({TimeRange:startISO})");
            let text = text.replace("'RANGE'", "(now() - datetime({TimeRange:startISO}))");
            assert!(shown.contains(&text.as_str()), "{text}");
            files += 1;
        }
        assert_eq!(shown.len(), files);
    }
}

#[test]
fn the_queries_run_on_the_component_in_the_selected_time_range() {
    for deployment in deployment::all() {
        let content = content(&deployment);
        let component = json!([deployment.id(COMPONENT)]);
        assert_eq!(content["fallbackResourceIds"], component);
        for query in queries(&content) {
            assert_eq!(query["crossComponentResources"], component);
            assert_eq!(query["resourceType"], "microsoft.insights/components");
            assert_eq!(query["timeContextFromParameter"], "TimeRange");
            let text = query["query"].as_str().unwrap();
            assert!(text.starts_with("traces\n"), "{text}");
            assert!(text.contains("{TimeRange:startISO}"), "{text}");
            assert!(!text.contains("RANGE"), "{text}");
        }
    }
}
