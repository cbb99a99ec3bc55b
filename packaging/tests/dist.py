"""The packages as a release publishes them, the previous version's package, and the lab."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from box import BoxError

ROOT = pathlib.Path(__file__).parents[2]
# The version to upgrade from; its package contains the same program.
PREVIOUS = "0.0.9"
# The name of the package server in a box, and its folders, which replace the URLs in README.md.
SERVER = "http://packages.test"


def run(*command, **variables):
    """Runs a command of the build, shows its output, and fails if it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False,
        env={**os.environ, **variables},
    )
    if done.returncode != 0:
        raise BoxError(f"`{' '.join(str(word) for word in command)}` ended with {done.returncode}")


def architecture():
    """Debian's name of this machine's architecture."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


class Artefacts:
    """The artefacts, built before the run enters its own namespaces, or taken from a folder."""

    def __init__(self, dist, lab):
        self.dist, self.lab = pathlib.Path(dist), pathlib.Path(lab)
        versions = sorted(path.name.split("_")[1] for path in self.dist.glob(f"*_{architecture()}.deb"))
        if len(versions) < 2:
            raise BoxError(f"{self.dist} needs .debs of two versions for {architecture()}, and has: {versions}")
        self.previous, self.version = versions[0], versions[-1]

    def publish(self, pages):
        """Copies everything into the folder that the package server serves."""
        shutil.copytree(self.dist / "apt", pages / "apt")
        release = pages / f"release/v{self.version.rsplit('-', 1)[0]}"
        release.mkdir(parents=True)
        for path in self.dist.iterdir():
            if path.is_file():
                shutil.copyfile(path, release / path.name)

    def add_repository(self, machine):
        """Adds the repository to apt in a box, with the lines of README.md that precede the installation."""
        for line in readme()["Debian"][:-1]:
            machine.shell(line)


def build(folder, with_rpm):
    """Makes the packages of this machine's architecture in `folder` and returns it; `None` if this machine cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    # Two builds at once would each find the other's half-made files.
    with open(folder.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_alone(folder, with_rpm)


def build_alone(folder, with_rpm):
    """The same, while no other process builds there."""
    rpm = ["rpm"] if with_rpm else []
    for old in folder.glob("ispmon-*"):
        old.unlink()
    make = (ROOT / "packaging/build", "--out", folder, "--arch", architecture())
    run(*make, "--package-version", PREVIOUS, "deb", *rpm)
    packages = list(folder.glob("*.deb"))
    if not packages:
        return None
    for package in packages:
        age(package)
    with_key(folder, lambda variables: run(*make, "deb", *rpm, "tarball", "apt", **variables))
    return folder


def age(package):
    """Changes the sample in a package: an upgrade must not prompt because a sample has changed."""
    with tempfile.TemporaryDirectory() as folder:
        run("dpkg-deb", "--raw-extract", package, folder)
        for sample in pathlib.Path(folder).rglob("agent.toml"):
            sample.write_bytes(b"# An older text.\n" + sample.read_bytes())
        run("dpkg-deb", "--build", "--root-owner-group", folder, package)


def build_lab():
    """Builds the lab and returns its path."""
    run("cargo", "build", "--locked", "--quiet", "-p", "ispmon-lab")
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1", "--locked"], cwd=ROOT, capture_output=True, check=True
    )
    return pathlib.Path(json.loads(metadata.stdout)["target_directory"]) / "debug/ispmon-lab"


def with_key(folder, make):
    """Calls `make` with the variables that make it sign the repository, with a key created for this run."""
    home = folder / "gnupg"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    variables = {"GNUPGHOME": str(home)}
    try:
        run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "A repository of a test", "ed25519", "sign", "1d",
            **variables)
        listed = subprocess.run(
            ["gpg", "--batch", "--list-secret-keys", "--with-colons"], env={**os.environ, **variables},
            capture_output=True, text=True, check=True,
        )
        variables["ISPMON_SIGNING_KEY"] = re.search(r"^fpr:+(\w+):", listed.stdout, re.MULTILINE)[1]
        make(variables)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def readme():
    """The lines to paste from README.md, by platform, with this run's server instead of the release's."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    owner, name = repository().rsplit("/", 2)[1:]
    places = {
        f"{repository()}/releases/download": f"{SERVER}/release",
        f"https://{owner}.github.io/{name}/apt": f"{SERVER}/apt",
    }
    found = {}
    for platform, block in re.findall(r"^\*\*(\w+)[^\n]*\n\n```sh\n(.*?)```", text, re.MULTILINE | re.DOTALL):
        lines = [line for line in block.splitlines() if line]
        for place, here in places.items():
            lines = [line.replace(place, here) for line in lines]
        found[platform] = lines
    return found


def repository():
    """The address at which the project is published."""
    return re.search(r'^repository = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
