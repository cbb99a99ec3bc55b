# shellcheck shell=bash
# Checks before anything is created.

readonly PROVIDERS='Microsoft.Web Microsoft.Storage Microsoft.Insights Microsoft.OperationalInsights Microsoft.AlertsManagement Microsoft.ManagedIdentity'

# preflight_error TEXT [REMEDY]: reports a problem: ends the script, or only warns with --force.
preflight_error() {
  [ "$force" = no ] || { warn "$1"; return; }
  next="${2:-correct this}, then $rerun"
  die "$1"
}

# report_failed_check WHAT: reports a check whose query failed. Only warns if the user lacks the right, or with --force; else
# ends the script. After a warning the deployment may still fail for what was not checked.
report_failed_check() {
  if is_forbidden "$failure"; then
    warn "$1 failed: you lack the right, so it is not checked."
  elif [ "$force" = yes ]; then
    warn "$1 failed, so it is not checked: $failure"
  else
    die_with_failure "$1 failed"
  fi
}

# check_tools: ends the script unless curl and python3 are installed and work. Finding a program is not enough: macOS
# has a python3 that only prints a hint to install the developer tools.
check_tools() {
  case $(uname -s) in
    MINGW* | MSYS* | CYGWIN*)
      next="install WSL (https://aka.ms/wsl) and the Azure CLI in it, then run there: $rerun"
      die 'This is a Windows shell, which changes the resource ids that are passed to az.'
      ;;
  esac
  require_tool python3 'install Python 3.8 or newer (macOS: xcode-select --install)' \
    python3 -I -c 'import sys; sys.exit("It is Python %d.%d, but 3.8 or newer is needed." % sys.version_info[:2] if sys.version_info < (3, 8) else 0)'
  require_tool curl 'install curl' curl -q --version
}

# check_az: the same for az.
check_az() {
  local version
  require_tool az 'install the Azure CLI (https://aka.ms/azure-cli; brew install azure-cli)' \
    az version --query '"azure-cli"' -o tsv "${flags[@]}"
  version=$(cat "$work/answer")
  case $version in
    *$'\r'*)
      next="install the Azure CLI inside WSL (https://aka.ms/azure-cli, Linux), open a new shell, then $rerun"
      die 'The az on the PATH is the Windows version.'
      ;;
  esac
}

# require_tool TOOL REMEDY COMMAND…: ends the script unless the tool is installed and the command succeeds.
require_tool() {
  local tool=$1 remedy=$2
  shift 2
  next="$remedy, then $rerun"
  command -v "$tool" >/dev/null 2>&1 || die "The program $tool is not installed."
  "$@" >"$work/answer" 2>"$work/failure" </dev/null || {
    failure=$(failure_text)
    die "The program $tool does not work: ${failure:-it printed no error message.}"
  }
  next=''
}

# check_login: reads the logged-in user and the subscription, and tests tokens; sets `subscription`, `flags` and
# `group_id`.
check_login() {
  local name user
  if [ -n "$conf_SUBSCRIPTION" ]; then
    azure account show --subscription "$conf_SUBSCRIPTION" --query '[id, name, user.name]' -o tsv
  else
    azure account show --query '[id, name, user.name]' -o tsv
  fi || {
    next="az login, then $rerun"
    die "You are not logged in to Azure${conf_SUBSCRIPTION:+, or not to the subscription $conf_SUBSCRIPTION}: $failure"
  }
  { IFS= read -r subscription; IFS= read -r name; IFS= read -r user; } <<<"$answer"
  # `account show` only reads a file, so fetch a token for each API.
  fetch_token 'Azure Resource Manager'
  case $action in
    destroy | what-if) ;;
    *) fetch_token 'Log Analytics' --resource https://api.loganalytics.io ;;
  esac
  say "Logged in as $user, subscription \"$name\""
  flags=(--only-show-errors --subscription "$subscription")
  group_id=/subscriptions/$subscription/resourceGroups/$conf_RG
}

# fetch_token API OPTIONS…: ends the script unless the login gets a token for an API.
fetch_token() {
  local api=$1
  shift
  azure_retry account get-access-token --subscription "$subscription" "$@" --query expiresOn -o tsv && return
  set_remedy "$failure"
  case $next in
    'your login has expired'*) die "Your login has expired: $failure" ;;
    *) die "Getting a token for $api failed: $failure" ;;
  esac
}

# check_group: checks the resource group; sets `group_exists` and `group_tag`.
check_group() {
  local location state
  azure_retry group exists --name "$conf_RG" -o tsv || die_with_failure "Checking whether the resource group $conf_RG exists failed"
  group_exists=$answer
  case $group_exists in
    true) ;;
    false) return ;;
    *) die "Whether the resource group $conf_RG exists cannot be determined: az returned \"$answer\"." ;;
  esac
  azure_state="The resource group $conf_RG exists; this run did not change it."
  azure_retry group show --name "$conf_RG" \
    --query "[location, properties.provisioningState || '', tags.ispmon || '']" -o tsv ||
    die_with_failure "Reading the resource group $conf_RG failed"
  { IFS= read -r location; IFS= read -r state; IFS= read -r group_tag; } <<<"$answer"
  if [ "$state" = Deleting ]; then
    next="wait for the deletion (az group wait --deleted --name $conf_RG), then $rerun"
    die "The resource group $conf_RG is being deleted."
  fi
  [ "$location" = "$conf_LOCATION" ] ||
    say "The resource group is in $location; its resources are created in $conf_LOCATION."
  case $action in check | destroy) ;; *) check_earlier_run ;; esac
}

# check_earlier_run: objects when the group contains a deployment with another prefix or region. A deployment moves,
# renames and deletes nothing, so there would be two. The identity of the rules has the prefix in its name.
check_earlier_run() {
  local name location lower others='' elsewhere=''
  azure_retry resource list --resource-group "$conf_RG" \
    --resource-type Microsoft.ManagedIdentity/userAssignedIdentities --query '[].[name, location]' -o tsv ||
    { report_failed_check "Listing the resources of $conf_RG"; return; }
  lower=$(printf '%s' "$conf_PREFIX" | tr '[:upper:]' '[:lower:]')
  while IFS=$'\t' read -r name location; do
    case $(printf '%s' "$name" | tr '[:upper:]' '[:lower:]') in
      "$lower-alert-identity") [ "$location" = "$conf_LOCATION" ] || elsewhere=$location ;;
      *-alert-identity) others="${others:+$others, }${name%-*-*}" ;;
    esac
  done <<<"$answer"
  [ -z "$elsewhere" ] ||
    preflight_error "The resources of an earlier run are in $elsewhere, but LOCATION is $conf_LOCATION, and Azure cannot move them." \
      "set LOCATION=$elsewhere in $env_file (or another RG, and delete this one when the new one works)"
  [ -z "$others" ] ||
    preflight_error "The resource group $conf_RG contains a deployment with the PREFIX $others, but PREFIX is $conf_PREFIX. Both would send mails, and the agents would still send heartbeats to the old one, so the new rules would report silence." \
      "set PREFIX back in $env_file (or another RG, and delete this one when the new one works; --force deploys into this one)"
}

# check_budget: objects to a first day of the budget that Azure would refuse. For a new budget, it must be this month's
# or a later one; for an existing one, it must not change.
check_budget() {
  local start=$conf_BUDGET_START existing
  [ "${conf_BUDGET_AMOUNT:-0}" != 0 ] || return 0
  if [ "$group_exists" = true ]; then
    if azure rest --method get --query properties.timePeriod.startDate -o tsv \
      --url "$group_id/providers/Microsoft.Consumption/budgets/$conf_PREFIX-budget?api-version=2023-05-01"; then
      existing=${answer%%T*}
      [ "$existing" = "$start" ] ||
        preflight_error "BUDGET_START in $env_file is $start, but the existing budget begins at $existing, and Azure does not allow a change." \
          "set BUDGET_START=$existing in $env_file, or delete the budget $conf_PREFIX-budget (Portal, $conf_RG, Budgets)"
      return
    fi
    case $failure in *404* | *'Not Found'* | *NotFound*) ;; *) return ;; esac
  fi
  [[ $start < $(date -u +%Y-%m-01) ]] || return 0
  preflight_error "BUDGET_START in $env_file is $start: a new budget cannot begin before this month." \
    "set BUDGET_START=$(date -u +%Y-%m-01) in $env_file"
}

# check_rights: objects when the user lacks rights for the deployment. Azure evaluates groups and inheritance.
check_rights() {
  local scope=/subscriptions/$subscription missing
  [ "$group_exists" = false ] || scope=$group_id
  azure_retry rest --method get --url "$scope/providers/Microsoft.Authorization/permissions?api-version=2022-04-01" \
    --query value -o json || { report_failed_check 'Reading your rights'; return; }
  missing=$(printf '%s' "$answer" | helper rights "$group_exists") || die 'The answer about your rights could not be parsed.'
  [ -z "$missing" ] ||
    preflight_error "You lack rights on $scope: $missing." \
      'ask an administrator to assign you Owner, or Contributor and Role Based Access Control Administrator'
  say 'Rights: sufficient'
}

# check_locks: objects to locks that would make the deployment fail halfway. The list of a group includes those of its
# subscription.
check_locks() {
  local kind=ReadOnly scope=/subscriptions/$subscription level name id
  [ "$action" != destroy ] || kind='ReadOnly CanNotDelete'
  [ "$group_exists" = false ] || scope=$group_id
  # Not `az lock list`, which uses the user's default group when it is called without a group.
  azure_retry rest --method get --url "$scope/providers/Microsoft.Authorization/locks?api-version=2016-09-01" \
    --query 'value[].[properties.level, name, id]' -o tsv || { report_failed_check 'Reading the locks'; return; }
  while IFS=$'\t' read -r level name id; do
    case " $kind " in *" $level "*) ;; *) continue ;; esac
    case $(printf '%s' "$id" | tr '[:upper:]' '[:lower:]') in
      "$(printf '%s' "$group_id/" | tr '[:upper:]' '[:lower:]')"* | "/subscriptions/$subscription/providers/"*)
        preflight_error "The lock \"$name\" ($level) blocks this operation." "remove it: az lock delete --ids $id" ;;
    esac
  done <<<"$answer"
}

# check_providers: sets `unregistered` to those of the six providers that are not registered.
check_providers() {
  local provider
  unregistered=''
  for provider in $PROVIDERS; do
    azure_retry provider show --namespace "$provider" --query registrationState -o tsv ||
      { report_failed_check 'Reading the providers'; unregistered=''; return; }
    [ "$answer" = Registered ] || unregistered="$unregistered $provider"
  done
  [ -z "$unregistered" ] || say "Providers to register:$unregistered"
}

# check_region: objects when the region does not offer the app's plan and runtime.
check_region() {
  local lowest known=yes
  if ! azure_retry functionapp list-flexconsumption-locations --query '[].name' -o tsv; then
    report_failed_check 'Listing the regions of Flex Consumption'
    known=no
  elif ! printf '%s\n' "$answer" | tr -d ' ' | tr '[:upper:]' '[:lower:]' | grep -qx "$conf_LOCATION"; then
    preflight_error "The region $conf_LOCATION has no Flex Consumption plan, which the function needs." \
      "set LOCATION in $env_file to one of: $(printf '%s' "$answer" | tr -d ' ' | tr '[:upper:]\n' '[:lower:] ')"
    return
  fi
  if ! azure_retry functionapp list-flexconsumption-runtimes --location "$conf_LOCATION" --runtime "$conf_RUNTIME_NAME" \
    --query '[0].sku.maximumInstanceCount.lowestMaximumInstanceCount' -o tsv; then
    case $failure in
      *"Runtime '"*'not supported'*) answer='' ;;
      *)
        report_failed_check "Listing the runtimes of $conf_LOCATION"
        return
        ;;
    esac
  fi
  lowest=$answer
  if [ -z "$lowest" ]; then
    preflight_error "The region $conf_LOCATION does not offer the runtime \"$conf_RUNTIME_NAME\"." \
      "set RUNTIME_NAME=node and RUNTIME_VERSION=22 in $env_file (the function is the same binary), or another LOCATION"
  elif [ "$lowest" -gt "${conf_MAX_INSTANCES:-2}" ] 2>/dev/null; then
    preflight_error "The region $conf_LOCATION requires MAX_INSTANCES to be at least $lowest; it is ${conf_MAX_INSTANCES:-2}." \
      "set MAX_INSTANCES=$lowest in $env_file"
  fi
  [ "$known" = no ] || say "Region: $conf_LOCATION has Flex Consumption and the runtime $conf_RUNTIME_NAME"
}

# check_templates: ends the script unless the templates accept the settings; needs no right in Azure. main.bicepparam
# evaluates the checks of the templates, and fails with their sentence.
check_templates() {
  local sentence line name
  (export_settings true && exec az bicep build-params --file "$here/main.bicepparam" --stdout) \
    >/dev/null 2>"$work/failure" </dev/null && return
  failure=$(failure_text)
  sentence=$(printf '%s' "$failure" | sed -n "s/.*'REFUSED: \(.*\)' to integer.*/\1/p")
  if [ -n "$sentence" ]; then
    next="correct it in $env_file, then $rerun"
    die "The templates reject the settings: $sentence"
  fi
  if grep -q '\.bicep([0-9,]*) : Error' "$work/failure"; then
    next="az bicep upgrade (az keeps an old Bicep until then), then $rerun"
    die "Bicep is too old for the templates: $failure"
  fi
  case $failure in
    *'download Bicep'* | *'Bicep version'* | *CERTIFICATE_VERIFY_FAILED* | *'urlopen error'*)
      next="allow az to reach https://downloads.bicep.azure.com (behind a proxy: HTTPS_PROXY, and REQUESTS_CA_BUNDLE with its certificate), or install bicep yourself and az config set bicep.use_binary_from_path=true, then $rerun"
      die "The Azure CLI could not fetch Bicep, which compiles the templates: $failure"
      ;;
    # A wrong type or value, a value that cannot be evaluated, a wrong length, a number out of range.
    *'Error BCP033'* | *'Error BCP338'* | *'Error BCP33'[23]* | *'Error BCP32'[78]*)
      line=$(printf '%s' "$failure" | sed -n 's/.*main\.bicepparam(\([0-9]*\),.*/\1/p')
      name=$(sed -n "${line}s/.*readEnvironmentVariable('\([A-Z_0-9]*\)'.*/\1/p" "$here/main.bicepparam")
      next="correct ${name:-the named setting} in $env_file, then $rerun"
      die "The templates reject the settings${name:+ ($name)}: $failure"
      ;;
    *)
      next="az bicep upgrade (az keeps an old Bicep until then), then $rerun"
      die "Bicep cannot compile the templates: $failure"
      ;;
  esac
}
