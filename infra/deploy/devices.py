"""The names of the devices: reads, validates and splits them.

  devices.py --file FILE   one name per line; blank lines and lines that begin with # are ignored
  devices.py --list        names on standard input, separated by commas
  devices.py --parts       names on standard input, one per line: prints them as comma-separated lists, each
                           short enough for one environment variable

The first two print one line per device: its name, a tab, the name of its host key.
"""

import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import characters  # noqa: E402

MAX_DEVICES = 5000
MAX_CHARACTERS = 100
# Linux allows 128 kB for one variable.
MAX_BYTES = 100_000
MAX_PARTS = 8
# Letters that the programs that compare names lower-case differently.
AMBIGUOUS = "İıẞΣςϴ\u212a\u212b\u2126ǄǅǇǈǊǋǱǲ"
# Names in heartbeats that are not from a device: heartbeats without a name, and the test heartbeat of
# deploy.sh.
RESERVED_NAMES = {
    "unknown": "heartbeats without a name are counted for it, so it would never be silent",
    "ispmon-deploy": "deploy.sh uses this name for its test heartbeats",
}
# Host keys that Azure uses itself.
RESERVED_KEYS = {"default", "master", "_master"}


def refuse(sentence):
    sys.exit(sentence)


def check(name, where):
    if len(name) > MAX_CHARACTERS:
        refuse(f"{where}: the name {name[:20]}… is longer than {MAX_CHARACTERS} characters.")
    if "," in name:
        refuse(f"{where}: the name {name!r} contains a comma. Write one name per line.")
    found = characters.invisible(name)
    if found:
        refuse(f"{where}: the name {name!r} contains an invisible character, {found}. Type the name by hand.")
    found = characters.typographic_quote(name)
    if found:
        refuse(f"{where}: the name {name} has a typographic quote around it, {found}. Use none, or \" or '.")
    if name.lower() in RESERVED_NAMES:
        refuse(f"{where}: a device cannot be called {name!r}: {RESERVED_NAMES[name.lower()]}.")
    for character in name:
        if character in AMBIGUOUS:
            refuse(
                f"{where}: the name {name!r} has the letter {character!r}, which programs convert to lower "
                "case differently; use another name."
            )


def key_name(name):
    """Returns the name of a device's host key: its own name where that is valid, else a name with a part of
    its hash."""
    lower = name.lower()
    plain = re.sub(r"[^a-z0-9-]+", "-", lower).strip("-")[:40]
    if plain == lower and plain not in RESERVED_KEYS:
        return plain
    return f"{plain or 'device'}-{hashlib.sha256(lower.encode()).hexdigest()[:8]}"


def distinct(named):
    seen = {}
    for name, where in named:
        check(name, where)
        seen.setdefault(name.lower(), name)
    if not seen:
        refuse("The list contains no device.")
    if len(seen) > MAX_DEVICES:
        refuse(f"There are {len(seen)} devices; at most {MAX_DEVICES} can be monitored.")
    return seen.values()


def from_file(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError:
        refuse(f"{path} is not UTF-8 text. Save it as UTF-8.")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}.")
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip(" \t\r")
        if not name or name.startswith("#"):
            continue
        where = f"{path}, line {number}"
        # In .env this is a comment; here it would become part of the name.
        if re.search(r"[ \t]#", name):
            refuse(f"{where}: {name!r} has a comment after the name. Put comments on separate lines.")
        if len(name) > 1 and name[0] in "\"'" and name[-1] == name[0]:
            refuse(f"{where}: {name} has quotes around the name. Remove them.")
        yield name, where


def from_list(text):
    for number, entry in enumerate(text.split(","), 1):
        name = entry.strip(" \t")
        if not name:
            refuse(f"entry {number} is empty.")
        yield name, f"entry {number}"


def parts(names):
    part, size = [], 0
    for name in names:
        length = len(name.encode()) + 1
        if part and size + length > MAX_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += length
    yield part


def main(arguments):
    if arguments == ["--parts"]:
        lists = list(parts(sys.stdin.read().split("\n")[:-1]))
        if len(lists) > MAX_PARTS:
            refuse(f"The names of all devices together must not be longer than about {MAX_PARTS * MAX_BYTES} bytes.")
        for part in lists:
            print(",".join(part))
        return
    named = from_file(arguments[1]) if arguments[0] == "--file" else from_list(sys.stdin.read())
    for name in distinct(named):
        print(f"{name}\t{key_name(name)}")


main(sys.argv[1:])
