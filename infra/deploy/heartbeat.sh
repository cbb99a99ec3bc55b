# shellcheck shell=bash
# Keys, the test heartbeat, and the wait until it can be queried.

# az learns from REQUESTS_CA_BUNDLE whom to trust besides (a proxy of a company); curl has a variable of its own.
if [ -z "${CURL_CA_BUNDLE:-}${SSL_CERT_FILE:-}" ] && [ -f "${REQUESTS_CA_BUNDLE:-}" ]; then
  export CURL_CA_BUNDLE=$REQUESTS_CA_BUNDLE
fi

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

# make_keys: a host key for each device, named after it. A key that is there stays as it is. One after the other: the
# function app reads all keys, adds one and writes all back, so that of two at the same time one is lost.
make_keys() {
  local made key
  list_keys
  missing_keys
  made=$(grep -c '' "$work/missing-keys.txt")
  if [ "$made" -gt 20 ]; then
    make_many_keys
  else
    while IFS= read -r key <&3; do
      azure_reads functionapp keys set --resource-group "$conf_RG" --name "$app" --key-type functionKeys \
        --key-name "$key" -o none || die_of "Making the key \"$key\" failed"
    done 3<"$work/missing-keys.txt"
  fi
  say "Keys: one for each device ($device_count), new: $made"
}

# make_many_keys: what `az functionapp keys set` does, for a file of names, without a start of az for each, which takes
# longer than the key. The token is renewed for each hundred. Neither it nor a key is an argument or in a file.
make_many_keys() {
  local endpoint names="$work/missing-keys.txt" batch="$work/batch.txt" mark attempt=0
  # This command knows no subscription.
  endpoint=$(az cloud show --query endpoints.resourceManager -o tsv --only-show-errors 2>"$work/failure" </dev/null) || {
    failure=$(cut_failure)
    die_of 'Asking for the address of Resource Manager failed'
  }
  endpoint=${endpoint%/}
  case $endpoint in https://* | http://127.0.0.1:*) ;; *) die "Resource Manager's address is $endpoint, and tokens are sent over https only." ;; esac
  mark=$(random)
  while [ -s "$names" ]; do
    progress "keys to be made: $(grep -c '' "$names")"
    head -n 100 "$names" >"$batch"
    azure_secret account get-access-token --query accessToken -o tsv || die_of 'The login gets no token'
    printf '%s' "$answer" |
      helper keys --requests "$batch" "$endpoint$group_id/providers/Microsoft.Web/sites/$app/host/default/functionKeys" "$mark" |
      curl -q --config - 2>"$work/curl" | helper keys --unmade "$batch" "$mark" >"$work/answers.txt"
    # Only the last part counts: what curl could not do is in the answers. Without these, every key would count as made.
    [ "${PIPESTATUS[3]}" = 0 ] || die 'What Azure answers to the new keys is not understood.'
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
    failure="Azure answers $status $(grep '^curl: ' "$work/curl" | head -n 1)"
    [ "$attempt" -lt 6 ] || { end_progress; die_of 'Making the keys of the devices failed'; }
    # Too many requests, most likely; Azure lets some more pass every second.
    sleep 20
  done
  end_progress
}

# random: prints a word that nobody can guess.
random() { od -An -N8 -tx1 /dev/urandom | tr -d ' \n'; }

# list_keys: sets `answer` to the names of the keys. While the app starts, its keys cannot be read yet.
list_keys() {
  local attempt
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
}

# missing_keys: which of the devices' keys are not in `answer`, as a file.
missing_keys() {
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
  [ -z "$missing" ] || { next="$base --code-only"; die "The function app has no key named \"$missing\"."; }
  die_of 'Reading the keys failed'
}

# first_key: sets `secret` to the key of the first device.
first_key() {
  read_keys
  secret=$(printf '%s' "$answer" | helper keys --get "$(head -n 1 "$devices" | cut -f 2)")
  answer=''
}

# send_test_heartbeats: one in the name of each new device, with an hour's announced silence, so that it does not alarm
# at birth. If none is new, the test heartbeat comes from a name that nobody expects. Any key opens the function to any
# name, so one is enough for the test.
send_test_heartbeats() {
  note="deploy-test-$(random)"
  senders=$new_devices
  # A second more for each: the hour shall not be over sooner because many are sent.
  quiet=$((3599 + $(grep -c '' "$new_devices")))
  if [ ! -s "$new_devices" ]; then
    senders="$work/senders.tsv"
    quiet=0
    printf 'ispmon-deploy\n' >"$senders"
  fi
  deliver
  if [ -s "$new_devices" ]; then
    say "Answered. Devices that are new may be silent for an hour: $(grep -c '' "$new_devices")"
  else
    say 'Answered. Every device is heard or watched already, so none is muted.'
  fi
}

# deliver: sends for each of `senders` until the function has answered to each. A cold app answers 401, 404 or 503 for a
# while; ten minutes without any answer are too long.
deliver() {
  local secret pending="$work/pending.tsv" batch="$work/batch.tsv" size=1 attempt=0 since before
  first_key
  cp "$senders" "$pending"
  since=$(date +%s)
  while [ -s "$pending" ]; do
    head -n "$size" "$pending" >"$batch"
    before=$(grep -c '' "$batch")
    send_heartbeats "$batch"
    { cat "$work/unanswered.tsv"; tail -n "+$((size + 1))" "$pending"; } >"$work/rest.tsv"
    mv "$work/rest.tsv" "$pending"
    if [ "$(grep -c '' "$work/unanswered.tsv")" -lt "$before" ]; then
      progress "test heartbeats to be sent: $(grep -c '' "$pending")"
      size=200 attempt=0
      since=$(date +%s)
      continue
    fi
    attempt=$((attempt + 1))
    is_hopeless "$attempt" && break
    [ "$attempt" -lt 60 ] && [ $(($(date +%s) - since)) -lt 600 ] || break
    progress "waiting for the first answer (it was $status, attempt $attempt)"
    sleep 10
  done
  secret=''
  end_progress
  [ ! -s "$pending" ] || die_of_silence
}

# send_heartbeats FILE: sends one for each device in the file by one process; sets `status` to what came back for the
# first that was not taken, `problem` to what curl says, and leaves the others in a file. The key is never an argument.
send_heartbeats() {
  printf '%s' "$secret" | helper heartbeat --requests "$1" "$url" "$note" "$quiet" |
    curl -q --config - 2>"$work/curl" | helper heartbeat --unanswered "$1" "$note" >"$work/answers.txt"
  # Only the last part counts: what curl could not do is in the answers. Without these, everything would count as delivered.
  [ "${PIPESTATUS[3]}" = 0 ] || die 'The answers to the test heartbeats are not understood.'
  status=$(head -n 1 "$work/answers.txt")
  tail -n +2 "$work/answers.txt" >"$work/unanswered.tsv"
  problem=$(grep '^curl: ' "$work/curl" | head -n 1)
}

# is_hopeless ATTEMPT: whether waiting does not help against what curl says: a certificate that it does not trust; and,
# from the third time on, a proxy that is not found or a TLS connection that does not come about.
is_hopeless() {
  [ "$status" = 000 ] || return 1
  case $problem in
    'curl: (60)'* | 'curl: (77)'*) return 0 ;;
    'curl: (5)'* | 'curl: (35)'*) [ "$1" -ge 3 ] ;;
    *) return 1 ;;
  esac
}

# die_of_silence: ends the script because the function did not answer.
die_of_silence() {
  local how='does not work after ten minutes'
  next="$base --code-only; if it stays so, see the portal: $app, Log stream"
  case $status in
    000)
      failure="nothing answers at its address (${problem:-curl says nothing}). See whether this machine reaches the internet"
      case $problem in
        'curl: (60)'* | 'curl: (77)'* | 'curl: (35)'*)
          how='cannot be reached from here'
          failure="curl does not come to a trusted connection ($problem)"
          next="if a proxy of your organisation puts its own certificate in between: set CURL_CA_BUNDLE to the file with it (PEM), then $again"
          ;;
        'curl: (5)'*)
          how='cannot be reached from here'
          failure="curl does not find the proxy ($problem)"
          next="see what https_proxy and HTTPS_PROXY hold, then $again"
          ;;
        'curl: (6)'*) failure="its name is not known here ($problem). A new name can need some minutes" ;;
        'curl: (7)'* | 'curl: (28)'*)
          failure="no connection comes about ($problem). A firewall may be in between, or this machine wants a proxy (HTTPS_PROXY)" ;;
      esac
      ;;
    401 | 403) failure='it refuses the key that it gave out' ;;
    404) failure='the code is not there, or does not start' ;;
    *) failure="it answers $status" ;;
  esac
  [ "$status" = 000 ] || diagnose_storage
  die "The function at $url $how: $failure."
}

# wait_until_queryable: a 200 only says that the line is in the host's pipe. The rules see it when it can be queried.
wait_until_queryable() {
  local attempt sent found=0
  sent=$(grep -c '' "$senders")
  for attempt in $(seq 1 25); do
    query arrived "$note"
    case $? in
      0)
        case $answer in '' | *[!0-9]*) found=0 ;; *) found=$answer ;; esac
        [ "$found" -lt "$sent" ] || { end_progress; say 'The test heartbeat can be queried.'; return; }
        ;;
      1) die_of 'The workspace cannot be queried' ;;
    esac
    progress "waiting until the test heartbeat can be queried (attempt $attempt)"
    # Azure's host may have lost a line: it counts as sent only when it arrives.
    case $attempt in 8 | 16) deliver ;; esac
    sleep 20
  done
  end_progress
  if [ "$found" -gt 0 ]; then
    warn "Of $sent test heartbeats, $found can be queried after ten minutes. A device whose heartbeat is missing may be mailed as silent before the hour is over."
    return
  fi
  diagnose_ingestion
  next="correct this, then $again"
  die "The function answered, but its line cannot be queried after ten minutes. $reason"
}
