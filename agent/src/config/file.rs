//! The configuration file: TOML, at exactly one path.

mod content;

use std::path::{Path, PathBuf};

use super::{
    layer::{FileLayer, Layer},
    origin::SettingOrigin,
    problem::Problems,
    regular_file::{RegularFile, RegularFileError},
};
use crate::installation::Prefix;

/// The maximum size of a configuration file, in bytes. The sample with all its comments has a twentieth of
/// that.
const MAX_BYTES: u64 = 64 * 1024;

/// The configuration file of the service, except under Homebrew.
pub const SERVICE_CONFIG_FILE: &str = "/etc/ispmon/agent.toml";

/// The paths to try when `--config` does not name the file: first in the Homebrew prefix that this program
/// is installed in, then in the system's folder.
///
/// The prefix comes first because the formula's service uses that file, and commands must show what the
/// service uses. A program that Homebrew did not install reads no prefix: a prefix belongs to a user, whose
/// file could make a root service send that user data that only root may read.
pub fn default_paths(homebrew: Option<&Prefix>) -> Vec<PathBuf> {
    let own = homebrew.map(Prefix::config_file);
    own.into_iter().chain([PathBuf::from(SERVICE_CONFIG_FILE)]).collect()
}

/// Reads the file at `named`, which must exist, or otherwise the first of `defaults` that exists.
pub(super) fn read(
    named: Option<&Path>,
    defaults: &[PathBuf],
    problems: &mut Problems,
) -> Option<FileLayer> {
    let candidates = named.map_or_else(|| defaults.to_vec(), |path| vec![path.to_owned()]);
    for path in candidates {
        let opened = RegularFile::open(&path);
        if named.is_none() && matches!(opened, Err(RegularFileError::Absent)) {
            continue;
        }
        let is_public = opened.as_ref().is_ok_and(RegularFile::is_public);
        let layer = match opened.and_then(|file| file.read(MAX_BYTES)) {
            Ok(text) => content::layer(&path, &text, problems),
            // A file that exists but cannot be read is a problem: the user expects it to be used.
            Err(error) => {
                let sentence = format!("the configuration file cannot be used: {}", error.reason());
                problems.add(&SettingOrigin::file(&path), sentence);
                Layer::new()
            }
        };
        return Some(FileLayer { path, layer, is_public });
    }
    None
}

/// The settings of a text that is to become the file at `path`.
pub(super) fn of_text(path: &Path, text: &str, problems: &mut Problems) -> FileLayer {
    let layer = content::layer(path, text, problems);
    FileLayer { path: path.to_owned(), layer, is_public: false }
}
