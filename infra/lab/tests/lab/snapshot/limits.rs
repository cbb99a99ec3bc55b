//! Limits of a rule and of a template.

use super::deployment::{self, RULE};

/// All properties of a rule together: azure-monitor-docs, alerts-create-log-alert-rule.md.
pub(crate) const RULE_BYTES: usize = 65_536;
const RULE_DEVICES: usize = 200;
const DESCRIPTION_CHARACTERS: usize = 4_096;
/// The portal's limit of a subject.
const SUBJECT_CHARACTERS: usize = 128;

#[test]
fn no_rule_is_too_large() {
    for deployment in deployment::all() {
        assert!(deployment.sets().iter().all(|set| set.len() <= RULE_DEVICES));
        for rule in deployment.of_type(RULE) {
            let name = &rule["name"];
            assert!(rule["properties"].to_string().len() <= RULE_BYTES, "{name}");
            let description = rule["properties"]["description"].as_str().unwrap();
            assert!(description.len() <= DESCRIPTION_CHARACTERS, "{name}");
            let subject = &rule["properties"]["actions"]["actionProperties"]["Email.Subject"];
            let mut subject = subject.as_str().unwrap();
            let mut written = 0;
            while let Some((before, path)) = subject.split_once("${") {
                written += before.len();
                subject = path.split_once('}').unwrap().1;
            }
            assert!(written + subject.len() <= SUBJECT_CHARACTERS, "{name}");
        }
    }
}

/// A rule is one resource, and a template may have 800; a deployment for 5,000 devices has 25 times
/// this number of rules.
#[test]
fn a_thousand_devices_are_split_into_five_sets() {
    let thousand = deployment::thousand();
    assert_eq!(thousand.sets().len(), 5);
    let per_set = thousand.rules().len() / 5 + 1;
    assert!(thousand.resources.len() + 20 * per_set <= 800);
}

/// The template's limit of 4 MB, with a deployment for 5,000 devices with short names.
#[test]
fn the_compiled_template_is_small() {
    assert!(include_str!("../../../../azuredeploy.json").len() < 1_000_000);
}
