"""The archives and their programs, started here against a function of the lab; those for other processors with qemu."""

import contextlib
import hashlib
import os
import pathlib
import re
import struct
import subprocess
import tarfile
import tempfile
import zipfile

from report import Failure, Skip, expect

from . import tools

# The command that starts a program of an architecture on this machine.
STARTERS = {"amd64": [], "arm64": ["qemu-aarch64-static"], "armv7": ["qemu-arm-static"]}
# The files of every archive besides man pages and those of its system.
FILES = {"ispmon-agent", "LICENSE", "README.md", "CHANGELOG.md", "agent.toml"} | {
    f"completions/{name}" for name in ("ispmon-agent.bash", "_ispmon-agent", "ispmon-agent.fish")
}
INTERPRETER = 3


def check(rows, root, dist):
    """Prints the rows."""
    rows.row("checksums: SHA256SUMS", checksums, dist)
    for architecture in STARTERS:
        name = f"ispmon-agent-*-linux-{architecture}.tar.gz"
        rows.row(f"archive linux {architecture}: files", contents, root, dist, name)
        rows.row(f"archive linux {architecture}: the program is static, starts, and reaches a function", start, root, dist, name, architecture)
    rows.row("packed again: the same bytes", again, root, dist)
    rows.row("archive macOS: a program for both processors", universal, dist)
    rows.row("the function's zip", function, root, dist)
    rows.row("archive of the source: what is committed", source, root, dist)


def checksums(dist):
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    for line in lines:
        checksum, name = line.split("  ")
        expect(hashlib.sha256((dist / name).read_bytes()).hexdigest() == checksum, f"{name} has another checksum")
    listed = {line.split("  ")[1] for line in lines}
    tools.expect_same("SHA256SUMS", listed, {str(path.relative_to(dist)) for path in dist.rglob("*") if path.is_file()} - {"SHA256SUMS"})
    return f"{len(lines)} files"


def unpacked(archive, folder):
    """Unpacks an archive and returns its only folder."""
    with tarfile.open(archive) as tar:
        for entry in tar:
            expect((entry.uid, entry.gid, entry.uname) == (0, 0, "root"), f"{entry.name} belongs to {entry.uname}")
            expect(entry.mode == (0o755 if entry.isdir() or entry.name.endswith("/ispmon-agent") else 0o644), f"{entry.name} has the mode {entry.mode:o}")
        tar.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder)
    (inside,) = pathlib.Path(folder).iterdir()
    expect(archive.name == f"{inside.name}.tar.gz", f"{archive.name} holds {inside.name}")
    return inside


def contents(root, dist, name):
    with tempfile.TemporaryDirectory() as folder:
        archive = tools.only(dist, name)
        inside = unpacked(archive, folder)
        found = {str(path.relative_to(inside)) for path in inside.rglob("*") if path.is_file()}
        service = {f"systemd/{path.name}" for path in (root / "packaging/systemd").iterdir()}
        tools.expect_same(archive.name, {path for path in found if not path.startswith("man/")}, FILES | service)
        expect({"man/ispmon-agent.1", "man/agent.toml.5"} <= found, "a man page is missing")
        return f"{len(found)} files, {archive.stat().st_size / 1e6:.2f} MB, program {(inside / 'ispmon-agent').stat().st_size / 1e6:.2f} MB"


def needs_libraries(program):
    """Whether an ELF program has an interpreter, that is, a dynamic loader."""
    data = program.read_bytes()
    expect(data[:4] == b"\x7fELF", "it is no program for Linux")
    wide = data[4] == 2
    offset = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)[0]
    size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
    return any(struct.unpack_from("<I", data, offset + size * number)[0] == INTERPRETER for number in range(count))


@contextlib.contextmanager
def lab(root, folder):
    """The lab's function: its URL and key."""
    program = os.environ.get("ISPMON_LAB")
    if not program:
        tools.run("cargo", "build", "--quiet", "--locked", "-p", "ispmon-lab", cwd=root)
        target = tools.run("cargo", "metadata", "--no-deps", "--format-version=1", "--locked", cwd=root)
        program = pathlib.Path(re.search(r'"target_directory":"([^"]+)"', target)[1]) / "debug/ispmon-lab"
    command = [program, "up", "--listen", "127.0.0.1:0", "--mail-dir", f"{folder}/mails", "--key", "key-of-the-test", "--device", "packages"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                address = re.search(r"http://(127\.0\.0\.1:\d+)", line)
                if address:
                    yield address[1]
                    return
            raise Failure("the lab named no address")
        finally:
            process.terminate()


def start(root, dist, name, architecture):
    starter = STARTERS[architecture]
    if os.uname().machine != "x86_64":
        raise Skip("this is not an x86-64 machine")
    tools.need(*starter)
    with tempfile.TemporaryDirectory() as folder:
        # Variables that begin with ISPMON_ are settings of the agent.
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        program = unpacked(tools.only(dist, name), folder) / "ispmon-agent"
        expect(not needs_libraries(program), "it needs the libraries of a system")
        version = tools.run(*starter, program, "--version").strip()
        key = pathlib.Path(folder) / "key"
        key.touch(0o600)
        key.write_text("key-of-the-test\n")
        with lab(root, folder) as address:
            (pathlib.Path(folder) / "agent.toml").write_text(
                f'device = "packages"\nstate_dir = "{folder}/state"\n[heartbeat]\nurl = "http://{address}/api/ping"\nkey_file = "{key}"\n'
            )
            ping = tools.run(*starter, program, "ping", "--config", f"{folder}/agent.toml", check=False, env=environment)
            expect(ping.returncode == 0, f"ping ended with {ping.returncode}: {ping.stdout}{ping.stderr}")
        outages = tools.run(*starter, program, "outages", "--config", f"{folder}/agent.toml", check=False, env=environment)
        printed = (outages.stdout + outages.stderr).strip()
        expect(outages.returncode == 1 and f"{folder}/state" in printed, f"outages without a journal ended with {outages.returncode}: {printed}")
        return f"{version}; ping: {ping.stdout.strip().splitlines()[-1]}"


def again(root, dist):
    """Packs the compiled programs of this machine again; `packaging/build --check` also compiles twice."""
    artefacts = [path for path in dist.iterdir() if path.suffix in (".deb", ".rpm", ".zip", ".gz")]
    parts = {".deb": "deb", ".rpm": "rpm", ".zip": "function"}
    wanted = sorted({parts.get(path.suffix, "tarball") for path in artefacts if "macos" not in path.name})
    with tempfile.TemporaryDirectory() as folder:
        tools.run(root / "packaging/build", "--out", folder, "source", *wanted)
        for path in artefacts:
            other = pathlib.Path(folder) / path.name
            expect(not other.exists() or other.read_bytes() == path.read_bytes(), f"{path.name} differs")
        return f"{len(list(pathlib.Path(folder).glob('ispmon-*')))} artefacts"


def universal(dist):
    archive = tools.only(dist, "ispmon-agent-*-macos-universal.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        data = (unpacked(archive, folder) / "ispmon-agent").read_bytes()
    magic, count = struct.unpack_from(">II", data)
    expect(magic == 0xCAFEBABE, "it is no universal program")
    processors = {struct.unpack_from(">I", data, 8 + 20 * number)[0] & 0xFFFFFF for number in range(count)}
    expect(processors == {7, 12}, f"it is for the processors {processors}, not for x86-64 (7) and arm64 (12)")
    return f"{archive.stat().st_size / 1e6:.2f} MB, program {len(data) / 1e6:.2f} MB"


def function(root, dist):
    package = tools.only(dist, "ispmon-function-*.zip")
    tools.run("python3", root / "infra/deploy/package.py", "--check", package)
    with zipfile.ZipFile(package) as files:
        return f"{len(files.namelist())} files, {package.stat().st_size / 1e6:.2f} MB"


def source(root, dist):
    archive = tools.only(dist, "ispmon-[0-9]*.tar.gz")
    with tarfile.open(archive) as tar:
        found = {entry.name.split("/", 1)[1] for entry in tar if entry.isfile()}
    commit = tools.run("sh", "-c", f"gzip -dc '{archive}' | git get-tar-commit-id").strip()
    tools.expect_same(archive.name, found, set(tools.run("git", "ls-tree", "-r", "--name-only", commit, cwd=root).splitlines()))
    return f"{len(found)} files of {commit[:7]}"
