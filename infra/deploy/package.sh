# shellcheck shell=bash
# The zip that is uploaded: built from source, or given with --zip.

readonly TARGET=x86_64-unknown-linux-musl

# make_package: sets `package` to the path of the zip. A zip is written completely or not at all.
make_package() {
  local binary
  if [ -n "$given_zip" ]; then
    [ -e "$given_zip" ] || die "--zip: the file $given_zip does not exist." 66
    failure=$(helper package --check "$given_zip" 2>&1) || die "$given_zip cannot be deployed: $failure" 65
    package=$given_zip
    say "Package: $given_zip"
    return
  fi
  build_function
  package=$(dirname "$(dirname "$(dirname "$binary")")")/ispmon-function.zip
  failure=$(helper package --make "$package" --function "$root/function" --binary "$binary" 2>&1) ||
    die "Building the package failed: $failure"
  say "Package: $package"
}

# build_function: builds the static binary for Azure's machines; sets `binary`.
build_function() {
  local builder=cargo host
  command -v cargo >/dev/null 2>&1 || {
    next="install Rust (https://rustup.rs), or download the released zip and add --zip FILE, then $rerun"
    die 'The function must be built, but cargo is not installed.'
  }
  host=$(rustc -vV | sed -n 's/^host: //p')
  if [ ! -d "$(rustc --print target-libdir --target "$TARGET" 2>/dev/null)" ]; then
    if command -v cross >/dev/null 2>&1; then
      builder=cross
    else
      next="rustup target add $TARGET, or download the released zip and add --zip FILE, then $rerun"
      die "The function must be built for $TARGET, but this Rust target is not installed."
    fi
  elif [ "$host" != x86_64-unknown-linux-gnu ] && [ "$host" != "$TARGET" ]; then
    # With Rust's own linker and the target's C library, no C compiler for Linux is needed.
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER="${CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER:-rust-lld}"
  fi
  say "Building the function for $TARGET with $builder (a minute or two the first time)"
  binary=$(cd "$root" && cargo metadata --no-deps --format-version 1 --locked 2>"$work/failure" |
    python3 -I -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])' 2>/dev/null)/$TARGET/release/ispmon-function
  (cd "$root" && "$builder" build --release --locked --quiet --target "$TARGET" -p ispmon-function) || {
    next="see the compiler's output above; or download the released zip and add --zip FILE, then $rerun"
    die 'Building the function failed.'
  }
}
