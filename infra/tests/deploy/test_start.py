"""How the script is called, and the variables that the user's shell exports."""

import os
import shutil
import subprocess

import fixtures
from fixtures import DeployTest


class Start(DeployTest):
    def call(self, script, *arguments, shell=None, folder=None):
        """Calls the script by another path, in the folder of the test."""
        shell = shell or os.environ.get("ISPMON_TEST_BASH", "bash")
        process = subprocess.run(
            [shell, script, "--zip", fixtures.PACKAGE, *(arguments or ("--what-if",))],
            cwd=folder or self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        return process.returncode, process.stdout.decode()

    def test_cdpath(self):
        self.plan()
        os.symlink(os.path.join(fixtures.ROOT, "infra"), self.path("infra"))
        self.exported["CDPATH"] = f".:{os.path.dirname(self.folder)}"
        self.succeeds(self.note(*self.call("infra/deploy.sh")))

    def test_links(self):
        self.plan()
        os.makedirs(self.path("links"))
        os.symlink(fixtures.SCRIPT, self.path("links/first"))
        os.symlink("links/first", self.path("deploy"))
        self.succeeds(self.note(*self.call("./deploy")))

    def test_commands_in_messages_can_be_pasted(self):
        self.plan(login="none")
        os.symlink(os.path.join(fixtures.ROOT, "infra"), self.path("in fra"))
        status, output = self.call("./in fra/deploy.sh", "--agent-config", "my agent.toml")
        self.fails(self.note(status, output), f"./in\\ fra/deploy.sh --zip {fixtures.PACKAGE} --agent-config my\\ agent.toml")
        os.symlink(os.path.join(fixtures.ROOT, "infra/deploy.sh"), self.path("deploy.sh"))
        self.fails(self.note(*self.call("deploy.sh")), "then bash deploy.sh --zip")
        self.plan()
        run = self.succeeds(self.run_script("--agent-config", "my agent.toml"))
        self.assertIn("/my\\ agent.toml\n", run.output)

    def test_other_shells(self):
        status, output = self.call(fixtures.SCRIPT, shell="dash")
        self.assertEqual((status, output), (64, f"deploy.sh: this script needs bash. Run: bash {fixtures.SCRIPT}\n"))
        self.plan()
        self.exported["POSIXLY_CORRECT"] = "yes"
        self.succeeds(self.note(*self.call(fixtures.SCRIPT)))

    def test_a_part_that_is_missing(self):
        shutil.copy(fixtures.SCRIPT, self.path("deploy.sh"))
        status, output = self.call("./deploy.sh")
        self.assertEqual(status, 1, output)
        self.assertEqual(len(output.strip().split("\n")), 1, output)
        self.assertIn("output.sh", output)

    def test_names_that_the_script_uses_itself(self):
        for name in ("url", "app", "container", "answer", "failure", "azure_state", "next", "script", "rerun", "subscription", "group_tag", "unseen", "PROVIDERS"):
            self.exported[name] = "nonsense"
        self.succeeds(self.run_script())
        self.assert_deployed()
