//! The configuration file: TOML, at exactly one path.

mod content;

use std::path::{Path, PathBuf};

use super::{
    Reader, Sources,
    key_place::{KeyPlace, is_of_service},
    layer::{FileLayer, Layer},
    origin::SettingOrigin,
    problem::Problems,
    regular_file::{RegularFile, RegularFileError, may_not},
    remedy,
};
use crate::{file_access::SystemAccount, installation::Prefix};

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

/// Reads the file that `--config` names, which must exist, or otherwise the first default that exists.
pub(super) fn read(sources: &Sources, problems: &mut Problems) -> Option<FileLayer> {
    let is_named = sources.config_file.is_some();
    for path in candidates(sources) {
        let opened = RegularFile::open(&path);
        if !is_named && matches!(opened, Err(RegularFileError::Absent)) {
            continue;
        }
        let is_public = opened.as_ref().is_ok_and(RegularFile::is_public);
        let layer = match opened.and_then(|file| file.read(MAX_BYTES)) {
            Ok(text) => content::layer(&path, &text, &KeyPlace::of(&path, sources), problems),
            // A file that exists but cannot be read is a problem: the user expects it to be used. So is a
            // link to a missing file.
            Err(error) => {
                let sentence =
                    format!("the configuration file cannot be used: {}", reason(&error, sources));
                problems.add_unreadable(
                    &SettingOrigin::file(&path),
                    sentence,
                    is_forbidden(&error, sources),
                );
                Layer::new()
            }
        };
        return Some(FileLayer { path, layer, is_public });
    }
    None
}

/// The paths to try, the first one first.
fn candidates(sources: &Sources) -> Vec<PathBuf> {
    let named = sources.config_file.as_deref().map(|path| sources.folder.join(path));
    named.map_or_else(|| sources.default_files.clone(), |path| vec![path])
}

/// The configuration file of the service, if these sources refer to that one, whether or not it can be read.
pub(super) fn of_service(sources: &Sources) -> Option<PathBuf> {
    let mut candidates = candidates(sources).into_iter();
    let path = candidates.find(|path| path.symlink_metadata().is_ok())?;
    is_of_service(&path, sources).then_some(path)
}

fn is_forbidden(error: &RegularFileError, sources: &Sources) -> bool {
    sources.reader == Reader::Command && matches!(error, RegularFileError::Forbidden(_))
}

/// Why the file cannot be used. For the service, which nobody can run with sudo, with the command that lets
/// it read the file.
fn reason(error: &RegularFileError, sources: &Sources) -> String {
    match error {
        RegularFileError::Forbidden(refusing) if sources.reader == Reader::Service => {
            let account = SystemAccount::of_this_process();
            let who = format!("the user {}, which the agent runs as,", account.name);
            let refusing = refusing.as_deref();
            let remedy =
                remedy::for_configuration(refusing, &account, sources.service_key.parent());
            format!("{}; {remedy}", may_not(refusing, &who))
        }
        _ => error.reason(),
    }
}

/// The settings of a text that is to become the file at `path`.
pub(super) fn of_text(
    path: &Path,
    text: &str,
    sources: &Sources,
    problems: &mut Problems,
) -> FileLayer {
    let layer = content::layer(path, text, &KeyPlace::of(path, sources), problems);
    FileLayer { path: path.to_owned(), layer, is_public: false }
}
