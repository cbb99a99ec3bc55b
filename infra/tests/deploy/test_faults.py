"""A call that fails, a kill at any step: what the script prints, and that the next run succeeds."""

import json
import os
import shutil
import signal
import subprocess
import time

import fixtures
from fixtures import DeployTest

CHANGES = ("provider register", "group create", "deployment group create", "config-zip", "keys set", "test-notifications")


def is_change(call):
    return any(change in call for change in CHANGES)


def shape(call):
    """Returns the kind of a call, without the parts that differ between runs."""
    words = []
    for word in call.split():
        if word.startswith("-"):
            break
        words.append(word)
    what = " ".join(words)
    for name in ("ispmon-resources", "ispmon-rules", "/query", "/permissions", "/scheduledQueryRules"):
        if name in call:
            what += " " + name
    return what


class EveryStep(DeployTest):
    def steps(self):
        """Returns the number and the text of the first call of each kind in a successful run."""
        self.plan(registered=fixtures.ALL_PROVIDERS[1:])
        self.succeeds(self.run_script("--agent-config", "agent.toml"))
        first = {}
        for number, call in enumerate(self.state()["calls"], 1):
            first.setdefault(shape(call), number)
        self.ask("close")
        return sorted(first.items(), key=lambda step: step[1])

    def inject(self, fault):
        """Executes a first run with a fault, in a new subscription."""
        self.plan(registered=fixtures.ALL_PROVIDERS[1:], fault=fault)
        run = self.run_script("--agent-config", "agent.toml")
        self.assert_no_secret_is_shown()
        for name in os.listdir(self.temporary):
            # Only a killed script leaves its temporary folder behind, which is readable only by its owner.
            self.assertEqual(run.status, -signal.SIGKILL, run.output)
            self.assertEqual(os.stat(os.path.join(self.temporary, name)).st_mode & 0o077, 0)
            shutil.rmtree(os.path.join(self.temporary, name))
        return run

    def rerun(self):
        """Asserts that the next run, without a fault, activates the rules."""
        self.plan(registered=fixtures.ALL_PROVIDERS[1:])
        self.succeeds(self.run_script("--agent-config", "agent.toml"))
        state = self.assert_deployed()
        self.assertEqual(state["mails"][-1], "me@contoso.com")
        with open(self.path("agent.key"), encoding="utf-8") as file:
            self.assertIn(file.read().strip(), state["secrets"])
        self.assert_no_secret_is_shown()

    def test_a_failure_of_each_call(self):
        rerun = set()
        for name, number in self.steps():
            with self.subTest(name):
                first = self.inject({"at": number, "when": "before", "message": "(InvalidRequest) injected fault"})
                if "keys list" in name:
                    # While an app starts its keys cannot be read, so the script tries again.
                    self.succeeds(first)
                elif "test-notifications" in name:
                    # A test mail that cannot be sent does not mean that the rules do not work.
                    self.assertIn("did not send the test mail", first.output)
                else:
                    self.fails(first, "injected fault")
                # For the next run only the changes by the first one matter.
                changed = tuple(shape(call) for call in self.state()["calls"] if is_change(call))
                if changed not in rerun:
                    rerun.add(changed)
                    self.rerun()
            self.ask("close")

    def test_a_kill_after_each_change(self):
        # Kills between the same two changes are equivalent for the next run, whatever was read in between.
        for name, number in self.steps():
            if is_change(name):
                with self.subTest(name):
                    self.assertEqual(self.inject({"at": number, "when": "after"}).status, -signal.SIGKILL)
                    self.rerun()
                self.ask("close")

    def test_a_kill_while_the_heartbeat_is_sent(self):
        self.write("kill-curl", "")
        self.assertEqual(self.run_script().status, -signal.SIGKILL)
        shutil.rmtree(self.temporary)
        os.mkdir(self.temporary)
        self.succeeds(self.run_script())
        self.assert_deployed()

    def test_an_interrupt_prints_what_exists(self):
        self.plan(failures=[{"match": "config-zip", "hang": True, "message": ""}])
        process = subprocess.Popen(
            self.command("--yes"),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for line in process.stdout:
            if b"Uploading" in line:
                break
        while not any("config-zip" in call for call in self.state()["calls"]):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        output = process.stdout.read().decode()
        run = self.note(process.wait(), output)
        self.fails(run, "Interrupted", "with its resources", "continues where this run stopped", status=130)
        self.assertEqual(os.listdir(self.temporary), [])


class Upload(DeployTest):
    def plan_failures(self, *failures, **more):
        self.plan(failures=[{"match": match, "message": message, "times": times} for match, message, times in failures], **more)

    def uploads(self):
        return sum("config-zip" in call for call in self.state()["calls"])

    def test_transient_failures_are_retried(self):
        for message in (
            "Operation returned an invalid status 'Forbidden' (403)",
            "Deployment was partially successful. These are the deployment logs.",
            "(409) Conflict: another deployment is in progress",
        ):
            with self.subTest(message):
                self.plan_failures(("config-zip", message, 3))
                self.succeeds(self.run_script())
                self.assertEqual(self.uploads(), 4)
                self.assert_deployed()
                self.ask("close")

    def test_a_refused_upload_uses_resource_manager(self):
        self.plan_failures(("config-zip", "Status Code: 503, Details: Service Unavailable", 99))
        run = self.succeeds(self.run_script())
        self.assertEqual(self.uploads(), 3)
        self.assertIn("Resource Manager has deployed the code", run.output)
        self.assert_deployed()

    def test_deploying_by_resource_manager_needs_a_role(self):
        self.plan_failures(
            ("config-zip", "Status Code: 503, Details: Service Unavailable", 99),
            ("storage blob upload", "You do not have the required permissions needed to perform this operation.", 99),
        )
        self.fails(self.run_script(), "Storage Blob Data Contributor")

    def test_the_heartbeat_decides_not_the_status_of_az(self):
        # The code is there although az reports a failure: the first upload succeeded, the second returns
        # nonsense.
        self.succeeds(self.run_script())
        for message in ("the function app appears to be unhealthy", "Failed to fetch host key to check for function app status"):
            self.plan_failures(("config-zip", message, 99))
            self.succeeds(self.run_script())
        self.plan(failures=[{"match": "config-zip", "hang": True, "message": ""}])
        run = self.succeeds(self.run_script())
        self.assertIn("did not finish within 7 minutes", run.output)

    def test_a_cold_app_is_waited_for(self):
        self.plan(cold=5)
        self.succeeds(self.run_script())
        self.assert_deployed()

    def test_keys_that_cannot_be_read_yet(self):
        self.plan_failures(("keys list", "Operation returned an invalid status 'Bad Request'", 5))
        self.succeeds(self.run_script())

    def test_code_that_never_responds(self):
        self.plan(cold=10**6, settings={"AzureWebJobsStorage": "SECRET-connection-string"}, roles=[])
        self.fails(
            self.run_script(),
            "does not work after ten minutes",
            "the code is missing",
            "Storage Blob Data Owner",
            "overrides its identity",
        )


class Ingestion(DeployTest):
    """The function responds, but its line never arrives."""

    def reason(self, *words, **plan):
        self.plan(dropping=True, **plan)
        run = self.fails(self.run_script(), "cannot be queried", *words)
        self.assertNotIn("ispmon-rules", "".join(self.state()["calls"]))
        return run

    def test_role(self):
        self.reason("Monitoring Metrics Publisher", roles=["Storage Blob Data Owner"])

    def test_log_level(self):
        name = "AzureFunctionsJobHost__logging__logLevel__default"
        self.reason(name, "log level", settings={name: "Error"})

    def test_sampling(self):
        name = "AzureFunctionsJobHost__logging__applicationInsights__samplingSettings__isEnabled"
        self.reason(name, "sampling", settings={name: "true"})

    def test_cap(self):
        self.reason("DAILY_CAP_GB", ingestion="OverQuota")

    def test_nothing_found(self):
        self.reason("half an hour")


class Rules(DeployTest):
    def test_a_query_refused_at_one_minute(self):
        self.write(".env", fixtures.ENVIRONMENT + "EVALUATION_MINUTES=1\n")
        for message in (
            "(BadRequest) QueryNotContainKnownTable: the query must refer to a known table",
            "One-minute frequency is not supported for this query",
            "The request is not supported",
        ):
            # Only the deployment with the rules, which is the second one.
            self.plan(failures=[{"match": "--name ispmon-rules", "message": message}])
            run = self.fails(self.run_script(), "Set EVALUATION_MINUTES=5", "accepts heartbeats")
            self.assertIn("rules are missing", run.output)

    def test_only_silence_is_evaluated_every_minute(self):
        self.write(".env", fixtures.ENVIRONMENT + "EVALUATION_MINUTES=1\n")
        self.assertNotIn("evaluated every", self.succeeds(self.run_script()).output)

    def test_a_deployment_that_still_runs_is_waited_for(self):
        message = "(DeploymentActive) Unable to edit or replace deployment 'ispmon-resources': previous deployment is still active"
        self.plan(failures=[{"match": "deployment group create", "message": message, "times": 2}])
        run = self.succeeds(self.run_script())
        self.assertIn("Another deployment is still running", run.output)

    def test_rules_that_differ_from_the_expected_ones(self):
        for tamper, words in (
            ({"enabled": False}, "it is disabled"),
            ({"autoMitigate": None}, "autoMitigate: None, must be True"),
            ({"muteActionsDuration": "PT5M"}, "muteActionsDuration: 'PT5M', must be None"),
            ({"windowSize": "PT1M"}, "window is shorter"),
            # An unforeseen format: the script prints a sentence, not a stack trace.
            ({"criteria": {"allOf": [{}]}}, "The rules could not be parsed"),
        ):
            with self.subTest(words):
                self.plan(tamper=tamper)
                self.fails(self.run_script(), "The deployed rules differ from the templates", words)

    def test_more_devices_than_fit_into_one_rule(self):
        names = ["dl-home", *(f"d{number}" for number in range(1, 230))]
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", ",".join(names)))
        self.ask("rows", lines=[self.heartbeat(name) for name in names])
        self.succeeds(self.run_script("--infra-only"))
        self.assertIn("ispmon-device-silent-2", self.state()["rules"])

    def heartbeat(self, device):
        return json.dumps({"event": "heartbeat", "device": device}, separators=(",", ":"))

    def test_a_test_mail_that_azure_does_not_send(self):
        self.plan(failures=[{"match": "test-notifications", "message": "(Conflict) Operation is not allowed"}])
        run = self.succeeds(self.run_script())
        self.assertIn("Azure did not send the test mail", run.output)


class Check(DeployTest):
    def setUp(self):
        super().setUp()
        self.succeeds(self.run_script())

    def heartbeat(self, boot, device="dl-home"):
        return json.dumps({"event": "heartbeat", "device": device, "boot": boot}, separators=(",", ":"))

    def check(self, *words, status=0, **plan):
        self.plan(**plan)
        run = self.run_script("--check", yes=False)
        self.assertEqual(run.status, status, run.output)
        for text in words:
            self.assertIn(text, run.output)

    def test_all_is_well(self):
        self.check('Device "dl-home": never seen', "WARN", "SUMMARY: 0 failed, 1 warnings")
        self.ask("rows", lines=[self.heartbeat("b1")])
        self.check(
            'PASS  Device "dl-home": last heartbeat 2',
            "PASS  Rule health: ispmon-device-silent is available",
            "PASS  Rule health: ispmon-daily-cap is available",
            "PASS  App settings",
            "PASS  Action group: sends mails to me@contoso.com",
            "PASS  Two machines with one name: none",
            'PASS  Raw row begins with {"event":"heartbeat"',
            "SUMMARY: 0 failed, 0 warnings",
        )
        self.assertFalse([call for call in self.state()["calls"][-16:] if " create" in call or " set " in call])

    def test_what_is_wrong_is_named(self):
        self.check("Rule health: ispmon-outage-report is Degraded", status=1, health="Degraded")
        self.check("WARN  Rule health: ispmon-daily-cap is not known yet", no_health=["ispmon-daily-cap"])
        self.check("sends no mails to me@contoso.com", status=1, receivers=["old@contoso.com"])
        self.check("a connection string overrides the identity", status=1, settings={"AzureWebJobsStorage": "SECRET-string"})
        self.check("overrides host.json", settings={"AzureFunctionsJobHost__logging__logLevel__default": "Error"})

    def test_two_machines_with_one_name(self):
        self.ask("rows", lines=[self.heartbeat(boot) for boot in ("b1", "b2", "b1", "b2")], minutes=15)
        self.check('Two machines send heartbeats as "dl-home"', status=1)

    def test_a_reboot_is_not_a_second_machine(self):
        self.ask("rows", lines=[self.heartbeat(boot) for boot in ("b1", "b1", "b2", "b2")], minutes=15)
        self.check("Two machines with one name: none")


class Destroy(DeployTest):
    def test_a_group_with_other_resources_is_kept(self):
        self.succeeds(self.run_script())
        self.write(".env", fixtures.ENVIRONMENT + "PREFIX=other\n")
        self.fails(self.run_script("--destroy"), "was created with PREFIX=ispmon", "--force")
        self.assertIsNotNone(self.state()["group"])
        self.succeeds(self.run_script("--destroy", "--force"))
        self.ask("close")
        self.plan(group={"name": "ispmon", "location": "westeurope", "tags": None})
        self.fails(self.run_script("--destroy"), "was not created by this script", "--force")

    def test_the_name_has_to_be_typed(self):
        self.succeeds(self.run_script())
        self.fails(self.run_in_terminal("--destroy", answers=[("Type the name", "ispmon2")]), "nothing was deleted")
        self.succeeds(self.run_in_terminal("--destroy", answers=[("Type the name", "ispmon")]))
        self.assertIsNone(self.state()["group"])
