"""Test heartbeats by one process of curl, which keeps its connection.

  heartbeat.py --requests DEVICES URL NOTE QUIET_SECONDS   the function's key on standard input; prints curl's configuration
  heartbeat.py --unanswered DEVICES NOTE                   what that curl printed on standard input; prints the status of
                                                           the first heartbeat that was not taken, or nothing, and then
                                                           the lines of DEVICES without those whose heartbeat was taken

DEVICES has a device's name, and more behind a tab, on each line.
"""

import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")[:-1]


def body(device, note, quiet):
    """The boot id is its own, so that it competes with no heartbeat of the device itself."""
    heartbeat = {"device": device, "note": note}
    if quiet:
        agent = {"version": "deploy", "boot": note.replace("deploy-test-", "deploy-"), "seq": 1, "state": "paused"}
        heartbeat["agent"] = {**agent, "quiet_s": quiet}
    return json.dumps(heartbeat)


def option(name, value):
    """A line of curl's configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name} = "{escaped}"\n'


def requests(devices, url, note, quiet, key):
    for device in devices:
        yield (
            option("url", url)
            + option("header", f"x-functions-key: {key}")
            + option("header", "content-type: application/json")
            + option("data-binary", body(device.split("\t")[0], note, quiet))
            + option("connect-timeout", "20")
            + option("max-time", "60")
            # The note is random, so no page that answers to everything can hold this line.
            + option("write-out", f"\n{note} %{{http_code}}\n")
            + "silent\nshow-error\n"
        )


def status(answer, code):
    # A page that answers 200 to everything is not the function.
    if code == "200" and answer.split("\n")[0].strip() != "ok":
        return "200, but not from ispmon"
    return code


def unanswered(devices, note, printed):
    """The lines of the devices whose heartbeat was not taken, and what came back for the first of them."""
    left, first, answers = [], "", printed.split(f"\n{note} ")
    # Each answer stands before its mark, behind the status of the one before.
    for number, device in enumerate(devices):
        if number + 1 < len(answers):
            answer = answers[number] if number == 0 else answers[number].partition("\n")[2]
            came = status(answer, answers[number + 1].split("\n")[0])
        else:
            came = "000"
        if came != "200":
            left.append(device)
            first = first or came
    return first, left


def main():
    mode, path, *more = sys.argv[1:]
    devices = lines(path)
    if mode == "--requests":
        url, note, quiet = more
        print("next\n".join(requests(devices, url, note, int(quiet), sys.stdin.read())), end="")
        return
    printed = sys.stdin.buffer.read().decode("utf-8", "replace")
    first, left = unanswered(devices, more[0], printed)
    print(first, *left, sep="\n")


main()
