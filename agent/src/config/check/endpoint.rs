//! Where heartbeats go and the key that goes with them: what is right alone can be wrong together.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::{
    super::{
        Sources, environment,
        key::{self, KeyError},
        located,
        merge::Given,
        origin::Origin,
        settings::{FunctionKey, HeartbeatKind},
        table::Kind,
        url,
    },
    Check,
};
use crate::loopback::is_loopback;

/// A key together with where it was read from.
pub(super) struct FoundKey {
    pub(super) key: FunctionKey,
    pub(super) origin: Origin,
}

impl Check<'_> {
    pub(super) fn url(&mut self) -> Option<Url> {
        let given = self.text("heartbeat.url")?;
        match url::parse(&given.text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.problems.add(&given.origin, format!("heartbeat.url {error}"));
                None
            }
        }
    }

    pub(super) fn key_file(&mut self, sources: &Sources) -> Option<PathBuf> {
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
        let named_at = self.text("heartbeat.key_file").map(|given| given.origin);
        let (named_at, origin, key) = if let Some((path, text)) = self.given_key {
            let origin = Origin::File { path: path.to_owned(), line: None };
            let key = key::of_text(text).map_err(|error| format!("the function key {error}"));
            (origin.clone(), origin, key)
        } else if let Some((path, key)) =
            credential(sources).filter(|_| key_file.is_none_or(|path| path == sources.service_key))
        {
            // The service need not be able to read the file that systemd has read for it.
            let key = key.map_err(|error| format!("the function key {error}"));
            (Origin::Credential(path.clone()), Origin::Credential(path), key)
        } else if let Some(named_at) = named_at {
            // A wrong path is a problem already, and nothing else may stand in for it.
            let path = key_file?;
            let key = key::read_file(path);
            if !self.is_key_needed && key.as_ref().is_err_and(KeyError::is_forbidden) {
                return None;
            }
            let key = key.map_err(|error| format!("the key file {} {error}", path.display()));
            (named_at, Origin::File { path: path.to_owned(), line: None }, key)
        } else if self.is_service_configuration(sources) {
            let path = &sources.service_key;
            let key = key::read_file(path);
            if key.as_ref().is_err_and(KeyError::is_forbidden) {
                if self.is_key_needed {
                    self.warnings.push(format!(
                        "The function key in {} is for root and the service alone, so that the function will \
                         refuse what this user sends; use sudo.",
                        path.display()
                    ));
                }
                return None;
            }
            let origin = Origin::File { path: path.clone(), line: None };
            match key {
                Err(error) if error.is_absent() => (Origin::Default, Origin::Default, Ok(None)),
                key => {
                    let sentence = |error| format!("the key file {} {error}", path.display());
                    (origin.clone(), origin, key.map_err(sentence))
                }
            }
        } else {
            (Origin::Default, Origin::Default, Ok(None))
        };
        let key = match key {
            Ok(key) => key,
            Err(sentence) => {
                self.problems.add(&named_at, sentence);
                return None;
            }
        };
        let url_is_from_dotenv =
            self.text("heartbeat.url").is_some_and(|given| is_dotenv(&given.origin));
        if key.is_some() && url_is_from_dotenv && !is_dotenv(&named_at) {
            self.warnings.push(format!(
                "The function key ({named_at}) is not used, because heartbeat.url comes from .env: \
                 a key goes only to an address that is set where the key is. Set both in the \
                 configuration file."
            ));
            return None;
        }
        if key.is_none() && url.is_some_and(|url| !is_loopback(url)) {
            self.warnings.push(missing_key(&origin));
        }
        key.map(|key| FoundKey { key, origin })
    }

    /// Whether the address is that of the service, which has its key from a file beside its configuration
    /// without that naming it. A key goes only to an address that is set where the key is.
    fn is_service_configuration(&self, sources: &Sources) -> bool {
        self.text("heartbeat.url").is_some_and(|given| match given.origin {
            Origin::File { path, .. } => path.parent() == sources.service_key.parent(),
            _ => false,
        })
    }

    /// Judges the address together with what is sent there.
    pub(super) fn judge_address(
        &mut self,
        kind: HeartbeatKind,
        url: &Url,
        key: Option<&FoundKey>,
        public_file: Option<&Path>,
        sources: &Sources,
    ) {
        let Some(Given { origin, .. }) = self.text("heartbeat.url") else { return };
        match (kind, key) {
            (HeartbeatKind::Ispmon, Some(_)) if url::is_overheard(url) => self.problems.add(
                &origin,
                "heartbeat.url begins with http://, and the function key could be read on its way; \
                 use https://, plain http is for this machine itself only",
            ),
            (HeartbeatKind::Plain, _) if matches!(origin, Origin::Flag(_)) => self.warnings.push(
                "The URL of a plain heartbeat is a secret, and every user of this machine can see \
                 --url in its list of processes; set heartbeat.url in the configuration file."
                    .to_owned(),
            ),
            (HeartbeatKind::Plain, _)
                if matches!(origin, Origin::File { .. }) || is_dotenv(&origin) =>
            {
                if let Some(path) = public_file {
                    self.warnings.push(format!(
                        "The URL of a plain heartbeat is a secret, and every user of this machine \
                         can read {}; take that away with: {}",
                        path.display(),
                        hiding(path, sources)
                    ));
                }
            }
            _ => {}
        }
    }
}

/// The command that hides a configuration file from everybody whom it does not concern. The service, which has a
/// user of its own, goes on reading its file.
fn hiding(path: &Path, sources: &Sources) -> String {
    let file = path.display();
    if path.parent() == sources.service_key.parent() {
        // The service's group, which is called as its user.
        let group = if cfg!(target_os = "macos") { "_ispmon" } else { "ispmon" };
        format!("sudo chgrp {group} {file} && sudo chmod 640 {file}")
    } else {
        format!("chmod o-r {file}")
    }
}

/// The credential that systemd gives the service.
fn credential(sources: &Sources) -> Option<(PathBuf, Result<Option<FunctionKey>, KeyError>)> {
    let folder = environment::credentials_folder(&sources.environment)?;
    key::read_credential(&sources.folder.join(folder))
}

fn is_dotenv(origin: &Origin) -> bool {
    matches!(origin, Origin::DotEnv { .. })
}

/// What to do about a function key that is not there; `place` is where it was looked for.
fn missing_key(place: &Origin) -> String {
    match place {
        Origin::File { path, .. } => format!(
            "The key file {} is empty, so the function will refuse the heartbeats; write its key there.",
            path.display()
        ),
        Origin::Credential(path) => format!(
            "The credential {} is empty, so the function will refuse the heartbeats; write its key to the \
             file that the service loads it from, /etc/ispmon/heartbeat.key.",
            path.display()
        ),
        _ => "There is no function key, so the function will refuse the heartbeats; write its key to a \
              file of its own and name that in heartbeat.key_file."
            .to_owned(),
    }
}
