"""Files with one entry per line."""


def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")[:-1]
