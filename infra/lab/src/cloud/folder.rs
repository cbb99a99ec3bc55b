//! Creates the app folder: the deployed files, with the lab itself as the function's binary.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::role;

/// The deployed files, by their path in the app folder.
const FILES: [(&str, &str); 3] = [
    ("host.json", include_str!("../../../../function/host.json")),
    ("Ping/function.json", include_str!("../../../../function/Ping/function.json")),
    ("Outages/function.json", include_str!("../../../../function/Outages/function.json")),
];

/// A folder or file of the app could not be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the folder of the function app `{}`", path.display())]
pub struct AppFolderError {
    path: PathBuf,
    source: io::Error,
}

/// Creates a temporary app folder in which `executable` is the function.
pub(super) fn create(executable: &Path) -> Result<TempDir, AppFolderError> {
    let fail = |path: &Path| {
        let path = path.to_path_buf();
        |source: io::Error| AppFolderError { path, source }
    };
    let parent = std::env::temp_dir();
    let folder = tempfile::Builder::new()
        .prefix("ispmon-lab-")
        .tempdir_in(&parent)
        .map_err(fail(&parent))?;
    for (name, content) in FILES {
        let path: PathBuf = folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail(parent))?;
        }
        fs::write(&path, content).map_err(fail(&path))?;
    }
    let link = folder.path().join(role::FUNCTION);
    symlink(executable, &link).map_err(fail(&link))?;
    Ok(folder)
}
