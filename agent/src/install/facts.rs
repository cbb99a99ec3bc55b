//! What is known of this system before anything is changed.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::layout::{Layout, Platform};

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct InstallFacts {
    /// Which kind of system this is.
    pub platform: Platform,
    /// Whether the caller may change it.
    pub is_root: bool,
    /// Why no service manager can be asked; nothing when one runs.
    pub obstacle: Option<Obstacle>,
    /// The program that is running now, by its path.
    pub program: PathBuf,
    /// Its size in bytes.
    pub program_bytes: u64,
    /// What is at the paths that matter, without those where there is nothing.
    pub present: BTreeMap<PathBuf, PathEntry>,
    /// Which of these paths came with a package.
    pub packages: BTreeMap<PathBuf, Package>,
    /// The service's user.
    pub account: AccountState,
    /// The service, as its manager knows it.
    pub service: ServiceState,
    /// The version of systemd; nothing where there is none or where it does not say.
    pub systemd: Option<u32>,
}

impl InstallFacts {
    /// What is at a path.
    pub fn entry(&self, path: &Path) -> Option<&PathEntry> {
        self.present.get(path)
    }

    /// The paths of this platform.
    pub fn layout(&self) -> Layout {
        Layout::of(self.platform)
    }

    /// The package that the service came with, and its file.
    pub fn package(&self) -> Option<(&Path, &Package)> {
        self.packages.iter().next().map(|(path, package)| (path.as_path(), package))
    }
}

/// Why no service manager can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This is a chroot: the service manager that could be asked is that of another system.
    Chroot,
    /// Windows Subsystem for Linux, where systemd is off.
    Wsl,
    /// A container without a service manager.
    Container,
    /// Another one runs this system; its name.
    OtherManager(String),
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathEntry {
    /// A regular file.
    File {
        /// What it holds.
        held: FileContent,
        /// Its permissions.
        mode: u32,
        /// Its owner's id.
        uid: u32,
        /// Its group's id.
        gid: u32,
    },
    /// A folder, or a link to one.
    Folder {
        /// Its owner's id.
        uid: u32,
    },
    /// A symbolic link, and where it leads.
    Link(PathBuf),
    /// A device, socket or pipe.
    Other,
}

/// What a file holds, as far as it matters.
#[derive(Clone, PartialEq, Eq)]
pub enum FileContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The program that is running now.
    Program,
    /// Something long.
    Long,
    /// This user may not read it.
    Unknown,
}

/// A key is never shown, so no content is.
impl fmt::Debug for FileContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Self::Program => formatter.write_str("the program"),
            Self::Long => formatter.write_str("something long"),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

/// Who brought a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// dpkg: Debian, Ubuntu, Raspberry Pi OS.
    Debian(String),
    /// rpm: Fedora, openSUSE, Red Hat.
    Rpm(String),
    /// Homebrew.
    Homebrew,
    /// A package manager that is not known here: the file stands where only packages put files.
    Unknown,
}

impl fmt::Display for Package {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian(name) | Self::Rpm(name) => write!(formatter, "the package {name}"),
            Self::Homebrew => formatter.write_str("Homebrew"),
            Self::Unknown => formatter.write_str("a package"),
        }
    }
}

/// The service's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It exists, with these ids of user and group.
    Exists {
        /// The user's id.
        uid: u32,
        /// The group's id.
        gid: u32,
    },
    /// It can be made in this way.
    Absent(AccountMaker),
}

/// How a user is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountMaker {
    /// By `systemd-sysusers`.
    Sysusers,
    /// By `useradd`, where systemd has none.
    Useradd,
    /// By `dscl`, with this id for user and group, which nobody has.
    Dscl {
        /// The id.
        id: u32,
    },
}

/// The service, as its manager knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// Whether the manager knows it: systemd has read a unit, launchd a job.
    pub is_loaded: bool,
    /// Whether it runs.
    pub activity: Activity,
    /// Whether it starts with the machine.
    pub boot: BootStart,
}

/// Whether a service runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// It does, or is just being started.
    Running,
    /// It has ended, and its manager is about to start it again; under launchd also one that stays ended until the
    /// next boot, which looks the same.
    Restarting,
    /// It does not.
    #[default]
    Stopped,
}

/// Whether a service starts with the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BootStart {
    /// It does.
    Enabled,
    /// It does not.
    #[default]
    Disabled,
    /// It does not, and nothing else may start it (`systemctl mask`).
    Masked,
}
