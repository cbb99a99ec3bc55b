"""Test heartbeats.

  heartbeat.py --requests DEVICES URL MARK QUIET_SECONDS   the function's key on standard input; prints curl's configuration
  heartbeat.py --not-accepted DEVICES MARK                 the output of that curl on standard input; prints the status of
                                                           the first heartbeat that was not accepted, or nothing, and then
                                                           the lines of DEVICES without those whose heartbeat was accepted

Each line of DEVICES begins with a device name, optionally followed by a tab and more. The mark is also the
note of the heartbeats.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import curl_requests  # noqa: E402
import files  # noqa: E402


def body(device, note, quiet):
    """Formats a heartbeat. Its boot id is unique, so it is not ordered among those of the device itself."""
    heartbeat = {"device": device, "note": note}
    if quiet:
        agent = {"version": "deploy", "boot": note.replace("deploy-test-", "deploy-"), "seq": 1, "state": "paused"}
        heartbeat["agent"] = {**agent, "quiet_s": quiet}
    return json.dumps(heartbeat)


def outcome(status, body):
    """Returns the status, with a remark for a 200 that is not from the function, such as that of a captive portal."""
    if status == "200" and body.split("\n")[0].strip() != "ok":
        return "200 with an unexpected body"
    return status


def main():
    mode, path, *more = sys.argv[1:]
    devices = files.lines(path)
    if mode == "--requests":
        url, mark, quiet = more
        headers = [f"x-functions-key: {sys.stdin.read()}"]
        bodies = (body(device.split("\t")[0], mark, int(quiet)) for device in devices)
        print("next\n".join(curl_requests.request("POST", url, headers, text, mark) for text in bodies), end="")
        return
    outcomes = [outcome(*response) for response in curl_requests.responses(curl_requests.output(), more[0], len(devices))]
    failed = [(status, device) for status, device in zip(outcomes, devices) if status != "200"]
    print(failed[0][0] if failed else "", *(device for _, device in failed), sep="\n")


main()
