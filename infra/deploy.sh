#!/usr/bin/env bash
# Deploys ispmon's cloud side into one resource group: see --help. Runs with bash 3.2, as macOS has it.
[ -n "${BASH_VERSION:-}" ] || { echo "deploy.sh: this needs bash: bash $0" >&2 && exit 64; }
# Invoked as `sh`, bash runs in POSIX mode, which is too strict for this script.
set +o posix
set -uo pipefail

usage() {
  cat <<'END'
Usage: infra/deploy.sh [OPTION]…

Reads ./.env, else infra/.env (start from infra/.env.example), and deploys everything that watches your heartbeats:
resources and roles, the function, keys, the alert rules once a test heartbeat can be queried, a test mail.
Running it again is always safe.

  --what-if             show what would change, change nothing
  --infra-only          resources and rules, no code
  --code-only           code, keys and test heartbeat; no change of resources and rules
  --check               report how the deployment is doing
  --destroy             delete the resource group with everything in it
  --zip FILE            take this package of the function instead of building it
  --agent-config FILE   write the agent's configuration, and its key beside it; a pair for each of several devices
  --force               go on although rights, region, locks, names of settings or an earlier deployment look wrong;
                        with --destroy: although the resource group was not created by this script
  --yes                 ask nothing
  --help                show this

Needs az (https://aka.ms/azure-cli), curl, python3; and Rust, unless --zip is given.
END
}

# The folder of this script, with symbolic links resolved, independent of the user's CDPATH.
unset CDPATH
file=$0
while [ -L "$file" ]; do
  target=$(readlink "$file") || exit 1
  case $target in /*) file=$target ;; *) file=$(dirname "$file")/$target ;; esac
done
# A variable that the user's shell exports would stay exported when the script assigns it, and may then
# contain a key.
for name in $(compgen -e | grep '^[a-z_]*$' | grep -v '_proxy$'); do unset "$name"; done
here=$(cd -P "$(dirname "$file")" && pwd) || exit 1
root=$(dirname "$here")
# The command by which the user calls this script, for instructions that can be pasted.
case $0 in */*) me=$(printf '%q' "$0") ;; *) me="bash $(printf '%q' "$0")" ;; esac
again=$me
action=deploy
assume_yes=no
force=no
given_zip=''
agent_config=''
child=''

# shellcheck source=deploy/say.sh
. "$here/deploy/say.sh" || exit 1
# shellcheck source=deploy/env-file.sh
. "$here/deploy/env-file.sh" || exit 1
# shellcheck source=deploy/settings.sh
. "$here/deploy/settings.sh" || exit 1
# shellcheck source=deploy/azure.sh
. "$here/deploy/azure.sh" || exit 1
# shellcheck source=deploy/preflight.sh
. "$here/deploy/preflight.sh" || exit 1
# shellcheck source=deploy/package.sh
. "$here/deploy/package.sh" || exit 1
# shellcheck source=deploy/resources.sh
. "$here/deploy/resources.sh" || exit 1
# shellcheck source=deploy/code.sh
. "$here/deploy/code.sh" || exit 1
# shellcheck source=deploy/heartbeat.sh
. "$here/deploy/heartbeat.sh" || exit 1
# shellcheck source=deploy/diagnosis.sh
. "$here/deploy/diagnosis.sh" || exit 1
# shellcheck source=deploy/mail.sh
. "$here/deploy/mail.sh" || exit 1
# shellcheck source=deploy/agent-config.sh
. "$here/deploy/agent-config.sh" || exit 1
# shellcheck source=deploy/check.sh
. "$here/deploy/check.sh" || exit 1
# shellcheck source=deploy/destroy.sh
. "$here/deploy/destroy.sh" || exit 1

# helper NAME ARGUMENTS…: runs one of the Python helpers, without the user's own Python settings.
helper() {
  local name=$1
  shift
  { python3 -I -S -B -X utf8 "$here/deploy/$name.py" "$@" 2>&1 >&3 3>&- | without_stack >&2; } 3>&1
}

# misuse TEXT: ends the script because of bad arguments.
misuse() {
  printf 'deploy.sh: %s\nTry %s --help.\n' "$1" "$me" >&2
  exit 64
}

# choose ACTION: sets the action; only one is allowed.
choose() {
  [ "$action" = deploy ] || misuse "--$action and --$1 exclude each other."
  action=$1
}

# absolute FILE: prints the path as an absolute one.
absolute() {
  case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac
}

# take_file OPTION FILE: sets the file of an option. Fails now, not at the end, when the file cannot be used.
take_file() {
  local folder
  again="$again $1 $(printf '%q' "$2")"
  if [ "$1" = --zip ]; then
    given_zip=$(absolute "$2")
    return
  fi
  agent_config=$(absolute "$2")
  folder=$(dirname "$agent_config")
  [ ! -d "$agent_config" ] || misuse "--agent-config names $agent_config, which is a folder. Name a file, such as agent.toml."
  [ -d "$folder" ] || misuse "--agent-config names $agent_config, and there is no folder $folder."
  [ -w "$folder" ] || misuse "--agent-config names $agent_config, and you may not write to the folder $folder."
}

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --what-if | --infra-only | --code-only | --check | --destroy) choose "${1#--}" ;;
      --force) force=yes ;;
      --yes) assume_yes=yes ;;
      --zip | --agent-config)
        case ${2:-} in
          '') misuse "$1 needs a file." ;;
          # Otherwise --check, for instance, would be taken as a file name, and the script would deploy.
          -*) misuse "$1 needs a file, and \"$2\" looks like an option. Write ./$2 if it is one." ;;
        esac
        take_file "$1" "$2"
        shift
        ;;
      --zip=?* | --agent-config=?*) take_file "${1%%=*}" "${1#*=}" ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) misuse "\"$1\" is no option." ;;
    esac
    shift
  done
  # For instructions that name another action than the current one.
  base=$again
  [ "$action" = deploy ] || again="$again --$action"
}

# shellcheck disable=SC2317 # Called by a trap.
# clean_up: removes the temporary files and stops background processes.
clean_up() {
  [ -z "$child" ] || kill "$child" 2>/dev/null
  rm -rf "$work"
}

# shellcheck disable=SC2317 # Called by a trap.
interrupted() {
  end_progress
  next="$again (it goes on where it stopped)"
  die 'Interrupted.' 130
}

confirm() {
  local without=''
  [ "$conf_RULES_ENABLED" = true ] || without=', without alert rules (RULES_ENABLED=false)'
  [ "$assume_yes" = no ] || return 0
  [ -t 0 ] || { next="$again --yes"; die 'Nobody is there to confirm.'; }
  ask "Deploy to the resource group $conf_RG in $conf_LOCATION$without?" || { next="$again, whenever you like"; die 'Nothing was deployed.'; }
}

preflight() {
  step 'Preflight'
  check_tools
  read_settings
  check_az
  check_login
  check_group
  case $action in
    check | destroy) ;;
    *)
      check_rights
      check_providers
      check_region
      check_templates
      check_budget
      ;;
  esac
  [ "$action" = check ] || check_locks
  say "Devices: $device_count; mails to $conf_ALERT_EMAIL"
}

deploy_code() {
  step 'Code'
  upload_code
  make_keys
  step 'Test heartbeat'
  find_new_devices
  send_test_heartbeats
  wait_until_queryable
}

# arm: deploys the rules and verifies them.
arm() {
  step 'Alert rules'
  deploy_rules
  verify_rules
}

# deploy_rules_if_safe: deploys the rules without the code, but only where heartbeats already arrive, because
# rules without heartbeats raise an alarm. For a device that is new in the list, an hour of silence is
# announced first.
deploy_rules_if_safe() {
  [ "$conf_RULES_ENABLED" = true ] || { disarm; return; }
  find_new_devices
  if [ "$(grep -c '' "$new_devices")" = "$device_count" ] && ! has_rules; then
    say "No device is heard yet, so the alert rules wait for the code: $me deploys both."
    return
  fi
  if [ -s "$new_devices" ]; then
    step 'Test heartbeat'
    make_keys
    send_test_heartbeats
    wait_until_queryable
  fi
  arm
}

# finish: the last steps of every deployment.
finish() {
  step 'Done'
  say "$(alarm) $1"
  show_next_step
}

main() {
  read_arguments "$@"
  work=$(mktemp -d "${TMPDIR:-/tmp}/ispmon-deploy.XXXXXX") || die "No temporary folder can be made in ${TMPDIR:-/tmp}."
  trap clean_up EXIT
  trap interrupted INT TERM HUP
  preflight
  case $action in
    check)
      read_outputs
      check
      ;;
    destroy)
      step 'Deletion'
      destroy
      ;;
    what-if)
      step 'What would change'
      if [ "$group_exists" = false ]; then
        say "The resource group $conf_RG does not exist yet: everything in infra/main.bicep would be created in it."
        return
      fi
      (
        export_settings "$conf_RULES_ENABLED"
        az deployment group what-if --resource-group "$conf_RG" --name "$conf_PREFIX-rules" \
          --parameters "$here/main.bicepparam" "${flags[@]}" </dev/null
      ) || die 'Azure could not say what would change; see its message above.'
      ;;
    infra-only)
      confirm
      step 'Resources'
      create_group
      deploy_resources
      deploy_rules_if_safe
      write_agent_configs
      finish 'The code was left as it is.'
      ;;
    code-only)
      read_outputs
      step 'Package'
      make_package
      left='The resources and rules as before.'
      deploy_code
      write_agent_configs
      finish 'The code is deployed; resources and rules were left as they are.'
      ;;
    deploy)
      step 'Package'
      make_package
      confirm
      step 'Resources'
      create_group
      deploy_resources
      deploy_code
      if [ "$conf_RULES_ENABLED" = true ]; then arm; else disarm; fi
      # Before the test mail, which may not arrive: the rules are armed, so the agents must be able to send.
      write_agent_configs
      step 'Mail'
      prove_mail
      finish "Test mail: $mail_proof."
      ;;
  esac
}

# bash parses the whole block before it runs it, so that a `git pull` meanwhile does not change the running
# code.
{
  main "$@"
  exit
}
