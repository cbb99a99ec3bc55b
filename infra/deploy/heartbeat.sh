# shellcheck shell=bash
# Keys, the test heartbeat, and the wait until it can be queried.

# az reads additional CA certificates (such as a company proxy's) from REQUESTS_CA_BUNDLE, curl from CURL_CA_BUNDLE.
if [ -z "${CURL_CA_BUNDLE:-}${SSL_CERT_FILE:-}" ] && [ -f "${REQUESTS_CA_BUNDLE:-}" ]; then
  export CURL_CA_BUNDLE=$REQUESTS_CA_BUNDLE
fi

# query NAME [NOTE]: runs a query on the workspace; sets `answer` to the rows, columns separated by tabs.
# Returns 2 when the table does not exist yet.
query() {
  helper query "$1" "${2:-}" >"$work/query.json" || die "Reading the text of the query $1 failed."
  azure_retry rest --method post --url "https://api.loganalytics.io/v1/workspaces/$workspace_id/query" \
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

# find_new_devices: sets `new_devices` to a file like `devices` with the new ones. A device is new if no enabled rule
# monitors it, it sent no heartbeat in the last ten minutes, and no announced silence of it is in effect. For the others,
# no silence may be announced: a heartbeat in the name of a silent device would resolve its alert.
find_new_devices() {
  new_devices="$work/new-devices.tsv"
  read_rules
  helper rules --monitored "$conf_PREFIX" <"$work/rules.json" >"$work/monitored-devices.txt" || die 'The alert rules could not be parsed.'
  query active-devices
  case $? in
    0 | 2) ;;
    *) die_with_failure 'Querying the devices that already send heartbeats failed' ;;
  esac
  printf '%s\n' "$answer" >"$work/active-devices.txt"
  helper device-activity --new "$devices" "$work/active-devices.txt" "$work/monitored-devices.txt" >"$new_devices" ||
    die 'The list of the devices that send heartbeats could not be parsed.'
}

# create_keys: creates a host key for each device, named after it. Existing keys stay unchanged. One after the other: the
# function app reads all keys, adds one and writes all back, so one of two concurrent writes would be lost.
create_keys() {
  local made key
  list_keys
  list_missing_keys
  made=$(grep -c '' "$work/missing-keys.txt")
  if [ "$made" -gt 20 ]; then
    create_keys_with_curl
  else
    while IFS= read -r key <&3; do
      azure_retry functionapp keys set --resource-group "$conf_RG" --name "$app" --key-type functionKeys \
        --key-name "$key" -o none || die_with_failure "Creating the key \"$key\" failed"
    done 3<"$work/missing-keys.txt"
  fi
  say "Keys: one for each device ($device_count), new: $made"
}

# create_keys_with_curl: does what `az functionapp keys set` does for each name in a file, without starting az for each, which
# would take longer than the request. Renews the token for each hundred. Token and keys are never an argument or in a
# file.
create_keys_with_curl() {
  local endpoint names="$work/missing-keys.txt" batch="$work/batch.txt" mark attempt=0
  # This command has no option --subscription.
  endpoint=$(az cloud show --query endpoints.resourceManager -o tsv --only-show-errors 2>"$work/failure" </dev/null) || {
    failure=$(failure_text)
    die_with_failure 'Reading the URL of Resource Manager failed'
  }
  endpoint=${endpoint%/}
  case $endpoint in https://* | http://127.0.0.1:*) ;; *) die "The URL of Resource Manager is $endpoint, but tokens are sent only over https." ;; esac
  mark=$(random)
  while [ -s "$names" ]; do
    progress "keys to be created: $(grep -c '' "$names")"
    head -n 100 "$names" >"$batch"
    azure_secret account get-access-token --query accessToken -o tsv || die_with_failure 'Getting a token for the login failed'
    printf '%s' "$answer" |
      helper keys --requests "$batch" "$endpoint$group_id/providers/Microsoft.Web/sites/$app/host/default/functionKeys" "$mark" |
      curl -q --config - 2>"$work/curl" | helper keys --not-created "$batch" "$mark" >"$work/answers.txt"
    # Check the status of the last part only, because its output includes curl's failures. Without it, every key would
    # count as created.
    [ "${PIPESTATUS[3]}" = 0 ] || die 'The responses of Azure to the requests for new keys could not be parsed.'
    answer=''
    status=$(head -n 1 "$work/answers.txt")
    if [ "$(tail -n +2 "$work/answers.txt" | grep -c '')" = "$(grep -c '' "$batch")" ]; then
      attempt=$((attempt + 1))
    else
      attempt=0
    fi
    { tail -n +2 "$work/answers.txt"; tail -n +101 "$names"; } >"$work/rest.txt"
    mv "$work/rest.txt" "$names"
    [ -n "$status" ] || continue
    failure="Azure answered $status $(grep '^curl: ' "$work/curl" | head -n 1)"
    [ "$attempt" -lt 6 ] || { end_progress; die_with_failure 'Creating the keys of the devices failed'; }
    # Most likely too many requests; Azure accepts a few more every second.
    sleep 20
  done
  end_progress
}

# random: prints 64 random bits in hexadecimal.
random() { od -An -N8 -tx1 /dev/urandom | tr -d ' \n'; }

# list_keys: sets `answer` to the names of the keys. Retries, because they cannot be read while the app starts.
list_keys() {
  local attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    azure functionapp keys list --resource-group "$conf_RG" --name "$app" --query 'keys(functionKeys)' -o tsv && break
    case $failure in
      *AADSTS* | *'az login'* | *AuthorizationFailed*) die_with_failure 'Reading the names of the keys failed' ;;
    esac
    [ "$attempt" -lt 20 ] || {
      diagnose_storage
      die_with_failure 'The keys of the function app cannot be read'
    }
    progress "waiting for the app to start (attempt $attempt)"
    sleep 15
  done
  end_progress
}

# list_missing_keys: writes the names of the devices' keys that are not in `answer` to missing-keys.txt.
list_missing_keys() {
  printf '%s\n' "$answer" >"$work/key-names.txt"
  awk -F '\t' 'NR == FNR { there[$0]; next } !($2 in there) { print $2 }' "$work/key-names.txt" "$devices" >"$work/missing-keys.txt"
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
  [ -z "$missing" ] || { next="$script_with_options --code-only"; die "The function app has no key named \"$missing\"."; }
  die_with_failure 'Reading the keys failed'
}

# read_first_key: sets `secret` to the key of the first device.
read_first_key() {
  read_keys
  secret=$(printf '%s' "$answer" | helper keys --get "$(head -n 1 "$devices" | cut -f 2)")
  answer=''
}

# send_test_heartbeats: sends a heartbeat in the name of each new device, with an hour of announced silence, so that it
# raises no alarm before its agent runs. If no device is new, the test heartbeat has the name ispmon-deploy, which no
# rule monitors. The function accepts any name with any key, so the test needs only one key.
send_test_heartbeats() {
  note="deploy-test-$(random)"
  senders=$new_devices
  # One more second per device, so that the hour is not shortened by sending many.
  quiet=$((3599 + $(grep -c '' "$new_devices")))
  if [ ! -s "$new_devices" ]; then
    senders="$work/senders.tsv"
    quiet=0
    printf 'ispmon-deploy\n' >"$senders"
  fi
  send_until_accepted
  if [ -s "$new_devices" ]; then
    say "The function answered. New devices, for which an hour of silence is announced: $(grep -c '' "$new_devices")"
  else
    say 'The function answered. No device is new, so no silence is announced.'
  fi
}

# send_until_accepted: sends a heartbeat for each of `senders` and retries until the function has accepted each. A cold
# app answers 401, 404 or 503 for a while; fails after ten minutes without success.
send_until_accepted() {
  local secret pending="$work/pending.tsv" batch="$work/batch.tsv" size=1 attempt=0 since before
  read_first_key
  cp "$senders" "$pending"
  since=$(date +%s)
  while [ -s "$pending" ]; do
    head -n "$size" "$pending" >"$batch"
    before=$(grep -c '' "$batch")
    send_heartbeats "$batch"
    { cat "$work/not-accepted.tsv"; tail -n "+$((size + 1))" "$pending"; } >"$work/rest.tsv"
    mv "$work/rest.tsv" "$pending"
    if [ "$(grep -c '' "$work/not-accepted.tsv")" -lt "$before" ]; then
      progress "test heartbeats to be sent: $(grep -c '' "$pending")"
      size=200 attempt=0
      since=$(date +%s)
      continue
    fi
    attempt=$((attempt + 1))
    is_permanent_failure "$attempt" && break
    [ "$attempt" -lt 60 ] && [ $(($(date +%s) - since)) -lt 600 ] || break
    progress "waiting for the function (status $status, attempt $attempt)"
    sleep 10
  done
  secret=''
  end_progress
  [ ! -s "$pending" ] || die_unreachable
}

# send_heartbeats FILE: sends a heartbeat for each device in the file with one curl process. Sets `status` to the answer
# to the first that was not accepted, `problem` to curl's error, and writes the devices that were not accepted to
# not-accepted.tsv. The key is never an argument.
send_heartbeats() {
  printf '%s' "$secret" | helper heartbeat --requests "$1" "$url" "$note" "$quiet" |
    curl -q --config - 2>"$work/curl" | helper heartbeat --not-accepted "$1" "$note" >"$work/answers.txt"
  # Check the status of the last part only, because its output includes curl's failures. Without it, everything would
  # count as delivered.
  [ "${PIPESTATUS[3]}" = 0 ] || die 'The responses to the test heartbeats could not be parsed.'
  status=$(head -n 1 "$work/answers.txt")
  tail -n +2 "$work/answers.txt" >"$work/not-accepted.tsv"
  problem=$(grep '^curl: ' "$work/curl" | head -n 1)
}

# is_permanent_failure ATTEMPT: whether a retry is useless: curl does not trust the certificate; or, from the third
# attempt on, a proxy's name cannot be resolved or the TLS handshake failed.
is_permanent_failure() {
  [ "$status" = 000 ] || return 1
  case $problem in
    'curl: (60)'* | 'curl: (77)'*) return 0 ;;
    'curl: (5)'* | 'curl: (35)'*) [ "$1" -ge 3 ] ;;
    *) return 1 ;;
  esac
}

# die_unreachable: ends the script because the function did not accept a test heartbeat.
die_unreachable() {
  local how='does not work after ten minutes'
  next="$script_with_options --code-only; if it fails again, see the portal: $app, Log stream"
  case $status in
    000)
      failure="no answer (${problem:-curl printed no error}). Check this machine's internet connection"
      case $problem in
        'curl: (60)'* | 'curl: (77)'* | 'curl: (35)'*)
          how='cannot be reached from this machine'
          failure="curl could not establish a trusted TLS connection ($problem)"
          next="if a proxy replaces the certificate, set CURL_CA_BUNDLE to a PEM file with the certificate of the proxy's CA, then $rerun"
          ;;
        'curl: (5)'*)
          how='cannot be reached from this machine'
          failure="curl could not resolve the proxy's name ($problem)"
          next="check the values of https_proxy and HTTPS_PROXY, then $rerun"
          ;;
        'curl: (6)'*) failure="its name cannot be resolved ($problem). DNS may need some minutes for a new name" ;;
        'curl: (7)'* | 'curl: (28)'*)
          failure="connecting failed ($problem). A firewall may block it, or this machine needs a proxy (HTTPS_PROXY)" ;;
      esac
      ;;
    401 | 403) failure="the function refuses its own key (status $status)" ;;
    404) failure='the code is missing or does not start (status 404)' ;;
    *) failure="it answered $status" ;;
  esac
  [ "$status" = 000 ] || diagnose_storage
  die "The function at $url $how: $failure."
}

# wait_until_queryable: waits until a query returns the test heartbeat, as the rules need. An answer of 200 only means
# that the log line is in the host's pipe.
wait_until_queryable() {
  local attempt sent found=0
  sent=$(grep -c '' "$senders")
  for attempt in $(seq 1 25); do
    query test-heartbeats "$note"
    case $? in
      0)
        case $answer in '' | *[!0-9]*) found=0 ;; *) found=$answer ;; esac
        [ "$found" -lt "$sent" ] || { end_progress; say 'The test heartbeat can be queried.'; return; }
        ;;
      1) die_with_failure 'The workspace cannot be queried' ;;
    esac
    progress "waiting until the test heartbeat can be queried (attempt $attempt)"
    # The Functions host may have lost a line, so send it again.
    case $attempt in 8 | 16) send_until_accepted ;; esac
    sleep 20
  done
  end_progress
  if [ "$found" -gt 0 ]; then
    warn "Only $found of $sent test heartbeats can be queried after ten minutes. A device whose test heartbeat is missing may be reported as silent within the hour."
    return
  fi
  diagnose_ingestion
  next="correct this, then $rerun"
  die "The function answered, but its log line cannot be queried after ten minutes. $reason"
}
