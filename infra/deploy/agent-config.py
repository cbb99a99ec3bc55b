"""Writes an agent's configuration and its key file: agent-config.py FILE DEVICE URL, the key on standard input.

Both are readable by their owner only from the first byte on, and are replaced as a whole.
"""

import json
import os
import sys


def write(path, text):
    partial = f"{path}.partial"
    if os.path.lexists(partial):
        os.unlink(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)


def main():
    path, device, url = sys.argv[1:]
    key = sys.stdin.read().strip()
    if not key:
        sys.exit("Azure gave no key.")
    path = os.path.abspath(path)
    key_path = (path[: -len(".toml")] if path.endswith(".toml") else path) + ".key"
    write(key_path, key + "\n")
    # A JSON text is a TOML text too, once no character is written as a surrogate pair.
    quote = lambda text: json.dumps(text, ensure_ascii=False)
    write(
        path,
        f"device = {quote(device)}\n\n[heartbeat]\nurl = {quote(url)}\nkey_file = {quote(key_path)}\n",
    )


try:
    main()
except OSError as error:
    sys.exit(f"{error}.")
