"""The user's own configuration of az has no effect."""

import os

from fixtures import DeployTest

CONFIGURATION = """[core]
output = {output}
[defaults]
group = other-group
location = moonbase
web = other-app
[logging]
enable_log_file = yes
"""


class Configuration(DeployTest):
    def use(self, **variables):
        """Gives az a folder with the user's configuration, and more of it in variables."""
        os.makedirs(self.path("azure"), exist_ok=True)
        with open(os.path.join(os.environ["ISPMON_TEST_AZURE"], "azureProfile.json"), encoding="utf-8") as file:
            self.write("azure/azureProfile.json", file.read())
        self.exported = {"AZURE_CONFIG_DIR": self.path("azure"), **variables}
        self.plan(defaults=["other-group", "moonbase", "other-app"])

    def run_all(self):
        self.succeeds(self.run_script("--what-if"))
        self.succeeds(self.run_script("--agent-config", "agent.toml"))
        self.assert_deployed()
        self.assertIn("SUMMARY: 0 failed", self.run_script("--check").output)
        self.succeeds(self.run_script("--destroy"))
        self.assertIsNone(self.state()["group"])

    def test_files(self):
        for output in ("table", "yaml"):
            with self.subTest(output):
                self.use()
                self.write("azure/config", CONFIGURATION.format(output=output))
                self.run_all()
                self.ask("close")

    def test_variables(self):
        self.use(AZURE_CORE_OUTPUT="jsonc", AZURE_DEFAULTS_GROUP="other-group", AZURE_DEFAULTS_LOCATION="moonbase")
        self.run_all()

    def test_a_call_without_a_clear_answer_ends_the_script(self):
        self.plan(exists="perhaps")
        run = self.fails(self.run_script(), 'az returned "perhaps"', "Nothing was created")
        self.assertNotIn("Package", run.output)
        self.assertIsNone(self.state()["group"])


class Unread(DeployTest):
    """The script does not report anything as correct that it could not read."""

    def test_roles(self):
        self.plan(dropping=True, failures=[{"match": "roleAssignments", "message": "(AuthorizationFailed) no right"}])
        run = self.fails(self.run_script(), "cannot be queried", "could not be read and may be the cause", "the app's roles (ERROR: (AuthorizationFailed) no right")
        self.assertNotIn("cap are correct", run.output)

    def test_settings_and_cap(self):
        self.plan(
            dropping=True,
            failures=[
                {"match": "appsettings list", "message": "(AuthorizationFailed) no right"},
                {"match": "log-analytics workspace show", "message": "(InternalError) not now"},
            ],
        )
        self.fails(self.run_script(), "the app's settings (", "the workspace's daily cap (")

    def test_whether_rules_were_deployed(self):
        self.succeeds(self.run_script())
        self.plan(failures=[{"match": "deployment group show --resource-group ispmon --name ispmon-rules", "message": "(AuthorizationFailed) no right"}])
        run = self.fails(self.run_script("--check", yes=False), "Reading the deployment of the alert rules failed")
        self.assertNotIn("No alert rule was deployed", run.output)

    def test_code_that_never_responds(self):
        self.plan(cold=10**6, failures=[{"match": "roleAssignments", "message": "(AuthorizationFailed) no right"}])
        self.fails(self.run_script(), "does not work", "the app's roles (")
