//! Checks environment variables that are no settings of the agent but affect it: the trusted certificate
//! authorities and the time zone.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::Path,
};

use super::{SettingsCheck, quoted};
use crate::{clock, tls};

impl SettingsCheck<'_> {
    /// Warns of variables whose certificates or time zone cannot be used.
    pub(super) fn check_environment(&mut self, environment: &BTreeMap<OsString, OsString>) {
        let variable =
            |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
        // macOS verifies certificates without these variables.
        if !cfg!(target_os = "macos") {
            if let Some(file) = variable(tls::ROOTS_FILE_VARIABLE) {
                let path = Path::new(file);
                self.warn_without_roots(
                    tls::ROOTS_FILE_VARIABLE,
                    path,
                    tls::count_roots_in_file(path),
                );
            }
            for path in variable(tls::ROOTS_FOLDERS_VARIABLE).iter().flat_map(env::split_paths) {
                let count = tls::count_roots_in_folder(&path);
                self.warn_without_roots(tls::ROOTS_FOLDERS_VARIABLE, &path, count);
            }
        }
        if let Some(zone) = variable("TZ").filter(|zone| !clock::is_known_zone(zone)) {
            self.warnings.push(format!(
                "TZ is {}, which is no time zone that is known here, so times are shown in UTC; it \
                 takes one like Europe/Berlin (package tzdata) or CET-1CEST,M3.5.0,M10.5.0/3.",
                quoted(&zone.to_string_lossy())
            ));
        }
    }

    fn warn_without_roots(&mut self, variable: &str, path: &Path, count: std::io::Result<usize>) {
        let what = match count {
            Ok(1..) => return,
            Ok(0) => "holds no certificate".to_owned(),
            Err(error) => format!("cannot be read ({error})"),
        };
        self.warnings.push(format!(
            "{variable} names {}, which {what}: it adds no trusted certificates. Correct it, or \
             remove it from the agent's environment.",
            quoted(&path.to_string_lossy())
        ));
    }
}
