"""Fixtures of the tests: a folder, a subscription and a way to run the script."""

import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SCRIPT = os.path.join(ROOT, "infra/deploy.sh")
PACKAGE = os.environ.get("ISPMON_TEST_PACKAGE", "")
ENVIRONMENT = "RG=ispmon\nALERT_EMAIL=me@contoso.com\nHEARTBEAT_DEVICE=dl-home\n"


class Run:
    """The exit status and the output of a run of the script."""

    def __init__(self, status, output):
        self.status = status
        self.output = output


class DeployTest(unittest.TestCase):
    """Base class; each test has its own folder and its own subscription."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ispmon-deploy-")
        self.temporary = os.path.join(self.folder, "tmp")
        os.mkdir(self.temporary)
        self.outputs = []
        self.exported = {}
        self.write(".env", ENVIRONMENT)

    def tearDown(self):
        try:
            self.assert_no_secret_is_shown()
        finally:
            self.ask("close")
            shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def program(self, name, text):
        """Installs a program that replaces the machine's program of that name."""
        os.makedirs(self.path("bin"), exist_ok=True)
        self.write(f"bin/{name}", "#!/bin/sh\n" + text)
        os.chmod(self.path(f"bin/{name}"), 0o755)

    def plan(self, **plan):
        plan.setdefault("registered", ALL_PROVIDERS)
        self.write("plan.json", json.dumps(plan))

    def ask(self, what, **more):
        question = json.dumps({"ask": what, "folder": self.folder, **more}).encode() + b"\0"
        with socket.create_connection(("127.0.0.1", int(os.environ["ISPMON_TEST_SERVER"]))) as connection:
            connection.sendall(question)
            with connection.makefile("rb") as answer:
                return json.loads(answer.read().rstrip(b"\0"))

    def state(self):
        return self.ask("state")

    def environment(self):
        return {
            **{name: os.environ[name] for name in ("HOME", "ISPMON_TEST_SERVER", "ISPMON_TEST_PYTHON")},
            **{name: os.environ[name] for name in ("CARGO_TARGET_DIR", "CARGO_HOME", "RUSTUP_HOME") if name in os.environ},
            # Programs in the test's own folder take precedence.
            "PATH": ":".join((self.path("bin"), os.path.join(HERE, "bin"), os.environ["PATH"])),
            "ISPMON_TEST_FOLDER": self.folder,
            "TMPDIR": self.temporary,
            # Variables that a user's shell may happen to export; they must not reach the templates.
            "LOCATION": "moon",
            "RULES_ENABLED": "false",
            **self.exported,
        }

    def command(self, *arguments, package=True):
        shell = os.environ.get("ISPMON_TEST_BASH", "bash")
        return [shell, SCRIPT, *(["--zip", PACKAGE] if package else []), *arguments]

    def run_script(self, *arguments, package=True, yes=True):
        """Runs the script without a terminal."""
        if not os.path.exists(self.path("plan.json")):
            self.plan()
        process = subprocess.run(
            self.command(*arguments, *(["--yes"] if yes else []), package=package),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            timeout=300,
        )
        return self.note(process.returncode, process.stdout.decode())

    def note(self, status, output):
        self.outputs.append(output)
        self.assertNotIn("REFUSED BY THE PARSER", output)
        self.assertNotRegex(output, r"unbound variable|syntax error|command not found|Traceback|\.sh: line \d+")
        return Run(status, output)

    def run_in_terminal(self, *arguments, answers=(), package=True):
        """Runs the script in a terminal: types each answer when its question appears."""
        if not os.path.exists(self.path("plan.json")):
            self.plan()
        terminal, inner = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments, package=package),
            cwd=self.folder,
            env=self.environment(),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        output, waiting, end = "", list(answers), time.monotonic() + 200
        while time.monotonic() < end:
            ready, _, _ = select.select([terminal], [], [], 0.2)
            if ready:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                output += data.decode(errors="replace")
                if waiting and waiting[0][0] in output:
                    os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
        status = process.wait(timeout=60)
        os.close(terminal)
        self.assertFalse(waiting, f"never asked: {waiting}\n{output}")
        # Drop progress lines that were cleared.
        return self.note(status, re.sub(r"[^\n]*\r(?!\n)", "", output).replace("\r", ""))

    def succeeds(self, run):
        self.assertEqual(run.status, 0, run.output)
        return run

    def fails(self, run, *texts, status=1):
        """Asserts that the run failed, and printed what failed, what exists in Azure and what to run next.
        """
        self.assertEqual(run.status, status, run.output)
        self.assertIn("In Azure: ", run.output)
        self.assertIn("Next: ", run.output)
        for text in texts:
            self.assertIn(text, run.output)
        return run

    def assert_deployed(self):
        """Asserts that rule, key and heartbeat exist, and that no temporary file is left."""
        state = self.state()
        self.assertIn("ispmon-device-silent", state["rules"])
        self.assertIn("dl-home", state["keys"])
        self.assertTrue(state["rows"])
        self.assertEqual(os.listdir(self.temporary), [])
        return state

    def assert_no_secret_is_shown(self):
        """Asserts that no key is in the output, an argument, a variable, or a file that others can read."""
        self.assertEqual(self.state()["violations"], [])
        for output in self.outputs:
            self.assertNotIn("SECRET", output)
        for folder, _, files in os.walk(self.folder):
            for name in files:
                path = os.path.join(folder, name)
                if name == "plan.json":
                    continue
                with open(path, "rb") as file:
                    has_secret = b"SECRET" in file.read()
                if has_secret and not (re.search(r"\.key(\.bak\d*)?$", name) and os.stat(path).st_mode & 0o777 == 0o600):
                    self.fail(f"{path} holds a secret")


ALL_PROVIDERS = [
    "Microsoft.Web",
    "Microsoft.Storage",
    "Microsoft.Insights",
    "Microsoft.OperationalInsights",
    "Microsoft.AlertsManagement",
    "Microsoft.ManagedIdentity",
]
