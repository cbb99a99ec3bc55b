"""Many requests by one process of curl, which keeps its connection. Nothing of them is an argument of curl.

Answers come one behind the other; behind each stands a line with a mark and the status. The mark is random, so no page
that answers to everything can hold that line.
"""

import sys


def option(name, value):
    """A line of curl's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name} = "{escaped}"\n'


def request(method, url, headers, body, mark):
    """The part of curl's configuration that is about one request."""
    return (
        option("request", method)
        + option("url", url)
        + "".join(option("header", header) for header in [*headers, "content-type: application/json"])
        + option("data-binary", body)
        + option("connect-timeout", "20")
        + option("max-time", "60")
        + option("write-out", f"\n{mark} %{{http_code}}\n")
        + "silent\nshow-error\n"
    )


def answers(printed, mark, count):
    """What came back for each request, in their order: the status, 000 without an answer, and the body."""
    parts = printed.split(f"\n{mark} ")
    for number in range(count):
        if number + 1 >= len(parts):
            yield "000", ""
        else:
            # Each body stands before its mark, behind the status of the one before.
            body = parts[number] if number == 0 else parts[number].partition("\n")[2]
            yield parts[number + 1].split("\n")[0], body


def printed():
    """What curl has printed."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")
