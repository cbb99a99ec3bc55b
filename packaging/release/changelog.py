"""Prints the package's Debian changelog, made from CHANGELOG.md.

    changelog.py CHANGELOG.md VERSION MAINTAINER SECONDS

The newest section may be called "Unreleased"; it gets VERSION and the time SECONDS since 1970. Other sections have the
heading "## VERSION - YEAR-MONTH-DAY".
"""

import re
import sys
import textwrap
from datetime import datetime, timezone
from email.utils import format_datetime

HEADING = re.compile(r"## \[?(?P<version>[^]\s]+)\]?(?: - (?P<day>\d{4}-\d\d-\d\d))?$")


def sections(text):
    """Yields the version, the day and the list of changes of each section."""
    found = None
    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading:
            if found:
                yield found
            found = heading["version"], heading["day"], []
        elif found and line.startswith("- "):
            found[2].append(line[2:])
        elif found and line.startswith("  ") and found[2]:
            found[2][-1] += " " + line.strip()
    if found:
        yield found


def main(path, version, maintainer, seconds):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    written = 0
    for name, day, changes in sections(text):
        if name == "Unreleased":
            name = version
        time = datetime.fromisoformat(day) if day else datetime.fromtimestamp(int(seconds), timezone.utc)
        if not changes:
            continue
        print(f"ispmon-agent ({name}-1) stable; urgency=medium\n")
        for change in changes:
            print(textwrap.fill(change, 78, initial_indent="  * ", subsequent_indent="    "))
        print(f"\n -- {maintainer}  {format_datetime(time.replace(tzinfo=timezone.utc))}\n")
        written += 1
    if not written:
        sys.exit(f"{path} has no section with changes.")


main(*sys.argv[1:])
