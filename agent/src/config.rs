//! The configuration: from all its sources to checked settings, or to every problem at once.
//!
//! Sources, each overriding the one before: the defaults in the [`table`], the configuration file
//! (or the `.env` of the current folder where no file exists), variables, flags. Nothing here reads
//! the process's own environment, folder or user: [`Sources`] carries them in, so that a reload
//! starts from the same ones, and a test from its own.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

mod check;
mod dotenv;
pub(crate) mod duration;
mod environment;
mod file;
mod flags;
mod host_name;
mod key;
mod layer;
mod merge;
mod origin;
mod problem;
mod regular_file;
pub mod sample;
pub mod settings;
mod suggestion;
pub mod table;
mod url;

pub use file::default_paths;
pub use flags::Flags;
pub use host_name::of_this_machine as host_name;
pub use key::SERVICE_KEY_FILE;
pub use origin::SettingOrigin;
pub use problem::{ConfigError, ConfigProblem};
pub use settings::{
    FunctionKey, HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl, LogSettings,
    ProbeSettings, Settings,
};

use crate::installation::Prefix;
use layer::Layer;
use problem::Problems;

/// Everything that settings are read from. It cannot be printed: the variables of the environment
/// hold secrets, of others if not ours.
#[derive(Clone)]
pub struct Sources {
    /// The file that `--config` names, which must exist then.
    pub config_file: Option<PathBuf>,
    /// Where a file is looked for when none is named; the first that exists is used.
    pub default_files: Vec<PathBuf>,
    /// The flags of the command line.
    pub flags: Flags,
    /// The prefix of the Homebrew that installed this program, if one did.
    pub homebrew: Option<Prefix>,
    /// The file from which the service has its key: [`SERVICE_KEY_FILE`], but in tests.
    pub service_key: PathBuf,
    /// The variables of the environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// The current folder, where `.env` is looked for and where relative paths start.
    pub folder: PathBuf,
    /// The effective id of the user that the agent runs as.
    pub user: u32,
    /// The name of this machine.
    pub host_name: String,
}

impl Sources {
    /// The sources of this process: the file and the settings that the command line gives, and the process's
    /// own environment.
    ///
    /// # Errors
    /// The current folder is not known, because it was deleted or may not be entered.
    pub fn of_this_process(config_file: Option<PathBuf>, flags: Flags) -> io::Result<Self> {
        let homebrew = Prefix::of_this_program();
        Ok(Self {
            config_file,
            default_files: default_paths(homebrew.as_ref()),
            flags,
            homebrew,
            service_key: SERVICE_KEY_FILE.into(),
            environment: std::env::vars_os().collect(),
            folder: std::env::current_dir()?,
            user: rustix::process::geteuid().as_raw(),
            host_name: host_name(),
        })
    }
}

/// A configuration without a problem.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// What the user should know although nothing is wrong: one sentence each, without a secret.
    pub warnings: Vec<String>,
    /// Every setting as it came out, in the order of the table, the function key last.
    pub effective: Vec<Effective>,
    /// The configuration file that was read, or the `.env` in its place, if there is any.
    pub file: Option<PathBuf>,
}

/// One setting as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its key, or `function key`.
    pub key: &'static str,
    /// Its value as it may be shown: secrets are masked. Nothing when it is not set.
    pub value: Option<String>,
    /// Where the value came from.
    pub source: String,
}

/// Reads and checks the whole configuration. A reload calls this again with the same sources.
///
/// # Errors
/// All problems that there are, none of them with a secret.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    read(sources, true)
}

/// The same for a command that sends nothing: a function key that this user may not read is left out
/// instead of being a problem, for the key is the service's, and the command works without root.
///
/// # Errors
/// All other problems.
pub fn load_without_key(sources: &Sources) -> Result<Loaded, ConfigError> {
    read(sources, false)
}

fn read(sources: &Sources, is_key_needed: bool) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let named = sources.config_file.as_deref().map(|path| sources.folder.join(path));
    let base = file::read(named.as_deref(), &sources.default_files, &mut problems)
        .or_else(|| dotenv::read(&sources.folder, sources.user, &mut problems, &mut warnings));
    merge_and_check(sources, base, is_key_needed, None, problems, warnings)
}

/// The settings that a `.env` sets, which the user has named: keys and texts, in the order of the table.
///
/// # Errors
/// It cannot be read, or some of it cannot be understood.
pub fn dotenv_settings(path: &Path) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let mut problems = Problems::default();
    let settings = dotenv::settings(path, &mut problems);
    problems.finish().map(|()| settings)
}

/// The path and the text of the key file that the `.env` at `from` names. It may be open to others, as the `.env` may.
///
/// # Errors
/// It is no small regular file that can be read.
pub fn dotenv_key_file(from: &Path, named: &str) -> (PathBuf, io::Result<String>) {
    let origin = SettingOrigin::File { path: from.to_owned(), line: None };
    let path = located(named, &origin, Path::new("/"));
    let text = key::read_text(&path).map_err(|error| io::Error::other(error.reason()));
    (path, text)
}

/// Reads and checks a text that is to become the configuration file at `path`, with the path and the
/// content of the key file that is to be written, too. Of `sources`, only the name of this machine counts.
///
/// # Errors
/// All problems that there would be.
pub fn load_text(
    path: &Path,
    text: &str,
    key: Option<(&Path, &str)>,
    sources: &Sources,
) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let base = file::of_text(path, text, &mut problems);
    let sources = Sources {
        config_file: None,
        default_files: Vec::new(),
        flags: Flags::default(),
        environment: BTreeMap::new(),
        folder: PathBuf::from("/"),
        user: 0,
        ..sources.clone()
    };
    merge_and_check(&sources, Some(base), false, key, problems, Vec::new())
}

/// Merges and checks what all sources give.
fn merge_and_check(
    sources: &Sources,
    base: Option<layer::FileLayer>,
    is_key_needed: bool,
    given_key: Option<(&Path, &str)>,
    mut problems: Problems,
    mut warnings: Vec<String>,
) -> Result<Loaded, ConfigError> {
    let (base, file, is_public) = match base {
        Some(base) => (Some(base.layer), Some(base.path), base.is_public),
        None => (None, None, false),
    };
    let layers = [
        Some(Layer::defaults()),
        base,
        Some(environment::layer(&sources.environment, &mut problems)),
        Some(flags(&sources.flags)),
    ];
    let given = merge::merge(layers.into_iter().flatten().collect(), &mut problems);
    let mut check = check::SettingsCheck {
        given,
        is_key_needed,
        given_key,
        problems: &mut problems,
        warnings: &mut warnings,
    };
    let (settings, effective) = check.settings(sources, file.as_deref().filter(|_| is_public));
    problems.finish()?;
    Ok(Loaded { settings, warnings, effective, file })
}

fn flags(flags: &Flags) -> Layer {
    let mut layer = Layer::new("flags", SettingOrigin::Default);
    for (flag, value) in flags.given() {
        let setting = table::SETTINGS.iter().find(|setting| setting.flag == Some(flag));
        if let Some(setting) = setting {
            layer.set(setting.key, value.to_owned(), SettingOrigin::Flag(flag));
        }
    }
    layer
}

/// A path that a source names: one that begins with `./` or `../` starts at the source's folder.
fn located(path: &str, origin: &SettingOrigin, folder: &Path) -> PathBuf {
    let base = match origin {
        SettingOrigin::File { path, .. } | SettingOrigin::DotEnv { path, .. } => {
            path.parent().map_or_else(|| folder.to_owned(), |parent| folder.join(parent))
        }
        _ => folder.to_owned(),
    };
    // Joining keeps the dots, and a message reads better without the first.
    base.join(path.strip_prefix("./").unwrap_or(path))
}
