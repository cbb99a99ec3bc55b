//! The arguments of the commands that install, remove, start and stop the service.

use std::path::PathBuf;

use clap::Args;

/// An operation on the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceRequest {
    /// Install it.
    Install {
        /// Whether to print the plan only.
        is_shown_only: bool,
        /// The old `.env` file whose settings are imported.
        from_env: Option<PathBuf>,
    },
    /// Remove it.
    Uninstall {
        /// Whether to print the plan only.
        is_shown_only: bool,
        /// Whether to remove the journal, the configuration, the key and the user too.
        is_purge: bool,
        /// Whether to purge without asking.
        is_confirmed: bool,
    },
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it and start it again.
    Restart,
}

impl ServiceRequest {
    /// The command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Install { .. } => "install",
            Self::Uninstall { .. } => "uninstall",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct InstallFlags {
    /// Print every file and every command without changing anything; needs no root
    #[arg(long)]
    print: bool,

    /// Import the settings of an old .env file into /etc/ispmon/agent.toml
    ///
    /// Its URL, device and interval become settings, and a function key in the URL (code=...) moves to
    /// the key file. Nothing changes if a setting is not valid, or if the file has settings already.
    /// If a package is installed, this only imports the settings and starts the package's service.
    #[arg(long, value_name = "PATH", verbatim_doc_comment)]
    from_env: Option<PathBuf>,
}

impl From<InstallFlags> for ServiceRequest {
    fn from(flags: InstallFlags) -> Self {
        Self::Install { is_shown_only: flags.print, from_env: flags.from_env }
    }
}

#[derive(Debug, Args)]
pub(super) struct UninstallFlags {
    /// Print every file and every command without changing anything; needs no root
    #[arg(long)]
    print: bool,

    /// Remove the journal, the configuration, the key and the user too; asks first
    #[arg(long)]
    purge: bool,

    /// Purge without asking
    #[arg(long, requires = "purge")]
    yes: bool,
}

impl From<UninstallFlags> for ServiceRequest {
    fn from(flags: UninstallFlags) -> Self {
        Self::Uninstall {
            is_shown_only: flags.print,
            is_purge: flags.purge,
            is_confirmed: flags.yes,
        }
    }
}
