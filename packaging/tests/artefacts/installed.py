"""The packages in a Debian without a running systemd, such as a container image during its build: installed, upgraded,
removed, purged. Booted systems are tested in packaging/tests/run."""

import os
import pathlib
import subprocess
import tempfile

import box
from report import Failure, Skip, expect

from . import tools

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
KEY = "etc/ispmon/heartbeat.key"
CONFIGURATION = "etc/ispmon/agent.toml"
JOURNAL = "var/lib/ispmon/journal.ndjson"


def check(rows, root, dist):
    """Prints the rows."""
    for release in ("bookworm", "trixie"):
        rows.row(f"deb without systemd running: {release}", debian, dist, release)
    rows.row("deb: an upgrade that fails leaves everything as it was", failed_upgrade, dist)
    rows.row("deb without systemd installed: useradd creates the user", without_sysusers, dist)
    rows.row("rpm: installed, upgraded and erased with its scripts, by Debian's rpm", rpm, root, dist)


class Tree:
    """A Debian that is not booted."""

    def __init__(self, machine):
        self.root = machine.root

    def run(self, *command, check=True):
        done = subprocess.run(
            ["chroot", self.root, *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        if check and done.returncode != 0:
            raise Failure(f"`{' '.join(command)}` ended with {done.returncode}: {done.stdout.strip()}")
        return done.stdout

    def path(self, inside):
        return self.root / inside

    def mode(self, inside):
        status = self.path(inside).stat()
        return f"{status.st_mode & 0o7777:o} {status.st_uid}:{status.st_gid}"

    def user(self):
        return self.run("getent", "passwd", "ispmon", check=False).strip()

    def expect_installed(self, key, configuration=""):
        """Checks the files after an installation or an upgrade, with the key and the beginning of the configuration."""
        expect(self.user(), "there is no user ispmon")
        expect(self.user().endswith(("nologin", "false")), f"the user can log in: {self.user()}")
        expect(self.mode(KEY) == "600 0:0", f"the key has {self.mode(KEY)}")
        expect(self.path(KEY).read_text() == key, "the key was overwritten")
        expect(self.path(CONFIGURATION).read_text().startswith(configuration), "the configuration was overwritten")
        wanted = list(self.path("etc/systemd/system").glob("*.wants/ispmon-agent.service"))
        expect(not wanted, f"the service was enabled: {wanted}")


def trees(release):
    """A run of boxes, and the tree of the first box."""
    if box.missing():
        raise Skip(box.missing())
    run = box.Run()
    return run, Tree(run.box(release))


def package(dist):
    return tools.only(dist, "ispmon-agent_*_amd64.deb")


def older(deb, folder):
    """The same package with an older version number."""
    tools.run("dpkg-deb", "--raw-extract", deb, f"{folder}/older")
    control = pathlib.Path(folder) / "older/DEBIAN/control"
    version = tools.run("dpkg-deb", "--field", deb, "Version").strip()
    control.write_text(control.read_text().replace(f"Version: {version}\n", "Version: 0.0.9-1\n"))
    tools.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", f"{folder}/older", f"{folder}/older.deb")
    return pathlib.Path(f"{folder}/older.deb")


def use(tree):
    """Creates the files that a user and a running agent leave."""
    tree.path(KEY).write_text("secret\n")
    tree.path(CONFIGURATION).write_text('device = "mine"\n' + tree.path(CONFIGURATION).read_text())
    tree.path(JOURNAL).parent.mkdir(parents=True)
    tree.path(JOURNAL).write_text("{}\n")


def debian(dist, release):
    run, tree = trees(release)
    with run, tempfile.TemporaryDirectory() as folder:
        for name, deb in (("older", older(package(dist), folder)), ("new", package(dist))):
            tree.path(f"tmp/{name}.deb").write_bytes(deb.read_bytes())
        printed = tree.run("dpkg", "--install", "/tmp/older.deb")
        tree.expect_installed(key="")
        expect("warning" not in printed.lower() and "error" not in printed.lower(), f"dpkg printed: {printed}")
        use(tree)
        tree.run("dpkg", "--install", "/tmp/new.deb")
        tree.expect_installed(key="secret\n", configuration='device = "mine"\n')
        expect(tree.run("ispmon-agent", "config").splitlines()[0].split()[1] == "mine", "the program does not read its configuration")
        catalog = tree.run("journalctl", "--list-catalog", check=False)
        expect("The agent has started" in catalog, "the catalog of messages was not updated")
        tree.run("dpkg", "--remove", "ispmon-agent")
        for path in (KEY, CONFIGURATION, JOURNAL):
            expect(tree.path(path).exists(), f"removal has taken {path}")
        expect(not tree.path("usr/bin/ispmon-agent").exists(), "removal has left the program")
        tree.run("dpkg", "--install", "/tmp/new.deb")
        tree.expect_installed(key="secret\n", configuration='device = "mine"\n')
        tree.run("dpkg", "--purge", "ispmon-agent")
        for path in (KEY, CONFIGURATION, JOURNAL, "etc/ispmon", "var/lib/ispmon"):
            expect(not tree.path(path).exists(), f"purge has left {path}")
        expect(tree.user(), "purge has taken the user")
        expect("The agent has started" not in tree.run("journalctl", "--list-catalog", check=False), "purge has left the catalog")
        return "installed, upgraded, removed, installed again, purged"


def failed_upgrade(dist):
    """A file of the newer version belongs to another package, so unpacking fails; without that package it succeeds."""
    run, tree = trees("trixie")
    with run, tempfile.TemporaryDirectory() as folder:
        tree.path("tmp/older.deb").write_bytes(older(package(dist), folder).read_bytes())
        tree.path("tmp/new.deb").write_bytes(package(dist).read_bytes())
        (tree.path("tmp/other") / "DEBIAN").mkdir(parents=True)
        tree.path("tmp/other/DEBIAN/control").write_text(
            "Package: other\nVersion: 1\nArchitecture: all\nMaintainer: A test <test@localhost>\nDescription: A test\n"
        )
        taken = tree.path("tmp/other/usr/share/man/man5/agent.toml.5.gz")
        taken.parent.mkdir(parents=True)
        taken.write_text("taken")
        tree.run("dpkg", "--install", "/tmp/older.deb")
        before, mode = tree.path(CONFIGURATION).read_bytes(), tree.mode(CONFIGURATION)
        tree.run("dpkg-deb", "--root-owner-group", "--build", "/tmp/other", "/tmp/other.deb")
        tree.run("dpkg", "--force-overwrite", "--install", "/tmp/other.deb")
        printed = tree.run("dpkg", "--install", "/tmp/new.deb", check=False)
        expect("trying to overwrite" in printed, f"it did not fail: {printed}")
        expect(tree.path(CONFIGURATION).exists(), "the configuration is gone")
        expect((tree.path(CONFIGURATION).read_bytes(), tree.mode(CONFIGURATION)) == (before, mode), "the configuration was changed")
        version = tree.run("dpkg-query", "--showformat=${Status} ${Version}", "--show", "ispmon-agent")
        expect(version == "install ok installed 0.0.9-1", f"it is {version}")
        tree.run("dpkg", "--purge", "other")
        tree.run("dpkg", "--install", "/tmp/new.deb")
        left = sorted(path.name for path in tree.path("etc/ispmon").iterdir())
        expect(left == ["agent.toml", "heartbeat.key"], f"/etc/ispmon holds {left}")
        return next(line for line in printed.splitlines() if "trying to overwrite" in line).strip()


def without_sysusers(dist):
    run, tree = trees("bookworm")
    with run:
        tree.path("tmp/new.deb").write_bytes(package(dist).read_bytes())
        for tool in ("usr/bin/systemd-sysusers", "bin/systemd-sysusers", "usr/bin/journalctl"):
            tree.path(tool).unlink(missing_ok=True)
        tree.run("dpkg", "--install", "/tmp/new.deb")
        tree.expect_installed(key="")
        tree.run("dpkg", "--purge", "ispmon-agent")
        return tree.user()


def rpm(root, dist):
    tools.need("rpm")
    new = tools.only(dist, "ispmon-agent-*.x86_64.rpm")
    run, tree = trees("bookworm")
    with run, tempfile.TemporaryDirectory() as folder:
        tools.run(root / "packaging/build", "--arch", "amd64", "--package-version", "0.0.9", "--out", folder, "rpm")
        old = tools.only(pathlib.Path(folder), "*.rpm")
        def manage(*arguments):
            done = subprocess.run(["rpm", "--root", tree.root, "--nodeps", *arguments], env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
            expect(done.returncode == 0 and "scriptlet" not in done.stderr, f"rpm {arguments[0]} ended with {done.returncode}: {done.stderr}")

        manage("--install", old)
        tree.expect_installed(key="")
        use(tree)
        manage("--upgrade", new)
        tree.expect_installed(key="secret\n", configuration='device = "mine"\n')
        expect("The agent has started" in tree.run("journalctl", "--list-catalog", check=False), "the catalog of messages was not updated")
        manage("--erase", "ispmon-agent")
        expect(not tree.path("usr/bin/ispmon-agent").exists(), "the program was left")
        for path in (KEY, f"{CONFIGURATION}.rpmsave", JOURNAL):
            expect(tree.path(path).exists(), f"{path} is gone")
        return "installed, upgraded, erased; journal, key and configuration stay"
