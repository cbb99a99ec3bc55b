"""The agent's reaction when the clock is set.

All containers on a machine share its wall clock, so it is not set here: the service runs under
agent/tests/matrix/shifted_clock.c, which changes the times that the program reads from its clocks.
"""

import pathlib
import shutil
import struct
import subprocess

from report import Skip, expect
from world import PACKAGE, UNIT, single

SOURCE = pathlib.Path(__file__).parents[3] / "agent/tests/matrix/shifted_clock.c"
SHIFTS = "/usr/share/shifts"
HOUR = 3600


def install(world):
    """Runs the service's program under the tracer; the sandbox then allows ptrace and a child process that notifies
    systemd."""
    if not shutil.which("cc"):
        raise Skip("no C compiler for the program that shifts clocks")
    binary = world.folder / "shifted_clock"
    subprocess.run(["cc", "-O2", "-static", "-o", binary, SOURCE], check=True, capture_output=True)
    world.box.write("/usr/bin/shifted_clock", binary.read_bytes(), 0o755)
    world.box.write(
        f"/etc/systemd/system/{UNIT}.d/clock.conf",
        f"[Service]\nNotifyAccess=all\nWatchdogSec=0\nSystemCallFilter=\nExecStart=\n"
        f"ExecStart=/usr/bin/shifted_clock {SHIFTS} /usr/bin/ispmon-agent run\n",
    )
    shift(world, 0, 0)
    world.box.run("systemctl", "daemon-reload")


def shift(world, boot, wall):
    """Shifts the agent's boot-time clock and wall clock by so many seconds; writes in place, because the file is mapped."""
    path = world.box.path(SHIFTS)
    path.touch(mode=0o644)
    with open(path, "r+b") as file:
        file.write(struct.pack("=qq", boot * 10**9, wall * 10**9))


def story(world):
    """All rows."""
    if not world.row("installed", world.install):
        return
    if not world.row("started with a clock of its own", start, world):
        return
    world.row("the clock is set an hour forward", forward, world)
    world.row("the clock is set back", back, world)
    world.row("an outage during which the clock is set", outage, world)


def start(world):
    """Starts the service under the tracer."""
    install(world)
    world.configure()
    world.start()
    world.wait_up()
    return "the sandbox without its filter of system calls, for the tracer"


def forward(world):
    """Sets the clock wrong: the step is recorded, and the cloud's clock corrects it."""
    shift(world, 0, HOUR)
    steps = ("ISPMON_EVENT=clock_stepped", "ISPMON_SOURCE=system")
    world.box.wait("the step in the log", lambda: world.entries(*steps))
    entry = single(world.entries(*steps), "step")
    expect(abs(int(entry["ISPMON_BY_MS"]) - HOUR * 1000) < 60_000, f"it was recorded as {entry['MESSAGE']}")
    world.box.wait("the correction", lambda: abs(correction(world) + HOUR * 1000) < 60_000)
    nothing_invented(world)
    return f"{entry['MESSAGE']} The answers of the cloud correct it by {correction(world) / 1000:.0f} s."


def back(world):
    """Sets the clock right again: no correction remains."""
    shift(world, 0, 0)
    world.box.wait("the end of the correction", lambda: abs(correction(world)) < 60_000)
    world.wait_heartbeats(2)
    nothing_invented(world)
    return f"corrected by {correction(world) / 1000:.0f} s from now on"


def correction(world):
    """The agent's correction of the wall clock, in milliseconds."""
    return world.status()["clock"]["correction_ms"]


def nothing_invented(world):
    """Setting the clock causes neither an outage nor a gap."""
    history = world.history()
    expect(not history["incidents"] and not history["gaps"], f"something was invented: {history['incidents']} {history['gaps']}")
    expect(world.is_active(), "the service does not run")


def outage(world):
    """Sets the clock during an outage, whose length still follows the boot-time clock."""
    cut = world.cut()
    shift(world, 0, HOUR)
    restored = world.restore()
    shift(world, 0, 0)
    found = single(world.outages(), "outage")
    took = restored - cut
    expect(found["duration_s"] <= took + 60, f"it lasted {took:.0f} s and is recorded with {found['duration_s']} s")
    expect(not world.gaps("suspended"), f"a sleep was invented: {world.history()['gaps']}")
    return f"{found['duration_s']:.1f} s, as it was"
