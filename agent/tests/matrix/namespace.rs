//! A network namespace.

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
    /// Creates an empty namespace; `name` is for error messages.
    pub(crate) fn new(name: &'static str) -> io::Result<Self> {
        let make = || {
            kernel::leave_network()?;
            // Kernel defaults, except for duplicate address detection, which would take seconds each
            // time.
            for setting in ["all/accept_dad", "default/accept_dad"] {
                fs::write(format!("/proc/sys/net/ipv6/conf/{setting}"), "0")?;
            }
            File::open("/proc/thread-self/ns/net")
        };
        let handle = thread::scope(|scope| scope.spawn(make).join())
            .expect("creating the namespace does not panic")?;
        let namespace = Self { name, handle };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Runs a closure in the namespace. Sockets that it opens stay in the namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let inside = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.handle.as_fd(), kind)?;
            Ok(work())
        };
        // In a thread of its own, because the namespace is a property of the thread.
        thread::scope(|scope| scope.spawn(inside).join()).expect("the work does not panic")
    }

    /// The path by which other programs reach the namespace while this one runs.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.handle.as_raw_fd()).into()
    }

    /// Runs a batch of `ip` commands.
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

    /// Runs a program in the namespace and returns its output.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = self.command(program).args(arguments).output()?;
        if !output.status.success() {
            return Err(self.error(program, &output.stderr, ""));
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
        // It may have exited already; its own message then gives the reason.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(self.error(program, &output.stderr, input));
        }
        Ok(())
    }

    fn error(&self, program: &str, stderr: &[u8], input: &str) -> io::Error {
        let message = String::from_utf8_lossy(stderr);
        io::Error::other(format!("{program} in {}: {}\n{input}", self.name, message.trim()))
    }
}
