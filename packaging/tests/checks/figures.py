"""The service's permissions, and the resources that it uses."""

import re

from report import expect
from world import UNIT

# The highest exposure level of the unit in `systemd-analyze security`.
EXPOSURE = 1.5


def story(world):
    """All rows."""
    if not world.row("installed and started", world.install_and_start):
        return
    world.row("systemd-analyze verify", verify, world)
    world.row("systemd-analyze security at most 1.5", security, world)
    world.row("memory", memory, world)
    world.row("sizes", sizes, world)


def verify(world):
    """systemd accepts every directive of the unit."""
    found = world.box.run("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    mine = [line for line in (found.out + "\n" + found.err).splitlines() if "ispmon" in line]
    expect(not mine, " / ".join(mine))
    return "clean"


def security(world):
    """The unit as shipped, without the box's drop-in."""
    addition = world.box.path(f"/etc/systemd/system/{UNIT}.d/container.conf")
    text = addition.read_bytes() if addition.exists() else None
    if text is not None:
        addition.unlink()
        world.box.run("systemctl", "daemon-reload")
    output = world.box.run("systemd-analyze", "security", "--no-pager", UNIT).out
    if text is not None:
        addition.write_bytes(text)
        world.box.run("systemctl", "daemon-reload")
    score = float(re.search(r"exposure level for \S+: ([0-9.]+)", output)[1])
    expect(score <= EXPOSURE, f"the exposure is {score}")
    return f"{score}"


def memory(world):
    """According to the kernel and, if systemd controls the memory controller, to systemd."""
    world.wait_heartbeats(3)
    rollup = dict(re.findall(r"(\w+): +(\d+) kB", world.process("smaps_rollup")))
    current = world.show("MemoryCurrent")
    current = f"{int(current) / 1e6:.1f} MB" if current.isdigit() else "not accounted here"
    return f"Rss {int(rollup['Rss']) / 1000:.1f} MB, Pss {int(rollup['Pss']) / 1000:.1f} MB, MemoryCurrent {current}"


def sizes(world):
    """The sizes of the program and the packages."""
    program = world.box.path("/usr/bin/ispmon-agent").stat().st_size
    packages = [f"{path.name} {path.stat().st_size / 1e6:.2f} MB" for path in sorted(world.network.pages.rglob("*.deb"))]
    return f"program {program / 1e6:.2f} MB; {', '.join(packages)}"
