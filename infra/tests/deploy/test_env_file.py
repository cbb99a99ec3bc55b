"""The .env file: what is read, and what is refused with its line number."""

import os
import shutil
import subprocess

import fixtures
from fixtures import DeployTest


class EnvFile(DeployTest):
    def settings(self, text):
        """Returns the variables that the templates get with this .env file."""
        self.write(".env", text)
        self.succeeds(self.run_script("--what-if"))
        return self.state()["settings"]

    def refused(self, text, *words):
        self.write(".env", text)
        before = self.state()["calls"]
        run = self.fails(self.run_script("--what-if"), *words, status=78)
        self.assertIn("Nothing was created or changed", run.output)
        self.assertEqual(self.state()["calls"], before)

    def device(self, line):
        """Returns the values that the parser reads from a line; called directly, because there are many
        lines."""
        self.write(".env", f"ALERT_EMAIL=me@contoso.com\n{line}\n")
        shell = os.environ.get("ISPMON_TEST_BASH", "bash")
        script = '. "$0/output.sh"; . "$0/env-file.sh"; read_env_file .env; printf %s "$conf_HEARTBEAT_DEVICE"'
        command = [shell, "-u", "-c", script, os.path.join(fixtures.ROOT, "infra/deploy")]
        return subprocess.run(command, cwd=self.folder, capture_output=True, check=True).stdout.decode()

    def test_values_are_parsed_as_by_the_agent(self):
        for line, device in (
            ("HEARTBEAT_DEVICE=dl-home", "dl-home"),
            ("  export   HEARTBEAT_DEVICE=dl-home  ", "dl-home"),
            ("export\tHEARTBEAT_DEVICE=dl-home", "dl-home"),
            ("HEARTBEAT_DEVICE=my home, office", "my home, office"),
            ("HEARTBEAT_DEVICE='a $(touch pwned) b'", "a $(touch pwned) b"),
            ('HEARTBEAT_DEVICE="a \\$HOME \\" \\\\ b"', 'a $HOME " \\ b'),
            ("HEARTBEAT_DEVICE='it is \"quoted\"'", 'it is "quoted"'),
            ('HEARTBEAT_DEVICE="it\'s" # comment', "it's"),
            ("HEARTBEAT_DEVICE=home # comment", "home"),
            ("HEARTBEAT_DEVICE=home#1", "home#1"),
            ("HEARTBEAT_DEVICE=old\nHEARTBEAT_DEVICE=new", "new"),
            ("HEARTBEAT_DEVICE='Büro Süd'", "Büro Süd"),
            ("HEARTBEAT_DEVICE=a=b", "a=b"),
            ("HEARTBEAT_DEVICE='*'", "*"),
            ("HEARTBEAT_DEVICE=*", "*"),
            ("HEARTBEAT_DEVICE=~", "~"),
            ("HEARTBEAT_DEVICE='a' ", "a"),
            ("HEARTBEAT_DEVICE='-n'", "-n"),
            ("HEARTBEAT_DEVICE='%s'", "%s"),
            ("HEARTBEAT_DEVICE='a\\b'", "a\\b"),
            ("HEARTBEAT_DEVICE=a\\ b", "a\\ b"),
            ("HEARTBEAT_DEVICE=Anna's", "Anna's"),
            ("HEARTBEAT_DEVICE=home\nOPTION_D =4\nVAR.WITH.DOTS=x\nOPTION-B=x\nFOO\n9LIVES=cat\nsource ./other", "home"),
            ('HEARTBEAT_DEVICE=home\nKEY="-----BEGIN KEY-----\nMIIEv/a+b\n-----END KEY-----"\nOTHER: x', "home"),
            ('HEARTBEAT_DEVICE=home\necho "$RG" "${LOCATION}"\nurl: http://x/?RG=y', "home"),
            ("HEARTBEAT_DEVICE = dl-home", "dl-home"),
            ("export HEARTBEAT_DEVICE\t=\t'dl # home' # comment", "dl # home"),
            ("HEARTBEAT_DEVICE= dl-home ", "dl-home"),
            ("HEARTBEAT_DEVICE = # comment", ""),
            ("HEARTBEAT_DEVICE=home\nexport HEARTBEAT_DEVICE RG", "home"),
            ("HEARTBEAT_DEVICE=home\nOTHER=$(touch pwned)\nPATH=/nowhere\nBASH_ENV=x", "home"),
        ):
            with self.subTest(line):
                self.assertEqual(self.device(line), device)
        self.assertFalse(os.path.exists(self.path("pwned")))

    def test_artefacts_of_editors(self):
        for text in (
            "ALERT_EMAIL=me@contoso.com\r\nHEARTBEAT_DEVICE=dl-home\r\n",
            b"\xef\xbb\xbfALERT_EMAIL=me@contoso.com\nHEARTBEAT_DEVICE=dl-home",
            b"\xef\xbb\xbf# comment\r\nexport ALERT_EMAIL='me@contoso.com'\r\n\r\nHEARTBEAT_DEVICE=\"dl-home\"\r\n",
        ):
            with self.subTest(text):
                settings = self.settings(text)
                self.assertEqual(settings["HEARTBEAT_DEVICE"], "dl-home")
                self.assertEqual(settings["ALERT_EMAIL"], "me@contoso.com")

    def test_a_refusal_names_the_line(self):
        good = "# first\nALERT_EMAIL=me@contoso.com\n"
        for line, words in (
            ("HEARTBEAT_DEVICE=$(hostname)", "is not executed by a shell"),
            ("HEARTBEAT_DEVICE=`hostname`", "is not executed by a shell"),
            ('HEARTBEAT_DEVICE="$HOME"', "is not executed by a shell"),
            ("HEARTBEAT_DEVICE='dl-home", "is not closed"),
            ('HEARTBEAT_DEVICE="dl-home', "is not closed"),
            ('HEARTBEAT_DEVICE="dl-home\\', "is not closed"),
            ("HEARTBEAT_DEVICE='a'b", "text after the closing quote"),
            ('HEARTBEAT_DEVICE="a" "b"', "text after the closing quote"),
            ("HEARTBEAT_DEVICE", "names HEARTBEAT_DEVICE"),
            ("HEARTBEAT_DEVICE dl-home", "names HEARTBEAT_DEVICE"),
            ("HEARTBEAT_DEVICE: dl-home", "names HEARTBEAT_DEVICE"),
            ("set HEARTBEAT_DEVICE=dl-home", "names HEARTBEAT_DEVICE"),
            ("-HEARTBEAT_DEVICE=dl-home", "names HEARTBEAT_DEVICE"),
            ("HEARTBEAT_DEVICE+=dl-home", "names HEARTBEAT_DEVICE"),
            ("HEARTBEAT_DEVICE=a\x01b", "control character"),
        ):
            with self.subTest(line):
                self.refused(good + line + "\n", "line 3", words)
        self.refused(good.encode("utf-16"), "UTF-8")
        self.refused((good + "HEARTBEAT_DEVICE=Büro\n").encode("latin-1"), "line 3", "UTF-8")

    def test_invalid_and_example_addresses(self):
        for address in (
            "",
            "you@example.com",
            "owner@Example.org",
            "your-mail@domain.tld",
            "me",
            "me@localhost",
            "me@contoso.com,,you@contoso.com",
            "me@contoso.com you@contoso.com",
            "a@b@c.de",
            "@contoso.com",
            "x" * 60 + "@contoso.com",
            "“me@contoso.com”",
            "me@contoso.com\u200b",
            "me@contoso.com\u00a0",
            "<me@contoso.com>",
            "'me@contoso.com, ME@contoso.com'",
            "me..you@contoso.com",
            ",".join(f"m{number}@contoso.com" for number in range(101)),
        ):
            with self.subTest(address):
                self.refused(f"HEARTBEAT_DEVICE=dl-home\nALERT_EMAIL={address}\n", "ALERT_EMAIL")

    def test_settings_out_of_their_range(self):
        for line in (
            "EVALUATION_MINUTES=3",
            "RULES_ENABLED=yes",
            "ALERT_OWNERS=1",
            "PREFIX=-x",
            "PREFIX=a",
            "PREFIX=averyveryverylongprefix",
            "LOCATION='eu/west'",
            "RG='a b'",
            "ALERT_WEBHOOK=http://contoso.com/hook",
            "HEARTBEAT_DEVICE=a,,b",
            "HEARTBEAT_DEVICE=İstanbul",
            "DEVICES_FILE=devices.txt",
            "HEARTBEAT_DEVICE=" + "x" * 101,
            "HEARTBEAT_DEVICE=dl-home\u200b",
            "HEARTBEAT_DEVICE=“dl-home”",
            "HEARTBEAT_DEVICE=„dl-home“",
            "HEARTBEAT_DEVICE=dl\u00a0home",
            "PREFIX=a--b",
            "SILENCE_MINUTES=5,5",
            "SILENCE_MINUTES=3",
            "SILENCE_MINUTES=6.50",
            "SILENCE_MINUTES=40",
            "DAILY_CAP_GB=0.5",
            "DAILY_CAP_GB=0",
            "DAILY_CAP_GB=08",
            "REMINDER_MINUTES='10, ten'",
            "REMINDER_MINUTES=5",
            "DAILY_REMINDER_HOUR=24",
            "REPORT_MINUTES=0",
            "MAX_INSTANCES=0",
            "BUDGET_AMOUNT=5",
            "BUDGET_START=2026-13-01",
            "BUDGET_START=2026-12-02",
            "RUNTIME_NAME=node",
            "ALERT_WEBHOOK=https://contoso.com/hook\u200b",
            "ALERT_WEBHOOK='https://contoso.com/hook,https://contoso.com/hook'",
        ):
            with self.subTest(line):
                self.refused(fixtures.ENVIRONMENT + line + "\n", line.split("=")[0])
                if not line.startswith(("HEARTBEAT_DEVICE", "DEVICES_FILE")):
                    self.assertIn(", line 4,", self.outputs[-1])
        self.refused("ALERT_EMAIL=me@contoso.com\n", "HEARTBEAT_DEVICE")

    def test_a_misspelled_name(self):
        for line, meant in (
            ("RULES_ENABELD=false", "RULES_ENABLED"),
            ("SILENCE_MINUTE=10", "SILENCE_MINUTES"),
            ("HEARTBEAT_DEVICES=a", "HEARTBEAT_DEVICE"),
            ("HEARTBEAT_DEVICE_9=a", "HEARTBEAT_DEVICE"),
            ("alert_email=me@contoso.com", "ALERT_EMAIL"),
            ("EVALUATION_MINS=5", "EVALUATION_MINUTES"),
        ):
            with self.subTest(line):
                self.write(".env", fixtures.ENVIRONMENT + line + "\n")
                name = line.split("=")[0]
                self.fails(self.run_script("--what-if"), f"line 4: unknown setting {name}", f"Did you mean {meant}")
        self.succeeds(self.run_script("--what-if", "--force"))
        others = "HEARTBEAT_URL=https://x\nHEARTBEAT_INTERVAL=60\nISPMON_DEVICE=x\nREGION=x\nRG_NAME=x\nAZURE_LOCATION=x\nEMAIL=x\nMINUTES=5\n"
        self.write(".env", fixtures.ENVIRONMENT + others)
        self.succeeds(self.run_script("--what-if"))

    def test_a_daily_cap_too_low_for_the_devices(self):
        devices = ",".join(f"d{number}" for number in range(334))
        self.refused(f"ALERT_EMAIL=me@contoso.com\nHEARTBEAT_DEVICE={devices}\n", "DAILY_CAP_GB", "set it to 2 or more")

    def test_an_apostrophe_and_an_emoji_are_part_of_a_name(self):
        settings = self.settings("ALERT_EMAIL=\"o'brien@müller.de\"\nHEARTBEAT_DEVICE='Anna’s, 🏠'\n")
        self.assertEqual(settings["HEARTBEAT_DEVICE"], "Anna’s,🏠")

    def test_the_silence_thresholds_are_those_of_the_templates(self):
        with open(os.path.join(fixtures.ROOT, "infra/main.bicep"), encoding="utf-8") as file:
            allowed = file.read().split("param silenceMinutes")[0].split("@allowed([")[-1].split("])")[0]
        with open(os.path.join(fixtures.ROOT, "infra/deploy/settings.sh"), encoding="utf-8") as file:
            known = file.read().split("SILENCES='")[1].split("'")[0].split()
        self.assertEqual(known, [word.strip().strip("'") for word in allowed.split()])
        with open(os.path.join(fixtures.ROOT, "infra/README.md"), encoding="utf-8") as file:
            self.assertTrue(f"one of {', '.join(known)} |" in file.read(), "infra/README.md names other values")

    def test_building_the_parameters_evaluates_the_checks_of_the_templates(self):
        bicep = os.environ.get("ISPMON_TEST_BICEP")
        if not bicep:
            self.skipTest("no bicep on PATH or in ISPMON_TOOLS")
        good = {"HOME": self.folder, "HEARTBEAT_DEVICE": "dl-home", "ALERT_EMAIL": "me@contoso.com"}
        for change, sentence in (
            ({"ALERT_EMAIL": "me@contoso.com, ME@contoso.com"}, "ALERT_EMAIL must contain each address only once"),
            ({"PREFIX": "a--b", "DAILY_CAP_GB": "0"}, "PREFIX must contain only letters"),
            ({"PREFIX": "a--b", "DAILY_CAP_GB": "0"}, "DAILY_CAP_GB is 0"),
            ({"BUDGET_AMOUNT": "5"}, "BUDGET_AMOUNT needs BUDGET_START"),
            ({"ALERT_WEBHOOK": "http://contoso.com/SECRET"}, "ALERT_WEBHOOK must contain URLs"),
            ({"HEARTBEAT_DEVICE": "Σ"}, "HEARTBEAT_DEVICE: device names"),
            ({}, ""),
        ):
            with self.subTest(sentence):
                command = [bicep, "build-params", os.path.join(fixtures.ROOT, "infra/main.bicepparam"), "--stdout"]
                result = subprocess.run(command, env={**good, **change}, capture_output=True, text=True)
                self.assertEqual(result.returncode, 1 if sentence else 0, result.stderr)
                self.assertIn(sentence, result.stderr)
                self.assertEqual("'REFUSED: " in result.stderr, bool(sentence))
                self.assertNotIn("SECRET", result.stderr)

    def test_the_example_is_refused_until_it_is_edited(self):
        with open(os.path.join(fixtures.ROOT, "infra/.env.example"), encoding="utf-8") as file:
            example = file.read()
        self.refused(example, "ALERT_EMAIL", "example")
        edited = example.replace("you@example.com", "me@contoso.com")
        self.assertEqual(self.settings(edited)["HEARTBEAT_DEVICE"], "dl-home")

    def test_the_example_names_every_variable(self):
        with open(os.path.join(fixtures.ROOT, "infra/.env.example"), encoding="utf-8") as file:
            example = file.read()
        with open(os.path.join(fixtures.ROOT, "infra/deploy/env-file.sh"), encoding="utf-8") as file:
            names = file.read().split("VARIABLES='")[1].split("'")[0].split()
        for name in names:
            if not name.startswith("HEARTBEAT_DEVICE_"):
                self.assertRegex(example, rf"(?m)^(# )?{name}=")

    def test_the_environment_does_not_reach_the_templates(self):
        settings = self.settings(fixtures.ENVIRONMENT)
        self.assertEqual((settings["LOCATION"], settings["RULES_ENABLED"]), ("westeurope", "true"))
        self.assertNotIn("RG", settings)

    def test_the_templates_accept_the_settings(self):
        bicep = os.environ.get("ISPMON_TEST_BICEP")
        if not bicep:
            self.skipTest("no bicep on PATH or in ISPMON_TOOLS")
        self.plan(bicep=bicep)
        self.settings(
            "ALERT_EMAIL='me@contoso.com, you@contoso.com'\nHEARTBEAT_DEVICE='dl-home, its'\n"
            + "PREFIX=home\nLOCATION=northeurope\nALERT_WEBHOOK=https://contoso.com/hook?x=1\nEVALUATION_MINUTES=10\n"
            + "SILENCE_MINUTES=6.5\nREMINDER_MINUTES='10, 30,60'\nDAILY_REMINDER_HOUR=7\nREPORT_MINUTES=12\n"
        )
        parameters = self.state()["parameters"]
        self.assertEqual(parameters["devices"], ["dl-home", "its"])
        self.assertEqual(parameters["mailAddresses"], ["me@contoso.com", "you@contoso.com"])
        self.assertEqual((parameters["prefix"], parameters["location"]), ("home", "northeurope"))
        self.assertEqual((parameters["silenceMinutes"], parameters["evaluationMinutes"]), ("6.5", "10"))
        self.assertEqual((parameters["reminderMarks"], parameters["reportMinutes"]), ([10, 30, 60], 12))
        self.assertEqual(parameters["webhookUrls"], "https://contoso.com/hook?x=1")

    def test_the_file_of_the_python_agent(self):
        old = (
            'export RG="ispmon-rg"\nexport LOCATION="northeurope"\nexport PREFIX="dlhome"\n'
            'export ALERT_EMAIL="me@contoso.com"\nHEARTBEAT_URL=https://old.azurewebsites.net/api/ping\n'
            "HEARTBEAT_DEVICE=dl-home\nHEARTBEAT_INTERVAL=60\n"
        )
        settings = self.settings(old)
        self.assertEqual((settings["PREFIX"], settings["LOCATION"], settings["HEARTBEAT_DEVICE"]), ("dlhome", "northeurope", "dl-home"))

    def test_a_file_of_devices(self):
        names = [f"device {number:05} " + "x" * 80 for number in range(3000)]
        text = "\ufeff# all\r\n\r\n" + "\r\n".join(names) + "\r\nDEVICE 00001 " + "x" * 80
        self.write("list.txt", text)
        settings = self.settings("ALERT_EMAIL=me@contoso.com\nDEVICES_FILE=list.txt\nDAILY_CAP_GB=9\n")
        parts = [settings.get("HEARTBEAT_DEVICE" + part) for part in ("", "_2", "_3", "_4")]
        self.assertTrue(all(len(part.encode()) <= 100_000 for part in parts if part))
        self.assertEqual([name for part in parts if part for name in part.split(",")], names)
        self.refused("ALERT_EMAIL=me@contoso.com\nDEVICES_FILE=none.txt\n", "DEVICES_FILE", "none.txt, which does not exist")
        self.write("list.txt", "a\nb, c\n")
        self.refused("ALERT_EMAIL=me@contoso.com\nDEVICES_FILE=list.txt\n", "list.txt, line 2")

    def test_a_file_of_devices_has_nothing_but_names(self):
        settings = "ALERT_EMAIL=me@contoso.com\nDEVICES_FILE=list.txt\n"
        for line, words in (
            ("dl-home # living room", "comment after the name"),
            ("dl-home\t# living room", "comment after the name"),
            ('"dl-home"', "quotes around the name"),
            ("'dl-home'", "quotes around the name"),
            ("Unknown", "without a name"),
            ("ispmon-deploy", "test heartbeats"),
        ):
            with self.subTest(line):
                self.write("list.txt", f"# all\noffice\n{line}\n")
                self.refused(settings, "list.txt, line 3", words)
        self.refused(fixtures.ENVIRONMENT.replace("dl-home", "dl-home,UNKNOWN"), "HEARTBEAT_DEVICE", "entry 2", "without a name")
        self.write("list.txt", "room#1\n  # indented\nit's\n'\na;b\n")
        self.assertEqual(self.settings(settings)["HEARTBEAT_DEVICE"], "room#1,it's,',a;b")

    def test_a_file_of_another_user(self):
        # Runs only parts of the script, as another user than root, who ignores file modes.
        shutil.copytree(os.path.join(fixtures.ROOT, "infra/deploy"), self.path("deploy"))
        os.chmod(self.folder, 0o755)
        os.chmod(self.path(".env"), 0)
        self.write("list.txt", "dl-home\n")
        os.chmod(self.path("list.txt"), 0)
        user = {"user": 65534} if os.geteuid() == 0 else {}
        parts = '. deploy/output.sh; . deploy/env-file.sh; rerun=x; read_env_file .env'
        for command, words in (
            ([os.environ.get("ISPMON_TEST_BASH", "bash"), "-u", "-c", parts], ".env cannot be read: permission denied"),
            (["python3", "-B", "deploy/devices.py", "--file", "list.txt"], "list.txt cannot be read: Permission denied"),
        ):
            with self.subTest(words):
                try:
                    result = subprocess.run(command, cwd=self.folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, **user)
                except (PermissionError, FileNotFoundError):
                    self.skipTest(f"another user cannot run {command[0]}")
                output = result.stderr.decode()
                self.assertIn(words, output)
                self.assertNotRegex(output, "UTF-16|Traceback|line \\d")

    def test_without_a_file(self):
        os.remove(self.path(".env"))
        if os.path.exists(os.path.join(fixtures.ROOT, "infra/.env")):
            self.skipTest("infra/.env exists here")
        self.fails(self.run_script(), "There is no .env file", ".env.example", status=78)
