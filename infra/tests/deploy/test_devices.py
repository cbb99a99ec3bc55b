"""The letters that a device name must not contain: script, templates and agent refuse the same ones."""

import ast
import os
import re
import subprocess
import sys
import unicodedata
import unittest

import fixtures

SCRIPT = os.path.join(fixtures.ROOT, "infra/deploy/devices.py")


def source(path):
    with open(os.path.join(fixtures.ROOT, path), encoding="utf-8") as file:
        return file.read()


def of_the_script():
    values = {node.targets[0].id: node.value for node in ast.parse(source("infra/deploy/devices.py")).body if isinstance(node, ast.Assign)}
    return set(ast.literal_eval(values["AMBIGUOUS"]))


def of_the_templates():
    function = source("infra/modules/checks.bicep").split("func isDeviceName(")[1].split("])")[0]
    letters = {chr(int(code, 16)) for code in re.findall(r"'\\u\{([0-9a-f]+)\}'", function)}
    # The others are control characters and separators, which the script refuses as invisible.
    return {letter for letter in letters if unicodedata.category(letter).startswith("L")}


def of_the_agent():
    text = re.search(r'const AMBIGUOUS: &str = "(.*)";', source("function/wire/src/device.rs"))[1]
    return set(re.sub(r"\\u\{([0-9a-f]+)\}", lambda code: chr(int(code[1], 16)), text))


class Letters(unittest.TestCase):
    def read(self, names):
        command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", SCRIPT, "--list"]
        return subprocess.run(command, input=names.encode(), capture_output=True)

    def test_all_refuse_the_same(self):
        self.assertTrue(of_the_script())
        self.assertEqual(of_the_script(), of_the_templates())
        self.assertEqual(of_the_script(), of_the_agent())

    def test_each_is_refused_and_its_lower_case_is_accepted(self):
        for letter in sorted(of_the_script()):
            with self.subTest(f"U+{ord(letter):04X}"):
                result = self.read(f"home,dl-{letter}")
                self.assertEqual(result.returncode, 1)
                self.assertIn(f"entry 2: the name 'dl-{letter}' has the letter '{letter}'", result.stderr.decode())
        small = "ǆ,ǉ,ǌ,ǳ,σ,ß,ω,å,k"
        result = self.read(small)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertEqual([line.split("\t")[0] for line in result.stdout.decode().splitlines()], small.split(","))
