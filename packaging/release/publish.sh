# shellcheck shell=bash
# Makes what is published with the artefacts: the apt repository, the tap, the checksums.

# make_apt: makes a repository of the .debs in $out, in Debian's layout.
make_apt() {
  local apt=$out/apt architecture packages debs
  command -v apt-ftparchive >/dev/null || { skip 'the apt repository' 'apt-ftparchive is not there (Debian: apt-utils)' && return; }
  debs=$(find "$out" -maxdepth 1 -name '*.deb')
  [ -n "$debs" ] || { skip 'the apt repository' "there is no .deb in $out" && return; }
  rm -rf "$apt"
  mkdir -p "$apt/pool/main"
  find "$out" -maxdepth 1 -name '*.deb' -exec cp {} "$apt/pool/main/" \;
  for architecture in $architectures; do
    packages=dists/stable/main/binary-$architecture
    mkdir -p "$apt/$packages"
    (cd "$apt" && apt-ftparchive --arch "$architecture" packages pool/main >"$packages/Packages")
    gzip -9nk "$apt/$packages/Packages"
  done
  (cd "$apt" && apt-ftparchive -o APT::FTPArchive::Release::Origin=ispmon -o APT::FTPArchive::Release::Label=ispmon \
    -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
    -o "APT::FTPArchive::Release::Architectures=$architectures" -o APT::FTPArchive::Release::Components=main \
    release dists/stable >"$work/Release")
  # apt-ftparchive writes the current time and has no option for another.
  LC_ALL=C sed "s/^Date: .*/Date: $(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')/" \
    "$work/Release" >"$apt/dists/stable/Release"
  if [ -n "${ISPMON_SIGNING_KEY:-}" ]; then
    gpg --batch --yes --local-user "$ISPMON_SIGNING_KEY" --clearsign --output "$apt/dists/stable/InRelease" "$apt/dists/stable/Release"
    gpg --batch --yes --local-user "$ISPMON_SIGNING_KEY" --armor --detach-sign --output "$apt/dists/stable/Release.gpg" "$apt/dists/stable/Release"
    gpg --batch --yes --export "$ISPMON_SIGNING_KEY" >"$apt/ispmon.gpg"
  else
    skip 'the signature of the apt repository' 'ISPMON_SIGNING_KEY names no key'
  fi
  say "$apt"
}

# make_tap: makes Homebrew's tap, with the checksum of the source archive that the formula is built from.
make_tap() {
  local source=$out/ispmon-$version.tar.gz
  [ -d packaging/homebrew ] || { skip 'the tap' 'packaging/homebrew is not there' && return; }
  [ -f "$source" ] || { skip 'the tap' "there is no $source" && return; }
  rm -rf "$out/tap"
  packaging/homebrew/publish "$source" "$repository/releases/download/v$version/$(basename "$source")" "$out/tap"
  say "$out/tap"
}

# make_sums: writes the checksums of all files in $out, in the format that `sha256sum -c` reads.
make_sums() {
  (cd "$out" && find . -type f ! -name SHA256SUMS | sort | sed 's|^\./||' | while read -r file; do
    python3 -I -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest() + "  " + sys.argv[1])' "$file"
  done >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" SHA256SUMS)
  say "$out/SHA256SUMS"
}
