# shellcheck shell=bash
# Keys, the test heartbeat, and the wait until it can be queried.

# query NAME [NOTE]: asks the workspace; sets `answer` to the rows, columns separated by tabs.
# Returns 2 when there is no table yet.
query() {
  helper query "$1" "${2:-}" >"$work/query.json" || die "The query $1 cannot be read."
  azure_reads rest --method post --url "https://api.loganalytics.io/v1/workspaces/$workspace_id/query" \
    --resource https://api.loganalytics.io --headers Content-Type=application/json --body "@$work/query.json" \
    --query 'tables[0].rows' -o tsv && return
  case $failure in
    *SEM0100* | *'Failed to resolve table'* | *PathNotFoundError* | *WorkspaceNotFound* )
      answer=''
      return 2
      ;;
  esac
  return 1
}

# find_new_devices: which devices are new: no rule in force watches them, and nothing was heard of them in the last ten
# minutes, nor have they announced that they are silent. Sets `new_devices` to a file like `devices`. Whoever is watched
# already is left alone: a heartbeat in its name would end its alarm.
find_new_devices() {
  new_devices="$work/new-devices.tsv"
  read_rules
  helper rules --watched "$conf_PREFIX" <"$work/rules.json" >"$work/watched.txt" || die 'The alert rules are not understood.'
  query heard
  case $? in
    0 | 2) ;;
    *) die_of 'Asking which devices are heard already failed, and such a device must not be muted' ;;
  esac
  printf '%s\n' "$answer" >"$work/heard.txt"
  helper seen --new "$devices" "$work/heard.txt" "$work/watched.txt" >"$new_devices" ||
    die 'The list of the devices that are heard is not understood.'
}

# make_keys: a host key for each device, named after it. A key that is there stays as it is.
# While the app starts, its keys cannot be read yet.
make_keys() {
  local attempt names device key made=0
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    azure functionapp keys list --resource-group "$conf_RG" --name "$app" --query 'keys(functionKeys)' -o tsv && break
    case $failure in
      *AADSTS* | *'az login'* | *AuthorizationFailed*) die_of 'Reading the names of the keys failed' ;;
    esac
    [ "$attempt" -lt 20 ] || {
      diagnose_storage
      die_of 'The keys of the function app cannot be read'
    }
    progress "waiting for the app to start (attempt $attempt)"
    sleep 15
  done
  end_progress
  names=$answer
  while IFS=$'\t' read -r device key <&3; do
    printf '%s\n' "$names" | grep -qxF "$key" && continue
    azure_reads functionapp keys set --resource-group "$conf_RG" --name "$app" --key-type functionKeys \
      --key-name "$key" -o none || die_of "Making the key of the device \"$device\" failed"
    made=$((made + 1))
    progress "keys: $made"
  done 3<"$devices"
  end_progress
  say "Keys: one for each device ($device_count), new: $made"
}

# read_keys: sets `answer` to all keys of the app, as JSON. They are never printed and never an argument.
read_keys() {
  local attempt missing=''
  for attempt in 1 2 3; do
    if azure_secret functionapp keys list --resource-group "$conf_RG" --name "$app" --query functionKeys -o json; then
      missing=$(printf '%s' "$answer" | helper keys --missing "$devices" | head -n 1)
      [ -n "$missing" ] || return 0
    fi
    [ "$attempt" = 3 ] || sleep 10
  done
  [ -z "$missing" ] || { next="$base --code-only"; die "The function app has no key named \"$missing\"."; }
  die_of 'Reading the keys failed'
}

# first_key: sets `secret` to the key of the first device.
first_key() {
  read_keys
  secret=$(printf '%s' "$answer" | helper keys --get "$(head -n 1 "$devices" | cut -f 2)")
  answer=''
}

# send_heartbeat DEVICE QUIET_SECONDS KEY: sends the test heartbeat of a device; sets `status` to what came back.
send_heartbeat() {
  helper heartbeat "$1" "$note" "$2" >"$work/heartbeat.json" || die 'The test heartbeat cannot be written.'
  status=$(printf 'header = "x-functions-key: %s"\n' "$3" |
    curl -q --silent --max-time 60 --config - --header 'content-type: application/json' \
      --data-binary "@$work/heartbeat.json" --output "$work/response" --write-out '%{http_code}' "$url" 2>/dev/null)
  # A page that answers 200 to everything is not the function.
  if [ "$status" = 200 ] && [ "$(head -c 2 "$work/response" 2>/dev/null)" != ok ]; then status='200, but not from ispmon'; fi
}

# send_test_heartbeats: one in the name of each new device, with an hour's announced silence, so that it does not alarm
# at birth. If none is new, the test heartbeat comes from a name that nobody expects.
send_test_heartbeats() {
  note="deploy-test-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')"
  send_noted
  if [ -s "$new_devices" ]; then
    say "Answered. Devices that are new may be silent for an hour: $(wc -l <"$new_devices" | tr -d ' ')"
  else
    say 'Answered. Every device is heard or watched already, so none is muted.'
  fi
}

# send_noted: the test heartbeats with the note.
send_noted() {
  local device secret sent=0
  first_key
  # Any key opens the function to any name, so one is enough for the test.
  if [ -s "$new_devices" ]; then
    while IFS=$'\t' read -r device _ <&3; do
      deliver "$device" 3600 "$secret"
      sent=$((sent + 1))
      progress "test heartbeats: $sent"
    done 3<"$new_devices"
    end_progress
  else
    deliver ispmon-deploy 0 "$secret"
  fi
}

# deliver DEVICE QUIET_SECONDS KEY: sends until the function answers. A cold app answers 401, 404 or 503 for a while.
deliver() {
  local attempt
  for attempt in $(seq 1 60); do
    send_heartbeat "$1" "$2" "$3"
    [ "$status" != 200 ] || { end_progress; return 0; }
    progress "waiting for the first answer (it was $status, attempt $attempt)"
    sleep 10
  done
  end_progress
  diagnose_storage
  case $status in
    000) failure='nothing answers at its address. See whether this machine reaches the internet' ;;
    401 | 403) failure='it refuses the key that it gave out' ;;
    404) failure='the code is not there, or does not start' ;;
    *) failure="it answers $status" ;;
  esac
  next="$base --code-only; if it stays so, see the portal: $app, Log stream"
  die "The function at $url does not work after ten minutes: $failure."
}

# wait_until_queryable: a 200 only says that the line is in the host's pipe. The rules see it when it can be queried.
wait_until_queryable() {
  local attempt
  for attempt in $(seq 1 25); do
    query arrived "$note"
    case $? in
      0) [ "$answer" = '' ] || [ "$answer" = 0 ] || { end_progress; say 'The test heartbeat can be queried.'; return; } ;;
      1) die_of 'The workspace cannot be queried' ;;
    esac
    progress "waiting until the test heartbeat can be queried (attempt $attempt)"
    # Azure's host may have lost the line: it counts as sent only when it arrives.
    case $attempt in 8 | 16) send_noted ;; esac
    sleep 20
  done
  end_progress
  diagnose_ingestion
  next="correct this, then $again"
  die "The function answered, but its line cannot be queried after ten minutes. $reason"
}
