//! Reasons for refusing, as sentences with advice. Many end with a command and without a full stop, so that
//! the command can be copied.

use std::path::PathBuf;

use super::{
    description::{NAME, UNIT},
    facts::{BootStart, InstallFacts, Obstacle, Package},
};

/// Why no plan is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallRefusal {
    /// ispmon-agent supports no service manager on the operating system that it was built for.
    #[error(
        "ispmon-agent can be a service of Linux with systemd and of macOS, and this is {0}. Have its own \
         service manager run: ispmon-agent run"
    )]
    UnknownPlatform(String),
    /// Only root may do this.
    #[error("this changes the system, which only root may do; run it with sudo: {command}")]
    NotRoot {
        /// The whole command.
        command: String,
    },
    /// No service manager can be used.
    #[error("{}. {}", obstacle_reason(.obstacle), advice_without_manager(.obstacle, .needed_for))]
    NoManager {
        /// Why none can be used.
        obstacle: Obstacle,
        /// What it is needed for.
        needed_for: ManagerUse,
    },
    /// A package installed the service.
    #[error("ispmon-agent is installed by {package} ({}), so nothing was changed. {advice}", .path.display())]
    Packaged {
        /// The file that belongs to the package.
        path: PathBuf,
        /// The package.
        package: Package,
        /// The command to use instead.
        advice: String,
    },
    /// A purge would remove what a package's service needs.
    #[error(
        "{package} ({}) uses the same configuration, key, journal and user, so nothing was changed. To remove \
         these too, first remove it ({removal}), then run this again. To remove only what install has \
         written: sudo {command}", .path.display()
    )]
    PurgeBesidePackage {
        /// The file that belongs to the package.
        path: PathBuf,
        /// The package.
        package: Package,
        /// How to remove the package.
        removal: String,
        /// The whole command of an ordinary removal.
        command: String,
    },
    /// The service is not installed.
    #[error("ispmon-agent is not installed as a service here. To install it: sudo {} install", .program.display())]
    NotInstalled {
        /// The path of the running program.
        program: PathBuf,
    },
    /// Homebrew manages the service.
    #[error(
        "ispmon-agent is installed by Homebrew, which has a command for its services: brew services {order} \
         ispmon-agent (with sudo in front, it also runs while nobody is logged in)."
    )]
    ManagedByHomebrew {
        /// The name of the command.
        order: &'static str,
    },
    /// An administrator has masked the service.
    #[error(
        "{UNIT} is masked, so that nothing can start it. To allow it again: sudo systemctl unmask {NAME}"
    )]
    Masked,
    /// systemd is too old for `LoadCredential=`.
    #[error(
        "this is systemd {version}, and the service gets its function key through LoadCredential=, which \
         systemd has from {} on. Upgrade this system, or run it in the foreground with: ispmon-agent run",
        super::description::OLDEST_SYSTEMD
    )]
    OldSystemd {
        /// The installed version.
        version: u32,
    },
    /// A folder, link or device is at the path of a file.
    #[error("{} is {what}, but must be a file; check what it is for and move it away.", .path.display())]
    NoFile {
        /// Its path.
        path: PathBuf,
        /// What is there instead, such as `a folder`.
        what: String,
    },
    /// The configuration contains the user's own settings.
    #[error(
        "{} is not the untouched sample of this version, so {} was not taken over and nothing was changed. \
         Add the settings by hand, or move the file away and run this again.", .path.display(), .from.display()
    )]
    Configured {
        /// The path of the configuration.
        path: PathBuf,
        /// The path of the `.env`.
        from: PathBuf,
    },
    /// The key file already contains a different key.
    #[error(
        "{} holds another function key than {}, so nothing was changed. Empty the one that is not valid any \
         more and run this again.", .path.display(), .from.display()
    )]
    OtherKey {
        /// The path of the key file.
        path: PathBuf,
        /// The path of the `.env`.
        from: PathBuf,
    },
}

/// What a service manager is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagerUse {
    /// Installing the service.
    Installation,
    /// Starting or stopping an installed service.
    Start,
    /// Removing the service.
    Removal {
        /// The commands that remove its files by hand.
        by_hand: String,
    },
}

/// Why no service manager can be used, as a clause.
fn obstacle_reason(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Chroot => "this is a chroot, in which no services are started".to_owned(),
        Obstacle::Wsl => "systemd does not run in this Linux on Windows".to_owned(),
        Obstacle::Container => "systemd does not run in this container".to_owned(),
        Obstacle::OtherManager(name) => {
            format!(
                "this system is run by {name}, and ispmon-agent can be a service of systemd only"
            )
        }
    }
}

/// What can be done without a service manager.
fn advice_without_manager(obstacle: &Obstacle, needed_for: &ManagerUse) -> String {
    let what = match needed_for {
        ManagerUse::Installation => "install",
        ManagerUse::Start => "start it",
        ManagerUse::Removal { .. } => "uninstall",
    };
    let otherwise = match needed_for {
        ManagerUse::Installation | ManagerUse::Start => {
            "run it in the foreground with: ispmon-agent run".to_owned()
        }
        ManagerUse::Removal { by_hand } => format!("end it and remove its files with: {by_hand}"),
    };
    match (obstacle, needed_for) {
        (Obstacle::Chroot, _) => {
            format!("To {what}, do so inside the running system, or {otherwise}")
        }
        (Obstacle::Wsl, _) => format!(
            "Switch it on (systemd=true below [boot] in /etc/wsl.conf, then wsl --shutdown in Windows) \
             and {what} then, or {otherwise}"
        ),
        (_, ManagerUse::Removal { .. }) => format!("To uninstall, {otherwise}"),
        (Obstacle::Container, _) => {
            format!("Make ispmon-agent run the container's command, or {otherwise}")
        }
        (Obstacle::OtherManager(name), _) => {
            format!("Have {name} run it as a service, or {otherwise}")
        }
    }
}

/// How to start the service of a package on this system.
pub fn start_advice(package: &Package, facts: &InstallFacts) -> String {
    if let Some(obstacle) = &facts.obstacle {
        let reason = obstacle_reason(obstacle);
        let advice = advice_without_manager(obstacle, &ManagerUse::Start);
        return format!("It does not start by itself: {reason}. {advice}");
    }
    match package {
        Package::Homebrew => {
            "To start it: brew services start ispmon-agent (with sudo in front, it also runs while nobody \
             is logged in)."
                .to_owned()
        }
        _ if facts.service.boot == BootStart::Masked => format!(
            "It is masked. To start it, now and with every boot: sudo systemctl unmask {NAME} && sudo \
             systemctl enable --now {NAME}"
        ),
        _ => format!("To start it, now and with every boot: sudo systemctl enable --now {NAME}"),
    }
}

/// How to remove a package.
pub fn removal_advice(package: &Package) -> String {
    match package {
        Package::Debian(name) => format!(
            "To remove it: sudo apt remove {name} (sudo apt purge {name} removes the journal of outages too)."
        ),
        Package::Rpm(name) => {
            format!("To remove it: sudo dnf remove {name} (openSUSE: sudo zypper remove {name})")
        }
        Package::Homebrew => {
            "To remove it: brew services stop ispmon-agent, then brew uninstall ispmon-agent"
                .to_owned()
        }
        Package::Unknown => "Remove it with the package manager that installed it.".to_owned(),
    }
}

/// The command that removes a package with its configuration, as a phrase.
pub fn removal_phrase(package: &Package) -> String {
    match package {
        Package::Debian(name) => format!("sudo apt purge {name}"),
        Package::Rpm(name) => {
            format!("sudo dnf remove {name}; openSUSE: sudo zypper remove {name}")
        }
        Package::Homebrew => "brew uninstall ispmon-agent".to_owned(),
        Package::Unknown => "with the package manager that installed it".to_owned(),
    }
}
