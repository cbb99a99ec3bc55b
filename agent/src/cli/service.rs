//! Installing, removing, starting and stopping the service.

use std::path::PathBuf;

use clap::Args;

/// What is to be done with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceRequest {
    /// Install it.
    Install {
        /// Whether the plan is only printed.
        is_shown_only: bool,
        /// The old `.env` whose settings are taken over.
        from_env: Option<PathBuf>,
    },
    /// Remove it.
    Uninstall {
        /// Whether the plan is only printed.
        is_shown_only: bool,
        /// Whether the record, the configuration, the key and the user go too.
        is_purge: bool,
        /// Whether a purge is not asked about.
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
    /// Print every file and every command, and change nothing; needs no root
    #[arg(long)]
    print: bool,

    /// Take the settings of an old .env file over into /etc/ispmon/agent.toml
    ///
    /// Its URL, device and interval become settings, and a function key in the URL (code=...) moves to
    /// the key file. Nothing is changed when they are not valid, or when there are settings already.
    /// With a package installed, it does only that, and starts the service of the package.
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
    /// Print every file and every command, and change nothing; needs no root
    #[arg(long)]
    print: bool,

    /// Remove the record of outages, the configuration, the key and the user too; asks first
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
