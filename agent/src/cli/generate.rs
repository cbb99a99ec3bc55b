//! What `generate` can be asked for.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};

/// What is generated.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum GenerateRequest {
    /// Write the man pages into a folder: one for each command, and agent.toml(5)
    Man {
        /// The folder, which is created if need be
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

/// A shell that there are completions for.
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
