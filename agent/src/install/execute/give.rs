//! Changes the owner of a folder and the files in it. Follows no links: the current owner may not be
//! trustworthy.

use std::{ffi::CString, io, os::fd::OwnedFd, path::Path};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, fstat, openat, statat,
};

/// A folder whose owner is changed, and its previous owner.
pub(super) struct ReownedFolder {
    folder: OwnedFd,
    user: u32,
    group: u32,
    /// The files whose owner was changed, each with its previous user and group.
    files: Vec<(CString, u32, u32)>,
}

impl ReownedFolder {
    /// Opens a folder without changing its owner yet.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty())?;
        let stat = fstat(&folder)?;
        Ok(Self { folder, user: stat.st_uid, group: stat.st_gid, files: Vec::new() })
    }

    /// Changes the owner of the folder first, so that its previous owner can add nothing more, and then of
    /// its files. A file with a second hard link may belong to another folder, so it keeps its owner, as do
    /// links, folders and devices.
    pub(super) fn change_owner(&mut self, user: u32, group: u32) -> io::Result<()> {
        fchown(&self.folder, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        for entry in Dir::read_from(&self.folder)? {
            let name = entry?.file_name().to_owned();
            let stat = statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1
            {
                self.set_file_owner(&name, user, group)?;
                self.files.push((name, stat.st_uid, stat.st_gid));
            }
        }
        Ok(())
    }

    /// Restores the previous owners.
    pub(super) fn restore_owner(&self) -> io::Result<()> {
        for (name, user, group) in &self.files {
            self.set_file_owner(name, *user, *group)?;
        }
        fchown(&self.folder, Some(Uid::from_raw(self.user)), Some(Gid::from_raw(self.group)))?;
        Ok(())
    }

    fn set_file_owner(&self, name: &CString, user: u32, group: u32) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        chownat(&self.folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}
