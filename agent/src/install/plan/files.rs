//! Files and folders of a plan, left out where they are as they should be.

use std::path::{Path, PathBuf};

use super::{CommandLine, Content, OnFailure, Owner, Plan, Step};
use crate::install::facts::{Entry, Facts, Held};

/// A plan that grows.
pub(super) struct Files<'a> {
    facts: &'a Facts,
    pub(super) plan: Plan,
    pub(super) steps: Vec<Step>,
    /// What goes before all steps, so that it is undone last.
    pub(super) undo: Vec<Step>,
    /// The folders that a step makes.
    folders: Vec<PathBuf>,
}

impl<'a> Files<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            plan: Plan::default(),
            steps: Vec::new(),
            undo: Vec::new(),
            folders: Vec::new(),
        }
    }

    /// Whether any file is put there, so that a service that runs has to be started again.
    pub(super) fn is_changed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::File { .. } | Step::Give { .. }))
    }

    /// Makes a folder unless it is there. One that is there and is to be the service's is given to it.
    pub(super) fn folder(&mut self, path: &Path, mode: u32, owner: Owner) {
        if let (Some(Entry::Folder { uid }), Owner::Service { uid: service, .. }) =
            (self.facts.entry(path), owner)
            && *uid != service
        {
            self.steps.push(Step::Give { path: path.to_owned(), owner });
        }
        if self.facts.entry(path).is_none() && !self.folders.iter().any(|folder| folder == path) {
            self.folders.push(path.to_owned());
            self.steps.push(Step::Folder { path: path.to_owned(), mode, owner });
        }
    }

    /// Puts a file there unless it is there with this content, mode and owner; whether it is put there.
    pub(super) fn put(&mut self, path: &Path, mode: u32, owner: Owner, content: Content) -> bool {
        let entry = self.facts.entry(path);
        if entry.is_some_and(|entry| is_as_it_should_be(entry, mode, owner, &content)) {
            self.plan.unchanged.push(path.display().to_string());
            return false;
        }
        if let Some(parent) = path.parent() {
            self.folder(parent, 0o755, Owner::Root);
        }
        let replaces = entry.is_some();
        self.steps.push(Step::File { path: path.to_owned(), mode, owner, content, replaces });
        true
    }

    /// Puts a file there unless something is there, whatever it holds. One that is to be the service's and is
    /// somebody else's becomes the service's, with what it holds.
    pub(super) fn put_once(&mut self, path: &Path, mode: u32, owner: Owner, content: Content) {
        match self.facts.entry(path).map(|entry| (entry, owner)) {
            None => {
                self.put(path, mode, owner, content);
            }
            Some((
                Entry::File { held: Held::Bytes(bytes), uid, .. },
                Owner::Service { uid: service, .. },
            )) if *uid != service => {
                let held = String::from_utf8_lossy(bytes).into_owned();
                self.put(path, mode, owner, Content::Secret(held));
            }
            Some(_) => self.plan.unchanged.push(path.display().to_string()),
        }
    }

    pub(super) fn run(&mut self, command: CommandLine, undo: Vec<CommandLine>, failure: OnFailure) {
        self.steps.push(Step::Run { command, undo, failure });
    }
}

fn is_as_it_should_be(entry: &Entry, mode: u32, owner: Owner, content: &Content) -> bool {
    let Entry::File { held, mode: has_mode, uid, gid } = entry else { return false };
    let ids = match owner {
        Owner::Root => (0, 0),
        Owner::Service { uid, gid, .. } => (uid, gid),
    };
    let is_held = match (content, held) {
        (Content::Text(text), Held::Bytes(bytes)) => text.as_bytes() == bytes,
        (Content::Secret(text), Held::Bytes(bytes)) => text.as_bytes() == bytes,
        (Content::Program { .. }, Held::Program) => true,
        _ => false,
    };
    is_held && *has_mode == mode && (*uid, *gid) == ids
}
