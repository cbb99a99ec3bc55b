//! The subject of a mail.

use serde_json::Value;

use super::resource_id::ResourceId;
use crate::rules::Notification;

/// Renders the subject: the rule's own `Email.Subject` with its paths filled in, else Azure's;
/// always one line.
pub(super) fn render(notification: &Notification, document: &Value) -> String {
    let subject = match &notification.rule.subject {
        Some(template) => fill_in(template, document),
        None => azure_default(notification),
    };
    subject.replace(char::is_control, " ")
}

/// `Fired:Sev1 Azure Monitor Alert <rule> on <resource> ( <type> ) at <time>`, as real mails show
/// it in their subject and at their top.
pub(super) fn azure_default(notification: &Notification) -> String {
    let rule = &notification.rule;
    let scope = ResourceId::new(&rule.scope);
    format!(
        "{}:Sev{} Azure Monitor Alert {} on {} ( {} ) at {}",
        notification.condition.as_str(),
        rule.severity,
        rule.name,
        scope.name,
        scope.resource_type,
        notification.evaluated.strftime("%-m/%-d/%Y %-I:%M:%S %p"),
    )
}

/// Replaces each `${path}` by the value at that path in the common alert schema (Microsoft Learn,
/// "Customize the email subject of an alert").
///
/// A path without a value stays as written, so that a mistake in a template is visible.
fn fill_in(template: &str, document: &Value) -> String {
    let mut subject = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        subject.push_str(before);
        let Some((path, behind)) = after.split_once('}') else {
            subject.push_str("${");
            rest = after;
            continue;
        };
        match find(document, path) {
            Some(Value::String(text)) => subject.push_str(text),
            Some(Value::Null) => {}
            Some(value) => subject.push_str(&value.to_string()),
            None => subject.extend(["${", path, "}"]),
        }
        rest = behind;
    }
    subject.push_str(rest);
    subject
}

/// Returns the value at a path such as `data.alertContext.condition.allOf[0].dimensions[0].value`.
fn find<'document>(document: &'document Value, path: &str) -> Option<&'document Value> {
    path.split('.').try_fold(document, |value, step| {
        let (name, indices) = step.split_at(step.find('[').unwrap_or(step.len()));
        let value = value.get(name)?;
        indices.split_terminator(']').try_fold(value, |value, index| {
            value.get(index.strip_prefix('[')?.parse::<usize>().ok()?)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_traverse_objects_and_lists() {
        let document = json!({"data": {
            "essentials": {"monitorCondition": "Fired", "resolvedDateTime": null},
            "alertContext": {"condition": {"allOf": [{"metricValue": 7.5, "dimensions": [
                {"name": "device", "value": "dl-home"},
            ]}]}},
        }});
        for (template, expected) in [
            ("plain", "plain"),
            ("${data.essentials.monitorCondition}: x", "Fired: x"),
            ("a ${data.alertContext.condition.allOf[0].dimensions[0].value}!", "a dl-home!"),
            ("${data.alertContext.condition.allOf[0].metricValue} min", "7.5 min"),
            ("until ${data.essentials.resolvedDateTime}.", "until ."),
            ("${data.essentials.nothing}", "${data.essentials.nothing}"),
            (
                "${data.alertContext.condition.allOf[1].metricValue}",
                "${data.alertContext.condition.allOf[1].metricValue}",
            ),
            ("open ${data.essentials", "open ${data.essentials"),
            ("10 $ or {}", "10 $ or {}"),
        ] {
            assert_eq!(fill_in(template, &document), expected);
        }
    }

    proptest! {
        #[test]
        fn any_template_gives_a_subject(template in r"([a-z$\{\}\[\].0-9]|\$\{data\.|allOf\[)*") {
            let subject = fill_in(&template, &json!({"data": {"allOf": [1, 2]}}));
            if !template.contains("${data.allOf") {
                prop_assert_eq!(subject, template);
            }
        }
    }
}
