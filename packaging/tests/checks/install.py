"""`ispmon-agent install` and the related commands: the program alone, without a package."""

import pathlib
import subprocess

from report import expect
from world import CONFIGURATION, KEY_FILE, PACKAGE, STATE_DIR, UNIT

# Where the program is installed, and the temporary folder that it is installed from.
PROGRAM = "/usr/local/bin/ispmon-agent"
DOWNLOADS = "/srv/download"
SOURCE = f"{DOWNLOADS}/ispmon-agent"
OLD = f"{DOWNLOADS}/ispmon-agent-old"
# The files that `install` writes.
FILES = {
    PROGRAM: "755",
    f"/etc/systemd/system/{UNIT}": "644",
    f"/etc/sysusers.d/{PACKAGE}.conf": "644",
    f"/usr/local/lib/systemd/catalog/{PACKAGE}.catalog": "644",
    CONFIGURATION: "644",
    KEY_FILE: "600",
}
# A systemctl that fails the first time it is called with a certain word, and otherwise calls the real one.
BROKEN = """#!/bin/sh
case "$*" in *{word}*) [ -e "$0-has-failed" ] || {{ : >"$0-has-failed"; echo "made to fail" >&2; exit 1; }} ;; esac
exec /usr/bin/systemctl "$@"
"""
# The PATH after `su`: that of an ordinary user, without administration programs.
PATH_OF_SU = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
# Files that change even without an installation.
RESTLESS = "-path /etc/.pwd.lock -o -name '*-' -o -path /var/lib/systemd -o -path '/var/lib/dpkg/*' -o -path /var/lib/rpm"


def story(world):
    """All rows."""
    unpack(world)
    world.row("install: shown to an ordinary user, nothing changed", shown, world)
    world.row("install: refused without root", without_root, world)
    world.row("install: refused in a chroot", in_chroot, world)
    for word in ("daemon-reload", "enable"):
        world.row(f"install: undone when systemctl {word} fails", undone, world, word)
    world.row("install: undone when the service does not start", does_not_start, world)
    if not world.row("install: the older version", older, world):
        return
    world.row("install: an upgrade is undone when the restart fails", upgrade_undone, world)
    world.row("install: the newer version replaces the older one", upgrade, world)
    world.row("install: twice", twice, world)
    world.row("stop, start and restart", orders, world)
    world.row("restart with a bad configuration", bad_configuration, world)
    world.row("the log explains itself (journalctl -x)", catalog, world)
    world.row("after a reboot", reboot, world)
    world.row("uninstall: undone when systemctl fails", uninstall_undone, world)
    world.row("uninstall: keeps journal and configuration", uninstall, world)
    world.row("uninstall --purge: asks for confirmation, and removes everything", purge, world)
    world.row("uninstall --purge: the account of a person stays", account_of_a_person, world)
    world.row("install --from-env: the settings of an old .env", from_env, world)
    world.row("install --from-env: an invalid .env", bad_env, world)
    world.row("install --from-env: a URL that is a secret", secret_url, world)
    world.row("install: beside a package", packaged, world)
    world.row("install --from-env: with a package", packaged_from_env, world)
    world.row("uninstall: the service goes on as that of a package", beside_package, world)


def unpack(world):
    """Extracts the programs from the packages, as if they had been downloaded alone."""
    for version, target in ((world.artefacts.version, SOURCE), (world.artefacts.previous, OLD)):
        package = next(world.artefacts.dist.glob(f"{PACKAGE}_{version}_*.deb"))
        folder = pathlib.Path(world.folder) / f"unpacked-{version}"
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        program = (folder / "usr/bin/ispmon-agent").read_bytes()
        # Both packages contain the same program; the appended bytes make the older one a different file.
        world.box.write(target, program + b"old" if target == OLD else program, 0o755)


def run(world, *words, source=SOURCE, user=None, path=None):
    """Runs the downloaded program; returns its result."""
    search = [f"PATH={path}:/usr/sbin:/usr/bin:/sbin:/bin"] if path else []
    return world.box.run("env", *search, source, *words, user=user, check=False)


def succeeded(done, *parts):
    """Fails unless the program succeeded and printed each part; returns the line with the first part."""
    expect(done.code == 0, f"it ended with {done.code}: {done.err or done.out}")
    for part in parts:
        expect(part in done.out, f"`{part}` is missing in: {done.out}")
    return next(line for line in done.out.splitlines() if parts[0] in line)


def refused(done, *parts):
    """Fails unless the program refused and printed each part."""
    expect(done.code == 1, f"it ended with {done.code}: {done.err or done.out}")
    for part in parts:
        expect(part in done.err, f"`{part}` is missing in: {done.err}")
    return done.err.splitlines()[0]


def tree(world):
    """Every file of the system with mode, owner, size, content and link target, and the users."""
    places = "/etc /usr/local /usr/lib/systemd /usr/lib/sysusers.d /var/lib"
    listed = world.box.shell(
        f"find {places} '(' {RESTLESS} ')' -prune -o -type f -exec sha256sum '{{}}' + | sort -k2\n"
        f"find {places} '(' {RESTLESS} ')' -prune -o -printf '%p %y %m %u %g %l\\n' | sort"
    )
    return listed.out.splitlines()


def changes(world, before):
    """The paths that changed, except the journal, to which a running agent writes."""
    lines = {*before} ^ {*tree(world)}
    paths = {next(word for word in line.split() if word.startswith("/")) for line in lines}
    return sorted(path for path in paths if not path.startswith(f"{STATE_DIR}/"))


def unchanged(world, before):
    """Fails if the system has changed."""
    changed = changes(world, before)
    expect(not changed, f"changed: {changed[:6]}")


def state(world):
    """Whether the service runs, and whether it starts at boot."""
    return world.show("ActiveState"), world.show("UnitFileState")


def running(world):
    """Fails unless the service runs and starts at boot."""
    expect(state(world) == ("active", "enabled"), f"it is {state(world)}")


def breaking(world, word):
    """A folder with a systemctl that fails at this word."""
    world.box.run("rm", "-rf", "/opt/broken")
    world.box.write("/opt/broken/systemctl", BROKEN.format(word=word), 0o755)
    return "/opt/broken"


def shown(world):
    """Prints the plan with every file and every command."""
    before = tree(world)
    done = run(world, "install", "--print", user="visitor")
    line = succeeded(done, PROGRAM, *FILES, "WantedBy=multi-user.target", "systemctl daemon-reload", "systemctl enable --now")
    unchanged(world, before)
    return line


def in_a_chroot(world, *words):
    """Runs the downloaded program in a chroot, where no service starts."""
    script = f"""mkdir -p /srv/chroot && mount --bind / /srv/chroot && mount -t proc proc /srv/chroot/proc
code=0; chroot /srv/chroot {SOURCE} {" ".join(words)} || code=$?
umount /srv/chroot/proc /srv/chroot; exit $code"""
    return world.box.shell(script, check=False)


def on_a_terminal(world, command, answer):
    """Runs a command on a terminal and answers its question."""
    return world.box.run("script", "-qec", command, "/dev/null", stdin=f"{answer}\n", check=False)


def without_root(world):
    """Refuses, with the command to use."""
    return refused(run(world, "install", user="visitor"), f"run it with sudo: {SOURCE} install")


def in_chroot(world):
    """Refuses, because services do not start in a chroot."""
    return refused(in_a_chroot(world, "install"), "this is a chroot", "ispmon-agent run")


def undone(world, word):
    """A failing command leaves the system unchanged."""
    before = tree(world)
    printed = refused(run(world, "install", path=breaking(world, word)), "made to fail", "everything is as it was before")
    unchanged(world, before)
    expect(state(world) == ("inactive", ""), f"it is {state(world)}")
    return printed


def does_not_start(world):
    """The same when an existing configuration prevents the service from starting."""
    world.box.write(CONFIGURATION, "interval = 1\n")
    before = tree(world)
    done = run(world, "install")
    printed = refused(done, "there is no setting interval", "everything is as it was before")
    unchanged(world, before)
    world.box.run("rm", "-r", "/etc/ispmon")
    return printed


def older(world):
    """Installs; the service runs unprivileged and starts at boot."""
    done = run(world, "install", source=OLD)
    line = succeeded(done, "ispmon-agent is installed and runs")
    running(world)
    for path, mode in FILES.items():
        found = world.box.run("stat", "-c", "%a %U", path).out
        expect(found == f"{mode} root", f"{path} is {found}")
    owner = world.box.run("stat", "-c", "%U", f"/proc/{world.pid()}").out
    expect(owner == "ispmon", f"it runs as {owner}")
    return line


def upgrade_undone(world):
    """The older program is restored and runs."""
    before = tree(world)
    done = run(world, "install", path=breaking(world, "restart"))
    printed = refused(done, "could not run systemctl restart", "made to fail", "everything is as it was before")
    unchanged(world, before)
    running(world)
    return printed


def upgrade(world):
    """Replaces the program and restarts the service; everything else stays."""
    world.configure()
    before, pid = tree(world), world.pid()
    line = succeeded(run(world, "install"), "ispmon-agent is up to date and runs", "replace /usr/local/bin/ispmon-agent")
    expect(changes(world, before) == [PROGRAM], f"changed: {changes(world, before)}")
    running(world)
    expect(world.pid() != pid, "the older process still runs")
    version = world.box.run(PROGRAM, "--version").out
    expect(version == world.box.run(SOURCE, "--version").out, f"it is {version}")
    world.wait_up()
    world.wait_heartbeats()
    return line


def twice(world):
    """Changes nothing and does not restart the service."""
    pid = world.pid()
    line = succeeded(run(world, "install"), "nothing was changed")
    expect(world.pid() == pid, "the service was restarted")
    return line


def orders(world):
    """Each command reports its result; a repeated one changes nothing."""
    printed = []
    for order, part in (
        ("stop", "is stopped"), ("stop", "does not run"), ("start", "runs."), ("start", "runs already"), ("restart", "was restarted"),
    ):
        printed.append(succeeded(run(world, order, source=PROGRAM), part))
        expect((state(world)[0] == "active") == (order != "stop"), f"after {order} it is {state(world)}")
    refused(run(world, "restart", source=PROGRAM, user="visitor"), "run it with sudo")
    return printed[-1]


def bad_configuration(world):
    """Reports that the service does not run, with its output."""
    world.box.write(CONFIGURATION, "interval = 1\n")
    printed = refused(run(world, "restart", source=PROGRAM), "could not run systemctl restart", "there is no setting interval")
    world.configure()
    succeeded(run(world, "start", source=PROGRAM), "runs")
    world.wait_up()
    return printed


def catalog(world):
    """The explanations are where journalctl searches for them."""
    listed = world.box.run("journalctl", "--list-catalog").out
    expect("ispmon" in listed, "journalctl has no explanations of ispmon")
    return f"{listed.count('ispmon')} lines of the catalog name ispmon"


def reboot(world):
    """The service runs again, although the folder that it was installed from is gone."""
    world.box.run("rm", "-r", DOWNLOADS)
    world.box.reboot()
    world.wait_up()
    running(world)
    unpack(world)
    return "active"


def uninstall_undone(world):
    """A failing command leaves the system unchanged and the service running."""
    before = tree(world)
    done = run(world, "uninstall", source=PROGRAM, path=breaking(world, "daemon-reload"))
    refused(done, "could not run systemctl daemon-reload", "everything is as it was before")
    unchanged(world, before)
    expect(state(world)[0] == "active", f"it is {state(world)}")
    return done.err.splitlines()[-1]


def uninstall(world):
    """Removes what was installed."""
    line = succeeded(run(world, "uninstall", source=PROGRAM), "Kept for a later installation", "ispmon-agent is removed")
    for path in FILES:
        is_kept = path in (CONFIGURATION, KEY_FILE)
        expect(world.box.path(path).exists() == is_kept, f"{path} is {'gone' if is_kept else 'still there'}")
    expect(world.box.path(f"{STATE_DIR}/journal.ndjson").exists(), "the journal is gone")
    expect(world.show("LoadState") == "not-found", "systemd still has the unit loaded")
    return line


def purge(world):
    """Asks for confirmation, which fails without a terminal; then removes everything, including the user."""
    refused(run(world, "uninstall", "--purge"), "--yes")
    command = f"{SOURCE} uninstall --purge"
    done = on_a_terminal(world, command, "no")
    expect(done.code == 1 and "Type yes" in done.out, f"on a terminal it ended with {done.code}: {done.out}")
    for loss in (CONFIGURATION, KEY_FILE, STATE_DIR, "the user ispmon"):
        expect(f"  {loss}" in done.out.split("Type yes")[0], f"{loss} is not named before the question: {done.out}")
    expect(world.box.path(STATE_DIR).exists(), "the journal is gone without a confirmation")
    command = ("env", f"PATH={PATH_OF_SU}", SOURCE, "uninstall", "--purge", "--yes")
    line = succeeded(world.box.run(*command, check=False), "ispmon-agent is removed")
    for path in ("/etc/ispmon", STATE_DIR, "/run/ispmon"):
        expect(world.box.run("test", "-e", path, check=False).code == 1, f"{path} is still there")
    expect(world.box.run("id", "ispmon", check=False).code != 0, "the user is still there")
    succeeded(run(world, "uninstall"), "not installed here")
    return line


def account_of_a_person(world):
    """Neither removes it, nor names it, nor advises to remove it."""
    box = world.box
    box.run("useradd", "--create-home", "--uid", "1500", "--shell", "/bin/bash", "ispmon")
    box.write("/home/ispmon/letter", "dear")
    succeeded(run(world, "install"), "ispmon-agent is installed and runs")
    done = run(world, "uninstall")
    succeeded(done, "Kept for a later installation")
    expect("userdel" not in done.out and "the user" not in done.out, f"it speaks of the user: {done.out}")
    succeeded(run(world, "install"), "ispmon-agent is installed and runs")
    done = on_a_terminal(world, f"{SOURCE} uninstall --purge", "yes")
    line = succeeded(done, "The user ispmon was kept", "ispmon-agent is removed")
    expect("the user ispmon" not in done.out.split("Type yes")[0], f"the user is named: {done.out}")
    expect(box.run("id", "-u", "ispmon", check=False).out == "1500", "the user is gone")
    expect(box.path("/home/ispmon/letter").exists(), "the user's files are gone")
    succeeded(run(world, "uninstall", "--purge", "--yes"), "not installed here")
    box.run("userdel", "--remove", "ispmon")
    return line


def from_env(world):
    """Imports settings and key, and refuses to overwrite the user's own settings."""
    env = "/home/visitor/.env"
    world.box.write(env, "RG=x\nHEARTBEAT_URL='https://a.invalid/api/ping?code=k3y%3D'\nHEARTBEAT_DEVICE=box\nHEARTBEAT_INTERVAL=30\n")
    line = succeeded(run(world, "install", "--from-env", env), "tmux kill-session")
    text = world.box.path(CONFIGURATION).read_text(encoding="utf-8")
    for part in ('device = "box"', 'url = "https://a.invalid/api/ping"', 'interval = "30"'):
        expect(f"\n{part}\n" in text, f"`{part}` is missing in {CONFIGURATION}")
    expect("k3y" not in text, "the key is in a file that every user can read")
    key = world.box.run("stat", "-c", "%a %U", KEY_FILE).out, world.box.path(KEY_FILE).read_text(encoding="utf-8")
    expect(key == ("600 root", "k3y=\n"), f"the key file is {key}")
    running(world)
    succeeded(run(world, "install", "--from-env", env), "nothing was changed")
    world.box.write(CONFIGURATION, 'device = "mine"\n')
    refused(run(world, "install", "--from-env", env), "nothing was changed", "move the file away")
    expect(world.box.path(CONFIGURATION).read_text(encoding="utf-8") == 'device = "mine"\n', "the settings are gone")
    succeeded(run(world, "uninstall", "--purge", "--yes"), "ispmon-agent is removed")
    return line


def bad_env(world):
    """Names file, line and variable of each value, and no key; changes nothing."""
    env = "/home/visitor/bad.env"
    world.box.write(env, "HEARTBEAT_DEVICE=box\nHEARTBEAT_INTERVAL=soon\nHEARTBEAT_URL='https://a.invalid/api/ping?code=SECRETBAD KEY'\n")
    before = tree(world)
    done = run(world, "install", "--from-env", env)
    expect(done.code == 78, f"it ended with {done.code}: {done.err}")
    for part in (
        f"{env}, line 2 (HEARTBEAT_INTERVAL): heartbeat.interval is \"soon\", which is no duration",
        f"{env}, line 3 (HEARTBEAT_URL): the function key holds more than a key",
        "nothing was changed",
    ):
        expect(part in done.err, f"`{part}` is missing in: {done.err}")
    expect("SECRETBAD" not in done.err and CONFIGURATION not in done.err, f"it printed: {done.err}")
    unchanged(world, before)
    return done.err.splitlines()[0]


def secret_url(world):
    """Writes a configuration that others cannot read, and does not warn that they can."""
    env = "/home/visitor/plain.env"
    world.box.write(env, "HEARTBEAT_DEVICE=box\nISPMON_HEARTBEAT_KIND=plain\nHEARTBEAT_URL=https://hc.invalid/s3cret\n")
    done = run(world, "install", "--print", "--from-env", env)
    succeeded(done, "create /etc/ispmon/agent.toml (0600 root): secret, so not shown")
    expect("warning" not in done.err and "s3cret" not in done.out + done.err, f"it printed: {done.err}")
    done = run(world, "install", "--from-env", env)
    line = succeeded(done, "ispmon-agent is installed and runs")
    expect("warning" not in done.err, f"it printed: {done.err}")
    found = world.box.run("stat", "-c", "%a %U %G", CONFIGURATION).out
    expect(found == "640 root ispmon", f"{CONFIGURATION} is {found}")
    succeeded(run(world, "uninstall", "--purge", "--yes"), "ispmon-agent is removed")
    return line


def packaged(world):
    """Changes nothing of the package and prints what to do."""
    world.install()
    before = tree(world)
    printed = refused(run(world, "install"), "installed by the package ispmon-agent", "sudo systemctl enable --now ispmon-agent")
    refused(run(world, "uninstall"), "sudo apt remove ispmon-agent")
    refused(run(world, "uninstall", "--purge", "--yes"), "sudo apt purge ispmon-agent")
    done = in_a_chroot(world, "install")
    refused(done, "this is a chroot", "run it in the foreground with: ispmon-agent run")
    expect("systemctl" not in done.err, f"a chroot has no systemctl: {done.err}")
    unchanged(world, before)
    return printed


def packaged_from_env(world):
    """Imports settings and key for the service of the package, and starts it."""
    env = "/home/visitor/.env"
    world.box.write(env, "HEARTBEAT_URL='https://a.invalid/api/ping?code=k3y%3D'\n")
    before = tree(world)
    line = succeeded(run(world, "install", "--from-env", env), "are in /etc/ispmon/agent.toml now")
    changed = [path for path in changes(world, before) if ".wants" not in path and path != STATE_DIR]
    expect(changed == [CONFIGURATION, KEY_FILE], f"changed: {changed}")
    running(world)
    succeeded(run(world, "install", "--from-env", env), "nothing was changed")
    return line


def beside_package(world):
    """Removes the program that was installed before the package; the package's service keeps running, with all it needs."""
    box = world.box
    box.run("apt-get", "purge", "-y", "-q", PACKAGE)
    succeeded(run(world, "install"), "ispmon-agent is installed and runs")
    world.configure()
    world.install()
    succeeded(run(world, "restart", source=PROGRAM), "was restarted")
    world.wait_up()
    own = sorted(path for path in FILES if path not in (CONFIGURATION, KEY_FILE) and box.path(path).exists())
    before = tree(world)
    refused(
        run(world, "uninstall", "--purge", "--yes", source=PROGRAM),
        "uses the same configuration, key, journal and user, so nothing was changed", f"sudo {PROGRAM} uninstall",
    )
    done = run(world, "uninstall", source=PROGRAM, path=breaking(world, "reenable"))
    refused(done, "could not run systemctl reenable", "everything is as it was before")
    unchanged(world, before)
    running(world)
    expect(world.show("FragmentPath") == f"/etc/systemd/system/{UNIT}", f"its unit is {world.show('FragmentPath')}")
    done = run(world, "uninstall", source=PROGRAM)
    line = succeeded(done, "The service is now that of the package ispmon-agent", "It runs, now and after every boot")
    for part in ("Kept", "rm -r", "userdel"):
        expect(part not in done.out, f"`{part}` is in: {done.out}")
    removed = [path for path in changes(world, before) if ".wants" not in path]
    expect(removed == own, f"changed: {removed}")
    running(world)
    expect(world.show("FragmentPath").endswith(f"/lib/systemd/system/{UNIT}"), f"its unit is {world.show('FragmentPath')}")
    program = box.run("readlink", f"/proc/{world.pid()}/exe").out
    expect(program == "/usr/bin/ispmon-agent", f"it runs {program}")
    world.wait_up()
    world.wait_heartbeats()
    box.reboot()
    world.wait_up()
    running(world)
    return line
