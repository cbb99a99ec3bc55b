# shellcheck shell=bash
# The settings: reading, checking, and export to the templates.

# Values of SILENCE_MINUTES that the templates allow.
readonly SILENCES='5 5.5 6 6.5 7 7.5 8 9 10 12 15 20 30 45 60'

# find_env_file: prints the path of the .env file: the one in the current folder, else the one in infra/.
find_env_file() {
  local file
  for file in ./.env "$here/.env"; do
    [ -f "$file" ] && { printf '%s\n' "$file"; return; }
  done
  return 1
}

# read_settings: reads and checks all settings; sets conf_*, `devices` and `device_count`.
read_settings() {
  local file
  file=$(find_env_file) ||
    {
      next="cp infra/.env.example .env, edit .env, then $rerun"
      die "There is no .env file, neither in this folder nor in $here." 78
    }
  read_env_file "$file"
  say "Settings from $env_file"
  check_names
  : "${conf_RG:=ispmon}" "${conf_LOCATION:=westeurope}" "${conf_PREFIX:=ispmon}"
  : "${conf_SILENCE_MINUTES:=5}" "${conf_EVALUATION_MINUTES:=5}" "${conf_RULES_ENABLED:=true}"
  : "${conf_RUNTIME_NAME:=custom}"
  # The portal writes "West Europe" where the API writes "westeurope".
  conf_LOCATION=$(printf '%s' "$conf_LOCATION" | tr -d ' ' | tr '[:upper:]' '[:lower:]')
  check_settings
  read_devices
}

# check_names: refuses names that look like a misspelt setting, because they would have no effect.
check_names() {
  local number name nearest
  while IFS=$'\t' read -r number name nearest; do
    preflight_error "$env_file, line $number: unknown setting $name, which has no effect. Did you mean $nearest?" \
      "write $nearest, or add --force if another program uses $name"
  done < <(printf '%s' "$unknown_variables" | helper misspellings "$VARIABLES")
}

# refuse_setting NAME TEXT: ends the script because of a setting.
refuse_setting() {
  local line
  eval "line=\$line_$1"
  die "$1 in $env_file${line:+, line $line,} $2" 78
}

# check_settings: checks the values of the settings before the first call of Azure. It repeats checks of the templates,
# because only here the message has the name and the line.
check_settings() {
  case $conf_RG in
    *[!A-Za-z0-9_.\(\)-]* | *.) refuse_setting RG "is \"$conf_RG\": the name of a resource group may contain only letters, digits and -_.() and must not end with a dot." ;;
  esac
  case $conf_LOCATION in
    *[!a-z0-9]*) refuse_setting LOCATION "is \"$conf_LOCATION\", which is not an Azure region. Set one such as westeurope." ;;
  esac
  case $conf_PREFIX in
    [!A-Za-z]* | *[!A-Za-z0-9-]* | ? | *- | *--*) refuse_setting PREFIX "is \"$conf_PREFIX\": it must consist of 2 to 16 letters, digits and single hyphens, begin with a letter and not end with a hyphen." ;;
  esac
  [ ${#conf_PREFIX} -le 16 ] || refuse_setting PREFIX "is longer than 16 characters."
  [ -n "$conf_ALERT_EMAIL" ] || refuse_setting ALERT_EMAIL 'is missing. Set it to the addresses that get a mail when a device is silent.'
  check_addresses ALERT_EMAIL --mail "$conf_ALERT_EMAIL"
  check_addresses ALERT_WEBHOOK --url "$conf_ALERT_WEBHOOK"
  check_choice SILENCE_MINUTES "$SILENCES"
  check_choice EVALUATION_MINUTES '5 10 15 1' ' (1 is experimental)'
  check_choice RULES_ENABLED 'true false'
  check_choice ALERT_OWNERS 'true false'
  check_numbers REMINDER_MINUTES 6 1440
  check_number DAILY_REMINDER_HOUR 0 23
  check_number REPORT_MINUTES 1 1440
  check_number MAX_INSTANCES 1 1000
  [ "$conf_DAILY_CAP_GB" = -1 ] || check_number DAILY_CAP_GB 1 1000 ', or -1 for no limit'
  check_number BUDGET_AMOUNT 0 999999999
  case $conf_BUDGET_START in
    '')
      [ "${conf_BUDGET_AMOUNT:-0}" -eq 0 ] ||
        refuse_setting BUDGET_AMOUNT 'needs BUDGET_START, the first day of a month such as 2026-12-01.'
      ;;
    20[0-9][0-9]-0[1-9]-01 | 20[0-9][0-9]-1[0-2]-01) ;;
    *) refuse_setting BUDGET_START "is \"$conf_BUDGET_START\"; it must be the first day of a month such as 2026-12-01." ;;
  esac
  [ "$conf_RUNTIME_NAME" = custom ] || [ -n "$conf_RUNTIME_VERSION" ] ||
    refuse_setting RUNTIME_NAME "is $conf_RUNTIME_NAME, which needs RUNTIME_VERSION too, such as 22 for node."
}

# check_choice NAME "ALLOWED…" [REMARK]: refuses a setting that is not one of these words.
check_choice() {
  local value
  eval "value=\$conf_$1"
  case $value in *[[:space:]]*) ;; *) case " $2 " in *" $value "*) return ;; esac ;; esac
  [ -n "$value" ] || return 0
  refuse_setting "$1" "is \"$value\"; it must be one of: $(printf '%s' "$2" | sed 's/ /, /g')${3:-}."
}

# check_number NAME LEAST MOST [REMARK]: refuses a setting that is not a whole number in this range.
check_number() {
  local value
  eval "value=\$conf_$1"
  [ -z "$value" ] || is_number "$value" "$2" "$3" ||
    refuse_setting "$1" "is \"$value\"; it must be a whole number from $2 to $3${4:-}."
}

# check_numbers NAME LEAST MOST: the same for a list.
check_numbers() {
  local value number
  eval "value=\$conf_$1"
  [ -n "$value" ] || return 0
  while IFS= read -r number; do
    trim "$number"
    is_number "$trimmed" "$2" "$3" ||
      refuse_setting "$1" "contains \"$trimmed\"; it must contain whole numbers from $2 to $3, separated by commas."
  done < <(printf '%s\n' "$value" | tr ',' '\n')
}

# is_number TEXT LEAST MOST: whether a text is a whole number in this range.
is_number() {
  case $1 in '' | *[!0-9]* | 0?* | ??????????*) return 1 ;; esac
  [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

# check_addresses NAME KIND LIST: refuses malformed addresses. A webhook may contain a secret, so the list is passed
# through a pipe, and no message shows it.
check_addresses() {
  printf '%s' "$3" | helper addresses "$2" 2>"$work/failure" || {
    failure=$(failure_text)
    refuse_setting "$1" "$failure"
  }
}

# read_devices: sets `devices`, a file with a line for each device: its name, a tab, the name of its host key;
# and `device_count`.
read_devices() {
  local path
  devices="$work/devices.tsv"
  if [ -n "$conf_DEVICES_FILE" ]; then
    [ -z "$conf_HEARTBEAT_DEVICE$conf_HEARTBEAT_DEVICE_2" ] ||
      refuse_setting DEVICES_FILE 'and HEARTBEAT_DEVICE are both set. Set only one of them.'
    case $conf_DEVICES_FILE in
      /*) path=$conf_DEVICES_FILE ;;
      *) path=$(dirname "$env_file")/$conf_DEVICES_FILE ;;
    esac
    [ -f "$path" ] || refuse_setting DEVICES_FILE "names $path, which does not exist."
    helper devices --file "$path" >"$devices" 2>"$work/failure" || die "$(failure_text)" 78
  else
    [ -n "$conf_HEARTBEAT_DEVICE" ] ||
      refuse_setting HEARTBEAT_DEVICE 'is missing. Set it to the names of the devices that send heartbeats, separated by commas.'
    local number variable=conf_HEARTBEAT_DEVICE
    {
      printf '%s' "${!variable}"
      for number in 2 3 4 5 6 7 8; do
        variable=conf_HEARTBEAT_DEVICE_$number
        [ -z "${!variable}" ] || printf ',%s' "${!variable}"
      done
    } | helper devices --list >"$devices" 2>"$work/failure" || die "HEARTBEAT_DEVICE in $env_file: $(failure_text)" 78
  fi
  device_count=$(grep -c '' "$devices")
  # 3 MB per device and day: 2.4 MB as measured, plus a reserve.
  [ "${conf_DAILY_CAP_GB:-1}" = -1 ] || [ $((${conf_DAILY_CAP_GB:-1} * 1000)) -ge $((device_count * 3)) ] ||
    refuse_setting DAILY_CAP_GB "is ${conf_DAILY_CAP_GB:-1}, which $device_count devices would reach every day, and heartbeats would be lost: set it to $(((device_count * 3 + 999) / 1000)) or more, or to -1 for no limit."
}

# export_settings true|false: exports the settings to the environment, from which main.bicepparam reads them. The
# argument is RULES_ENABLED. Call it in a subshell.
export_settings() {
  local name value part number=1
  for name in $VARIABLES; do
    eval "value=\$conf_$name"
    case $name in SUBSCRIPTION | RG | DEVICES_FILE | HEARTBEAT_DEVICE*) continue ;; esac
    [ -z "$value" ] || export "$name=$value"
  done
  # Split the list into parts that fit into one environment variable.
  while IFS= read -r part; do
    if [ "$number" = 1 ]; then export "HEARTBEAT_DEVICE=$part"; else export "HEARTBEAT_DEVICE_$number=$part"; fi
    number=$((number + 1))
  done < <(cut -f 1 "$devices" | helper devices --parts)
  export "RULES_ENABLED=$1"
}
