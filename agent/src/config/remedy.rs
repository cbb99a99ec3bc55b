//! What a user can do about a file that the service may not read, with the exact command.

use std::path::Path;

use super::key_place::KeyPlace;
use crate::file_access::{PathPart, SystemAccount};

/// What the service's user may not read, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRefusal {
    /// The refusal, with the file or folder and its mode, as the end of a sentence.
    pub finding: String,
    /// The remedy: a sentence.
    pub action: String,
}

impl ReadRefusal {
    pub(super) fn new(refusing: &PathPart, account: &SystemAccount, remedy: String) -> Self {
        let PathPart { path, mode, .. } = refusing;
        let what = if refusing.is_folder { "enter the folder" } else { "read" };
        let finding = format!(
            "the user {}, which the service runs as, may not {what} {} (its mode is {mode:o})",
            account.name,
            path.display()
        );
        let mut action = remedy;
        if let Some(first) = action.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        action.push('.');
        Self { finding, action }
    }
}

/// The remedy for a configuration file that `account` may not read because of `refusing`, as the end of a
/// sentence about that user. `service_folder` is the folder of the service's configuration.
pub(super) fn for_configuration(
    refusing: Option<&PathPart>,
    account: &SystemAccount,
    service_folder: Option<&Path>,
) -> String {
    match refusing {
        Some(folder) if folder.is_folder => {
            enter(folder, service_folder).unwrap_or_else(|| move_it(service_folder))
        }
        Some(file) => {
            let (group, path) = (&account.group, file.path.display());
            format!("allow it with: sudo chgrp {group} {path} && sudo chmod 640 {path}")
        }
        None => "make it readable for that user".to_owned(),
    }
}

/// The remedy for a key file, like [`for_configuration`]. Other users must not be able to read the key, so
/// the file has to belong to the service's user, unless systemd hands it over.
pub(super) fn for_key(
    refusing: Option<&PathPart>,
    account: &SystemAccount,
    place: &KeyPlace,
    service_folder: Option<&Path>,
) -> String {
    let instead = match place {
        KeyPlace::HandedOver(_) => {
            Some(format!("leave out heartbeat.key_file and write the key {place}"))
        }
        KeyPlace::Beside(_) | KeyPlace::Anywhere => None,
    };
    match refusing {
        Some(folder) if folder.is_folder => enter(folder, service_folder)
            .or(instead)
            .unwrap_or_else(|| "move it to a folder that this user may enter".to_owned()),
        Some(file) => {
            let own = format!("allow it with: sudo chown {} {}", account.name, file.path.display());
            instead.map_or_else(|| own.clone(), |instead| format!("{own} – or {instead}"))
        }
        None => instead.unwrap_or_else(|| "make it readable for that user alone".to_owned()),
    }
}

/// The command that lets everybody enter the service's folder, if that is the one that refuses. Other
/// folders are not ispmon's, and may be private for a reason.
fn enter(folder: &PathPart, service_folder: Option<&Path>) -> Option<String> {
    let is_own = service_folder == Some(folder.path.as_path());
    is_own.then(|| format!("allow it with: sudo chmod a+x {}", folder.path.display()))
}

fn move_it(service_folder: Option<&Path>) -> String {
    match service_folder {
        Some(folder) => format!("move the file to {}", folder.display()),
        None => "move the file to a folder that this user may enter".to_owned(),
    }
}
