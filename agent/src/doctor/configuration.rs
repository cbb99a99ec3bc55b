//! Is the configuration valid, and may the agent read its key?

use super::Check;
use crate::config::{
    ConfigError, HeartbeatKind, Loaded, Settings, Sources, load, load_without_key,
};

const NAME: &str = "configuration";
const KEY: &str = "function key";

/// The configuration as this user finds it.
#[derive(Debug)]
pub enum Configuration {
    /// It is valid, and this user may read all of it.
    Valid(Box<Loaded>),
    /// It is valid as far as this user may read it, which is all but the function key.
    WithoutKey(Box<Loaded>),
    /// It has problems.
    Refused(ConfigError),
}

impl Configuration {
    /// Reads it.
    pub fn read(sources: &Sources) -> Self {
        match (load(sources), load_without_key(sources)) {
            (Ok(loaded), _) => Self::Valid(Box::new(loaded)),
            (Err(_), Ok(loaded)) => Self::WithoutKey(Box::new(loaded)),
            // Without the key among them, which is nobody's problem but the service's.
            (Err(_), Err(error)) => Self::Refused(error),
        }
    }

    /// The settings, when they are valid.
    pub fn settings(&self) -> Option<&Settings> {
        match self {
            Self::Valid(loaded) | Self::WithoutKey(loaded) => Some(&loaded.settings),
            Self::Refused(_) => None,
        }
    }
}

pub(super) fn judge(configuration: &Configuration) -> Vec<Check> {
    let (loaded, may_read_key) = match configuration {
        Configuration::Valid(loaded) => (loaded, true),
        Configuration::WithoutKey(loaded) => (loaded, false),
        Configuration::Refused(error) => {
            let problem = |problem: &crate::config::Problem| {
                Check::fail(NAME, problem.to_string())
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
        vec![Check::pass(NAME, format!("{from}; the device is {}", loaded.settings.device))];
    // Each of these sentences says what to do.
    checks.extend(loaded.warnings.iter().map(|warning| Check::warn(NAME, warning)));
    checks.push(key(&loaded.settings, may_read_key));
    checks
}

fn key(settings: &Settings, may_read: bool) -> Check {
    let heartbeat = &settings.heartbeat;
    let file = heartbeat.key_file.as_deref();
    let place = file.map_or_else(|| "set".to_owned(), |file| file.display().to_string());
    match (heartbeat.kind, &heartbeat.key) {
        (HeartbeatKind::Plain, _) => Check::skip(KEY, "plain heartbeats carry none"),
        (_, Some(_)) => Check::pass(KEY, format!("{place}, which no other user may read")),
        (_, None) if !may_read => {
            Check::pass(KEY, format!("{place}, which this user may not read, as it should be"))
        }
        (_, None) => Check::skip(
            KEY,
            "none is set here; a service may have one from its service manager (LoadCredential)",
        ),
    }
}
