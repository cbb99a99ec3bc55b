"""For which devices an hour of silence is announced: the new ones only."""

import importlib.util
import json
import os

import fixtures
from fixtures import DeployTest


def line(device, boot="b1", prefix="", **more):
    return prefix + json.dumps({"event": "heartbeat", "device": device, "boot": boot, **more}, separators=(",", ":"))


class AnnouncedSilence(DeployTest):
    def announced(self, *arguments):
        """Returns the devices for which a run of the script announces silence."""
        before = len(self.state()["rows"])
        self.succeeds(self.run_script(*arguments))
        rows = [json.loads(row) for row in self.state()["rows"][before:]]
        self.assertTrue(all(row["quiet_s"] >= 3600 for row in rows if row["device"] != "ispmon-deploy"))
        return [row["device"] for row in rows if row.get("quiet_s")]

    def test_no_silence_is_announced_for_a_silent_device_with_a_rule(self):
        # Otherwise its alert would resolve with a mail, and fire again an hour later.
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", "'dl-home, it\\s, 007'"))
        self.assertEqual(self.announced(), ["dl-home", "it\\s", "007"])
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", "'DL-Home, it\\s, 007, office'"))
        self.assertEqual(self.announced("--infra-only"), ["office"])
        for options in ((), ("--infra-only",), ("--code-only",)):
            self.assertEqual(self.announced(*options), [], options)

    def test_a_restored_workspace_with_old_rows(self):
        # Address and keys are new, so the agents cannot send before they have their new configuration.
        self.ask("rows", lines=[line("dl-home", seq=7)], age=3600)
        self.assertEqual(self.announced(), ["dl-home"])

    def test_no_silence_is_announced_for_a_device_that_sends_heartbeats(self):
        self.ask("rows", lines=[line("DL-home ")], age=300)
        self.assertEqual(self.announced(), [])

    def test_a_prefix_before_the_line_changes_nothing(self):
        self.ask("rows", lines=[line("dl-home", prefix="[Information] ")], age=300)
        self.assertEqual(self.announced(), [])

    def test_an_announced_silence_is_not_shortened(self):
        self.ask("rows", lines=[line("dl-home", seq=8, quiet_s=36000)], age=7200)
        self.assertEqual(self.announced(), [])

    def test_disabled_rules_do_not_count(self):
        self.succeeds(self.run_script())
        self.write(".env", fixtures.ENVIRONMENT + "RULES_ENABLED=false\n")
        self.succeeds(self.run_script("--infra-only"))
        self.write(".env", fixtures.ENVIRONMENT)
        self.assertEqual(self.announced("--infra-only"), ["dl-home"])


class Prefix(DeployTest):
    """All queries skip a prefix that a later host might write before the JSON."""

    def test_check(self):
        self.succeeds(self.run_script())
        self.ask("rows", lines=[line("dl-home", boot, prefix="[Information] ") for boot in ("b1", "b2", "b1", "b2")], minutes=15)
        run = self.run_script("--check", yes=False)
        self.assertIn('PASS  Device "dl-home": last heartbeat 2', run.output)
        self.assertIn('Two machines send heartbeats as "dl-home"', run.output)
        self.assertIn('PASS  Raw row begins with [Information] {"event":"heartbeat"', run.output)
        self.assertIn("which all queries skip", run.output)

    def test_a_row_that_no_query_can_read(self):
        self.succeeds(self.run_script())
        self.ask("rows", lines=['{"time": 1, "event": "heartbeat"}'])
        run = self.run_script("--check", yes=False)
        self.assertEqual(run.status, 1)
        self.assertIn('FAIL  Raw row begins with {"time": 1', run.output)


class Placeholder(DeployTest):
    """A device may have the name of a placeholder."""

    def test_names_of_placeholders(self):
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", "\"MARKS,DEVICES,FREQUENCY_MINUTES,it's\""))
        self.assertIn("Rules verified", self.succeeds(self.run_script()).output)
        self.assertIn("SUMMARY: 0 failed", self.run_script("--check").output)

    def test_placeholders_that_were_forgotten(self):
        for devices, condition, forgotten in (
            ("'DEVICES'", "a == 1", True),
            ("'dl-home'", "a >= todouble('FREQUENCY_MINUTES')", True),
            ("'dl-home'", "a in (dynamic(['MARKS']))", True),
            ("'MARKS', 'dl-home'", "a == 'dl-home'", False),
            ("'it\\'s', 'MARKS'", "a == 1", False),
        ):
            for device_list in (f"datatable(device: string)[{devices}]", f"pack_array({devices})"):
                with self.subTest(device_list):
                    self.assertEqual(self.has_placeholder(f"traces | join ({device_list}) on key | where {condition}"), forgotten)

    def has_placeholder(self, query):
        spec = importlib.util.spec_from_file_location("rules", os.path.join(fixtures.ROOT, "infra/deploy/rules.py"))
        rules = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(rules)
        return rules.has_placeholder(query, ["dl-home", "MARKS"])
