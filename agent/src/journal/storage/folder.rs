//! The real file system.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{ClaimError, Current, Storage};
use crate::{
    journal::{alive, files},
    state_dir::file,
};

/// Every local user may read the journal: `outages` must work without root.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
/// The lock is private: a process that can open it could lock the agent out.
const LOCK_MODE: u32 = 0o600;

/// A state folder on disk.
pub(in crate::journal) struct StateFolder {
    path: PathBuf,
    lock: Option<FolderLock>,
    current: Option<File>,
    alive: Option<File>,
}

/// The lock of a state folder, held until this is dropped.
struct FolderLock(File);

impl Drop for FolderLock {
    /// Unlocks explicitly: a child process that is about to execute another program has a copy of the open
    /// file, and would keep the lock for that moment.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl StateFolder {
    pub(in crate::journal) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None, current: None, alive: None }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn opened(&self) -> io::Result<&File> {
        self.current.as_ref().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Storage for StateFolder {
    fn claim(&mut self) -> Result<(), ClaimError> {
        let path = self.at(files::LOCK);
        if let Some(lock) = &self.lock {
            if is_at(&lock.0, &path).map_err(ClaimError::Io)? {
                return Ok(());
            }
            // The folder was deleted or replaced, so the other open files are stale too.
            *self = Self::new(&self.path);
        }
        match DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(ClaimError::Io(error));
            }
            _ => {}
        }
        let mut lock = open_own(&path, LOCK_MODE).map_err(ClaimError::Io)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let holder =
                    lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(ClaimError::Taken { lock: path, holder });
            }
            Err(error) => return Err(ClaimError::Io(error.into())),
        }
        // The process id only informs others; locking works without it, so a full disk is no reason
        // to refuse.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        self.lock = Some(FolderLock(lock));
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.path.read_dir()? {
            // The journal's own names are all UTF-8.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(file::open(&self.at(name))?))
    }

    fn open_current(&mut self, new: bool) -> io::Result<()> {
        let path = self.at(files::CURRENT);
        let opened =
            if new { file::create(&path, FILE_MODE)? } else { file::open_to_write(&path)? };
        self.current = Some(opened);
        Ok(())
    }

    fn close_current(&mut self) {
        self.current = None;
    }

    fn current(&self) -> io::Result<Current> {
        let path = self.at(files::CURRENT);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Current::Missing),
            Err(error) => Err(error),
            Ok(there) => match &self.current {
                Some(file) if is_at(file, &path)? => Ok(Current::InPlace(there.len())),
                _ => Ok(Current::Replaced),
            },
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.opened()?.write_all_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.opened()?.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.opened()?.sync_all()
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn write_alive(&mut self, bytes: &[u8; alive::BYTES]) -> io::Result<()> {
        let path = self.at(files::ALIVE);
        if let Some(alive) = &self.alive
            && is_at(alive, &path)?
        {
            return alive.write_all_at(bytes, 0);
        }
        let file = open_own(&path, FILE_MODE)?;
        file.set_len(alive::BYTES as u64)?;
        file.write_all_at(bytes, 0)?;
        self.alive = Some(file);
        Ok(())
    }
}

/// Opens a file that only the agent uses, and creates it if it does not exist. A link or a pipe of
/// that name is deleted; the target of a link stays untouched.
fn open_own(path: &Path, mode: u32) -> io::Result<File> {
    match file::open_or_create(path, mode) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            fs::remove_file(path)?;
            file::create(path, mode)
        }
        opened => opened,
    }
}

/// Whether a path still names this open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
