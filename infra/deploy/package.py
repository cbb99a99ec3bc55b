"""The zip of the function app: creates it, or checks an existing one.

  package.py --make ZIP --function FOLDER --binary FILE
  package.py --check ZIP

The same files always give the same bytes: times and order are fixed, and nothing is compressed, because
compression libraries differ. The binary keeps its executable bit, without which the Functions host cannot
start it.
"""

import os
import stat
import struct
import sys
import zipfile

BINARY = "ispmon-function"
FILES = ["Outages/function.json", "Ping/function.json", "host.json"]
# The earliest time that the zip format supports.
TIME = (1980, 1, 1, 0, 0, 0)
X86_64 = 62
INTERPRETER = 3


def check_binary(data):
    """Refuses a binary that Azure's machines cannot start: another system, another processor, a dynamic
    library."""
    if data[:4] != b"\x7fELF":
        sys.exit(f"{BINARY} is not a Linux program.")
    if data[4] != 2 or struct.unpack_from("<H", data, 18)[0] != X86_64:
        sys.exit(f"{BINARY} is not built for x86-64.")
    offset, size, count = (
        struct.unpack_from("<Q", data, 32)[0],
        struct.unpack_from("<H", data, 54)[0],
        struct.unpack_from("<H", data, 56)[0],
    )
    kinds = [struct.unpack_from("<I", data, offset + size * number)[0] for number in range(count)]
    if INTERPRETER in kinds:
        sys.exit(f"{BINARY} is not statically linked: it needs shared libraries of the machine that it was built on.")


def add(package, name, data, mode):
    entry = zipfile.ZipInfo(name, TIME)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFREG | mode) << 16
    package.writestr(entry, data, zipfile.ZIP_STORED)


def make(path, function, binary):
    with open(binary, "rb") as file:
        program = file.read()
    check_binary(program)
    partial = f"{path}.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as package:
        for name in FILES:
            with open(os.path.join(function, name), "rb") as file:
                add(package, name, file.read(), 0o644)
        add(package, BINARY, program, 0o755)
    os.replace(partial, path)


def check_layout(package):
    """Refuses a zip that Azure cannot unpack, or whose files are in the wrong folder."""
    names = package.namelist()
    missing = [name for name in [*FILES, BINARY] if name not in names]
    inner = [name for name in names if name.lower().endswith(".zip")]
    folders = [name[: -len("host.json")] for name in names if name.endswith("/host.json")]
    if missing and inner:
        sys.exit(f"it contains another zip, {inner[0]}: unpack it and use that one.")
    if missing and folders:
        sys.exit(f"its files are in the folder {folders[0]}: they must be at the top level. Download it again, or build it.")
    if missing:
        sys.exit(f"it lacks {', '.join(missing)}.")
    for entry in package.infolist():
        if entry.flag_bits & 1:
            sys.exit(f"{entry.filename} is encrypted; Azure cannot unpack it.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            sys.exit(f"{entry.filename} has a compression method that Azure does not support. Download it again, or build it.")


def check(path):
    if os.path.isdir(path):
        sys.exit("it is a folder.")
    try:
        with zipfile.ZipFile(path) as package:
            check_layout(package)
            if not package.getinfo(BINARY).external_attr >> 16 & 0o111:
                sys.exit(f"{BINARY} has no executable bit; download it again, or build it.")
            if package.testzip():
                sys.exit("it is damaged.")
            check_binary(package.read(BINARY))
    except Exception as error:
        # A damaged zip raises many kinds of errors.
        sys.exit(f"it is damaged, or not a package of the function: {error or type(error).__name__}.")


def main(arguments):
    if arguments[0] == "--check":
        check(arguments[1])
    else:
        make(arguments[1], arguments[3], arguments[5])


try:
    main(sys.argv[1:])
except OSError as error:
    sys.exit(f"{error}.")
