"""The apt repository and the tap."""

import hashlib
import os
import pathlib
import re
import tempfile

from report import Skip, expect

from . import tools


def check(rows, _root, dist):
    """Prints the rows."""
    rows.row("apt repository: apt takes the right package for each architecture", apt, dist)
    rows.row("tap: the formula names the source and its checksum", tap, dist)


def apt(dist):
    tools.need("apt-get", "dpkg-deb")
    repository = dist / "apt"
    if not repository.is_dir():
        raise Skip(f"there is no {repository}")
    taken = []
    offered = {path.stem.rsplit("_", 1)[1] for path in repository.glob("pool/main/*.deb")}
    expect(offered, "the repository is empty")
    for architecture in sorted(offered):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for path in ("lists/partial", "archives/partial", "etc"):
                (folder / path).mkdir(parents=True)
            (folder / "status").touch()
            signed = next((f"signed-by={key}" for key in repository.glob("ispmon.gpg")), "trusted=yes")
            (folder / "sources.list").write_text(f"deb [{signed}] file:{repository} stable main\n")
            options = {
                "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": folder / "etc", "Dir::State::lists": folder / "lists",
                "Dir::State::status": folder / "status", "Dir::Cache": folder, "APT::Architecture": architecture, "APT::Architectures::": architecture,
                "Debug::NoLocking": 1, "APT::Sandbox::User": "root",
            }
            flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
            tools.run("apt-get", *flags, "update", "--error-on=any")
            tools.run("apt-get", *flags, "download", "ispmon-agent", cwd=folder, env={**os.environ, "LC_ALL": "C"})
            (deb,) = folder.glob("*.deb")
            expect(tools.run("dpkg-deb", "--field", deb, "Architecture").strip() == architecture, f"{deb.name} is for another")
            taken.append(deb.name)
    return ", ".join(taken)


def tap(dist):
    formula = dist / "tap/Formula/ispmon-agent.rb"
    if not formula.is_file():
        raise Skip(f"there is no {formula}")
    archive = tools.only(dist, "ispmon-[0-9]*.tar.gz")
    text = formula.read_text()
    address = re.search(r'^  url "(.+)"$', text, re.MULTILINE)[1]
    checksum = re.search(r'^  sha256 "(.+)"$', text, re.MULTILINE)[1]
    expect(address.endswith(f"/{archive.name}"), f"it is built from {address}")
    expect(checksum == hashlib.sha256(archive.read_bytes()).hexdigest(), "it has another checksum")
    return address
