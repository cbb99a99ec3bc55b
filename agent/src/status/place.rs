//! The path of the status file, and finding it.
//!
//! A service uses the folder for files that do not outlive the boot: systemd creates `/run/ispmon` and
//! names it in `RUNTIME_DIRECTORY`. Otherwise, as with Homebrew, the file is in the folder of the
//! journal. A reader does not know how the agent was started, so it checks both.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::Status;
use crate::{printable::make_printable, state_dir::file};

/// The file's name.
pub const FILE_NAME: &str = "status.json";
/// The name of the control socket beside it.
pub const SOCKET_NAME: &str = "control.sock";
/// The runtime folder of the service that the packages install.
pub const SERVICE_FOLDER: &str = "/run/ispmon";
/// The maximum size of a status file in bytes; one with every field full has a tenth of that.
const MAX_BYTES: u64 = 256 * 1024;

/// The folder that the agent writes its status file to: systemd's runtime folder (the first path in
/// `RUNTIME_DIRECTORY`) or else the folder of the journal.
pub fn folder(runtime_directory: Option<&str>, state_dir: &Path) -> PathBuf {
    first_path(runtime_directory).unwrap_or_else(|| state_dir.to_owned())
}

fn first_path(runtime_directory: Option<&str>) -> Option<PathBuf> {
    let first = runtime_directory?.split(':').next()?;
    (!first.is_empty()).then(|| PathBuf::from(first))
}

/// The folders that may contain an agent's status file, the likeliest first.
///
/// `homebrew` is the journal folder of the Homebrew formula that installed this program, whose service
/// takes precedence over that of a package. `state_dirs` are the possible journal folders.
pub fn folders(
    runtime_directory: Option<&str>,
    homebrew: Option<PathBuf>,
    state_dirs: &[PathBuf],
) -> Vec<PathBuf> {
    let service = homebrew.into_iter().chain([PathBuf::from(SERVICE_FOLDER)]);
    let runtime = first_path(runtime_directory).into_iter().chain(service);
    let mut folders = Vec::new();
    for folder in runtime.chain(state_dirs.iter().cloned()) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// A status file that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundStatus {
    /// The folder of the file and of the control socket.
    pub folder: PathBuf,
    /// Its content.
    pub status: Status,
}

/// No status can be shown.
#[derive(Debug, thiserror::Error)]
pub enum StatusReadError {
    /// None of the folders has a status file: no agent runs, or it uses another folder.
    #[error("there is no status file in {}", list(.0))]
    Absent(Vec<PathBuf>),
    /// The file exists but cannot be read.
    #[error("the status file {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file has other content, or was truncated by a power failure.
    #[error("the status file {} holds no status of this or an older version", .0.display())]
    Garbled(PathBuf, #[source] serde_json::Error),
}

/// The folders in a sentence.
pub(crate) fn list(folders: &[PathBuf]) -> String {
    let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(" or ")
}

/// Reads the status file in one folder; `None` when there is none.
///
/// # Errors
/// [`StatusReadError::Unreadable`] and [`StatusReadError::Garbled`].
pub fn read(folder: &Path) -> Result<Option<Status>, StatusReadError> {
    let path = folder.join(FILE_NAME);
    let bytes = match file::open(&path).and_then(content) {
        Ok(bytes) => bytes,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(StatusReadError::Unreadable(path, error)),
    };
    // The content may come from outside, and a terminal obeys control characters.
    let status = serde_json::from_slice(&bytes).and_then(|mut document| {
        make_printable(&mut document);
        serde_json::from_value(document)
    });
    status.map(Some).map_err(|error| StatusReadError::Garbled(path, error))
}

fn content(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Finds the status of the agent whose journal is in `state_dir`, or of any agent if that is `None`.
///
/// Of several, returns the first for which `runs` is true, else the first. A read error is returned
/// only when no status is found.
///
/// # Errors
/// Every [`StatusReadError`].
pub fn find(
    folders: &[PathBuf],
    state_dir: Option<&Path>,
    runs: impl Fn(&Status) -> bool,
) -> Result<FoundStatus, StatusReadError> {
    let mut first = None;
    let mut trouble = None;
    for folder in folders {
        match read(folder) {
            Ok(Some(status))
                if state_dir.is_some_and(|wanted| !is_same_folder(wanted, &status.state_dir)) => {}
            Ok(Some(status)) => {
                let running = runs(&status);
                let found = FoundStatus { folder: folder.clone(), status };
                if running {
                    return Ok(found);
                }
                first.get_or_insert(found);
            }
            Ok(None) => {}
            Err(error) => {
                trouble.get_or_insert(error);
            }
        }
    }
    first.ok_or_else(|| trouble.unwrap_or_else(|| StatusReadError::Absent(folders.to_vec())))
}

/// Whether two paths lead to one folder. If one cannot be resolved, only equal paths do.
pub fn is_same_folder(one: &Path, other: &Path) -> bool {
    one == other
        || match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::status::text::tests::status;

    fn put(folder: &Path, status: &Status) {
        let json = serde_json::to_vec(status).expect("a status is JSON");
        fs::write(folder.join(FILE_NAME), json).expect("the file is written");
    }

    #[test]
    fn a_service_has_a_runtime_folder_and_others_use_that_of_the_journal() {
        let state_dir = Path::new("/home/me/.local/state/ispmon");
        assert_eq!(folder(Some("/run/ispmon"), state_dir), Path::new("/run/ispmon"));
        assert_eq!(folder(Some("/run/a:/run/b"), state_dir), Path::new("/run/a"));
        assert_eq!(folder(Some(""), state_dir), state_dir);
        assert_eq!(folder(None, state_dir), state_dir);
        let state_dirs = [state_dir.to_owned(), "/var/lib/ispmon".into(), "/run/ispmon".into()];
        assert_eq!(
            folders(None, None, &state_dirs),
            ["/run/ispmon", "/home/me/.local/state/ispmon", "/var/lib/ispmon"].map(PathBuf::from)
        );
        assert_eq!(
            folders(Some("/run/test"), None, &state_dirs[..1]),
            ["/run/test", "/run/ispmon", "/home/me/.local/state/ispmon"].map(PathBuf::from)
        );
        let homebrew = PathBuf::from("/opt/homebrew/var/ispmon");
        assert_eq!(
            folders(None, Some(homebrew.clone()), &[homebrew, state_dir.to_owned()]),
            ["/opt/homebrew/var/ispmon", "/run/ispmon", "/home/me/.local/state/ispmon"]
                .map(PathBuf::from)
        );
    }

    #[test]
    fn a_running_agent_is_found_after_one_that_does_not_run() {
        let [old, new] = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
        put(old.path(), &Status { pid: 1, ..status() });
        put(new.path(), &Status { pid: 2, ..status() });
        let folders = [old.path().to_owned(), new.path().to_owned()];
        let find = |runs: fn(&Status) -> bool| {
            find(&folders, None, runs).expect("one is found").status.pid
        };
        assert_eq!(find(|status| status.pid == 2), 2);
        assert_eq!(find(|_| true), 1);
        assert_eq!(find(|_| false), 1);
    }

    #[test]
    fn an_agent_with_another_journal_is_another_agent() {
        let folder = tempfile::tempdir().expect("a folder");
        put(folder.path(), &status());
        let folders = [folder.path().to_owned()];
        let own = status().state_dir;
        assert!(find(&folders, Some(&own), |_| true).is_ok());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).expect("a link");
        put(folder.path(), &Status { state_dir: folder.path().to_owned(), ..status() });
        assert!(find(&folders, Some(&link), |_| true).is_ok(), "by a symbolic link");
        let other = find(&folders, Some(Path::new("/elsewhere")), |_| true);
        assert!(matches!(other, Err(StatusReadError::Absent(_))), "{other:?}");
    }

    #[test]
    fn a_read_error_is_returned_only_when_no_status_is_found() {
        let [torn, good] = [0, 1].map(|_| tempfile::tempdir().expect("a folder"));
        fs::write(torn.path().join(FILE_NAME), "{\"version\":").expect("the file is written");
        let torn_alone = find(&[torn.path().to_owned()], None, |_| true);
        assert!(matches!(torn_alone, Err(StatusReadError::Garbled(..))), "{torn_alone:?}");
        put(good.path(), &status());
        assert!(find(&[torn.path().to_owned(), good.path().to_owned()], None, |_| true).is_ok());
        let nowhere = find(&["/nonexistent/a".into(), "/nonexistent/b".into()], None, |_| true);
        let error = nowhere.expect_err("no status file");
        assert_eq!(
            error.to_string(),
            "there is no status file in /nonexistent/a or /nonexistent/b"
        );
    }

    #[test]
    fn a_newer_agents_values_and_fields_are_tolerated() {
        let mut json = serde_json::to_value(status()).expect("a status is JSON");
        json["condition"] = "hibernating".into();
        json["mood"] = "good".into();
        let status: Status = serde_json::from_value(json).expect("the JSON is a status");
        assert_eq!(status.condition, crate::status::ConnectivityStatus::Unknown);
    }
}
