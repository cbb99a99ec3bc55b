//! Why nothing is done, in sentences that say what to do. Many end with a command, and with no dot behind it,
//! so that it can be copied.

use std::path::PathBuf;

use super::{
    description::{NAME, UNIT},
    facts::{Obstacle, Package},
    layout::Platform,
};

/// Why a plan is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallRefusal {
    /// This program knows no service manager for the system that it was built for.
    #[error(
        "ispmon-agent can be a service of Linux with systemd and of macOS, and this is {0}. Have its own \
         service manager run: ispmon-agent run"
    )]
    UnknownPlatform(String),
    /// Only root may do it.
    #[error("this changes the system, which only root may do; run it with sudo: {command}")]
    NotRoot {
        /// The whole command.
        command: String,
    },
    /// No service manager can be asked.
    #[error("{}", without_manager(.0))]
    NoManager(Obstacle),
    /// A package brought the service.
    #[error("ispmon-agent is installed by {package} ({}), so nothing was changed. {advice}", .path.display())]
    Packaged {
        /// The package's file.
        path: PathBuf,
        /// Whose it is.
        package: Package,
        /// What to do instead.
        advice: String,
    },
    /// There is no service.
    #[error("ispmon-agent is not installed as a service here. To install it: sudo {} install", .program.display())]
    NotInstalled {
        /// The program that is running now.
        program: PathBuf,
    },
    /// Homebrew manages the service.
    #[error(
        "ispmon-agent is installed by Homebrew, which has a command for its services: brew services {order} \
         ispmon-agent (with sudo in front, it also runs while nobody is logged in)."
    )]
    ManagedByHomebrew {
        /// The command.
        order: &'static str,
    },
    /// An administrator has forbidden the service to start.
    #[error(
        "{UNIT} is masked, so that nothing can start it. To allow it again: sudo systemctl unmask {NAME}"
    )]
    Masked,
    /// systemd cannot hand the key to the service.
    #[error(
        "this is systemd {version}, and the service has its function key by a way that systemd knows from \
         {} on (LoadCredential=). Upgrade this system, or run it in the foreground with: ispmon-agent run",
        super::description::OLDEST_SYSTEMD
    )]
    OldSystemd {
        /// Its version.
        version: u32,
    },
    /// Something that is no file has the name of one.
    #[error("{} is {what}, and a file belongs there; look at what it is for and move it away.", .path.display())]
    NoFile {
        /// Its path.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The configuration is somebody's own.
    #[error(
        "{} is not the untouched sample of this version, so {} was not taken over and nothing was changed. \
         Add the settings by hand, or move the file away and run this again.", .path.display(), .from.display()
    )]
    Configured {
        /// The configuration.
        path: PathBuf,
        /// The `.env`.
        from: PathBuf,
    },
    /// There is another key.
    #[error(
        "{} holds another function key than {}, so nothing was changed. Empty the one that is not valid any \
         more and run this again.", .path.display(), .from.display()
    )]
    OtherKey {
        /// The key file.
        path: PathBuf,
        /// The `.env`.
        from: PathBuf,
    },
}

fn without_manager(obstacle: &Obstacle) -> String {
    let run = "run it in the foreground with: ispmon-agent run";
    match obstacle {
        Obstacle::Chroot => format!(
            "this is a chroot, whose services nobody starts. Install inside the running system, or {run}"
        ),
        Obstacle::Wsl => format!(
            "systemd does not run in this Linux on Windows. Switch it on (systemd=true below [boot] in \
             /etc/wsl.conf, then wsl --shutdown in Windows) and install again, or {run}"
        ),
        Obstacle::Container => format!(
            "systemd does not run in this container. Make ispmon-agent run the container's command, or {run}"
        ),
        Obstacle::OtherManager(name) => format!(
            "this system is run by {name}, and ispmon-agent can install itself under systemd only. Have \
             {name} run it as a service, or {run}"
        ),
    }
}

/// How the service of a package is started.
pub fn start_advice(package: &Package) -> String {
    match package {
        Package::Homebrew => {
            "To start it: brew services start ispmon-agent (with sudo in front, it also runs while nobody \
             is logged in)."
                .to_owned()
        }
        _ => format!("To start it, now and with every boot: sudo systemctl enable --now {NAME}"),
    }
}

/// How a package is removed.
pub fn removal_advice(package: &Package, platform: Platform) -> String {
    match (package, platform) {
        (Package::Debian(name), _) => format!(
            "To remove it: sudo apt remove {name} (sudo apt purge {name} removes the record of outages too)."
        ),
        (Package::Rpm(name), _) => format!("To remove it: sudo dnf remove {name}"),
        (Package::Homebrew, _) => {
            "To remove it: brew services stop ispmon-agent, then brew uninstall ispmon-agent"
                .to_owned()
        }
        (Package::Unknown, _) => "Remove it with the package manager that installed it.".to_owned(),
    }
}
