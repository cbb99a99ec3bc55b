//! Checking the merged texts, alone and against each other, and making settings of them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use reqwest::Url;

use super::{
    Effective, Sources, duration, host_name, key, located,
    merge::Given,
    origin::Origin,
    problem::{Problems, quoted},
    settings::{
        FunctionKey, HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl, LogSettings,
        Settings,
    },
    table::{Kind, SETTINGS, Setting},
    url,
};

/// The merged texts, and what is found while they are checked.
pub(super) struct Check<'a> {
    pub(super) given: BTreeMap<&'static str, Given>,
    pub(super) problems: &'a mut Problems,
    pub(super) warnings: &'a mut Vec<String>,
}

/// A key together with where it was read from.
struct FoundKey {
    key: FunctionKey,
    origin: Origin,
}

impl Check<'_> {
    /// Makes settings of the texts. They are of use only when no problem was added: a wrong value
    /// is replaced by the default, so that the checks behind it still happen.
    ///
    /// `public_file` is the configuration file when every user of the machine can read it.
    pub(super) fn settings(
        &mut self,
        sources: &Sources,
        public_file: Option<&Path>,
    ) -> (Settings, Vec<Effective>) {
        let (device, device_origin) = self.device(sources);
        let kind = match self.choice("heartbeat.kind") {
            "plain" => HeartbeatKind::Plain,
            _ => HeartbeatKind::Ispmon,
        };
        let method = match self.choice("heartbeat.method") {
            "POST" => HeartbeatMethod::Post,
            _ => HeartbeatMethod::Get,
        };
        let url = self.url();
        let key_file = self.key_file(sources);
        let key = self.key(kind, url.as_ref(), key_file.as_deref(), sources);
        if let Some(url) = &url {
            self.judge_address(kind, url, key.as_ref(), public_file);
        }
        let interval = self.duration("heartbeat.interval");
        let (backoff_base, backoff_cap) = self.backoff(interval);
        let settings = Settings {
            device,
            heartbeat: HeartbeatSettings {
                kind,
                url: url.map(|url| HeartbeatUrl::new(url, kind == HeartbeatKind::Plain)),
                method,
                key: key.as_ref().map(|found| found.key.clone()),
                key_file,
                interval,
                timeout: self.duration("heartbeat.timeout"),
                backoff_base,
                backoff_cap,
                quiet_after_stop: self.duration("heartbeat.quiet_after_stop"),
            },
            log: LogSettings {
                level: match self.choice("log.level") {
                    "error" => tracing::Level::ERROR,
                    "warn" => tracing::Level::WARN,
                    "debug" => tracing::Level::DEBUG,
                    "trace" => tracing::Level::TRACE,
                    _ => tracing::Level::INFO,
                },
            },
        };
        let effective = self.effective(&settings, &device_origin, key.as_ref());
        (settings, effective)
    }

    /// The text of a setting, trimmed, and its place; nothing when it is not set.
    fn text(&self, key: &str) -> Option<Given> {
        let given = self.given.get(key)?;
        let text = given.text.trim().to_owned();
        let is_set = !text.is_empty() || !Setting::find(key).is_some_and(Setting::is_optional);
        is_set.then(|| Given { text, origin: given.origin.clone() })
    }

    /// Adds the problem that a value is none that its setting takes.
    fn refuse(&mut self, key: &str, given: &Given, what: &str) {
        let Some(setting) = Setting::find(key) else { return };
        let sentence =
            format!("{key} is {}, {what}; it takes {}", quoted(&given.text), setting.kind);
        self.problems.add(&given.origin, sentence);
    }

    fn duration(&mut self, key: &'static str) -> Duration {
        let Some(&Setting { default, kind: Kind::Duration(least, most), .. }) = Setting::find(key)
        else {
            unreachable!("{key} is a duration in the table of settings")
        };
        let default = duration::parse(default).unwrap_or(least);
        let Some(given) = self.text(key) else { return default };
        match duration::parse(&given.text) {
            Some(value) if value < least => self.refuse(key, &given, "which is too short"),
            Some(value) if value > most => self.refuse(key, &given, "which is too long"),
            Some(value) => return value,
            None => self.refuse(
                key,
                &given,
                "which is no duration such as \"90s\", \"5 min\" or a number of seconds",
            ),
        }
        default
    }

    fn choice(&mut self, key: &'static str) -> &'static str {
        let Some(&Setting { default, kind: Kind::Choice(words), .. }) = Setting::find(key) else {
            unreachable!("{key} is a choice in the table of settings")
        };
        let Some(given) = self.text(key) else { return default };
        if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(&given.text)) {
            return word;
        }
        self.refuse(key, &given, "which is none of the words that it can be");
        default
    }

    fn device(&mut self, sources: &Sources) -> (String, Origin) {
        let most = ispmon_wire::limits::DEVICE_CHARACTERS;
        if let Some(given) = self.text("device") {
            if given.text.chars().any(char::is_control) {
                self.refuse("device", &given, "which has a control character in it");
            } else if given.text.chars().count() > most {
                self.refuse("device", &given, "which is too long");
            }
            return (given.text, given.origin);
        }
        let name = host_name::short(&sources.host_name);
        if host_name::is_generic(&name) {
            self.warnings.push(format!(
                "The device is called {} after this machine, as many others are; give it a name of \
                 its own with the setting device.",
                quoted(&name)
            ));
        }
        (name, Origin::HostName)
    }

    fn url(&mut self) -> Option<Url> {
        let given = self.text("heartbeat.url")?;
        match url::parse(&given.text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.problems.add(&given.origin, format!("heartbeat.url {error}"));
                None
            }
        }
    }

    fn key_file(&mut self, sources: &Sources) -> Option<std::path::PathBuf> {
        let given = self.text("heartbeat.key_file")?;
        let is_path = ["/", "./", "../"].iter().any(|start| given.text.starts_with(start));
        // What does not look like a path may be the key itself, which must not be shown.
        if !is_path || given.text.ends_with('=') || given.text.chars().any(char::is_control) {
            let sentence = format!(
                "heartbeat.key_file is not a path (not shown, it may be a key); it takes {}",
                Kind::Path
            );
            self.problems.add(&given.origin, sentence);
            return None;
        }
        Some(located(&given.text, &given.origin, &sources.folder))
    }

    fn key(
        &mut self,
        kind: HeartbeatKind,
        url: Option<&Url>,
        key_file: Option<&Path>,
        sources: &Sources,
    ) -> Option<FoundKey> {
        let key_file_origin = self.text("heartbeat.key_file").map(|given| given.origin);
        if kind == HeartbeatKind::Plain {
            if key_file.is_some() {
                self.warnings.push(
                    "heartbeat.key_file has no effect: a plain heartbeat carries no function key."
                        .to_owned(),
                );
            }
            return None;
        }
        let url_is_from_dotenv = url.is_some()
            && self.text("heartbeat.url").is_some_and(|given| is_dotenv(&given.origin));
        let (key, origin) = if let Some(setting) = key_file_origin {
            // A wrong path is a problem already, and nothing else may stand in for it.
            let path = key_file?;
            if url_is_from_dotenv && !is_dotenv(&setting) {
                self.ignore_key(&setting);
                return None;
            }
            let key = key::read_file(path).map_err(|error| {
                let sentence = format!("the key file {} {error}", path.display());
                self.problems.add(&setting, sentence);
            });
            (key.ok()?, Origin::File { path: path.to_owned(), line: None })
        } else {
            let folder = super::environment::credentials_folder(&sources.environment)?;
            let (path, key) = key::read_credential(&sources.folder.join(folder))?;
            let origin = Origin::Credential(path);
            let key = key.map_err(|error| {
                self.problems.add(&origin, format!("the function key {error}"));
            });
            let key = key.ok()?;
            if url_is_from_dotenv && key.is_some() {
                self.ignore_key(&origin);
                return None;
            }
            (key, origin)
        };
        key.map(|key| FoundKey { key, origin })
    }

    fn ignore_key(&mut self, origin: &Origin) {
        self.warnings.push(format!(
            "The function key ({origin}) is not used, because heartbeat.url comes from .env: a key \
             goes only to an address that is set where the key is. Set both in the configuration \
             file."
        ));
    }

    /// Judges the address together with what is sent there.
    fn judge_address(
        &mut self,
        kind: HeartbeatKind,
        url: &Url,
        key: Option<&FoundKey>,
        public_file: Option<&Path>,
    ) {
        let Some(Given { origin, .. }) = self.text("heartbeat.url") else { return };
        match (kind, key) {
            (HeartbeatKind::Ispmon, Some(_)) if url::is_overheard(url) => self.problems.add(
                &origin,
                "heartbeat.url begins with http://, and the function key could be read on its way; \
                 use https://, plain http is for this machine itself only",
            ),
            (HeartbeatKind::Ispmon, None) if !url::is_loopback(url) => self.warnings.push(
                "There is no function key, so the function will refuse the heartbeats; write its \
                 key to a file of its own and name that in heartbeat.key_file."
                    .to_owned(),
            ),
            (HeartbeatKind::Plain, _) if matches!(origin, Origin::Flag(_)) => self.warnings.push(
                "The URL of a plain heartbeat is a secret, and every user of this machine can see \
                 --url in its list of processes; set heartbeat.url in the configuration file."
                    .to_owned(),
            ),
            (HeartbeatKind::Plain, _) if matches!(origin, Origin::File { .. }) => {
                if let Some(path) = public_file {
                    self.warnings.push(format!(
                        "The URL of a plain heartbeat is a secret, and every user of this machine \
                         can read {0}; take that away with: chmod o-r {0}",
                        path.display()
                    ));
                }
            }
            _ => {}
        }
    }

    /// Base and cap of the back-off, neither longer than the interval.
    fn backoff(&mut self, interval: Duration) -> (Duration, Duration) {
        let (base_key, cap_key) = ("heartbeat.backoff_base", "heartbeat.backoff_cap");
        let (base, cap) = (self.duration(base_key), self.duration(cap_key));
        if let (Some(base_given), Some(cap_given)) = (self.text(base_key), self.text(cap_key))
            && base > cap
        {
            let sentence = format!(
                "{base_key} is {} ({}), longer than {cap_key}, which is {} ({}); make it at most as \
                 long",
                duration::show(base),
                base_given.origin,
                duration::show(cap),
                cap_given.origin,
            );
            self.problems.add(&base_given.origin.max(cap_given.origin), sentence);
        }
        let cap = cap.min(interval);
        (base.min(cap), cap)
    }

    /// The settings as they may be shown.
    fn effective(
        &self,
        settings: &Settings,
        device_origin: &Origin,
        key: Option<&FoundKey>,
    ) -> Vec<Effective> {
        let mut effective: Vec<Effective> = SETTINGS
            .iter()
            .map(|setting| {
                let given = self.text(setting.key);
                let origin = given.as_ref().map_or(&Origin::Default, |given| &given.origin);
                let mut source = origin.to_string();
                let value = match setting.key {
                    "device" => {
                        source = device_origin.to_string();
                        Some(settings.device.clone())
                    }
                    "heartbeat.url" => settings.heartbeat.url.as_ref().map(ToString::to_string),
                    "heartbeat.key_file" => {
                        settings.heartbeat.key_file.as_ref().map(|path| path.display().to_string())
                    }
                    "heartbeat.backoff_base" => {
                        limited(given.as_ref(), settings.heartbeat.backoff_base, &mut source)
                    }
                    "heartbeat.backoff_cap" => {
                        limited(given.as_ref(), settings.heartbeat.backoff_cap, &mut source)
                    }
                    _ => given.map(|given| shown(&given.text, setting.kind)),
                };
                Effective { key: setting.key, value, source }
            })
            .collect();
        effective.push(Effective {
            key: "function key",
            value: key.map(|_| "set, not shown".to_owned()),
            source: key.map_or(Origin::Default, |found| found.origin.clone()).to_string(),
        });
        effective
    }
}

/// A duration that the interval may have shortened.
fn limited(given: Option<&Given>, used: Duration, source: &mut String) -> Option<String> {
    let text = &given?.text;
    if duration::parse(text) == Some(used) {
        return Some(shown(text, Kind::Duration(used, used)));
    }
    *source = format!("heartbeat.interval, which limits {text} ({source})");
    Some(duration::show(used))
}

/// A checked text as it may be shown, with the unit that it left out.
fn shown(text: &str, kind: Kind) -> String {
    match kind {
        Kind::Duration(..) if duration::is_plain_number(text) => format!("{text}s"),
        Kind::Choice(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            word.map_or_else(|| text.to_owned(), |word| (*word).to_owned())
        }
        _ => text.to_owned(),
    }
}

fn is_dotenv(origin: &Origin) -> bool {
    matches!(origin, Origin::DotEnv { .. })
}
