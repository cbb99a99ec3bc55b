//! The agent under test: the real program, without privileges, on the device of a house.

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

/// The user that it runs as: `nobody`.
pub(crate) const USER: u32 = 65_534;

/// Makes the device's world of files and starts the agent in it. Its arguments are the file for
/// `/etc/resolv.conf`, the folder of the record, the runtime folder, which is in memory as systemd's,
/// and what goes over the folder of the record: `disk` or a size.
///
/// `/sys` shows the interfaces of the namespace in which it was mounted. The death of the thread that
/// started the agent is the agent's own, so none outlives this program.
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

/// A line of the agent's log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// When it was read, by the boot-time clock.
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// A folder in which an agent finds its configuration and keeps its record.
pub(crate) struct Desk {
    folder: PathBuf,
}

impl Desk {
    /// Makes the folder.
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        let state = folder.join("state");
        fs::create_dir_all(&state)?;
        fs::create_dir_all(folder.join("runtime"))?;
        // The row's parent folder is a private one by nature, but the agent is another user.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        chown(&state, Some(USER), Some(USER))?;
        Ok(Self { folder })
    }

    /// The folder of the record.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The folder of what does not outlive the boot.
    fn runtime(&self) -> PathBuf {
        self.folder.join("runtime")
    }

    /// The path of another file at the desk.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes what the agent reads at its start.
    fn furnish(&self, settings: &Settings, world: &World) -> io::Result<()> {
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

/// A running agent; dropped, it is killed.
pub(crate) struct Agent {
    child: Child,
    state: PathBuf,
    status: PathBuf,
    log: Arc<Mutex<Vec<Logged>>>,
}

impl Agent {
    /// Starts `program` (the agent, or what runs it) at the desk.
    pub(crate) fn start(
        program: &[&str],
        desk: &Desk,
        settings: &Settings,
        world: &World,
    ) -> io::Result<Self> {
        desk.furnish(settings, world)?;
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
        let stderr = child.stderr.take().expect("it is piped");
        let log = Arc::new(Mutex::<Vec<Logged>>::default());
        let lines = Arc::clone(&log);
        let mut copy = File::options().create(true).append(true).open(desk.file("agent.log"))?;
        thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The copy is for people who look for a reason; no row reads it.
                let _ = writeln!(copy, "{text}");
                let line = Logged { at: clock::boot_time(), text };
                lines.lock().expect("nobody panics with it").push(line);
            }
        });
        // Seen from here, a file system that covers a folder is behind the agent's own root.
        let root = Path::new("/proc").join(child.id().to_string()).join("root");
        let inside = |folder: PathBuf| root.join(folder.strip_prefix("/").unwrap_or(&folder));
        let state = if settings.disk.is_some() { inside(desk.state()) } else { desk.state() };
        let status = inside(desk.runtime()).join("status.json");
        Ok(Self { child, state, status, log })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The folder of its record as this program sees it.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// What its status file says, while it runs.
    pub(crate) fn read_status(&self) -> Result<Value, String> {
        let path = &self.status;
        let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// How many failures its status file counts that were too short to be incidents.
    pub(crate) fn blips(&self) -> Result<u64, String> {
        let status = self.read_status()?;
        status["blips"].as_u64().ok_or_else(|| "the status file counts no blips".to_owned())
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> Vec<Logged> {
        self.log.lock().expect("nobody panics with it").clone()
    }

    /// Why it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        let log = self.log();
        let newest: Vec<_> = log.iter().rev().take(5).map(|line| line.text.as_str()).collect();
        Some(format!("the agent ended with {status}; its newest lines are: {}", newest.join(" / ")))
    }

    /// Its record so far. A last line that is being written is left out.
    pub(crate) fn journal(&self) -> Result<Vec<Record>, String> {
        let path = self.state.join("journal.ndjson");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let read = |line: &str| {
            serde_json::from_str(line).map_err(|error| format!("no record ({error}): {line}"))
        };
        whole.lines().map(read).collect()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Sets how many file descriptors it may have. The limits of a process may be set by its own user, and
    /// root may lack the capability to set them of everybody.
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

    /// Asks it to leave; an agent that does not within `patience` is killed, which is an error.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<(), String> {
        self.signal(Signal::TERM).map_err(|error| format!("SIGTERM: {error}"))?;
        let deadline = clock::boot_time() + patience;
        while clock::boot_time() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("it ended with {status}"))
                };
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the agent did not leave within {} s", patience.as_secs()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
