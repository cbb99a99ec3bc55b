//! Checks whether the journal can be written, and whether its newest part is intact.

use std::path::{Path, PathBuf};

use super::DoctorCheck;
use crate::{
    error_chain::ErrorChain,
    file_access::{PathEnd, PathWalk},
    journal::{JournalReadError, Verified, verify},
    outage::NetworkFacts,
    status::{JournalStatus, Presence, Status},
};

const NAME: &str = "journal";
const SPACE: &str = "disk space";
/// Full size of the journal: 16 files of 4 MiB.
const FULL_JOURNAL_BYTES: u64 = 64 << 20;
/// With less free space the next outage may not fit.
const LEAST_BYTES: u64 = 4 << 20;

/// Facts about the state folder and the journal in it.
#[derive(Debug)]
pub(super) struct JournalFacts {
    folder: Option<PathBuf>,
    /// What has the place of the folder, or of one above it.
    obstacle: Option<FolderObstacle>,
    /// Result of reading the journal, if there is a folder.
    verified: Option<Result<Verified, JournalReadError>>,
    free_bytes: Option<u64>,
    /// The running agent's report on its journal.
    running: Option<JournalStatus>,
}

/// Something that prevents the folder from being created or used.
#[derive(Debug)]
enum FolderObstacle {
    /// Not a folder.
    File(PathBuf),
    /// A link to something that does not exist.
    Link {
        /// The link.
        link: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
}

impl FolderObstacle {
    fn of(folder: &Path) -> Option<Self> {
        let walk = PathWalk::of(folder);
        match walk.end {
            PathEnd::Reached => {
                let last = walk.parts.into_iter().next_back().filter(|part| !part.is_folder)?;
                Some(Self::File(last.path))
            }
            PathEnd::NotAFolder(path) => Some(Self::File(path)),
            PathEnd::Missing { target, link: Some(link) } => Some(Self::Link { link, target }),
            PathEnd::Missing { .. } | PathEnd::Unknown(_) => None,
        }
    }

    fn check(&self) -> DoctorCheck {
        match self {
            Self::File(path) => {
                let path = path.display();
                DoctorCheck::fail(NAME, format!("{path} is not a folder, so there is no place for it"))
                    .action(format!(
                        "Move it away: sudo mv {path} {path}.old. The folder is created when the agent starts."
                    ))
            }
            Self::Link { link, target } => {
                let (link, target) = (link.display(), target.display());
                let detail = format!("{link} is a symbolic link to {target}, which does not exist");
                DoctorCheck::fail(NAME, detail).action("Create that folder, or remove the link.")
            }
        }
    }
}

impl JournalFacts {
    /// Reads the folder that the agent's status names, or else the first of `state_dirs` that exists.
    pub(super) fn gather(status: Option<(&Status, Presence)>, state_dirs: &[PathBuf]) -> Self {
        let exists = |folder: &&PathBuf| folder.is_dir();
        let folder = match status {
            Some((status, _)) => Some(status.state_dir.clone()),
            None => state_dirs.iter().find(exists).or_else(|| state_dirs.first()).cloned(),
        };
        let running = status.filter(|(_, presence)| presence.is_running());
        Self {
            obstacle: folder.as_deref().and_then(FolderObstacle::of),
            verified: folder.as_deref().map(verify),
            free_bytes: folder.as_deref().and_then(free_bytes),
            running: running.map(|(status, _)| status.journal.clone()),
            folder,
        }
    }

    /// The networks in the journal; `None` if it cannot be read.
    pub(super) fn networks(&self) -> Option<&[NetworkFacts]> {
        match &self.verified {
            Some(Ok(verified)) => Some(&verified.networks),
            None | Some(Err(JournalReadError::Absent { .. })) => Some(&[]),
            Some(Err(_)) => None,
        }
    }
}

/// The space that an ordinary user can still use where the folder is, or will be.
fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|ancestor| ancestor.exists())?;
    let system = rustix::fs::statvfs(existing).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

pub(super) fn judge(facts: &JournalFacts) -> Vec<DoctorCheck> {
    let Some(folder) = &facts.folder else {
        return vec![
            DoctorCheck::fail(NAME, "there is no folder for it: this user has no home")
                .action("Name one with the setting state_dir."),
        ];
    };
    let place = folder.display();
    vec![journal_check(facts, folder), space(facts.free_bytes, &place.to_string())]
}

fn journal_check(facts: &JournalFacts, folder: &Path) -> DoctorCheck {
    let place = folder.display();
    if let Some(JournalStatus { problem: Some(problem), advice, waiting, .. }) = &facts.running {
        let check = DoctorCheck::fail(NAME, format!("{waiting} records wait in memory. {problem}"));
        return check.action(
            advice.clone().unwrap_or_else(|| {
                format!("Make sure that the agent's user can write to {place}.")
            }),
        );
    }
    if let Some(obstacle) = &facts.obstacle {
        return obstacle.check();
    }
    match &facts.verified {
        None | Some(Err(JournalReadError::Absent { .. })) if facts.running.is_some() => {
            DoctorCheck::fail(NAME, format!("the agent runs, but there is no journal in {place}"))
                .action("See the agent's log for the reason.")
        }
        None | Some(Err(JournalReadError::Absent { .. })) => {
            DoctorCheck::skip(NAME, format!("there is none in {place} yet"))
        }
        Some(Err(error)) => DoctorCheck::fail(NAME, ErrorChain(error).to_string())
            .action(format!("Make it readable: chmod a+rx {place}, chmod a+r {place}/*.")),
        Some(Ok(Verified { first_problem: Some(problem), .. })) => {
            DoctorCheck::fail(NAME, format!("in {place}, {}", ErrorChain(problem)))
                .action("See which part of it is intact: ispmon-agent journal verify.")
        }
        Some(Ok(Verified { unknown, .. })) if !unknown.is_empty() => {
            DoctorCheck::warn(NAME, format!("in {place}, {}", unknown.sentences().join(" ")))
                .action("Use the newer ispmon-agent again, which can read them.")
        }
        Some(Ok(Verified { records, .. })) => {
            DoctorCheck::pass(NAME, format!("the {records} records in {place} are intact"))
        }
    }
}

fn space(free: Option<u64>, place: &str) -> DoctorCheck {
    let Some(free) = free else {
        return DoctorCheck::skip(SPACE, format!("the free space in {place} is unknown"));
    };
    let mebibytes = free >> 20;
    let detail = format!("{mebibytes} MiB are free in {place}");
    if free >= FULL_JOURNAL_BYTES {
        DoctorCheck::pass(SPACE, detail)
    } else if free >= LEAST_BYTES {
        DoctorCheck::warn(SPACE, format!("only {detail}; the journal may grow to 64 MiB"))
            .action("Make room.")
    } else {
        DoctorCheck::fail(SPACE, format!("only {detail}"))
            .action("Make room, or the next outage is not recorded.")
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        doctor::tests::rows,
        journal::{Damage, Flaw, LineLocation, UnknownRecord},
    };

    fn facts(verified: Option<Result<Verified, JournalReadError>>) -> JournalFacts {
        JournalFacts {
            folder: Some("/var/lib/ispmon".into()),
            obstacle: None,
            verified,
            free_bytes: Some(12_345 << 20),
            running: None,
        }
    }

    fn absent() -> JournalReadError {
        JournalReadError::Absent { folder: "/var/lib/ispmon".into() }
    }

    #[test]
    fn each_state_of_the_journal_has_its_row() {
        let row = |verified| rows(&judge(&facts(Some(verified)))[..1]);
        let whole = || Verified { records: 312, ..Verified::default() };
        insta::assert_snapshot!(row(Ok(whole())), @"PASS journal: the 312 records in /var/lib/ispmon are intact");
        insta::assert_snapshot!(row(Err(absent())), @"SKIP journal: there is none in /var/lib/ispmon yet");
        let path = "/var/lib/ispmon/journal.ndjson".into();
        let denied = io::Error::from_raw_os_error(13);
        insta::assert_snapshot!(row(Err(JournalReadError::Io { path, source: denied })), @"FAIL journal: /var/lib/ispmon/journal.ndjson cannot be read: Permission denied (os error 13) → Make it readable: chmod a+rx /var/lib/ispmon, chmod a+r /var/lib/ispmon/*.");
        let place = LineLocation { file: "journal.ndjson".into(), line: 17 };
        let damage = Damage { place, seq: Some(17), flaw: Flaw::NotARecord };
        let damaged =
            Verified { first_problem: Some(JournalReadError::Damaged(damage)), ..whole() };
        insta::assert_snapshot!(row(Ok(damaged)), @"FAIL journal: in /var/lib/ispmon, the journal is damaged: journal.ndjson, line 17 (record 17): this line is not a record → See which part of it is intact: ispmon-agent journal verify.");
        let mut newer = whole();
        newer.unknown.count(&UnknownRecord { kind: "moon".to_owned(), word: None, incident: None });
        insta::assert_snapshot!(row(Ok(newer)), @r#"WARN journal: in /var/lib/ispmon, 1 record of kind "moon" comes from a newer version and is not shown. → Use the newer ispmon-agent again, which can read them."#);
        let mut full = facts(Some(Ok(whole())));
        full.running = Some(JournalStatus {
            waiting: 3,
            problem: Some("The disk is full.".to_owned()),
            advice: Some("Make room on the disk of /var/lib/ispmon.".to_owned()),
            ..JournalStatus::default()
        });
        insta::assert_snapshot!(rows(&judge(&full)[..1]), @"FAIL journal: 3 records wait in memory. The disk is full. → Make room on the disk of /var/lib/ispmon.");
        full.running = Some(JournalStatus::default());
        full.verified = Some(Err(absent()));
        insta::assert_snapshot!(rows(&judge(&full)[..1]), @"FAIL journal: the agent runs, but there is no journal in /var/lib/ispmon → See the agent's log for the reason.");
        full.folder = None;
        insta::assert_snapshot!(rows(&judge(&full)), @"FAIL journal: there is no folder for it: this user has no home → Name one with the setting state_dir.");
    }

    #[test]
    fn what_has_the_place_of_the_folder_is_named() {
        let kept = tempfile::tempdir().expect("a folder");
        let at = kept.path().canonicalize().expect("it exists");
        let row = |path: &str| {
            let found =
                JournalFacts { obstacle: FolderObstacle::of(&at.join(path)), ..facts(None) };
            rows(&judge(&found)[..1]).replace(&at.display().to_string(), "[folder]")
        };
        std::fs::write(at.join("file"), "").expect("a file");
        std::os::unix::fs::symlink("usb/ispmon", at.join("link")).expect("a link");
        insta::assert_snapshot!(row("file"), @"FAIL journal: [folder]/file is not a folder, so there is no place for it → Move it away: sudo mv [folder]/file [folder]/file.old. The folder is created when the agent starts.");
        assert_eq!(row("file/ispmon"), row("file"));
        insta::assert_snapshot!(row("link"), @"FAIL journal: [folder]/link is a symbolic link to [folder]/usb/ispmon, which does not exist → Create that folder, or remove the link.");
        assert_eq!(row("link/deep"), row("link"));
        insta::assert_snapshot!(row("missing"), @"SKIP journal: there is none in /var/lib/ispmon yet");
        std::fs::create_dir_all(at.join("usb/ispmon")).expect("folders");
        assert_eq!(row("link"), row("missing"));
    }

    #[test]
    fn free_space_is_compared_with_the_size_of_a_journal() {
        let row = |free| rows(&[space(free, "/var/lib/ispmon")]);
        insta::assert_snapshot!(row(Some(64 << 20)), @"PASS disk space: 64 MiB are free in /var/lib/ispmon");
        insta::assert_snapshot!(row(Some((64 << 20) - 1)), @"WARN disk space: only 63 MiB are free in /var/lib/ispmon; the journal may grow to 64 MiB → Make room.");
        insta::assert_snapshot!(row(Some(1 << 20)), @"FAIL disk space: only 1 MiB are free in /var/lib/ispmon → Make room, or the next outage is not recorded.");
        insta::assert_snapshot!(row(None), @"SKIP disk space: the free space in /var/lib/ispmon is unknown");
        assert!(free_bytes(Path::new("/nonexistent/folder")).is_some(), "of the folder above");
    }
}
