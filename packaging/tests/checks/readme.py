"""The first commands in README.md, pasted by a new user; each platform's in its own box."""

import pathlib
import shutil
import subprocess

import dist
from report import Skip, expect
from world import PACKAGE


def debian(world):
    """The story of the package."""
    world.row("README.md, Debian: pasted line by line", paste, world, "Debian")


def linux(world):
    """The story of the archive, and of the commands that cannot run on Debian."""
    world.row("README.md, other Linux: pasted line by line", paste, world, "Other")
    world.row("README.md, Fedora: the address", published, world)
    world.row("README.md, macOS: the tap is this one", tap)


def paste(world, platform):
    """Pastes the lines as an ordinary user, who may use sudo and confirms with yes."""
    lines = dist.readme()[platform]
    expect(len(lines) == 3, f"there are {len(lines)} lines: {lines}")
    world.box.write("/etc/sudoers.d/visitor", "visitor ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    for line in lines:
        # Cautious users, and some distributions, create files that others cannot read.
        world.box.run("sh", "-euc", f"umask 027 && cd && {line}", user="visitor", stdin="y\n", seconds=300)
    world.box.wait("the service to run", world.is_active)
    return f"{world.show('ActiveState')}: {lines[-1]}"


def published(world):
    """Compares the URL with the artefacts; there is no Fedora to run the commands on."""
    lines = dist.readme()["Fedora"]
    expect(len(lines) == 3, f"there are {len(lines)} lines: {lines}")
    url = next(word for word in lines[0].split() if word.startswith(dist.SERVER))
    name = f"{PACKAGE}-{world.artefacts.version}.x86_64.rpm"
    expect(url.endswith(f"/{name}"), f"{url} is another file than {name}")
    if not any(world.network.pages.rglob(name)):
        raise Skip(f"{name} is the right name; it is not among these artefacts, so that nothing was looked into")
    file = world.network.pages / url.removeprefix(dist.SERVER).lstrip("/")
    expect(file.is_file(), f"{url} is none of the artefacts")
    if not shutil.which("rpm"):
        raise Skip(f"{name} is published; there is no rpm here to look into it")
    listed = subprocess.run(["rpm", "-qlp", file], capture_output=True, text=True, check=True).stdout
    expect("/usr/bin/ispmon-agent" in listed, f"{name} holds no program: {listed}")
    return f"{name} is published, {len(listed.splitlines())} paths"


def tap():
    """Compares the names with those of the formula, which packaging/tests/brew installs."""
    lines = dist.readme()["macOS"]
    expect(len(lines) == 3, f"there are {len(lines)} lines: {lines}")
    repository = dist.repository()
    owner = repository.rsplit("/", 2)[1]
    expect(f"brew tap {owner}/tap" in lines[0], f"the first line taps another one than {owner}'s: {lines[0]}")
    expect(lines[1].endswith(PACKAGE) and lines[2].endswith(PACKAGE), f"the lines name other things: {lines}")
    formula = pathlib.Path(dist.ROOT / f"packaging/homebrew/Formula/{PACKAGE}.rb")
    if not formula.exists():
        raise Skip(f"{formula.relative_to(dist.ROOT)} is not there")
    expect(repository in formula.read_text(encoding="utf-8"), f"the formula does not name {repository}")
    return f"{lines[0]}, of {formula.name}"
