"""From the repository to the first outage, as a new user experiences the package."""

import re

from report import expect
from world import CONFIGURATION, DEVICE, PACKAGE, STATE_DIR, contains, moment, single

# The time limit for a started service to become active, in seconds.
ACTIVE = 2.0
# The id of the event "incident closed" (agent/src/event/kind.rs).
INCIDENT_CLOSED = "6fbd3772193f45db89470a82b521d7d7"


def story(world):
    """All rows."""
    if not world.row("apt-get install, over HTTP, without Rust", install, world):
        return
    world.row("what the package leaves", installed, world)
    world.row("systemctl enable --now: active within 2 s", enable, world)
    world.row("runs without privileges", unprivileged, world)
    world.row("heartbeats reach the cloud", heartbeats, world)
    world.row("the uplink is cut and restored", outage, world)
    world.row("journalctl -u, -t and by MESSAGE_ID", in_the_log, world)
    world.row("journalctl -x explains it", explained, world)
    for user in ("root", "visitor"):
        world.row(f"outages, report, status and doctor as {user}", reading, world, user)
    world.row("the outage is handed over", handed_over, world)


def install(world):
    """Installs the package as in README.md."""
    tools = world.box.shell("command -v cargo rustc gcc || true").out
    expect(not tools, f"this is no system of a stranger: {tools}")
    world.install()
    version = world.agent("--version").out
    return f"{version} on {world.box.shell('. /etc/os-release; echo $PRETTY_NAME').out}"


def installed(world):
    """Checks the files, the user and the state of the unit."""
    box = world.box
    world.expect_waiting()
    account = box.run("getent", "passwd", "ispmon").out
    expect(account.endswith("nologin"), f"the user can log in: {account}")
    changed = box.run("dpkg", "--verify", PACKAGE, check=False).out
    expect(not changed, f"files differ from those of the package: {changed}")
    conffiles = box.run("dpkg-query", "--showformat=${Conffiles}", "--show", PACKAGE).out
    expect(not conffiles.strip(), f"dpkg would ask about {conffiles}")
    expect(box.run("cat", CONFIGURATION).out == box.run("ispmon-agent", "config", "--sample").out, "the configuration is not the sample")
    files = box.run("dpkg", "--listfiles", PACKAGE).out
    contains(files, "/usr/share/man/man1/ispmon-agent.1", "/usr/share/man/man5/", "/usr/share/doc/ispmon-agent/copyright")
    contains(files, "bash-completion/completions", "zsh/vendor-completions", "fish/vendor_completions.d")
    return f"{len(files.splitlines())} paths; the unit waits for its user"


def enable(world):
    """Measures three starts with systemd's timestamps and takes the shortest, because machines under load are slow."""
    world.configure()
    stamps = ("InactiveExitTimestampMonotonic", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    active, ready = [], []
    for _ in range(3):
        world.box.run("systemctl", "disable", "--now", PACKAGE)
        world.start()
        world.box.wait("the service to run", world.is_active)
        begun, executed, entered = (int(value) / 1e6 for value in world.show(*stamps).values())
        active.append(entered - begun)
        ready.append(entered - executed)
    world.wait_up()
    expect(min(active) <= ACTIVE, f"the fastest of three starts took {min(active):.1f} s")
    return f"after {min(active) * 1000:.0f} ms; {min(ready) * 1000:.0f} ms of them from the program's start to READY"


def unprivileged(world):
    """Reads the process's privileges from the kernel."""
    status = dict(re.findall(r"(\w+):\t(.*)", world.process("status")))
    uids = set(status["Uid"].split())
    expect("0" not in uids and len(uids) == 1, f"its user ids are {status['Uid']}")
    held = {name: status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")}
    expect(all(int(value, 16) == 0 for value in held.values()), f"it holds capabilities: {held}")
    expect(status["NoNewPrivs"] == "1", "it could gain privileges")
    expect(status["Seccomp"] == "2", "no filter of system calls is in force")
    name = world.box.run("id", "--name", "--user", uids.pop()).out
    expect(name == "ispmon", f"it runs as {name}")
    return "as ispmon, with no capability, filtered system calls, and no way to gain more"


def heartbeats(world):
    """Waits for two heartbeats in the cloud."""
    world.wait_heartbeats(2)
    return f"{world.heartbeats()} so far"


def outage(world):
    """Compares the recorded outage with the cut."""
    cut = world.cut()
    restored = world.restore()
    found = single(world.outages(), "outage")
    expect(found["cause"] == "isp" and not found["open"], f"recorded as {found}")
    early, late = moment(found["started"]) - cut, moment(found["ended"]) - restored
    # It begins with the first failed probe, at the latest the one after the cut.
    expect(-1 <= early <= 30, f"it starts {early:.1f} s after the cut")
    expect(-1 <= late <= 60, f"it ends {late:.1f} s after the mending")
    return f"isp, {found['duration_s']:.1f} s; starts {early:.1f} s after the cut, ends {late:.1f} s after the mending"


def in_the_log(world):
    """Finds the same entry in three ways."""
    found = single(world.outages(), "outage")
    for way, entries in {
        "-u": world.entries("ISPMON_EVENT=incident_closed"),
        "-t": world.entries("-t", PACKAGE, "ISPMON_EVENT=incident_closed", unit=None),
        "MESSAGE_ID": world.entries(f"MESSAGE_ID={INCIDENT_CLOSED}", unit=None),
    }.items():
        entry = single(entries, f"entry by {way}")
        expect(entry["ISPMON_ID"] == found["id"], f"{way} finds another incident: {entry}")
    return entry["MESSAGE"]


def explained(world):
    """Compares the explanation that `-x` adds with the catalog."""
    text = world.box.run("journalctl", "--no-pager", "-x", f"MESSAGE_ID={INCIDENT_CLOSED}").out
    explanation = [line for line in text.splitlines() if line.startswith("░░")]
    expect(explanation, f"no explanation in: {text}")
    contains(text, "Subject:", "Defined-By: ispmon-agent", "Documentation: man:ispmon-agent(1)")
    return next(line for line in explanation if "Subject" in line).lstrip("░ ")


def reading(world, user):
    """Runs the four commands, which need neither root nor a group."""
    found = single(world.outages(), "outage")
    # A heartbeat that began during the outage may have failed after it.
    world.wait_delivered()
    outages = world.agent("outages", user=user).out
    contains(outages, found["id"][:13], "provider")
    contains(world.agent("report", user=user).out, f"Internet connection of {DEVICE}", "Internet provider")
    contains(world.agent("status", user=user).out, DEVICE, "works", STATE_DIR)
    doctor = world.agent("doctor", user=user, check=False)
    failed = [line for line in doctor.out.splitlines() if line.startswith("FAIL")]
    expect(doctor.code == 0 and not failed, f"doctor ended with {doctor.code}: {failed or doctor.err}")
    verdict = world.agent("journal", "verify", user=user)
    return f"{doctor.out.splitlines()[-1]} {verdict.out.splitlines()[-1]}"


def handed_over(world):
    """Waits for the outage in the cloud's log."""
    found = single(world.outages(), "outage")
    wanted = f"Handed over by {DEVICE}: incident {found['id']}, isp"
    world.box.wait("the hand-over", lambda: wanted in world.network.log("lab"))
    return wanted
