"""Reads the host keys of the function app, a JSON object, from standard input.

  keys.py --missing DEVICES   prints the key names of DEVICES, a line each, that have no key
  keys.py --get NAME          prints the key with this name

DEVICES has a name and a key's name a line, separated by a tab.
"""

import json
import sys


def main():
    mode, argument = sys.argv[1:]
    keys = json.load(sys.stdin)
    if mode == "--get":
        print(keys[argument], end="")
        return
    with open(argument, encoding="utf-8") as file:
        for line in file:
            name = line.rstrip("\n").split("\t")[1]
            if not keys.get(name):
                print(name)


main()
