#!/usr/bin/env python3
"""Compares the lab's queries with the deployed Kusto text, row by row.

    ispmon-lab timelines --seed 1 --count 1000 | infra/queries/compare.py
    infra/queries/compare.py --extract FOLDER

The first form runs the text of each query, with DuckDB, on the rows of each timeline and expects the rows
that the lab's native implementation returned. It needs `pip install 'duckdb-kql[duckdb]'`. Each line of the
input is a JSON object: `seed`, `rule`, `query`, `now`, `rows` ([time, message] each) and `expected`.

The second form writes queries to separate files, for tools that check Kusto text: those of all rules in
infra/main.snapshot.json, and all query files in infra, with values for their placeholders where they cannot
be checked without.
"""

import argparse
import concurrent.futures
import datetime
import functools
import json
import math
import pathlib
import sys

TOLERANCE = 1e-6
EPOCH = datetime.datetime(1970, 1, 1)
SCHEMA = {
    "traces": ["timestamp", "message"],
    "AppTraces": ["TimeGenerated", "Message", "_ResourceId"],
}
WORKSPACE_TABLES = {
    "AppTraces": "AppTraces = traces | project-rename TimeGenerated = timestamp, Message = message",
    "_LogOperation": "_LogOperation = datatable(TimeGenerated: datetime, Category: string, Detail: string)[]",
}
SNAPSHOT = pathlib.Path(__file__).resolve().parent.parent / "main.snapshot.json"


@functools.lru_cache(maxsize=8)
def translate(query):
    """Returns the SQL of a query, and the name of its parameter for now()."""
    # Imported here, because only this form of the command needs it.
    import duckdb_kql

    sql = duckdb_kql.to_sql(query, schema=SCHEMA, query_now=EPOCH)
    (now,) = sql.parameters
    return str(sql), now


@functools.cache
def connect():
    """Creates a database in this process, with times in UTC."""
    import duckdb_kql

    connection = duckdb_kql.connect()
    connection.execute("SET threads TO 1")
    connection.execute("CREATE TABLE traces (timestamp TIMESTAMP, message VARCHAR)")
    # The same rows as in the workspace's table, and those of another component.
    connection.execute(
        "CREATE VIEW AppTraces AS SELECT timestamp AS TimeGenerated, message AS Message, "
        "unnest(['/subscriptions/s/resourceGroups/g/providers/microsoft.insights/components/c', "
        "'/subscriptions/s/resourceGroups/g/providers/microsoft.insights/components/other']) "
        "AS _ResourceId FROM traces"
    )
    return connection


def run(comparison):
    """Returns the result of the query: its rows, as dictionaries."""
    connection = connect()
    connection.execute("DELETE FROM traces")
    if comparison["rows"]:
        times, messages = zip(*comparison["rows"])
        connection.execute(
            "INSERT INTO traces SELECT unnest(?), unnest(?)",
            [[moment(time) for time in times], list(messages)],
        )
    sql, now = translate(comparison["query"])
    result = connection.execute(sql, {now: moment(comparison["now"])})
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row)) for row in result.fetchall()]


def moment(text):
    """Parses a time and converts it to UTC, without a zone."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=None)


def same(found, expected):
    """Whether two values are equal: numbers to one in a million, everything else exactly."""
    numbers = all(isinstance(value, (int, float)) for value in (found, expected))
    if numbers:
        return math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=1e-9)
    return type(found) is type(expected) and found == expected


def same_rows(found, expected):
    """Whether two results contain the same rows, in any order."""
    if len(found) != len(expected):
        return False
    pairs = zip(sorted(found, key=identity), sorted(expected, key=identity))
    return all(
        one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
        for one, other in pairs
    )


def identity(row):
    """Returns the texts of a row, which are unique in a result."""
    return sorted((name, value) for name, value in row.items() if isinstance(value, str))


def check(line):
    """Returns what is wrong with one comparison, or None; and whether it expects rows."""
    comparison = json.loads(line)
    try:
        found = run(comparison)
    except Exception as problem:  # Any error must show the timeline that caused it.
        return describe(comparison, f"the query failed: {problem}"), comparison
    if same_rows(found, comparison["expected"]):
        return None, comparison
    return describe(comparison, f"Kusto text:\n{rows_text(found)}"), comparison


def describe(comparison, problem):
    """Formats a difference, with everything needed to reproduce it."""
    traces = "\n".join(f"  {time} {message}" for time, message in sorted(comparison["rows"]))
    return (
        f"{comparison['rule']} differs with seed {comparison['seed']} at {comparison['now']}\n"
        f"query:\n{comparison['query']}\n"
        f"rows of traces:\n{traces}\n"
        f"native:\n{rows_text(comparison['expected'])}\n"
        f"{problem}"
    )


def rows_text(rows):
    return "\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows) or "  no rows"


def compare(lines):
    """Compares all timelines, prints a summary, and returns the exit status."""
    counts = {}
    seeds = set()
    differences = 0
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for difference, comparison in pool.map(check, lines, chunksize=16):
            seeds.add(comparison["seed"])
            total, with_rows = counts.get(comparison["rule"], (0, 0))
            found_rows = bool(comparison["expected"])
            counts[comparison["rule"]] = (total + 1, with_rows + found_rows)
            if difference:
                differences += 1
                print(difference, file=sys.stderr)
    if not counts or not all(with_rows for _, with_rows in counts.values()):
        print("FAILED: there is nothing to compare.", file=sys.stderr)
        return 1
    summary = ", ".join(
        f"{rule}: {total} results, {with_rows} of them with rows"
        for rule, (total, with_rows) in sorted(counts.items())
    )
    print(
        f"{'FAILED' if differences else 'PASSED'}: seeds {min(seeds)} to {max(seeds)}: "
        f"{summary}, {differences} differences."
    )
    return 1 if differences else 0


def extract(folder):
    """Writes queries to files in FOLDER, and prints the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    resources = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["predictedResources"]
    texts = {
        f"{resource['name']}.kql": resource["properties"]["criteria"]["allOf"][0]["query"]
        for resource in resources
        if resource["type"] == "Microsoft.Insights/scheduledQueryRules"
    }
    root = SNAPSHOT.parent
    for path in sorted(root.glob("**/*.kql")):
        text = path.read_text(encoding="utf-8").replace("'RANGE'", "30d")
        texts["-".join(path.relative_to(root).parts)] = text
    for name, text in texts.items():
        # The checker knows the tables of a component, not those of its workspace.
        first = next(line for line in text.splitlines() if not line.startswith("//"))
        table = WORKSPACE_TABLES.get(first)
        if table:
            text = f"let {table};\n{text}"
        path = folder / name
        path.write_text(text, encoding="utf-8")
        print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--extract",
        metavar="FOLDER",
        type=pathlib.Path,
        help="write the queries to files for a checker instead",
    )
    arguments = parser.parse_args()
    if arguments.extract:
        extract(arguments.extract)
        return 0
    return compare(sys.stdin)


if __name__ == "__main__":
    sys.exit(main())
