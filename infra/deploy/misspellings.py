"""Finds variable names that are probably misspelled names of ours.

  names.py "OUR NAMES"    the others on standard input: line number, tab, name

Prints, separated by tabs, number, name and the probably intended name, for each that is similar to one of
ours.
"""

import difflib
import sys

# The minimum share of matching letters: allows one wrong letter in eight, or two swapped ones in twelve.
LIKENESS = 0.87


def main():
    ours = sys.argv[1].split()
    for line in sys.stdin.read().splitlines():
        number, name = line.split("\t")
        near = difflib.get_close_matches(name.upper(), ours, n=1, cutoff=LIKENESS)
        if near:
            print(number, name, near[0], sep="\t")


main()
