"""Test heartbeats.

  heartbeat.py --requests DEVICES URL MARK QUIET_SECONDS   the function's key on standard input; prints curl's configuration
  heartbeat.py --unanswered DEVICES MARK                   the output of that curl on standard input; prints the status of
                                                           the first heartbeat that was not accepted, or nothing, and then
                                                           the lines of DEVICES without those whose heartbeat was accepted

Each line of DEVICES begins with a device name, optionally followed by a tab and more. The mark is also the
note of the heartbeats.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import files  # noqa: E402
import transfers  # noqa: E402


def body(device, note, quiet):
    """The boot id is unique, so that this heartbeat is not ordered among those of the device itself."""
    heartbeat = {"device": device, "note": note}
    if quiet:
        agent = {"version": "deploy", "boot": note.replace("deploy-test-", "deploy-"), "seq": 1, "state": "paused"}
        heartbeat["agent"] = {**agent, "quiet_s": quiet}
    return json.dumps(heartbeat)


def outcome(status, answer):
    """Returns the status; a page that responds 200 to everything is not the function."""
    if status == "200" and answer.split("\n")[0].strip() != "ok":
        return "200, but not from ispmon"
    return status


def main():
    mode, path, *more = sys.argv[1:]
    devices = files.lines(path)
    if mode == "--requests":
        url, mark, quiet = more
        headers = [f"x-functions-key: {sys.stdin.read()}"]
        bodies = (body(device.split("\t")[0], mark, int(quiet)) for device in devices)
        print("next\n".join(transfers.request("POST", url, headers, text, mark) for text in bodies), end="")
        return
    came = [outcome(*answer) for answer in transfers.answers(transfers.printed(), more[0], len(devices))]
    left = [(status, device) for status, device in zip(came, devices) if status != "200"]
    print(left[0][0] if left else "", *(device for _, device in left), sep="\n")


main()
