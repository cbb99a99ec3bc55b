"""Serves the calls of all stand-ins for `az` on a Unix socket: server.py SOCKET.

One process, because loading the Azure CLI takes a second. A call is a line of JSON, and so is its answer; a line
with "ask" instead is a question of a test. Ends with its standard input.
"""

import datetime
import json
import os
import socketserver
import sys
import threading

from cloud import Failure, Hangs, Killed, World
from judge import Judge, Refused

judge = Judge()
lock = threading.Lock()
worlds = {}


def world(folder):
    if folder not in worlds:
        worlds[folder] = World(folder)
    return worlds[folder]


def serve(call):
    """The answer to one line; None when there shall be none."""
    asked = call.get("ask")
    if asked == "state":
        return world(call["world"]).state()
    if asked == "rows":
        world(call["world"]).host.rows.extend(
            (datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None), line) for line in call["lines"]
        )
        return {}
    if asked == "close":
        worlds.pop(call["world"]).host.close()
        return {}
    try:
        return {"status": 0, "output": world(call["world"]).call(judge, call), "error": ""}
    except Refused as error:
        return {"status": 2, "output": "", "error": f"REFUSED BY THE PARSER: {error}"}
    except Failure as error:
        return {"status": error.status, "output": "", "error": f"ERROR: {error}\n"}
    except Hangs:
        return {"hangs": True}
    except Killed:
        return None


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline()
        if not line:
            return
        with lock:
            answer = serve(json.loads(line))
        if answer is not None:
            try:
                self.wfile.write(json.dumps(answer).encode() + b"\n")
            except BrokenPipeError:
                pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(sys.argv[1], Connection)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
for open_world in list(worlds.values()):
    open_world.host.close()
os._exit(0)
