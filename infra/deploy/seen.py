"""Compares the devices with those that were seen.

  seen.py --unseen DEVICES SEEN   prints the lines of DEVICES whose device is not in SEEN
  seen.py --report DEVICES SEEN   prints for each device its name, a tab, and when it was seen last, or "never"

DEVICES has a name and a key's name a line, SEEN a comparison key and a time, both separated by tabs.
"""

import sys


def key(name):
    """The comparison key that the function writes: trimmed, and each letter in lower case, one for one."""
    lowered = (letter.lower() if len(letter.lower()) == 1 else letter for letter in name.strip())
    return "d:" + "".join(lowered)


def main():
    mode, devices, seen = sys.argv[1:]
    with open(seen, encoding="utf-8") as file:
        rows = (line.rstrip("\n").split("\t") for line in file)
        times = {row[0]: row[1] for row in rows if len(row) == 2}
    with open(devices, encoding="utf-8") as file:
        for line in file:
            name = line.split("\t")[0]
            if mode == "--report":
                print(name, times.get(key(name), "never"), sep="\t")
            elif key(name) not in times:
                print(line, end="")


main()
