"""Ways in which the service ends, and its recovery."""

import time

from report import expect
from world import PACKAGE, moment, single


def story(world):
    """All rows."""
    if not world.row("installed and started", world.install_and_start):
        return
    world.row("reboot", reboot, world)
    world.row("power cut", power_cut, world)
    world.row("kill -9", kill, world)
    world.row("SIGSTOP: the watchdog restarts it", watchdog, world)
    world.row("journald restarted", journald, world)


def gap_of(world, cause, before, began):
    """The one new gap with a cause, which must lie within the action; returns how it was recorded."""
    gap = single([gap for gap in world.gaps(cause) if gap["id"] not in before], f"new gap `{cause}`")
    # The time of a sudden end is only known to the accuracy of the last timestamp that the agent wrote.
    start, end = moment(gap["started"]), moment(gap["ended"])
    allowed = 5 + gap.get("uncertain_s", 0)
    expect(began - allowed <= start <= end <= time.time() + 1, f"it has the wrong times, {began:.0f} was the start: {gap}")
    return f"gap `{cause}` of {gap['duration_s']:.1f} s"


def known(world):
    """The ids of the gaps so far."""
    return {gap["id"] for gap in world.history()["gaps"]}


def reboot(world):
    """Shuts the system down and boots it again."""
    before, began = known(world), time.time()
    world.box.reboot()
    world.wait_up()
    world.wait_heartbeats()
    log = world.network.log("lab")
    expect("stopping" in log and "may be silent for 30 min" in log, "the stop was not announced to the cloud")
    return f"announced, back by itself, {gap_of(world, 'stopped', before, began)}"


def power_cut(world):
    """Kills the whole system at once."""
    before, began = known(world), time.time()
    world.box.kill()
    world.box.boot()
    world.wait_up()
    return f"back by itself, {gap_of(world, 'power_lost', before, began)}"


def kill(world):
    """Kills the process."""
    before, began, pid = known(world), time.time(), world.pid()
    world.box.run("kill", "-9", str(pid))
    world.box.wait("another process", lambda: world.pid() not in (0, pid))
    world.wait_up()
    expect(world.show("NRestarts") == "1", f"systemd counts {world.show('NRestarts')} restarts")
    return f"restarted, {gap_of(world, 'crashed', before, began)}"


def watchdog(world):
    """Stops the process with SIGSTOP, so that it no longer notifies the watchdog."""
    limit = int(world.show("WatchdogTimestampMonotonic") or 0) and world.show("WatchdogUSec")
    expect(limit and limit != "infinity", "the unit has no watchdog")
    before, began, pid = known(world), time.time(), world.pid()
    world.box.run("kill", "-STOP", str(pid))
    world.box.wait("the watchdog to restart it", lambda: world.pid() not in (0, pid), 240)
    took = time.time() - began
    world.wait_up()
    reason = world.box.run("journalctl", "--no-pager", "-q", "-u", PACKAGE, "-g", "atchdog").out
    expect(reason, "nothing in the log names the watchdog")
    return f"after {took:.0f} s (WatchdogSec={limit}), {gap_of(world, 'crashed', before, began)}"


def journald(world):
    """Restarts journald and checks that later events arrive."""
    before = len(world.entries("ISPMON_EVENT=reloaded_unchanged"))
    pid = world.pid()
    world.box.run("systemctl", "restart", "systemd-journald")
    world.box.run("systemctl", "reload", PACKAGE)
    world.wait_event("reloaded_unchanged", before)
    world.wait_heartbeats()
    expect(world.pid() == pid, "the agent was restarted by it")
    return "the same process goes on, and its events arrive"
