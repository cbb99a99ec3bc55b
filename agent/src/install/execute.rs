//! Carries a plan out, and rolls back when a step fails.
//!
//! Before a step changes anything that another step depends on, the action that undoes it is recorded. When
//! a step fails, or a signal requests termination, the recorded actions run in reverse order; those that
//! fail are reported. Files are replaced atomically, and each replaced file is kept beside the new one
//! until all steps have succeeded.

mod give;

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{PermissionsExt, chown, fchown, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use self::give::ReownedFolder;
use super::{
    layout::temporary_path,
    machine::{CommandError, TargetSystem},
    plan::{CommandLine, Content, FileOwner, InstallStep, OnFailure, Plan, UndoStep},
    service,
};
use crate::{error_chain::ErrorChain, state_dir::file};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The start command succeeded, but the service does not run.
    #[error("the service does not run")]
    NotRunning,
    /// A signal requested termination.
    #[error("it was interrupted")]
    Interrupted,
}

/// A plan that failed and was rolled back, apart from `remaining`.
#[derive(Debug, thiserror::Error)]
#[error("could not {step}")]
pub struct InstallFailure {
    /// The failed step, as a phrase such as `create /etc/ispmon`.
    pub step: String,
    /// Why it failed.
    #[source]
    pub reason: StepError,
    /// The last output of the service, if the failed step was to start it.
    pub explanation: Vec<String>,
    /// One sentence for each action that could not be undone.
    pub remaining: Vec<String>,
}

/// An action that undoes a step.
enum Undo {
    /// Restores a file from the copy under its temporary name.
    RestoreFile { path: PathBuf, kept: PathBuf },
    /// Creates a symbolic link again.
    RestoreLink { path: PathBuf, target: PathBuf },
    /// Removes a file that the step created.
    Remove(PathBuf),
    /// Restores the owners of a folder and its files.
    RestoreOwner { path: PathBuf, given: ReownedFolder },
    /// Removes a folder that the step created, which is empty again by then.
    RemoveFolder(PathBuf),
    /// An action that the plan specifies for rollback only.
    Step(UndoStep),
}

/// Carries a plan out. `report` gets one line for each step before it runs, and for each failure that is
/// ignored. Returns one sentence for each thing that should have been removed at the end and could not be.
///
/// # Errors
/// A step failed, and the steps before it were undone.
pub fn execute(
    plan: &Plan,
    machine: &TargetSystem,
    is_interrupted: &AtomicBool,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<String>, InstallFailure> {
    let mut execution = Execution { machine, done: Vec::new() };
    for step in &plan.steps {
        if !matches!(step, InstallStep::OnRollback(_) | InstallStep::Discard { .. }) {
            report(&step.to_string());
        }
        let result = if is_interrupted.load(Ordering::Relaxed) {
            Err(StepError::Interrupted)
        } else {
            execution.step(step, report)
        };
        if let Err(reason) = result {
            let explanation = match step {
                InstallStep::Run { failure: OnFailure::RollBackStart(platform), .. } => {
                    service::recent_output(machine, *platform)
                }
                _ => Vec::new(),
            };
            let step = step.to_string();
            return Err(InstallFailure { step, reason, explanation, remaining: execution.undo() });
        }
    }
    Ok(execution.finish(plan))
}

struct Execution<'a> {
    machine: &'a TargetSystem,
    done: Vec<Undo>,
}

impl Execution<'_> {
    fn step(&mut self, step: &InstallStep, report: &mut dyn FnMut(&str)) -> Result<(), StepError> {
        match step {
            InstallStep::Folder { path, mode, owner } => {
                self.make_folder(&self.machine.at(path), *mode, *owner)?;
            }
            InstallStep::ChangeOwner { path, owner } => {
                let (user, group) = self.ids(*owner);
                let path = self.machine.at(path);
                let mut given = ReownedFolder::open(&path)?;
                let result = given.change_owner(user, group);
                // Recorded even after a failure: some files may have changed owner already.
                self.done.push(Undo::RestoreOwner { path, given });
                result?;
            }
            InstallStep::File { path, mode, owner, content, .. } => {
                self.put(&self.machine.at(path), *mode, *owner, content)?;
            }
            InstallStep::Remove { path } => self.remove(&self.machine.at(path))?,
            // Done in `finish`: until then the folder contains the copies of removed files.
            InstallStep::RemoveFolder { .. } | InstallStep::Discard { .. } => {}
            InstallStep::Run { command, undo, failure } => {
                self.run(command, undo, *failure, report)?;
            }
            InstallStep::OnRollback(step) => self.done.push(Undo::Step(step.clone())),
        }
        Ok(())
    }

    /// Creates a folder and its missing parents.
    fn make_folder(&mut self, path: &Path, mode: u32, owner: FileOwner) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            self.make_folder(parent, 0o755, FileOwner::Root)?;
        }
        fs::create_dir(path)?;
        self.done.push(Undo::RemoveFolder(path.to_owned()));
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        let (user, group) = self.ids(owner);
        chown(path, Some(user), Some(group))
    }

    fn ids(&self, owner: FileOwner) -> (u32, u32) {
        match owner {
            FileOwner::Root => self.machine.administrator,
            FileOwner::Service { uid, gid, .. } => (uid, gid),
        }
    }

    fn put(
        &mut self,
        path: &Path,
        mode: u32,
        owner: FileOwner,
        content: &Content,
    ) -> io::Result<()> {
        let new = temporary_path(path, "new");
        let put = file::remove_if_there(&new).and_then(|()| {
            // Other users must not be able to read the file before its owner and mode are set.
            let mut file = file::create(&new, 0o600)?;
            write(&mut file, content)?;
            let (user, group) = self.ids(owner);
            fchown(&file, Some(user), Some(group))?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()?;
            self.back_up(path)?;
            fs::rename(&new, path)
        });
        if put.is_err() {
            // Best effort: removes the half-written file.
            let _ = fs::remove_file(&new);
        }
        put
    }

    /// Records how to restore a path: its file or link, or that nothing was there.
    fn back_up(&mut self, path: &Path) -> io::Result<()> {
        let undo = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Undo::Remove(path.to_owned()),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.is_symlink() => {
                Undo::RestoreLink { path: path.to_owned(), target: fs::read_link(path)? }
            }
            Ok(_) => {
                let kept = temporary_path(path, "old");
                file::remove_if_there(&kept)?;
                fs::hard_link(path, &kept)?;
                Undo::RestoreFile { path: path.to_owned(), kept }
            }
        };
        self.done.push(undo);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.back_up(path)?;
        file::remove_if_there(path)
    }

    fn run(
        &mut self,
        command: &CommandLine,
        undo: &[CommandLine],
        failure: OnFailure,
        report: &mut dyn FnMut(&str),
    ) -> Result<(), StepError> {
        // Recorded before the command runs: it may fail after doing half of its work.
        let steps = undo.iter().rev().cloned();
        self.done.extend(
            steps.map(|command| Undo::Step(UndoStep::Run { command, reports_failure: false })),
        );
        let result = service::run(self.machine, command);
        match (result, failure) {
            (Err(error), OnFailure::RollBack | OnFailure::RollBackStart(_)) => Err(error.into()),
            (Err(error), OnFailure::Report) => {
                report(&format!(
                    "  could not {command}: {}. This does no harm.",
                    ErrorChain(&error)
                ));
                Ok(())
            }
            (Ok(_), OnFailure::RollBackStart(platform))
                if !service::is_running(self.machine, platform) =>
            {
                Err(StepError::NotRunning)
            }
            _ => Ok(()),
        }
    }

    /// Undoes the recorded actions in reverse order; returns a sentence for each one that failed.
    fn undo(self) -> Vec<String> {
        let mut remaining = Vec::new();
        for undo in self.done.into_iter().rev() {
            if let Err(sentence) = undo.carry_out(self.machine) {
                remaining.push(sentence);
            }
        }
        remaining
    }

    /// Removes the copies of replaced files, and what a purge deletes for good; returns a sentence for each
    /// thing that could not be removed.
    fn finish(self, plan: &Plan) -> Vec<String> {
        let mut stayed = Vec::new();
        let mut check = |path: &Path, removed: io::Result<()>| match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                stayed.push(format!("{} could not be removed: {error}.", path.display()));
            }
            _ => {}
        };
        for undo in &self.done {
            if let Undo::RestoreFile { kept, .. } = undo {
                check(kept, fs::remove_file(kept));
            }
        }
        for step in &plan.steps {
            match step {
                InstallStep::RemoveFolder { path } => match fs::remove_dir(self.machine.at(path)) {
                    // Another program has put a file into the folder: it stays.
                    Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                    removed => check(path, removed),
                },
                InstallStep::Discard { path } => check(path, discard(&self.machine.at(path))),
                _ => {}
            }
        }
        stayed
    }
}

/// Removes a folder and everything in it. If the path is a link to a folder, only the link is removed.
fn discard(path: &Path) -> io::Result<()> {
    let target = fs::symlink_metadata(path)?.is_symlink().then(|| fs::canonicalize(path));
    fs::remove_dir_all(path)?;
    match target {
        Some(Ok(target)) => Err(io::Error::other(format!(
            "it was a link to {}, which was kept; remove that yourself",
            target.display()
        ))),
        _ => Ok(()),
    }
}

impl Undo {
    fn carry_out(self, machine: &TargetSystem) -> Result<(), String> {
        let message = |what: String| move |error: io::Error| format!("{what}: {error}.");
        match self {
            // If both names still refer to one file, POSIX defines the rename as a no-op, so the copy is
            // removed as well.
            Self::RestoreFile { path, kept } => fs::rename(&kept, &path)
                .and_then(|()| file::remove_if_there(&kept))
                .map_err(message(format!(
                    "{} could not be put back; it is kept as {}",
                    path.display(),
                    kept.display()
                ))),
            Self::RestoreLink { path, target } => file::remove_if_there(&path)
                .and_then(|()| symlink(&target, &path))
                .map_err(message(format!(
                    "{} is no link to {} any more",
                    path.display(),
                    target.display()
                ))),
            Self::Remove(path) => file::remove_if_there(&path)
                .map_err(message(format!("{} could not be removed", path.display()))),
            Self::RestoreOwner { path, given } => given.restore_owner().map_err(message(format!(
                "{} and the files in it were not all given back to their owners",
                path.display()
            ))),
            Self::RemoveFolder(path) => fs::remove_dir(&path)
                .map_err(message(format!("{} could not be removed", path.display()))),
            Self::Step(UndoStep::Discard(path)) => match fs::remove_dir_all(machine.at(&path)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(message(format!("{} could not be removed", path.display()))(error))
                }
                _ => Ok(()),
            },
            Self::Step(UndoStep::Run { command, reports_failure: is_needed }) => {
                match service::run(machine, &command) {
                    Err(error) if is_needed => Err(format!("{command}: {}.", ErrorChain(&error))),
                    _ => Ok(()),
                }
            }
        }
    }
}

fn write(file: &mut File, content: &Content) -> io::Result<()> {
    match content {
        Content::Text(text) => file.write_all(text.as_bytes()),
        Content::Secret(text) => file.write_all(text.as_bytes()),
        Content::Program { from, .. } => {
            io::copy(&mut TargetSystem::open_program(from)?, file).map(|_| ())
        }
    }
}

#[cfg(test)]
mod tests;
