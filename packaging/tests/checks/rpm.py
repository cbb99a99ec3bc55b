"""The .rpm, installed by rpm on Debian: rpm runs the scripts and treats the files as on its own systems."""

from report import Skip, expect
from world import CONFIGURATION, JOURNAL, KEY_FILE, PACKAGE, UNIT

# Debian's rpm has no record of packages that dpkg installed. Up to Debian 12 it asks for confirmation.
RPM = ("rpm", "--nodeps")
MEANT = "--force-debian"


def story(world):
    """All rows."""
    if not world.row("rpm: installed, started by its user", install, world):
        return
    world.row("rpm: upgraded: the service runs the new program", upgrade, world)
    world.row("rpm: removed: the journal, the key and a changed configuration stay", remove, world)


def package(world, version):
    """The path of a version's package in the box."""
    found = list(world.artefacts.dist.glob(f"{PACKAGE}-{version}.*.rpm"))
    if len(found) != 1:
        raise Skip(f"there is no .rpm of {version} among the artefacts")
    path = f"/srv/{found[0].name}"
    world.box.write(path, found[0].read_bytes())
    return path


def rpm_of(world):
    """The command line of rpm in the box."""
    is_asking = world.box.run("rpm", MEANT, "--version", check=False).code == 0
    return (*RPM, MEANT) if is_asking else RPM


def rpm(world, *words):
    """Runs rpm, which reports a failing script and may continue."""
    done = world.box.run(*rpm_of(world), *words, check=False)
    expect(done.code == 0, f"rpm {' '.join(words)} ended with {done.code}: {done.err or done.out}")
    expect("scriptlet failed" not in done.err, f"a script failed: {done.err}")
    return done


def install(world):
    """Installs the previous version, configures it and starts it."""
    box = world.box
    rpm(world, "--install", package(world, world.artefacts.previous))
    world.expect_waiting()
    changed = box.run(*rpm_of(world), "--verify", PACKAGE, check=False).out
    expect(not changed, f"files differ from those of the package: {changed}")
    world.configure()
    world.start()
    world.wait_up()
    world.wait_heartbeats()
    return box.run("rpm", "--query", PACKAGE).out


def upgrade(world):
    """Upgrades to the newer version with a changed configuration."""
    box = world.box
    settings, pid = box.run("cat", CONFIGURATION).out, world.pid()
    rpm(world, "--upgrade", package(world, world.artefacts.version))
    box.wait("another process", lambda: world.pid() not in (0, pid))
    world.wait_up()
    expect(box.run("cat", CONFIGURATION).out == settings, "the configuration was changed")
    expect(box.run("systemctl", "is-enabled", UNIT).out == "enabled", "the upgrade has disabled the service")
    world.wait_heartbeats()
    return box.run("rpm", "--query", PACKAGE).out


def remove(world):
    """Removes the package."""
    box = world.box
    settings = box.run("cat", CONFIGURATION).out
    rpm(world, "--erase", PACKAGE)
    world.expect_removed(KEY_FILE, JOURNAL, f"{CONFIGURATION}.rpmsave")
    expect(box.run("cat", f"{CONFIGURATION}.rpmsave").out == settings, "the configuration was changed")
    return "stopped; the journal, the key and the configuration (as .rpmsave) are there"
