//! The service as systemd sees it, and what that says about an agent that does not run.

use std::time::Duration;

use crate::program;

/// The unit that the packages and `ispmon-agent install` create.
const UNIT: &str = "ispmon-agent.service";
/// Time limit for systemctl, because the bus that it uses may hang.
const LIMIT: Duration = Duration::from_secs(3);
/// How to start the service after its fault is mended.
const START: &str = "sudo systemctl start ispmon-agent";
/// Where systemd gives the details.
const DETAILS: &str = "systemctl status ispmon-agent";

/// Start and end of the sentence in [`UnitState::status_text`] about a configuration that was refused on a
/// reload; the time is between them.
pub const REFUSED_RELOAD_START: &str = "The configuration of ";
/// See [`REFUSED_RELOAD_START`].
pub const REFUSED_RELOAD_END: &str = " was refused, see the log; the old one is in use.";
/// The start of the sentence that the agent sends when it cannot start.
pub const NOT_STARTED: &str = "Not started: ";

/// The properties of the unit in systemd (org.freedesktop.systemd1(5)); a text is empty where it is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Whether the unit file could be loaded: `loaded`, `masked`, `not-found`, `bad-setting`, `error`.
    pub load: String,
    /// `active`, `activating`, `failed`, `inactive` and others.
    pub active: String,
    /// The detail of `active`: `running`, `auto-restart`, `dead` and others.
    pub sub: String,
    /// Why the last run ended: `success`, `exit-code`, `signal` and others.
    pub result: String,
    /// The exit status of the last run, or the number of the signal that ended it.
    pub exit_status: u32,
    /// `enabled`, `disabled`, `masked`, `masked-runtime` and others.
    pub unit_file: String,
    /// The newest sentence that the agent has sent.
    pub status_text: String,
    /// The user that the service runs as.
    pub user: String,
    /// How often systemd has restarted the service since somebody started it.
    pub restarts: u32,
}

/// Why the service does not run, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitDiagnosis {
    /// The reason, as the end of a sentence.
    pub finding: String,
    /// The advice: a sentence.
    pub advice: String,
}

impl UnitState {
    /// Asks systemd; `None` where it does not run or does not answer.
    pub fn gather() -> Option<Self> {
        let properties = "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,UnitFileState,StatusText,User,NRestarts";
        Self::parse(&program::output("systemctl", &["show", properties, UNIT], LIMIT)?)
    }

    /// Parses the output of `systemctl show`: one `NAME=VALUE` a line.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let values = text.lines().filter_map(|line| line.split_once('='));
            let mut values = values.filter(|(other, _)| *other == name);
            values.next().map(|(_, value)| value.to_owned())
        };
        let text = |name| value(name).unwrap_or_default();
        Some(Self {
            load: value("LoadState").filter(|load| !load.is_empty())?,
            active: text("ActiveState"),
            sub: text("SubState"),
            result: text("Result"),
            exit_status: text("ExecMainStatus").parse().unwrap_or(0),
            unit_file: text("UnitFileState"),
            status_text: text("StatusText"),
            user: text("User"),
            restarts: text("NRestarts").parse().unwrap_or(0),
        })
    }

    /// Why an agent that does not run is not running; `None` if systemd sees no fault, as when the service
    /// was never started or was stopped.
    pub fn diagnosis(&self) -> Option<UnitDiagnosis> {
        let diagnosis = |finding: String, advice: String| Some(UnitDiagnosis { finding, advice });
        match self.load.as_str() {
            "loaded" => {}
            "masked" => {
                // Only a mask until the next boot needs the option.
                let runtime = if self.unit_file == "masked-runtime" { "--runtime " } else { "" };
                return diagnosis(
                    "its service is masked, so that systemd does not start it".to_owned(),
                    format!(
                        "Unmask and start it: sudo systemctl unmask {runtime}ispmon-agent && {START}."
                    ),
                );
            }
            "not-found" => {
                return diagnosis(
                    format!("systemd knows no service {UNIT}"),
                    "Install it, by the package or with: sudo ispmon-agent install (or, in a terminal: \
                     ispmon-agent run)."
                        .to_owned(),
                );
            }
            other => {
                return diagnosis(
                    format!("systemd refuses the file of its service ({other})"),
                    format!(
                        "Look for the wrong line, also in the files of /etc/systemd/system/{UNIT}.d: {DETAILS}. \
                         Correct it, then: sudo systemctl daemon-reload && {START}."
                    ),
                );
            }
        }
        let is_restarted = self.active == "activating" && self.sub == "auto-restart";
        if self.active != "failed" && !is_restarted {
            return None;
        }
        let (finding, advice) = self.failure();
        let finding = match (is_restarted, self.restarts) {
            (false, _) => finding,
            (true, 0) => format!("it failed, and systemd is about to restart it: {finding}"),
            (true, restarts) => format!(
                "it fails again and again, and systemd restarts it each time (restarts: {restarts}): {finding}"
            ),
        };
        diagnosis(finding, advice)
    }

    /// The sentence that the newest configuration was refused on a reload, if that is so.
    pub fn refused_reload(&self) -> Option<&str> {
        let start = self.status_text.find(REFUSED_RELOAD_START)?;
        self.status_text.get(start..).filter(|text| text.ends_with(REFUSED_RELOAD_END))
    }

    /// Why the last run failed, and the advice.
    fn failure(&self) -> (String, String) {
        let corrected = format!("Correct that, then: {START}.");
        let see_log = format!("See its log: sudo journalctl -u ispmon-agent -n 20. Then: {START}.");
        // The agent's own reason, which includes the advice.
        let reason = self.status_text.strip_prefix(NOT_STARTED);
        let reason = reason.map(|reason| format!(": {}", reason.trim_end_matches('.')));
        let (finding, advice) = match (self.result.as_str(), self.exit_status) {
            ("exit-code", status) => return self.exit(status, reason),
            ("signal" | "core-dump", signal) => {
                (format!("it crashed or was killed (signal {signal})"), see_log)
            }
            ("oom-kill", _) => (
                "the system killed it because memory ran out".to_owned(),
                format!("Find out what uses the memory. Then: {START}."),
            ),
            ("watchdog", _) => ("it hung, and systemd ended it".to_owned(), see_log),
            ("timeout", _) => (
                "it was not ready or did not end in time, and systemd ended it".to_owned(),
                see_log,
            ),
            ("protocol", _) => ("it ended before it was ready".to_owned(), see_log),
            ("start-limit-hit", _) => (
                "it was started too often, and systemd has given up".to_owned(),
                format!("sudo systemctl reset-failed ispmon-agent && {START}."),
            ),
            ("resources", _) => (
                "systemd could not prepare its start".to_owned(),
                format!("See why: {DETAILS}. {corrected}"),
            ),
            (other, _) => {
                (format!("systemd reports the result {other}"), format!("See why: {DETAILS}."))
            }
        };
        match reason {
            Some(reason) => (format!("{finding}{reason}"), corrected),
            None => (finding, advice),
        }
    }

    /// What an exit status means: one of the agent, or from 200 on one of systemd, for what it prepares
    /// before it executes the agent (systemd.exec(5), "Process Exit Codes").
    fn exit(&self, status: u32, reason: Option<String>) -> (String, String) {
        let corrected = format!("Correct that, then: {START}.");
        let see_log = format!("See its log: sudo journalctl -u ispmon-agent -n 20. Then: {START}.");
        let folder = |path: &str| {
            (
                format!("systemd cannot prepare the folder {path} (exit status {status})"),
                format!(
                    "It must be a folder, neither a file nor a link: ls -ld {path}. Move it away, then: {START}."
                ),
            )
        };
        match status {
            78 => {
                let advice = match reason {
                    Some(_) => corrected,
                    None => format!("See why: {DETAILS}. {corrected}"),
                };
                (format!("it refused its configuration{}", reason.unwrap_or_default()), advice)
            }
            64 => (
                "it was started with an invalid command line".to_owned(),
                format!(
                    "Correct ExecStart= in the files of /etc/systemd/system/{UNIT}.d, then: sudo systemctl \
                     daemon-reload && {START}."
                ),
            ),
            203 => (
                "systemd cannot execute its program (exit status 203)".to_owned(),
                format!(
                    "See which: systemctl cat ispmon-agent. Install ispmon-agent again, then: {START}."
                ),
            ),
            216 | 217 => {
                let user = if self.user.is_empty() { "ispmon" } else { self.user.as_str() };
                (
                    format!(
                        "the user {user}, which it runs as, does not exist (exit status {status})"
                    ),
                    format!(
                        "Create it: sudo systemd-sysusers; or install ispmon-agent again. Then: {START}."
                    ),
                )
            }
            226 => (
                "systemd cannot set up its sandbox (exit status 226)".to_owned(),
                format!("See why: {DETAILS}; some containers allow no sandbox. {corrected}"),
            ),
            233 => folder("/run/ispmon"),
            238 => folder("/var/lib/ispmon"),
            240 => folder("/etc/ispmon"),
            243 => (
                "systemd cannot hand over its function key (exit status 243)".to_owned(),
                format!(
                    "/etc/ispmon/heartbeat.key must be a regular file: ls -ld /etc/ispmon/heartbeat.key. {corrected}"
                ),
            ),
            200.. => (
                format!("systemd could not start its program (exit status {status})"),
                format!("See why: {DETAILS}. {corrected}"),
            ),
            _ => match reason {
                Some(reason) => (format!("it could not start{reason}"), corrected),
                None => (format!("it ended with exit status {status}"), see_log),
            },
        }
    }
}

#[cfg(test)]
mod tests;
