"""One box with its network and its cloud, and what checks ask of the agent in it."""

from __future__ import annotations

import datetime
import json
import time

import network
from report import Failure, expect

# The device's name, which the cloud expects.
DEVICE = "box"
# Where packages come from in the box; the repository is in the folder `apt` of http://packages.test.
PACKAGE = "ispmon-agent"
UNIT = "ispmon-agent.service"
CONFIGURATION = "/etc/ispmon/agent.toml"
KEY_FILE = "/etc/ispmon/heartbeat.key"
RECORD = "/var/lib/ispmon"
JOURNAL = f"{RECORD}/journal.ndjson"
# Heartbeats of the checks come often, so that nobody waits a minute for one.
INTERVAL = "5s"


class World:
    """A box that has everything but the agent."""

    def __init__(self, run, release, artefacts, report, name):
        self.release, self.artefacts, self.report = release, artefacts, report
        self.prefix = f"{release}: "
        self.folder = run.folder / name
        self.network = network.Network(self.folder, name)
        self.network.start_lab(artefacts.lab, DEVICE)
        artefacts.publish(self.network.pages)
        self.box = run.box(release, network=self.network)
        self.network.join(self.box)
        self.box.write("/etc/apt/sources.list", "")
        self.box.boot()
        self.box.run("useradd", "--create-home", "visitor")

    def close(self):
        """Ends the box and its network."""
        self.box.close()
        self.network.close()

    def row(self, name, check, *arguments):
        """Makes one check and prints its row."""
        return self.report.row(self.prefix + name, check, *arguments)

    # The package.

    def add_repository(self):
        """Lets apt in the box know the repository, as README.md says."""
        self.artefacts.add_repository(self.box)

    def install(self, version=None):
        """Installs the package by apt, over HTTP."""
        self.add_repository()
        self.box.run("apt-get", "update", "-q")
        wanted = f"{PACKAGE}={version}" if version else PACKAGE
        self.box.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "--allow-downgrades", wanted, seconds=300)

    def expect_waiting(self):
        """Fails unless a package that was just installed waits for its user: nothing is enabled, and the key is empty."""
        key = self.box.run("stat", "--format=%a %U %s", KEY_FILE).out
        expect(key == "600 root 0", f"{KEY_FILE} has mode, owner and size `{key}` instead of `600 root 0`")
        enabled = self.box.run("systemctl", "is-enabled", UNIT, check=False).out
        expect(enabled == "disabled", f"the unit is {enabled}; the user is to enable it")
        active = self.box.run("systemctl", "is-active", UNIT, check=False).out
        expect(active == "inactive", f"the unit is {active} before anybody started it")

    def expect_removed(self, *kept):
        """Fails unless the package is removed, nothing of it runs or has failed, and these files are left."""
        active = self.box.run("systemctl", "is-active", UNIT, check=False).out
        expect(active in ("inactive", "unknown"), f"it is {active}")
        expect(not self.box.path("/usr/bin/ispmon-agent").exists(), "the program is still there")
        for path in kept:
            expect(self.box.run("test", "-s", path, check=False).code == 0, f"{path} is gone")
        failed = self.box.run("systemctl", "--failed", "--no-legend", "--plain").out
        expect(not failed, f"systemd shows failed units: {failed}")

    def configure(self, extra="", url=network.URL):
        """Writes a configuration with the lab's URL, and its key."""
        text = f'device = "{DEVICE}"\n[heartbeat]\nurl = "{url}"\ninterval = "{INTERVAL}"\n{extra}'
        self.box.write(CONFIGURATION, text)
        self.box.write(KEY_FILE, f"{network.KEY}\n", 0o600)

    def start(self):
        """Enables and starts the service as documented."""
        self.box.run("systemctl", "enable", "--now", PACKAGE)

    def install_and_start(self, extra=""):
        """Has the service run and its connectivity known."""
        self.install()
        self.configure(extra)
        self.start()
        self.wait_up()

    # What systemd knows.

    def show(self, *names):
        """Properties of the unit."""
        text = self.box.run("systemctl", "show", UNIT, f"--property={','.join(names)}").out
        found = dict(line.split("=", 1) for line in text.splitlines())
        return found if len(names) > 1 else found.get(names[0], "")

    def pid(self):
        """The main process in the box's own counting; 0 while there is none."""
        return int(self.show("MainPID"))

    def is_active(self):
        """Whether the service runs and has said so."""
        return self.show("ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}

    def process(self, name):
        """A file of the main process in /proc, as text."""
        return self.box.run("cat", f"/proc/{self.pid()}/{name}").out

    # What the agent says.

    def agent(self, *words, user=None, check=True):
        """Runs a command of the agent in the box."""
        return self.box.run("ispmon-agent", *words, user=user, check=check)

    def status(self):
        """What the running agent says of itself; an empty dictionary while none runs."""
        output = self.agent("status", "--json", check=False)
        try:
            found = json.loads(output.out)
        except ValueError:
            return {}
        return found["status"] if found["presence"] == "running" else {}

    def condition(self):
        """How the internet is, by the running agent's word."""
        return self.status().get("condition")

    def wait_condition(self, condition):
        """Waits until the agent says so."""
        self.box.wait(f"the condition {condition}", lambda: self.condition() == condition)

    def wait_up(self):
        """Waits until the agent runs and knows that the internet works."""
        self.box.wait("the service to run", self.is_active)
        self.wait_condition("up")

    def history(self):
        """Incidents and gaps of the record, the oldest first."""
        return json.loads(self.agent("outages", "--json", "--all").out)

    def gaps(self, cause):
        """The recorded gaps of a cause."""
        return [gap for gap in self.history()["gaps"] if gap["cause"] == cause]

    def outages(self):
        """The recorded incidents in which the internet was down."""
        return [incident for incident in self.history()["incidents"] if incident["scope"] == "internet"]

    # What journald has.

    def entries(self, *matches, unit=UNIT):
        """Entries of the log, as dictionaries; matches as for journalctl, such as `ISPMON_EVENT=gap`."""
        words = [*(["-u", unit] if unit else []), *matches]
        output = self.box.run("journalctl", "--no-pager", "-q", "-o", "json", "--all", *words, check=False).out
        return [json.loads(line) for line in output.splitlines()]

    def wait_event(self, name, more_than=0):
        """Waits until there are more than so many events of a kind in the log; returns them."""
        return self.box.wait(
            f"the event {name}", lambda: (found := self.entries(f"ISPMON_EVENT={name}")) and len(found) > more_than and found
        )

    # What the cloud has.

    def heartbeats(self):
        """How many heartbeats the cloud has taken."""
        return self.network.heartbeats(DEVICE)

    def wait_heartbeats(self, count=1):
        """Waits for so many more heartbeats."""
        before = self.heartbeats()
        self.box.wait(f"{count} more heartbeats", lambda: self.heartbeats() >= before + count)

    def cut(self):
        """Cuts the uplink and waits until the agent has opened an outage; returns the moment of the cut in Unix time."""
        moment = time.time()
        self.network.cut()
        self.wait_condition("down")
        return moment

    def restore(self):
        """Mends the uplink and waits until the agent knows; returns the moment of the mending in Unix time."""
        moment = time.time()
        self.network.restore()
        self.wait_condition("up")
        return moment


def single(things, what):
    """The only one of a list; anything else is a failure that names what was expected."""
    if len(things) != 1:
        raise Failure(f"expected one {what}, found {len(things)}: {things}")
    return things[0]


def moment(text):
    """A time of the agent's JSON as Unix time."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def contains(text, *parts):
    """Fails unless the text has each part."""
    for part in parts:
        expect(part in text, f"`{part}` is missing in: {text}")
