//! Safe file access in a folder that may belong to another user.
//!
//! The agent may run as root in a folder of another user, who can create anything under any name.
//! So only regular files are opened, no symbolic link is followed, and a replacement file is
//! created exclusively under a new name.

use std::{
    fs::{self, File, FileType, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// Something other than a regular file has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a regular file but {0}")]
struct NotRegular(&'static str);

/// Whether a new file must survive a power cut before [`replace`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The file and its name are on the disk.
    Synced,
    /// The system writes it back at its own time.
    Unsynced,
}

/// Opens a regular file for reading.
///
/// # Errors
/// [`ErrorKind::InvalidData`] when something other than a regular file has that name, which is not
/// opened; otherwise the system's error.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens a regular file for reading and writing.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn open_to_write(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true).write(true))
}

/// Like [`open_to_write`], but creates the file with `mode` if it does not exist.
///
/// # Errors
/// Those of [`open`] and [`create`].
pub(crate) fn open_or_create(path: &Path, mode: u32) -> io::Result<File> {
    match open_to_write(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, mode),
        opened => opened,
    }
}

/// Creates a file with exactly `mode`, whatever the umask is.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] when anything has that name; otherwise the system's error.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    // O_EXCL follows no link, whatever its target.
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

/// Atomically replaces whatever has the name `path` by a file with this content. `new` is its
/// temporary name in the same folder.
///
/// # Errors
/// The system's error. The old file is unchanged unless only the final sync of the folder failed.
pub(crate) fn replace(
    path: &Path,
    new: &Path,
    content: &[u8],
    mode: u32,
    durability: Durability,
) -> io::Result<()> {
    let replaced = remove_if_there(new).and_then(|()| {
        let mut file = create(new, mode)?;
        file.write_all(content)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(new, path)
    });
    if let Err(error) = replaced {
        // A half-written file is useless.
        let _ = fs::remove_file(new);
        return Err(error);
    }
    match path.parent() {
        Some(folder) if durability == Durability::Synced => {
            let folder =
                rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
            Ok(rustix::fs::fsync(folder)?)
        }
        _ => Ok(()),
    }
}

/// Deletes a file or a symbolic link, if it exists.
///
/// # Errors
/// The system's error, except that the file does not exist.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening some devices has side effects, so the name is checked first.
    check(fs::symlink_metadata(path)?.file_type())?;
    // In case it is replaced after the check: follow no link, and do not block on a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn check(kind: FileType) -> io::Result<()> {
    let other = if kind.is_file() {
        return Ok(());
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(ErrorKind::InvalidData, NotRegular(other)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("target"), "unchanged").expect("a file");
        symlink(at("target"), at("link")).expect("a link");
        symlink(at("nowhere"), at("dangling")).expect("a link");
        fs::create_dir(at("folder")).expect("a folder");
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status();
        assert!(made.is_ok_and(|status| status.success()), "a pipe");
        let _listener = UnixListener::bind(at("socket")).expect("a socket");
        for (name, what) in [
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("folder", "a folder"),
            ("pipe", "a pipe"),
            ("socket", "a socket"),
        ] {
            let reads = open(&at(name)).expect_err(name);
            let writes = open_or_create(&at(name), 0o644).expect_err(name);
            for error in [reads, writes] {
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
                assert_eq!(error.to_string(), format!("it is not a regular file but {what}"));
            }
            create(&at(name), 0o644).expect_err(name);
        }
        assert!(!at("nowhere").exists());
        open(&at("target")).expect("a regular file");
    }

    #[test]
    fn a_prepared_link_keeps_its_target_when_a_file_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("target"), "unchanged").expect("a file");
        for durability in [Durability::Synced, Durability::Unsynced] {
            for name in ["file", "file.new"] {
                symlink(at("target"), at(name)).expect("a link");
            }
            replace(&at("file"), &at("file.new"), b"new", 0o644, durability)
                .expect("the folder is writable");
            assert_eq!(fs::read(at("target")).expect("the file exists"), b"unchanged");
            assert_eq!(fs::read(at("file")).expect("the file exists"), b"new");
            assert!(fs::symlink_metadata(at("file")).expect("the file exists").is_file());
            assert!(!at("file.new").exists());
            fs::remove_file(at("file")).expect("the folder is writable");
        }
    }
}
