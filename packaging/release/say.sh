# shellcheck shell=bash
# Prints messages and errors of the build.

# say TEXT: prints a message.
say() {
  printf '%s\n' "$1"
}

# die TEXT: prints an error and exits with 1.
die() {
  printf 'packaging/build: %s\n' "$1" >&2
  exit 1
}

# misuse TEXT: prints a usage error and exits with 64.
misuse() {
  printf 'packaging/build: %s\nTry packaging/build --help.\n' "$1" >&2
  exit 64
}

# skip WHAT WHY: reports an artefact that is not made, now and at the end.
skip() {
  skipped+=("SKIPPED: $1: $2")
  say "SKIPPED: $1: $2"
}

# field JSON EXPRESSION: prints a value of a JSON text, which the Python expression uses as `data`.
field() {
  printf '%s' "$1" | python3 -I -c 'import json, sys; data = json.load(sys.stdin); print(eval(sys.argv[1]))' "$2"
}
