"""Writes the agents' configurations and key files: agent-config.py FILE DEVICES URL, with the keys as JSON on
standard input.

DEVICES has one line per device: name, tab, key name. For one device the files are FILE and FILE's name with
.key. For several, the key name is inserted before the ending. Both files are created with owner-only
permissions and replaced atomically. A configuration that the user has edited is not changed, but renamed,
with its key, if its device or URL differs. Prints one line per device, or for many devices only the lines with
remarks.
"""

import json
import os
import re
import sys

# Up to this many devices are listed one per line.
MAX_LINES = 20
TEXT = r"""("(?:[^"\\]|\\.)*"|'[^']*')"""


def write(path, text):
    partial = f"{path}.partial"
    if os.path.lexists(partial):
        os.unlink(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)


def read(path):
    """Returns a file's contents; None when it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def settings(text):
    """Returns the settings in a configuration that this script writes, as far as each is on its own line."""
    table, found = "", {}
    for line in text.split("\n"):
        if header := re.fullmatch(r"\s*\[\s*(\w+)\s*\]\s*(#.*)?", line):
            table = header[1] + "."
        elif setting := re.fullmatch(rf"\s*(\w+)\s*=\s*{TEXT}\s*(#.*)?", line):
            found[table + setting[1]] = unquoted(setting[2])
    return found


def unquoted(text):
    try:
        return json.loads(text) if text.startswith('"') else text[1:-1]
    except ValueError:
        return text


def back_up(*paths):
    """Renames those of these files that exist to unused names; returns the new name of each, or None."""
    endings = (f".bak{number or ''}" for number in [0, *range(2, 1000)])
    ending = next(ending for ending in endings if not any(os.path.lexists(path + ending) for path in paths))
    existing = [path for path in paths if os.path.lexists(path)]
    for path in existing:
        os.replace(path, path + ending)
    return [path + ending if path in existing else None for path in paths]


def configure(path, device, url, key):
    """Writes both files; returns a remark about an existing configuration, and the path of the key."""
    key_path = (path[: -len(".toml")] if path.endswith(".toml") else path) + ".key"
    # A JSON string is also a TOML string, as long as no character is written as a surrogate pair.
    quoted = [json.dumps(text, ensure_ascii=False) for text in (device, url, key_path)]
    wanted = "device = {}\n\n[heartbeat]\nurl = {}\nkey_file = {}\n".format(*quoted)
    existing = read(path)
    if existing in (None, wanted):
        write(key_path, key + "\n")
        write(path, wanted)
        return "", key_path
    found = settings(existing)
    if found.get("device", "").strip().lower() == device.strip().lower() and found.get("heartbeat.url") == url:
        write(key_path, key + "\n")
        key_file = found.get("heartbeat.key_file")
        if key_file == key_path:
            return " The configuration was edited, so it was not changed.", key_path
        reads = f"it reads its key from {key_file or 'no file'}: set key_file, or copy the key."
        return f" The configuration was edited, so it was not changed; {reads}", key_path
    # A correct key file is left in place.
    if read(key_path) == key + "\n":
        (backup,), key_backup = back_up(path), None
    else:
        # Rename the key first: an interruption must not leave the configuration with another deployment's key.
        key_backup, backup = back_up(key_path, path)
    write(key_path, key + "\n")
    write(path, wanted)
    remark = f" The previous configuration, for another device or URL, is now {backup}"
    return remark + (f", its key {key_backup}." if key_backup else "."), key_path


def main():
    path, devices_path, url = sys.argv[1:]
    keys = json.load(sys.stdin)
    path = os.path.abspath(path)
    with open(devices_path, encoding="utf-8") as file:
        devices = [line.rstrip("\n").split("\t") for line in file]
    stem = path[: -len(".toml")] if path.endswith(".toml") else path
    for name, key_name in devices:
        own = path if len(devices) == 1 else f"{stem}-{key_name}.toml"
        remark, key_path = configure(own, name, url, keys[key_name])
        if remark or len(devices) <= MAX_LINES:
            print(f'Agent of "{name}": {own}, its key in {key_path}{"." if remark else ""}{remark}')
    if len(devices) > MAX_LINES:
        print(f"Agents: {len(devices)} configurations, {stem}-NAME.toml, their keys in {stem}-NAME.key")


try:
    main()
except (OSError, ValueError) as error:
    sys.exit(f"{error}.")
