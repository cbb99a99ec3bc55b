"""Many requests by one curl process, over one connection. No part of them is an argument of curl.

The responses follow each other; after each comes a line with a mark and the status. The mark is random, so no
response from another server can contain that line.
"""

import sys


def option(name, value):
    """Formats a line of curl's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name} = "{escaped}"\n'


def request(method, url, headers, body, mark):
    """Formats the part of curl's configuration for one request."""
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


def responses(text, mark, count):
    """Returns the response to each request, in order: the status, 000 without a response, and the body."""
    parts = text.split(f"\n{mark} ")
    for number in range(count):
        if number + 1 >= len(parts):
            yield "000", ""
        else:
            # Each body comes before its mark, after the status of the previous one.
            body = parts[number] if number == 0 else parts[number].partition("\n")[2]
            yield parts[number + 1].split("\n")[0], body


def output():
    """Reads curl's output."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")
