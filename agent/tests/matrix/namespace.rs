//! A network namespace: a computer of its own, as far as the network is concerned.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
    process::{self, Command, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::play::kernel;

/// A network namespace without a name in the file system: the kernel removes it, with everything in it,
/// when the last handle and the last process in it are gone, however this program ends.
pub(crate) struct Namespace {
    name: &'static str,
    handle: File,
}

impl Namespace {
    /// Makes an empty namespace; `name` is for error messages.
    pub(crate) fn new(name: &'static str) -> io::Result<Self> {
        let make = || {
            kernel::leave_network()?;
            // As on any device without special wishes, and without the seconds that duplicate address
            // detection would take each time.
            for setting in ["all/accept_dad", "default/accept_dad"] {
                fs::write(format!("/proc/sys/net/ipv6/conf/{setting}"), "0")?;
            }
            File::open("/proc/thread-self/ns/net")
        };
        let handle = thread::scope(|scope| scope.spawn(make).join()).expect("it does not panic")?;
        let namespace = Self { name, handle };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Does something in the namespace: sockets that are opened there belong to it for ever.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let inside = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.handle.as_fd(), kind)?;
            Ok(work())
        };
        // A thread of its own, because every thread has its namespace.
        thread::scope(|scope| scope.spawn(inside).join()).expect("the work does not panic")
    }

    /// The path by which other programs find it while this one runs.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.handle.as_raw_fd()).into()
    }

    /// Runs the lines of a batch of `ip`.
    pub(crate) fn ip(&self, lines: &str) -> io::Result<()> {
        self.feed("ip", &["-batch", "-"], lines)
    }

    /// Loads a rule set of `nft`.
    pub(crate) fn nft(&self, rules: &str) -> io::Result<()> {
        self.feed("nft", &["-f", "-"], rules)
    }

    /// Sets `name` under `/proc/sys/net`.
    pub(crate) fn set(&self, name: &str, value: &str) -> io::Result<()> {
        self.enter(|| fs::write(format!("/proc/sys/net/{name}"), value))?
    }

    /// What a program prints that runs in the namespace.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = self.command(program).args(arguments).output()?;
        if !output.status.success() {
            return Err(self.complaint(program, &output.stderr, ""));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A command that will run in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    fn feed(&self, program: &str, arguments: &[&str], input: &str) -> io::Result<()> {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // It may have ended already; its own message then says why.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(self.complaint(program, &output.stderr, input));
        }
        Ok(())
    }

    fn complaint(&self, program: &str, stderr: &[u8], input: &str) -> io::Error {
        let message = String::from_utf8_lossy(stderr);
        io::Error::other(format!("{program} in {}: {}\n{input}", self.name, message.trim()))
    }
}
