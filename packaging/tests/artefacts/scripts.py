"""The scripts of the packages and of the build, checked with shellcheck, and the workflows' pinned actions."""

import pathlib
import re
import tempfile

from report import expect

from . import tools


def check(rows, root, _dist):
    """Prints the rows."""
    rows.row("scripts: shellcheck", shellcheck, root)
    rows.row("deb: refused on ARMv6, whose processor cannot run it", armv6, root)
    rows.row("release workflow: third-party actions are pinned by a hash", pins, root)


def shellcheck(root):
    tools.need("shellcheck")
    tools.run("shellcheck", "--external-sources", "build", cwd=root / "packaging")
    debian = sorted((root / "packaging/debian").glob("p*"))
    rpm = sorted((root / "packaging/rpm").glob("p*"))
    tools.run("shellcheck", *debian)
    tools.run("shellcheck", "--shell=sh", *rpm)
    expect(all("set -e\n" in path.read_text() for path in debian), "a script of the .deb goes on after a failure")
    return f"{len(debian) + len(rpm)} scripts of packages, and the build"


def armv6(root):
    script = root / "packaging/debian/preinst"
    for machine, is_refused in (("armv6l", True), ("armv7l", False), ("aarch64", False), ("x86_64", False)):
        with tempfile.TemporaryDirectory() as folder:
            uname = pathlib.Path(folder) / "uname"
            uname.write_text(f"#!/bin/sh\necho {machine}\n")
            uname.chmod(0o755)
            done = tools.run("sh", script, "install", env={"PATH": f"{folder}:/usr/bin:/bin"}, check=False)
        expect((done.returncode == 1 and f"this machine is {machine}" in done.stderr) == is_refused, f"{machine}: {done}")
    return "and nowhere else"


def pins(root):
    used = re.findall(r"uses: (\S+)", (root / ".github/workflows/release.yml").read_text())
    expect(used, "no action was found")
    expect(all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in used), f"one of these is not pinned: {used}")
    return f"{len(used)} uses"
