//! The commands that install, remove, start and stop the service.

use std::path::PathBuf;

use clap::Subcommand;

/// An operation on the service.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ServiceRequest {
    /// Install the agent as a service of this system and start it
    ///
    /// Copies this program to /usr/local/bin from wherever it was started. Writes the definition of the
    /// service, and a configuration file and an empty key file if there are none. Creates the
    /// unprivileged user that the service runs as. Then starts the service, now and at every boot. If a
    /// step fails, the steps before it are undone. Running it again changes nothing; a newer program
    /// replaces the older one, and the service is restarted. It does not touch what a package installed.
    #[command(verbatim_doc_comment)]
    Install {
        /// Print every file and every command without changing anything; needs no root
        #[arg(long = "print")]
        is_shown_only: bool,

        /// Import the settings of an old .env file into /etc/ispmon/agent.toml
        ///
        /// Its URL, device and interval become settings, and a function key in the URL (code=...) moves to
        /// the key file. Nothing changes if a setting is not valid, or if the file has settings already.
        /// If a package is installed, this only imports the settings and starts the package's service.
        #[arg(long, value_name = "PATH", verbatim_doc_comment)]
        from_env: Option<PathBuf>,
    },
    /// Stop the service and remove what `install` installed
    ///
    /// Keeps the journal, the configuration and the key for a later installation. It does not touch what
    /// a package installed.
    #[command(verbatim_doc_comment)]
    Uninstall {
        /// Print every file and every command without changing anything; needs no root
        #[arg(long = "print")]
        is_shown_only: bool,

        /// Remove the journal, the configuration, the key and the user that install has created too; asks first
        #[arg(long = "purge")]
        is_purge: bool,

        /// Purge without asking
        #[arg(long = "yes", requires = "is_purge")]
        is_confirmed: bool,
    },
    /// Start the installed service and wait until it runs
    Start,
    /// Stop the installed service until the next boot
    Stop,
    /// Stop the installed service and start it again
    Restart,
}
