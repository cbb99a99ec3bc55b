"""Whether the script reports correctly that the rules are active, and which resources of earlier deployments it
lists."""

import json

import fixtures
from fixtures import DeployTest

OFF = fixtures.ENVIRONMENT + "RULES_ENABLED=false\n"


class AlertState(DeployTest):
    def test_without_rules(self):
        self.write(".env", OFF)
        run = self.succeeds(self.run_script())
        self.assertEqual(self.state()["rules"], [])
        self.assertIn("The alert rules are disabled (RULES_ENABLED=false)", run.output)
        self.assertNotIn("The alert rules are active", run.output)
        check = self.run_script("--check")
        self.assertEqual(check.status, 1)
        self.assertIn("FAIL  No alert rule is active, because RULES_ENABLED=false", check.output)
        self.assertIn("set RULES_ENABLED=true in ./.env", check.output)

    def test_rules_that_are_no_longer_wanted(self):
        for option in ((), ("--infra-only",)):
            self.write(".env", fixtures.ENVIRONMENT)
            self.assertIn("The alert rules are active", self.succeeds(self.run_script()).output)
            self.assertIn("ispmon-device-silent", self.state()["enabled"])
            self.write(".env", OFF)
            self.assertIn("WARN  RULES_ENABLED=false, but these rules are active", self.run_script("--check").output)
            run = self.succeeds(self.run_script(*option))
            self.assertIn("Disabled: ispmon-device-silent", run.output)
            self.assertIn("The alert rules are disabled", run.output)
            self.assertFalse([name for name in self.state()["enabled"] if not name.endswith("-daily-cap")])

    def test_rules_of_another_prefix_are_not_disabled(self):
        self.write(".env", fixtures.ENVIRONMENT + "PREFIX=ispmon-b\n")
        self.succeeds(self.run_script())
        self.write(".env", OFF)
        self.succeeds(self.run_script("--force"))
        self.assertIn("ispmon-b-device-silent", self.state()["enabled"])

    def test_what_if_omits_the_rules(self):
        self.succeeds(self.run_script())
        self.write(".env", OFF)
        self.succeeds(self.run_script("--what-if"))
        self.assertEqual(self.state()["settings"]["RULES_ENABLED"], "false")

    def test_code_without_rules_is_not_reported_as_active(self):
        run = self.succeeds(self.run_script("--infra-only"))
        self.assertIn("No alert rule about silence is active", run.output)
        run = self.succeeds(self.run_script("--code-only"))
        self.assertIn("No alert rule about silence is active", run.output)
        self.assertIn("The alert rules are active", self.succeeds(self.run_script()).output)
        self.assertIn("The alert rules are active", self.succeeds(self.run_script("--code-only")).output)


class ObsoleteResources(DeployTest):
    """A deployment deletes nothing, so the script must list what is no longer wanted."""

    def heartbeat(self, device):
        return json.dumps({"event": "heartbeat", "device": device}, separators=(",", ":"))

    def test_devices_that_were_removed(self):
        names = ["dl-home", *(f"d{number}" for number in range(1, 230))]
        self.ask("rows", lines=[self.heartbeat(name) for name in names])
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", ",".join(names)))
        run = self.succeeds(self.run_script("--infra-only"))
        self.assertNotIn("is left from", run.output)
        self.write(".env", fixtures.ENVIRONMENT)
        run = self.succeeds(self.run_script("--infra-only"))
        for name in ("ispmon-device-silent-2", "ispmon-device-silent-reminder-2", "ispmon-outage-report-2"):
            self.assertIn(f"WARNING: The rule {name} is left from", run.output)
            self.assertRegex(run.output, f"az resource delete --ids /subscriptions/[^ ]*/{name}\n")
        check = self.run_script("--check")
        self.assertEqual(check.status, 1)
        self.assertIn("FAIL  The rule ispmon-device-silent-2 is left from", check.output)
        self.assertNotIn("The rule ispmon-device-silent is", check.output)

    def test_a_budget_that_is_no_longer_wanted(self):
        past, month, future = "2026-09-01", "2026-11-01", "2027-01-01"
        self.write("month", f"{month}\n")
        budget = fixtures.ENVIRONMENT + "BUDGET_AMOUNT=5\nBUDGET_START="
        self.write(".env", f"{budget}{past}\n")
        self.fails(self.run_script(), "a new budget cannot begin before this month", f"set BUDGET_START={month}")
        self.assertIsNone(self.state()["group"])
        self.write(".env", f"{budget}{month}\n")
        self.assertNotIn("budget", self.succeeds(self.run_script()).output)
        self.write(".env", f"{budget}{future}\n")
        self.fails(self.run_script(), f"the existing budget begins at {month}")
        self.write(".env", fixtures.ENVIRONMENT)
        run = self.run_script("--check")
        self.assertIn("FAIL  The budget ispmon-budget is left from", run.output)
        self.assertIn("az rest --method delete --url", run.output)
