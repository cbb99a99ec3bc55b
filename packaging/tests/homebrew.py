"""Homebrew in a box: its clone, a user who has it, and the tap as two releases publish it.

Homebrew builds a formula from an archive like that of a release. Only Rust is not available: instead, a formula `rust`
provides a `cargo` that installs the program built earlier, and refuses calls that the real Cargo would not accept. The
older version of the formula installs the same program.
"""

import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import network

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The oldest Homebrew that the formula is tested with.
VERSION = "4.4.32"
GITHUB = "https://github.com/Homebrew/brew"
# The time limit for fetching it, in seconds.
CLONE_LIMIT = 300
PACKAGES = ("build-essential", "curl", "dbus-user-session", "file", "git", "ruby3.3", "sudo")
USER = "linuxbrew"
PREFIX = "/home/linuxbrew/.linuxbrew"
CONFIGURATION, KEY, STATE_DIR = f"{PREFIX}/etc/ispmon/agent.toml", f"{PREFIX}/etc/ispmon/heartbeat.key", f"{PREFIX}/var/ispmon"
UNIT = "homebrew.ispmon-agent.service"
OLD, NEW = "0.0.9", "0.1.0"
DEVICE = "brew-box"
# With this variable, Homebrew uses the installed gems and fetches none.
BREW_TEST = "HOMEBREW_TESTS=1 brew test ispmon-agent"
# Homebrew's settings on a machine without access to its servers.
SETTINGS = """HOMEBREW_USE_RUBY_FROM_PATH=1
HOMEBREW_NO_AUTO_UPDATE=1
HOMEBREW_NO_INSTALL_FROM_API=1
HOMEBREW_NO_ANALYTICS=1
HOMEBREW_NO_ENV_HINTS=1
HOMEBREW_NO_INSTALL_CLEANUP=1
"""
SAMPLE = f"""device = "{DEVICE}"

[heartbeat]
url = "{network.URL}"
key_file = "./heartbeat.key"
interval = "5s"
"""
CARGO = """#!/bin/sh
# Installs the program that was built before, if it is called as Cargo would have to be.
set -eu
[ "$1" = install ] && shift || { echo "cargo: not install but $1" >&2; exit 101; }
root='' path='' locked=''
while [ $# -gt 0 ]; do
  case $1 in
    --jobs) shift ;;
    --locked) locked=yes ;;
    --root=*) root=${1#*=} ;;
    --path=*) path=${1#*=} ;;
    *) echo "cargo: unexpected argument $1" >&2; exit 101 ;;
  esac
  shift
done
grep -q 'name = "ispmon-agent"' "$path/Cargo.toml"
[ -n "$locked" ] && [ -f Cargo.lock ]
mkdir -p "$root/bin"
cp built/ispmon-agent "$root/bin/"
"""
RUST = """class Rust < Formula
  desc "Cargo that installs what was built before"
  homepage "https://example.com"
  url "file://{archive}"
  sha256 "{checksum}"

  def install
    bin.install "cargo"
  end
end
"""


def version_in(program):
    """The version of the formula in the path of its program."""
    (version,) = re.findall(rf"^{PREFIX}/Cellar/ispmon-agent/([^/]+)/bin/ispmon-agent", program)
    return version


class Machine:
    """The container with Homebrew in it."""

    def __init__(self, machine, net):
        self.box = machine
        self.net = net

    def started(self, *command, check=True):
        """Runs a command like systemd does, in a control group of the container: otherwise logind assigns it no session."""
        run = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--")
        return self.box.run(*run, *command, check=check, seconds=900)

    def login(self, command, user=USER, check=True):
        """Runs a command as typed by a user after logging in."""
        return self.started("su", "-", user, "-c", command, check=check)

    def text(self, command, user=USER):
        """The output of such a command, including messages."""
        return self.login(f"{command} 2>&1", user).out

    def status(self):
        """The agent's status, from its command."""
        return json.loads(self.login("ispmon-agent status --json", check=False).out)

    def pid(self):
        """The process of the running agent, or `None`."""
        status = self.status()
        return status["status"]["pid"] if status["presence"] == "running" else None

    def wait_for_new_pid(self, old=None):
        """Waits until an agent runs in another process than `old`."""
        return self.box.wait("the agent to run", lambda: self.pid() not in (None, old) and self.pid())

    def wait_for_heartbeat(self):
        """Waits until the lab has accepted one more heartbeat."""
        before = self.net.heartbeats(DEVICE)
        self.box.wait("a heartbeat", lambda: self.net.heartbeats(DEVICE) > before)

    def keg(self, pid):
        """The version of the formula that a process was started from."""
        return version_in(self.box.run("readlink", f"/proc/{pid}/exe").out)

    def show(self, manager, *properties):
        """Properties of the unit in a service manager, `--user` or `--system`."""
        names = ",".join(properties)
        user = USER if manager == "--user" else "root"
        return dict(line.split("=", 1) for line in self.text(f"systemctl {manager} show -p {names} {UNIT}", user).splitlines())


def clone(folder):
    """A clone of Homebrew; prints the reason and returns `None` if there is none."""
    source = os.environ.get("ISPMON_BREW_GIT") or GITHUB
    commit = os.environ.get("ISPMON_BREW_COMMIT") or f"refs/tags/{VERSION}"
    address = f"file://{source}" if source.startswith("/") else source
    git = ["git", "-C", folder, "-c", "user.name=brew", "-c", "user.email=brew@localhost", "-c", "uploadpack.allowAnySHA1InWant=true"]
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    fetch = [*git, "fetch", "--quiet", "--depth=1", address, commit]
    try:
        got = subprocess.run(fetch, env=environment, capture_output=True, text=True, check=False, timeout=CLONE_LIMIT)
    except subprocess.TimeoutExpired:
        print(f"SKIPPED: {source} does not answer, so there is no Homebrew")
        return None
    if got.returncode != 0:
        print(f"SKIPPED: no Homebrew from {source}: {' / '.join(got.stderr.split(chr(10))[-3:]).strip()}")
        return None
    subprocess.run([*git, "checkout", "--quiet", "-B", "main", "FETCH_HEAD"], check=True)
    # A local repository may have the commit without the tag.
    subprocess.run([*git, "tag", "--force", VERSION], check=True, capture_output=True)
    return folder


def built(package):
    """Builds a program."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", package], cwd=ROOT, check=True)
    return target / "debug" / package


def archive(path, files):
    """Writes an archive of `files`: name to content and mode."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/{name}")
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return path


def source_archive(folder, version, program):
    """A release's source archive, with the built program."""
    names = ("Cargo.toml", "Cargo.lock", "LICENSE", "agent/Cargo.toml", "agent/agent.toml")
    files = {name: ((ROOT / name).read_bytes(), 0o644) for name in names}
    if version == OLD:
        content, mode = files["agent/agent.toml"]
        files["agent/agent.toml"] = content + b"\n# The sample of an older version.\n", mode
    files["built/ispmon-agent"] = pathlib.Path(program).read_bytes(), 0o755
    return archive(folder / f"ispmon-{version}.tar.gz", files)


def publisher():
    """The program that writes the tap of a release, as a module."""
    path = ROOT / "packaging/homebrew/publish"
    loader = importlib.machinery.SourceFileLoader("publish", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("publish", loader))
    loader.exec_module(module)
    return module


def publish_tap(machine, version):
    """Publishes a version of the formula as the newest in the tap."""
    name = f"/srv/ispmon-{version}.tar.gz"
    tap = machine.box.path(f"{PREFIX}/Homebrew/Library/Taps/ispmon/homebrew-tap")
    publisher().publish(machine.box.path(name), f"file://{name}", tap)
    machine.box.shell(
        f"cd {PREFIX}/Homebrew/Library/Taps/ispmon/homebrew-tap; chown -R {USER}: .; [ -d .git ] || runuser -u {USER} -- git init --quiet;"
        f" runuser -u {USER} -- git add --all; runuser -u {USER} -- git -c user.name=tap -c user.email=tap@localhost commit --quiet -m {version}"
    )


def prepare(machine, homebrew, agent, folder):
    """Sets up a user with Homebrew in the container, and the archives of two releases."""
    inside = machine.box
    inside.shell(f"useradd --create-home --shell /bin/bash {USER}; useradd --create-home --shell /bin/bash neighbour")
    inside.write("/etc/sudoers.d/brew", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    inside.write("/etc/hosts", "127.0.0.1 localhost box\n")
    inside.write("/etc/homebrew/brew.env", SETTINGS)
    inside.write(f"/home/{USER}/.profile", f'eval "$({PREFIX}/bin/brew shellenv)"\n')
    inside.write("/home/neighbour/.profile", f'PATH="{PREFIX}/bin:$PATH"\n')
    shutil.copytree(homebrew, inside.path(f"{PREFIX}/Homebrew"), symlinks=True)
    for version in (OLD, NEW):
        shutil.copy(source_archive(folder, version, agent), inside.path("/srv"))
    cargo = archive(folder / "cargo-1.0.tar.gz", {"cargo": (CARGO.encode(), 0o755)})
    shutil.copy(cargo, inside.path("/srv"))
    checksum = inside.run("sha256sum", "/srv/cargo-1.0.tar.gz").out.split()[0]
    core = f"{PREFIX}/Homebrew/Library/Taps/homebrew/homebrew-core"
    inside.write(f"{core}/Formula/r/rust.rb", RUST.format(archive="/srv/cargo-1.0.tar.gz", checksum=checksum))
    inside.shell(
        f"git init --quiet {core}; mkdir -p {PREFIX}/bin; ln -s ../Homebrew/bin/brew {PREFIX}/bin/brew;"
        f" chmod 755 /home/{USER}; chown -R {USER}: /home/{USER}"
    )
    # `brew test` would fetch these as gems; Ruby includes them.
    inside.shell(f"ln -s bundle3.3 /usr/bin/bundle; ln -s /usr/lib/ruby/gems/3.3.0/gems/minitest-*/lib/* {PREFIX}/Homebrew/Library/Homebrew/")
    machine.started("loginctl", "enable-linger", USER)
    # By default, Homebrew does not build formulae from core.
    publish_tap(machine, OLD)
    machine.login("brew install --build-from-source rust")


def configure(machine, text=SAMPLE):
    """Writes the user's configuration."""
    machine.box.write(CONFIGURATION, text)
