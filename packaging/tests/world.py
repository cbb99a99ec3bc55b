"""One box with its network and its cloud, and the queries of the checks to the agent in it."""

from __future__ import annotations

import datetime
import json
import time

import network
from report import Failure, expect

# The device's name, which the cloud expects.
DEVICE = "box"
# The package in the box's repository, which is the folder `apt` of http://packages.test.
PACKAGE = "ispmon-agent"
UNIT = "ispmon-agent.service"
CONFIGURATION = "/etc/ispmon/agent.toml"
KEY_FILE = "/etc/ispmon/heartbeat.key"
STATE_DIR = "/var/lib/ispmon"
JOURNAL = f"{STATE_DIR}/journal.ndjson"
# A short interval, so that checks do not wait a minute for a heartbeat.
INTERVAL = "5s"


class World:
    """A box with everything but the agent."""

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
        """Runs one check and prints its row."""
        return self.report.row(self.prefix + name, check, *arguments)

    # The package.

    def add_repository(self):
        """Adds the repository to apt in the box, as in README.md."""
        self.artefacts.add_repository(self.box)

    def install(self, version=None):
        """Installs the package with apt, over HTTP."""
        self.add_repository()
        self.box.run("apt-get", "update", "-q")
        wanted = f"{PACKAGE}={version}" if version else PACKAGE
        self.box.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "--allow-downgrades", wanted, seconds=300)

    def expect_waiting(self):
        """Fails unless a newly installed package is disabled, not running, and has an empty key."""
        key = self.box.run("stat", "--format=%a %U %s", KEY_FILE).out
        expect(key == "600 root 0", f"{KEY_FILE} has mode, owner and size `{key}` instead of `600 root 0`")
        enabled = self.box.run("systemctl", "is-enabled", UNIT, check=False).out
        expect(enabled == "disabled", f"the unit is {enabled}; the user is to enable it")
        active = self.box.run("systemctl", "is-active", UNIT, check=False).out
        expect(active == "inactive", f"the unit is {active} before the user started it")

    def expect_removed(self, *kept):
        """Fails unless the package is removed, none of its units runs or has failed, and these files remain."""
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
        """Installs, configures and starts the service, and waits until it reports connectivity."""
        self.install()
        self.configure(extra)
        self.start()
        self.wait_up()

    # The state in systemd.

    def show(self, *names):
        """Properties of the unit."""
        text = self.box.run("systemctl", "show", UNIT, f"--property={','.join(names)}").out
        found = dict(line.split("=", 1) for line in text.splitlines())
        return found if len(names) > 1 else found.get(names[0], "")

    def pid(self):
        """The id of the main process in the box's PID namespace; 0 while there is none."""
        return int(self.show("MainPID"))

    def is_active(self):
        """Whether the service runs and has notified systemd."""
        return self.show("ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}

    def process(self, name):
        """A file of the main process in /proc, as text."""
        return self.box.run("cat", f"/proc/{self.pid()}/{name}").out

    # The agent's commands.

    def agent(self, *words, user=None, check=True):
        """Runs a command of the agent in the box."""
        return self.box.run("ispmon-agent", *words, user=user, check=check)

    def status(self):
        """The status of the running agent; an empty dictionary while none runs."""
        output = self.agent("status", "--json", check=False)
        try:
            found = json.loads(output.out)
        except ValueError:
            return {}
        return found["status"] if found["presence"] == "running" else {}

    def condition(self):
        """The connectivity reported by the running agent."""
        return self.status().get("condition")

    def wait_condition(self, condition):
        """Waits until the agent reports this condition."""
        self.box.wait(f"the condition {condition}", lambda: self.condition() == condition)

    def wait_up(self):
        """Waits until the agent runs and reports that the internet is up."""
        self.box.wait("the service to run", self.is_active)
        self.wait_condition("up")

    def wait_delivered(self):
        """Waits until the agent reports that its last heartbeat was delivered."""
        self.box.wait("a delivered heartbeat", lambda: (self.status().get("heartbeat", {}).get("last") or {}).get("delivered"))

    def history(self):
        """Incidents and gaps in the journal, the oldest first."""
        return json.loads(self.agent("outages", "--json", "--all").out)

    def gaps(self, cause):
        """The recorded gaps with a cause."""
        return [gap for gap in self.history()["gaps"] if gap["cause"] == cause]

    def outages(self):
        """The recorded incidents in which the internet was down."""
        return [incident for incident in self.history()["incidents"] if incident["scope"] == "internet"]

    # The log in journald.

    def entries(self, *matches, unit=UNIT):
        """Entries of the log, as dictionaries; `matches` are those of journalctl, such as `ISPMON_EVENT=gap`."""
        words = [*(["-u", unit] if unit else []), *matches]
        output = self.box.run("journalctl", "--no-pager", "-q", "-o", "json", "--all", *words, check=False).out
        return [json.loads(line) for line in output.splitlines()]

    def wait_event(self, name, more_than=0):
        """Waits until the log contains more than so many events of a kind; returns them."""
        return self.box.wait(
            f"the event {name}", lambda: (found := self.entries(f"ISPMON_EVENT={name}")) and len(found) > more_than and found
        )

    # The state in the cloud.

    def heartbeats(self):
        """The number of heartbeats that the cloud has accepted."""
        return self.network.heartbeats(DEVICE)

    def wait_heartbeats(self, count=1):
        """Waits for so many more heartbeats."""
        before = self.heartbeats()
        self.box.wait(f"{count} more heartbeats", lambda: self.heartbeats() >= before + count)

    def cut(self):
        """Cuts the uplink and waits until the agent has opened an outage; returns the Unix time of the cut."""
        moment = time.time()
        self.network.cut()
        self.wait_condition("down")
        return moment

    def restore(self):
        """Restores the uplink and waits until the agent reports it; returns the Unix time of the restoration."""
        moment = time.time()
        self.network.restore()
        self.wait_condition("up")
        return moment


def single(things, what):
    """The only element of a list; fails with the expectation for any other list."""
    if len(things) != 1:
        raise Failure(f"expected one {what}, found {len(things)}: {things}")
    return things[0]


def moment(text):
    """Converts a time in the agent's JSON to Unix time."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def contains(text, *parts):
    """Fails unless the text contains each part."""
    for part in parts:
        expect(part in text, f"`{part}` is missing in: {text}")
