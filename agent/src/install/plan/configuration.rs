//! The configuration and the function key: written once, and never over what somebody has written.

use std::path::Path;

use super::{CommandLine, Content, OnFailure, Owner, files::Files};
use crate::{
    config::sample,
    install::{
        facts::{Entry, Facts, Held},
        import::Imported,
        refusal::Refusal,
    },
};

/// Puts both there, as samples or with the settings of an old `.env`.
///
/// # Errors
/// There are settings of an `.env`, and the place of them is taken.
pub(super) fn put(
    files: &mut Files<'_>,
    facts: &Facts,
    imported: Option<&Imported>,
    key_owner: Owner,
) -> Result<(), Refusal> {
    let layout = facts.layout();
    let Some(imported) = imported else {
        let sample = Content::Text(facts.platform.sample().into());
        files.put_once(&layout.configuration, 0o644, Owner::Root, sample);
        files.put_once(&layout.key, 0o600, key_owner, Content::Secret(String::new()));
        return Ok(());
    };
    let text = &imported.configuration;
    let is_free = match facts.entry(&layout.configuration) {
        None => true,
        Some(Entry::File { held: Held::Bytes(bytes), .. }) => {
            [text.as_str(), sample::SAMPLE, &facts.platform.sample()]
                .iter()
                .any(|free| free.as_bytes() == bytes)
        }
        Some(_) => false,
    };
    if !is_free {
        let (path, from) = (layout.configuration, imported.from.clone());
        return Err(Refusal::Configured { path, from });
    }
    if imported.is_secret {
        put_for_service(files, facts, &layout.configuration, text);
    } else {
        files.put(&layout.configuration, 0o644, Owner::Root, Content::Text(text.clone().into()));
    }
    let Some(key) = &imported.key else {
        files.put_once(&layout.key, 0o600, key_owner, Content::Secret(String::new()));
        return Ok(());
    };
    let line = format!("{key}\n");
    let is_free = match facts.entry(&layout.key) {
        // Only when the plan is shown: root may read it.
        None | Some(Entry::File { held: Held::Unknown, .. }) => true,
        Some(Entry::File { held: Held::Bytes(bytes), .. }) => {
            let held = bytes.trim_ascii();
            held.is_empty() || held == key.as_bytes()
        }
        Some(_) => false,
    };
    if !is_free {
        return Err(Refusal::OtherKey { path: layout.key, from: imported.from.clone() });
    }
    files.put(&layout.key, 0o600, key_owner, Content::Secret(line));
    Ok(())
}

/// Puts a configuration there that nobody but root and the service may read. The service's group may be one that an
/// earlier step makes, so it gets the file when it is there.
fn put_for_service(files: &mut Files<'_>, facts: &Facts, path: &Path, text: &str) {
    if matches!(
        facts.entry(path),
        Some(Entry::File { held: Held::Bytes(bytes), mode: 0o640, .. }) if bytes == text.as_bytes()
    ) {
        files.plan.unchanged.push(path.display().to_string());
        return;
    }
    files.put(path, 0o600, Owner::Root, Content::Secret(text.to_owned()));
    let path = path.display().to_string();
    for [program, word] in [["chgrp", facts.platform.user()], ["chmod", "640"]] {
        files.run(CommandLine::new(program, [word, &path]), Vec::new(), OnFailure::Undo);
    }
}
