"""The contents of the .debs, and lintian's findings."""

import gzip
import pathlib
import tempfile

from report import expect

from . import tools

# The files of every .deb besides the man pages: mode, owner (as a number) and path.
FILES = {
    "-rwxr-xr-x 0/0 ./usr/bin/ispmon-agent",
    "-rw-r--r-- 0/0 ./usr/lib/systemd/catalog/ispmon-agent.catalog",
    "-rw-r--r-- 0/0 ./usr/lib/systemd/system/ispmon-agent.service",
    "-rw-r--r-- 0/0 ./usr/lib/sysusers.d/ispmon-agent.conf",
    "-rw-r--r-- 0/0 ./usr/share/bash-completion/completions/ispmon-agent",
    "-rw-r--r-- 0/0 ./usr/share/doc/ispmon-agent/changelog.Debian.gz",
    "-rw-r--r-- 0/0 ./usr/share/doc/ispmon-agent/copyright",
    "-rw-r--r-- 0/0 ./usr/share/ispmon-agent/agent.toml",
    "-rw-r--r-- 0/0 ./usr/share/fish/vendor_completions.d/ispmon-agent.fish",
    "-rw-r--r-- 0/0 ./usr/share/lintian/overrides/ispmon-agent",
    "-rw-r--r-- 0/0 ./usr/share/zsh/vendor-completions/_ispmon-agent",
}
# The file in the repository for each file of the package.
SOURCES = {
    "usr/share/ispmon-agent/agent.toml": "agent/agent.toml",
    "usr/lib/systemd/catalog/ispmon-agent.catalog": "packaging/systemd/ispmon-agent.catalog",
    "usr/lib/systemd/system/ispmon-agent.service": "packaging/systemd/ispmon-agent.service",
    "usr/lib/sysusers.d/ispmon-agent.conf": "packaging/systemd/ispmon-agent.sysusers",
    "usr/share/doc/ispmon-agent/copyright": "packaging/debian/copyright",
}


def check(rows, root, dist):
    """Prints the rows."""
    rows.row("deb: the pages in the package are those that its program makes", pages, dist)
    for architecture in ("amd64", "arm64", "armhf"):
        name = f"ispmon-agent_*_{architecture}.deb"
        rows.row(f"deb {architecture}: control, files and modes", contents, root, dist, name, architecture)
        rows.row(f"deb {architecture}: lintian", lintian, dist, name)


def contents(root, dist, name, architecture):
    tools.need("dpkg-deb")
    deb = tools.only(dist, name)
    field = lambda name: tools.run("dpkg-deb", "--field", deb, name).strip()  # noqa: E731
    expect(field("Package") == "ispmon-agent", "the package has another name")
    expect(field("Architecture") == architecture, f"it is for {field('Architecture')}")
    expect("ca-certificates" in field("Depends"), f"it depends on {field('Depends')}")
    with tempfile.TemporaryDirectory() as folder:
        control = pathlib.Path(folder) / "control"
        tools.run("dpkg-deb", "--control", deb, control)
        # On an upgrade, dpkg would ask what to do with a changed conffile.
        expect(not (control / "conffiles").exists(), "the package has conffiles")
        for script in ("preinst", "postinst", "prerm", "postrm"):
            expect((control / script).read_text() == (root / "packaging/debian" / script).read_text(), f"{script} differs")
        files = pathlib.Path(tools.extracted(deb, f"{folder}/files"))
        for path, source in SOURCES.items():
            expect((files / path).read_bytes() == (root / source).read_bytes(), f"{path} is not {source}")
        changelog = gzip.decompress((files / "usr/share/doc/ispmon-agent/changelog.Debian.gz").read_bytes()).decode()
        expect(changelog.startswith(f"ispmon-agent ({field('Version')}) "), f"the changelog begins with {changelog[:40]}")
    lines = [line.split() for line in tools.run("dpkg-deb", "--contents", deb).splitlines()]
    found = {f"{line[0]} {line[1]} {line[5]}" for line in lines if not line[5].startswith("./usr/share/man/") and line[0][0] != "d"}
    tools.expect_same(deb.name, found, FILES)
    folders = [line for line in lines if line[0][0] == "d"]
    expect(all(line[0] == "drwxr-xr-x" and line[1] == "0/0" for line in folders), "a folder has another mode or owner")
    return f"{len(lines) - len(folders)} files, {deb.stat().st_size / 1e6:.2f} MB, installed {int(field('Installed-Size')) / 1e3:.1f} MB"


def pages(dist):
    tools.need("dpkg-deb")
    deb = tools.only(dist, "ispmon-agent_*_amd64.deb")
    with tempfile.TemporaryDirectory() as folder:
        files = pathlib.Path(tools.extracted(deb, f"{folder}/files"))
        tools.run(files / "usr/bin/ispmon-agent", "generate", "man", f"{folder}/man")
        made = {page.name: page.read_bytes() for page in pathlib.Path(f"{folder}/man").iterdir()}
        packed = {page.stem: gzip.decompress(page.read_bytes()) for page in files.glob("usr/share/man/man[15]/*.gz")}
    expect(made == packed, f"made {sorted(made)}, packed {sorted(packed)}")
    return f"{len(made)} pages"


def lintian(dist, name):
    tools.need("lintian")
    deb = tools.only(dist, name)
    done = tools.run("lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", deb, check=False)
    expect(done.returncode == 0, (done.stdout + done.stderr).strip() or f"it ended with {done.returncode}")
    overridden = tools.run("lintian", "--allow-root", "--show-overrides", deb, check=False).stdout
    names = sorted({line.split()[2] for line in overridden.splitlines() if line.startswith("O:")})
    return f"neither error nor warning; overridden: {', '.join(names) or 'nothing'}"
