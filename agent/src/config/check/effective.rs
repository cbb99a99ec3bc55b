//! The settings for the output of `ispmon-agent config`.

use std::time::Duration;

use super::{
    super::{
        Effective, duration,
        layer::GivenValue,
        origin::SettingOrigin,
        settings::Settings,
        table::{SETTINGS, SettingKind},
    },
    SettingsCheck,
    endpoint::FoundKey,
};

impl SettingsCheck<'_> {
    /// All settings with their values, secrets masked.
    pub(super) fn effective(
        &self,
        settings: &Settings,
        device_origin: &SettingOrigin,
        key: Option<&FoundKey>,
    ) -> Vec<Effective> {
        let mut effective: Vec<Effective> = SETTINGS
            .iter()
            .map(|setting| {
                let given = self.text(setting.key);
                let origin = given.as_ref().map_or(&SettingOrigin::Default, |given| &given.origin);
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
                    "state_dir" => {
                        settings.state_dir.as_ref().map(|path| path.display().to_string())
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
            source: key.map_or(SettingOrigin::Default, |found| found.origin.clone()).to_string(),
        });
        effective
    }
}

/// A duration that the heartbeat interval may have limited.
fn limited(given: Option<&GivenValue>, used: Duration, source: &mut String) -> Option<String> {
    let text = &given?.text;
    if duration::parse(text) == Some(used) {
        return Some(shown(text, SettingKind::Duration(used, used)));
    }
    *source = format!("heartbeat.interval, which limits {text} ({source})");
    Some(duration::show(used))
}

/// A valid text for output, with its unit if that was left out.
fn shown(text: &str, kind: SettingKind) -> String {
    match kind {
        SettingKind::Duration(..) if duration::is_plain_number(text) => format!("{text}s"),
        SettingKind::Choice(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            word.map_or_else(|| text.to_owned(), |word| (*word).to_owned())
        }
        _ => text.to_owned(),
    }
}
