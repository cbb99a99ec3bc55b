//! Adds files and folders to a plan, and skips those that need no change.

use std::path::{Path, PathBuf};

use super::{CommandLine, Content, FileOwner, InstallStep, OnFailure, Plan};
use crate::install::facts::{FileContent, InstallFacts, PathEntry};

/// A plan under construction.
pub(super) struct PlanBuilder<'a> {
    facts: &'a InstallFacts,
    pub(super) plan: Plan,
    pub(super) steps: Vec<InstallStep>,
    /// Actions of a rollback that come after the undoing of all `steps`: a rollback runs in reverse order,
    /// so the finished plan begins with these.
    pub(super) undo: Vec<InstallStep>,
    /// The folders for which there is a step, so that none gets two.
    folders: Vec<PathBuf>,
}

impl<'a> PlanBuilder<'a> {
    pub(super) fn new(facts: &'a InstallFacts) -> Self {
        Self {
            facts,
            plan: Plan::default(),
            steps: Vec::new(),
            undo: Vec::new(),
            folders: Vec::new(),
        }
    }

    /// Whether a step writes a file or changes an owner: a running service must then be restarted.
    pub(super) fn is_changed(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, InstallStep::File { .. } | InstallStep::ChangeOwner { .. }))
    }

    /// Adds a step that creates a folder, unless it exists. If it exists and `owner` is the service, but
    /// another user owns it, adds a step that changes its owner.
    pub(super) fn add_folder(&mut self, path: &Path, mode: u32, owner: FileOwner) {
        if let (Some(PathEntry::Folder { uid }), FileOwner::Service { uid: service, .. }) =
            (self.facts.entry(path), owner)
            && *uid != service
        {
            self.steps.push(InstallStep::ChangeOwner { path: path.to_owned(), owner });
        }
        if self.facts.entry(path).is_none() && !self.folders.iter().any(|folder| folder == path) {
            self.folders.push(path.to_owned());
            self.steps.push(InstallStep::Folder { path: path.to_owned(), mode, owner });
        }
    }

    /// Adds a step that writes a file, and one for a missing parent folder, unless the file exists with this
    /// content, mode and owner. Returns whether it was added.
    pub(super) fn add_file(
        &mut self,
        path: &Path,
        mode: u32,
        owner: FileOwner,
        content: Content,
    ) -> bool {
        let entry = self.facts.entry(path);
        if entry.is_some_and(|entry| is_up_to_date(entry, mode, owner, &content)) {
            self.plan.unchanged.push(path.display().to_string());
            return false;
        }
        if let Some(parent) = path.parent() {
            self.add_folder(parent, 0o755, FileOwner::Root);
        }
        let replaces = entry.is_some();
        self.steps.push(InstallStep::File {
            path: path.to_owned(),
            mode,
            owner,
            content,
            replaces,
        });
        true
    }

    /// Adds a step that writes a file, unless it exists with any content. If it exists and `owner` is the
    /// service, but another user owns it, the step replaces it by a copy with the right owner and mode.
    pub(super) fn add_file_if_missing(
        &mut self,
        path: &Path,
        mode: u32,
        owner: FileOwner,
        content: Content,
    ) {
        match self.facts.entry(path).map(|entry| (entry, owner)) {
            None => {
                self.add_file(path, mode, owner, content);
            }
            Some((
                PathEntry::File { content: FileContent::Bytes(bytes), uid, .. },
                FileOwner::Service { uid: service, .. },
            )) if *uid != service => {
                // Secret, because it may be the function key.
                let existing = Content::Secret(String::from_utf8_lossy(bytes).into_owned());
                self.add_file(path, mode, owner, existing);
            }
            Some(_) => self.plan.unchanged.push(path.display().to_string()),
        }
    }

    /// Adds a step that runs a command, with nothing to undo.
    pub(super) fn run(&mut self, command: CommandLine, failure: OnFailure) {
        self.steps.push(InstallStep::run(command, failure));
    }

    /// Adds a step that runs a command; a rollback runs `undo`.
    pub(super) fn run_or_undo(
        &mut self,
        command: CommandLine,
        undo: CommandLine,
        failure: OnFailure,
    ) {
        self.steps.push(InstallStep::Run { command, undo: vec![undo], failure });
    }
}

fn is_up_to_date(entry: &PathEntry, mode: u32, owner: FileOwner, content: &Content) -> bool {
    let PathEntry::File { content: existing, mode: existing_mode, uid, gid } = entry else {
        return false;
    };
    let ids = match owner {
        FileOwner::Root => (0, 0),
        FileOwner::Service { uid, gid, .. } => (uid, gid),
    };
    let is_content_equal = match (content, existing) {
        (Content::Text(text), FileContent::Bytes(bytes)) => text.as_bytes() == bytes,
        (Content::Secret(text), FileContent::Bytes(bytes)) => text.as_bytes() == bytes,
        (Content::Program { .. }, FileContent::Program) => true,
        _ => false,
    };
    is_content_equal && *existing_mode == mode && (*uid, *gid) == ids
}
