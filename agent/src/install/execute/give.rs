//! Giving a folder and the files in it to somebody else. Nothing is followed that could lead elsewhere: what has
//! the folder now may not be trusted.

use std::{ffi::CString, io, os::fd::OwnedFd, path::Path};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, fstat, openat, statat,
};

/// A folder that is given to somebody else, and whose it was.
pub(super) struct GivenFolder {
    folder: OwnedFd,
    user: u32,
    group: u32,
    /// The files that were given, each with its user and group.
    files: Vec<(CString, u32, u32)>,
}

impl GivenFolder {
    /// Opens a folder, which gives nothing yet.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty())?;
        let stat = fstat(&folder)?;
        Ok(Self { folder, user: stat.st_uid, group: stat.st_gid, files: Vec::new() })
    }

    /// Gives the folder first, so that who had it can put nothing else there, and then its files. A file that
    /// has a second name may be one of another folder and stays as it is, as does what is no file.
    pub(super) fn give(&mut self, user: u32, group: u32) -> io::Result<()> {
        fchown(&self.folder, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        for entry in Dir::read_from(&self.folder)? {
            let name = entry?.file_name().to_owned();
            let stat = statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1
            {
                self.hand_over(&name, user, group)?;
                self.files.push((name, stat.st_uid, stat.st_gid));
            }
        }
        Ok(())
    }

    /// Gives all of it back.
    pub(super) fn give_back(&self) -> io::Result<()> {
        for (name, user, group) in &self.files {
            self.hand_over(name, *user, *group)?;
        }
        fchown(&self.folder, Some(Uid::from_raw(self.user)), Some(Gid::from_raw(self.group)))?;
        Ok(())
    }

    fn hand_over(&self, name: &CString, user: u32, group: u32) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        chownat(&self.folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}
