//! Finds the running agent, however it was started.

use std::path::{Path, PathBuf};

use crate::{
    config::{Sources, are_of_service, load_without_key},
    installation::Prefix,
    state_dir,
    status::{FoundStatus, Presence, StatusReadError, place},
    unit::UnitState,
};

/// The paths at which an agent on this machine keeps its status file and control socket.
pub(super) struct AgentPaths {
    folders: Vec<PathBuf>,
    state_dir: Option<PathBuf>,
    state_dirs: Vec<PathBuf>,
}

/// The agent's status, and whether it runs.
pub(super) type FoundAgent = Result<(FoundStatus, Presence), StatusReadError>;

impl AgentPaths {
    /// The paths for the current settings. When the configuration has problems, or this user may not read
    /// it, the default paths are used.
    pub(super) fn of(sources: &Sources) -> Self {
        let setting = load_without_key(sources).ok().and_then(|loaded| loaded.settings.state_dir);
        let flag = || sources.flags.state_dir.as_ref().map(|path| sources.folder.join(path));
        let state_dir = setting.or_else(flag);
        let homebrew = sources.homebrew.as_ref().map(Prefix::state_dir);
        let state_dirs =
            state_dir::for_readers(state_dir.as_deref(), &sources.environment, homebrew.clone());
        let runtime_directory =
            sources.environment.get("RUNTIME_DIRECTORY".as_ref() as &std::ffi::OsStr);
        let runtime_directory = runtime_directory.and_then(|value| value.to_str());
        let folders = place::folders(runtime_directory, homebrew, &state_dirs);
        Self { folders, state_dir, state_dirs }
    }

    /// The agent's status; that of the running agent if there are several.
    pub(super) fn find(&self) -> Result<FoundStatus, StatusReadError> {
        place::find(&self.folders, self.state_dir.as_deref(), |status| {
            Presence::now(status).is_running()
        })
    }

    /// The agent's status, and whether it runs.
    pub(super) fn find_with_presence(&self) -> FoundAgent {
        self.find().map(|found| {
            let presence = Presence::now(&found.status);
            (found, presence)
        })
    }

    /// The service in systemd, if `agent` is the one that it runs or there is no other.
    pub(super) fn unit(sources: &Sources, agent: &FoundAgent) -> Option<UnitState> {
        let is_other =
            agent.as_ref().is_ok_and(|(found, _)| found.folder != Path::new(place::SERVICE_FOLDER));
        if is_other || !are_of_service(sources) || cfg!(target_os = "macos") {
            return None;
        }
        UnitState::gather()
    }

    /// The folders that may contain the journal, the most likely first. `agent`, if it runs, may keep it in a
    /// folder that no setting names here: its service can have another environment.
    pub(super) fn state_dirs(&self, agent: &FoundAgent) -> Vec<PathBuf> {
        let mut folders = self.state_dirs.clone();
        if self.state_dir.is_none()
            && let Ok((FoundStatus { status, .. }, presence)) = agent
            && presence.is_running()
        {
            folders.retain(|folder| *folder != status.state_dir);
            folders.insert(0, status.state_dir.clone());
        }
        folders
    }

    /// The sockets on which the agent may listen, the most likely first.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        let folders = match (self.find(), &self.state_dir) {
            (Ok(found), _) => vec![found.folder],
            // The service's folder would belong to an agent with another journal.
            (Err(_), Some(state_dir)) => vec![state_dir.clone()],
            (Err(_), None) => self.folders.clone(),
        };
        folders.iter().map(|folder| folder.join(place::SOCKET_NAME)).collect()
    }
}
