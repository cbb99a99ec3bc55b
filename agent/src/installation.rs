//! How this program was installed, which decides where its files are and what starts its service.
//!
//! Homebrew keeps each version of a formula in a folder of its own, `PREFIX/Cellar/FORMULA/VERSION`, and what
//! outlives a version in `PREFIX/etc` and `PREFIX/var`. The prefix is read from the real path of the running
//! program and from nothing else: a variable such as `HOMEBREW_PREFIX` could be set by anybody, and would
//! have root read somebody else's configuration. Whoever can write to the prefix can replace the program
//! too, so files there are as trustworthy as the program itself.

use std::path::{Path, PathBuf};

/// The formula, and the program that it installs.
const FORMULA: &str = "ispmon-agent";
/// The folder of ispmon in `etc` and `var` of a prefix.
const FOLDER: &str = "ispmon";

/// The prefix of Homebrew that a program was installed in, such as `/opt/homebrew` or
/// `/home/linuxbrew/.linuxbrew`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(PathBuf);

impl Prefix {
    /// That of the running program; nothing when Homebrew did not install it.
    pub fn of_this_program() -> Option<Self> {
        // `bin` and `opt` of a prefix hold links, which Linux has resolved already and macOS has not.
        let program = std::env::current_exe().and_then(|program| program.canonicalize());
        Self::of(&program.ok()?)
    }

    /// That of a program by its path without links: `PREFIX/Cellar/ispmon-agent/VERSION/bin/ispmon-agent`.
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

    /// The folder of the record that the formula's service keeps.
    pub fn state_dir(&self) -> PathBuf {
        self.0.join("var").join(FOLDER)
    }
}

/// The commands by which people manage the service, as they are advised to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceCommands {
    /// `brew services`.
    Homebrew,
    /// `systemctl`.
    Systemd,
    /// The agent's own, for the job of launchd that `ispmon-agent install` has made.
    Launchd,
}

impl ServiceCommands {
    /// That of a program that was installed in `prefix`, or without Homebrew.
    pub fn of(prefix: Option<&Prefix>) -> Self {
        match prefix {
            Some(_) => Self::Homebrew,
            None if cfg!(target_os = "macos") => Self::Launchd,
            None => Self::Systemd,
        }
    }

    /// What to do about an agent that does not run.
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
        }
    }

    /// What to do about an agent that hangs.
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
        }
    }

    /// What to do about an agent that was not started again with the machine.
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
        }
    }

    /// What somebody does to control an agent that is open to its own user and group only.
    pub fn control_advice(self) -> &'static str {
        match self {
            // sudo looks for programs in folders of its own, and Homebrew's is none of them on Linux.
            Self::Homebrew => {
                "be the user that the agent runs as, or root: sudo \"$(command -v ispmon-agent)\" …"
            }
            Self::Systemd => {
                "put sudo before the command, or join the group (sudo usermod -aG ispmon $USER) and log \
                 in again."
            }
            Self::Launchd => "put sudo before the command.",
        }
    }

    /// What to do about an agent that has not read its configuration since that was changed.
    pub fn changed_advice(self) -> &'static str {
        match self {
            Self::Homebrew => "If that is not intended: brew services restart ispmon-agent.",
            Self::Systemd => "If that is not intended: sudo systemctl restart ispmon-agent.",
            Self::Launchd => "If that is not intended: sudo ispmon-agent restart.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_where_the_cellar_of_the_program_is() {
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
    fn a_formula_has_its_files_below_its_prefix() {
        let prefix = Prefix("/opt/homebrew".into());
        assert_eq!(prefix.config_file(), Path::new("/opt/homebrew/etc/ispmon/agent.toml"));
        assert_eq!(prefix.state_dir(), Path::new("/opt/homebrew/var/ispmon"));
    }
}
