"""Makes a .tar.gz of a folder; the same files give the same bytes on every system.

    archive.py ARCHIVE FOLDER SECONDS

Every name in the archive begins with the folder's own name. The owner is root, the time of every file is SECONDS since
1970, and the files are sorted by name.
"""

import gzip
import os
import stat
import sys
import tarfile


def names_below(folder):
    """Yields the folder and everything in it, sorted by name."""
    yield folder
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from names_below(path)
        else:
            yield path


def main(archive, folder, seconds):
    parent = os.path.dirname(os.path.abspath(folder))
    partial = f"{archive}.partial"
    with (
        open(partial, "wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed, format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in names_below(os.path.abspath(folder)):
            entry = tar.gettarinfo(path, os.path.relpath(path, parent))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = int(seconds)
            entry.mode = 0o755 if entry.isdir() or entry.mode & stat.S_IXUSR else 0o644
            if entry.isreg():
                with open(path, "rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    os.replace(partial, archive)


main(*sys.argv[1:])
