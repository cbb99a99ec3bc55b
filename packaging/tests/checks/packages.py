"""Upgrade, downgrade, removal and purge of the package."""

import hashlib
import json

from report import expect
from world import CONFIGURATION, JOURNAL, KEY_FILE, PACKAGE, STATE_DIR, UNIT, contains, single

# A kind of record that exists only in a later version.
KIND = "moon_landed"


def story(world):
    """All rows."""
    if not world.row("the previous version is installed and started", previous, world):
        return
    world.row("upgraded during an outage, which goes on and is closed", upgrade, world)
    world.row("downgraded with a record of a newer kind", downgrade, world)
    world.row("removed: the journal and the configuration stay", remove, world)
    world.row("installed again: it starts, and finds its journal", again, world)
    world.row("removed while disabled and installed again: it does not start", disabled, world)
    world.row("purged: nothing stays", purge, world)
    world.row("an unchanged configuration is replaced by the version's sample", untouched, world)
    world.row("the disk is full while the configuration is written: completed later", no_room, world)


def version(world):
    """The installed version."""
    return world.box.run("dpkg-query", "--showformat=${Version}", "--show", PACKAGE).out


def previous(world):
    """Installs the previous version by its number."""
    world.install(world.artefacts.previous)
    world.configure()
    world.start()
    world.wait_up()
    return version(world)


def upgrade(world):
    """Downloads the newer package, cuts the uplink, installs, and restores the uplink."""
    box = world.box
    box.write("/etc/apt/apt.conf.d/keep", 'Binary::apt::APT::Keep-Downloaded-Packages "true";\n')
    box.run("apt-get", "install", "-y", "-q", "--download-only", PACKAGE)
    settings, pid, old = box.run("cat", CONFIGURATION).out, world.pid(), version(world)
    world.cut()
    before = single(world.outages(), "outage")
    expect(before["open"], f"it is not open: {before}")
    box.run("apt-get", "install", "-y", "-q", "--no-download", PACKAGE)
    expect(version(world) != old, f"the version is still {old}")
    box.wait("another process", lambda: world.pid() not in (0, pid))
    world.wait_condition("down")
    during = single(world.outages(), "outage")
    expect(during["id"] == before["id"] and during["open"], f"it became {during}")
    box.wait("the new version to see it fail", lambda: seen(single(world.outages(), "outage"), 2))
    world.restore()
    after = single(world.outages(), "outage")
    expect(after["id"] == before["id"] and not after["open"] and after["cause"] == "isp", f"it ended as {after}")
    gap = single(world.gaps("stopped"), "gap `stopped`")
    expect(box.run("cat", CONFIGURATION).out == settings, "the configuration was changed")
    world.wait_heartbeats()
    return (
        f"{old} to {version(world)}: the same outage of {after['duration_s']:.1f} s, "
        f"{after['downtime_s']:.1f} s of it observed, a gap `stopped` of {gap['duration_s']:.1f} s"
    )


def seen(outage, part):
    """Whether the outage has so many segments, the last of which was observed for a while."""
    segments = outage["segments"]
    return len(segments) == part and segments[-1]["from"] < segments[-1]["to"]


def downgrade(world):
    """Adds a record such as a newer version might write, and downgrades."""
    box = world.box
    box.run("systemctl", "stop", PACKAGE)
    journal = box.path(JOURNAL)
    last = journal.read_bytes().splitlines()[-1]
    record = json.loads(last)
    record = {key: record[key] for key in ("boot", "boot_ms", "wall")} | {
        "seq": record["seq"] + 1, "prev": hashlib.sha256(last).hexdigest(), "kind": KIND,
    }
    with open(journal, "ab") as file:
        file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    world.install(world.artefacts.previous)
    box.run("systemctl", "start", PACKAGE)
    world.wait_up()
    listed = world.agent("outages")
    contains(listed.out + listed.err, KIND)
    doctor = world.agent("doctor", check=False).out
    contains(doctor, KIND)
    verified = world.agent("journal", "verify", check=False)
    contains(verified.out + verified.err, KIND)
    expect(single(world.outages(), "outage")["cause"] == "isp", "the outage is gone")
    return next(line for line in (listed.out + "\n" + listed.err).splitlines() if KIND in line)


def remove(world):
    """Removes the package; the user's files stay."""
    box = world.box
    box.run("apt-get", "remove", "-y", "-q", PACKAGE)
    world.expect_removed(JOURNAL, CONFIGURATION, KEY_FILE)
    return "stopped; the journal, the configuration and the key are there"


def again(world):
    """Installs the newest version again: its removal stopped the service and left it enabled."""
    world.install()
    world.wait_up()
    expect(single(world.outages(), "outage")["cause"] == "isp", "the outage is gone")
    world.wait_heartbeats()
    return f"{version(world)}, with the outage of before"


def disabled(world):
    """Disables the service, removes the package and installs it again."""
    world.box.run("systemctl", "disable", "--now", PACKAGE)
    world.box.run("apt-get", "remove", "-y", "-q", PACKAGE)
    world.install()
    active = world.box.run("systemctl", "is-active", UNIT, check=False).out
    expect(active == "inactive", f"it is {active}")
    return "not running"


def purge(world):
    """Purges the package."""
    box = world.box
    box.run("apt-get", "purge", "-y", "-q", PACKAGE)
    left = box.shell(f"ls -d {STATE_DIR} /etc/ispmon /run/ispmon /etc/systemd/system/*/{UNIT} 2>/dev/null || true").out
    expect(not left, f"these are left: {left}")
    expect(not box.run("pgrep", "-x", "ispmon-agent", check=False).out, "a process is left")
    failed = box.run("systemctl", "--failed", "--no-legend", "--plain").out
    expect(not failed, f"systemd shows failed units: {failed}")
    return "no journal, no configuration, no process, no failed unit"


def untouched(world):
    """Upgrades right after the installation."""
    sample = {}
    for version in (world.artefacts.previous, world.artefacts.version):
        world.install(version)
        sample[version] = world.box.run("cat", CONFIGURATION).out
        shipped = world.box.run("cat", "/usr/share/ispmon-agent/agent.toml").out
        expect(sample[version] == shipped, f"the configuration of {version} is not its sample")
    expect(len(set(sample.values())) == 2, "both versions have the same sample, so that nothing was tried")
    return f"{len(sample)} versions, each with its sample"


def no_room(world):
    """Upgrades with an unchanged configuration and a full disk, then makes room and lets dpkg complete it."""
    box = world.box
    world.install(world.artefacts.previous)
    box.shell(
        "mkdir /root/kept && cp -a /etc/ispmon/. /root/kept && mount -t tmpfs -o size=128k tmpfs /etc/ispmon"
        " && cp -a /root/kept/. /etc/ispmon && { cat /dev/zero >/etc/ispmon/filler || true; }"
    )
    failed = box.run("apt-get", "install", "-y", "-q", PACKAGE, check=False)
    expect(failed.code != 0, "there was room")
    box.run("rm", "/etc/ispmon/filler")
    box.run("dpkg", "--configure", "-a")
    mode = box.run("stat", "--format=%a %U", CONFIGURATION).out
    expect(mode == "644 root", f"the configuration has mode and owner {mode}")
    shipped = box.run("cat", "/usr/share/ispmon-agent/agent.toml").out
    expect(box.run("cat", CONFIGURATION).out == shipped, "the configuration is not the sample")
    files = sorted(box.run("ls", "/etc/ispmon").out.split())
    expect(files == ["agent.toml", "heartbeat.key"], f"/etc/ispmon has {files}")
    return "the whole sample, and nothing else"
