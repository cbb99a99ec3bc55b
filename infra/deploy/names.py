"""Finds names of variables that are probably ours with a mistake in them.

  names.py "OUR NAMES"    the others on standard input: line number, a tab, name

Prints number, name and the name that is probably meant, with tabs, for each that is so like one of ours.
"""

import difflib
import sys

# Letters that two names share, of all that they have: one wrong letter in eight, or two changed places in twelve.
LIKENESS = 0.87


def main():
    ours = sys.argv[1].split()
    for line in sys.stdin.read().splitlines():
        number, name = line.split("\t")
        near = difflib.get_close_matches(name.upper(), ours, n=1, cutoff=LIKENESS)
        if near:
            print(number, name, near[0], sep="\t")


main()
