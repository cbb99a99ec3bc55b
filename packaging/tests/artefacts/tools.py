"""Helpers of all artefact checks."""

import shutil
import subprocess

from report import Failure, Skip


def need(*tools):
    """Skips the check if a program is not installed."""
    lacking = [tool for tool in tools if not shutil.which(tool)]
    if lacking:
        raise Skip(f"not installed: {', '.join(lacking)}")


def run(*command, check=True, **options):
    """The standard output of a command; a failing command is a failed check."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, **options)
    if check and done.returncode != 0:
        raise Failure(f"`{' '.join(words)}` ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout if check else done


def expect_same(what, found, expected):
    """Compares two lists, and fails with the superfluous and the missing elements."""
    found, expected = sorted(found), sorted(expected)
    if found != expected:
        extra = [entry for entry in found if entry not in expected]
        lacking = [entry for entry in expected if entry not in found]
        raise Failure(f"{what}: unexpected {extra}, missing {lacking}")


def extracted(deb, folder):
    """Unpacks the files of a .deb into a folder, and returns the folder."""
    run("dpkg-deb", "--extract", deb, folder)
    return folder


def only(dist, pattern):
    """The only artefact that matches; without one the check is skipped."""
    found = sorted(dist.glob(pattern))
    if not found:
        raise Skip(f"there is no {pattern} in {dist}")
    if len(found) > 1:
        raise Failure(f"there are several {pattern}: {found}")
    return found[0]
