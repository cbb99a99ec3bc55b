"""Valid and invalid configurations, at the start and on a reload."""

import json

import network
from report import expect
from world import CONFIGURATION, KEY_FILE, PACKAGE, STATE_DIR, UNIT, contains, single

# A drop-in of the unit.
DROP_IN = f"/etc/systemd/system/{UNIT}.d/test.conf"


def story(world):
    """All rows."""
    if not world.row("installed and started", world.install_and_start):
        return
    world.row("reload with a good configuration", reload_good, world)
    world.row("reload with a bad configuration", reload_bad, world)
    world.row("start with a bad configuration: one line, no restart loop", start_bad, world)
    world.row("the configuration is corrected", corrected, world)
    world.row("reload with another key: log and doctor advise a restart", reload_key, world)
    world.row("a reload that may not read the configuration: the advice works", reload_private, world)
    world.row("a start that may not read the configuration: the advice works", start_private, world)
    world.row("a key file of root's: the advice works", private_key_file, world)
    world.row("a key in the URL: the advice works", key_in_url, world)
    world.row("a bad key: its file is named", bad_key, world)
    world.row("a folder in the place of the key", key_folder, world)
    world.row("a link to a missing configuration", dangling_link, world)
    world.row("a masked unit", masked, world)
    world.row("a unit with a bad setting", bad_setting, world)
    world.row("a missing user", missing_user, world)
    world.row("a link and a file in the place of the state folder", state_folder, world)
    world.row("without a URL, local mode", local_mode, world)


def reload_good(world):
    """Changes a setting and reloads."""
    pid = world.pid()
    world.configure('timeout = "20s"\n')
    world.box.run("systemctl", "reload", PACKAGE)
    world.wait_event("reloaded")
    expect(world.pid() == pid and world.is_active(), "the service did not go on")
    world.wait_heartbeats()
    return "in use at once, the same process"


def reload_bad(world):
    """Reloads an invalid configuration; the old one stays in force."""
    pid = world.pid()
    world.box.write(CONFIGURATION, 'device = "box"\n[heartbeat]\ninterval = "soon"\n')
    world.box.run("systemctl", "reload", PACKAGE, check=False)
    line = single(world.wait_event("reload_refused"), "refusal")
    world.wait_event("reload_kept_old")
    contains(line["MESSAGE"], "heartbeat.interval", "soon", CONFIGURATION)
    world.box.wait("the service to be active again", world.is_active)
    expect(world.pid() == pid, "the service was restarted")
    world.wait_heartbeats(2)
    return line["MESSAGE"]


def start_bad(world):
    """Starts with an invalid configuration: systemd gives up at once, and the log has the reason in one line."""
    before = len(world.entries("-t", PACKAGE))
    stopped = world.box.run("systemctl", "stop", PACKAGE)
    expect(stopped.code == 0, stopped.err)
    silent = len(world.entries("-t", PACKAGE))
    expect(silent > before, "the stop left no line")
    started = world.box.run("systemctl", "start", PACKAGE, check=False)
    expect(started.code != 0, "it starts with a bad configuration")
    # The state is final: with a pending restart it would be `activating (auto-restart)`.
    show = world.show("ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts")
    wanted = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "78", "NRestarts": "0"}
    expect(show == wanted, f"the unit is {show} instead of {wanted}")
    lines = world.entries("-t", PACKAGE)[silent:]
    line = single(lines, "line of the agent")["MESSAGE"]
    contains(line, "heartbeat.interval", "soon", CONFIGURATION)
    return line


def corrected(world):
    """Starts again with a valid configuration."""
    world.configure()
    world.box.run("systemctl", "start", PACKAGE)
    world.wait_up()
    return "starts without further ado"


def expect_check(world, name, result, *parts, user=None):
    """Fails unless doctor has exactly one check of this name with this result, whose text contains these parts; returns it."""
    report = json.loads(world.agent("doctor", "--json", user=user, check=False).out)
    found = [check for check in report["checks"] if (check["name"], check["result"]) == (name, result)]
    check = single(found, f"check {name} with the result {result} in {report}")
    text = f"{check['detail']} → {check.get('action', '')}"
    contains(text, *parts)
    return text


def expect_agent(world, *parts):
    """Fails unless doctor and status, for root and for any user, say this about the agent that does not run."""
    text = expect_check(world, "agent", "fail", "not running: ", *parts)
    for user in (None, "visitor"):
        contains(world.agent("status", user=user, check=False).out, "not running: ", *parts)
    expect_check(world, "agent", "fail", *parts, user="visitor")
    return text


def fail_to_start(world):
    """Tries to restart the service and waits until systemd sees that it has failed."""
    world.box.run("systemctl", "restart", PACKAGE, check=False)
    world.box.wait("a failed service", lambda: world.show("ActiveState", "SubState") != {"ActiveState": "active", "SubState": "running"})


def start_again(world):
    """Starts the service and waits until it works."""
    world.box.run("systemctl", "reset-failed", PACKAGE, check=False)
    world.box.run("systemctl", "restart", PACKAGE)
    world.wait_up()


def new_advice(world, act, *parts):
    """Does something and waits for a new advice in the log with these parts; returns it."""
    before = len(world.entries("ISPMON_EVENT=advice"))
    act()
    lines = world.wait_event("advice", before)
    matching = [line["MESSAGE"] for line in lines[before:] if all(part in line["MESSAGE"] for part in parts)]
    expect(matching, f"no advice with {parts} in {lines[before:]}")
    return matching[0]


def reload_key(world):
    """Replaces only the key: a reload cannot use it, so the log and doctor advise a restart."""
    world.configure()
    start_again(world)
    world.wait_delivered()
    world.box.write(KEY_FILE, "another-key\n", 0o600)
    restart = "sudo systemctl restart ispmon-agent"
    line = new_advice(world, lambda: world.box.run("systemctl", "reload", PACKAGE), KEY_FILE, "was changed", restart)
    expect_check(world, "function key", "warn", "was changed after the service started", restart)
    expect_check(world, "function key", "warn", restart, user="visitor")
    world.configure()
    start_again(world)
    expect_check(world, "function key", "pass")
    return line


def reload_private(world):
    """Reloads a configuration that only root may read, and does what the log advises."""
    world.box.run("chmod", "600", CONFIGURATION)
    before = len(world.entries("ISPMON_EVENT=reload_refused"))
    world.box.run("systemctl", "reload", PACKAGE, check=False)
    line = world.wait_event("reload_refused", before)[-1]["MESSAGE"]
    advice = f"sudo chgrp ispmon {CONFIGURATION} && sudo chmod 640 {CONFIGURATION}"
    contains(line, "the user ispmon, which the agent runs as, may not read it", advice)
    expect_check(world, "configuration", "fail", "the user ispmon", "its mode is 600", advice)
    expect_check(world, "settings in use", "warn", "was refused", "systemctl reload")
    expect_check(world, "configuration", "skip", "you may not read it; run the command with sudo", user="visitor")
    world.box.run("sh", "-c", advice.replace("sudo ", ""))
    # This user still may not read it, and the service may.
    expect_check(world, "configuration", "skip", "you may not read it; run the command with sudo", user="visitor")
    shown = world.agent("config", user="visitor", check=False)
    expect(shown.code == 1, f"`config` exits with {shown.code}: {shown.err}")
    contains(shown.err, "you may not read it; run the command with sudo")
    before = len(world.entries("ISPMON_EVENT=reloaded_unchanged"))
    world.box.run("systemctl", "reload", PACKAGE)
    world.wait_event("reloaded_unchanged", before)
    expect_check(world, "configuration", "pass")
    expect_check(world, "settings in use", "pass")
    return line


def start_private(world):
    """Starts with a configuration, and then a folder, that only root may enter."""
    world.configure()
    world.box.run("chmod", "600", CONFIGURATION)
    fail_to_start(world)
    advice = f"sudo chgrp ispmon {CONFIGURATION} && sudo chmod 640 {CONFIGURATION}"
    text = expect_agent(world, "it refused its configuration", advice)
    expect_check(world, "configuration", "fail", advice)
    world.box.run("sh", "-c", advice.replace("sudo ", ""))
    start_again(world)
    world.box.run("chmod", "700", "/etc/ispmon")
    fail_to_start(world)
    advice = "sudo chmod a+x /etc/ispmon"
    expect_check(world, "configuration", "fail", "may not enter the folder /etc/ispmon", advice)
    expect_agent(world, "may not enter the folder /etc/ispmon", advice)
    world.box.run("sh", "-c", advice.replace("sudo ", ""))
    start_again(world)
    world.box.run("chmod", "755", "/etc/ispmon")
    return text


def private_key_file(world):
    """Names a key file that only root may read, and does what the refusal advises."""
    own = "/etc/ispmon/my.key"
    world.configure(f'key_file = "{own}"\n')
    world.box.write(own, f"{network.KEY}\n", 0o600)
    fail_to_start(world)
    advice = f"sudo chown ispmon {own}"
    text = expect_agent(world, f"the key file {own}", "the user ispmon", advice, KEY_FILE)
    expect_check(world, "function key", "fail", own, advice, KEY_FILE)
    world.box.run("sh", "-c", advice.replace("sudo ", ""))
    start_again(world)
    world.wait_delivered()
    expect_check(world, "function key", "pass", own)
    world.box.run("rm", own)
    return text


def key_in_url(world):
    """Gives the key in the URL, and does what the refusal advises."""
    world.configure(url=f"{network.URL}?code={network.KEY}")
    world.box.write(KEY_FILE, "", 0o600)
    fail_to_start(world)
    text = expect_agent(world, f'write what follows "code=" to {KEY_FILE}, which systemd hands over to the service')
    world.configure()
    start_again(world)
    world.wait_delivered()
    return text


def bad_key(world):
    """Writes a key in quotation marks: the file is named, not the credential, which is gone."""
    world.box.write(KEY_FILE, f'"{network.KEY}"\n', 0o600)
    fail_to_start(world)
    text = expect_agent(world, KEY_FILE, "quotation marks")
    expect("/run/credentials" not in text, text)
    world.configure()
    start_again(world)
    return text


def key_folder(world):
    """Puts a folder in the place of the key file."""
    world.box.run("rm", KEY_FILE)
    world.box.run("mkdir", KEY_FILE)
    line = new_advice(world, lambda: world.box.run("systemctl", "restart", PACKAGE), f"{KEY_FILE} is not a regular file")
    expect("chown" not in line, line)
    expect_check(world, "function key", "fail", "is not a regular file", "sudo mv")
    world.box.run("rmdir", KEY_FILE)
    world.configure()
    start_again(world)
    return line


def dangling_link(world):
    """Makes the configuration a link to a missing file: the service must not run without heartbeats."""
    world.box.run("rm", CONFIGURATION)
    world.box.run("ln", "-s", "/mnt/usb/agent.toml", CONFIGURATION)
    fail_to_start(world)
    text = expect_agent(world, f"{CONFIGURATION} is a symbolic link to /mnt/usb/agent.toml, which does not exist")
    world.box.run("rm", CONFIGURATION)
    world.configure()
    start_again(world)
    return text


def masked(world):
    """Masks the unit."""
    world.box.run("systemctl", "stop", PACKAGE)
    world.box.run("systemctl", "mask", PACKAGE)
    text = expect_agent(world, "masked", "sudo systemctl unmask ispmon-agent")
    world.box.run("systemctl", "unmask", PACKAGE)
    start_again(world)
    return text


def drop_in(world, text):
    """Writes a drop-in of the unit, or removes it."""
    if text:
        world.box.write(DROP_IN, text)
    else:
        world.box.run("rm", DROP_IN)
    world.box.run("systemctl", "daemon-reload")


def bad_setting(world):
    """Gives the unit a setting that systemd refuses."""
    world.box.run("systemctl", "stop", PACKAGE)
    drop_in(world, "[Service]\nExecStart=\n")
    text = expect_agent(world, "systemd refuses the file of its service (bad-setting)", DROP_IN.rsplit("/", 1)[0])
    drop_in(world, None)
    start_again(world)
    return text


def missing_user(world):
    """Gives the service a user that does not exist."""
    drop_in(world, "[Service]\nUser=nobody-here\n")
    fail_to_start(world)
    text = expect_agent(world, "the user nobody-here, which it runs as, does not exist", "systemd-sysusers")
    drop_in(world, None)
    start_again(world)
    return text


def state_folder(world):
    """Replaces the state folder by a link to another one, and by a file."""
    world.box.run("systemctl", "stop", PACKAGE)
    world.box.run("mv", STATE_DIR, "/var/lib/elsewhere")
    world.box.run("ln", "-s", "elsewhere", STATE_DIR)
    world.box.run("systemctl", "start", PACKAGE, check=False)
    linked = world.show("ExecMainStatus")
    if linked == "238":
        expect_agent(world, f"systemd cannot prepare the folder {STATE_DIR}", f"ls -ld {STATE_DIR}")
    world.box.run("systemctl", "stop", PACKAGE)
    world.box.run("rm", STATE_DIR)
    world.box.write(STATE_DIR, "")
    world.box.run("systemctl", "start", PACKAGE, check=False)
    text = expect_agent(world, f"systemd cannot prepare the folder {STATE_DIR}", f"ls -ld {STATE_DIR}")
    expect_check(world, "journal", "fail", f"{STATE_DIR} is not a folder", f"sudo mv {STATE_DIR}")
    world.box.run("systemctl", "stop", PACKAGE)
    world.box.run("rm", STATE_DIR)
    world.box.run("mv", "/var/lib/elsewhere", STATE_DIR)
    start_again(world)
    return f"a link: exit status {linked}; a file: {text}"


def local_mode(world):
    """Starts with the configuration as installed, which sets nothing."""
    world.box.write(CONFIGURATION, "")
    world.box.run("systemctl", "restart", PACKAGE)
    world.wait_up()
    world.wait_event("started_locally")
    return "monitors, and logs once that there is no heartbeat URL"
