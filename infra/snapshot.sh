#!/bin/sh
# Builds, lints and checks the format of every template, then writes main.snapshot.json: the resources
# as Azure would get them, evaluated offline with the fixed ids and environment below.
#
#   infra/snapshot.sh              writes main.snapshot.json
#   infra/snapshot.sh --validate   fails when main.snapshot.json is stale
#
# Needs the Bicep CLI as `bicep` on the PATH or in the folder $ISPMON_TOOLS.
set -eu

case "${1-}" in
  '') mode=overwrite ;;
  --validate) mode=validate ;;
  *)
    echo "usage: infra/snapshot.sh [--validate]" >&2
    exit 64
    ;;
esac

cd "$(dirname "$0")"

if command -v bicep >/dev/null 2>&1; then
  bicep=bicep
elif [ -n "${ISPMON_TOOLS-}" ] && [ -x "$ISPMON_TOOLS/bicep" ]; then
  bicep="$ISPMON_TOOLS/bicep"
else
  echo "SKIPPED: infra/snapshot.sh found no Bicep CLI on the PATH or in \$ISPMON_TOOLS."
  exit 0
fi

# Nothing else of the caller's environment reaches the templates: the defaults of main.bicepparam apply.
fixed() {
  env -i PATH="$PATH" HOME="${HOME-/}" \
    HEARTBEAT_DEVICE='dl-home, office' \
    ALERT_EMAIL='owner@example.org' \
    "$bicep" "$@"
}

problems=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

fixed build main.bicep --stdout >/dev/null || problems=1
for template in main.bicep main.bicepparam modules/*.bicep; do
  fixed lint "$template" >"$output" 2>&1 || problems=1
  # A warning is a problem too, and the exit status does not tell.
  if [ -s "$output" ]; then
    cat "$output" >&2
    problems=1
  fi
  fixed format "$template" --stdout >"$output"
  if ! cmp -s "$output" "$template"; then
    echo "infra/$template is not formatted: run 'bicep format infra/$template'." >&2
    problems=1
  fi
done
[ "$problems" -eq 0 ] || exit 1

if ! fixed snapshot main.bicepparam --mode "$mode" \
  --tenant-id 00000000-0000-0000-0000-000000000001 \
  --subscription-id 00000000-0000-0000-0000-000000000002 \
  --resource-group ispmon --location westeurope --deployment-name ispmon; then
  [ "$mode" = overwrite ] || echo "infra/main.snapshot.json is stale: run infra/snapshot.sh and commit the result." >&2
  exit 1
fi
