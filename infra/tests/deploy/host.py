"""The Functions host on loopback: runs the function from the unpacked package, checks keys, stores its lines.
"""

import datetime
import http.client
import http.server
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
import zipfile


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def unpack(package, folder):
    """Unpacks as Azure does: with exactly the modes in the zip."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(package) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, folder)
            os.chmod(path, entry.external_attr >> 16 & 0o777)


class Host:
    """One function app: its address stays the same, its code is replaced by each upload."""

    def __init__(self, folder, keys):
        self.folder = os.path.join(folder, "app")
        self.keys = keys
        self.rows = []
        self.dropping = False
        self.cold_answers = 0
        self.slow_down = 0
        # How many lines are still to be lost, and how many have been.
        self.losing = self.lost = 0
        self.process = None
        self.lock = threading.Lock()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, answer = host.answer(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_PUT(self):
                """Creates a key through Resource Manager's API."""
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, answer = host.make_key(self.path, self.headers, json.loads(body))
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/ping"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def make_key(self, path, headers, body):
        found = re.fullmatch(r"/subscriptions/.*/sites/[^/]+/host/default/functionKeys/([^/?]+)\?api-version=2024-11-01", path)
        if headers.get("authorization") != "Bearer SECRET-token":
            return 401, b'{"error": {"code": "InvalidAuthenticationToken", "message": "no token"}}'
        if self.slow_down:
            self.slow_down -= 1
            return 429, b'{"error": {"code": "TooManyRequests", "message": "slower"}}'
        if not found or body != {"properties": {"name": found[1], "value": None}}:
            return 404, b'{"error": {"code": "NotFound"}}'
        self.keys[found[1]] = "SECRET" + secrets.token_urlsafe(32)
        return 201, json.dumps({"properties": {"name": found[1], "value": self.keys[found[1]]}}).encode()

    def deploy(self, package):
        self.stop()
        unpack(package, self.folder)

    def start(self):
        """Starts the function as host.json specifies."""
        with open(os.path.join(self.folder, "host.json"), encoding="utf-8") as file:
            program = json.load(file)["customHandler"]["description"]["defaultExecutablePath"]
        self.port = free_port()
        self.process = subprocess.Popen(
            [os.path.join(self.folder, program)],
            cwd=self.folder,
            env={"FUNCTIONS_CUSTOMHANDLER_PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self.read_lines, args=(self.process.stdout,), daemon=True).start()
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.01)

    def read_lines(self, lines):
        for line in lines:
            if self.losing:
                self.losing -= 1
                self.lost += 1
            elif not self.dropping:
                now = datetime.datetime.now(datetime.timezone.utc)
                self.rows.append((now.replace(tzinfo=None), line.decode().rstrip("\n")))

    def answer(self, path, headers, body):
        if self.cold_answers > 0:
            self.cold_answers -= 1
            return 404, b""
        if headers.get("x-functions-key") not in self.keys.values():
            return 401, b""
        with self.lock:
            if not os.path.exists(os.path.join(self.folder, "host.json")):
                return 404, b""
            if self.process is None:
                self.start()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        wanted = ("content-type", "x-functions-key")
        connection.request("POST", path, body, {name: headers[name] for name in wanted if name in headers})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        self.stop()
        self.server.shutdown()
        self.server.server_close()
