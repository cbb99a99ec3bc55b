"""Booted Debian containers for testing packages and services.

    import box

    box.isolate()                        # first: everything below ends with this process
    with box.Run() as run, run.box("trixie", packages=["sudo"]) as machine:
        machine.boot()
        machine.run("systemctl", "is-system-running")
        machine.run("id", user="nobody")
        machine.reboot()

Needs root, the tools that `missing` lists and, once for each release, a Debian mirror. Base images are kept in
`${XDG_CACHE_HOME:-~/.cache}/ispmon-ci/boxes`; a box is an overlay on top of one, so no run changes it.

Nothing outlives the run: `isolate` restarts the program in a PID namespace with its own mounts. When the program ends, in
any way, the kernel kills all processes in it, and mounts and networks disappear with them. A killed run leaves a folder
beside the base images and empty control groups, which the next run removes.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

# The packages of every image beyond a minimal Debian, so that a user can log in and follow README.md.
PACKAGES = (
    "ca-certificates", "curl", "dbus", "iproute2", "libpam-systemd", "polkitd", "procps", "rpm", "sudo", "systemd", "systemd-sysv",
)
# The mirror if apt on this machine has none.
MIRROR = "http://deb.debian.org/debian"
# The default time limit for a state to be reached, in seconds; machines under load take long.
PATIENCE = 120.0
# The delay between two checks of an awaited state, in seconds.
LOOK = 0.1
# The exit code of `systemd-nspawn --keep-unit` after the system inside requested a reboot.
REBOOT = 133
# The variable that `isolate` sets for the restarted program.
ISOLATED = "ISPMON_BOX_ISOLATED"
# The complete environment of a command in a box.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}

Output = collections.namedtuple("Output", "code out err")
Output.__doc__ = "The result of a command: its exit code, and standard output and standard error without surrounding white space."


class BoxError(Exception):
    """An operation of a box failed; the message contains the operation and the reason."""


class Late(BoxError):
    """An awaited state was not reached in time."""


def wait(what, look, seconds=PATIENCE):
    """Returns the first true value that `look` returns; raises `Late` if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Late(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(LOOK)


def missing():
    """A sentence on what this machine lacks to run a box; an empty string if it lacks nothing."""
    if not sys.platform.startswith("linux"):
        return "containers need Linux"
    if os.geteuid() != 0:
        return "containers need root"
    tools = ("systemd-nspawn", "nsenter", "unshare", "setpriv", "ip", "debootstrap", "openssl")
    lacking = [tool for tool in tools if not shutil.which(tool)]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def isolate():
    """Restarts this program in namespaces that end with it, and returns in the restarted program. Does nothing there."""
    if os.environ.get(ISOLATED):
        if os.getpid() == 1:
            # This program also has its own names of network namespaces.
            os.makedirs("/run/netns", exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
            # `ip netns exec` copies all mounts; an unmount here has to take effect there as well.
            subprocess.run(["mount", "--make-rshared", "/"], check=True)
            _be_init()
        return
    sys.stdout.flush()
    command = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    command += ["--mount-proc", "--", sys.executable, *sys.argv]
    with subprocess.Popen(command, env={**os.environ, ISOLATED: "1"}) as inner:
        # A terminal sends its interrupt to both processes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: inner.kill())
        code = inner.wait()
    os._exit(code if code >= 0 else 128 - code)


def _be_init():
    """Returns in a child process; this process becomes the init of its namespace and reaps orphaned processes, because a
    container only ends when all its processes have been waited for."""
    child = os.fork()
    if child == 0:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def cache():
    """The folder of the base images."""
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ispmon-ci/boxes"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mirror():
    """The Debian mirror in this machine's apt sources."""
    folder = pathlib.Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list")), *sorted(folder.glob("sources.list.d/*.sources"))]
    for file in files:
        for line in file.read_text().splitlines() if file.is_file() else ():
            found = re.match(r"(?:deb|URIs:)\s(?:.*\s)?(https?://\S+/debian)/?(?:\s|$)", line)
            if found:
                return found[1]
    return MIRROR


def base_image(release, packages=()):
    """The tree of a Debian release with `packages`, created if there is none yet."""
    wanted = sorted({*PACKAGES, *packages})
    tree = cache() / f"{release}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:8]}"
    with open(cache() / f"{tree.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if tree.exists():
            return tree
        unfinished = tree.with_name(f"{tree.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        proxy = subprocess.run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"], capture_output=True, text=True, check=False)
        proxy = re.match(r"proxy='(.+)'", proxy.stdout)
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(wanted)}", release, unfinished, mirror()],
            env={**os.environ, **({"http_proxy": proxy[1]} if proxy else {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        if made.returncode != 0:
            raise BoxError(f"debootstrap could not make {release}: {' / '.join(made.stdout.splitlines()[-3:])}")
        shutil.rmtree(unfinished / "var/cache/apt/archives", ignore_errors=True)
        # Their hour-long jobs are of no use to a system that lives for minutes.
        for timer in ("apt-daily", "apt-daily-upgrade", "e2scrub_all", "fstrim", "dpkg-db-backup", "man-db"):
            os.symlink("/dev/null", unfinished / f"etc/systemd/system/{timer}.timer")
        unfinished.rename(tree)
        return tree


class Run:
    """The boxes of one run, and the folder with their changes."""

    def __init__(self, keep=False):
        self.keep = keep
        for folder in cache().glob("run-*"):
            with contextlib.suppress(OSError), open(folder / "lock", "a", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for left in folder.iterdir():
                    remove_cgroups(left.name)
                shutil.rmtree(folder, ignore_errors=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=cache()))
        self.lock = open(self.folder / "lock", "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.boxes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for machine in self.boxes:
            machine.close()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()

    def box(self, release, packages=(), network=None):
        """A new box, not booted yet; `network.namespace()` is the path of its network namespace."""
        machine = Box(self.folder / f"{release}-{os.urandom(4).hex()}", base_image(release, packages), release, network)
        self.boxes.append(machine)
        return machine


class Box:
    """One container with a tree of its own."""

    def __init__(self, folder, base, release, network=None):
        self.release = release
        self.network = network
        self.name = folder.name
        self.folder = folder
        self.root = folder / "root"
        self.console = folder / "console.log"
        self.nspawn = None
        self.init = 0
        for part in ("upper", "work", "root"):
            (folder / part).mkdir(parents=True)
        layers = f"lowerdir={base},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.root], check=True)
        # An installed machine has an id; without one, this would count as its first boot, on which presets
        # enable units.
        self.write("/etc/machine-id", f"{uuid.uuid4().hex}\n")
        self.write("/etc/hostname", "box\n")
        if release in ("bullseye", "bookworm"):
            # A container's boot id is a mount in /proc, which these versions of systemd omit from a
            # service's private /proc.
            self.write("/etc/tmpfiles.d/boot-id.conf", "C /run/boot-id 0444 - - - /proc/sys/kernel/random/boot_id\n")
            self.write(
                "/etc/systemd/system/ispmon-agent.service.d/container.conf",
                "[Service]\nBindReadOnlyPaths=/run/boot-id:/proc/sys/kernel/random/boot_id\n",
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, inside):
        """The path on this machine of a file in the box."""
        return self.root / str(inside).lstrip("/")

    def write(self, inside, text, mode=0o644):
        """Writes a file and creates its parent folders, whether or not the box runs."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)

    def boot(self):
        """Boots the box and waits until systemd has finished starting units."""
        network = f"--network-namespace-path={self.network.namespace()}" if self.network else "--private-network"
        self.init = 0
        groups = list(cgroups(self.name))
        for group in groups:
            group.mkdir(exist_ok=True)
        # A control group of its own: otherwise two containers would use the same one.
        join = 'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
        with open(self.console, "ab") as console:
            self.nspawn = subprocess.Popen(
                ["sh", "-euc", join, "sh", *groups, "--", "systemd-nspawn", "--quiet", "-D", self.root, "-b", network,
                 "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off", "--console=read-only", "-M", self.name],
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )
        wait(f"{self.name} to boot", self._has_booted)

    def _has_booted(self):
        if self.nspawn.poll() is not None:
            raise BoxError(f"{self.name} does not boot: {self.console.read_text(errors='replace')[-600:]}")
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text(encoding="ascii").split()
        if not children:
            return False
        # The first child is not init yet, but a process that creates init and ends.
        self.init = int(children[0])
        return self.run("systemctl", "is-system-running", check=False).out in ("running", "degraded")

    def command(self, *command, user=None):
        """The command line that runs a command in the box from this machine."""
        inside = ["nsenter", f"--target={self.init}", "--all", "--"]
        return [*inside, *(["runuser", "-u", user, "--"] if user else []), *(str(word) for word in command)]

    def run(self, *command, user=None, check=True, stdin="", seconds=PATIENCE):
        """Runs a command in the box, as root or as `user`; a failing one raises `BoxError` unless `check` is false."""
        try:
            done = subprocess.run(
                self.command(*command, user=user), env=ENVIRONMENT, input=stdin, timeout=seconds,
                capture_output=True, text=True, errors="replace", check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Late(f"`{' '.join(str(word) for word in command)}` runs for more than {seconds:.0f} s") from error
        output = Output(done.returncode, done.stdout.strip(), done.stderr.strip())
        if check and output.code != 0:
            raise BoxError(f"`{' '.join(str(word) for word in command)}` ended with {output.code}: {output.err or output.out}")
        return output

    def shell(self, script, **options):
        """Runs a script in the box's shell, which stops at the first failure."""
        return self.run("sh", "-euc", script, **options)

    def wait(self, what, look, seconds=PATIENCE):
        """Waits like the function `wait`."""
        return wait(f"{what} in {self.name}", look, seconds)

    def poweroff(self):
        """Shuts the system down and waits for its end."""
        self._shut_down("poweroff", 0)

    def reboot(self):
        """Shuts the system down for a reboot and boots it again on the same tree."""
        self._shut_down("reboot", REBOOT)
        self.boot()

    def _shut_down(self, verb, expected):
        self.run("systemctl", "--no-block", verb)
        code = self.nspawn.wait(PATIENCE)
        self.nspawn = None
        if code != expected:
            raise BoxError(f"{self.name}: {verb} ended with {code} instead of {expected}")

    def kill(self):
        """Ends the box like a power cut."""
        if self.nspawn:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init or self.nspawn.pid, signal.SIGKILL)
            self.nspawn.wait(PATIENCE)
            self.nspawn = None

    def close(self):
        """Ends the box and unmounts its tree."""
        self.kill()
        subprocess.run(["umount", "--recursive", "--lazy", self.root], stderr=subprocess.DEVNULL, check=False)
        remove_cgroups(self.name)


def cgroups(box):
    """The control group of a box, below that of this process, in each hierarchy that systemd manages."""
    mounts = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, rest = line.split(" - ")
        kind, _, options = rest.split(" ")
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            mounts["" if kind == "cgroup2" else "name=systemd"] = pathlib.Path(fields.split(" ")[4])
    for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, hierarchy, group = line.split(":", 2)
        if hierarchy in mounts:
            yield mounts[hierarchy] / group.lstrip("/") / f"ispmon-{box}"


def remove_cgroups(box):
    """Removes what remains of a box's control groups."""
    for group in cgroups(box):
        for path in (*sorted(group.rglob("*/"), reverse=True), group):
            with contextlib.suppress(OSError):
                path.rmdir()
