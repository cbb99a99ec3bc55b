"""Valid and invalid configurations, at the start and on a reload."""

from report import expect
from world import CONFIGURATION, PACKAGE, contains, single


def story(world):
    """All rows."""
    if not world.row("installed and started", world.install_and_start):
        return
    world.row("reload with a good configuration", reload_good, world)
    world.row("reload with a bad configuration", reload_bad, world)
    world.row("start with a bad configuration: one line, no restart loop", start_bad, world)
    world.row("the configuration is corrected", corrected, world)
    world.row("without a URL, local mode", local_mode, world)


def reload_good(world):
    """Changes a setting and reloads."""
    pid = world.pid()
    world.configure('timeout = "20s"\n')
    world.box.run("systemctl", "reload", PACKAGE)
    world.wait_event("reloaded")
    expect(world.pid() == pid and world.is_active(), "the service did not go on")
    world.wait_heartbeats()
    return "in use at once, the same process"


def reload_bad(world):
    """Reloads an invalid configuration; the old one stays in force."""
    pid = world.pid()
    world.box.write(CONFIGURATION, 'device = "box"\n[heartbeat]\ninterval = "soon"\n')
    world.box.run("systemctl", "reload", PACKAGE, check=False)
    line = single(world.wait_event("reload_refused"), "refusal")
    world.wait_event("reload_kept_old")
    contains(line["MESSAGE"], "heartbeat.interval", "soon", CONFIGURATION)
    world.box.wait("the service to be active again", world.is_active)
    expect(world.pid() == pid, "the service was restarted")
    world.wait_heartbeats(2)
    return line["MESSAGE"]


def start_bad(world):
    """Starts with an invalid configuration: systemd gives up at once, and the log has the reason in one line."""
    before = len(world.entries("-t", PACKAGE))
    stopped = world.box.run("systemctl", "stop", PACKAGE)
    expect(stopped.code == 0, stopped.err)
    silent = len(world.entries("-t", PACKAGE))
    expect(silent > before, "the stop left no line")
    started = world.box.run("systemctl", "start", PACKAGE, check=False)
    expect(started.code != 0, "it starts with a bad configuration")
    # The state is final: with a pending restart it would be `activating (auto-restart)`.
    show = world.show("ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts")
    wanted = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "78", "NRestarts": "0"}
    expect(show == wanted, f"the unit is {show} instead of {wanted}")
    lines = world.entries("-t", PACKAGE)[silent:]
    line = single(lines, "line of the agent")["MESSAGE"]
    contains(line, "heartbeat.interval", "soon", CONFIGURATION)
    return line


def corrected(world):
    """Starts again with a valid configuration."""
    world.configure()
    world.box.run("systemctl", "start", PACKAGE)
    world.wait_up()
    return "starts without further ado"


def local_mode(world):
    """Starts with the configuration as installed, which sets nothing."""
    world.box.write(CONFIGURATION, "")
    world.box.run("systemctl", "restart", PACKAGE)
    world.wait_up()
    world.wait_event("started_locally")
    return "monitors, and logs once that there is no heartbeat URL"
