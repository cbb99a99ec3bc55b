//! The device's side: a real agent as a separate process, with timings scaled to story time.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

use crate::{internet::Addresses, role};

/// Settings of the agent.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The executable that runs as the agent when it is started under the agent's name.
    pub executable: PathBuf,
    /// The folder for the agent's files only; created when it does not exist.
    pub folder: PathBuf,
    /// The device's name.
    pub device: String,
    /// The addresses of the stand-in for the internet.
    pub internet: Addresses,
    /// The function key.
    pub key: String,
    /// The silence that the agent announces at a clean stop, in real time.
    pub quiet_after_stop: Duration,
}

/// A running agent, which is killed when it is dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    /// `None` when the agent has closed its log.
    log: Option<Lines<BufReader<ChildStderr>>>,
}

/// Events of an agent.
#[derive(Debug)]
pub enum AgentEvent {
    /// It wrote a log line.
    Logged(LogLine),
    /// It exited; all its log lines have been returned before.
    Exited(io::Result<ExitStatus>),
}

/// One line of the agent's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `ERROR`, `WARN`, `INFO` or `DEBUG`.
    pub level: String,
    /// The message.
    pub message: String,
}

/// The agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// One of its files could not be written.
    #[error("cannot write the agent's file `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The process could not be started.
    #[error("cannot start the agent `{}`", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// The error that the operating system returned.
        #[source]
        source: io::Error,
    },
}

impl AgentSettings {
    /// The configuration file: one real second is one minute of story time, so a default of one
    /// minute becomes one second here, and so on. The timeout is twice its share, because a busy
    /// machine does not get faster with the clock. The number of failures that the agent needs to
    /// detect an outage stays; probes are frequent enough that this takes seconds of the demo.
    fn configuration(&self, key_file: &Path) -> String {
        format!(
            "device = {}\n\
             state_dir = {}\n\n\
             [heartbeat]\n\
             url = {}\n\
             key_file = {}\n\
             interval = \"1s\"\n\
             timeout = \"1s\"\n\
             backoff_base = \"20ms\"\n\
             backoff_cap = \"500ms\"\n\
             quiet_after_stop = \"{}ms\"\n\n\
             [probe]\n\
             interval = \"100ms\"\n\
             {}\
             grace = \"1s\"\n",
            toml_text(&self.device),
            toml_text(&self.folder.join("state").display().to_string()),
            toml_text(&format!("http://{}{}", self.internet.cloud, ispmon_wire::PING_PATH)),
            toml_text(&key_file.display().to_string()),
            self.quiet_after_stop.as_millis(),
            self.internet.probe_settings(),
        )
    }
}

/// Formats a TOML basic string; JSON's escapes are a subset of TOML's.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Agent {
    /// Writes the agent's files and starts it with an empty environment: variables such as a proxy
    /// must not redirect it.
    pub fn start(settings: &AgentSettings) -> Result<Self, AgentError> {
        let folder = &settings.folder;
        let state = folder.join("state");
        fs::create_dir_all(&state)
            .map_err(|source| AgentError::File { path: state.clone(), source })?;
        let key_file = folder.join("heartbeat.key");
        write(&key_file, 0o600, &settings.key)?;
        let configuration = folder.join("agent.toml");
        write(&configuration, 0o644, &settings.configuration(&key_file))?;
        let program = folder.join(role::AGENT);
        link(&settings.executable, &program)
            .map_err(|source| AgentError::File { path: program.clone(), source })?;
        let failed = |source| AgentError::Start { path: program.clone(), source };
        let mut child = Command::new(&program)
            .args(["run", "--config"])
            .arg(&configuration)
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal must reach only the lab, which stops its agent itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let log = child.stderr.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, log: Some(BufReader::new(log).lines()) })
    }

    /// Returns the next event. Cancel-safe.
    pub async fn next(&mut self) -> AgentEvent {
        if let Some(log) = &mut self.log {
            // Output that is not UTF-8 cannot be from the agent; treat it like the end.
            if let Ok(Some(line)) = log.next_line().await {
                return AgentEvent::Logged(LogLine::read(&line));
            }
            self.log = None;
        }
        AgentEvent::Exited(self.child.wait().await)
    }

    /// Stops the agent as a service manager does, with SIGTERM. No effect once it has exited.
    pub fn terminate(&self) {
        let process = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(process) = process {
            // Fails only for a process that has just exited.
            let _ = kill_process(process, Signal::TERM);
        }
    }
}

impl LogLine {
    /// Splits a line into time, level and message. A line of another format becomes the message as
    /// a whole.
    fn read(line: &str) -> Self {
        let mut parts = line.splitn(3, ' ').skip(1);
        match (parts.next(), parts.next()) {
            (Some(level @ ("ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE")), Some(sentence)) => {
                Self { level: level.to_owned(), message: sentence.trim_start().to_owned() }
            }
            _ => Self { level: String::new(), message: line.to_owned() },
        }
    }
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), AgentError> {
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| AgentError::File { path: path.to_owned(), source })
}

/// Links `name` to `executable`; keeps a link from an earlier start.
fn link(executable: &Path, name: &Path) -> io::Result<()> {
    match symlink(executable, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_split_into_level_and_message() {
        for (line, level, sentence) in [
            ("2026-03-01T12:00:00+00:00 WARN  No answer. Wait.", "WARN", "No answer. Wait."),
            ("2026-03-01T12:00:00+00:00 ERROR Broken.", "ERROR", "Broken."),
            ("thread 'main' panicked at x", "", "thread 'main' panicked at x"),
            ("", "", ""),
        ] {
            let expected = LogLine { level: level.to_owned(), message: sentence.to_owned() };
            assert_eq!(LogLine::read(line), expected);
        }
    }

    #[test]
    fn the_configuration_scales_a_minute_to_a_second() {
        let settings = AgentSettings {
            executable: PathBuf::from("/lab"),
            folder: PathBuf::from("/folder"),
            device: "dl-\"home\"".to_owned(),
            internet: Addresses {
                cloud: ([127, 0, 0, 1], 7071).into(),
                anchors: ["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]
                    .map(|anchor| anchor.parse().expect("an address"))
                    .to_vec(),
                gateway: [127, 0, 0, 1].into(),
                name_server: ([127, 0, 0, 1], 53).into(),
                portal_check: ([127, 0, 0, 1], 80).into(),
            },
            key: "secret".to_owned(),
            quiet_after_stop: Duration::from_secs(8),
        };
        insta::assert_snapshot!(settings.configuration(Path::new("/folder/key")), @r#"
        device = "dl-\"home\""
        state_dir = "/folder/state"

        [heartbeat]
        url = "http://127.0.0.1:7071/api/ping"
        key_file = "/folder/key"
        interval = "1s"
        timeout = "1s"
        backoff_base = "20ms"
        backoff_cap = "500ms"
        quiet_after_stop = "8000ms"

        [probe]
        interval = "100ms"
        anchors = "127.0.0.1:1, 127.0.0.1:2, [::1]:3"
        gateway = "127.0.0.1"
        resolver = "127.0.0.1:53"
        portal = "http://127.0.0.1:80/generate_204"
        grace = "1s"
        "#);
    }
}
