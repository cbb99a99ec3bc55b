# shellcheck shell=bash
# Everything that can be known before anything is created.

readonly PROVIDERS='Microsoft.Web Microsoft.Storage Microsoft.Insights Microsoft.OperationalInsights Microsoft.AlertsManagement Microsoft.ManagedIdentity'

# object TEXT: what the preflight found wrong: ends the script, or only warns with --force.
object() {
  [ "$force" = no ] || { warn "$1"; return; }
  next="${2:-mend this}, then $again"
  die "$1"
}

# unanswered WHAT: a question of the preflight that failed: what the caller may not ask, and with --force whatever it
# is, is left to the deployment itself; else the script ends.
unanswered() {
  if is_forbidden "$failure"; then
    warn "$1 is not allowed to you, so it is not checked."
  elif [ "$force" = yes ]; then
    warn "$1 failed, so it is not checked: $failure"
  else
    die_of "$1 failed"
  fi
}

# check_tools: curl and python3 are there and work. That a program is found says little: macOS has a python3
# that only tells to install the developer tools.
check_tools() {
  case $(uname -s) in
    MINGW* | MSYS* | CYGWIN*)
      next="install WSL (https://aka.ms/wsl) and in it the Azure CLI, then there: $again"
      die 'This shell is one for Windows, which changes the ids that az gets.'
      ;;
  esac
  need python3 'install Python 3.8 or newer (macOS: xcode-select --install)' \
    python3 -I -c 'import sys; sys.exit("It is Python %d.%d, and 3.8 is needed." % sys.version_info[:2] if sys.version_info < (3, 8) else 0)'
  need curl 'install curl' curl -q --version
}

# check_az: the same for az.
check_az() {
  local version
  need az 'install the Azure CLI (https://aka.ms/azure-cli; brew install azure-cli)' \
    az version --query '"azure-cli"' -o tsv "${flags[@]}"
  version=$(cat "$work/answer")
  case $version in
    *$'\r'*)
      next="install the Azure CLI inside of WSL (https://aka.ms/azure-cli, Linux), open a new shell, then $again"
      die 'The az that is found here is the one of Windows.'
      ;;
  esac
}

# need TOOL REMEDY COMMAND…: ends the script unless the tool is there and the command, which tries it, succeeds.
need() {
  local tool=$1 remedy=$2
  shift 2
  next="$remedy, then $again"
  command -v "$tool" >/dev/null 2>&1 || die "The program $tool is needed and not installed."
  "$@" >"$work/answer" 2>"$work/failure" </dev/null || {
    failure=$(cut_failure)
    die "The program $tool is needed, and the one that is installed does not work: ${failure:-it says nothing.}"
  }
  next=''
}

# check_login: who is logged in, and into which subscription; sets `subscription`.
check_login() {
  local name user
  if [ -n "$conf_SUBSCRIPTION" ]; then
    azure account show --subscription "$conf_SUBSCRIPTION" --query '[id, name, user.name]' -o tsv
  else
    azure account show --query '[id, name, user.name]' -o tsv
  fi || {
    next="az login, then $again"
    die "You are not logged in to Azure${conf_SUBSCRIPTION:+, or not to the subscription $conf_SUBSCRIPTION}: $failure"
  }
  { IFS= read -r subscription; IFS= read -r name; IFS= read -r user; } <<<"$answer"
  # `account show` only reads a file; a token has to be fetched, and each API has its own.
  fetch_token 'Azure Resource Manager'
  case $action in
    destroy | what-if) ;;
    *) fetch_token 'Log Analytics, which is asked whether heartbeats arrive,' --resource https://api.loganalytics.io ;;
  esac
  say "Logged in as $user, subscription \"$name\""
  flags=(--only-show-errors --subscription "$subscription")
  group_id=/subscriptions/$subscription/resourceGroups/$conf_RG
}

# fetch_token API OPTIONS…: whether the login gets a token for an API.
fetch_token() {
  local api=$1
  shift
  azure_reads account get-access-token --subscription "$subscription" "$@" --query expiresOn -o tsv && return
  explain "$failure"
  case $next in
    'your login has expired'*) die "Your login has expired: $failure" ;;
    *) die "The login gets no token for $api: $failure" ;;
  esac
}

# check_group: whether the resource group is there, and what is in it; sets `group_exists`.
check_group() {
  local location state
  azure_reads group exists --name "$conf_RG" -o tsv || die_of "Asking for the resource group $conf_RG failed"
  group_exists=$answer
  case $group_exists in
    true) ;;
    false) return ;;
    *) die "Whether the resource group $conf_RG exists is not known: az says \"$answer\"." ;;
  esac
  left="As before: the resource group $conf_RG exists, and this run changed nothing in it."
  azure_reads group show --name "$conf_RG" \
    --query "[location, properties.provisioningState || '', tags.ispmon || '']" -o tsv ||
    die_of "Reading the resource group $conf_RG failed"
  { IFS= read -r location; IFS= read -r state; IFS= read -r group_tag; } <<<"$answer"
  if [ "$state" = Deleting ]; then
    next="wait until that has ended (az group wait --deleted --name $conf_RG), then $again"
    die "The resource group $conf_RG is being deleted."
  fi
  [ "$location" = "$conf_LOCATION" ] ||
    say "The resource group is in $location; its resources go to $conf_LOCATION."
  case $action in check | destroy) ;; *) check_earlier_run ;; esac
}

# check_earlier_run: whether this deployment would renew an earlier one, or put a second one beside it: a deployment
# moves, renames and deletes nothing. The identity of the rules tells its name and place.
check_earlier_run() {
  local name location lower others='' elsewhere=''
  azure_reads resource list --resource-group "$conf_RG" \
    --resource-type Microsoft.ManagedIdentity/userAssignedIdentities --query '[].[name, location]' -o tsv ||
    { unanswered "Asking for the resources of $conf_RG"; return; }
  lower=$(printf '%s' "$conf_PREFIX" | tr '[:upper:]' '[:lower:]')
  while IFS=$'\t' read -r name location; do
    case $(printf '%s' "$name" | tr '[:upper:]' '[:lower:]') in
      "$lower-alert-identity") [ "$location" = "$conf_LOCATION" ] || elsewhere=$location ;;
      *-alert-identity) others="${others:+$others, }${name%-*-*}" ;;
    esac
  done <<<"$answer"
  [ -z "$elsewhere" ] ||
    object "What an earlier run deployed is in $elsewhere, and LOCATION is $conf_LOCATION: Azure moves nothing." \
      "set LOCATION=$elsewhere in $env_file (or another RG, and delete this one when the new one works)"
  [ -z "$others" ] ||
    object "The resource group $conf_RG holds a deployment with the PREFIX $others, and PREFIX is $conf_PREFIX: both would mail, and the agents would go on sending to the old one, so that the new rules alarm." \
      "set PREFIX back in $env_file (or another RG, and delete this one when the new one works; --force puts both into one)"
}

# check_rights: what the deployer may do there. Asked of Azure itself, which knows groups and inheritance.
check_rights() {
  local scope=/subscriptions/$subscription missing
  [ "$group_exists" = false ] || scope=$group_id
  azure_reads rest --method get --url "$scope/providers/Microsoft.Authorization/permissions?api-version=2022-04-01" \
    --query value -o json || { unanswered 'Asking for your rights'; return; }
  missing=$(printf '%s' "$answer" | helper rights "$group_exists") || die 'The answer about your rights is not understood.'
  [ -z "$missing" ] ||
    object "You lack rights on $scope: $missing." \
      'have yourself assigned Owner, or Contributor and Role Based Access Control Administrator'
  say 'Rights: sufficient'
}

# check_locks: locks that would stop a deployment in its middle. Those of the subscription show in the group, too.
check_locks() {
  local kind=ReadOnly scope=/subscriptions/$subscription level name id
  [ "$action" != destroy ] || kind='ReadOnly CanNotDelete'
  [ "$group_exists" = false ] || scope=$group_id
  # Not by `az lock list`, which takes a group of the user's defaults when it gets none.
  azure_reads rest --method get --url "$scope/providers/Microsoft.Authorization/locks?api-version=2016-09-01" \
    --query 'value[].[properties.level, name, id]' -o tsv || { unanswered 'Asking for locks'; return; }
  while IFS=$'\t' read -r level name id; do
    case " $kind " in *" $level "*) ;; *) continue ;; esac
    case $(printf '%s' "$id" | tr '[:upper:]' '[:lower:]') in
      "$(printf '%s' "$group_id/" | tr '[:upper:]' '[:lower:]')"* | "/subscriptions/$subscription/providers/"*)
        object "The lock \"$name\" ($level) forbids it." "remove it: az lock delete --ids $id" ;;
    esac
  done <<<"$answer"
}

# check_providers: which of the six providers are not registered; sets `unregistered`.
check_providers() {
  local provider
  unregistered=''
  for provider in $PROVIDERS; do
    azure_reads provider show --namespace "$provider" --query registrationState -o tsv ||
      { unanswered 'Asking for the providers'; unregistered=''; return; }
    [ "$answer" = Registered ] || unregistered="$unregistered $provider"
  done
  [ -z "$unregistered" ] || say "To be registered:$unregistered"
}

# check_region: whether the app's plan and runtime are offered there.
check_region() {
  local lowest known=yes
  if ! azure_reads functionapp list-flexconsumption-locations --query '[].name' -o tsv; then
    unanswered 'Asking for the regions of Flex Consumption'
    known=no
  elif ! printf '%s\n' "$answer" | tr -d ' ' | tr '[:upper:]' '[:lower:]' | grep -qx "$conf_LOCATION"; then
    object "The region $conf_LOCATION has no Flex Consumption plan, on which the function runs." \
      "set LOCATION in $env_file to one of: $(printf '%s' "$answer" | tr -d ' ' | tr '[:upper:]\n' '[:lower:] ')"
    return
  fi
  if ! azure_reads functionapp list-flexconsumption-runtimes --location "$conf_LOCATION" --runtime "$conf_RUNTIME_NAME" \
    --query '[0].sku.maximumInstanceCount.lowestMaximumInstanceCount' -o tsv; then
    case $failure in
      *"Runtime '"*'not supported'*) answer='' ;;
      *)
        unanswered "Asking for the runtimes of $conf_LOCATION"
        return
        ;;
    esac
  fi
  lowest=$answer
  if [ -z "$lowest" ]; then
    object "The region $conf_LOCATION does not offer the runtime \"$conf_RUNTIME_NAME\"." \
      "set RUNTIME_NAME=node and RUNTIME_VERSION=22 in $env_file (the function is the same binary), or another LOCATION"
  elif [ "$lowest" -gt "${conf_MAX_INSTANCES:-2}" ] 2>/dev/null; then
    object "The region $conf_LOCATION wants at least $lowest instances at most; MAX_INSTANCES is ${conf_MAX_INSTANCES:-2}." \
      "set MAX_INSTANCES=$lowest in $env_file"
  fi
  [ "$known" = no ] || say "Region: $conf_LOCATION has Flex Consumption and the runtime $conf_RUNTIME_NAME"
}

# check_templates: whether the templates accept the settings; needs no right in Azure. main.bicepparam evaluates the
# checks of the templates, and fails with their sentence.
check_templates() {
  local sentence line name
  (export_settings true && exec az bicep build-params --file "$here/main.bicepparam" --stdout) \
    >/dev/null 2>"$work/failure" </dev/null && return
  failure=$(cut_failure)
  sentence=$(printf '%s' "$failure" | sed -n "s/.*'REFUSED: \(.*\)' to integer.*/\1/p")
  if [ -n "$sentence" ]; then
    next="correct it in $env_file, then $again"
    die "The templates refuse the settings: $sentence"
  fi
  case $failure in
    *'download Bicep'* | *'Bicep version'* | *CERTIFICATE_VERIFY_FAILED* | *'urlopen error'*)
      next="let az reach https://downloads.bicep.azure.com (behind a proxy: HTTPS_PROXY, and REQUESTS_CA_BUNDLE with its certificate), or install bicep yourself and az config set bicep.use_binary_from_path=true, then $again"
      die "The Azure CLI could not fetch Bicep, which reads the templates: $failure"
      ;;
    *'main.bicepparam('*)
      line=$(printf '%s' "$failure" | sed -n 's/.*main\.bicepparam(\([0-9]*\),.*/\1/p')
      name=$(sed -n "${line}s/.*readEnvironmentVariable('\([A-Z_0-9]*\)'.*/\1/p" "$here/main.bicepparam")
      next="correct ${name:-the setting that it names} in $env_file (or, if the message is not about a setting: az bicep upgrade), then $again"
      die "The templates refuse the settings${name:+ ($name)}: $failure"
      ;;
    *)
      next="az bicep upgrade, then $again"
      die "Bicep cannot read the templates: $failure"
      ;;
  esac
}
