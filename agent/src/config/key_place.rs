//! Where the function key of a configuration belongs, which depends on who reads the configuration.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::Sources;
use crate::installation::Prefix;

/// Where a function key belongs. Displays as advice, the continuation of "write the key …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyPlace {
    /// In this file, which systemd hands over to the service. The service itself need not be able to read
    /// it.
    HandedOver(PathBuf),
    /// In this file beside the configuration of a service, which the configuration names.
    Beside(PathBuf),
    /// In a file of the user's choice, which the configuration names.
    Anywhere,
}

impl KeyPlace {
    /// The place for the key of the configuration file `file`.
    pub(super) fn of(file: &Path, sources: &Sources) -> Self {
        if is_of_service(file, sources) {
            let key = sources.service_key.clone();
            // launchd passes no files to its services.
            if cfg!(target_os = "macos") { Self::Beside(key) } else { Self::HandedOver(key) }
        } else if sources
            .homebrew
            .as_ref()
            .is_some_and(|prefix| Prefix::config_file(prefix) == file)
        {
            Self::Beside(file.with_file_name("heartbeat.key"))
        } else {
            Self::Anywhere
        }
    }

    /// Whether systemd hands over this file.
    pub(super) fn is_handed_over(&self, file: &Path) -> bool {
        matches!(self, Self::HandedOver(key) if key == file)
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandedOver(file) => {
                write!(formatter, "to {}, which systemd hands over to the service", file.display())
            }
            Self::Beside(file) => write!(
                formatter,
                "to {}, make it private with chmod 600, and name it in heartbeat.key_file",
                file.display()
            ),
            Self::Anywhere => formatter.write_str(
                "to a file, make it private with chmod 600, and name the file in heartbeat.key_file",
            ),
        }
    }
}

/// Whether a configuration file is the service's, which is in the same folder as its key.
pub(super) fn is_of_service(path: &Path, sources: &Sources) -> bool {
    path.parent() == sources.service_key.parent()
}
