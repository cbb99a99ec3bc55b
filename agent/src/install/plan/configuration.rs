//! The configuration and the function key: written once, and never over the user's own content.

use std::path::Path;

use super::{CommandLine, Content, FileOwner, OnFailure, files::PlanBuilder};
use crate::{
    config::sample,
    install::{
        facts::{FileContent, InstallFacts, PathEntry},
        import::Imported,
        refusal::InstallRefusal,
    },
};

/// Adds both files to the plan, as samples or with the settings of an old `.env`.
///
/// # Errors
/// There are settings of a `.env`, but the configuration or the key file already has other content.
pub(super) fn add_configuration(
    files: &mut PlanBuilder<'_>,
    facts: &InstallFacts,
    imported: Option<&Imported>,
    key_owner: FileOwner,
) -> Result<(), InstallRefusal> {
    let layout = facts.layout();
    let Some(imported) = imported else {
        let sample = Content::Text(facts.platform.sample().into());
        files.add_file_if_missing(&layout.configuration, 0o644, FileOwner::Root, sample);
        files.add_file_if_missing(&layout.key, 0o600, key_owner, Content::Secret(String::new()));
        return Ok(());
    };
    let text = &imported.configuration;
    let is_free = match facts.entry(&layout.configuration) {
        None => true,
        Some(PathEntry::File { content: FileContent::Bytes(bytes), .. }) => {
            [text.as_str(), sample::SAMPLE, &facts.platform.sample()]
                .iter()
                .any(|free| free.as_bytes() == bytes)
        }
        Some(_) => false,
    };
    if !is_free {
        let (path, from) = (layout.configuration, imported.from.clone());
        return Err(InstallRefusal::Configured { path, from });
    }
    if imported.is_secret {
        add_secret_configuration(files, facts, &layout.configuration, text);
    } else {
        files.add_file(
            &layout.configuration,
            0o644,
            FileOwner::Root,
            Content::Text(text.clone().into()),
        );
    }
    let Some(key) = &imported.key else {
        files.add_file_if_missing(&layout.key, 0o600, key_owner, Content::Secret(String::new()));
        return Ok(());
    };
    let line = format!("{key}\n");
    let is_free = match facts.entry(&layout.key) {
        // Happens only when the plan is shown: an installation runs as root, which may read it.
        None | Some(PathEntry::File { content: FileContent::Unknown, .. }) => true,
        Some(PathEntry::File { content: FileContent::Bytes(bytes), .. }) => {
            let held = bytes.trim_ascii();
            held.is_empty() || held == key.as_bytes()
        }
        Some(_) => false,
    };
    if !is_free {
        return Err(InstallRefusal::OtherKey { path: layout.key, from: imported.from.clone() });
    }
    files.add_file(&layout.key, 0o600, key_owner, Content::Secret(line));
    Ok(())
}

/// Adds a configuration that only root and the service may read. An earlier step may create the service's
/// group, so commands set the group once the file exists.
fn add_secret_configuration(
    files: &mut PlanBuilder<'_>,
    facts: &InstallFacts,
    path: &Path,
    text: &str,
) {
    if matches!(
        facts.entry(path),
        Some(PathEntry::File { content: FileContent::Bytes(bytes), mode: 0o640, .. }) if bytes == text.as_bytes()
    ) {
        files.plan.unchanged.push(path.display().to_string());
        return;
    }
    files.add_file(path, 0o600, FileOwner::Root, Content::Secret(text.to_owned()));
    let path = path.display().to_string();
    for [program, word] in [["chgrp", facts.platform.user()], ["chmod", "640"]] {
        files.run(CommandLine::new(program, [word, &path]), OnFailure::RollBack);
    }
}
