//! The paths of the installed service, and the texts that are written there.

use std::path::{Path, PathBuf};

use crate::config::{SERVICE_CONFIG_FILE, SERVICE_KEY_FILE, sample};

use super::description::{LABEL, NAME, UNIT};

/// The systemd unit, the same text as in the packages.
pub const UNIT_TEXT: &str = include_str!("../../../packaging/systemd/ispmon-agent.service");
/// The declaration of the service's user and group for systemd-sysusers.
pub const SYSUSERS_TEXT: &str = include_str!("../../../packaging/systemd/ispmon-agent.sysusers");
/// The message catalog, with the explanations that `journalctl -x` shows.
pub const CATALOG_TEXT: &str = include_str!("../../../packaging/systemd/ispmon-agent.catalog");
/// The property list of the launchd job.
pub const PLIST_TEXT: &str = include_str!("../../../packaging/launchd/net.ispmon.agent.plist");

/// A kind of system that the service can be installed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux, with systemd.
    Linux,
    /// macOS, with launchd.
    MacOs,
}

impl Platform {
    /// The platform that this program was built for; `None` when no service manager is supported there.
    pub fn of_this_build() -> Option<Self> {
        match std::env::consts::OS {
            "linux" => Some(Self::Linux),
            "macos" => Some(Self::MacOs),
            _ => None,
        }
    }

    /// The unprivileged user, and the group of the same name, that the service runs as. The names of macOS
    /// system accounts begin with `_`.
    ///
    /// macOS has the user `daemon`, but other services run as it, and they could read the function key.
    pub fn user(self) -> &'static str {
        match self {
            Self::Linux => "ispmon",
            Self::MacOs => "_ispmon",
        }
    }

    /// The configuration file to write when there is none. On Linux nothing is set in it, because systemd
    /// passes the key to the service. On macOS it has to name the key file.
    pub fn sample(self) -> String {
        match self {
            Self::Linux => sample::SAMPLE.to_owned(),
            Self::MacOs => sample::with(&self.own_settings()),
        }
    }

    /// The settings that the service always needs on this platform.
    pub fn own_settings(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Linux => Vec::new(),
            Self::MacOs => {
                vec![("heartbeat.key_file", Layout::of(self).key.display().to_string())]
            }
        }
    }
}

/// The paths of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The platform.
    pub platform: Platform,
    /// The program.
    pub program: PathBuf,
    /// The systemd unit, or launchd's property list.
    pub service: PathBuf,
    /// The folder of the configuration and the key.
    pub configuration_folder: PathBuf,
    /// The configuration file.
    pub configuration: PathBuf,
    /// The file of the function key.
    pub key: PathBuf,
    /// The folder of the journal.
    pub state_dir: PathBuf,
    /// The paths that only one of the platforms has.
    pub platform_paths: PlatformPaths,
}

/// The paths that only one of the platforms has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformPaths {
    /// Files that systemd reads besides the unit, and its runtime folder.
    Systemd {
        /// The declaration of the user for systemd-sysusers.
        sysusers: PathBuf,
        /// The message catalog. journalctl searches for catalogs in `/usr/lib` and `/usr/local/lib`, not in
        /// `/etc`.
        catalog: PathBuf,
        /// The folder of the control socket, emptied at every boot.
        runtime: PathBuf,
    },
    /// Files that launchd writes.
    Launchd {
        /// The folder of the file with the service's output before its log is open.
        logs: PathBuf,
    },
}

impl Layout {
    /// The paths of a platform.
    pub fn of(platform: Platform) -> Self {
        let (service, record, more) = match platform {
            Platform::Linux => (
                Path::new("/etc/systemd/system").join(UNIT),
                "/var/lib/ispmon",
                PlatformPaths::Systemd {
                    sysusers: format!("/etc/sysusers.d/{NAME}.conf").into(),
                    catalog: format!("/usr/local/lib/systemd/catalog/{NAME}.catalog").into(),
                    runtime: "/run/ispmon".into(),
                },
            ),
            Platform::MacOs => (
                format!("/Library/LaunchDaemons/{LABEL}.plist").into(),
                "/usr/local/var/ispmon",
                PlatformPaths::Launchd { logs: "/Library/Logs/ispmon".into() },
            ),
        };
        Self {
            platform,
            program: Path::new("/usr/local/bin").join(NAME),
            service,
            configuration_folder: "/etc/ispmon".into(),
            configuration: SERVICE_CONFIG_FILE.into(),
            key: SERVICE_KEY_FILE.into(),
            state_dir: record.into(),
            platform_paths: more,
        }
    }

    /// The paths at which packages put programs, units and jobs that `install` must not interfere with.
    pub fn package_paths(platform: Platform) -> Vec<PathBuf> {
        let paths: &[&str] = match platform {
            Platform::Linux => &[
                "/usr/lib/systemd/system/ispmon-agent.service",
                "/lib/systemd/system/ispmon-agent.service",
                "/usr/lib/systemd/system/homebrew.ispmon-agent.service",
                "/etc/systemd/system/homebrew.ispmon-agent.service",
                "/usr/bin/ispmon-agent",
            ],
            Platform::MacOs => &["/Library/LaunchDaemons/homebrew.mxcl.ispmon-agent.plist"],
        };
        paths.iter().map(PathBuf::from).collect()
    }

    /// The folder besides the journal's that the service's manager makes or the service writes to:
    /// systemd's runtime folder, or that of the output under launchd.
    pub fn runtime_or_logs(&self) -> &PathBuf {
        match &self.platform_paths {
            PlatformPaths::Systemd { runtime: folder, .. }
            | PlatformPaths::Launchd { logs: folder } => folder,
        }
    }

    /// The files that belong to the service alone, and that are removed with it.
    pub fn installed(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.service.clone(), self.program.clone()];
        if let PlatformPaths::Systemd { sysusers, catalog, .. } = &self.platform_paths {
            paths.extend([sysusers.clone(), catalog.clone()]);
        }
        paths
    }

    /// All files that `install` writes.
    pub fn files(&self) -> Vec<PathBuf> {
        [self.installed(), vec![self.configuration.clone(), self.key.clone()]].concat()
    }

    /// Temporary copies of the configuration and the key that a killed `install` may have left behind.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let paths = [&self.configuration, &self.key];
        paths
            .into_iter()
            .flat_map(|path| ["old", "new"].map(|what| temporary_path(path, what)))
            .collect()
    }

    /// Every path that `install` writes or reads, including the folders of the files.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.files();
        let folders = files.iter().filter_map(|path| path.parent()).map(Path::to_owned);
        folders
            .chain([self.state_dir.clone(), self.runtime_or_logs().clone()])
            .chain(self.leftovers())
            .chain(files.iter().cloned())
            .collect()
    }
}

/// The temporary name of a file while a plan is carried out; `what` is `old` or `new`.
pub fn temporary_path(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.ispmon-{what}"))
}
