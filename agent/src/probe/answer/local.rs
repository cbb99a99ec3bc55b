//! Failures on this device, which show nothing about the internet connection.

use std::fmt;

use rustix::io::Errno;

/// Why a probe could not be sent: a resource of this device is exhausted, or it failed otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LocalFailure {
    /// The process or the system has no file descriptor left (`EMFILE`, `ENFILE`).
    NoDescriptors,
    /// The kernel has no memory or buffer for it (`ENOMEM`, `ENOBUFS`).
    NoMemory,
    /// All source ports are in use (`EADDRNOTAVAIL`, `EADDRINUSE`, `EAGAIN` on connect).
    NoPort,
    /// Another failure of this device, such as an interface that has just disappeared.
    Other,
}

impl LocalFailure {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoDescriptors => "no_descriptors",
            Self::NoMemory => "no_memory",
            Self::NoPort => "no_port",
            Self::Other => "local_failure",
        }
    }

    /// The reason, as the second half of a sentence: "Nothing could be monitored, because …".
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoDescriptors => "this device has no free file descriptors",
            Self::NoMemory => "this device has no memory left for network connections",
            Self::NoPort => "this device has no free source port",
            Self::Other => "this device could not open a network connection",
        }
    }

    /// The advice to the user, as a sentence.
    pub fn action(self) -> &'static str {
        match self {
            Self::NoDescriptors => {
                "Find the program that keeps so many files or connections open (\"lsof\"), or raise \
                 the limit (LimitNOFILE= of the service, fs.file-max)."
            }
            Self::NoMemory => {
                "Find the program that uses so much memory, and see net.ipv4.tcp_mem."
            }
            Self::NoPort => {
                "Find the program that keeps so many connections open (\"ss -tan\"), or widen \
                 net.ipv4.ip_local_port_range."
            }
            Self::Other => "See the kernel log (\"dmesg\").",
        }
    }

    /// The failure behind an error that always comes from this device.
    pub(in crate::probe) fn of(errno: Errno) -> Option<Self> {
        match errno {
            Errno::MFILE | Errno::NFILE => Some(Self::NoDescriptors),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::NoMemory),
            Errno::ADDRINUSE | Errno::ADDRNOTAVAIL | Errno::AGAIN => Some(Self::NoPort),
            _ => None,
        }
    }
}

impl fmt::Display for LocalFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
