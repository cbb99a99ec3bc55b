"""The agents' configurations: their paths, and what happens to one that the user has edited."""

import os
import stat
import subprocess
import sys
import tomllib

import fixtures
from fixtures import DeployTest


class AgentConfig(DeployTest):
    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def has_key(self, name):
        self.assertIn(self.read(name).strip(), self.state()["secrets"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), 0o600)

    def test_an_edited_configuration_is_kept(self):
        self.succeeds(self.run_script("--agent-config", "agent.toml"))
        written = self.read("agent.toml")
        edited = written + 'interval = "120s"\n\n[probe]\ninterval = "60s"\n'
        self.write("agent.toml", "# mine\n" + edited)
        self.write("agent.key", "old")
        run = self.succeeds(self.run_script("--code-only", "--agent-config", "agent.toml"))
        self.assertEqual(self.read("agent.toml"), "# mine\n" + edited)
        self.assertIn(f"agent.toml, its key in {self.path('agent.key')}. The configuration was edited, so it was not changed.", run.output)
        self.has_key("agent.key")
        self.write("agent.toml", edited.replace(self.path("agent.key"), "/etc/ispmon/heartbeat.key"))
        run = self.succeeds(self.run_script("--code-only", "--agent-config", "agent.toml"))
        self.assertIn("it reads its key from /etc/ispmon/heartbeat.key: set key_file, or copy the key", run.output)
        self.assertFalse([name for name in os.listdir(self.folder) if ".bak" in name])

    def test_a_single_edited_value_is_kept_too(self):
        self.succeeds(self.run_script("--agent-config", "agent.toml"))
        edited = self.read("agent.toml").replace(self.path("agent.key"), "/etc/ispmon/heartbeat.key")
        self.write("agent.toml", edited)
        run = self.succeeds(self.run_script("--code-only", "--agent-config", "agent.toml"))
        self.assertEqual(self.read("agent.toml"), edited)
        self.assertIn("it reads its key from /etc/ispmon/heartbeat.key: set key_file, or copy the key", run.output)

    def test_a_configuration_of_another_deployment_is_renamed(self):
        olds = (
            "device = 'dl-home'\n[heartbeat]\nurl = 'https://old.example/api/ping'\n",
            "device = 'cabin' # mine\n",
            f'device = "cabin"\n\n[heartbeat]\nurl = "https://old/api/ping"\nkey_file = "{self.path("agent.key")}"\n',
        )
        for text, backup in zip(olds, ("agent.toml.bak", "agent.toml.bak2", "agent.toml.bak3")):
            self.write("agent.toml", text)
            run = self.succeeds(self.run_script("--agent-config=agent.toml"))
            self.assertIn(f"for another device or URL, is now {self.path(backup)}.", run.output)
            self.assertEqual(self.read(backup), text)
            self.assertEqual(tomllib.loads(self.read("agent.toml"))["heartbeat"]["url"], self.state()["url"])
        self.assertEqual(self.read("agent.toml.bak"), olds[0])
        self.assertFalse([name for name in os.listdir(self.folder) if ".key." in name])

    def test_its_key_is_renamed_with_it(self):
        old = 'device = "dl-home"\n\n[heartbeat]\nurl = "https://old.example/api/ping"\nkey_file = "./agent.key"\n'
        self.write("agent.toml", old)
        self.write("agent.toml.bak", "older")
        self.write("agent.key", "old key\n")
        run = self.succeeds(self.run_script("--agent-config", "agent.toml"))
        self.assertIn(f"is now {self.path('agent.toml.bak2')}, its key {self.path('agent.key.bak2')}.", run.output)
        self.assertEqual((self.read("agent.toml.bak"), self.read("agent.toml.bak2")), ("older", old))
        self.assertEqual(self.read("agent.key.bak2"), "old key\n")
        self.has_key("agent.key")
        # Both are correct now, so another run renames nothing.
        before = sorted(os.listdir(self.folder))
        self.succeeds(self.run_script("--code-only", "--agent-config", "agent.toml"))
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_the_configuration_of_the_service(self):
        if sys.platform != "linux":
            self.skipTest("the steps are for Linux")
        run = self.succeeds(self.run_script("--agent-config", "my agent.toml"))
        given = ("my agent.toml", "my agent.key")
        copies = ("/etc/ispmon/agent.toml", "/etc/ispmon/heartbeat.key")
        steps = run.output.partition("run this where both files are:\n\n")[2].partition("\n\n")[0]
        self.assertIn("systemctl restart ispmon-agent", steps)
        for copy in copies:
            steps = steps.replace(copy, self.path(os.path.basename(copy)))
        self.program("systemctl", "exit 0\n")
        self.program("sudo", 'exec "$@"\n')
        result = subprocess.run(["sh", "-euc", steps], env=self.environment(), capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("agent.toml")).st_mode), 0o644)
        self.has_key("heartbeat.key")
        self.assertEqual(self.read("heartbeat.key"), self.read(given[1]))
        # The configuration must not refer the service to a file that it cannot read.
        left = tomllib.loads(self.read(given[0]))
        del left["heartbeat"]["key_file"]
        self.assertEqual(tomllib.loads(self.read("agent.toml")), left)

    def test_many_devices_need_one_confirmation_and_one_process(self):
        names = ["dl-home", *(f"d{number}" for number in range(30))]
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", ",".join(names)))
        run = self.succeeds(self.run_script("--agent-config", "agent.toml"))
        self.assertIn("Agents: 31 configurations", run.output)
        for name in names:
            self.assertEqual(tomllib.loads(self.read(f"agent-{name}.toml"))["device"], name)
            self.has_key(f"agent-{name}.key")
        # One for the names, one for the test heartbeats, one for the configurations.
        self.assertEqual(sum("keys list" in call for call in self.state()["calls"]), 3)
        self.assertEqual(self.read("python.log").count("agent-config.py"), 1)


class Options(DeployTest):
    def refused(self, *arguments):
        run = self.run_script(*arguments, package=False, yes=False)
        self.assertEqual(run.status, 64, run.output)
        self.assertEqual(self.state()["calls"], [])
        return run.output

    def test_an_option_is_not_taken_as_a_file(self):
        self.assertIn('"--check" looks like an option', self.refused("--agent-config", "--check"))
        self.assertIn('"--yes" looks like an option', self.refused("--zip", "--yes"))
        self.assertIn("needs a file", self.refused("--agent-config", ""))

    def test_a_path_that_cannot_be_written(self):
        self.assertIn("the folder /no/such/folder does not exist", self.refused("--agent-config", "/no/such/folder/agent.toml"))
        self.assertIn("is a folder", self.refused("--agent-config", self.folder))
        self.assertIn("is a folder", self.refused("--agent-config=."))

    def test_a_folder_of_another_user(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        self.assertIn("no write permission", self.refused("--agent-config", "/usr/agent.toml"))

    def test_values_after_an_equals_sign(self):
        run = self.fails(self.run_script("--zip=none.zip", package=False), "none.zip does not exist", status=66)
        self.assertIn("--zip none.zip", run.output)
