//! Merges the layers, and checks the result against the table of settings.

use std::collections::BTreeMap;

use figment::{
    Figment, Provider,
    value::{Dict, Value},
};

use super::{
    layer::Layer,
    origin::SettingOrigin,
    problem::Problems,
    suggestion,
    table::{SETTINGS, Setting, SettingKind},
};

/// The text of a setting and its origin.
#[derive(Clone)]
pub(super) struct GivenValue {
    pub(super) text: String,
    pub(super) origin: SettingOrigin,
}

/// The text of every setting; later layers override earlier ones. An unknown setting, or a value of the
/// wrong type, is a problem and left out.
pub(super) fn merge(
    mut layers: Vec<Layer>,
    problems: &mut Problems,
) -> BTreeMap<&'static str, GivenValue> {
    for layer in &mut layers {
        refuse_values_for_sections(layer, problems);
    }
    let figment = layers.iter().fold(Figment::new(), Figment::merge);
    let mut walk = Walk { figment: &figment, layers: &layers, problems, given: BTreeMap::new() };
    match figment.data() {
        Ok(profiles) => profiles.values().for_each(|values| walk.section(&mut Vec::new(), values)),
        Err(error) => walk.problems.add(&SettingOrigin::Default, error),
    }
    walk.given
}

/// Removes values in the place of a section: merged, they would hide the section of other layers.
fn refuse_values_for_sections(layer: &mut Layer, problems: &mut Problems) {
    let mut refused = Vec::new();
    for (key, value) in layer.values() {
        if is_section(std::slice::from_ref(key)) && value.as_dict().is_none() {
            refused.push(key.clone());
        }
    }
    for key in refused {
        let path = [key];
        let sentence = format!("{0} is a section and takes no value; begin it with [{0}]", path[0]);
        problems.add(layer.origin(&path), sentence);
        layer.remove(&path[0]);
    }
}

struct Walk<'a> {
    figment: &'a Figment,
    layers: &'a [Layer],
    problems: &'a mut Problems,
    given: BTreeMap<&'static str, GivenValue>,
}

impl Walk<'_> {
    fn section(&mut self, path: &mut Vec<String>, values: &Dict) {
        for (key, value) in values {
            path.push(key.clone());
            match (setting(path), value) {
                (Some(setting), value) => self.setting(setting, path, value),
                (None, Value::Dict(_, inner)) if is_section(path) => self.section(path, inner),
                (None, value) => {
                    let origin = self.origin(path, value);
                    self.problems.add(&origin, unknown(path));
                }
            }
            path.pop();
        }
    }

    fn setting(&mut self, setting: &'static Setting, path: &[String], value: &Value) {
        let origin = self.origin(path, value);
        let actual = match value {
            Value::String(_, text) => {
                self.given.insert(setting.key, GivenValue { text: text.clone(), origin });
                return;
            }
            Value::Array(_, values)
                if matches!(setting.kind, SettingKind::Anchors | SettingKind::Portal)
                    && values.iter().all(|value| value.as_str().is_some()) =>
            {
                let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                self.given.insert(setting.key, GivenValue { text: texts.join(", "), origin });
                return;
            }
            Value::Bool(_, value) => {
                if *value {
                    "true"
                } else {
                    "false"
                }
            }
            Value::Array(..) => "a list",
            _ => "a section",
        };
        let quotes = match setting.kind {
            SettingKind::Text(_) | SettingKind::Choice(_) => " (between quotes)",
            _ => "",
        };
        let sentence = format!("{} is {actual}; it takes {}{quotes}", setting.key, setting.kind);
        self.problems.add(&origin, sentence);
    }

    /// The origin of a value: its tag names the layer, which has recorded the origin.
    fn origin(&self, path: &[String], value: &Value) -> SettingOrigin {
        // figment sets the tag reliably on the values in a section, but not on the section.
        let tag = match value {
            Value::Dict(_, inner) => inner.values().next().map_or(value.tag(), Value::tag),
            _ => value.tag(),
        };
        self.figment
            .get_metadata(tag)
            .and_then(|metadata| self.layers.iter().find(|layer| layer.name() == metadata.name))
            .map_or(SettingOrigin::Default, |layer| layer.origin(path).clone())
    }
}

fn setting(path: &[String]) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key.split('.').eq(path.iter().map(String::as_str)))
}

fn sections() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().filter_map(|setting| setting.key.split_once('.').map(|(section, _)| section))
}

fn is_section(path: &[String]) -> bool {
    matches!(path, [section] if sections().any(|known| known == section))
}

fn unknown(path: &[String]) -> String {
    let shown = path.iter().map(|key| shown(key)).collect::<Vec<_>>().join(".");
    let last = path.last().map(|key| key.to_lowercase()).unwrap_or_default();
    if ["key", "function_key", "functionkey", "token", "secret"].contains(&last.as_str()) {
        return format!(
            "there is no setting {shown}: a function key stands in a file of its own, which \
             heartbeat.key_file names"
        );
    }
    let known = SETTINGS.iter().map(|setting| setting.key);
    let known = known.chain(sections().filter(|_| path.len() == 1));
    suggestion::nearest(&path.join("."), known).map_or_else(
        || format!("there is no setting {shown}; `ispmon-agent config --sample` explains all"),
        |near| format!("there is no setting {shown}; did you mean {near}?"),
    )
}

/// A key in TOML syntax, quoted only where necessary.
fn shown(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare && key.len() <= 60 { key.to_owned() } else { super::problem::quoted(key) }
}
