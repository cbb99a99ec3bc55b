"""A suspend requested from logind: announced before, recorded after.

A container cannot suspend its machine: logind finds no writable /sys/power/state. So the kernel's part is simulated:
logind, its delay locks and its signals are real, but /sys/power is a folder of plain files, the unit that would write there
waits instead, and meanwhile the agent's boot-time and wall clocks advance as during a sleep (see `clocks`).
"""

from checks import clocks
from report import expect
from world import DEVICE, single

# The simulated duration of the sleep, in seconds.
NIGHT = 8 * 3600


def story(world):
    """All rows."""
    if not world.row("installed", world.install):
        return
    if not world.row("started with clocks of its own", clocks.start, world):
        return
    world.row("the agent delays a sleep", inhibits, world)
    world.row("suspend: announced before, recorded after (the kernel's part is simulated)", suspend, world)


def inhibits(world):
    """Checks that logind holds the agent's delay lock."""
    output = world.box.wait(
        "the delay lock",
        lambda: [line for line in world.box.run("systemd-inhibit", "--list", "--no-legend").out.splitlines() if "ispmon" in line],
    )
    return " ".join(output[0].split())


def call_logind(world, method, *arguments):
    """Calls a method of logind's manager."""
    place = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    return world.box.run("busctl", "call", *place, method, *arguments, check=False)


def play_the_kernel(world):
    """Gives logind a writable /sys/power, and a sleep that lasts until /run/awake exists."""
    world.box.write(
        "/etc/systemd/system/systemd-suspend.service.d/played.conf",
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'touch /run/asleep; until [ -e /run/awake ]; do sleep 0.1; done'\n",
    )
    world.box.shell(
        "mkdir /run/power; echo freeze mem >/run/power/state; echo 's2idle [deep]' >/run/power/mem_sleep; "
        "mount --bind /run/power /sys/power; systemctl daemon-reload"
    )


def suspend(world):
    """Requests a suspend from logind."""
    box = world.box
    refused = call_logind(world, "CanSuspend")
    play_the_kernel(world)
    can = call_logind(world, "CanSuspend")
    expect("yes" in can.out, f"logind reports that it cannot suspend: {can.out or can.err}")
    requested = call_logind(world, "Suspend", "b", "false")
    expect(requested.code == 0, f"logind refuses to suspend: {requested.err}")
    box.wait("the sleep", lambda: box.run("test", "-e", "/run/asleep", check=False).code == 0)
    # The machine is asleep from here on: an announcement must have been sent by now.
    announced = [line for line in world.network.log("lab").splitlines() if f"Heartbeat from {DEVICE}, sleeping" in line]
    expect(announced, "the machine sleeps, and the cloud does not know")
    clocks.shift(world, NIGHT, NIGHT)
    box.run("touch", "/run/awake")
    box.wait("the recorded sleep", lambda: world.gaps("suspended"))
    gap = single(world.gaps("suspended"), "gap `suspended`")
    expect(abs(gap["duration_s"] - NIGHT) < 120, f"a sleep of {NIGHT} s is recorded as {gap}")
    world.wait_up()
    expect(not world.outages(), f"an outage was invented: {world.outages()}")
    return (
        f"{announced[0].split('  ', 1)[1]} Then a gap of {gap['duration_s'] / 3600:.1f} h. "
        f"Without the kernel's part, logind in a container answers: {refused.out or refused.err}"
    )
