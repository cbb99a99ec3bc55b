//! Reads the configuration from all its sources and returns checked settings, or all problems together.
//!
//! Sources, each overriding the one before: the defaults in the [`table`], the configuration file (or the
//! `.env` of the current folder where no file exists), environment variables, flags. Nothing here reads the
//! process's own environment, folder or user: they are part of [`Sources`], so that a reload uses the same
//! ones and a test its own.

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
mod key_place;
mod layer;
mod origin;
mod problem;
mod regular_file;
mod remedy;
pub mod sample;
pub mod settings;
mod suggestion;
pub mod table;
mod url;

pub use dotenv::DotenvSetting;
pub use file::{SERVICE_CONFIG_FILE, default_paths};
pub use flags::Flags;
pub use host_name::of_this_machine as host_name;
pub use key::SERVICE_KEY_FILE;
pub use problem::{ConfigError, ConfigProblem};
pub use remedy::ReadRefusal;
pub use settings::{
    FunctionKey, HeartbeatKind, HeartbeatMethod, HeartbeatSettings, HeartbeatUrl, LogSettings,
    ProbeSettings, Settings,
};

use crate::{
    file_access::{PathWalk, SystemAccount},
    installation::Prefix,
};
use key_place::KeyPlace;
use layer::Layer;
use origin::SettingOrigin;
use problem::Problems;

/// Everything that settings are read from. It has no `Debug`, because the environment variables may contain
/// secrets, ours or those of other programs.
#[derive(Clone)]
pub struct Sources {
    /// The path from `--config`; the file must exist.
    pub config_file: Option<PathBuf>,
    /// The paths to try when `--config` is not given; the first existing file is used.
    pub default_files: Vec<PathBuf>,
    /// The flags of the command line.
    pub flags: Flags,
    /// The Homebrew prefix that this program is installed in, if any.
    pub homebrew: Option<Prefix>,
    /// The file that the service reads its key from: [`SERVICE_KEY_FILE`], except in tests.
    pub service_key: PathBuf,
    /// The environment variables.
    pub environment: BTreeMap<OsString, OsString>,
    /// The current folder, which relative paths start from and whose `.env` is read.
    pub folder: PathBuf,
    /// The effective user id of this process.
    pub user: u32,
    /// Who reads them.
    pub reader: Reader,
    /// The host name of this machine.
    pub host_name: String,
}

/// Who reads the configuration, which decides whose rights a message speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A command that a user runs.
    Command,
    /// The agent itself.
    Service,
}

impl Sources {
    /// The sources of this process: the file and flags of its command line, and its own environment.
    ///
    /// # Errors
    /// The current folder was deleted or may not be entered.
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
            reader: Reader::Command,
            host_name: host_name(),
        })
    }
}

/// A configuration without problems.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// Warnings about settings that are valid, one sentence each, without secrets.
    pub warnings: Vec<String>,
    /// Every setting with its effective value, in the order of the table, the function key last.
    pub effective: Vec<Effective>,
    /// The configuration file that was read, or the `.env` instead, if any.
    pub file: Option<PathBuf>,
}

/// A setting with its effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its key, or `function key`.
    pub key: &'static str,
    /// Its value, masked if secret; `None` when it is not set.
    pub value: Option<String>,
    /// The source of the value, as text.
    pub source: String,
}

/// Reads and checks the whole configuration. A reload calls this again with the same sources.
///
/// # Errors
/// All problems together, without secrets.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    read(sources, true)
}

/// Like [`load`], for commands that send nothing. A function key that this user may not read is left out
/// instead of being a problem: the key is for the service, and the command works without root.
///
/// # Errors
/// All other problems.
pub fn load_without_key(sources: &Sources) -> Result<Loaded, ConfigError> {
    read(sources, false)
}

fn read(sources: &Sources, is_key_needed: bool) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let base = file::read(sources, &mut problems)
        .or_else(|| dotenv::read(&sources.folder, sources.user, &mut problems, &mut warnings));
    merge_and_check(sources, base, is_key_needed, None, problems, warnings)
}

/// Whether the sources are those of the service that a package or `ispmon-agent install` has installed: its
/// configuration file, and no other folder for its journal.
pub fn are_of_service(sources: &Sources) -> bool {
    let file = sources.config_file.as_deref().map(|path| sources.folder.join(path));
    let state_dir = table::Setting::find("state_dir").is_some_and(|setting| {
        sources.environment.contains_key(std::ffi::OsStr::new(&setting.variable()))
    });
    sources.homebrew.is_none()
        && sources.flags.state_dir.is_none()
        && !state_dir
        && file.is_none_or(|path| key_place::is_of_service(&path, sources))
}

/// Why `account`, as which the service runs, may not read the configuration file; `None` if it may, or if
/// the file is not the service's.
pub fn refusal_of_configuration(sources: &Sources, account: &SystemAccount) -> Option<ReadRefusal> {
    let path = file::of_service(sources)?;
    let walk = PathWalk::of(&path);
    let refusing = walk.first_refusal(&account.rights)?;
    let remedy = remedy::for_configuration(Some(refusing), account, sources.service_key.parent());
    Some(ReadRefusal::new(refusing, account, remedy))
}

/// Why `account`, as which the service runs, may not read the key file in `settings`; `None` if it may or need
/// not, or if the configuration is not the service's.
pub fn refusal_of_key(
    sources: &Sources,
    settings: &Settings,
    account: &SystemAccount,
) -> Option<ReadRefusal> {
    let place = KeyPlace::of(&file::of_service(sources)?, sources);
    let key_file = settings.heartbeat.key_file.as_deref()?;
    if settings.heartbeat.kind == HeartbeatKind::Plain || place.is_handed_over(key_file) {
        return None;
    }
    let walk = PathWalk::of(key_file);
    let refusing = walk.first_refusal(&account.rights)?;
    let remedy = remedy::for_key(Some(refusing), account, &place, sources.service_key.parent());
    Some(ReadRefusal::new(refusing, account, remedy))
}

/// The settings in a `.env` that the user named, in the order of the table.
///
/// # Errors
/// The file cannot be read, or parts of it cannot be parsed.
pub fn dotenv_settings(path: &Path) -> Result<Vec<DotenvSetting>, ConfigError> {
    let mut problems = Problems::default();
    let settings = dotenv::settings(path, &mut problems);
    problems.finish().map(|()| settings)
}

/// The path and the text of the key file that the `.env` at `from` names. Other users may have access to
/// it, as to the `.env`.
///
/// # Errors
/// It is not a small regular text file that can be read.
pub fn dotenv_key_file(from: &Path, named: &str) -> (PathBuf, io::Result<String>) {
    let path = resolve_path(named, &SettingOrigin::file(from), Path::new("/"));
    let text = key::read_text(&path).map_err(|error| io::Error::other(error.reason()));
    (path, text)
}

/// What a text that is to become a configuration file was made from.
pub struct ImportedFrom<'a> {
    /// The settings of a `.env`: a problem with one of them names its line there.
    pub settings: &'a [DotenvSetting],
    /// The content of the key file beside the configuration.
    pub key: KeyToWrite,
}

/// The content of a key file that is not written yet, or that stays as it is.
pub struct KeyToWrite {
    /// The path of that file.
    pub path: PathBuf,
    /// Its content, which may be empty; `None` if this user may not read it.
    pub text: Option<String>,
    /// Where the content was read.
    pub source: ImportedKeySource,
}

/// Where the content of a key file that is not written yet was read.
pub enum ImportedKeySource {
    /// In the URL of the `.env`.
    Url,
    /// In this file.
    File(PathBuf),
}

/// Reads and checks a text that is, or is to become, the configuration file at `path`. Only the host name
/// and the service's key file of `sources` are used. Whoever writes the file protects its secrets, so none
/// counts as readable for other users.
///
/// # Errors
/// All problems together, without secrets.
pub fn load_text(
    path: &Path,
    text: &str,
    imported: Option<&ImportedFrom<'_>>,
    sources: &Sources,
) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let mut base = file::of_text(path, text, sources, &mut problems);
    for setting in imported.iter().flat_map(|imported| imported.settings) {
        if let Some((_, origin)) = base.layer.get_mut(setting.key) {
            *origin = setting.origin.clone();
        }
    }
    let sources = Sources {
        config_file: None,
        default_files: Vec::new(),
        flags: Flags::default(),
        environment: BTreeMap::new(),
        folder: PathBuf::from("/"),
        user: 0,
        ..sources.clone()
    };
    let key = imported.map(|imported| &imported.key);
    merge_and_check(&sources, Some(base), false, key, problems, Vec::new())
}

/// Merges the values of all sources and checks them.
fn merge_and_check(
    sources: &Sources,
    base: Option<layer::FileLayer>,
    is_key_needed: bool,
    given_key: Option<&KeyToWrite>,
    mut problems: Problems,
    mut warnings: Vec<String>,
) -> Result<Loaded, ConfigError> {
    let (base, file, is_public) = match base {
        Some(base) => (Some(base.layer), Some(base.path), base.is_public),
        None => (None, None, false),
    };
    let layers = [
        Some(layer::defaults()),
        base,
        Some(environment::layer(&sources.environment, &mut problems)),
        Some(flags(&sources.flags)),
    ];
    let given = layer::merge(layers.into_iter().flatten(), &mut problems);
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
    let given = flags.given().into_iter().filter_map(|(flag, text)| {
        let setting = table::SETTINGS.iter().find(|setting| setting.flag == Some(flag))?;
        Some((setting.key, (Ok(text.to_owned()), SettingOrigin::Flag(flag.to_owned()))))
    });
    given.collect()
}

/// A path from a source: one that begins with `./` or `../` is relative to the source's folder.
fn resolve_path(path: &str, origin: &SettingOrigin, folder: &Path) -> PathBuf {
    let base = match origin {
        SettingOrigin::File { path, .. } | SettingOrigin::DotEnv { path, .. } => {
            path.parent().map_or_else(|| folder.to_owned(), |parent| folder.join(parent))
        }
        _ => folder.to_owned(),
    };
    // `join` keeps the leading `./`, which a message reads better without.
    base.join(path.strip_prefix("./").unwrap_or(path))
}
