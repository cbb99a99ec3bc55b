//! Child processes and their figures from the operating system.

use std::{
    fs,
    process::{Child, Command},
};

/// A child process that is killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    /// Resident memory in kB, by the name of its line in `/proc/PID/status`: `VmRSS` is current,
    /// `VmHWM` the peak.
    pub(crate) fn memory(&self, line: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let value = status.lines().find_map(|entry| entry.strip_prefix(line)?.strip_prefix(':'))?;
        value.split_whitespace().next()?.parse().ok()
    }

    /// Resident memory as text, in MB.
    pub(crate) fn memory_text(&self, line: &str) -> String {
        self.memory(line).map_or("not known on this system".to_owned(), |kilobytes| {
            format!("{:.2} MB", kilobytes as f64 * 1_024.0 / 1_000_000.0)
        })
    }

    /// CPU time used so far, user and system, in clock ticks of 10 ms.
    pub(crate) fn processor_ticks(&self) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).ok()?;
        // The command in parentheses may contain spaces; the first field after it is number 3.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    }

    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.0.stdout.take()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Prints one row of the table.
pub(crate) fn row(what: &str, figure: impl std::fmt::Display, wanted: &str) {
    println!("{what:<58} {figure:>24}   {wanted}");
}
