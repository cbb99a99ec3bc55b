//! A temporary folder with all sources of a configuration.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ispmon_agent::config::{ConfigError, Flags, Loaded, Reader, Sources, load};
use tempfile::TempDir;

/// A temporary folder, and sources that refer only to that folder.
pub(crate) struct Setup {
    folder: TempDir,
    pub(crate) sources: Sources,
}

impl Setup {
    /// Without a file, a variable or a flag.
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
            reader: Reader::Command,
            host_name: "dl-home.example".to_owned(),
        };
        Self { folder, sources }
    }

    /// With this text in the configuration file that `--config` names.
    pub(crate) fn with_file(text: impl AsRef<[u8]>) -> Self {
        let mut setup = Self::new();
        setup.sources.config_file = Some(setup.write("agent.toml", text, 0o600));
        setup
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file with a mode and creates its parent folders.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        let parent = path.parent().expect("the path is in the folder");
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

    /// Loads a configuration that must be valid.
    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("the configuration is invalid: {error}"))
    }

    /// The problems of an invalid configuration, one per line, with `[folder]` for the path of the folder.
    pub(crate) fn problems(&self) -> String {
        match self.load() {
            Ok(loaded) => panic!("the configuration is valid: {:?}", loaded.effective),
            Err(error) => self.anonymous(&error.to_string()),
        }
    }

    /// The warnings, one per line, with `[folder]` for the path of the folder.
    pub(crate) fn warnings(&self) -> String {
        self.anonymous(&self.loaded().warnings.join("\n"))
    }

    /// Value and source of a setting as the command `config` shows them.
    pub(crate) fn shown(&self, key: &str) -> (String, String) {
        let loaded = self.loaded();
        let setting = loaded.effective.iter().find(|setting| setting.key == key);
        let setting = setting.unwrap_or_else(|| panic!("{key} is not shown"));
        (setting.value.clone().unwrap_or_default(), self.anonymous(&setting.source))
    }

    pub(crate) fn anonymous(&self, text: &str) -> String {
        // On macOS the path of a temporary folder begins with a link.
        let real = self.folder.path().canonicalize().expect("it exists").display().to_string();
        text.replace(&real, "[folder]")
            .replace(&self.folder.path().display().to_string(), "[folder]")
    }
}
