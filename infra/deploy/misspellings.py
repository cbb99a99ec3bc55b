"""Finds variable names that are probably misspelt settings.

  misspellings.py "SETTINGS"    other variables on standard input: line number, tab, name

Prints, separated by tabs, the number, the name and the most similar setting, for each variable that is similar to a
setting.
"""

import difflib
import sys

# The minimum share of matching letters: allows one wrong letter in eight, or two swapped ones in twelve.
MIN_SIMILARITY = 0.87


def main():
    settings = sys.argv[1].split()
    for line in sys.stdin.read().splitlines():
        number, name = line.split("\t")
        near = difflib.get_close_matches(name.upper(), settings, n=1, cutoff=MIN_SIMILARITY)
        if near:
            print(number, name, near[0], sep="\t")


main()
