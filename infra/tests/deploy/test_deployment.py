"""From .env to the test mail, and what a second run changes."""

import json
import os
import re
import stat
import subprocess
import tomllib
import zipfile

import fixtures
from fixtures import DeployTest


BUILD = bool(os.environ.get("ISPMON_TEST_BUILD"))


class Deployment(DeployTest):
    def test_from_env_to_the_test_mail(self):
        self.plan(registered=[])
        run = self.succeeds(
            self.run_in_terminal(
                "--agent-config",
                "agent.toml",
                answers=[
                    ("Deploy to the resource group", "y"),
                    ("Press Enter", ""),
                    ("Did the test mail arrive", "y"),
                ],
                package=not BUILD,
            )
        )
        state = self.assert_deployed()
        self.assertEqual(state["mails"], ["me@contoso.com"])
        self.assertIn("The alert rules are active. Test mail: arrived.", run.output)
        line = json.loads(state["rows"][0])
        self.assertEqual((line["device"], line["quiet_s"], line["event"]), ("dl-home", 3600, "heartbeat"))
        with open(self.path("agent.toml"), "rb") as file:
            config = tomllib.load(file)
        self.assertEqual(config["device"], "dl-home")
        self.assertEqual(config["heartbeat"]["url"], state["url"])
        for name in ("agent.toml", "agent.key"):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), 0o600)
        with open(config["heartbeat"]["key_file"], encoding="utf-8") as file:
            self.assertIn(file.read().strip(), state["secrets"])
        self.is_what_the_readme_shows(run.output, state["url"])

    def test_the_agent_accepts_its_configuration(self):
        self.succeeds(self.run_script("--agent-config", "agent.toml"))
        command = [os.environ["ISPMON_TEST_AGENT"], "ping", "--config", self.path("agent.toml")]
        result = subprocess.run(command, cwd=self.folder, env={"HOME": self.folder}, capture_output=True)
        self.assertEqual(result.returncode, 0, result.stderr.decode() + result.stdout.decode())
        line = json.loads(self.state()["rows"][-1])
        self.assertEqual((line["device"], line.get("quiet_s")), ("dl-home", 0))

    def is_what_the_readme_shows(self, output, url):
        """The README shows this run, with a typical folder and address."""
        if not BUILD:
            return
        shown = output.replace(self.folder, "/home/me/ispmon").replace(url, "https://ispmon-k3v7x2.azurewebsites.net/api/ping")
        shown = re.sub(r"Package: .*/", "Package: /home/me/ispmon/target/", shown)
        shown = "\n".join(line.rstrip() for line in shown.strip().splitlines()) + "\n"
        if os.environ.get("ISPMON_TEST_TRANSCRIPT"):
            with open(os.environ["ISPMON_TEST_TRANSCRIPT"], "w", encoding="utf-8") as file:
                file.write(shown)
        with open(os.path.join(fixtures.ROOT, "infra/README.md"), encoding="utf-8") as file:
            self.assertIn(shown, file.read(), "infra/README.md shows another run (ISPMON_TEST_TRANSCRIPT=FILE writes this one)")

    def test_the_rules_come_after_the_heartbeat(self):
        self.succeeds(self.run_script())
        calls = self.state()["calls"]
        order = [call for call in calls if "deployment group create" in call or "/query" in call]
        self.assertIn("ispmon-resources", order[0])
        self.assertIn("ispmon-rules", order[-1])
        self.assertGreater(len(order), 3)

    def test_a_second_run_changes_no_key_and_announces_no_silence_for_a_known_device(self):
        self.succeeds(self.run_script())
        before = self.state()
        self.ask("rows", lines=['{"event":"heartbeat","device":"DL-home ","key":"d:dl-home","boot":"b1","seq":7}'])
        self.succeeds(self.run_script())
        after = self.assert_deployed()
        self.assertEqual(before["secrets"], after["secrets"])
        late = [json.loads(line) for line in after["rows"][len(before["rows"]) + 1 :]]
        self.assertEqual({line["device"] for line in late}, {"ispmon-deploy"})
        self.assertFalse([line for line in late if "quiet_s" in line])

    def test_several_devices_get_a_key_and_a_configuration_each(self):
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", "'dl-home, Büro \"Süd\", 007, true'"))
        self.succeeds(self.run_script("--agent-config", "agents/a.toml" if os.path.isdir(self.path("agents")) else "a.toml"))
        names = set()
        for name in os.listdir(self.folder):
            if name.endswith(".toml"):
                with open(self.path(name), "rb") as file:
                    names.add(tomllib.load(file)["device"])
        self.assertEqual(names, {"dl-home", 'Büro "Süd"', "007", "true"})
        rows = {json.loads(line)["device"] for line in self.state()["rows"]}
        self.assertEqual(rows, names)

    def test_the_parts_of_a_deployment(self):
        self.fails(self.run_script("--code-only"), "nothing was deployed yet")
        self.succeeds(self.run_script())
        before = len(self.state()["calls"])
        self.succeeds(self.run_script("--code-only"))
        self.assertFalse([call for call in self.state()["calls"][before:] if "group create" in call])
        before = len(self.state()["calls"])
        self.succeeds(self.run_script("--infra-only"))
        self.assertFalse([call for call in self.state()["calls"][before:] if "config-zip" in call])
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", "dl-home, office"))
        rows = len(self.state()["rows"])
        self.ask("rows", lines=['{"event":"heartbeat","device":"dl-home"}'])
        self.succeeds(self.run_script("--infra-only"))
        # A device that is new in the list must not raise an alarm at once.
        self.assertEqual([json.loads(line)["device"] for line in self.state()["rows"][rows + 1 :]], ["office"])
        self.write(".env", fixtures.ENVIRONMENT)
        before = len(self.state()["calls"])
        self.succeeds(self.run_script("--what-if"))
        self.assertTrue([call for call in self.state()["calls"][before:] if "what-if" in call])
        self.assertFalse([call for call in self.state()["calls"][before:] if " create" in call or " set " in call])
        self.succeeds(self.run_script("--destroy"))
        self.assertIsNone(self.state()["group"])
        self.succeeds(self.run_script("--destroy"))

    def test_rules_without_heartbeats_would_alarm(self):
        run = self.succeeds(self.run_script("--infra-only"))
        self.assertIn("No device sends heartbeats yet, so the alert rules are not deployed", run.output)
        self.assertEqual(self.state()["rules"], [])

    def test_without_a_terminal_nothing_is_confirmed(self):
        self.fails(self.run_script(yes=False), "must be confirmed, but standard input is not a terminal", "--yes")
        self.assertIsNone(self.state()["group"])

    def test_no_mail(self):
        answers = [("Deploy to", "y"), ("Press Enter", ""), ("Did the test mail arrive", "n")]
        run = self.fails(
            self.run_in_terminal("--agent-config", "agent.toml", answers=answers),
            "Spam folder",
            "Resend",
            "The alert rules are active. The test mail did not arrive: until it does, possibly only the subscription's owners get mails",
            "ispmon-agent run --config",
            "--infra-only",
        )
        # The rules are active: the agent must be able to send, whatever happens to the mail.
        self.assertTrue(os.path.exists(self.path("agent.toml")))
        self.assertEqual(len([call for call in self.state()["calls"] if "ispmon-rules" in call and "create" in call]), 1, run.output)
        self.write(".env", fixtures.ENVIRONMENT + "ALERT_OWNERS=false\n")
        self.fails(self.run_in_terminal(answers=answers), "did not arrive: until it does, possibly nobody gets mails")


class Package(DeployTest):
    """The package: built twice, its layout, and whether the function starts from it."""

    def built(self, *arguments):
        self.fails(self.run_script(*arguments, yes=False, package=False), "must be confirmed, but standard input is not a terminal")
        line = next(line for line in self.outputs[-1].splitlines() if "Package: " in line)
        return line.split("Package: ")[1]

    def test_two_builds_give_the_same_bytes(self):
        if not BUILD:
            self.skipTest("Rust has no library for x86_64-unknown-linux-musl here")
        with open(self.built(), "rb") as file:
            first = file.read()
        with open(self.built(), "rb") as file:
            self.assertEqual(first, file.read())

    def test_layout_and_modes(self):
        with zipfile.ZipFile(fixtures.PACKAGE) as package:
            modes = {entry.filename: oct(entry.external_attr >> 16) for entry in package.infolist()}
        self.assertEqual(
            modes,
            {
                "Outages/function.json": "0o100644",
                "Ping/function.json": "0o100644",
                "host.json": "0o100644",
                "ispmon-function": "0o100755",
            },
        )

    def test_a_repacked_zip(self):
        with zipfile.ZipFile(fixtures.PACKAGE) as package:
            files = {entry.filename: (package.read(entry), entry.external_attr) for entry in package.infolist()}

        def pack(method=zipfile.ZIP_DEFLATED, folder=""):
            with zipfile.ZipFile(self.path("x.zip"), "w") as package:
                for name, (data, attributes) in files.items():
                    entry = zipfile.ZipInfo(folder + name)
                    entry.external_attr = attributes
                    package.writestr(entry, data, method)
            with open(self.path("x.zip"), "rb") as file:
                return bytearray(file.read())

        def marked(data, offset, value):
            """Returns the zip with a field changed in each entry and in its directory entry."""
            for signature, at in ((b"PK\x01\x02", offset), (b"PK\x03\x04", offset - 2)):
                start = data.find(signature)
                while start >= 0:
                    data[start + at : start + at + 2] = value.to_bytes(2, "little")
                    start = data.find(signature, start + 4)
            return bytes(data)

        def refused(*words):
            self.fails(self.run_script("--zip", "x.zip", package=False), *words, "Nothing was created", status=65)

        damaged = pack()
        middle = len(damaged) // 2
        damaged[middle : middle + 400] = bytes(400)
        self.write("x.zip", bytes(damaged))
        refused("it is damaged")
        self.write("x.zip", marked(pack(), 8, 1))
        refused("is encrypted")
        self.write("x.zip", marked(pack(), 10, 9))
        refused("has a compression method that Azure does not support")
        pack(zipfile.ZIP_LZMA)
        refused("has a compression method that Azure does not support")
        pack(folder="ispmon-function/")
        refused("its files are in the folder ispmon-function/")
        with zipfile.ZipFile(self.path("x.zip"), "w") as package:
            package.write(fixtures.PACKAGE, "ispmon-function.zip")
        refused("it contains another zip, ispmon-function.zip")
        os.remove(self.path("x.zip"))
        os.mkdir(self.path("x.zip"))
        refused("it is a folder")
        os.rmdir(self.path("x.zip"))
        pack()
        self.succeeds(self.run_script("--zip", "x.zip", package=False))

    def test_a_binary_that_azure_cannot_start_is_refused(self):
        with zipfile.ZipFile(fixtures.PACKAGE) as package:
            files = {entry.filename: (package.read(entry), entry.external_attr) for entry in package.infolist()}

        def refused(change, text):
            changed = dict(files)
            change(changed)
            with zipfile.ZipFile(self.path("x.zip"), "w") as package:
                for name, (data, attributes) in changed.items():
                    entry = zipfile.ZipInfo(name)
                    entry.external_attr = attributes
                    package.writestr(entry, data)
            self.fails(self.run_script("--zip", "x.zip", package=False), text, status=65)

        binary, mode = files["ispmon-function"]
        arm = binary[:18] + b"\xb7\x00" + binary[20:]
        refused(lambda files: files.pop("host.json"), "it lacks host.json")
        refused(lambda files: files.update({"ispmon-function": (binary, 0o100644 << 16)}), "executable bit")
        refused(lambda files: files.update({"ispmon-function": (arm, mode)}), "not built for x86-64")
        refused(lambda files: files.update({"ispmon-function": (b"#!/bin/sh\n", mode)}), "not a Linux program")
        self.write("x.zip", "no zip")
        self.fails(self.run_script("--zip", "x.zip", package=False), "not a package of the function", status=65)
        self.fails(self.run_script("--zip", "missing.zip", package=False), "missing.zip does not exist", status=66)

