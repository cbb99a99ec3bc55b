//! Finding the running agent, whoever started it and however.

use std::path::PathBuf;

use crate::{
    config::{Sources, load_without_key},
    installation::Prefix,
    state_dir,
    status::{FoundStatus, Presence, StatusReadError, place},
};

/// Where an agent on this machine leaves its status file and its socket.
pub(super) struct Places {
    folders: Vec<PathBuf>,
    state_dir: Option<PathBuf>,
    state_dirs: Vec<PathBuf>,
}

impl Places {
    /// The places of the agent that the settings describe. A configuration that has problems, or that
    /// this user may not read, is no reason not to look where agents usually are.
    pub(super) fn of(sources: &Sources) -> Self {
        let setting = load_without_key(sources).ok().and_then(|loaded| loaded.settings.state_dir);
        let flag = || sources.flags.state_dir.as_ref().map(|path| sources.folder.join(path));
        let state_dir = setting.or_else(flag);
        let homebrew = sources.homebrew.as_ref().map(Prefix::state_dir);
        let state_dirs =
            state_dir::of_readers(state_dir.as_deref(), &sources.environment, homebrew.clone());
        let runtime_directory =
            sources.environment.get("RUNTIME_DIRECTORY".as_ref() as &std::ffi::OsStr);
        let runtime_directory = runtime_directory.and_then(|value| value.to_str());
        let folders = place::folders(runtime_directory, homebrew, &state_dirs);
        Self { folders, state_dir, state_dirs }
    }

    /// The status of the agent, the running one if there are several.
    pub(super) fn find(&self) -> Result<FoundStatus, StatusReadError> {
        place::find(&self.folders, self.state_dir.as_deref(), |status| {
            Presence::now(status).is_running()
        })
    }

    /// The same, with whether it runs.
    pub(super) fn find_present(&self) -> Result<(FoundStatus, Presence), StatusReadError> {
        self.find().map(|found| {
            let presence = Presence::now(&found.status);
            (found, presence)
        })
    }

    /// The folders in which the record may be.
    pub(super) fn state_dirs(&self) -> Vec<PathBuf> {
        self.state_dirs.clone()
    }

    /// The sockets by which the agent may be reached, the likeliest first.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        let folders = match (self.find(), &self.state_dir) {
            (Ok(found), _) => vec![found.folder],
            // The folder of the service belongs to an agent with another record.
            (Err(_), Some(state_dir)) => vec![state_dir.clone()],
            (Err(_), None) => self.folders.clone(),
        };
        folders.iter().map(|folder| folder.join(place::SOCKET_NAME)).collect()
    }
}
