"""Prints the body of a query request: query.py FILE [NOTE]. NOTE replaces the word NOTE in the query."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
if sys.argv[2:] and sys.argv[2]:
    text = text.replace("NOTE", sys.argv[2])
json.dump({"query": text.strip(), "timespan": "P90D"}, sys.stdout)
