//! One source of settings, as a figment provider.

use std::{collections::BTreeMap, path::PathBuf};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use super::{origin::SettingOrigin, table::SETTINGS};

/// A configuration file or `.env` that settings were read from.
pub(super) struct FileLayer {
    pub(super) path: PathBuf,
    pub(super) layer: Layer,
    /// Whether every user of the machine can read it.
    pub(super) is_public: bool,
}

/// The values of one source and the origin of each.
pub(super) struct Layer {
    name: &'static str,
    /// The origin of values without one of their own.
    whole: SettingOrigin,
    values: Dict,
    origins: BTreeMap<Vec<String>, SettingOrigin>,
}

impl Layer {
    /// An empty layer. Its name must be unique within one configuration.
    pub(super) fn new(name: &'static str, whole: SettingOrigin) -> Self {
        Self { name, whole, values: Dict::new(), origins: BTreeMap::new() }
    }

    /// The layer of the defaults in the table of settings.
    pub(super) fn defaults() -> Self {
        let mut layer = Self::new("defaults", SettingOrigin::Default);
        for setting in SETTINGS {
            layer.set(setting.key, setting.default.to_owned(), SettingOrigin::Default);
        }
        layer
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// All values, nested by section.
    pub(super) fn values(&self) -> &Dict {
        &self.values
    }

    /// Removes a top-level value or section.
    pub(super) fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// The texts of the settings that are set, in the order of the table.
    pub(super) fn texts(&self) -> Vec<(&'static str, String)> {
        let text = |key: &str| {
            let mut parts = key.split('.');
            let first = self.values.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.as_dict()?.get(part))?.as_str()
        };
        let set = |key| text(key).map(|text| (key, text.to_owned()));
        SETTINGS.iter().filter_map(|setting| set(setting.key)).collect()
    }

    /// Sets a setting by its dotted key.
    pub(super) fn set(&mut self, key: &str, value: String, origin: SettingOrigin) {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        insert(&mut self.values, &path, value.into());
        self.origins.insert(path, origin);
    }

    /// Sets a top-level value of a file, which may have any type.
    pub(super) fn set_at(&mut self, key: String, value: Value) {
        self.values.insert(key, value);
    }

    /// Records the origin of a key.
    pub(super) fn set_origin(&mut self, path: Vec<String>, origin: SettingOrigin) {
        self.origins.insert(path, origin);
    }

    /// The origin of a key.
    pub(super) fn origin(&self, path: &[String]) -> &SettingOrigin {
        self.origins.get(path).unwrap_or(&self.whole)
    }
}

fn insert(values: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            values.insert(last.clone(), value);
        }
        [section, rest @ ..] => {
            let entry = values.entry(section.clone()).or_insert_with(|| Dict::new().into());
            if let Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
