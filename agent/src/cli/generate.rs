//! The arguments of `generate`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum GenerateRequest {
    /// Write the man pages into a folder: one for each command, and agent.toml(5)
    Man {
        /// The folder; it is created if it does not exist
        #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Print the message catalog of systemd's journal
    Catalog,
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// A shell with generated completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash, with the package bash-completion.
    #[value(help = None)]
    Bash,
    /// The Z shell.
    #[value(help = None)]
    Zsh,
    /// fish.
    #[value(help = None)]
    Fish,
}
