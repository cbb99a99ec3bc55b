//! The folder that receives the mails instead of the owner's inbox.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::message::Mail;

/// A folder with one file per mail.
///
/// A reader never sees a partial mail: a file is written under a hidden name and then renamed.
#[derive(Debug)]
pub struct MailFolder {
    path: PathBuf,
}

/// A mail could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The folder cannot be created.
    #[error("cannot make the mail folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// No file can be created in the folder.
    #[error("cannot write to the mail folder `{}`", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the mail `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
}

impl MailFolder {
    /// Opens a folder, creating it if necessary. Fails when no file can be created in it, so that
    /// the problem shows at start and not with the first mail.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, MailError> {
        let path = path.into();
        if let Err(source) = fs::create_dir_all(&path) {
            return Err(MailError::Folder { path, source });
        }
        match hidden_file(&path) {
            Ok(_) => Ok(Self { path }),
            Err(source) => Err(MailError::NotWritable { path, source }),
        }
    }

    /// Writes a mail and returns its file, whose name begins with the time and so sorts by it.
    ///
    /// Mails of the same rule and second are numbered; no mail ever replaces another.
    pub fn deliver(&self, mail: &Mail) -> Result<PathBuf, MailError> {
        let mut number = 1;
        loop {
            let path = self.path.join(file_name(mail, number));
            match self.write_new(&path, mail) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(MailError::Write { path, source }),
            }
        }
    }

    fn write_new(&self, path: &Path, mail: &Mail) -> io::Result<()> {
        let mut file = hidden_file(&self.path)?;
        file.write_all(&mail.to_eml())?;
        file.persist_noclobber(path)?;
        Ok(())
    }
}

/// Creates a file that is removed when it is dropped, unless it has been renamed.
fn hidden_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder)
}

/// Such as `20260301T121500Z-1-fired-ispmon-device-silent.eml`.
fn file_name(mail: &Mail, number: u32) -> String {
    let condition = mail.condition.as_str().to_lowercase();
    let rule: String = mail
        .rule
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    format!("{}-{number}-{condition}-{rule}.eml", mail.sent.strftime("%Y%m%dT%H%M%SZ"))
}
