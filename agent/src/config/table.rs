//! The one table of settings: merging, checking, `config`, the sample file and the documentation
//! all follow it.

use std::{fmt, time::Duration};

use super::duration;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its key in the configuration file, with the section before a dot.
    pub key: &'static str,
    /// What it takes.
    pub kind: SettingKind,
    /// Its default, as it would be written; empty when it is not set.
    pub default: &'static str,
    /// The variable that it had before there were `ISPMON_…` variables, which keeps working.
    pub old_variable: Option<&'static str>,
    /// The flag that overrides it.
    pub flag: Option<&'static str>,
    /// What it is for, in lines for the sample file.
    pub description: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// A text of at most this many characters, none of them a control character.
    Text(usize),
    /// The address of an HTTP server.
    Url,
    /// A path of a file.
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

/// The most characters of the answer to a plain heartbeat that can be expected.
pub(super) const EXPECT_CHARACTERS: usize = 100;

/// Lists all settings, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "device",
        kind: SettingKind::Text(ispmon_wire::limits::DEVICE_CHARACTERS),
        default: "",
        old_variable: Some("HEARTBEAT_DEVICE"),
        flag: Some("--device"),
        description: "\
The name of this device in mails and reports. When not set, the name of this machine up to its
first dot. Write it as in the list of expected devices in the cloud; upper and lower case are
the same.",
    },
    Setting {
        key: "state_dir",
        kind: SettingKind::Path,
        default: "",
        old_variable: None,
        flag: Some("--state-dir"),
        description: "\
The folder of the agent's record of outages. When not set, systemd's state folder; else, for a
program that Homebrew installed, var/ispmon of its prefix; else the system's (/var/lib/ispmon, on
macOS /usr/local/var/ispmon) for root, and for everybody else a folder of their own
(~/.local/state/ispmon, on macOS ~/Library/Application Support/ispmon). A service of systemd may
write to another folder only when a drop-in of its unit allows that (ReadWritePaths=); in the
place of /var/lib/ispmon systemd takes a mount, but no link.
A change takes effect at the next start.",
    },
    Setting {
        key: "heartbeat.kind",
        kind: SettingKind::Choice(&["ispmon", "plain"]),
        default: "ispmon",
        old_variable: None,
        flag: None,
        description: "\
What answers the heartbeats: \"ispmon\" is this project's own function; \"plain\" is any
dead-man's switch that is called by its URL (healthchecks.io, an Uptime Kuma push monitor, a
script of your own), where an answer of 200 to 299 counts as success.",
    },
    Setting {
        key: "heartbeat.url",
        kind: SettingKind::Url,
        default: "",
        old_variable: Some("HEARTBEAT_URL"),
        flag: Some("--url"),
        description: "\
Where heartbeats go, such as \"https://YOUR-APP.azurewebsites.net/api/ping\". When not set, the
agent monitors locally and sends nothing. The function key does not belong here (no \"?code=\").
With kind \"plain\" the URL is a secret and is never shown beyond its host.",
    },
    Setting {
        key: "heartbeat.method",
        kind: SettingKind::Choice(&["GET", "POST"]),
        default: "GET",
        old_variable: None,
        flag: None,
        description: "\
The method of a plain heartbeat. Heartbeats of kind \"ispmon\" are always POST.",
    },
    Setting {
        key: "heartbeat.expect",
        kind: SettingKind::Text(EXPECT_CHARACTERS),
        default: "",
        old_variable: None,
        flag: None,
        description: "\
What a plain heartbeat has to be answered with, apart from white space around it; any other text
is a failure. When not set, any text will do. Set \"OK\" for healthchecks.io, which answers
\"OK (not found)\" to a URL that it does not know.",
    },
    Setting {
        key: "heartbeat.key_file",
        kind: SettingKind::Path,
        default: "",
        old_variable: None,
        flag: None,
        description: "\
The file that holds the function key and nothing else, readable by its owner only (chmod 600).
A path that begins with \"./\" starts at the folder of the file that names it. When not set,
systemd's credential \"heartbeat-key\" is used if there is one. An empty file means no key.",
    },
    Setting {
        key: "heartbeat.interval",
        kind: SettingKind::Duration(Duration::from_millis(10), Duration::from_hours(1)),
        default: "60s",
        old_variable: Some("HEARTBEAT_INTERVAL"),
        flag: Some("--interval"),
        description: "\
The time between two heartbeats; each is moved at random by up to 10 % either way. The alert
rules in the cloud take 5 minutes of silence for an outage. Less than a few seconds is for tests
with a server of your own.",
    },
    Setting {
        key: "heartbeat.timeout",
        kind: SettingKind::Duration(Duration::from_millis(100), Duration::from_mins(5)),
        default: "30s",
        old_variable: None,
        flag: None,
        description: "\
How long one heartbeat may take in all. A function that has slept takes up to 10 s to wake.",
    },
    Setting {
        key: "heartbeat.backoff_base",
        kind: SettingKind::Duration(Duration::from_millis(10), Duration::from_mins(1)),
        default: "1s",
        old_variable: None,
        flag: None,
        description: "\
After a heartbeat that did not get through, the next one waits for a random time: at first at
most this long, then at most twice as long, and so on up to backoff_cap.",
    },
    Setting {
        key: "heartbeat.backoff_cap",
        kind: SettingKind::Duration(Duration::from_millis(10), Duration::from_mins(10)),
        default: "30s",
        old_variable: None,
        flag: None,
        description: "\
The longest such wait. It is never longer than the interval.",
    },
    Setting {
        key: "heartbeat.quiet_after_stop",
        kind: SettingKind::Duration(
            Duration::ZERO,
            Duration::from_secs(ispmon_wire::limits::QUIET_SECONDS as u64),
        ),
        default: "30min",
        old_variable: None,
        flag: None,
        description: "\
How long this device may stay silent without alarm after it was stopped on purpose: long enough
for a reboot or an upgrade. \"0s\" alarms as if the device had lost its connection. It has
no effect on plain heartbeats, which cannot announce anything.",
    },
    Setting {
        key: "heartbeat.quiet_after_sleep",
        kind: SettingKind::Duration(
            Duration::ZERO,
            Duration::from_secs(ispmon_wire::limits::QUIET_SECONDS as u64),
        ),
        default: "12h",
        old_variable: None,
        flag: None,
        description: "\
How long this device may stay silent without alarm after it went to sleep, as a laptop with its
lid closed.",
    },
    Setting {
        key: "probe.interval",
        kind: SettingKind::Duration(Duration::from_millis(100), Duration::from_mins(5)),
        default: "5s",
        old_variable: None,
        flag: None,
        description: "\
The time between two probes; each asks the next anchor. A probe is a TCP connection that is
opened and closed again, some 300 bytes. A failed one is looked into at once, so that an outage
is found within 10 seconds; with \"1s\" within 6.",
    },
    Setting {
        key: "probe.anchors",
        kind: SettingKind::Anchors,
        default: "1.1.1.1, 8.8.8.8, 9.9.9.9, 2606:4700:4700::1111, 2001:4860:4860::8888, 2620:fe::fe",
        old_variable: None,
        flag: None,
        description: "\
Who is probed: servers that are always there, at least three of at least two organisations,
for each address family that this network may have. The line counts as down only when none of
them proves itself. These are the public name servers of Cloudflare, Google and Quad9,
which are spread over the whole world and made for many more questions than these. The port is
443 when none is named. Each has to prove itself by a TLS certificate that names its address. A
server that has none is written \"tcp://192.0.2.1:443\"; that it answers proves less, because a
router or a login page may complete a connection in its place. At most 16.",
    },
    Setting {
        key: "probe.gateway",
        kind: SettingKind::Address,
        default: "",
        old_variable: None,
        flag: None,
        description: "\
The router, which is asked when an anchor does not answer. When not set, the one that this device sends
to for the anchors.",
    },
    Setting {
        key: "probe.resolver",
        kind: SettingKind::Resolver,
        default: "",
        old_variable: None,
        flag: None,
        description: "\
The name server, which is asked when names may not be looked up any more. When not set, the
one that this system uses.",
    },
    Setting {
        key: "probe.portal",
        kind: SettingKind::Portal,
        default: "http://connectivitycheck.gstatic.com/generate_204, http://cp.cloudflare.com/generate_204",
        old_variable: None,
        flag: None,
        description: "\
What is requested to find out whether a login page stands between this device and the internet:
addresses without encryption that answer with status 204 and nothing else. They are asked on
doubt, and where heartbeats prove nothing one of them once a minute; \"off\" never asks.",
    },
    Setting {
        key: "probe.grace",
        kind: SettingKind::Duration(Duration::ZERO, Duration::from_mins(30)),
        default: "60s",
        old_variable: None,
        flag: None,
        description: "\
How long after a start, a wake-up or a new connection the line may take to come up before it
counts as down.",
    },
    Setting {
        key: "log.level",
        kind: SettingKind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: "info",
        old_variable: None,
        flag: Some("--verbose"),
        description: "\
The least severe messages that are logged; --verbose stands for \"debug\".",
    },
];

impl Setting {
    /// The setting of a key.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The variable of the environment that overrides the setting: `ISPMON_HEARTBEAT_URL` for
    /// `heartbeat.url`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.replace('.', "_").to_uppercase())
    }

    /// What it takes, in a sentence; nothing where its description says so.
    pub fn takes(&self) -> Option<String> {
        match self.kind {
            SettingKind::Url | SettingKind::Path => None,
            kind => Some(format!("It takes {kind}.")),
        }
    }

    /// By what else it can be set, in a sentence.
    pub fn overridden_by(&self) -> String {
        let old = self.old_variable.map(|name| format!(" or {name}")).unwrap_or_default();
        let flag = self.flag.map(|flag| format!(", flag {flag}")).unwrap_or_default();
        format!("Variable {}{old}{flag}.", self.variable())
    }

    /// Whether an empty value is the same as none.
    pub fn is_optional(&self) -> bool {
        self.default.is_empty()
    }
}

/// The beginning of the names of all our variables.
pub const VARIABLE_PREFIX: &str = "ISPMON_";

impl fmt::Display for SettingKind {
    /// Describes what the setting takes, as in "it takes …".
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
