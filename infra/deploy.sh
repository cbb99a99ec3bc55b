#!/usr/bin/env bash
# Deploys ispmon's cloud side into one resource group: see --help. Runs with bash 3.2, as macOS has it.
[ -n "${BASH_VERSION:-}" ] || { echo "deploy.sh: this script needs bash. Run: bash $0" >&2 && exit 64; }
# Invoked as `sh`, bash runs in POSIX mode, which is too strict for this script.
set +o posix
set -uo pipefail

usage() {
  cat <<'END'
Usage: infra/deploy.sh [OPTION]…

Deploys the cloud side of ispmon with the settings in ./.env, else in infra/.env (copy infra/.env.example): resources
and roles, the function, its keys, the alert rules as soon as a test heartbeat can be queried, and a test mail. You can
run it again at any time.

  --what-if             show what would change, without changing it
  --infra-only          deploy resources and rules, no code
  --code-only           deploy the code, create keys, send the test heartbeat; do not change resources and rules
  --check               check the rules, app settings, action group and heartbeats of a deployment
  --destroy             delete the resource group with everything in it
  --zip FILE            upload this package of the function instead of building one
  --agent-config FILE   write the agent's configuration, and its key in the same folder; for each device a pair
  --force               continue although rights, region, locks, names of settings or an earlier deployment are wrong
                        or cannot be checked; with --destroy: delete a resource group that this script did not create
  --yes                 ask no questions
  --help                show this help

Needs az (https://aka.ms/azure-cli), curl and python3, and Rust unless --zip is given.
END
}

# The folder of this script, with symbolic links resolved, independent of the user's CDPATH.
unset CDPATH
file=$0
while [ -L "$file" ]; do
  target=$(readlink "$file") || exit 1
  case $target in /*) file=$target ;; *) file=$(dirname "$file")/$target ;; esac
done
# A variable that the user's shell exports stays exported when the script assigns it, and may then contain a key.
for name in $(compgen -e | grep '^[a-z_]*$' | grep -v '_proxy$'); do unset "$name"; done
here=$(cd -P "$(dirname "$file")" && pwd) || exit 1
root=$(dirname "$here")
# The command by which the user calls this script, for instructions that can be pasted.
case $0 in */*) script=$(printf '%q' "$0") ;; *) script="bash $(printf '%q' "$0")" ;; esac
rerun=$script
action=deploy
assume_yes=no
force=no
given_zip=''
agent_config=''
child=''

# shellcheck source=deploy/output.sh
. "$here/deploy/output.sh" || exit 1
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
  { python3 -I -S -B -X utf8 "$here/deploy/$name.py" "$@" 2>&1 >&3 3>&- | without_stack_trace >&2; } 3>&1
}

# usage_error TEXT: ends the script because of bad arguments.
usage_error() {
  printf 'deploy.sh: %s\nTry %s --help.\n' "$1" "$script" >&2
  exit 64
}

# set_action ACTION: sets the action; only one is allowed.
set_action() {
  [ "$action" = deploy ] || usage_error "--$action and --$1 cannot be combined."
  action=$1
}

absolute_path() {
  case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac
}

# set_file OPTION FILE: sets the file of an option; ends the script when the file cannot be written.
set_file() {
  local folder
  rerun="$rerun $1 $(printf '%q' "$2")"
  if [ "$1" = --zip ]; then
    given_zip=$(absolute_path "$2")
    return
  fi
  agent_config=$(absolute_path "$2")
  folder=$(dirname "$agent_config")
  [ ! -d "$agent_config" ] || usage_error "--agent-config: $agent_config is a folder. Give a file, such as agent.toml."
  [ -d "$folder" ] || usage_error "--agent-config: the folder $folder does not exist."
  [ -w "$folder" ] || usage_error "--agent-config: you have no write permission in the folder $folder."
}

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --what-if | --infra-only | --code-only | --check | --destroy) set_action "${1#--}" ;;
      --force) force=yes ;;
      --yes) assume_yes=yes ;;
      --zip | --agent-config)
        case ${2:-} in
          '') usage_error "$1 needs a file." ;;
          # Otherwise an option such as --check would become a file name, and the script would deploy.
          -*) usage_error "$1 needs a file, but \"$2\" looks like an option. If it is a file, write ./$2." ;;
        esac
        set_file "$1" "$2"
        shift
        ;;
      --zip=?* | --agent-config=?*) set_file "${1%%=*}" "${1#*=}" ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) usage_error "Unknown option \"$1\"." ;;
    esac
    shift
  done
  # For instructions that name another action than the current one.
  script_with_options=$rerun
  [ "$action" = deploy ] || rerun="$rerun --$action"
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
  next="$rerun (continues where this run stopped)"
  die 'Interrupted.' 130
}

confirm() {
  local without=''
  [ "$conf_RULES_ENABLED" = true ] || without=', without alert rules (RULES_ENABLED=false)'
  [ "$assume_yes" = no ] || return 0
  [ -t 0 ] || { next="$rerun --yes"; die 'The deployment must be confirmed, but standard input is not a terminal.'; }
  ask "Deploy to the resource group $conf_RG in $conf_LOCATION$without?" || { next="to deploy later, run $rerun"; die 'Cancelled: nothing was deployed.'; }
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
  create_keys
  step 'Test heartbeat'
  find_new_devices
  send_test_heartbeats
  wait_until_queryable
}

deploy_and_verify_rules() {
  step 'Alert rules'
  deploy_rules
  verify_rules
}

# deploy_rules_if_safe: deploys the rules without the code if heartbeats arrive already; without heartbeats the rules
# would report silence. For a new device, announces an hour of silence first.
deploy_rules_if_safe() {
  [ "$conf_RULES_ENABLED" = true ] || { disable_rules; return; }
  find_new_devices
  if [ "$(grep -c '' "$new_devices")" = "$device_count" ] && ! has_rules; then
    say "No device sends heartbeats yet, so the alert rules are not deployed. To deploy the code and the rules, run $script"
    return
  fi
  if [ -s "$new_devices" ]; then
    step 'Test heartbeat'
    create_keys
    send_test_heartbeats
    wait_until_queryable
  fi
  deploy_and_verify_rules
}

# finish: the last steps of every deployment.
finish() {
  step 'Done'
  say "$(alarm_state) $1"
  show_next_step
}

main() {
  read_arguments "$@"
  work=$(mktemp -d "${TMPDIR:-/tmp}/ispmon-deploy.XXXXXX") || die "Creating a temporary folder in ${TMPDIR:-/tmp} failed."
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
      ) || die 'The what-if operation failed; see the error of az above.'
      ;;
    infra-only)
      confirm
      step 'Resources'
      create_group
      deploy_resources
      deploy_rules_if_safe
      write_agent_configs
      finish 'The code was not changed.'
      ;;
    code-only)
      read_outputs
      step 'Package'
      make_package
      azure_state='The resources and rules are unchanged.'
      deploy_code
      write_agent_configs
      finish 'The code is deployed; resources and rules were not changed.'
      ;;
    deploy)
      step 'Package'
      make_package
      confirm
      step 'Resources'
      create_group
      deploy_resources
      deploy_code
      if [ "$conf_RULES_ENABLED" = true ]; then deploy_and_verify_rules; else disable_rules; fi
      # Before the test mail, which may not arrive: the rules are active, so the agents must be able to send.
      write_agent_configs
      step 'Mail'
      verify_mail
      finish "Test mail: $mail_result."
      ;;
  esac
}

# bash parses the whole block before it runs it, so a `git pull` meanwhile does not change the running code.
{
  main "$@"
  exit
}
