#!/bin/sh
# Builds and lints every template and checks its format, then generates:
#
#   main.snapshot.json       the resources as Azure would get them, evaluated offline with the fixed ids and
#                            environment below
#   many.snapshot.json       the same for devices whose names need escaping, and one-minute evaluation
#   thousand.snapshot.json   the same for more devices than a rule can hold
#   azuredeploy.json         the templates in one file, for a "Deploy to Azure" button
#
#   infra/snapshot.sh              writes the files
#   infra/snapshot.sh --validate   fails when a file is outdated
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

unset CDPATH
cd "$(dirname "$0")"

if command -v bicep >/dev/null 2>&1; then
  bicep=bicep
elif [ -n "${ISPMON_TOOLS-}" ] && [ -x "$ISPMON_TOOLS/bicep" ]; then
  bicep="$ISPMON_TOOLS/bicep"
else
  echo "SKIPPED: infra/snapshot.sh found no Bicep CLI on the PATH or in \$ISPMON_TOOLS."
  exit 0
fi

# No other variable of the caller reaches the templates: the defaults of main.bicepparam apply.
fixed() {
  env -i PATH="$PATH" HOME="${HOME-/}" \
    HEARTBEAT_DEVICE='dl-home, office' \
    ALERT_EMAIL='owner@example.org' \
    "$bicep" "$@"
}

stale() {
  echo "infra/$1 is stale: run infra/snapshot.sh and commit the result." >&2
  problems=1
}

problems=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# The modules are linted together with the template that uses them.
for template in main.bicep *.bicepparam; do
  fixed lint "$template" >"$output" 2>&1 || problems=1
  # Warnings count as errors, but the exit status does not show them.
  if [ -s "$output" ]; then
    cat "$output" >&2
    problems=1
  fi
done
for template in main.bicep *.bicepparam modules/*.bicep; do
  fixed format "$template" --stdout >"$output"
  if ! cmp -s "$output" "$template"; then
    echo "infra/$template is not formatted: run 'bicep format infra/$template'." >&2
    problems=1
  fi
done
[ "$problems" -eq 0 ] || exit 1

# Drop the compiler's version and hash, which do not depend on the templates.
fixed build main.bicep --stdout | sed '/"_generator": {/,/}/ {
  /"version":/d
  /"templateHash":/d
  s/"name": "bicep",/"name": "bicep"/
}' >"$output"
if [ "$mode" = overwrite ]; then
  cat "$output" >azuredeploy.json
elif ! cmp -s "$output" azuredeploy.json; then
  stale azuredeploy.json
fi

for parameters in *.bicepparam; do
  if ! fixed snapshot "$parameters" --mode "$mode" \
    --tenant-id 00000000-0000-0000-0000-000000000001 \
    --subscription-id 00000000-0000-0000-0000-000000000002 \
    --resource-group ispmon --location westeurope --deployment-name ispmon; then
    [ "$mode" = overwrite ] || stale "${parameters%.bicepparam}.snapshot.json"
    problems=1
  fi
done
exit "$problems"
