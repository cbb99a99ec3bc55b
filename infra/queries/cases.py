#!/usr/bin/env python3
"""Checks every query against written cases: the rows in the table, and the expected result.

    infra/queries/cases.py target/debug/ispmon-lab [PART_OF_A_NAME]

The cases are in infra/queries/cases/*.toml; README.md in infra explains how to write one. The rows of a case
come from the real function: the script starts it, sends it the requests of the case, and reads its lines.
Each query runs with DuckDB, and in the lab as well if the lab implements it. Both must return the rows that
the case expects. Needs Python 3.11 and `pip install 'duckdb-kql[duckdb]'`.
"""

import argparse
import collections
import concurrent.futures
import datetime
import functools
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import tomllib

# Write no bytecode next to the queries.
sys.dont_write_bytecode = True
import compare  # noqa: E402

INFRA = pathlib.Path(__file__).resolve().parent.parent
CASES = INFRA / "queries" / "cases"
# Creates the request body with which deploy.sh queries the workspace.
DEPLOY_QUERY = INFRA / "deploy" / "query.py"
# "Now" of every case, noon. Times are relative to it: "-7m" is seven minutes before.
NOON = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.timezone.utc)
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
COMPONENT = "/subscriptions/s/resourceGroups/g/providers/microsoft.insights/components/c"
OTHER_COMPONENT = COMPONENT[:-1] + "other"
# The queries that the lab implements, with the file whose text it recognizes.
LAB = {
    "queries/device-silent": "queries/device-silent",
    "queries/device-silent-minute": "queries/device-silent",
    "queries/device-silent-reminder": "queries/device-silent-reminder",
    "queries/outage-report": "queries/outage-report",
}
VALUES = {
    "COMPONENT_ID": [COMPONENT.lower()],
    "SILENCE_MINUTES": ["5"],
    "FREQUENCY_MINUTES": ["5"],
    "DAILY_HOUR": ["8"],
    "MINIMUM_MINUTES": ["5"],
    "MARKS": [10, 15, 30, 60, 120, 1440],
}
DEADLINE_SECONDS = 30


class CaseError(Exception):
    """A case is invalid; the message names the reason."""


class Function:
    """The real function, run by the lab's executable under the function's name."""

    def __init__(self, lab):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            ["ispmon-function"],
            executable=os.path.abspath(lab),
            env={"FUNCTIONS_CUSTOMHANDLER_PORT": str(self.port)},
            stdout=subprocess.PIPE,
        )
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                self.connection.connect()
                return
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise CaseError("the function does not start") from None
                time.sleep(0.02)

    def lines(self, path, body, headers, status):
        """Returns the lines that the function writes for a request; it must respond with this status."""
        self.connection.request("POST", path, body, {"content-type": "application/json", **headers})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status != status:
            raise CaseError(f"the function answered {answer.status} {text!r} to {body!r}, expected {status}")
        if status != 200:
            return []
        count = json.loads(text)["accepted"] if path.endswith("outages") else 1
        return [self.process.stdout.readline().decode().rstrip("\n") for _ in range(count)]

    def end(self):
        """Stops the function; an unexpected line is an error."""
        self.connection.close()
        self.process.kill()
        rest = self.process.stdout.read()
        self.process.wait()
        if rest:
            raise CaseError(f"the function wrote lines that belong to no answer: {rest!r}")


def moment(text):
    """Returns the time for a text such as "-1h30m" or "+5m", relative to noon."""
    parts = re.fullmatch(r"([+-]?)((?:\d+(?:\.\d+)?[dhms])+)", text)
    if not parts:
        raise CaseError(f'the time "{text}" is not like "-7m" or "+1h30m"')
    seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", parts[2]))
    return NOON + datetime.timedelta(seconds=-seconds if parts[1] == "-" else seconds)


def stamp(time):
    """Formats a time as in JSON and in results."""
    return time.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


def resolved(value):
    """Returns the value with every text "@-7m" replaced by the time that it stands for."""
    if isinstance(value, str) and re.match(r"@[+-]?\d", value):
        return stamp(moment(value[1:]))
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if isinstance(value, dict):
        return {name: resolved(each) for name, each in value.items()}
    return value


def expanded(items):
    """Yields the items; one with a range such as {1..200} in a text is repeated for each number of it."""
    for item in items:
        text = json.dumps(item)
        span = re.search(r"\{(\d+)\.\.(\d+)\}", text)
        numbers = range(int(span[1]), int(span[2]) + 1) if span else [None]
        for number in numbers:
            yield json.loads(text.replace(span[0], str(number)) if span else text)


def written(function, row):
    """Returns the table rows of a row of a case: time, message, component, and when it becomes visible."""
    unknown = row.keys() - {"at", "arrives", "ping", "outages", "line", "from", "status", "component", "log"}
    if unknown:
        raise CaseError(f"a row has {', '.join(sorted(unknown))}")
    at = moment(row["at"])
    arrives = moment(row.get("arrives", row["at"]))
    headers = {"x-forwarded-for": row["from"]} if "from" in row else {}
    if "line" in row:
        messages = [row["line"]]
    else:
        path = "ping" if "ping" in row else "outages"
        body = resolved(row[path])
        body = body if isinstance(body, str) else json.dumps(body)
        messages = function.lines(f"/api/{path}", body.encode(), headers, row.get("status", 200))
    component = {"own": COMPONENT, "other": OTHER_COMPONENT}[row.get("component", "own")]
    return [(at, message, component, arrives) for message in messages]


def filled(name, case):
    """Returns the text of a query with the values of a case for its placeholders."""
    if name.startswith("deploy: "):
        note = case.get("values", {}).get("NOTE", [""])[0]
        command = [sys.executable, DEPLOY_QUERY, name.removeprefix("deploy: "), note]
        body = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        return json.loads(body)["query"]
    text = (INFRA / f"{name}.kql").read_text(encoding="utf-8").strip()
    text = text.replace("'RANGE'", "30d")
    values = {**VALUES, "DEVICES": list(expanded(case.get("devices", []))), **case.get("values", {})}
    for placeholder, given in values.items():
        # Devices last: a device may have the name of a placeholder.
        if placeholder != "DEVICES":
            text = text.replace(f"'{placeholder}'", literals(given))
    return text.replace("'DEVICES'", literals(values["DEVICES"])) if values["DEVICES"] else text


def literals(values):
    """Formats values as the templates write them into a query."""
    quote = lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return ", ".join(quote(value) if isinstance(value, str) else str(value) for value in values)


def run_with_duckdb(evaluation):
    """Runs the text of a query with DuckDB; returns its columns, and its rows in order."""
    connection = database()
    for table in ("traces", "AppTraces", "_LogOperation"):
        connection.execute(f"DELETE FROM {table}")
    rows = evaluation["rows"]
    if rows:
        times, messages, components = (list(column) for column in zip(*rows))
        times = [compare.moment(time) for time in times]
        connection.execute("INSERT INTO AppTraces SELECT unnest(?), unnest(?), unnest(?)", [times, messages, components])
        connection.execute(
            "INSERT INTO traces SELECT TimeGenerated, Message FROM AppTraces WHERE _ResourceId = ?", [COMPONENT]
        )
    for time, category, detail in evaluation["log"]:
        connection.execute("INSERT INTO _LogOperation VALUES (?, ?, ?)", [compare.moment(time), category, detail])
    sql, now = compare.translate(evaluation["text"])
    result = connection.execute(sql, {now: compare.moment(evaluation["now"])})
    columns = [column[0] for column in result.description]
    return columns, [[plain(value) for value in row] for row in result.fetchall()]


@functools.cache
def database():
    """Creates the tables of a component and of its workspace, in this process."""
    import duckdb_kql

    connection = duckdb_kql.connect()
    connection.execute("SET threads TO 1")
    connection.execute("CREATE TABLE traces (timestamp TIMESTAMP, message VARCHAR)")
    connection.execute("CREATE TABLE AppTraces (TimeGenerated TIMESTAMP, Message VARCHAR, _ResourceId VARCHAR)")
    connection.execute("CREATE TABLE _LogOperation (TimeGenerated TIMESTAMP, Category VARCHAR, Detail VARCHAR)")
    return connection


def plain(value):
    """Formats a value as cases do: times as texts, none as an empty text."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return stamp(value.replace(tzinfo=datetime.timezone.utc))
    return value


def run_with_lab(lab, evaluations):
    """Returns the result of the lab's own implementation for each evaluation, rows as dictionaries."""
    # In reverse order: no result may depend on the order of the rows.
    text = "".join(
        json.dumps({"query": each["lab"], "now": each["now"], "rows": [row[:2] for row in reversed(each["component_rows"])]}) + "\n"
        for each in evaluations
    )
    answers = subprocess.run([lab, "evaluate"], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in answers.splitlines()]


def read(function, part):
    """Yields the evaluations of all case files: one per query and time of a case."""
    for path in sorted(CASES.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        for case in table.pop("case"):
            if part not in case["name"]:
                continue
            try:
                yield from evaluations(function, path.stem, {**table, **case})
            except (CaseError, KeyError) as problem:
                raise CaseError(f"{path.name}, {case['name']}: {problem}") from problem


def evaluations(function, file, case):
    unknown = case.keys() - {"name", "queries", "columns", "devices", "values", "rows", "expect"}
    if unknown:
        raise CaseError(f"it has {', '.join(sorted(unknown))}")
    rows, log = [], []
    for row in expanded(case["rows"]):
        if "log" in row:
            log.append((stamp(moment(row["at"])), *row["log"]))
        else:
            rows.extend(written(function, row))
    for name in case["queries"]:
        text = filled(name, case)
        for when, expected in case["expect"].items():
            now = moment(when)
            visible = [(stamp(at), message, component) for at, message, component, arrives in rows if arrives <= now]
            yield {
                "where": f"{file}.toml: {case['name']}: {name} at {when}",
                "query": name,
                "text": text,
                "now": stamp(now),
                "rows": visible,
                "log": [row for row in log if compare.moment(row[0]) <= compare.moment(stamp(now))],
                "columns": case["columns"],
                "expected": resolved(list(expanded(expected))),
                "lab": filled(LAB[name], case) if name in LAB else None,
                "component_rows": [row for row in visible if row[2] == COMPONENT],
            }


def difference(evaluation, by, columns, found):
    """Returns what is wrong with a result, or None."""
    expected = evaluation["expected"]
    rows = lambda result: "\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in result[:20]) or "    none"
    if columns != evaluation["columns"] and sorted(columns) != sorted(evaluation["columns"]):
        return f"{evaluation['where']}\n  {by} has the columns {columns}"
    found = [[dict(zip(columns, row))[name] for name in evaluation["columns"]] for row in found]
    if alike(found, expected) and alike(sorted_by(evaluation, found), sorted_by(evaluation, expected)):
        return None
    return f"{evaluation['where']}\n  expected:\n{rows(expected)}\n  {by}:\n{rows(found)}"


def alike(found, expected):
    """Whether two results contain the same rows, in any order."""
    order = lambda row: json.dumps(row, sort_keys=True)
    pairs = zip(sorted(found, key=order), sorted(expected, key=order))
    return len(found) == len(expected) and all(
        len(one) == len(other) and all(map(compare.same, one, other)) for one, other in pairs
    )


def sorted_by(evaluation, rows):
    """Returns the sort keys of each row, with its position; rows with equal keys are unordered."""
    last = evaluation["text"].splitlines()[-1]
    names = re.findall(r"(\w+) (?:asc|desc)", last) if last.startswith("| sort by") else []
    keys = [[row[evaluation["columns"].index(name)] for name in names] for row in rows]
    return [[place, *key] for place, key in enumerate(keys)]


def check_with_duckdb(evaluation):
    try:
        return difference(evaluation, "the Kusto text", *run_with_duckdb(evaluation))
    except Exception as problem:  # Any error must name the case that caused it.
        return f"{evaluation['where']}\n  the Kusto text fails: {problem}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lab", help="the program ispmon-lab")
    parser.add_argument("part", nargs="?", default="", help="only cases with this in their names")
    arguments = parser.parse_args()
    function = Function(arguments.lab)
    try:
        planned = list(read(function, arguments.part))
        function.end()
    except CaseError as problem:
        function.process.kill()
        print(f"FAILED: {problem}", file=sys.stderr)
        return 1
    with_lab = [evaluation for evaluation in planned if evaluation["lab"]]
    wrong = []
    for evaluation, rows in zip(with_lab, run_with_lab(arguments.lab, with_lab), strict=True):
        columns = list(rows[0]) if rows else evaluation["columns"]
        wrong.append(difference(evaluation, "the lab", columns, [list(row.values()) for row in rows]))
    with concurrent.futures.ProcessPoolExecutor() as pool:
        wrong.extend(pool.map(check_with_duckdb, planned))
    wrong = [problem for problem in wrong if problem]
    for problem in wrong:
        print(problem, file=sys.stderr)
    counts = collections.Counter(evaluation["query"] for evaluation in planned)
    summary = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    print(f"{'FAILED' if wrong else 'PASSED'}: {len(wrong)} of {len(planned)} results differ ({summary}).")
    return 1 if wrong or not planned else 0


if __name__ == "__main__":
    sys.exit(main())
