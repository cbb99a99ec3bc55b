//! How this program was installed, which decides where its files are and what starts its service.
//!
//! Homebrew keeps each version of a formula in its own folder, `PREFIX/Cellar/FORMULA/VERSION`, and the
//! data that outlives a version in `PREFIX/etc` and `PREFIX/var`. The prefix is read from the real path of
//! the running program only: anyone can set a variable such as `HOMEBREW_PREFIX` and so make root read
//! another user's configuration. A user who can write to the prefix can also replace the program, so files
//! there are as trustworthy as the program itself.

use std::path::{Path, PathBuf};

/// The name of the formula and of the program that it installs.
const FORMULA: &str = "ispmon-agent";
/// The user, and the group of the same name, that the service of a package or of `ispmon-agent install` runs
/// as. The names of macOS system accounts begin with `_`.
pub const SERVICE_USER: &str = if cfg!(target_os = "macos") { "_ispmon" } else { "ispmon" };
/// The folder of ispmon in a prefix's `etc` and `var`.
const FOLDER: &str = "ispmon";

/// The Homebrew prefix that a program is installed in, such as `/opt/homebrew` or
/// `/home/linuxbrew/.linuxbrew`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(PathBuf);

impl Prefix {
    /// The prefix of the running program; `None` when Homebrew did not install it.
    pub fn of_this_program() -> Option<Self> {
        // `bin` and `opt` of a prefix contain links. Linux has resolved them already, macOS has not.
        let program = std::env::current_exe().and_then(|program| program.canonicalize());
        Self::of(&program.ok()?)
    }

    /// The prefix of a program, from its path without links:
    /// `PREFIX/Cellar/ispmon-agent/VERSION/bin/ispmon-agent`.
    pub fn of(program: &Path) -> Option<Self> {
        let bin = program.parent()?;
        let formula = bin.parent()?.parent()?;
        let cellar = formula.parent()?;
        let is_homebrew = program.ends_with(FORMULA)
            && bin.ends_with("bin")
            && formula.ends_with(FORMULA)
            && cellar.ends_with("Cellar");
        is_homebrew.then(|| cellar.parent().map(|prefix| Self(prefix.to_owned())))?
    }

    /// The configuration file of the formula.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("etc").join(FOLDER).join("agent.toml")
    }

    /// The journal's folder of the formula's service.
    pub fn state_dir(&self) -> PathBuf {
        self.0.join("var").join(FOLDER)
    }
}

/// The commands that users are advised to manage the service with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceCommands {
    /// `brew services`.
    Homebrew,
    /// `systemctl`.
    Systemd,
    /// The agent's own commands, for the launchd job that `ispmon-agent install` creates.
    Launchd,
    /// None: no service manager is known that could run the agent.
    Unmanaged,
}

impl ServiceCommands {
    /// The commands for a program in the Homebrew `prefix`, or without Homebrew.
    pub fn of(prefix: Option<&Prefix>) -> Self {
        match prefix {
            Some(_) => Self::Homebrew,
            None if cfg!(target_os = "macos") => Self::Launchd,
            // sd_booted(3).
            None if Path::new("/run/systemd/system").is_dir() => Self::Systemd,
            None => Self::Unmanaged,
        }
    }

    /// Advice when the agent does not run.
    pub fn start_advice(self) -> &'static str {
        match self {
            Self::Homebrew => {
                "Start it with: brew services start ispmon-agent (or, in a terminal: ispmon-agent run)."
            }
            Self::Systemd => {
                "Start it with: sudo systemctl start ispmon-agent (or, in a terminal: ispmon-agent run). If it \
                 ends at once, systemctl status ispmon-agent says why."
            }
            Self::Launchd => {
                "Start it with: sudo ispmon-agent start (or, in a terminal: ispmon-agent run)."
            }
            Self::Unmanaged => {
                "Start it with: ispmon-agent run, in a terminal or by what runs services on this machine, because \
                 systemd does not run here."
            }
        }
    }

    /// Advice when the agent hangs.
    pub fn restart_advice(self) -> &'static str {
        match self {
            Self::Homebrew => {
                "Restart it, and look into its log: brew services restart ispmon-agent."
            }
            Self::Systemd => {
                "Restart it, and look into its log: sudo systemctl restart ispmon-agent; journalctl -u \
                 ispmon-agent."
            }
            Self::Launchd => {
                "Restart it, and look into its log: sudo ispmon-agent restart; /Library/Logs/ispmon/agent.log."
            }
            Self::Unmanaged => "Restart it, and look into what it has printed.",
        }
    }

    /// Advice when the agent was not started at boot.
    pub fn enable_advice(self) -> &'static str {
        match self {
            Self::Homebrew => {
                "Have it started at each boot: sudo brew services start ispmon-agent; without sudo it \
                 starts when you log in."
            }
            Self::Systemd => {
                "Have it started at each boot: sudo systemctl enable --now ispmon-agent."
            }
            Self::Launchd => "Have it started at each boot: sudo ispmon-agent start.",
            Self::Unmanaged => {
                "Have it started at each boot by what runs services on this machine."
            }
        }
    }

    /// Advice when the user may not use the control socket, which is open to the agent's own user and group
    /// only.
    pub fn control_advice(self) -> &'static str {
        match self {
            // sudo has its own search path, and on Linux it does not contain Homebrew's folder.
            Self::Homebrew => {
                "be the user that the agent runs as, or root: sudo \"$(command -v ispmon-agent)\" …"
            }
            Self::Systemd | Self::Unmanaged => {
                "put sudo before the command, or join the group (sudo usermod -aG ispmon $USER) and log \
                 in again."
            }
            Self::Launchd => "put sudo before the command.",
        }
    }

    /// Advice when the configuration was changed and the agent has not read it since.
    pub fn changed_advice(self) -> &'static str {
        match self {
            Self::Homebrew => "If that is not intended: brew services restart ispmon-agent.",
            Self::Systemd => "If that is not intended: sudo systemctl restart ispmon-agent.",
            Self::Launchd => "If that is not intended: sudo ispmon-agent restart.",
            Self::Unmanaged => "If that is not intended, restart the agent.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_the_parent_of_the_programs_cellar() {
        for (program, prefix) in [
            ("/opt/homebrew/Cellar/ispmon-agent/0.1.0/bin/ispmon-agent", Some("/opt/homebrew")),
            ("/usr/local/Cellar/ispmon-agent/0.1.0_1/bin/ispmon-agent", Some("/usr/local")),
            (
                "/home/me/.linuxbrew/Cellar/ispmon-agent/HEAD-e2c7c74/bin/ispmon-agent",
                Some("/home/me/.linuxbrew"),
            ),
            ("/Cellar/ispmon-agent/0.1.0/bin/ispmon-agent", Some("/")),
            ("/usr/bin/ispmon-agent", None),
            ("/usr/local/bin/ispmon-agent", None),
            ("/opt/homebrew/opt/ispmon-agent/bin/ispmon-agent", None),
            ("/opt/homebrew/Cellar/ispmon-agent/0.1.0/bin/ispmon-lab", None),
            ("/opt/homebrew/Cellar/other/0.1.0/bin/ispmon-agent", None),
            ("/opt/homebrew/Cellar/ispmon-agent/0.1.0/libexec/ispmon-agent", None),
            ("ispmon-agent", None),
        ] {
            let found = Prefix::of(Path::new(program));
            assert_eq!(found, prefix.map(|prefix| Prefix(prefix.into())), "{program}");
        }
    }

    #[test]
    fn a_formula_keeps_its_files_below_its_prefix() {
        let prefix = Prefix("/opt/homebrew".into());
        assert_eq!(prefix.config_file(), Path::new("/opt/homebrew/etc/ispmon/agent.toml"));
        assert_eq!(prefix.state_dir(), Path::new("/opt/homebrew/var/ispmon"));
    }
}
