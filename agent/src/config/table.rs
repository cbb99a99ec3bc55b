//! The table of settings, the only place where they are defined: merging, checking, `config`, the
//! sample file and the documentation all use it.

use std::{fmt, time::Duration};

use super::duration;
use crate::probe::portal;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the configuration file, with the section before a dot.
    pub key: &'static str,
    /// The values that it accepts.
    pub kind: SettingKind,
    /// Its default as written in the file; empty if it has none.
    pub default: &'static str,
    /// Its variable from before the `ISPMON_…` variables, which still works.
    pub old_variable: Option<&'static str>,
    /// The flag that overrides it.
    pub flag: Option<&'static str>,
    /// Its purpose, wrapped for the sample file.
    pub description: &'static str,
}

/// The values that a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// A text of at most this many characters, without control characters.
    Text(usize),
    /// The address of an HTTP server.
    Url,
    /// The path of a file.
    Path,
    /// One of these words, in upper or lower case.
    Choice(&'static [&'static str]),
    /// A duration between these two, both included.
    Duration(Duration, Duration),
    /// Servers that are probed, 1 to 16.
    Anchors,
    /// The address of a router.
    Address,
    /// The address of a name server, with or without a port.
    Resolver,
    /// Addresses of plain HTTP servers, or `off`.
    Portal,
}

/// The longest answer to a plain heartbeat that can be expected, in characters.
pub(super) const EXPECT_CHARACTERS: usize = 100;

/// The longest silence that a heartbeat can announce.
const LONGEST_SILENCE: Duration = Duration::from_secs(ispmon_wire::limits::QUIET_SECONDS as u64);

/// All settings, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "device",
        kind: SettingKind::Text(ispmon_wire::limits::DEVICE_CHARACTERS),
        default: "",
        old_variable: Some("HEARTBEAT_DEVICE"),
        flag: Some("--device"),
        description: "\
Name of this device in mails and reports. When not set, the host name up to its first dot. Write
it as in the cloud's list of expected devices; upper and lower case are the same.",
    },
    Setting {
        key: "state_dir",
        kind: SettingKind::Path,
        default: "",
        old_variable: None,
        flag: Some("--state-dir"),
        description: "\
Folder of the journal, in which the agent records outages. When not set, the first of these that
applies: the state folder that systemd provides; for a program that Homebrew installed, var/ispmon in
its prefix; for root, the system's folder (/var/lib/ispmon, on macOS /usr/local/var/ispmon); for every
other user, a folder of their own (~/.local/state/ispmon, on macOS ~/Library/Application
Support/ispmon). A systemd service may write to another folder only if a drop-in of its unit allows
it (ReadWritePaths=). At /var/lib/ispmon, systemd accepts a mount but no symbolic link.
A change takes effect at the next start.",
    },
    Setting {
        key: "heartbeat.kind",
        kind: SettingKind::Choice(&["ispmon", "plain"]),
        default: "ispmon",
        old_variable: None,
        flag: None,
        description: "\
Kind of server that receives the heartbeats. \"ispmon\" is this project's own function. \"plain\" is any
dead-man's switch that is called by its URL (healthchecks.io, an Uptime Kuma push monitor, a script
of your own); there, an answer of 200 to 299 counts as success.",
    },
    Setting {
        key: "heartbeat.url",
        kind: SettingKind::Url,
        default: "",
        old_variable: Some("HEARTBEAT_URL"),
        flag: Some("--url"),
        description: "\
URL that heartbeats are sent to, such as \"https://YOUR-APP.azurewebsites.net/api/ping\". When not
set, the agent only monitors and sends nothing. Do not put the function key here (no \"?code=\").
With kind \"plain\" the URL is a secret; the agent never shows more of it than its host.",
    },
    Setting {
        key: "heartbeat.method",
        kind: SettingKind::Choice(&["GET", "POST"]),
        default: "GET",
        old_variable: None,
        flag: None,
        description: "\
HTTP method of a plain heartbeat. Heartbeats of kind \"ispmon\" are always POST.",
    },
    Setting {
        key: "heartbeat.expect",
        kind: SettingKind::Text(EXPECT_CHARACTERS),
        default: "",
        old_variable: None,
        flag: None,
        description: "\
Text that a plain heartbeat must be answered with, not counting white space around it; any other text
is a failure. When not set, any text is accepted. Set \"OK\" for healthchecks.io, which answers
\"OK (not found)\" to an unknown URL.",
    },
    Setting {
        key: "heartbeat.key_file",
        kind: SettingKind::Path,
        default: "",
        old_variable: None,
        flag: None,
        description: "\
File that holds the function key and nothing else, readable by its owner only (chmod 600). A path
that begins with \"./\" is relative to the folder of the file that contains this setting. When not set,
systemd's credential \"heartbeat-key\" is used if it exists. An empty file means no key.",
    },
    Setting {
        key: "heartbeat.interval",
        kind: SettingKind::Duration(Duration::from_millis(10), Duration::from_hours(1)),
        default: "60s",
        old_variable: Some("HEARTBEAT_INTERVAL"),
        flag: Some("--interval"),
        description: "\
Time between two heartbeats; each is moved at random by up to 10 % in either direction. The alert
rules in the cloud treat 5 minutes of silence as an outage. Less than a few seconds is for tests with
a server of your own.",
    },
    Setting {
        key: "heartbeat.timeout",
        kind: SettingKind::Duration(Duration::from_millis(100), Duration::from_mins(5)),
        default: "30s",
        old_variable: None,
        flag: None,
        description: "\
Time limit of one heartbeat in total. A function that was idle takes up to 10 s to start.",
    },
    Setting {
        key: "heartbeat.backoff_base",
        kind: SettingKind::Duration(Duration::from_millis(10), Duration::from_mins(1)),
        default: "1s",
        old_variable: None,
        flag: None,
        description: "\
After a heartbeat that was not delivered, the next one waits for a random time: at most this long
after the first failure, at most twice as long after the second, and so on up to backoff_cap.",
    },
    Setting {
        key: "heartbeat.backoff_cap",
        kind: SettingKind::Duration(Duration::from_millis(10), Duration::from_mins(10)),
        default: "30s",
        old_variable: None,
        flag: None,
        description: "\
Upper limit of that wait. The wait is never longer than the interval.",
    },
    Setting {
        key: "heartbeat.quiet_after_stop",
        kind: SettingKind::Duration(Duration::ZERO, LONGEST_SILENCE),
        default: "30min",
        old_variable: None,
        flag: None,
        description: "\
How long this device may stay silent without an alarm after it was stopped on purpose: long enough
for a reboot or an upgrade. With \"0s\", a stop causes the same alarm as a lost connection. It has no
effect on plain heartbeats, which cannot announce silence.",
    },
    Setting {
        key: "heartbeat.quiet_after_sleep",
        kind: SettingKind::Duration(Duration::ZERO, LONGEST_SILENCE),
        default: "12h",
        old_variable: None,
        flag: None,
        description: "\
How long this device may stay silent without an alarm after it went to sleep, such as a laptop with
its lid closed.",
    },
    Setting {
        key: "probe.interval",
        kind: SettingKind::Duration(Duration::from_millis(100), Duration::from_mins(5)),
        default: "5s",
        old_variable: None,
        flag: None,
        description: "\
Time between two probes; each goes to the next anchor. A probe opens a TCP connection and closes it
again, some 300 bytes. After a failed probe, others follow at once, so that an outage is detected
within 10 seconds; with \"1s\" within 6.",
    },
    Setting {
        key: "probe.anchors",
        kind: SettingKind::Anchors,
        default: "1.1.1.1, 8.8.8.8, 9.9.9.9, 2606:4700:4700::1111, 2001:4860:4860::8888, 2620:fe::fe",
        old_variable: None,
        flag: None,
        description: "\
Anchors, the servers that are probed: servers that are always reachable, at least three of at least
two organisations, for each address family that this network may have. The connection counts as down
only when none of them proves itself. The defaults are the public name servers of Cloudflare, Google
and Quad9, which are spread over the whole world and made for many more requests than these. The port
is 443 unless one is given. Each anchor must prove itself by a TLS certificate that names its
address. Write a server without a certificate as \"tcp://192.0.2.1:443\"; its answer proves less,
because a router or a login page may complete a connection in its place. At most 16.",
    },
    Setting {
        key: "probe.gateway",
        kind: SettingKind::Address,
        default: "",
        old_variable: None,
        flag: None,
        description: "\
The router, which is probed when an anchor does not answer. When not set, the router through which
this device reaches the anchors.",
    },
    Setting {
        key: "probe.resolver",
        kind: SettingKind::Resolver,
        default: "",
        old_variable: None,
        flag: None,
        description: "\
The name server, which is queried when name lookups may be failing. When not set, the one that this
system uses.",
    },
    Setting {
        key: "probe.portal",
        kind: SettingKind::Portal,
        default: portal::DEFAULT,
        old_variable: None,
        flag: None,
        description: "\
Pages that are requested to detect a login page (captive portal) between this device and the
internet: unencrypted addresses that answer with status 204 and nothing else. They are requested when
probes fail; where heartbeats prove nothing, also one of them once a minute. \"off\" requests none.",
    },
    Setting {
        key: "probe.grace",
        kind: SettingKind::Duration(Duration::ZERO, Duration::from_mins(30)),
        default: "60s",
        old_variable: None,
        flag: None,
        description: "\
Grace period: how long the connection may take to come up after a start, a wake-up or a new link
before it counts as down.",
    },
    Setting {
        key: "log.level",
        kind: SettingKind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: "info",
        old_variable: None,
        flag: Some("--verbose"),
        description: "\
Least severe level that is logged; --verbose sets \"debug\".",
    },
];

impl Setting {
    /// Returns the setting with this key.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The environment variable that overrides the setting: `ISPMON_HEARTBEAT_URL` for
    /// `heartbeat.url`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The values that it accepts, in a sentence; nothing where its description states them.
    pub fn takes(&self) -> Option<String> {
        match self.kind {
            SettingKind::Url | SettingKind::Path => None,
            kind => Some(format!("Allowed: {kind}.")),
        }
    }

    /// The variables and the flag that override it, in a sentence.
    pub fn overridden_by(&self) -> String {
        let old = self.old_variable.map(|name| format!(" or {name}")).unwrap_or_default();
        let flag = self.flag.map(|flag| format!("; flag {flag}")).unwrap_or_default();
        format!("Environment variable {}{old}{flag}.", self.variable())
    }

    /// Whether an empty value means that it is not set.
    pub fn is_optional(&self) -> bool {
        self.default.is_empty()
    }
}

/// The prefix of all environment variables.
pub const VARIABLE_PREFIX: &str = "ISPMON_";

impl fmt::Display for SettingKind {
    /// Describes the accepted values, as in "it takes …".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(most) => write!(formatter, "a text of 1 to {most} characters"),
            Self::Url => formatter.write_str("an address that begins with https:// or http://"),
            Self::Path => formatter.write_str(
                "a path, beginning with \"/\", or with \"./\" to start at the folder \
                 of the file that names it",
            ),
            Self::Anchors => formatter.write_str(
                "1 to 16 addresses such as \"1.1.1.1, [fd00::1]:8443, tcp://192.0.2.1\", separated \
                 by commas",
            ),
            Self::Address => formatter.write_str("an address such as \"192.168.1.1\""),
            Self::Resolver => {
                formatter.write_str("an address such as \"192.168.1.1\" or \"[fd00::1]:53\"")
            }
            Self::Portal => formatter
                .write_str("addresses that begin with http://, separated by commas, or \"off\""),
            Self::Choice(words) => {
                for (index, word) in words.iter().enumerate() {
                    let separator = match index {
                        0 => "",
                        _ if index + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    write!(formatter, "{separator}\"{word}\"")?;
                }
                Ok(())
            }
            Self::Duration(least, most) => write!(
                formatter,
                "a duration from {} to {}",
                duration::show(*least),
                duration::show(*most)
            ),
        }
    }
}
