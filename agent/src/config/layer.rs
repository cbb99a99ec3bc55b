//! The layers of settings. figment merges them, and each value carries its origin through the merge.

use std::{collections::BTreeMap, path::PathBuf};

use figment::{Figment, providers::Serialized};

use super::{origin::SettingOrigin, problem::Problems, table::SETTINGS};

/// The values of one source, by the keys of their settings.
pub(super) type Layer = BTreeMap<&'static str, LayerValue>;

/// The text of a setting, or what is wrong with its type, and the origin of either.
///
/// figment sees a tuple as an array, which it replaces as a whole; it would merge two structs field by field.
type LayerValue = (Result<String, String>, SettingOrigin);

/// A configuration file or `.env` that settings were read from.
pub(super) struct FileLayer {
    pub(super) path: PathBuf,
    pub(super) layer: Layer,
    /// Whether every user of the machine can read it.
    pub(super) is_public: bool,
}

/// The text of a setting and its origin.
#[derive(Clone)]
pub(super) struct GivenValue {
    pub(super) text: String,
    pub(super) origin: SettingOrigin,
}

/// The layer of the defaults in the table of settings.
pub(super) fn defaults() -> Layer {
    let value = |text: &str| (Ok(text.to_owned()), SettingOrigin::Default);
    SETTINGS.iter().map(|setting| (setting.key, value(setting.default))).collect()
}

/// The text of every setting; later layers override earlier ones. A value of the wrong type is a problem
/// and left out.
pub(super) fn merge(
    layers: impl IntoIterator<Item = Layer>,
    problems: &mut Problems,
) -> BTreeMap<String, GivenValue> {
    let merged = layers
        .into_iter()
        .fold(Figment::new(), |merged, layer| merged.merge(Serialized::defaults(layer)))
        .extract::<BTreeMap<String, LayerValue>>();
    let values = merged.unwrap_or_else(|error| {
        problems.add(&SettingOrigin::Default, error);
        BTreeMap::new()
    });
    let mut given = BTreeMap::new();
    for (key, (text, origin)) in values {
        match text {
            Ok(text) => {
                given.insert(key, GivenValue { text, origin });
            }
            Err(sentence) => problems.add(&origin, sentence),
        }
    }
    given
}
