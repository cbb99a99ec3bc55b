"""The host keys of the function app.

  keys.py --missing DEVICES        the keys as JSON on standard input; prints the key names of DEVICES that have no key
  keys.py --get NAME               the same; prints the key with this name
  keys.py --requests NAMES URL MARK   a token on standard input; prints curl's configuration that creates a key for each name
  keys.py --not-created NAMES MARK   the output of that curl on standard input; prints the response for the first name
                                   whose key was not created, or nothing, and then the names without the created ones

DEVICES has one line per device: name, tab, key name; NAMES has one key name per line. Responses that contain
keys are not shown.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import curl_requests  # noqa: E402
import files  # noqa: E402

VERSION = "2024-11-01"


def requests(names, url, mark, token):
    headers = [f"Authorization: Bearer {token}"]
    for name in names:
        # The same body as az sends: without a value, Azure generates the key.
        body = json.dumps({"properties": {"name": name, "value": None}})
        yield curl_requests.request("PUT", f"{url}/{name}?api-version={VERSION}", headers, body, mark)


def main():
    mode, argument, *more = sys.argv[1:]
    if mode == "--get":
        print(json.load(sys.stdin)[argument], end="")
    elif mode == "--missing":
        keys = json.load(sys.stdin)
        names = (line.split("\t")[1] for line in files.lines(argument))
        print(*(f"{name}\n" for name in names if not keys.get(name)), sep="", end="")
    elif mode == "--requests":
        url, mark = more
        print("next\n".join(requests(files.lines(argument), url, mark, sys.stdin.read())), end="")
    else:
        names = files.lines(argument)
        responses = zip(curl_requests.responses(curl_requests.output(), more[0], len(names)), names)
        failed = [(response, name) for response, name in responses if response[0] not in ("200", "201")]
        first = " ".join(" ".join(failed[0][0]).split())[:300] if failed else ""
        print(first, *(name for _, name in failed), sep="\n")


main()
