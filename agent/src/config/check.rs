//! Checks the merged texts, each alone and against each other, and turns them into settings.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

mod effective;
mod endpoint;
mod probe;
mod surroundings;

use super::{
    Effective, KeyToWrite, Sources, duration, host_name,
    layer::GivenValue,
    origin::SettingOrigin,
    problem::{Problems, quoted},
    resolve_path,
    settings::{
        HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl, LogSettings, Settings,
    },
    table::{EXPECT_CHARACTERS, Setting, SettingKind},
};

/// The merged texts, and the results of checking them.
pub(super) struct SettingsCheck<'a> {
    pub(super) given: BTreeMap<String, GivenValue>,
    /// Whether a function key that this user may not read is a problem.
    pub(super) is_key_needed: bool,
    /// The content of the key file beside a configuration that is not written yet.
    pub(super) given_key: Option<&'a KeyToWrite>,
    pub(super) problems: &'a mut Problems,
    pub(super) warnings: &'a mut Vec<String>,
}

impl SettingsCheck<'_> {
    /// Turns the texts into settings. The settings may be used only if no problem was added: an invalid
    /// value is replaced by the default, so that the remaining checks still run.
    ///
    /// `public_file` is the configuration file, if every user of the machine can read it.
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
        let url = self.url(sources);
        let key_file = self.key_file(sources);
        let key = self.key(kind, url.as_ref(), key_file.as_deref(), sources);
        if let Some(url) = &url {
            self.check_address(kind, url, key.as_ref(), public_file, sources);
        }
        let interval = self.duration("heartbeat.interval");
        let (backoff_base, backoff_cap) = self.backoff(interval);
        let settings = Settings {
            device,
            state_dir: self.state_dir(sources),
            heartbeat: HeartbeatSettings {
                kind,
                url: url.map(|url| HeartbeatUrl::new(url, kind == HeartbeatKind::Plain)),
                method,
                expect: self.expect(kind),
                key: key.as_ref().map(|found| found.key.clone()),
                key_file,
                interval,
                timeout: self.duration("heartbeat.timeout"),
                backoff_base,
                backoff_cap,
                quiet_after_stop: self.duration("heartbeat.quiet_after_stop"),
                quiet_after_sleep: self.duration("heartbeat.quiet_after_sleep"),
            },
            probe: self.probe(),
            log: LogSettings {
                level: self.choice("log.level").parse().unwrap_or(tracing::Level::INFO),
            },
        };
        self.check_environment(&sources.environment);
        let effective = self.effective(&settings, &device_origin, key.as_ref());
        (settings, effective)
    }

    /// The trimmed text of a setting and its origin; `None` when it is not set.
    fn text(&self, key: &str) -> Option<GivenValue> {
        let given = self.given.get(key)?;
        let text = given.text.trim().to_owned();
        let is_set = !text.is_empty() || !Setting::find(key).is_some_and(Setting::is_optional);
        is_set.then(|| GivenValue { text, origin: given.origin.clone() })
    }

    /// Adds the problem that a value is not valid for its setting.
    fn refuse(&mut self, key: &str, given: &GivenValue, what: &str) {
        let Some(setting) = Setting::find(key) else { return };
        let sentence =
            format!("{key} is {}, {what}; it takes {}", quoted(&given.text), setting.kind);
        self.problems.add(&given.origin, sentence);
    }

    fn duration(&mut self, key: &'static str) -> Duration {
        let Some(&Setting { default, kind: SettingKind::Duration(least, most), .. }) =
            Setting::find(key)
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
        let Some(&Setting { default, kind: SettingKind::Choice(words), .. }) = Setting::find(key)
        else {
            unreachable!("{key} is a choice in the table of settings")
        };
        let Some(given) = self.text(key) else { return default };
        if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(&given.text)) {
            return word;
        }
        self.refuse(key, &given, "which is none of the words that it can be");
        default
    }

    fn device(&mut self, sources: &Sources) -> (String, SettingOrigin) {
        if let Some(given) = self.text("device") {
            if let Some(what) = text_flaw(&given.text, ispmon_wire::limits::DEVICE_CHARACTERS) {
                self.refuse("device", &given, what);
            } else if let Some(character) = ispmon_wire::unusable_character(&given.text) {
                let what = match character {
                    ',' => {
                        "which is a list; name this machine alone, for instance in ISPMON_DEVICE"
                            .to_owned()
                    }
                    letter => format!(
                        "with the letter {letter}, whose lower case is not the same everywhere"
                    ),
                };
                self.refuse("device", &given, &what);
            }
            return (given.text, given.origin);
        }
        let name = host_name::device_name(&sources.host_name);
        if host_name::is_generic(&name) {
            self.warnings.push(format!(
                "The device is called {} after this machine, as many others are; give it a name of \
                 its own with the setting device.",
                quoted(&name)
            ));
        }
        (name, SettingOrigin::HostName)
    }

    fn state_dir(&mut self, sources: &Sources) -> Option<PathBuf> {
        let given = self.text("state_dir")?;
        if let Some(what) = text_flaw(&given.text, usize::MAX) {
            self.refuse("state_dir", &given, what);
            return None;
        }
        Some(resolve_path(&given.text, &given.origin, &sources.folder))
    }

    fn expect(&mut self, kind: HeartbeatKind) -> Option<String> {
        let key = "heartbeat.expect";
        let given = self.text(key)?;
        if let Some(what) = text_flaw(&given.text, EXPECT_CHARACTERS) {
            self.refuse(key, &given, what);
        }
        if kind == HeartbeatKind::Ispmon {
            self.warnings.push(format!(
                "{key} has no effect: it is for plain heartbeats, and ispmon's function always answers \
                 \"ok\"."
            ));
            return None;
        }
        Some(given.text)
    }

    /// The base and cap of the back-off, both limited to the interval.
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
}

/// What is wrong with a text of at most `most` characters, if anything.
fn text_flaw(text: &str, most: usize) -> Option<&'static str> {
    if text.chars().any(char::is_control) {
        return Some("which has a control character in it");
    }
    (text.chars().count() > most).then_some("which is too long")
}
