# shellcheck shell=bash
# Compiles the programs for each system.

# program_target ARCHITECTURE: prints the target triple of the static program for a Linux architecture.
program_target() {
  case $1 in
  amd64) echo x86_64-unknown-linux-musl ;;
  arm64) echo aarch64-unknown-linux-musl ;;
  armhf) echo armv7-unknown-linux-musleabihf ;;
  esac
}

# compile TARGET CRATE: builds a program once per run, and sets `program` to its path.
compile() {
  local target=$1 crate=$2 plain=${1%%.*} builder folder=$work/cargo
  # Two builders in one folder would each take the other's result for its own.
  if [ -n "${ISPMON_CROSS:-}" ]; then folder=$work/cross; fi
  program=$work/programs/$plain/$crate
  if [ "$program" -nt "$work/started" ]; then return; fi
  choose_builder "$target" || die "$crate cannot be built for $target: $reason."
  say "Building $crate for $target"
  (
    export CARGO_TARGET_DIR=$folder CARGO_INCREMENTAL=0
    RUSTFLAGS="${RUSTFLAGS:-}$(mapped_paths "$folder")"
    export RUSTFLAGS
    "${builder[@]}" --release --locked --quiet -p "$crate"
  ) || die "Building $crate for $target failed."
  mkdir -p "$(dirname "$program")"
  rm -f "$program"
  cp "$(newest "$(find "$folder" -path "*/$plain/release/$crate" -type f)")" "$program"
}

# newest FILES: prints the newest of the files, which are given one per line.
newest() {
  local file best=''
  while read -r file; do
    if [ -z "$best" ] || [ "$file" -nt "$best" ]; then best=$file; fi
  done <<<"$1"
  printf '%s\n' "$best"
}

# mapped_paths FOLDER: prints the flags that keep the folders of this machine, of which FOLDER is cargo's target
# directory, out of the programs. The last one that fits counts.
mapped_paths() {
  printf ' --remap-path-prefix=%s' "$HOME=/home" "${CARGO_HOME:-$HOME/.cargo}=/cargo" \
    "$(rustc --print sysroot)=/rust" "$root=/ispmon" "$1=/target"
}

# choose_builder TARGET: sets `builder` to the start of the build command for the target. Fails with
# `reason` set when this machine cannot build for it.
choose_builder() {
  local target=$1 plain=${1%%.*}
  if [ -n "${ISPMON_CROSS:-}" ]; then
    builder=("$ISPMON_CROSS" "$target" build)
    return
  fi
  if [ ! -d "$(rustc --print target-libdir --target "$plain" 2>/dev/null)" ]; then
    reason="Rust's library for $plain is not installed (rustup target add $plain)"
    return 1
  fi
  if [ "${plain%-apple-darwin}" = "$plain" ] && command -v cargo-zigbuild >/dev/null; then
    builder=(cargo zigbuild --target "$target")
  elif [ "$target" != "$plain" ]; then
    reason="a program for old systems needs cargo-zigbuild (pip install ziglang cargo-zigbuild)"
    return 1
  elif has_compiler "$plain"; then
    builder=(cargo build --target "$plain")
  else
    reason="there is no C compiler for $plain (pip install ziglang cargo-zigbuild brings one)"
    return 1
  fi
}

# can_build TARGET: succeeds if this machine can build for the target; otherwise sets `reason`.
can_build() {
  local builder
  choose_builder "$1"
}

# has_compiler TARGET: succeeds if the C compiler that cargo would call for the target is installed.
has_compiler() {
  local system architecture
  system=$(uname -s) architecture=$(uname -m)
  case $1 in
  *-apple-darwin) [ "$system" = Darwin ] ;;
  "$architecture"-unknown-linux-musl) [ "$system" = Linux ] && command -v musl-gcc >/dev/null ;;
  *) command -v "${1/-unknown/}-gcc" >/dev/null ;;
  esac
}
