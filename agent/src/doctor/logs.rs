//! Checks whether the system keeps its log.

use std::{fs, path::Path};

use super::DoctorCheck;

const NAME: &str = "system log";

/// Where journald writes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogFacts {
    /// Whether journald runs.
    runs: bool,
    /// Whether it writes a file in memory (`/run`).
    in_memory: bool,
    /// Whether it has a file on the disk.
    on_disk: bool,
}

impl LogFacts {
    pub(super) fn gather() -> Self {
        Self {
            runs: Path::new("/run/systemd/journal/socket").exists(),
            in_memory: has_open_journal(Path::new("/run/log/journal")),
            on_disk: has_open_journal(Path::new("/var/log/journal")),
        }
    }
}

/// Whether a folder has a journal that is being written: `system.journal` in the folder of a machine ID.
fn has_open_journal(folder: &Path) -> bool {
    let machines = fs::read_dir(folder).into_iter().flatten().flatten();
    machines.into_iter().any(|machine| machine.path().join("system.journal").exists())
}

pub(super) fn judge(facts: LogFacts) -> Vec<DoctorCheck> {
    let check = if cfg!(target_os = "macos") {
        DoctorCheck::pass(NAME, "macOS keeps it for some days; the agent's own journal lasts")
    } else if !facts.runs {
        DoctorCheck::skip(NAME, "there is no journald here; the agent logs to its standard error")
    } else if facts.in_memory {
        // A file from an earlier setting may remain on the disk, but is not written any more.
        DoctorCheck::warn(
            NAME,
            "journald keeps it in memory only; only the agent's own journal lasts",
        )
        .action(
            "Nothing needs to be done. To keep the log too: set Storage=persistent in \
                 /etc/systemd/journald.conf and restart systemd-journald.",
        )
    } else if facts.on_disk {
        DoctorCheck::pass(NAME, "journald keeps it on the disk")
    } else {
        DoctorCheck::warn(NAME, "journald keeps nothing; only the agent's own journal lasts")
            .action("To keep the log too, set Storage=persistent in /etc/systemd/journald.conf.")
    };
    vec![check]
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::doctor::tests::rows;

    #[test]
    fn each_storage_of_the_log_has_its_row() {
        let row = |runs, in_memory, on_disk| rows(&judge(LogFacts { runs, in_memory, on_disk }));
        insta::assert_snapshot!(row(true, false, true), @"PASS system log: journald keeps it on the disk");
        insta::assert_snapshot!(row(true, true, false), @"WARN system log: journald keeps it in memory only; only the agent's own journal lasts → Nothing needs to be done. To keep the log too: set Storage=persistent in /etc/systemd/journald.conf and restart systemd-journald.");
        assert_eq!(row(true, true, true), row(true, true, false), "what is old does not count");
        insta::assert_snapshot!(row(true, false, false), @"WARN system log: journald keeps nothing; only the agent's own journal lasts → To keep the log too, set Storage=persistent in /etc/systemd/journald.conf.");
        insta::assert_snapshot!(row(false, false, false), @"SKIP system log: there is no journald here; the agent logs to its standard error");
    }

    #[test]
    fn an_open_journal_is_found_in_the_folder_of_its_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = folder.path().join("0123456789abcdef0123456789abcdef");
        assert!(!has_open_journal(&folder.path().join("missing")));
        fs::create_dir(&machine).expect("a folder");
        assert!(
            !has_open_journal(folder.path()),
            "an empty folder is what a volatile journal leaves"
        );
        fs::write(machine.join("system.journal"), "").expect("a file");
        assert!(has_open_journal(folder.path()));
    }
}
