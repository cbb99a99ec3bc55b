# shellcheck shell=bash
# Makes the packages and archives of the agent, and the zip of the function.

readonly CARGO_DEB=3.8.0 CARGO_GENERATE_RPM=0.21.1
readonly FUNCTION_TARGET=x86_64-unknown-linux-musl

# cargo_tool NAME VERSION: installs a cargo tool into the user's cache, unless it is there; sets `tool` to
# its path.
cargo_tool() {
  tool=$cache/$1-$2/bin/$1
  # Optimised for build time: the tool packs only a few files.
  [ -x "$tool" ] ||
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      cargo install --quiet --locked --root "$cache/$1-$2" "$1@$2" ||
    die "cargo could not install $1."
}

# make_assets: makes man pages, completions and changelog in $work/assets, once per run, with a program that
# runs on this machine.
make_assets() {
  local generator assets=$work/assets candidate
  if [ "$assets/done" -nt "$work/started" ]; then return; fi
  generator=''
  for candidate in "$work"/programs/*/ispmon-agent; do
    [ "$candidate" -nt "$work/started" ] || continue
    if "$candidate" --version >/dev/null 2>&1; then generator=$candidate && break; fi
  done
  if [ -z "$generator" ]; then
    CARGO_TARGET_DIR=$work/cargo cargo build --locked --quiet -p ispmon-agent
    generator=$work/cargo/debug/ispmon-agent
  fi
  rm -rf "$assets"
  mkdir -p "$assets"
  "$generator" generate man "$assets/man"
  "$generator" generate completions bash >"$assets/ispmon-agent.bash"
  "$generator" generate completions zsh >"$assets/_ispmon-agent"
  "$generator" generate completions fish >"$assets/ispmon-agent.fish"
  python3 "$here/release/changelog.py" CHANGELOG.md "$package_version" "$(maintainer)" "$SOURCE_DATE_EPOCH" |
    gzip -9n >"$assets/changelog.Debian.gz"
  # Packages contain compressed pages, the archives plain ones for Homebrew and human readers.
  mkdir "$assets/man-packed"
  local page
  for page in "$assets"/man/*; do
    gzip -9n <"$page" >"$assets/man-packed/$(basename "$page").gz"
  done
  touch "$assets/done"
}

# maintainer: prints the maintainer of the packages.
maintainer() {
  sed -n 's/^maintainer = "\(.*\)"$/\1/p' agent/Cargo.toml
}

# stage ARCHITECTURE: copies program and assets to the paths that cargo-deb and cargo-generate-rpm expect;
# sets `target`, `stage`.
stage() {
  target=$(program_target "$1")
  compile "$target" ispmon-agent
  local agent=$program
  make_assets
  stage=$work/stage
  rm -rf "${stage:?}/$target"
  mkdir -p "$stage/$target/release/assets"
  cp "$agent" "$stage/$target/release/"
  cp -R "$work/assets/." "$stage/$target/release/assets/"
}

make_deb() {
  local architecture target stage
  cargo_tool cargo-deb $CARGO_DEB
  for architecture in $architectures; do
    can_build "$(program_target "$architecture")" || { skip "the .deb for $architecture" "$reason" && continue; }
    stage "$architecture"
    CARGO_TARGET_DIR=$stage "$tool" deb --manifest-path agent/Cargo.toml --quiet --no-build --no-strip --locked \
      --target "$target" --deb-version "$package_version-1" --output "$out/"
    say "$out/ispmon-agent_$package_version-1_$architecture.deb"
  done
}

# rpm_architecture ARCHITECTURE: prints rpm's name of the architecture.
rpm_architecture() {
  case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; armhf) echo armv7hl ;; esac
}

make_rpm() {
  local architecture target stage file
  cargo_tool cargo-generate-rpm $CARGO_GENERATE_RPM
  for architecture in $architectures; do
    can_build "$(program_target "$architecture")" || { skip "the .rpm for $architecture" "$reason" && continue; }
    stage "$architecture"
    file=$out/ispmon-agent-$package_version-1.$(rpm_architecture "$architecture").rpm
    "$tool" generate-rpm --package agent --target "$target" --target-dir "$stage" \
      --arch "$(rpm_architecture "$architecture")" --set-metadata "version = \"$package_version\"" \
      --source-date "$SOURCE_DATE_EPOCH" --output "$file"
    say "$file"
  done
}

# fill FOLDER PROGRAM: copies everything that belongs to the agent into the folder of an archive.
fill() {
  rm -rf "$1"
  mkdir -p "$1/completions"
  cp "$2" "$1/ispmon-agent"
  cp LICENSE README.md CHANGELOG.md agent/agent.toml "$1/"
  cp -R "$work/assets/man" "$1/"
  cp "$work/assets/ispmon-agent.bash" "$work/assets/_ispmon-agent" "$work/assets/ispmon-agent.fish" "$1/completions/"
}

# pack FOLDER: makes the archive of a folder below $work.
pack() {
  python3 "$here/release/archive.py" "$out/$(basename "$1").tar.gz" "$1" "$SOURCE_DATE_EPOCH"
  say "$out/$(basename "$1").tar.gz"
}

make_tarball() {
  local architecture folder target
  for architecture in $architectures; do
    target=$(program_target "$architecture")
    can_build "$target" || { skip "the archive for Linux, $architecture" "$reason" && continue; }
    compile "$target" ispmon-agent
    make_assets
    folder=$work/ispmon-agent-$version-linux-$(case $architecture in armhf) echo armv7 ;; *) echo "$architecture" ;; esac)
    fill "$folder" "$program"
    cp -R packaging/systemd "$folder/"
    pack "$folder"
  done
}

# make_macos: makes the archive with one program for both of Apple's architectures.
make_macos() {
  local both='' target lipo folder=$work/ispmon-agent-$version-macos-universal
  lipo=$(command -v lipo || command -v llvm-lipo || compgen -c llvm-lipo- | sort -V | tail -1)
  [ -n "$lipo" ] || { skip 'the archive for macOS' 'neither lipo nor llvm-lipo is there (Debian: llvm)' && return; }
  for target in aarch64-apple-darwin x86_64-apple-darwin; do
    can_build $target || { skip 'the archive for macOS' "$reason" && return; }
    compile $target ispmon-agent
    both="$both $program"
  done
  make_assets
  # shellcheck disable=SC2086  # two paths that this script has made
  "$lipo" -create -output "$work/universal" $both
  fill "$folder" "$work/universal"
  [ ! -d packaging/launchd ] || cp -R packaging/launchd "$folder/"
  pack "$folder"
}

# make_function: makes the zip that infra/deploy.sh --zip uploads.
make_function() {
  local zip=$out/ispmon-function-$version.zip
  can_build $FUNCTION_TARGET || { skip "the function's zip" "$reason" && return; }
  compile $FUNCTION_TARGET ispmon-function
  python3 infra/deploy/package.py --make "$zip" --function function --binary "$program" ||
    die "The function's zip cannot be made."
  say "$zip"
}

# make_source: makes the source archive that the formula builds from.
make_source() {
  local name=ispmon-$version
  git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$out/$name.tar.gz"
  say "$out/$name.tar.gz"
}
