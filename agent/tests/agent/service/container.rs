//! A booted Debian with systemd, journald and logind in a container.
//!
//! It needs root, `systemd-nspawn`, `nsenter` and, the first time, `debootstrap` and a mirror; the root file
//! system is kept for the next run. An overlay keeps each run from changing it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::process::PATIENCE;

/// How long to sleep between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A running container, killed on drop.
pub(crate) struct Container {
    nspawn: Child,
    init: u32,
}

impl Container {
    /// Boots a container called `name`. `shared` lists read-only bind mounts: path on the host, path inside.
    /// The container has the host's network, so that it reaches servers on loopback.
    ///
    /// Prints what is missing and returns `None` if no container can be booted.
    pub(crate) fn boot(name: &str, shared: &[(&Path, &str)]) -> Option<Self> {
        let tree = match tree() {
            Ok(tree) => tree,
            Err(missing) => {
                println!("SKIPPED: {missing}");
                return None;
            }
        };
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--boot"]);
        command
            .arg(format!("--machine={name}-{}", std::process::id()))
            .arg("--directory")
            .arg(tree);
        command.arg("--console=pipe");
        for (host, inside) in shared {
            command.arg(format!("--bind-ro={}:{inside}", host.display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nspawn = command.spawn().expect("systemd-nspawn starts");
        let mut container = Self { nspawn, init: 0 };
        wait_for("the end of the boot", || {
            // nspawn's first child is not init yet, but a process that starts init and exits.
            container.init = container.find_init()?;
            let state = container.run(["systemctl", "is-system-running"]);
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            ["running", "degraded"].contains(&state.as_str()).then_some(())
        });
        Some(container)
    }

    /// Runs a command in the container.
    pub(crate) fn run<const N: usize>(&self, command: [&str; N]) -> Output {
        Command::new("nsenter")
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--uts", "--ipc", "--pid", "--"])
            .args(command)
            .stdin(Stdio::null())
            .output()
            .expect("nsenter starts")
    }

    /// The output of a command that must succeed.
    pub(crate) fn output<const N: usize>(&self, command: [&str; N]) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).expect("valid UTF-8")
    }

    fn find_init(&self) -> Option<u32> {
        let nspawn = self.nspawn.id();
        let children = format!("/proc/{nspawn}/task/{nspawn}/children");
        fs::read_to_string(children).ok()?.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.init != 0 {
            // Killing init stops the container: the kernel kills all processes in it.
            let _ = Command::new("kill").args(["-KILL", &self.init.to_string()]).status();
        }
        let _ = self.nspawn.wait();
    }
}

/// Calls `poll` until it returns a value.
pub(crate) fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let mut polls = PATIENCE.as_millis() / POLL_INTERVAL.as_millis();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(polls > 0, "{what}: timed out");
        polls -= 1;
        thread::sleep(POLL_INTERVAL);
    }
}

/// The root file system of a small Debian, created on first use; `Err` says what is missing.
fn tree() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("a container needs root".to_owned());
    }
    for tool in ["systemd-nspawn", "nsenter"] {
        if !on_path(tool) {
            return Err(format!("no {tool} on PATH"));
        }
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or(home).ok_or("no folder for caches")?.join("ispmon-ci");
    let tree = cache.join("systemd-trixie");
    if tree.exists() {
        return Ok(tree);
    }
    if !on_path("debootstrap") {
        return Err("no debootstrap on PATH".to_owned());
    }
    fs::create_dir_all(&cache).map_err(|error| format!("no {}: {error}", cache.display()))?;
    let unfinished = cache.join(format!("systemd-trixie.{}", std::process::id()));
    let made = Command::new("debootstrap")
        .args(["--variant=minbase", "--include=systemd,systemd-sysv,dbus", "trixie"])
        .arg(&unfinished)
        .stdin(Stdio::null())
        .output();
    let is_made = made.is_ok_and(|made| made.status.success());
    // If another process was faster, it has made the same tree.
    if is_made && (fs::rename(&unfinished, &tree).is_ok() || tree.exists()) {
        return Ok(tree);
    }
    let _ = fs::remove_dir_all(&unfinished);
    Err("debootstrap could not make a Debian tree".to_owned())
}

fn on_path(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
