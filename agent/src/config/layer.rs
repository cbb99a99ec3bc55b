//! One source of settings, as figment merges it.

use std::{collections::BTreeMap, path::PathBuf};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use super::{origin::SettingOrigin, table::SETTINGS};

/// A file that settings were read from.
pub(super) struct FileLayer {
    pub(super) path: PathBuf,
    pub(super) layer: Layer,
    /// Whether every user of the machine can read it.
    pub(super) is_public: bool,
}

/// The values of one source and the place of each.
pub(super) struct Layer {
    name: &'static str,
    /// The place of what has none of its own.
    whole: SettingOrigin,
    values: Dict,
    places: BTreeMap<Vec<String>, SettingOrigin>,
}

impl Layer {
    /// An empty layer. The name tells the layers of one configuration apart.
    pub(super) fn new(name: &'static str, whole: SettingOrigin) -> Self {
        Self { name, whole, values: Dict::new(), places: BTreeMap::new() }
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

    /// All values, as they are nested.
    pub(super) fn values(&self) -> &Dict {
        &self.values
    }

    /// Takes a value or section of the root away.
    pub(super) fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// The texts that settings are set to, in the order of the table.
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
        self.places.insert(path, origin);
    }

    /// Sets a value as it stands in a file, where anything may stand at any key.
    pub(super) fn set_at(&mut self, key: String, value: Value) {
        self.values.insert(key, value);
    }

    /// Notes the place of a key.
    pub(super) fn note(&mut self, path: Vec<String>, origin: SettingOrigin) {
        self.places.insert(path, origin);
    }

    /// The place of a key.
    pub(super) fn origin(&self, path: &[String]) -> &SettingOrigin {
        self.places.get(path).unwrap_or(&self.whole)
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
