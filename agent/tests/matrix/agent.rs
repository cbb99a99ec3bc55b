//! The agent under test: the real program, unprivileged, on the device of a house.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use ispmon_agent::{clock, journal::Record};
use ispmon_testing::certificates::Authority;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::play::{endpoint::KEY, settings::Settings, world::World};

/// The user the agent runs as: `nobody`.
pub(crate) const USER: u32 = 65_534;

/// Sets up the mounts of the device and starts the agent there. Its arguments are the file for
/// `/etc/resolv.conf`, the state directory, the runtime directory (a tmpfs, as systemd's) and the file
/// system to mount over the state directory: `disk` for none, or the size of a tmpfs.
///
/// `/sys` shows the interfaces of the namespace in which it was mounted. `--pdeathsig` kills the agent
/// when the thread that started it dies, so no agent outlives this program.
const ENTER: &str = r#"
set -e
mount --bind "$0" "$(readlink -f /etc/resolv.conf)"
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=1m,uid=65534,gid=65534,mode=0755 tmpfs "$2"
if [ "$3" != disk ]; then
  mount -t tmpfs -o "size=$3,uid=65534,gid=65534,mode=0755" tmpfs "$1"
fi
shift 3
exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all \
  --no-new-privs --pdeathsig KILL "$@"
"#;

/// A log line of the agent.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// When this program read it, by the boot-time clock.
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// A folder with the configuration, the state directory and the runtime directory of an agent.
pub(crate) struct AgentFolder {
    folder: PathBuf,
}

impl AgentFolder {
    /// Makes the folder.
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        let state = folder.join("state");
        fs::create_dir_all(&state)?;
        fs::create_dir_all(folder.join("runtime"))?;
        // The row's parent folder is private, but the agent runs as another user.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        chown(&state, Some(USER), Some(USER))?;
        Ok(Self { folder })
    }

    /// The agent's state directory, which holds the journal.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The agent's runtime directory, whose content does not outlive the boot.
    fn runtime(&self) -> PathBuf {
        self.folder.join("runtime")
    }

    /// The path of another file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the files that the agent reads at its start.
    fn write_files(&self, settings: &Settings, world: &World) -> io::Result<()> {
        fs::write(self.folder.join("agent.toml"), settings.toml(&self.state()))?;
        let key = self.folder.join("key");
        fs::write(&key, KEY)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        chown(&key, Some(USER), Some(USER))?;
        let root = if settings.trusts {
            world.servers.root_pem()
        } else {
            Authority::new("Another Trust").root_pem()
        };
        fs::write(self.folder.join("root.pem"), root)?;
        fs::write(self.folder.join("resolv.conf"), settings.resolv_conf())
    }
}

/// A running agent. Dropping it kills the process.
pub(crate) struct Agent {
    child: Child,
    state: PathBuf,
    status: PathBuf,
    log: Arc<Mutex<Vec<Logged>>>,
}

impl Agent {
    /// Starts `program` (the agent, or a wrapper that runs it) in `desk`.
    pub(crate) fn start(
        program: &[&str],
        desk: &AgentFolder,
        settings: &Settings,
        world: &World,
    ) -> io::Result<Self> {
        desk.write_files(settings, world)?;
        let mut command: Command = world.house.device.command("unshare");
        command.args(["--mount", "sh", "-c", ENTER]);
        command.arg(desk.folder.join("resolv.conf")).arg(desk.state()).arg(desk.runtime());
        command.arg(settings.disk.unwrap_or("disk"));
        command.args(program).args(["run", "--config"]).arg(desk.folder.join("agent.toml"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("SSL_CERT_FILE", desk.folder.join("root.pem")).env("HOME", &desk.folder);
        if let Some(proxy) = settings.proxy() {
            command.env("HTTPS_PROXY", proxy);
        }
        command.env("RUNTIME_DIRECTORY", desk.runtime());
        command.current_dir(&desk.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::<Vec<Logged>>::default());
        let lines = Arc::clone(&log);
        let mut copy = File::options().create(true).append(true).open(desk.file("agent.log"))?;
        thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The copy is for debugging; no row reads it.
                let _ = writeln!(copy, "{text}");
                let line = Logged { at: clock::boot_time(), text };
                lines.lock().expect("the log lock is not poisoned").push(line);
            }
        });
        // From outside, a file system mounted over a folder is reachable only through the agent's own
        // root.
        let root = Path::new("/proc").join(child.id().to_string()).join("root");
        let inside = |folder: PathBuf| root.join(folder.strip_prefix("/").unwrap_or(&folder));
        let state = if settings.disk.is_some() { inside(desk.state()) } else { desk.state() };
        let status = inside(desk.runtime()).join("status.json");
        Ok(Self { child, state, status, log })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The state directory as this program reaches it.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Reads the status snapshot, which exists while the agent runs.
    pub(crate) fn read_status(&self) -> Result<Value, String> {
        let path = &self.status;
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Number of blips in the status snapshot.
    pub(crate) fn blips(&self) -> Result<u64, String> {
        let status = self.read_status()?;
        status["blips"]
            .as_u64()
            .ok_or_else(|| "the status snapshot has no count of blips".to_owned())
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<Logged> {
        self.log.lock().expect("the log lock is not poisoned").clone()
    }

    /// The exit status and the newest log lines if the agent has exited.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let log = self.log();
        let newest: Vec<_> = log.iter().rev().take(5).map(|line| line.text.as_str()).collect();
        Some(format!(
            "the agent exited with {status}; its newest log lines are: {}",
            newest.join(" / ")
        ))
    }

    /// The journal so far, without a last line that is still being written.
    pub(crate) fn journal(&self) -> Result<Vec<Record>, String> {
        let path = self.state.join("journal.ndjson");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let read = |line: &str| {
            serde_json::from_str(line).map_err(|error| format!("not a record ({error}): {line}"))
        };
        whole.lines().map(read).collect()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Sets the limit of file descriptors. It runs as the agent's user, who may set the limits of its
    /// own processes; root may lack the capability to set them for other users.
    pub(crate) fn limit_descriptors(&self, descriptors: u32) -> io::Result<()> {
        let user = USER.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]);
        command.arg(format!("--pid={}", self.id())).arg(format!("--nofile={descriptors}:"));
        let output = command.output()?;
        if output.status.success() {
            Ok(())
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }

    /// Sends SIGTERM. An agent that does not exit within `patience` is killed, which is an error.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<(), String> {
        self.signal(Signal::TERM).map_err(|error| format!("SIGTERM: {error}"))?;
        let deadline = clock::boot_time() + patience;
        while clock::boot_time() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("the agent exited with {status}"))
                };
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the agent did not stop within {} s", patience.as_secs()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
