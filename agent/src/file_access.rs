//! Finds what prevents a user from reading a file.
//!
//! The path is walked as the kernel walks it: every folder must be entered, and links lead elsewhere. The
//! walk needs no right to read anything, so that root can judge for the user of the service, and a process
//! for itself.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use rustix::process::Gid;

use crate::program;

/// The most links in a path, as in Linux.
const MAX_LINKS: usize = 40;
/// Time limit for the command that looks up an account, whose directory may be on another machine.
const LIMIT: Duration = Duration::from_secs(3);

/// What decides which files a user may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRights {
    /// The number of the user.
    pub uid: u32,
    /// The numbers of all its groups.
    pub groups: Vec<u32>,
}

/// A user with the names that a command about its rights needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemAccount {
    /// Its name, or its number where it has no name.
    pub name: String,
    /// The name or number of its main group.
    pub group: String,
    /// Its rights.
    pub rights: UserRights,
}

impl SystemAccount {
    /// The user that this process runs as. Runs a program to find its names.
    pub fn of_this_process() -> Self {
        let rights = UserRights::of_this_process();
        let name = |flag, number: u32| id(&[flag, "-n"]).unwrap_or_else(|| number.to_string());
        let gid = rustix::process::getegid().as_raw();
        Self { name: name("-u", rights.uid), group: name("-g", gid), rights }
    }

    /// The user with this name; `None` when there is none.
    pub fn named(name: &str) -> Option<Self> {
        let groups = id(&["-G", name])?;
        let groups = groups.split_whitespace().filter_map(|group| group.parse().ok()).collect();
        let rights = UserRights { uid: id(&["-u", name])?.parse().ok()?, groups };
        Some(Self { name: name.to_owned(), group: id(&["-g", "-n", name])?, rights })
    }
}

impl UserRights {
    /// The rights of this process.
    pub fn of_this_process() -> Self {
        let gid = rustix::process::getegid();
        let others = rustix::process::getgroups().unwrap_or_default();
        let groups = [gid].into_iter().chain(others).map(Gid::as_raw).collect();
        Self { uid: rustix::process::geteuid().as_raw(), groups }
    }

    /// Whether the mode of a file or folder lets this user read the file or enter the folder. An access
    /// control list may grant more than the mode shows, so what has one counts as allowed, except for its
    /// owner, whom no list concerns.
    fn may_pass(&self, part: &PathPart) -> bool {
        let wanted = if part.is_folder { 0o1 } else { 0o4 };
        if self.uid == 0 {
            true
        } else if self.uid == part.owner {
            part.mode >> 6 & wanted != 0
        } else if part.has_list {
            true
        } else if self.groups.contains(&part.group) {
            part.mode >> 3 & wanted != 0
        } else {
            part.mode & wanted != 0
        }
    }
}

fn id(arguments: &[&str]) -> Option<String> {
    let text = program::output("id", arguments, LIMIT)?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A folder on the way to a file, or the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPart {
    /// Its path without links.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The number of its owner.
    pub owner: u32,
    /// The number of its group.
    pub group: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it has an access control list.
    pub has_list: bool,
}

impl PathPart {
    fn new(path: &Path, metadata: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            is_folder: metadata.is_dir(),
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o777,
            has_list: has_list(path),
        }
    }
}

/// Whether a file or folder has an access control list; its mode then shows the list's mask instead of the
/// rights of the group.
fn has_list(path: &Path) -> bool {
    cfg!(target_os = "linux")
        && rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok()
}

/// Where the walk along a path ended.
#[derive(Debug)]
pub enum PathEnd {
    /// At the file.
    Reached,
    /// At a part that does not exist.
    Missing {
        /// The missing file, with all links resolved.
        target: PathBuf,
        /// The symbolic link in the path that leads there, if any does.
        link: Option<PathBuf>,
    },
    /// At something in the middle of the path that is not a folder.
    NotAFolder(PathBuf),
    /// At a part that this process cannot look at.
    Unknown(io::Error),
}

/// A path, part by part.
#[derive(Debug)]
pub struct PathWalk {
    /// The folders from the root on, and the file.
    pub parts: Vec<PathPart>,
    /// Where it ended.
    pub end: PathEnd,
}

impl PathWalk {
    /// Walks along an absolute path, as far as this process can.
    pub fn of(path: &Path) -> Self {
        let mut walk = Self { parts: Vec::new(), end: PathEnd::Reached };
        if let Err(end) = walk.go(path) {
            walk.end = end;
        }
        walk
    }

    /// The first part that a user with these rights may not read or enter.
    pub fn first_refusal(&self, rights: &UserRights) -> Option<&PathPart> {
        self.parts.iter().find(|part| !rights.may_pass(part))
    }

    fn go(&mut self, path: &Path) -> Result<(), PathEnd> {
        let mut at = PathBuf::from("/");
        let root = fs::symlink_metadata(&at).map_err(PathEnd::Unknown)?;
        self.parts.push(PathPart::new(&at, &root));
        // Each name with the link of the original path that it comes from.
        let mut rest = names(path, None);
        let mut links = 0;
        while let Some((name, link)) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let metadata = match fs::symlink_metadata(&next) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let below =
                        rest.iter().take_while(|(_, other)| link.is_some() && *other == link);
                    let target = below.fold(next, |target, (name, _)| target.join(name));
                    return Err(PathEnd::Missing { target, link });
                }
                Err(error) => return Err(PathEnd::Unknown(error)),
            };
            if metadata.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    let error =
                        io::Error::from_raw_os_error(rustix::io::Errno::LOOP.raw_os_error());
                    return Err(PathEnd::Unknown(error));
                }
                let target = fs::read_link(&next).map_err(PathEnd::Unknown)?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                let mut names = names(&target, Some(&link.unwrap_or(next)));
                names.append(&mut rest);
                rest = names;
                continue;
            }
            if !metadata.is_dir() && !rest.is_empty() {
                return Err(PathEnd::NotAFolder(next));
            }
            self.parts.push(PathPart::new(&next, &metadata));
            at = next;
        }
        Ok(())
    }
}

/// The names in a path, in its order.
fn names(path: &Path, link: Option<&Path>) -> VecDeque<(OsString, Option<PathBuf>)> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(_) | Component::ParentDir => {
            Some((component.as_os_str().to_owned(), link.map(Path::to_owned)))
        }
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    fn user(uid: u32, groups: &[u32]) -> UserRights {
        UserRights { uid, groups: groups.to_vec() }
    }

    fn part(is_folder: bool, owner: u32, group: u32, mode: u32) -> PathPart {
        PathPart { path: "/x".into(), is_folder, owner, group, mode, has_list: false }
    }

    #[test]
    fn rights_are_those_of_the_owner_else_of_the_group_else_of_the_others() {
        let ispmon = user(990, &[990, 991]);
        for (is_folder, owner, group, mode, expected) in [
            (false, 0, 0, 0o644, true),
            (false, 0, 0, 0o600, false),
            (false, 0, 0, 0o640, false),
            (false, 0, 990, 0o640, true),
            (false, 0, 991, 0o640, true),
            (false, 0, 990, 0o604, false),
            (false, 990, 0, 0o600, true),
            (false, 990, 990, 0o044, false),
            (true, 0, 0, 0o755, true),
            (true, 0, 0, 0o711, true),
            (true, 0, 0, 0o700, false),
            (true, 0, 0, 0o744, false),
            (true, 0, 990, 0o750, true),
        ] {
            let part = part(is_folder, owner, group, mode);
            assert_eq!(ispmon.may_pass(&part), expected, "{part:?}");
        }
        assert!(user(0, &[0]).may_pass(&part(false, 990, 990, 0)), "root may read everything");
        let listed = PathPart { has_list: true, ..part(false, 0, 0, 0o600) };
        assert!(ispmon.may_pass(&listed), "its list may name the user");
    }

    /// A folder that every user may enter, whose own path has no link.
    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        set_mode(folder.path(), 0o755);
        let path = folder.path().canonicalize().expect("it exists");
        (folder, path)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn the_first_part_that_refuses_is_found_behind_links_too() {
        let (_kept, at) = folder();
        let stranger = user(4_000_000, &[4_000_000]);
        fs::create_dir_all(at.join("private/deep")).expect("folders");
        fs::write(at.join("private/deep/file"), "").expect("a file");
        symlink("private/deep/../deep/file", at.join("link")).expect("a link");
        let refusal = || {
            let walk = PathWalk::of(&at.join("link"));
            assert!(matches!(walk.end, PathEnd::Reached), "{walk:?}");
            walk.first_refusal(&stranger).map(|part| part.path.clone())
        };
        set_mode(&at.join("private/deep/file"), 0o644);
        assert_eq!(refusal(), None);
        set_mode(&at.join("private/deep/file"), 0o600);
        assert_eq!(refusal(), Some(at.join("private/deep/file")));
        set_mode(&at.join("private"), 0o700);
        assert_eq!(refusal(), Some(at.join("private")));
    }

    #[test]
    fn a_missing_file_is_distinguished_from_the_missing_target_of_a_link() {
        let (_kept, at) = folder();
        let missing = |path: &str| match PathWalk::of(&at.join(path)).end {
            PathEnd::Missing { target, link } => (target, link),
            end => panic!("{path}: {end:?}"),
        };
        assert_eq!(missing("file"), (at.join("file"), None));
        assert_eq!(missing("folder/file"), (at.join("folder"), None));
        symlink("gone/deep", at.join("link")).expect("a link");
        let target = (at.join("gone/deep"), Some(at.join("link")));
        assert_eq!(missing("link"), target);
        assert_eq!(missing("link/file"), target);
        symlink(at.join("link"), at.join("first")).expect("a link");
        assert_eq!(missing("first"), (at.join("gone/deep"), Some(at.join("first"))));
        fs::create_dir_all(at.join("gone/deep")).expect("folders");
        assert_eq!(missing("link/file"), (at.join("gone/deep/file"), None));
    }

    #[test]
    fn a_file_in_the_middle_of_a_path_and_a_circle_of_links_end_the_walk() {
        let (_kept, at) = folder();
        fs::write(at.join("file"), "").expect("a file");
        let walk = PathWalk::of(&at.join("file/agent.toml"));
        assert!(
            matches!(&walk.end, PathEnd::NotAFolder(path) if *path == at.join("file")),
            "{walk:?}"
        );
        symlink("circle", at.join("circle")).expect("a link");
        let walk = PathWalk::of(&at.join("circle"));
        assert!(matches!(walk.end, PathEnd::Unknown(_)), "{walk:?}");
    }

    #[test]
    fn accounts_are_looked_up_by_name() {
        let root = SystemAccount::named("root").expect("every system has it");
        assert_eq!((root.rights.uid, root.rights.groups.contains(&0)), (0, true));
        assert_eq!(SystemAccount::named("nobody-of-this-name"), None);
        assert_eq!(
            SystemAccount::of_this_process().rights.uid,
            rustix::process::geteuid().as_raw()
        );
    }
}
