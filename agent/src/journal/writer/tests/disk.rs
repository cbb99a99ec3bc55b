//! A disk in memory that models which data was synced, and what a crash leaves of the rest.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind, Read},
    rc::Rc,
};

use fastrand::Rng;
use tempfile::TempDir;

use crate::journal::{
    alive, files,
    storage::{ClaimError, Current, Storage},
};

type Inode = usize;

/// A folder on such a disk; clones are the same folder. A crash starts a new life of the disk, so
/// clones of a crashed writer fail from then on.
#[derive(Clone)]
pub(super) struct Disk {
    state: Rc<RefCell<State>>,
    life: u32,
    current: Option<Inode>,
}

#[derive(Clone, Default)]
struct State {
    life: u32,
    names: BTreeMap<String, Inode>,
    synced_names: BTreeMap<String, Inode>,
    contents: Vec<Content>,
    faults: Faults,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

/// The injected faults of the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// How many more bytes fit before the disk is full.
    pub(super) room: Option<usize>,
    /// Every change fails.
    pub(super) read_only: bool,
    /// The number of syncs that still fail.
    pub(super) failing_syncs: u32,
    /// After this many changes, the last of which is only partly done, the machine is dead.
    pub(super) dies_after: Option<u32>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self { state: Rc::default(), life: 0, current: None }
    }

    pub(super) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.borrow_mut().faults);
    }

    /// Cuts the power: some of the unsynced data may survive.
    pub(super) fn crash(&mut self, random: &mut Rng) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        for content in &mut state.contents {
            content.bytes = left_of(content, random);
            content.synced.clone_from(&content.bytes);
        }
        if random.bool() {
            state.names.clone_from(&state.synced_names);
        }
        state.synced_names.clone_from(&state.names);
        state.faults = Faults::default();
        state.life += 1;
        self.life = state.life;
        self.current = None;
    }

    pub(super) fn names_now(&self) -> Vec<String> {
        self.state.borrow().names.keys().cloned().collect()
    }

    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.state.borrow();
        state.contents[state.names[name]].bytes.clone()
    }

    /// Another process creates or replaces a file.
    pub(super) fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let mut state = self.state.borrow_mut();
        let inode = state.create(name);
        let bytes = bytes.into();
        state.contents[inode] = Content { synced: bytes.clone(), bytes };
        state.synced_names.insert(name.to_owned(), inode);
    }

    /// Another process overwrites a file in place.
    pub(super) fn overwrite(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let mut state = self.state.borrow_mut();
        let inode = state.names[name];
        let bytes = bytes.into();
        state.contents[inode] = Content { synced: bytes.clone(), bytes };
    }

    /// Another process deletes a file.
    pub(super) fn delete(&self, name: &str) {
        let mut state = self.state.borrow_mut();
        state.names.remove(name);
        state.synced_names.remove(name);
    }

    /// Copies the folder to a real temporary folder.
    pub(super) fn copy(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in self.names_now() {
            fs::write(folder.path().join(&name), self.content(&name)).expect("a copy");
        }
        folder
    }

    /// Starts a change, or returns why it fails; `true` if the machine dies during it.
    fn change(&self) -> io::Result<bool> {
        let mut state = self.state.borrow_mut();
        if state.life != self.life || state.faults.dies_after == Some(0) {
            return Err(io::Error::other("the machine is dead"));
        }
        if state.faults.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        if let Some(left) = &mut state.faults.dies_after {
            *left -= 1;
            return Ok(*left == 0);
        }
        Ok(false)
    }

    fn opened(&self) -> io::Result<Inode> {
        self.current.ok_or_else(|| ErrorKind::NotFound.into())
    }
}

/// The content of a file after a crash.
fn left_of(content: &Content, random: &mut Rng) -> Vec<u8> {
    let Content { bytes, synced } = content;
    let Some(added) = bytes.strip_prefix(synced.as_slice()) else {
        // It was truncated, or truncated and rewritten.
        return if random.bool() { bytes.clone() } else { synced.clone() };
    };
    let mut left = [synced, &added[..random.usize(..=added.len())]].concat();
    if random.u8(..4) == 0 {
        // The length was written, but not all bytes.
        for place in random.usize(synced.len()..=left.len())..left.len() {
            left[place] = 0;
            if random.u8(..64) == 0 {
                break;
            }
        }
    }
    left
}

impl State {
    fn create(&mut self, name: &str) -> Inode {
        self.contents.push(Content::default());
        let inode = self.contents.len() - 1;
        self.names.insert(name.to_owned(), inode);
        inode
    }

    fn inode(&self, name: &str) -> io::Result<Inode> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Storage for Disk {
    fn claim(&mut self) -> Result<(), ClaimError> {
        let state = self.state.borrow();
        if state.life == self.life {
            Ok(())
        } else {
            Err(ClaimError::Io(io::Error::other("the machine is dead")))
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.names_now())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        self.state.borrow().inode(name)?;
        Ok(Box::new(io::Cursor::new(self.content(name))))
    }

    fn open_current(&mut self, new: bool) -> io::Result<()> {
        if new {
            self.change()?;
            let mut state = self.state.borrow_mut();
            if state.names.contains_key(files::CURRENT) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            state.create(files::CURRENT);
        }
        let inode = self.state.borrow().inode(files::CURRENT)?;
        self.current = Some(inode);
        Ok(())
    }

    fn close_current(&mut self) {
        self.current = None;
    }

    fn current(&self) -> io::Result<Current> {
        let state = self.state.borrow();
        Ok(match state.names.get(files::CURRENT) {
            None => Current::Missing,
            Some(inode) if Some(*inode) == self.current => {
                Current::InPlace(state.contents[*inode].bytes.len() as u64)
            }
            Some(_) => Current::Replaced,
        })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let dies = self.change()?;
        let inode = self.opened()?;
        let mut state = self.state.borrow_mut();
        let State { contents, faults, .. } = &mut *state;
        let content = &mut contents[inode].bytes;
        let offset = usize::try_from(offset).expect("the offset fits");
        let room = faults.room.unwrap_or(usize::MAX);
        let part = &bytes[..room.min(if dies { bytes.len() / 2 } else { bytes.len() })];
        content.resize(content.len().max(offset + part.len()), 0);
        content[offset..offset + part.len()].copy_from_slice(part);
        faults.room = faults.room.map(|room| room - part.len());
        if dies {
            Err(io::Error::other("the machine dies"))
        } else if part.len() < bytes.len() {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.change()?;
        let inode = self.opened()?;
        let mut state = self.state.borrow_mut();
        let State { contents, faults, .. } = &mut *state;
        let content = &mut contents[inode].bytes;
        let length = usize::try_from(length).expect("the offset fits");
        faults.room = faults.room.map(|room| room + content.len().saturating_sub(length));
        content.resize(length, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let dies = self.change()?;
        let inode = self.opened()?;
        let mut state = self.state.borrow_mut();
        if dies {
            return Err(io::Error::other("the machine dies"));
        }
        if state.faults.failing_syncs > 0 {
            state.faults.failing_syncs -= 1;
            return Err(io::Error::other("input/output error"));
        }
        let content = &mut state.contents[inode];
        content.synced.clone_from(&content.bytes);
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.change()?;
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.synced_names.clone_from(&state.names);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change()?;
        let mut state = self.state.borrow_mut();
        let inode = state.inode(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change()?;
        let mut state = self.state.borrow_mut();
        state.inode(name)?;
        state.names.remove(name);
        Ok(())
    }

    fn write_alive(&mut self, bytes: &[u8; alive::BYTES]) -> io::Result<()> {
        self.change()?;
        let mut state = self.state.borrow_mut();
        let inode = match state.inode(files::ALIVE) {
            Ok(inode) => inode,
            Err(_) => state.create(files::ALIVE),
        };
        state.contents[inode].bytes = bytes.to_vec();
        Ok(())
    }
}
