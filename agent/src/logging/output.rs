//! The destination of the log: the system's log for a service, otherwise standard error.

use std::{fs::File, io, os::fd::AsFd};

use super::{ReadVariable, line::Style};

/// The destination of log lines.
#[derive(Debug)]
pub(super) enum LogOutput {
    /// To standard error as text.
    Text(File, Style),
    /// To journald with fields. If it cannot be connected, to standard error, which leads to it too.
    #[cfg(target_os = "linux")]
    Journald(File),
    /// To the unified log of macOS.
    #[cfg(target_os = "macos")]
    UnifiedLog,
}

impl LogOutput {
    /// Chooses by the target of `stderr` and by the environment.
    ///
    /// # Errors
    /// `stderr` cannot be duplicated: a handle of its own is needed, because the lock of `io::stderr()`
    /// would be held while a write blocks.
    pub(super) fn choose(
        stderr: &(impl AsFd + io::IsTerminal),
        variable: ReadVariable<'_>,
    ) -> io::Result<Self> {
        #[cfg(target_os = "macos")]
        if is_started_by_launchd(stderr.is_terminal(), variable) {
            return Ok(Self::UnifiedLog);
        }
        let file = File::from(stderr.as_fd().try_clone_to_owned()?);
        #[cfg(target_os = "linux")]
        if is_journal_stream(&file, variable) {
            return Ok(Self::Journald(file));
        }
        let style = Style::choose(stderr.is_terminal(), variable);
        Ok(Self::Text(file, style))
    }
}

/// Whether `stderr` leads to journald.
///
/// By `systemd.exec(5)`, `$JOURNAL_STREAM` names device and inode of that stream. They must be compared,
/// because programs inherit the variable even if their standard error was redirected later, or is set
/// differently in the unit. `$INVOCATION_ID` proves less; a shell in a desktop's terminal has it too.
#[cfg(target_os = "linux")]
fn is_journal_stream(stderr: &File, variable: ReadVariable<'_>) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = stderr.metadata() else { return false };
    variable("JOURNAL_STREAM")
        .is_some_and(|stream| stream == *format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// Whether launchd has started this process: launchd sets the variable to the job's name, and to `0` for
/// programs that are started in a terminal.
#[cfg(target_os = "macos")]
fn is_started_by_launchd(is_terminal: bool, variable: ReadVariable<'_>) -> bool {
    !is_terminal && variable("XPC_SERVICE_NAME").is_some_and(|name| !name.is_empty() && name != "0")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{ffi::OsString, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn journald_is_recognised_by_device_and_inode() {
        let file = tempfile::tempfile().expect("a file");
        let metadata = file.metadata().expect("it is open");
        let (dev, ino) = (metadata.dev(), metadata.ino());
        for (stream, is_journal) in [
            (Some(format!("{dev}:{ino}")), true),
            (Some(format!("{dev}:{}", ino + 1)), false),
            (Some(String::new()), false),
            (None, false),
        ] {
            let variable = |name: &str| {
                (name == "JOURNAL_STREAM").then(|| stream.clone().map(OsString::from)).flatten()
            };
            let output = LogOutput::choose(&file, &variable).expect("it is chosen");
            assert_eq!(matches!(output, LogOutput::Journald(_)), is_journal, "{stream:?}");
        }
    }
}
