"""Writes the agents' configurations and key files: agent-config.py FILE DEVICES URL, the keys as JSON on standard input.

DEVICES has a name and a key's name a line, separated by a tab. One device: FILE, and FILE's name with .key. Several: the
key's name is put before the ending. Both files are readable by their owner only from the first byte on, and are replaced
as a whole. A configuration that somebody has edited is kept; if its device or URL is another one, it and its key are kept
under other names.
Prints a line for each device, or for what is to be said of it where there are many.
"""

import json
import os
import re
import sys

# So many devices have a line each.
MOST_LINES = 20
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
    """What stands in a file; None when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def settings(text):
    """The settings of a configuration that this script writes, as far as they stand on a line of their own."""
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


def put_aside(*paths):
    """Renames these files, those that are there, to names that no file has; returns the new name of each, or None."""
    endings = (f".bak{number or ''}" for number in [0, *range(2, 1000)])
    ending = next(ending for ending in endings if not any(os.path.lexists(path + ending) for path in paths))
    there = [os.path.lexists(path) for path in paths]
    for path, is_there in zip(paths, there):
        if is_there:
            os.replace(path, path + ending)
    return [path + ending if is_there else None for path, is_there in zip(paths, there)]


def configure(path, device, url, key):
    """Writes both files; returns a remark about the configuration, and the path of the key."""
    key_path = (path[: -len(".toml")] if path.endswith(".toml") else path) + ".key"
    # A JSON text is a TOML text too, once no character is written as a surrogate pair.
    quoted = [json.dumps(text, ensure_ascii=False) for text in (device, url, key_path)]
    wanted = "device = {}\n\n[heartbeat]\nurl = {}\nkey_file = {}\n".format(*quoted)
    there = read(path)
    if there in (None, wanted):
        write(key_path, key + "\n")
        write(path, wanted)
        return "", key_path
    now = settings(there)
    if now.get("device", "").strip().lower() == device.strip().lower() and now.get("heartbeat.url") == url:
        write(key_path, key + "\n")
        key_file = now.get("heartbeat.key_file")
        if key_file == key_path:
            return " is kept as it was edited", key_path
        return f" is kept as it was edited, and takes its key from {key_file or 'no file'}; set key_file, or copy the key", key_path
    # A key that is still right stays where it is.
    if read(key_path) == key + "\n":
        (backup,), key_backup = put_aside(path), None
    else:
        # The key goes first: a configuration with another deployment's key beside it would be worse than one with none.
        key_backup, backup = put_aside(key_path, path)
    write(key_path, key + "\n")
    write(path, wanted)
    remark = f" is new; what was there had another device or URL and is now {backup}"
    return remark + (f", the key beside it {key_backup}" if key_backup else ""), key_path


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
        if remark or len(devices) <= MOST_LINES:
            print(f'Agent of "{name}": {own}{remark}, its key in {key_path}')
    if len(devices) > MOST_LINES:
        print(f"Agents: {len(devices)} configurations, {stem}-….toml, each with its key beside it in {stem}-….key")


try:
    main()
except (OSError, ValueError) as error:
    sys.exit(f"{error}.")
