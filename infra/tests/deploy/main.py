"""Runs the tests, several in parallel, because they mostly wait: main.py [PATTERN]. Exits 1 when one failed.
"""

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROFILE = """{"installationId": "test", "subscriptions": [{"id": "00000000-0000-0000-0000-000000000002", "name": "Home",
"state": "Enabled", "user": {"name": "owner@contoso.com", "type": "user"}, "isDefault": true,
"tenantId": "00000000-0000-0000-0000-000000000001", "environmentName": "AzureCloud"}]}"""


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test


def run(test):
    started = time.monotonic()
    result = unittest.TestResult()
    test.run(result)
    return test.id(), result, time.monotonic() - started


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    with tempfile.TemporaryDirectory(prefix="ispmon-az-") as folder:
        with open(os.path.join(folder, "azureProfile.json"), "w", encoding="utf-8") as file:
            file.write(PROFILE)
        # This az has its own home: it neither uses the user's login nor sends telemetry.
        os.environ["ISPMON_TEST_AZURE"] = folder
        environment = {**os.environ, "AZURE_CONFIG_DIR": folder, "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        server = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "server.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        os.environ["ISPMON_TEST_SERVER"] = server.stdout.readline().decode().strip()
        tests = [test for test in cases(unittest.defaultTestLoader.discover(HERE)) if pattern in test.id()]
        failed = skipped = 0
        with concurrent.futures.ThreadPoolExecutor((os.cpu_count() or 1) * 2) as pool:
            for name, result, seconds in pool.map(run, tests):
                if pattern:
                    print(f"{seconds:6.1f} s  {name}", flush=True)
                for _, reason in result.skipped:
                    skipped += 1
                    print(f"SKIPPED: {name}: {reason}")
                for _, trace in [*result.errors, *result.failures]:
                    failed += 1
                    print(f"FAILED: {name} ({seconds:.1f} s)\n{trace}", flush=True)
        server.stdin.close()
        server.wait()
    print(f"deploy tests: {len(tests) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not tests else 0)


main()
