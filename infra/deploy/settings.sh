# shellcheck shell=bash
# The settings: found, checked, and handed to the templates.

# find_env_file: prints the path of the .env file: that of the current folder, else that beside this script.
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
      next="cp infra/.env.example .env, edit .env, then $again"
      die "There is no .env file, neither in this folder nor in $here." 78
    }
  read_env_file "$file"
  say "Settings from $env_file"
  : "${conf_RG:=ispmon}" "${conf_LOCATION:=westeurope}" "${conf_PREFIX:=ispmon}"
  : "${conf_SILENCE_MINUTES:=5}" "${conf_EVALUATION_MINUTES:=5}" "${conf_RULES_ENABLED:=true}"
  : "${conf_RUNTIME_NAME:=custom}"
  # The portal writes "West Europe" where the API writes "westeurope".
  conf_LOCATION=$(printf '%s' "$conf_LOCATION" | tr -d ' ' | tr '[:upper:]' '[:lower:]')
  check_settings
  read_devices
}

# refuse_setting NAME TEXT: ends the script because of a setting.
refuse_setting() { die "$1 in $env_file $2" 78; }

check_settings() {
  local address name
  case $conf_RG in
    *[!A-Za-z0-9_.\(\)-]* | *.) refuse_setting RG "is \"$conf_RG\": a resource group's name has letters, digits and -_.() only and does not end with a dot." ;;
  esac
  case $conf_LOCATION in
    *[!a-z0-9]*) refuse_setting LOCATION "is \"$conf_LOCATION\", which is no Azure region. Name one like westeurope." ;;
  esac
  case $conf_PREFIX in
    [!A-Za-z]* | *[!A-Za-z0-9-]* | ? | *-) refuse_setting PREFIX "is \"$conf_PREFIX\": it must have 2 to 16 letters, digits and hyphens, begin with a letter and not end with a hyphen." ;;
  esac
  [ ${#conf_PREFIX} -le 16 ] || refuse_setting PREFIX "is longer than 16 characters."
  [ -n "$conf_ALERT_EMAIL" ] || refuse_setting ALERT_EMAIL 'is missing: who shall be mailed when a device is silent?'
  while IFS= read -r address; do
    trim "$address"
    check_address "$trimmed"
  done < <(printf '%s\n' "$conf_ALERT_EMAIL" | tr ',' '\n')
  while IFS= read -r address; do
    trim "$address"
    case $trimmed in
      '' | https://?*) ;;
      *) refuse_setting ALERT_WEBHOOK 'must be one or more https:// addresses, separated by commas.' ;;
    esac
  done < <(printf '%s\n' "$conf_ALERT_WEBHOOK" | tr ',' '\n')
  case $conf_EVALUATION_MINUTES in
    1 | 5 | 10 | 15) ;;
    *) refuse_setting EVALUATION_MINUTES "is \"$conf_EVALUATION_MINUTES\"; it must be 5, 10 or 15, or 1 as an experiment." ;;
  esac
  for name in RULES_ENABLED ALERT_OWNERS; do
    eval "address=\$conf_$name"
    # shellcheck disable=SC2154 # set by eval
    case $address in
      '' | true | false) ;;
      *) refuse_setting "$name" "is \"$address\"; it must be true or false." ;;
    esac
  done
}

# check_address ADDRESS: refuses what is no address, and the addresses of examples, which nobody reads.
check_address() {
  case $1 in
    '') refuse_setting ALERT_EMAIL 'has an empty address in it.' ;;
    *[[:space:]]* | *@*@* | @* | *@ | *@.* | *. ) refuse_setting ALERT_EMAIL "has \"$1\" in it, which is no mail address." ;;
    *@*.*) ;;
    *) refuse_setting ALERT_EMAIL "has \"$1\" in it, which is no mail address." ;;
  esac
  [ ${#1} -le 64 ] || refuse_setting ALERT_EMAIL "has \"$1\" in it, which is longer than the 64 characters that Azure takes."
  case $(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') in
    *@example.com | *@example.org | *@example.net | *@*.example | your-* | your.* | your_* | *@yourdomain.* | *@your-domain.* | *@domain.tld)
      refuse_setting ALERT_EMAIL "is still the example \"$1\". Put in the address that shall be mailed." ;;
  esac
}

# read_devices: sets `devices`, a file with a line for each device: its name, a tab, the name of its host key;
# and `device_count`.
read_devices() {
  local list="$work/devices.txt" path
  devices="$work/devices.tsv"
  if [ -n "$conf_DEVICES_FILE" ]; then
    [ -z "$conf_HEARTBEAT_DEVICE$conf_HEARTBEAT_DEVICE_2" ] ||
      refuse_setting DEVICES_FILE 'is set beside HEARTBEAT_DEVICE. Keep one of the two.'
    case $conf_DEVICES_FILE in
      /*) path=$conf_DEVICES_FILE ;;
      *) path=$(dirname "$env_file")/$conf_DEVICES_FILE ;;
    esac
    [ -f "$path" ] || refuse_setting DEVICES_FILE "names $path, and there is no such file."
    helper devices --file "$path" >"$devices" 2>"$list" || die "$(cat "$list")" 78
  else
    [ -n "$conf_HEARTBEAT_DEVICE" ] ||
      refuse_setting HEARTBEAT_DEVICE 'is missing: which devices send heartbeats? Names separated by commas.'
    local number variable=conf_HEARTBEAT_DEVICE
    {
      printf '%s' "${!variable}"
      for number in 2 3 4 5 6 7 8; do
        variable=conf_HEARTBEAT_DEVICE_$number
        [ -z "${!variable}" ] || printf ',%s' "${!variable}"
      done
    } | helper devices --list >"$devices" 2>"$list" || die "HEARTBEAT_DEVICE in $env_file: $(cat "$list")" 78
  fi
  device_count=$(grep -c '' "$devices")
}

# export_settings true|false: puts the settings into the environment from which main.bicepparam reads them.
# Its argument says whether the rules are deployed. For a subshell.
export_settings() {
  local name value part number=1
  for name in $VARIABLES; do
    eval "value=\$conf_$name"
    case $name in SUBSCRIPTION | RG | DEVICES_FILE | HEARTBEAT_DEVICE*) continue ;; esac
    [ -z "$value" ] || export "$name=$value"
  done
  # The list is cut anew into parts that one variable of the environment can hold.
  while IFS= read -r part; do
    if [ "$number" = 1 ]; then export "HEARTBEAT_DEVICE=$part"; else export "HEARTBEAT_DEVICE_$number=$part"; fi
    number=$((number + 1))
  done < <(cut -f 1 "$devices" | helper devices --parts)
  export "RULES_ENABLED=$1"
}
