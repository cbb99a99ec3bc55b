# shellcheck shell=bash
# How the build speaks.

# say TEXT: tells what is done.
say() {
  printf '%s\n' "$1"
}

# die TEXT: ends the build because of what failed.
die() {
  printf 'packaging/build: %s\n' "$1" >&2
  exit 1
}

# misuse TEXT: ends the build because of its arguments.
misuse() {
  printf 'packaging/build: %s\nTry packaging/build --help.\n' "$1" >&2
  exit 64
}

# skip WHAT WHY: tells at once and at the end what is not made.
skip() {
  skipped+=("SKIPPED: $1: $2")
  say "SKIPPED: $1: $2"
}

# field JSON EXPRESSION: prints a value of a JSON text, which the Python expression knows as `data`.
field() {
  printf '%s' "$1" | python3 -I -c 'import json, sys; data = json.load(sys.stdin); print(eval(sys.argv[1]))' "$2"
}
