"""The result rows of a run, one for each check."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback

from box import BoxError


class Skip(Exception):
    """The check cannot be run here; the message is the reason."""


class Failure(Exception):
    """The check failed; the message contains what was expected and what was found."""


def expect(condition, text):
    """Raises `Failure` with a sentence unless the condition holds."""
    if not condition:
        raise Failure(text)


class Row:
    """The result of a check: its verdict and a detail."""

    def __init__(self):
        self.verdict, self.detail = "PASS", ""


class Report:
    """All rows, printed as they complete."""

    def __init__(self):
        self.failed, self.skipped, self.passed = [], [], 0
        # Set when the run is aborted; checks that fail afterwards fail for that reason.
        self.is_over = False
        self.lock = threading.Lock()

    def row(self, name, check, *arguments):
        """Runs one check and prints its row; `check` returns the row's detail. Returns whether it passed."""
        with self.check(name) as row:
            row.detail = check(*arguments) or ""
        return row.verdict == "PASS" and not self.is_over

    @contextlib.contextmanager
    def check(self, name):
        """Runs the body of a `with` statement as a check; its row is printed at the end, whatever the result."""
        row = Row()
        started = time.monotonic()
        trace = ""
        try:
            yield row
        except Skip as reason:
            row.verdict, row.detail = "SKIPPED", str(reason)
        except (Failure, AssertionError, BoxError) as error:
            row.verdict, row.detail = "FAIL", str(error)
        except Exception as error:  # a defect of the check itself is a failure, too; the other checks continue
            row.verdict, row.detail, trace = "FAIL", f"{type(error).__name__}: {error}", traceback.format_exc()
        took = (time.monotonic() - started) * 1000
        detail = " / ".join(row.detail.split("\n"))
        if self.is_over:
            return
        with self.lock:
            if row.verdict == "FAIL":
                self.failed.append(name)
            elif row.verdict == "SKIPPED":
                self.skipped.append(name)
            else:
                self.passed += 1
            print(f"{row.verdict:<7} {name}: {detail or 'as it has to be'} ({took:.0f} ms)", flush=True)
            if trace:
                print(trace, flush=True)

    def conclude(self):
        """Prints the last line and returns the program's exit code."""
        print(f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped", flush=True)
        return 1 if self.failed else 0
