//! A folder of its own, with everything in it that a configuration is read from.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ispmon_agent::config::{ConfigError, Flags, Loaded, Sources, load};
use tempfile::TempDir;

/// A temporary folder and sources that know nothing but it.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) sources: Sources,
}

impl Place {
    /// A place without a file, a variable or a flag.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let sources = Sources {
            config_file: None,
            default_files: vec![folder.path().join("etc/agent.toml")],
            flags: Flags::default(),
            homebrew: None,
            service_key: folder.path().join("etc/heartbeat.key"),
            environment: BTreeMap::new(),
            folder: folder.path().to_owned(),
            user: rustix::process::geteuid().as_raw(),
            host_name: "dl-home.example".to_owned(),
        };
        Self { folder, sources }
    }

    /// A place with this text as the configuration file that `--config` names.
    pub(crate) fn with_file(text: impl AsRef<[u8]>) -> Self {
        let mut place = Self::new();
        place.sources.config_file = Some(place.write("agent.toml", text, 0o600));
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file with a mode, and its folders.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        let parent = path.parent().expect("it lies in the folder");
        fs::create_dir_all(parent).expect("folders can be made");
        fs::write(&path, content).expect("files can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("modes can be set");
        path
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        load(&self.sources)
    }

    /// Loads what has no problem.
    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("there is no problem: {error}"))
    }

    /// The problems of what has some, one a line, with `[folder]` for the path of this place.
    pub(crate) fn problems(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("there is a problem: {:?}", loaded.effective),
            Err(error) => self.anonymous(&error.to_string()),
        }
    }

    /// The warnings, one a line, with `[folder]` for the path of this place.
    pub(crate) fn warnings(&self) -> String {
        self.anonymous(&self.loaded().warnings.join("\n"))
    }

    /// The value and the source of a setting as they are shown.
    pub(crate) fn shown(&self, key: &str) -> (String, String) {
        let loaded = self.loaded();
        let setting = loaded.effective.iter().find(|setting| setting.key == key);
        let setting = setting.unwrap_or_else(|| panic!("{key} is shown"));
        (setting.value.clone().unwrap_or_default(), self.anonymous(&setting.source))
    }

    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(&self.folder.path().display().to_string(), "[folder]")
    }
}
