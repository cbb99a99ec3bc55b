//! A booted Debian with systemd, journald and logind in a container.
//!
//! It needs root, `systemd-nspawn`, `nsenter` and, the first time, `debootstrap` and a mirror; the tree is kept
//! for the next run. It is mounted beneath an overlay, so that no run changes it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use crate::process::PATIENCE;

/// How long to wait between two looks at something that takes its time; what is waited for is a state.
const LOOK: Duration = Duration::from_millis(100);

/// A running container; dropped, it is killed.
pub(crate) struct Container {
    nspawn: Child,
    init: u32,
}

impl Container {
    /// Boots one called `name`, in which each first path of the host can be read as the second one. It has
    /// the host's network, so that a server on loopback can be reached.
    ///
    /// `None` after a line that says what is missing.
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
        let nspawn = command.spawn().expect("it was there a moment ago");
        let mut container = Self { nspawn, init: 0 };
        wait_for("the end of the boot", || {
            // nspawn's first child is not yet init, but one that makes it and ends.
            container.init = container.find_init()?;
            let state = container.run(["systemctl", "is-system-running"]);
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            ["running", "degraded"].contains(&state.as_str()).then_some(())
        });
        Some(container)
    }

    /// Runs a command in it.
    pub(crate) fn run<const N: usize>(&self, command: [&str; N]) -> Output {
        Command::new("nsenter")
            .arg(format!("--target={}", self.init))
            .args(["--mount", "--uts", "--ipc", "--pid", "--"])
            .args(command)
            .stdin(Stdio::null())
            .output()
            .expect("nsenter is there")
    }

    /// What a command prints that must succeed.
    pub(crate) fn output<const N: usize>(&self, command: [&str; N]) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).expect("it is UTF-8")
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
            // init takes this for the wish to halt, and the kernel ends everything beneath it.
            let _ = Command::new("kill").args(["-KILL", &self.init.to_string()]).status();
        }
        let _ = self.nspawn.wait();
    }
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut looks = PATIENCE.as_millis() / LOOK.as_millis();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(looks > 0, "{what} did not come");
        looks -= 1;
        thread::sleep(LOOK);
    }
}

/// The tree of a small Debian, made when there is none yet; `Err` says what is missing.
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
    // Whoever was faster has made the same.
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
