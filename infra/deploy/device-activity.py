"""Compares the devices with those that have sent heartbeats.

  device-activity.py --new DEVICES ACTIVE MONITORED   prints the lines of DEVICES whose device is neither in ACTIVE nor in
                                                      MONITORED
  device-activity.py --report DEVICES LAST_SEEN       prints for each device its name, a tab, and when it was last seen,
                                                      or "never"

Each line of DEVICES has a name and a key name, of ACTIVE a comparison key, of MONITORED a name, of LAST_SEEN a
comparison key and a time; separated by tabs.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from files import lines  # noqa: E402


def key(name):
    """Returns the comparison key that the function writes: trimmed, each letter lower-cased one by one."""
    lowered = (letter.lower() if len(letter.lower()) == 1 else letter for letter in name.strip())
    return "d:" + "".join(lowered)


def main():
    mode, devices, *others = sys.argv[1:]
    if mode == "--new":
        known = {*lines(others[0]), *map(key, lines(others[1]))}
        for line in lines(devices):
            if key(line.split("\t")[0]) not in known:
                print(line)
        return
    rows = (line.split("\t") for line in lines(others[0]))
    times = {row[0]: row[1] for row in rows if len(row) == 2}
    for line in lines(devices):
        name = line.split("\t")[0]
        print(name, times.get(key(name), "never"), sep="\t")


main()
