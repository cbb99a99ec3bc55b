//! Checks where heartbeats go, together with their key: values that are valid alone can be wrong together.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::{
    super::{
        ImportedKeySource, Reader, Sources, environment,
        key::{self, KeyError, SERVICE_KEY_FILE, StaleCredential},
        key_place::{KeyPlace, is_of_service},
        layer::GivenValue,
        origin::SettingOrigin,
        regular_file::{RegularFileError, may_not},
        remedy, resolve_path,
        settings::{FunctionKey, HeartbeatKind},
        table::SettingKind,
        url::{self, UrlError},
    },
    SettingsCheck,
};
use crate::{file_access::SystemAccount, installation::SERVICE_USER, loopback::is_loopback};

/// A key and the source it was read from.
pub(super) struct FoundKey {
    pub(super) key: FunctionKey,
    pub(super) origin: SettingOrigin,
}

/// The result of searching for a key: `Ok(None)` where there is none, a sentence where it cannot be used.
struct KeySearch {
    /// The origin of the setting that names the key's file; without one, the same as `origin`.
    named_at: SettingOrigin,
    /// The file that contains the key.
    origin: SettingOrigin,
    key: Result<Option<FunctionKey>, KeyProblem>,
}

/// Why a key cannot be used.
struct KeyProblem {
    sentence: String,
    /// Whether this user only lacks the right to read it.
    is_forbidden: bool,
}

impl KeyProblem {
    fn new(sentence: String) -> Self {
        Self { sentence, is_forbidden: false }
    }
}

impl KeySearch {
    /// A key in a default location, which no setting names.
    fn at(origin: SettingOrigin, key: Result<Option<FunctionKey>, KeyProblem>) -> Self {
        Self { named_at: origin.clone(), origin, key }
    }
}

impl SettingsCheck<'_> {
    pub(super) fn url(&mut self, sources: &Sources) -> Option<Url> {
        let given = self.text("heartbeat.url")?;
        match url::parse(&given.text) {
            Ok(url) => Some(url),
            Err(error @ UrlError::KeyInQuery) => {
                let place = key_place(&given.origin, sources);
                // The other places have a list of three steps.
                let and = if matches!(place, KeyPlace::HandedOver(_)) { "and " } else { "" };
                let sentence = format!(
                    "heartbeat.url {error}; leave out the query, {and}write what follows \"code=\" {place}"
                );
                self.problems.add(&given.origin, sentence);
                None
            }
            Err(error) => {
                self.problems.add(&given.origin, format!("heartbeat.url {error}"));
                None
            }
        }
    }

    pub(super) fn key_file(&mut self, sources: &Sources) -> Option<PathBuf> {
        let given = self.text("heartbeat.key_file")?;
        let is_path = ["/", "./", "../"].iter().any(|start| given.text.starts_with(start));
        // A text that does not look like a path may be the key itself, which must not be shown.
        if !is_path || given.text.ends_with('=') || given.text.chars().any(char::is_control) {
            let sentence = format!(
                "heartbeat.key_file is not a path (not shown, it may be a key); it takes {}",
                SettingKind::Path
            );
            self.problems.add(&given.origin, sentence);
            return None;
        }
        Some(resolve_path(&given.text, &given.origin, &sources.folder))
    }

    pub(super) fn key(
        &mut self,
        kind: HeartbeatKind,
        url: Option<&Url>,
        key_file: Option<&Path>,
        sources: &Sources,
    ) -> Option<FoundKey> {
        if kind == HeartbeatKind::Plain {
            if key_file.is_some() {
                self.warnings.push(
                    "heartbeat.key_file has no effect: a plain heartbeat carries no function key."
                        .to_owned(),
                );
            }
            return None;
        }
        let KeySearch { named_at, origin, key } = self.find_key(key_file, sources)?;
        let key = match key {
            Ok(key) => key,
            Err(KeyProblem { sentence, is_forbidden }) => {
                self.problems.add_unreadable(&named_at, sentence, is_forbidden);
                return None;
            }
        };
        let url_is_from_dotenv =
            self.text("heartbeat.url").is_some_and(|given| is_dotenv(&given.origin));
        let is_imported = self.given_key.is_some();
        if key.is_some() && url_is_from_dotenv && !is_imported && !is_dotenv(&named_at) {
            self.warnings.push(format!(
                "The function key ({named_at}) is not used, because heartbeat.url comes from .env: \
                 a key goes only to an address that is set where the key is. Set both in the \
                 configuration file."
            ));
            return None;
        }
        if url.is_some_and(|url| !is_loopback(url)) {
            let left_behind = match &origin {
                SettingOrigin::Credential(path) => {
                    key::stale_credential(path, key.is_some(), &sources.service_key)
                }
                _ => None,
            };
            match left_behind {
                Some(left_behind) => self.warnings.push(left_behind.to_string()),
                None if key.is_none() => {
                    let place = self.key_place(sources);
                    let to_write = self.given_key.map(|key| key.path.as_path());
                    self.warnings.push(missing_key(&origin, &place, to_write));
                }
                None => {}
            }
        }
        key.map(|key| FoundKey { key, origin })
    }

    /// Reads the key from the first location that applies; `None` when the key exists but this user may not
    /// read it.
    ///
    /// 1. The key that is to be written, or stays, beside the text to check.
    /// 2. systemd's credential, unless another file is named. The service may not be able to read the file
    ///    that systemd read for it. If systemd could not read the file, the credential is the empty one of
    ///    the unit; then the file itself is read, if the service may.
    /// 3. The file that `heartbeat.key_file` names. A wrong path is reported as a problem, and no other
    ///    file replaces it.
    /// 4. The file beside the service's configuration, if the URL is set there: a key goes only to a URL
    ///    that is set where the key is.
    fn find_key(&mut self, key_file: Option<&Path>, sources: &Sources) -> Option<KeySearch> {
        if let Some(given) = self.given_key {
            let key = key::parse(given.text.as_ref()?);
            let url = self.text("heartbeat.url").map(|given| given.origin);
            let (origin, what) = match &given.source {
                ImportedKeySource::Url => {
                    (url.unwrap_or(SettingOrigin::Default), "the function key")
                }
                ImportedKeySource::File(path) => (SettingOrigin::file(path), "it"),
            };
            return Some(KeySearch::at(
                origin,
                key.map_err(|error| KeyProblem::new(format!("{what} {error}"))),
            ));
        }
        let named_at = self.text("heartbeat.key_file").map(|given| given.origin);
        let is_another_named = named_at.is_some() && key_file != Some(&sources.service_key);
        if let Some((path, key)) = credential(sources).filter(|_| !is_another_named) {
            if matches!(key, Ok(None))
                && let Ok(Some(key)) = key::read_file(&sources.service_key)
            {
                let origin = SettingOrigin::file(&sources.service_key);
                return Some(KeySearch::at(origin, Ok(Some(key))));
            }
            // An error names the file that the user can correct: the credential exists only while the
            // service runs.
            let origin = match &key {
                Err(_) if sources.service_key.is_file() => {
                    SettingOrigin::file(&sources.service_key)
                }
                _ => SettingOrigin::Credential(path),
            };
            let key = key.map_err(|error| KeyProblem::new(format!("the function key {error}")));
            return Some(KeySearch::at(origin, key));
        }
        let path = match &named_at {
            Some(_) => key_file?,
            None if self.is_address_of_service(sources) => &sources.service_key,
            None => return Some(KeySearch::at(SettingOrigin::Default, Ok(None))),
        };
        let key = match key::read_file(path) {
            Err(error) if named_at.is_none() && error.is_absent() => {
                return Some(KeySearch::at(SettingOrigin::Default, Ok(None)));
            }
            // As for the service, which gets no key from it.
            Err(error) if named_at.is_none() && error.is_not_regular() => {
                self.warnings.push(StaleCredential::NotRegular(path.to_owned()).to_string());
                return None;
            }
            Err(error) if error.is_forbidden() && (named_at.is_none() || !self.is_key_needed) => {
                if self.is_key_needed {
                    self.warnings.push(match sources.reader {
                        Reader::Command => format!(
                            "The function key in {} is for root and the service alone, so that the function \
                             will refuse what this user sends; use sudo.",
                            path.display()
                        ),
                        Reader::Service => format!(
                            "The function will refuse the heartbeats, because the key file {} {}.",
                            path.display(),
                            key_sentence(&error, path, &KeyPlace::Anywhere, sources)
                        ),
                    });
                }
                return None;
            }
            key => key.map_err(|error| {
                let sentence = key_sentence(&error, path, &self.key_place(sources), sources);
                KeyProblem {
                    sentence: format!("the key file {} {sentence}", path.display()),
                    is_forbidden: error.is_forbidden() && sources.reader == Reader::Command,
                }
            }),
        };
        let found = KeySearch::at(SettingOrigin::file(path), key);
        Some(KeySearch { named_at: named_at.unwrap_or_else(|| found.origin.clone()), ..found })
    }

    /// Where the key for the configured URL belongs.
    fn key_place(&self, sources: &Sources) -> KeyPlace {
        let url = self.text("heartbeat.url");
        url.map_or(KeyPlace::Anywhere, |given| key_place(&given.origin, sources))
    }

    fn is_address_of_service(&self, sources: &Sources) -> bool {
        self.text("heartbeat.url").is_some_and(|given| match given.origin {
            SettingOrigin::File { path, .. } => is_of_service(&path, sources),
            _ => false,
        })
    }

    /// Checks the URL together with what is sent to it.
    pub(super) fn check_address(
        &mut self,
        kind: HeartbeatKind,
        url: &Url,
        key: Option<&FoundKey>,
        public_file: Option<&Path>,
        sources: &Sources,
    ) {
        let Some(GivenValue { origin, .. }) = self.text("heartbeat.url") else { return };
        match (kind, key) {
            (HeartbeatKind::Ispmon, Some(_)) if url::is_readable_in_transit(url) => self.problems.add(
                &origin,
                "heartbeat.url begins with http://, and the function key could be read on its way; \
                 use https://, plain http is for this machine itself only",
            ),
            (HeartbeatKind::Plain, _) if matches!(origin, SettingOrigin::Flag(_)) => self
                .warnings
                .push(
                "The URL of a plain heartbeat is a secret, and every user of this machine can see \
                 --url in its list of processes; set heartbeat.url in the configuration file."
                    .to_owned(),
            ),
            (HeartbeatKind::Plain, _)
                if matches!(origin, SettingOrigin::File { .. }) || is_dotenv(&origin) =>
            {
                if let Some(path) = public_file {
                    self.warnings.push(format!(
                        "The URL of a plain heartbeat is a secret, and every user of this machine \
                         can read {}; take that away with: {}",
                        path.display(),
                        hide_command(path, sources)
                    ));
                }
            }
            _ => {}
        }
    }
}

/// The command that hides a configuration file from other users. The service runs as its own user and must
/// still be able to read its file.
fn hide_command(path: &Path, sources: &Sources) -> String {
    let file = path.display();
    if is_of_service(path, sources) {
        // The group of the service has the same name as its user.
        format!("sudo chgrp {SERVICE_USER} {file} && sudo chmod 640 {file}")
    } else {
        format!("chmod o-r {file}")
    }
}

/// Where the key for a setting from this source belongs.
fn key_place(origin: &SettingOrigin, sources: &Sources) -> KeyPlace {
    match origin {
        SettingOrigin::File { path, .. } => KeyPlace::of(path, sources),
        _ => KeyPlace::Anywhere,
    }
}

/// What is wrong with the key file at `path`, after its name, and what can be done about it; `place` is where
/// the key belongs.
fn key_sentence(error: &KeyError, path: &Path, place: &KeyPlace, sources: &Sources) -> String {
    match error {
        KeyError::Unreadable(RegularFileError::Forbidden(refusing))
            if sources.reader == Reader::Service =>
        {
            let account = SystemAccount::of_this_process();
            let who = format!("the user {}, which the agent runs as,", account.name);
            let refusing = refusing.as_deref();
            let remedy = remedy::for_key(refusing, &account, place, sources.service_key.parent());
            format!("cannot be used: {}; {remedy}", may_not(refusing, &who))
        }
        KeyError::Open { owner, .. } => {
            // systemd reads the file that it hands over as root.
            let is_handed_over = place.is_handed_over(path);
            let reader = account_of_service(place, sources).filter(|_| !is_handed_over);
            let path = path.display();
            let command = match reader {
                // Without the rights of group and others, the service could not read root's file.
                Some(account) if *owner != account.rights.uid => {
                    format!("sudo chown {} {path} && sudo chmod 600 {path}", account.name)
                }
                _ => format!("chmod 600 {path}"),
            };
            format!("{error}; make it private with: {command}")
        }
        _ => error.to_string(),
    }
}

/// The user that needs the key: that of the service, where the configuration is the service's.
fn account_of_service(place: &KeyPlace, sources: &Sources) -> Option<SystemAccount> {
    match (sources.reader, place) {
        (Reader::Service, _) => Some(SystemAccount::of_this_process()),
        (Reader::Command, KeyPlace::HandedOver(key) | KeyPlace::Beside(key))
            if *key == sources.service_key =>
        {
            SystemAccount::named(SERVICE_USER)
        }
        (Reader::Command, _) => None,
    }
}

/// The credential that systemd passes to the service.
fn credential(sources: &Sources) -> Option<(PathBuf, Result<Option<FunctionKey>, KeyError>)> {
    let folder = environment::credentials_folder(&sources.environment)?;
    key::read_credential(&sources.folder.join(folder))
}

fn is_dotenv(origin: &SettingOrigin) -> bool {
    matches!(origin, SettingOrigin::DotEnv { .. })
}

/// Advice for a missing function key; `origin` is where it was searched for, `place` where it belongs, `to_write`
/// the key file of a configuration that is not written yet.
fn missing_key(origin: &SettingOrigin, place: &KeyPlace, to_write: Option<&Path>) -> String {
    if let Some(path) = to_write {
        return format!(
            "There is no function key, so the function will refuse the heartbeats; write its key to {}.",
            path.display()
        );
    }
    match origin {
        SettingOrigin::File { path, .. } => format!(
            "The key file {} is empty, so the function will refuse the heartbeats; write its key there.",
            path.display()
        ),
        SettingOrigin::Credential(path) => format!(
            "The credential {} is empty, so the function will refuse the heartbeats; write its key to the \
             file that the service loads it from, {SERVICE_KEY_FILE}.",
            path.display()
        ),
        _ => format!(
            "There is no function key, so the function will refuse the heartbeats; write its key {place}."
        ),
    }
}
