"""The man pages in man, in its index and in a strict parser."""

import os
import pathlib
import tempfile

from report import expect

from . import archives, tools


def check(rows, _root, dist):
    """Prints the rows."""
    rows.row("man pages: man shows them without a warning, apropos finds them", pages, dist)


def pages(dist):
    tools.need("man", "lexgrog")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": "", "MANROFFOPT": ""}
    with tempfile.TemporaryDirectory() as folder:
        man = archives.unpacked(tools.only(dist, "ispmon-agent-*-linux-amd64.tar.gz"), folder) / "man"
        found = sorted(man.iterdir())
        for page in found:
            shown = tools.run("man", "--warnings", "--local-file", page, check=False, env=environment)
            expect(shown.returncode == 0 and not shown.stderr, f"{page.name}: {shown.stderr.strip()}")
            for part in ("NAME", "SEE ALSO"):
                expect(f"\n{part}\n" in shown.stdout, f"{page.name} has no {part}")
            expect("`" not in shown.stdout, f"{page.name} has a backtick")
            name = tools.run("lexgrog", page).split('"')[1]
            expect(name.startswith(f"{page.stem} - "), f"{page.name} is indexed as {name}")
        widest = max(len(line) for page in found for line in pathlib.Path(page).read_text().splitlines())
        return f"{len(found)} pages; the longest line of their sources has {widest} characters"
