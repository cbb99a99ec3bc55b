"""Serves the calls of all stand-ins for `az` on loopback, and prints its port.

It is one process, because loading the Azure CLI takes a second. A call is a list of fields, each terminated
by a zero byte: the number of arguments, the folder of the test, the caller's process id, its standard input,
the arguments. The response has the same format: status, standard error, standard output. A field that begins
with "{" instead of the number is a request of a test, in JSON. The server exits at the end of its standard
input.
"""

import datetime
import json
import os
import socketserver
import sys
import threading

from cloud import Failure, Hangs, Killed, Subscription
from azure_cli import AzureCli, Refused, configuration

clis = {}
lock = threading.Lock()
subscriptions = {}


def subscription(folder):
    if folder not in subscriptions:
        subscriptions[folder] = Subscription(folder)
    return subscriptions[folder]


def cli(variables):
    """Returns the CLI as the caller's variables configure it."""
    variables = configuration(variables)
    key = tuple(sorted(variables.items()))
    if key not in clis:
        clis[key] = AzureCli(variables)
    return clis[key]


def environment(process):
    with open(f"/proc/{process}/environ", encoding="utf-8", errors="replace") as file:
        return dict(entry.split("=", 1) for entry in file.read().split("\0") if "=" in entry)


def answer_test(question):
    folder = question["folder"]
    if question["ask"] == "rows":
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        now -= datetime.timedelta(seconds=question.get("age", 0))
        pace = datetime.timedelta(minutes=question.get("minutes", 0), microseconds=1)
        last = len(question["lines"]) - 1
        subscription(folder).host.rows.extend((now - (last - n) * pace, line) for n, line in enumerate(question["lines"]))
    elif question["ask"] == "close":
        if folder in subscriptions:
            subscriptions.pop(folder).host.close()
    else:
        return subscription(folder).state()
    return {}


def answer_call(call):
    """Returns status, standard error and standard output; None for no response."""
    try:
        return 0, "", subscription(call["folder"]).call(cli(call["environment"]), call)
    except Refused as error:
        return 2, f"REFUSED BY THE PARSER: {error}", ""
    except Failure as error:
        return error.status, f"ERROR: {error}\n", ""
    except Hangs:
        return "hangs", "", ""
    except Killed:
        return None


class Connection(socketserver.StreamRequestHandler):
    def field(self):
        data = bytearray()
        while (byte := self.rfile.read(1)) not in (b"\0", b""):
            data += byte
        return data.decode()

    def handle(self):
        first = self.field()
        if first.startswith("{"):
            with lock:
                answer = (json.dumps(answer_test(json.loads(first))),)
        elif first:
            folder, process, standard_input = self.field(), int(self.field()), self.field()
            call = {"folder": folder, "process": process, "input": standard_input}
            call["arguments"] = [self.field() for _ in range(int(first))]
            call["environment"] = environment(process)
            with lock:
                answer = answer_call(call)
        else:
            return
        if answer is not None:
            self.wfile.write(b"".join(str(part).encode() + b"\0" for part in answer))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(("127.0.0.1", 0), Connection)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
for opened in list(subscriptions.values()):
    opened.host.close()
os._exit(0)
