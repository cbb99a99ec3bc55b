//! The real file system.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::{ClaimError, Current, Storage};
use crate::journal::{alive, files};

/// Every local user may read the record: `outages` must work without root.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
/// Not the lock, though: whoever can open it could lock the agent out.
const LOCK_MODE: u32 = 0o600;

/// A state folder on disk.
pub(in crate::journal) struct Folder {
    path: PathBuf,
    lock: Option<File>,
    current: Option<File>,
    alive: Option<File>,
}

impl Folder {
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

impl Storage for Folder {
    fn claim(&mut self) -> Result<(), ClaimError> {
        let path = self.at(files::LOCK);
        if let Some(lock) = &self.lock {
            if is_at(lock, &path).map_err(ClaimError::Io)? {
                return Ok(());
            }
            // The folder was deleted or replaced, and other files with it.
            *self = Self::new(&self.path);
        }
        match DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(ClaimError::Io(error));
            }
            _ => {}
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(LOCK_MODE)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(ClaimError::Io)?;
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
        // It says who holds the lock, which works without it; a full disk is no reason to refuse.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        self.lock = Some(lock);
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in self.path.read_dir()? {
            // Names that are not text are not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        // Without waiting for the other end of a pipe.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.at(name))?;
        if file.metadata()?.is_file() {
            Ok(Box::new(file))
        } else {
            Err(io::Error::new(ErrorKind::InvalidData, "it is not a regular file"))
        }
    }

    fn open_current(&mut self, new: bool) -> io::Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(new)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(self.at(files::CURRENT))?;
        if new {
            // Whatever the umask says.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        }
        self.current = Some(file);
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
            Ok(_) if is_at(self.opened()?, &path)? => Ok(Current::InPlace),
            Ok(_) => Ok(Current::Replaced),
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

    fn copy_start(&mut self, from: &str, length: u64, to: &str) -> io::Result<()> {
        let mut source = self.read(from)?.take(length);
        let mut target = File::create(self.at(to))?;
        target.set_permissions(Permissions::from_mode(FILE_MODE))?;
        io::copy(&mut source, &mut target)?;
        target.sync_all()
    }

    fn write_alive(&mut self, bytes: &[u8; alive::BYTES]) -> io::Result<()> {
        let path = self.at(files::ALIVE);
        if let Some(alive) = &self.alive
            && is_at(alive, &path)?
        {
            return alive.write_all_at(bytes, 0);
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        file.set_len(alive::BYTES as u64)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.write_all_at(bytes, 0)?;
        self.alive = Some(file);
        Ok(())
    }
}

/// Whether a path still leads to this open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
