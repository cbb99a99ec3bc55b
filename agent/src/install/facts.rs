//! The state of this system before anything is changed.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::{
    description::UNIT,
    layout::{Layout, Platform},
};

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct InstallFacts {
    /// The kind of system.
    pub platform: Platform,
    /// Whether the caller is root and may change the system.
    pub is_root: bool,
    /// Why no service manager can be used; `None` when one runs.
    pub obstacle: Option<Obstacle>,
    /// The path of the running program.
    pub program: PathBuf,
    /// Its size in bytes.
    pub program_bytes: u64,
    /// The files and folders that exist at the paths of the layout.
    pub entries: BTreeMap<PathBuf, PathEntry>,
    /// The paths among these that a package installed.
    pub packages: BTreeMap<PathBuf, Package>,
    /// The service's user account.
    pub account: AccountState,
    /// The state of the service according to its manager.
    pub service: ServiceState,
    /// The version of systemd; `None` without systemd, or when it does not report one.
    pub systemd: Option<u32>,
}

impl InstallFacts {
    /// The entry at a path, if one exists.
    pub fn entry(&self, path: &Path) -> Option<&PathEntry> {
        self.entries.get(path)
    }

    /// The paths of this platform.
    pub fn layout(&self) -> Layout {
        Layout::of(self.platform)
    }

    /// The first file that belongs to a package, and the package.
    pub fn package(&self) -> Option<(&Path, &Package)> {
        self.packages.iter().next().map(|(path, package)| (path.as_path(), package))
    }

    /// The first package whose service has the same configuration, key, journal and user as that of
    /// `install`, and one of its files. The service of Homebrew has its own.
    pub fn sharing_package(&self) -> Option<(&Path, &Package)> {
        let mut packages = self.packages.iter();
        let (path, package) = packages.find(|(_, package)| **package != Package::Homebrew)?;
        Some((path.as_path(), package))
    }

    /// Whether a package has installed a unit of the same name as that of `install`, which hides it.
    pub fn has_packaged_unit(&self) -> bool {
        self.packages.keys().any(|path| path.file_name().is_some_and(|name| name == UNIT))
    }
}

/// Why no service manager can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This is a chroot: the only reachable service manager belongs to the system outside.
    Chroot,
    /// Windows Subsystem for Linux, with systemd turned off.
    Wsl,
    /// A container without a service manager.
    Container,
    /// Another service manager runs this system; its name.
    OtherManager(String),
}

/// The kind of file at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathEntry {
    /// A regular file.
    File {
        /// Its content.
        content: FileContent,
        /// Its permission bits.
        mode: u32,
        /// The owner's user id.
        uid: u32,
        /// The owner's group id.
        gid: u32,
    },
    /// A folder, or a link to one.
    Folder {
        /// The owner's user id.
        uid: u32,
    },
    /// A symbolic link with this target.
    Link(PathBuf),
    /// A device, socket or pipe.
    Other,
}

/// The content of a file, as far as the plan needs it.
#[derive(Clone, PartialEq, Eq)]
pub enum FileContent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The same bytes as the running program.
    Program,
    /// A file too long to compare.
    Long,
    /// The caller may not read it.
    Unknown,
}

/// Prints lengths only: the bytes may be a function key.
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

/// The package that installed a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// dpkg: Debian, Ubuntu, Raspberry Pi OS.
    Debian(String),
    /// rpm: Fedora, openSUSE, Red Hat.
    Rpm(String),
    /// Homebrew.
    Homebrew,
    /// A package manager that is not supported: only packages put files at this path.
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

/// Whether the service's user exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It exists with these ids.
    Exists {
        /// The user's id.
        uid: u32,
        /// The group's id.
        gid: u32,
        /// Whether it looks as `install` and the packages create it. Another one may be a person's, and is
        /// never removed.
        is_service_account: bool,
    },
    /// It does not exist; this tool can create it.
    Absent(AccountMaker),
}

/// The tool that creates the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountMaker {
    /// `systemd-sysusers`.
    Sysusers,
    /// `useradd`, on systems without `systemd-sysusers`.
    Useradd,
    /// `dscl`, with this unused id for both user and group.
    Dscl {
        /// The id.
        id: u32,
    },
}

/// The state of the service according to its manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// Whether the manager has loaded the unit (systemd) or the job (launchd).
    pub is_loaded: bool,
    /// Whether it runs.
    pub activity: Activity,
    /// Whether it starts at boot.
    pub boot: BootStart,
}

/// Whether a service runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// It runs, or is being started.
    Running,
    /// It has ended and its manager will start it again. Also, under launchd, a job that stays ended until
    /// the next boot: launchd reports both alike.
    Restarting,
    /// It does not run.
    #[default]
    Stopped,
}

/// Whether a service starts at boot.
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
