"""A journal that cannot be written."""

import pathlib
import subprocess

from report import Skip, expect
from world import PACKAGE, STATE_DIR, UNIT, moment


def story(world):
    """All rows."""
    if not world.row("installed", world.install):
        return
    if not world.row("started with a small disk for its journal", start, world):
        return
    world.row("the disk is full during an outage", full, world)
    world.row("the disk has room again", room, world)
    world.row("the disk fails and turns read-only while it runs", read_only, world)
    world.row("the service starts on the read-only disk", read_only_start, world)
    world.row("writable again after a reboot", writable, world)


def image(world):
    """The file that contains the disk."""
    return world.folder / "disk"


def mount(world):
    """Mounts the disk in the tree of the box, which must not run."""
    done = subprocess.run(
        ["mount", "-o", "loop,errors=remount-ro", image(world), world.box.path(STATE_DIR)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Skip(f"no disk can be made of a file here: {done.stderr.strip()}")


def start(world):
    """Gives the journal a disk of its own, of 4 MiB, before the first start."""
    world.configure()
    world.box.poweroff()
    world.box.path(STATE_DIR).mkdir(exist_ok=True)
    subprocess.run(["truncate", "--size=4M", image(world)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image(world)], check=True)
    mount(world)
    world.box.boot()
    world.start()
    world.wait_up()
    return world.box.run("df", "--output=fstype,size", "-k", STATE_DIR).out.splitlines()[-1]


def waiting(world):
    """The number of records that wait to be written."""
    return world.status().get("journal", {}).get("waiting", 0)


def outage_while_unwritable(world, advice):
    """Cuts and restores the uplink while nothing can be written; returns the agent's findings, which must contain the
    advice."""
    world.cut()
    world.restore()
    world.box.wait("records that wait", lambda: waiting(world) > 0)
    world.wait_heartbeats()
    world.wait_event("journal_problem")
    doctor = world.agent("doctor", check=False)
    failed = [line for line in doctor.out.splitlines() if line.startswith("FAIL")]
    expect(doctor.code == 1 and failed, f"doctor finds nothing: {doctor.out}")
    expect(advice in doctor.out, f"doctor does not advise {advice!r}: {doctor.out}")
    contains_outage = world.agent("outages").out
    return f"heartbeats go on, {waiting(world)} records wait; {failed[0]}; {contains_outage.splitlines()[0]}"


def wait_until_written(world, count):
    """Waits until all records are written; the journal then contains so many outages."""
    world.box.wait("the records to be written", lambda: world.status() and waiting(world) == 0)
    world.wait_event("journal_durable")
    expect(len(world.outages()) == count, f"the journal has {len(world.outages())} outages instead of {count}")
    verdict = world.agent("journal", "verify")
    return verdict.out.splitlines()[-1]


def full(world):
    """Fills the disk to the last byte."""
    # Space that the file system reserves for its own metadata becomes free after a write.
    world.box.shell(f"for round in 1 2 3; do dd if=/dev/zero bs=1k >>{STATE_DIR}/filler || true; sync; done 2>/dev/null")
    return outage_while_unwritable(world, f"Make room on the disk of {STATE_DIR}.")


def room(world):
    """Frees space on the disk."""
    world.box.run("rm", f"{STATE_DIR}/filler")
    return wait_until_written(world, 1)


def read_only(world):
    """Makes the kernel detect an error, after which the file system is read-only."""
    device = pathlib.Path(world.box.run("findmnt", "--noheadings", "--output=SOURCE", STATE_DIR).out).name
    pathlib.Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1", encoding="ascii")
    world.box.wait("the disk to be read-only", lambda: world.box.run("touch", f"{STATE_DIR}/probe", check=False).code != 0)
    return outage_while_unwritable(world, "the disk has failed and was made read-only")


def read_only_start(world):
    """Restarts the service on the read-only disk."""
    world.box.run("systemctl", "restart", PACKAGE)
    world.wait_up()
    world.wait_heartbeats()
    show = world.show("ActiveState", "NRestarts")
    expect(show == {"ActiveState": "active", "NRestarts": "0"}, f"{UNIT} is {show}")
    return "active, heartbeats go on"


def writable(world):
    """Repairs the disk, as on boot."""
    world.box.poweroff()
    subprocess.run(["umount", world.box.path(STATE_DIR)], check=True)
    subprocess.run(["e2fsck", "-p", image(world)], capture_output=True, check=False)
    mount(world)
    world.box.boot()
    world.wait_up()
    cut = world.cut()
    world.restore()
    # Records that were still waiting when the service restarted are lost, or were written at the last
    # moment.
    *before, last = world.outages()
    expect(moment(last["started"]) > cut - 1 and not last["open"], f"the new outage is not in the journal: {last}")
    expect(before and not any(outage["open"] for outage in before), f"of those before, the journal has {before}")
    return world.agent("journal", "verify").out.splitlines()[-1]
