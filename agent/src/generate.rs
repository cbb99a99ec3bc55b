//! Generates man pages and completions from the definition of the command line and the table of
//! settings, so that they match the program.

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
    /// The folder for the pages does not exist and cannot be created.
    #[error("cannot create the folder {path} for the man pages")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The page cannot be written.
    #[error("cannot write the man page {path}")]
    Page {
        /// The file of the page.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// Writes all man pages into `folder`: `ispmon-agent.1`, one page per command, and `agent.toml.5`.
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
/// Writing to the output fails.
pub fn write_completions(shell: Shell, output: &mut impl Write) -> io::Result<()> {
    let mut definition = visible(&cli::definition());
    definition.set_bin_name("ispmon-agent");
    definition.build();
    let generator: &dyn Generator = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    generator.try_generate(&definition, &mut script)?;
    let script = String::from_utf8_lossy(&script);
    // clap_complete 4.6.11 writes the dash of the program's name in two ways in the bash script, so bash
    // would not find the flags of commands.
    output.write_all(script.replace("ispmon__subcmd__agent", "ispmon__agent").as_bytes())?;
    output.flush()
}

/// The definition without hidden commands: the generators of completions do not leave them out.
fn visible(definition: &clap::Command) -> clap::Command {
    let shown = definition.get_subcommands().filter(|command| !command.is_hide_set());
    clap::Command::new("ispmon-agent")
        .version(env!("CARGO_PKG_VERSION"))
        .args(definition.get_arguments())
        .subcommands(shown)
}

#[cfg(test)]
mod tests;
