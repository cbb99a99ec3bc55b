"""Prints the body of a test heartbeat: heartbeat.py DEVICE NOTE QUIET_SECONDS.

Its boot id is its own, so that it competes with no heartbeat of the device itself.
"""

import json
import sys

device, note, quiet = sys.argv[1:]
heartbeat = {"device": device, "note": note}
if quiet != "0":
    agent = {"version": "deploy", "boot": note.replace("deploy-test-", "deploy-"), "seq": 1, "state": "paused"}
    heartbeat["agent"] = {**agent, "quiet_s": int(quiet)}
json.dump(heartbeat, sys.stdout)
