//! Settings from variables, both of the environment and of a `.env`.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    layer::Layer,
    origin::SettingOrigin,
    problem::Problems,
    suggestion,
    table::{SETTINGS, VARIABLE_PREFIX},
};

/// A variable: its text, or `None` when that is not UTF-8, and its origin.
pub(super) struct Variable {
    pub(super) text: Option<String>,
    pub(super) origin: SettingOrigin,
}

/// Reads the settings among the environment variables.
pub(super) fn layer(environment: &BTreeMap<OsString, OsString>, problems: &mut Problems) -> Layer {
    let variables = environment.iter().filter_map(|(name, value)| {
        let name = name.to_str().filter(|name| is_setting(name))?;
        let text = value.to_str().map(str::to_owned);
        Some((name.to_owned(), Variable { text, origin: SettingOrigin::Variable(name.to_owned()) }))
    });
    settings(variables.collect(), problems)
}

/// Whether the agent uses a variable, or must report it as an unknown setting.
pub(super) fn is_setting(name: &str) -> bool {
    name.starts_with(VARIABLE_PREFIX)
        || SETTINGS.iter().any(|setting| setting.old_variable == Some(name))
}

/// The layer of these variables; an empty variable counts as not set.
pub(super) fn settings(
    mut variables: BTreeMap<String, Variable>,
    problems: &mut Problems,
) -> Layer {
    variables
        .retain(|_, variable| variable.text.as_ref().is_none_or(|text| !text.trim().is_empty()));
    let mut layer = Layer::new();
    for setting in SETTINGS {
        let new = variables.remove(&setting.variable());
        let old = setting.old_variable.and_then(|name| variables.remove(name));
        if let (Some(new), Some(old)) = (&new, &old)
            && new.text != old.text
        {
            problems.add(
                &new.origin,
                format!(
                    "{} has another value here than in {}; remove one of the two, {} is the old \
                     name",
                    setting.key,
                    old.origin,
                    setting.old_variable.unwrap_or_default(),
                ),
            );
        }
        let Some(variable) = new.or(old) else { continue };
        match variable.text {
            Some(text) => {
                layer.insert(setting.key, (Ok(text), variable.origin));
            }
            None => problems.add(
                &variable.origin,
                format!(
                    "the value of {} is not UTF-8 text; it takes {}",
                    setting.key, setting.kind
                ),
            ),
        }
    }
    for (name, variable) in variables {
        problems.add(&variable.origin, unknown(&name));
    }
    layer
}

fn unknown(name: &str) -> String {
    if is_key(name) {
        return "there is no such setting: a function key never stands in a variable, but in a file \
                of its own that heartbeat.key_file names"
            .to_owned();
    }
    let bare = |name: &str| name.trim_start_matches(VARIABLE_PREFIX).to_owned();
    let known: Vec<String> = SETTINGS.iter().map(|setting| bare(&setting.variable())).collect();
    let advice = suggestion::nearest(&bare(name), known.iter().map(String::as_str)).map_or_else(
        || "`ispmon-agent config --sample` names all variables".to_owned(),
        |near| format!("did you mean {VARIABLE_PREFIX}{near}?"),
    );
    format!("there is no such setting; {advice}")
}

fn is_key(name: &str) -> bool {
    ["_KEY", "_FUNCTION_KEY", "_TOKEN", "_SECRET"].iter().any(|end| name.ends_with(end))
}

/// The folder of systemd's credentials for this service.
pub(super) fn credentials_folder(environment: &BTreeMap<OsString, OsString>) -> Option<&OsStr> {
    environment
        .get(OsStr::new("CREDENTIALS_DIRECTORY"))
        .map(OsString::as_os_str)
        .filter(|folder| !folder.is_empty())
}
