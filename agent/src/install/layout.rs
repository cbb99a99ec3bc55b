//! Where everything of the service stands, and the texts that are put there.

use std::path::{Path, PathBuf};

use crate::config::sample;

use super::description::{LABEL, NAME, UNIT};

/// The unit, the same text that the packages ship.
pub const UNIT_TEXT: &str = include_str!("../../../packaging/systemd/ispmon-agent.service");
/// The service's user and group, for systemd-sysusers.
pub const SYSUSERS_TEXT: &str = include_str!("../../../packaging/systemd/ispmon-agent.sysusers");
/// What `journalctl -x` explains.
pub const CATALOG_TEXT: &str = include_str!("../../../packaging/systemd/ispmon-agent.catalog");
/// The job for launchd.
pub const PLIST_TEXT: &str = include_str!("../../../packaging/launchd/net.ispmon.agent.plist");

/// A kind of system that a service can be installed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux, with systemd.
    Linux,
    /// macOS, with launchd.
    MacOs,
}

impl Platform {
    /// The one that this program was built for; nothing when it knows no service manager of it.
    pub fn of_this_build() -> Option<Self> {
        match std::env::consts::OS {
            "linux" => Some(Self::Linux),
            "macos" => Some(Self::MacOs),
            _ => None,
        }
    }

    /// The unprivileged user, and group, that the service runs as. System accounts of macOS begin with `_`.
    ///
    /// Under macOS there is `daemon` too, but other services run as it, and they could read the function key.
    pub fn user(self) -> &'static str {
        match self {
            Self::Linux => "ispmon",
            Self::MacOs => "_ispmon",
        }
    }

    /// What is put into the configuration file when there is none: nothing that is set on Linux, where
    /// systemd hands the key to the service. On macOS the file must be named.
    pub fn sample(self) -> String {
        match self {
            Self::Linux => sample::SAMPLE.to_owned(),
            Self::MacOs => sample::with(&self.own_settings()),
        }
    }

    /// The settings that the service needs on this platform whatever else is set.
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
    /// The unit, or the property list.
    pub service: PathBuf,
    /// The folder of configuration and key.
    pub configuration_folder: PathBuf,
    /// The configuration.
    pub configuration: PathBuf,
    /// The function key.
    pub key: PathBuf,
    /// The record of outages.
    pub record: PathBuf,
    /// What only one of the platforms has.
    pub more: More,
}

/// What only one of the platforms has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum More {
    /// What systemd reads beside the unit.
    Systemd {
        /// The user, for systemd-sysusers.
        sysusers: PathBuf,
        /// The message catalog. journalctl looks for catalogs in `/usr/lib` and `/usr/local/lib`, not in
        /// `/etc`.
        catalog: PathBuf,
        /// The folder of the control socket, for as long as the machine runs.
        runtime: PathBuf,
    },
    /// What launchd writes.
    Launchd {
        /// The folder of what the service says before its log is open.
        logs: PathBuf,
    },
}

impl Layout {
    /// The paths of a platform.
    pub fn of(platform: Platform) -> Self {
        let configuration_folder = PathBuf::from("/etc/ispmon");
        let (service, record, more) = match platform {
            Platform::Linux => (
                Path::new("/etc/systemd/system").join(UNIT),
                "/var/lib/ispmon",
                More::Systemd {
                    sysusers: format!("/etc/sysusers.d/{NAME}.conf").into(),
                    catalog: format!("/usr/local/lib/systemd/catalog/{NAME}.catalog").into(),
                    runtime: "/run/ispmon".into(),
                },
            ),
            Platform::MacOs => (
                format!("/Library/LaunchDaemons/{LABEL}.plist").into(),
                "/usr/local/var/ispmon",
                More::Launchd { logs: "/Library/Logs/ispmon".into() },
            ),
        };
        Self {
            platform,
            program: Path::new("/usr/local/bin").join(NAME),
            service,
            configuration: configuration_folder.join("agent.toml"),
            key: configuration_folder.join("heartbeat.key"),
            configuration_folder,
            record: record.into(),
            more,
        }
    }

    /// Where packages put what `install` must not get in the way of: programs, units and jobs.
    pub fn of_packages(platform: Platform) -> Vec<PathBuf> {
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

    /// The files that only the service has, and that go with it.
    pub fn installed(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.service.clone(), self.program.clone()];
        if let More::Systemd { sysusers, catalog, .. } = &self.more {
            paths.extend([sysusers.clone(), catalog.clone()]);
        }
        paths
    }

    /// All files that `install` writes.
    pub fn files(&self) -> Vec<PathBuf> {
        [self.installed(), vec![self.configuration.clone(), self.key.clone()]].concat()
    }

    /// What an `install` that was killed may have left of the configuration and the key.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let paths = [&self.configuration, &self.key];
        paths.into_iter().flat_map(|path| ["old", "new"].map(|what| beside(path, what))).collect()
    }

    /// Every path that `install` writes or looks at, with the folders of the files.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.files();
        let folders = files.iter().filter_map(|path| path.parent()).map(Path::to_owned);
        let more = match &self.more {
            More::Systemd { runtime, .. } => runtime.clone(),
            More::Launchd { logs } => logs.clone(),
        };
        folders
            .chain([self.record.clone(), more])
            .chain(self.leftovers())
            .chain(files.iter().cloned())
            .collect()
    }
}

/// The name that something has for as long as a plan is carried out.
pub fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.ispmon-{what}"))
}
