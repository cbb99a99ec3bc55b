//! Man pages and completions, made from the definition of the command line and from the table of
//! settings, so that they say what the program does.

mod man;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap_complete::{
    Generator,
    aot::{Bash, Fish, Zsh},
};
use thiserror::Error;

use crate::cli::{self, Shell};

/// A man page could not be written.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The folder for the pages is neither there nor can it be created.
    #[error("cannot create the folder {path} for the man pages")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The page cannot be written.
    #[error("cannot write the man page {path}")]
    Page {
        /// The file of the page.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes all man pages into `folder`: `ispmon-agent.1`, one page for each command, `agent.toml.5`.
///
/// # Errors
/// The folder or a page cannot be written.
pub fn write_man_pages(folder: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(folder)
        .map_err(|source| GenerateError::Folder { path: folder.to_owned(), source })?;
    for page in man::pages() {
        let path = folder.join(&page.file_name);
        fs::write(&path, page.text).map_err(|source| GenerateError::Page { path, source })?;
    }
    Ok(())
}

/// Writes the completions for `shell`.
///
/// # Errors
/// The output takes no more.
pub fn write_completions(shell: Shell, output: &mut impl Write) -> io::Result<()> {
    let mut definition = visible(&cli::definition());
    definition.set_bin_name("ispmon-agent");
    definition.build();
    let generator: &dyn Generator = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    generator.try_generate(&definition, output)?;
    output.flush()
}

/// The definition without the commands that its help does not show either: the generators of
/// completions would show them.
fn visible(definition: &clap::Command) -> clap::Command {
    let shown = definition.get_subcommands().filter(|command| !command.is_hide_set());
    clap::Command::new("ispmon-agent")
        .version(env!("CARGO_PKG_VERSION"))
        .args(definition.get_arguments())
        .subcommands(shown)
}

#[cfg(test)]
mod tests;
