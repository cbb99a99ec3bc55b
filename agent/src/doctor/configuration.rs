//! Checks the configuration, and whether the agent, and no other user, can read its key.

use std::{fs, io::Read, os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;

use super::DoctorCheck;
use crate::{
    config::{
        ConfigError, HeartbeatKind, Loaded, ReadRefusal, SERVICE_CONFIG_FILE, SERVICE_KEY_FILE,
        Settings, Sources, are_of_service, load, load_without_key, refusal_of_configuration,
        refusal_of_key,
    },
    file_access::SystemAccount,
    installation::SERVICE_USER,
    unit::UnitState,
};

const NAME: &str = "configuration";
const KEY: &str = "function key";
/// More than any key file that the agent accepts.
const MAX_KEY_BYTES: u64 = 64 * 1024;

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

/// What the user that the service runs as may not read, as far as root can judge it by modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRights {
    configuration: Option<ReadRefusal>,
    key: Option<ReadRefusal>,
}

impl ServiceRights {
    /// Judges the rights of the service's user, if this user is root and the configuration is the service's.
    /// `unit` names another user than the usual one.
    pub fn gather(
        sources: &Sources,
        configuration: &Configuration,
        unit: Option<&UnitState>,
    ) -> Self {
        let user = unit.filter(|unit| unit.load == "loaded");
        let user = user.map_or(SERVICE_USER, |unit| unit.user.as_str());
        // Others may not look into every folder. A service without a user runs as root.
        if sources.user != 0 || user.is_empty() || !are_of_service(sources) {
            return Self::default();
        }
        // systemd reports a missing user.
        let Some(account) = SystemAccount::named(user) else { return Self::default() };
        Self {
            configuration: refusal_of_configuration(sources, &account),
            key: configuration
                .settings()
                .and_then(|settings| refusal_of_key(sources, settings, &account)),
        }
    }
}

/// The key as systemd has handed it over to the running service. Only root can read it.
pub(super) const SERVICE_CREDENTIAL: &str = "/run/credentials/ispmon-agent.service/heartbeat-key";

/// State of the file that systemd passes to the service as its key. Every user can see this much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceKey {
    /// It does not exist.
    Absent,
    /// It is no file, so systemd can pass no key.
    NotRegular,
    /// It is empty, which means no key.
    Empty,
    /// It has content that only its owner can read.
    Private,
    /// It has another content than at the start of the service, which is when systemd passes it.
    Changed,
    /// It has content that other users can read or replace, which systemd accepts.
    Open {
        /// Its mode.
        mode: u32,
    },
}

impl ServiceKey {
    /// Reads the metadata of the file at `path`, and for root compares its content with `credential`, which
    /// systemd has made of it. `started` is when the running agent was started.
    pub(super) fn gather(path: &Path, credential: &Path, started: Option<Timestamp>) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::Absent };
        if !metadata.is_file() {
            return Self::NotRegular;
        }
        let written = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let is_newer = written.zip(started).is_some_and(|(written, started)| written > started);
        let differs = started.and_then(|_| differs(path, credential));
        // Without a key in it, systemd may be set to load another file.
        let holds_key = metadata.len() > 1;
        match metadata.permissions().mode() & 0o777 {
            mode if metadata.len() > 0 && mode & 0o077 != 0 => Self::Open { mode },
            _ if differs.map_or(is_newer, |differs| differs && (holds_key || is_newer)) => {
                Self::Changed
            }
            _ if metadata.len() == 0 => Self::Empty,
            _ => Self::Private,
        }
    }

    /// Whether the service needs a remedy even if this user can read a key.
    fn has_fault(self) -> bool {
        matches!(self, Self::NotRegular | Self::Changed | Self::Open { .. })
    }
}

/// Whether the keys in two files differ; `None` if this user may not read both.
fn differs(one: &Path, other: &Path) -> Option<bool> {
    let read = |path| {
        let mut text = String::new();
        fs::File::open(path).ok()?.take(MAX_KEY_BYTES).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    };
    Some(read(one)? != read(other)?)
}

pub(super) fn judge(
    configuration: &Configuration,
    rights: &ServiceRights,
    service_key: ServiceKey,
) -> Vec<DoctorCheck> {
    let refused = |name, refusal: &ReadRefusal| {
        DoctorCheck::fail(name, refusal.finding.clone()).action(refusal.action.clone())
    };
    let refusal = rights.configuration.as_ref().map(|refusal| refused(NAME, refusal));
    let (loaded, may_read_key) = match configuration {
        Configuration::Valid(loaded) => (loaded, true),
        Configuration::WithoutKey(loaded) => (loaded, false),
        Configuration::Refused(error) => {
            let problem = |problem: &crate::config::ConfigProblem| {
                if problem.is_forbidden() {
                    return DoctorCheck::skip(NAME, problem.to_string());
                }
                DoctorCheck::fail(NAME, problem.to_string())
                    .action("Correct it; `ispmon-agent config --sample` explains every setting.")
            };
            return error.problems().iter().map(problem).chain(refusal).collect();
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
    checks.extend(refusal);
    // Each of these sentences includes the advice.
    checks.extend(loaded.warnings.iter().map(|warning| DoctorCheck::warn(NAME, warning)));
    checks.push(match &rights.key {
        Some(refusal) => refused(KEY, refusal),
        None => key(loaded, may_read_key, service_key),
    });
    checks
}

fn key(loaded: &Loaded, may_read: bool, service_key: ServiceKey) -> DoctorCheck {
    let heartbeat = &loaded.settings.heartbeat;
    let file = heartbeat.key_file.as_deref();
    let place = file.map_or_else(|| "set".to_owned(), |file| file.display().to_string());
    let is_handed_over = !cfg!(target_os = "macos")
        && loaded.file.as_deref() == Some(Path::new(SERVICE_CONFIG_FILE))
        && file.is_none_or(|file| file == Path::new(SERVICE_KEY_FILE));
    match (heartbeat.kind, &heartbeat.key) {
        (HeartbeatKind::Plain, _) => DoctorCheck::skip(KEY, "plain heartbeats carry none"),
        _ if is_handed_over && service_key.has_fault() => key_of_service(service_key),
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
        ServiceKey::NotRegular => DoctorCheck::fail(
            KEY,
            format!("{SERVICE_KEY_FILE} is not a regular file, so systemd can pass no key to the service"),
        )
        .action(format!(
            "Move it away: sudo mv {SERVICE_KEY_FILE} {SERVICE_KEY_FILE}.old. Then write the key to a file of that \
             name: sudo install -m 600 /dev/null {SERVICE_KEY_FILE}."
        )),
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
    use std::collections::BTreeMap;

    use fs::Permissions;

    use super::*;
    use crate::{config::Flags, doctor::tests::rows};

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
        let credential = folder.path().join("credential");
        let gather = |started| ServiceKey::gather(&path, &credential, started);
        assert_eq!(gather(None), ServiceKey::Absent);
        fs::write(&path, "").expect("it is written");
        assert_eq!(gather(None), ServiceKey::Empty);
        fs::write(&path, "key").expect("it is written");
        for (mode, expected) in
            [(0o000, ServiceKey::Private), (0o640, ServiceKey::Open { mode: 0o640 })]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(gather(None), expected);
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let written = Timestamp::try_from(written.expect("a time")).expect("one of today");
        let hour = jiff::SignedDuration::from_hours(1);
        let [before, after] = [written - hour, written + hour];
        assert_eq!(gather(Some(before)), ServiceKey::Changed);
        assert_eq!(gather(Some(after)), ServiceKey::Private);
    }

    #[test]
    fn root_compares_the_key_with_the_one_that_the_service_uses() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, credential] =
            ["heartbeat.key", "credential"].map(|name| folder.path().join(name));
        let write = |path: &Path, text: &str| {
            fs::write(path, text).expect("it is written");
            fs::set_permissions(path, Permissions::from_mode(0o600)).expect("it is ours");
        };
        let hour = jiff::SignedDuration::from_hours(1);
        let gather = |is_newer| {
            let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let written = Timestamp::try_from(written.expect("a time")).expect("one of today");
            let started = if is_newer { written - hour } else { written + hour };
            ServiceKey::gather(&path, &credential, Some(started))
        };
        write(&credential, "key\n");
        for (text, is_newer, expected) in [
            ("key\n", false, ServiceKey::Private),
            ("key", true, ServiceKey::Private),
            ("another\n", true, ServiceKey::Changed),
            ("another\n", false, ServiceKey::Changed),
            ("", true, ServiceKey::Changed),
            ("", false, ServiceKey::Empty),
        ] {
            write(&path, text);
            assert_eq!(gather(is_newer), expected, "{text:?} {is_newer}");
        }
        write(&path, "another\n");
        assert_eq!(
            ServiceKey::gather(&path, &credential, None),
            ServiceKey::Private,
            "not running"
        );
        fs::remove_file(&path).expect("it is ours");
        fs::create_dir(&path).expect("a folder");
        assert_eq!(ServiceKey::gather(&path, &credential, None), ServiceKey::NotRegular);
    }

    /// The service's configuration, with a key that this user can read.
    fn loaded(key_file: Option<&str>) -> Configuration {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        fs::write(&key, "key\n").expect("it is written");
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("it is ours");
        let text = format!(
            "heartbeat.url = \"https://dl.example/\"\nheartbeat.key_file = \"{}\"\n",
            key.display()
        );
        fs::write(folder.path().join("agent.toml"), text).expect("it is written");
        let file = Some(folder.path().join("agent.toml"));
        let sources = Sources::of_this_process(file, Flags::default()).expect("a folder");
        let sources = Sources { environment: BTreeMap::new(), ..sources };
        let mut loaded = load(&sources).expect("it is valid");
        loaded.settings.device = "dl-home".to_owned();
        loaded.file = Some(SERVICE_CONFIG_FILE.into());
        loaded.warnings.clear();
        loaded.settings.heartbeat.key_file = key_file.map(Into::into);
        Configuration::Valid(Box::new(loaded))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_key_that_systemd_hands_over_is_judged_even_if_this_user_can_read_it() {
        let row = |key_file, service_key| {
            let none = ServiceRights::default();
            rows(&judge(&loaded(key_file), &none, service_key)[1..])
        };
        for key_file in [None, Some(SERVICE_KEY_FILE)] {
            let changed = row(key_file, ServiceKey::Changed);
            assert_eq!(changed, rows(&[key_of_service(ServiceKey::Changed)]));
            assert!(changed.ends_with("sudo systemctl restart ispmon-agent."), "{changed}");
            assert!(row(key_file, ServiceKey::Private).starts_with("PASS function key: "));
        }
    }

    #[test]
    fn a_key_file_that_the_service_reads_itself_may_change() {
        let (loaded, none) = (loaded(Some("/etc/ispmon/my.key")), ServiceRights::default());
        let row = rows(&judge(&loaded, &none, ServiceKey::Changed)[1..]);
        assert_eq!(row, "PASS function key: /etc/ispmon/my.key, which no other user may read");
    }

    // launchd hands over no key, so that the advice is another one.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_services_user_may_not_read_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let at = folder.path().canonicalize().expect("it exists");
        let write = |name: &str, mode| {
            let path = at.join(name);
            fs::write(&path, "").expect("it is written");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            path
        };
        let (agent, key) = (write("agent.toml", 0o600), write("my.key", 0o600));
        let sources = Sources {
            default_files: vec![agent.clone()],
            service_key: at.join("heartbeat.key"),
            ..Sources::of_this_process(None, Flags::default()).expect("a folder")
        };
        let ispmon = ["ispmon"; 2].map(str::to_owned);
        let [name, group] = ispmon;
        let account = SystemAccount {
            name,
            group,
            rights: crate::file_access::UserRights { uid: 4_000_000, groups: vec![4_000_000] },
        };
        let judged = |key_file: &Path| {
            let configuration = loaded(key_file.to_str());
            let settings = configuration.settings().expect("it is valid");
            let rights = ServiceRights {
                configuration: refusal_of_configuration(&sources, &account),
                key: refusal_of_key(&sources, settings, &account),
            };
            let checks = judge(&configuration, &rights, ServiceKey::Private);
            rows(&checks).replace(&at.display().to_string(), "[folder]")
        };
        insta::assert_snapshot!(judged(&key), @"
        PASS configuration: /etc/ispmon/agent.toml is valid; the device is dl-home
        FAIL configuration: the user ispmon, which the service runs as, may not read [folder]/agent.toml (its mode is 600) → Allow it with: sudo chgrp ispmon [folder]/agent.toml && sudo chmod 640 [folder]/agent.toml.
        FAIL function key: the user ispmon, which the service runs as, may not read [folder]/my.key (its mode is 600) → Allow it with: sudo chown ispmon [folder]/my.key – or leave out heartbeat.key_file and write the key to [folder]/heartbeat.key, which systemd hands over to the service.
        ");
        fs::set_permissions(&agent, Permissions::from_mode(0o644)).expect("it is ours");
        fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("it is ours");
        assert!(!judged(&key).contains("FAIL"), "{}", judged(&key));
        fs::set_permissions(&at, Permissions::from_mode(0o700)).expect("it is ours");
        insta::assert_snapshot!(judged(&at.join("heartbeat.key")), @"
        PASS configuration: /etc/ispmon/agent.toml is valid; the device is dl-home
        FAIL configuration: the user ispmon, which the service runs as, may not enter the folder [folder] (its mode is 700) → Allow it with: sudo chmod a+x [folder].
        PASS function key: [folder]/heartbeat.key, which no other user may read
        ");
        let elsewhere =
            Sources { service_key: "/etc/ispmon/heartbeat.key".into(), ..sources.clone() };
        assert_eq!(refusal_of_configuration(&elsewhere, &account), None, "not the service's");
    }
}
