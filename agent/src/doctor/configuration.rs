//! Checks the configuration, and whether the agent, and no other user, can read its key.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;

use super::DoctorCheck;
use crate::config::{
    ConfigError, HeartbeatKind, Loaded, SERVICE_KEY_FILE, Settings, Sources, load, load_without_key,
};

const NAME: &str = "configuration";
const KEY: &str = "function key";

/// The configuration as this user can read it.
#[derive(Debug)]
pub enum Configuration {
    /// It is valid, and this user may read all of it.
    Valid(Box<Loaded>),
    /// It is valid as far as this user may read it, which is everything but the function key.
    WithoutKey(Box<Loaded>),
    /// It has problems.
    Refused(ConfigError),
}

impl Configuration {
    /// Reads the configuration.
    pub fn read(sources: &Sources) -> Self {
        match (load(sources), load_without_key(sources)) {
            (Ok(loaded), _) => Self::Valid(Box::new(loaded)),
            (Err(_), Ok(loaded)) => Self::WithoutKey(Box::new(loaded)),
            // Without problems of the key, which only the service needs to read.
            (Err(_), Err(error)) => Self::Refused(error),
        }
    }

    /// The settings, if they are valid.
    pub fn settings(&self) -> Option<&Settings> {
        match self {
            Self::Valid(loaded) | Self::WithoutKey(loaded) => Some(&loaded.settings),
            Self::Refused(_) => None,
        }
    }
}

/// State of the file that systemd passes to the service as its key. Every user can see this much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceKey {
    /// It does not exist.
    Absent,
    /// It is empty, which means no key.
    Empty,
    /// It has content that only its owner can read.
    Private,
    /// It was written after the service was started, which is when the service reads it.
    Changed,
    /// It has content that other users can read or replace, which systemd accepts.
    Open {
        /// Its mode.
        mode: u32,
    },
}

impl ServiceKey {
    /// Reads the file's metadata. `started` is when the running agent was started.
    pub(super) fn gather(path: &Path, started: Option<Timestamp>) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::Absent };
        let written = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        match metadata.permissions().mode() & 0o777 {
            _ if metadata.len() == 0 => Self::Empty,
            mode if mode & 0o077 != 0 => Self::Open { mode },
            _ if written.zip(started).is_some_and(|(written, started)| written > started) => {
                Self::Changed
            }
            _ => Self::Private,
        }
    }
}

pub(super) fn judge(configuration: &Configuration, service_key: ServiceKey) -> Vec<DoctorCheck> {
    let (loaded, may_read_key) = match configuration {
        Configuration::Valid(loaded) => (loaded, true),
        Configuration::WithoutKey(loaded) => (loaded, false),
        Configuration::Refused(error) => {
            let problem = |problem: &crate::config::ConfigProblem| {
                DoctorCheck::fail(NAME, problem.to_string())
                    .action("Correct it; `ispmon-agent config --sample` explains every setting.")
            };
            return error.problems().iter().map(problem).collect();
        }
    };
    let from = match &loaded.file {
        Some(file) => format!("{} is valid", file.display()),
        None => {
            "there is no configuration file; defaults, variables and flags are valid".to_owned()
        }
    };
    let mut checks =
        vec![DoctorCheck::pass(NAME, format!("{from}; the device is {}", loaded.settings.device))];
    // Each of these sentences includes the advice.
    checks.extend(loaded.warnings.iter().map(|warning| DoctorCheck::warn(NAME, warning)));
    checks.push(key(&loaded.settings, may_read_key, service_key));
    checks
}

fn key(settings: &Settings, may_read: bool, service_key: ServiceKey) -> DoctorCheck {
    let heartbeat = &settings.heartbeat;
    let file = heartbeat.key_file.as_deref();
    let place = file.map_or_else(|| "set".to_owned(), |file| file.display().to_string());
    match (heartbeat.kind, &heartbeat.key) {
        (HeartbeatKind::Plain, _) => DoctorCheck::skip(KEY, "plain heartbeats carry none"),
        (_, Some(_)) => DoctorCheck::pass(KEY, format!("{place}, which no other user may read")),
        (_, None) if !may_read => DoctorCheck::pass(
            KEY,
            format!("{place}, which this user may not read, as it should be"),
        ),
        (_, None) => key_of_service(service_key),
    }
}

fn key_of_service(key: ServiceKey) -> DoctorCheck {
    match key {
        ServiceKey::Absent => DoctorCheck::skip(
            KEY,
            "none is set here; a service may have one from its service manager (LoadCredential)",
        ),
        ServiceKey::Empty => {
            DoctorCheck::skip(KEY, format!("{SERVICE_KEY_FILE} is empty: the service sends none"))
        }
        ServiceKey::Private => DoctorCheck::pass(
            KEY,
            format!("the service gets it from {SERVICE_KEY_FILE}, which no other user may read"),
        ),
        ServiceKey::Changed => DoctorCheck::warn(
            KEY,
            format!("{SERVICE_KEY_FILE} was changed after the service started, and is read only at the start"),
        )
        .action("Restart the service, so that it reads the new key: sudo systemctl restart ispmon-agent."),
        ServiceKey::Open { mode } => {
            let detail =
                format!("{SERVICE_KEY_FILE} is open to other users (its mode is {mode:o})");
            DoctorCheck::fail(KEY, detail)
                .action(format!("Make it private: sudo chmod 600 {SERVICE_KEY_FILE}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use fs::Permissions;

    use super::*;
    use crate::doctor::tests::rows;

    #[test]
    fn the_service_key_must_exist_and_be_private() {
        let row = |key| rows(&[key_of_service(key)]);
        insta::assert_snapshot!(row(ServiceKey::Absent), @"SKIP function key: none is set here; a service may have one from its service manager (LoadCredential)");
        insta::assert_snapshot!(row(ServiceKey::Empty), @"SKIP function key: /etc/ispmon/heartbeat.key is empty: the service sends none");
        insta::assert_snapshot!(row(ServiceKey::Private), @"PASS function key: the service gets it from /etc/ispmon/heartbeat.key, which no other user may read");
        insta::assert_snapshot!(row(ServiceKey::Changed), @"WARN function key: /etc/ispmon/heartbeat.key was changed after the service started, and is read only at the start → Restart the service, so that it reads the new key: sudo systemctl restart ispmon-agent.");
        insta::assert_snapshot!(row(ServiceKey::Open { mode: 0o644 }), @"FAIL function key: /etc/ispmon/heartbeat.key is open to other users (its mode is 644) → Make it private: sudo chmod 600 /etc/ispmon/heartbeat.key.");
    }

    #[test]
    fn the_service_key_is_judged_by_its_metadata() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("heartbeat.key");
        assert_eq!(ServiceKey::gather(&path, None), ServiceKey::Absent);
        fs::write(&path, "").expect("it is written");
        assert_eq!(ServiceKey::gather(&path, None), ServiceKey::Empty);
        fs::write(&path, "key").expect("it is written");
        for (mode, expected) in
            [(0o000, ServiceKey::Private), (0o640, ServiceKey::Open { mode: 0o640 })]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(ServiceKey::gather(&path, None), expected);
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let written = Timestamp::try_from(written.expect("a time")).expect("one of today");
        let hour = jiff::SignedDuration::from_hours(1);
        let [before, after] = [written - hour, written + hour];
        assert_eq!(ServiceKey::gather(&path, Some(before)), ServiceKey::Changed);
        assert_eq!(ServiceKey::gather(&path, Some(after)), ServiceKey::Private);
    }
}
