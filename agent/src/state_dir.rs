//! Locates the state folder, in which the agent keeps the journal, for the agent and for readers;
//! and opens files in it.

pub(crate) mod file;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// The name of the folder within the system's and the user's state folders.
const NAME: &str = "ispmon";
/// The system folders for data of services that survives a reboot.
const SYSTEM: &[&str] = if cfg!(target_os = "macos") {
    &["/usr/local/var", "/opt/homebrew/var"]
} else {
    &["/var/lib"]
};

/// The folder in which an agent keeps its journal: the first of these that applies.
///
/// 1. `setting`, the setting `state_dir`;
/// 2. the first path of `STATE_DIRECTORY`, which systemd sets (systemd.exec(5));
/// 3. `homebrew`, the folder of the formula that installed this program, so that its service has
///    one journal whether root or the owner of the prefix runs it;
/// 4. for root, the system's folder;
/// 5. `ispmon` in `XDG_STATE_HOME`, or on macOS in the user's Application Support;
/// 6. the same at the default location, below `HOME`.
///
/// `None` when none applies: no setting, no root and no home.
pub fn for_agent(
    setting: Option<&Path>,
    environment: &BTreeMap<OsString, OsString>,
    homebrew: Option<PathBuf>,
    is_root: bool,
) -> Option<PathBuf> {
    setting
        .map(Path::to_owned)
        .or_else(|| of_systemd(environment))
        .or(homebrew)
        .or_else(|| is_root.then(|| Path::new(SYSTEM[0]).join(NAME)))
        .or_else(|| of_user(environment))
}

/// The folders in which a reader searches for a journal: only `setting` if it is given; otherwise
/// all in which an agent may keep it, in this order: systemd's `STATE_DIRECTORY`, `homebrew` (the
/// folder of the formula that installed this program), the system's and the user's.
pub fn for_readers(
    setting: Option<&Path>,
    environment: &BTreeMap<OsString, OsString>,
    homebrew: Option<PathBuf>,
) -> Vec<PathBuf> {
    if let Some(setting) = setting {
        return vec![setting.to_owned()];
    }
    let system = SYSTEM.iter().map(|folder| Path::new(folder).join(NAME));
    let mut folders = Vec::new();
    let all = of_systemd(environment).into_iter().chain(homebrew).chain(system);
    for folder in all.chain(of_user(environment)) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn of_systemd(environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    std::env::split_paths(environment.get(OsStr::new("STATE_DIRECTORY"))?)
        .find(|path| path.is_absolute())
}

fn of_user(environment: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    // The XDG Base Directory Specification requires ignoring relative paths.
    let folder = |name: &str| {
        let path = Path::new(environment.get(OsStr::new(name))?);
        path.is_absolute().then(|| path.to_owned())
    };
    if cfg!(target_os = "macos") {
        return Some(folder("HOME")?.join("Library/Application Support").join(NAME));
    }
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn brew() -> PathBuf {
        "/opt/homebrew/var/ispmon".into()
    }

    fn agents(variables: &[(&str, &str)], is_root: bool) -> Option<PathBuf> {
        for_agent(None, &environment(variables), None, is_root)
    }

    #[test]
    fn the_setting_overrides_everything() {
        let environment = environment(&[("STATE_DIRECTORY", "/var/lib/x"), ("HOME", "/home/me")]);
        let setting = Path::new("/mnt/usb/ispmon");
        assert_eq!(
            for_agent(Some(setting), &environment, Some(brew()), true).as_deref(),
            Some(setting)
        );
        assert_eq!(for_readers(Some(setting), &environment, Some(brew())), [setting]);
    }

    #[test]
    fn systemd_names_the_folder_of_its_service() {
        let variables = [("STATE_DIRECTORY", "/var/lib/ispmon:/var/lib/more"), ("HOME", "/root")];
        assert_eq!(agents(&variables, true), Some("/var/lib/ispmon".into()));
        assert_eq!(agents(&variables, false), Some("/var/lib/ispmon".into()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn root_uses_the_system_folder_and_others_use_their_own() {
        let home = ("HOME", "/home/me");
        assert_eq!(agents(&[home], true), Some("/var/lib/ispmon".into()));
        assert_eq!(agents(&[home], false), Some("/home/me/.local/state/ispmon".into()));
        let state = ("XDG_STATE_HOME", "/home/me/state");
        assert_eq!(agents(&[home, state], false), Some("/home/me/state/ispmon".into()));
        let relative = ("XDG_STATE_HOME", "state");
        assert_eq!(agents(&[home, relative], false), Some("/home/me/.local/state/ispmon".into()));
        assert_eq!(agents(&[("STATE_DIRECTORY", "")], false), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn readers_search_the_folders_of_the_service_and_of_the_user() {
        assert_eq!(
            for_readers(None, &environment(&[("HOME", "/home/me")]), None),
            ["/var/lib/ispmon", "/home/me/.local/state/ispmon"].map(PathBuf::from)
        );
        assert_eq!(for_readers(None, &environment(&[]), None), [PathBuf::from("/var/lib/ispmon")]);
    }

    #[test]
    fn a_program_installed_by_homebrew_uses_the_formulas_folder_for_every_user() {
        let home = environment(&[("HOME", "/home/me")]);
        for is_root in [false, true] {
            assert_eq!(for_agent(None, &home, Some(brew()), is_root), Some(brew()));
        }
        assert_eq!(for_readers(None, &home, Some(brew())).first(), Some(&brew()));
        let systemds = environment(&[("STATE_DIRECTORY", "/var/lib/ispmon")]);
        assert_eq!(for_agent(None, &systemds, Some(brew()), true), Some("/var/lib/ispmon".into()));
    }

    #[test]
    fn no_folder_is_searched_twice() {
        let system = Path::new(SYSTEM[0]).join(NAME);
        let folders = for_readers(None, &environment(&[]), Some(system.clone()));
        assert_eq!(folders.iter().filter(|folder| **folder == system).count(), 1, "{folders:?}");
    }
}
