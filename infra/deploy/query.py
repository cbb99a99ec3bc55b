"""Prints the body of a query request: query.py NAME [NOTE]. NOTE replaces the word NOTE in the query.

NAME is the name of a file in deploy/queries, or else of one of the workbook's queries, which then covers one
day.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
# The workbook queries the component; its workspace has the same rows under other names.
COMPONENT_ROWS = "let traces = AppTraces | project timestamp = TimeGenerated, message = Message;\n"


def text_of(name):
    own = HERE / "queries" / f"{name}.kql"
    if own.exists():
        return own.read_text(encoding="utf-8")
    shared = HERE.parent / "queries" / "workbook" / f"{name}.kql"
    return COMPONENT_ROWS + shared.read_text(encoding="utf-8").replace("'RANGE'", "1d")


text = text_of(sys.argv[1])
if sys.argv[2:] and sys.argv[2]:
    text = text.replace("NOTE", sys.argv[2])
json.dump({"query": text.strip(), "timespan": "P90D"}, sys.stdout)
