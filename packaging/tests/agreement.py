#!/usr/bin/env python3
"""Formula, plist and unit describe one service: compares their values with each other.

Ruby evaluates the formula with a stub for the part of Homebrew that it uses; a method of the service block that the stub
does not define is an error. Prints one row per check, and `SKIPPED: why` for what cannot be checked.
"""

import collections
import json
import os
import pathlib
import plistlib
import shlex
import shutil
import subprocess
import sys
import tempfile

import report

PACKAGING = pathlib.Path(__file__).resolve().parents[1]
FORMULA = PACKAGING / "homebrew/Formula/ispmon-agent.rb"
PLIST = PACKAGING / "launchd/net.ispmon.agent.plist"
UNIT = PACKAGING / "systemd/ispmon-agent.service"
# The delay of launchd between two starts if a plist sets none, in seconds (launchd.plist(5),
# ThrottleInterval).
LAUNCHD_DELAY = 10

Service = collections.namedtuple("Service", "command restarts delay process_type starts_by_itself")
Service.__doc__ = """The settings of a service, independent of its manager.

command: the name of the program, without its folder, and its arguments
restarts: whether it is restarted after a crash
delay: the seconds from one end to the next start
process_type: launchd's name of its priority; None elsewhere
starts_by_itself: whether it starts with the machine or the session when it is enabled
"""

STUB = """
require "json"
require "pathname"

FOLDER = Pathname(ARGV[1])
SYSTEM = ARGV[2]

module Folders
  def etc = FOLDER/"etc"
  def var = FOLDER/"var"
  def opt_bin = FOLDER/"opt/ispmon-agent/bin"
end

class Service
  include Folders
  attr_reader :words

  def initialize = @words = {}
  def on_macos = (yield if SYSTEM == "macos")
  def on_linux = (yield if SYSTEM == "linux")

  %i[run keep_alive process_type restart_delay throttle_interval log_path error_log_path].each do |word|
    define_method(word) { |value| @words[word] = value }
  end
end

class Formula
  include Folders

  class << self
    attr_reader :block
    def service(&block) = @block = block
    def livecheck = nil
    def test = nil
    %i[desc homepage url sha256 license head depends_on].each { |word| define_method(word) { |*, **| } }
  end
end

load ARGV[0]
IspmonAgent.new.post_install
service = Service.new
service.instance_eval(&IspmonAgent.block)
puts JSON.generate(service.words)
"""


def command(words):
    """A command line without the folder of its program."""
    return (os.path.basename(words[0]), *words[1:])


def of_formula(folder, system):
    """The service that the formula describes on `linux` or `macos`; `folder` is the prefix, in which the formula creates
    files."""
    (folder / "etc/ispmon").mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["ruby", "-e", STUB, FORMULA, folder, system], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"Ruby does not understand {FORMULA.name}: {done.stderr.strip()}")
    words = json.loads(done.stdout)
    delay = words.get("throttle_interval", LAUNCHD_DELAY) if system == "macos" else words.get("restart_delay", 0)
    # Any other value of keep_alive has another meaning on the other system, or none.
    restarts = words.get("keep_alive") is True
    service = Service(command(words["run"]), restarts, delay, words.get("process_type"), True)
    return service, {name: path for name, path in words.items() if name.endswith("log_path")}


def of_plist(plist):
    """The service that a plist describes."""
    keep = plist.get("KeepAlive", False)
    restarts = keep is True or (isinstance(keep, dict) and (keep.get("SuccessfulExit") is False or keep.get("Crashed") is True))
    delay = plist.get("ThrottleInterval", LAUNCHD_DELAY)
    process_type = plist.get("ProcessType", "Standard").lower()
    return Service(command(plist["ProgramArguments"]), restarts, delay, process_type, plist.get("RunAtLoad", False))


def of_unit(text):
    """The service that a unit describes."""
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] not in "#;")
    words = shlex.split(settings["ExecStart"])
    words[0] = words[0].lstrip("-@:+!")
    delay = settings.get("RestartSec", "0.1").removesuffix("s")
    restarts = settings.get("Restart", "no") in ("always", "on-failure", "on-abnormal")
    return Service(command(words), restarts, float(delay), None, "WantedBy" in settings)


def agree(name, one, other, *fields):
    """Fails if two services differ in a field."""
    for field in fields:
        values = getattr(one, field), getattr(other, field)
        assert values[0] == values[1], f"{name}: {field} is {values[0]!r} in one and {values[1]!r} in the other"


def formula_itself(folder):
    """On both systems the formula runs the service, restarts it, and makes the key file private."""
    linux, logs = of_formula(folder, "linux")
    assert linux == Service(("ispmon-agent", "run"), True, 10, "standard", True), linux
    assert not logs, f"on Linux the log goes to journald, not to {logs}"
    key = folder / "etc/ispmon/heartbeat.key"
    assert key.stat().st_mode & 0o777 == 0o600 and key.read_bytes() == b"", "the key file is private and empty"
    assert (folder / "var/ispmon").is_dir(), "there is a folder for the journal"
    key.write_text("a key\n", encoding="ascii")
    macos, logs = of_formula(folder, "macos")
    assert key.read_text(encoding="ascii") == "a key\n", "an upgrade leaves the key as it is"
    assert set(logs.values()) == {f"{folder}/var/log/ispmon-agent.log"} and len(logs) == 2, logs
    agree("the formula on Linux and on macOS", linux, macos, *Service._fields)


def formula_and_plist(folder):
    """`brew services` and `ispmon-agent install` configure launchd alike."""
    formula, _ = of_formula(folder, "macos")
    plist = of_plist(plistlib.loads(PLIST.read_bytes()))
    agree("formula and plist", formula, plist, *Service._fields)


def formula_and_unit(folder):
    """`brew services` and the packages configure systemd alike."""
    formula, _ = of_formula(folder, "linux")
    agree("formula and unit", formula, of_unit(UNIT.read_text(encoding="utf-8")), "command", "restarts", "starts_by_itself")
    text = UNIT.read_text(encoding="utf-8")
    for setting in ("StateDirectory", "ConfigurationDirectory"):
        assert f"\n{setting}=ispmon\n" in text, f"the unit has no {setting}=ispmon, as the folders in the prefix are named"


def in_a_folder(check, needed):
    """Runs a check in a folder of its own; skips it if the file that it needs does not exist."""
    if not needed.exists():
        raise report.Skip(f"no {needed.relative_to(PACKAGING.parent)}")
    with tempfile.TemporaryDirectory() as folder:
        check(pathlib.Path(folder).resolve())


def main():
    """Prints one row per check; fails if one of them fails."""
    if not shutil.which("ruby"):
        print("SKIPPED: no ruby to evaluate the formula with")
        return 0
    rows = report.Report()
    for check, needed in ((formula_itself, FORMULA), (formula_and_plist, PLIST), (formula_and_unit, UNIT)):
        rows.row(check.__name__.replace("_", " "), in_a_folder, check, needed)
    return rows.conclude()


if __name__ == "__main__":
    sys.exit(main())
