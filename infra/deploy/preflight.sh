# shellcheck shell=bash
# Everything that can be known before anything is created.

readonly PROVIDERS='Microsoft.Web Microsoft.Storage Microsoft.Insights Microsoft.OperationalInsights Microsoft.AlertsManagement Microsoft.ManagedIdentity'

# object TEXT: what the preflight found wrong: ends the script, or only warns with --force.
object() {
  [ "$force" = no ] || { warn "$1"; return; }
  next="${2:-mend this}, then $again"
  die "$1"
}

# check_tools: az, curl and python3 are there.
check_tools() {
  local tool
  for tool in az curl python3; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in
      az) next="install the Azure CLI (https://aka.ms/azure-cli; brew install azure-cli), then $again" ;;
      *) next="install $tool, then $again" ;;
    esac
    die "The program $tool is needed and not installed."
  done
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
  # `account show` only reads a file; a token has to be fetched.
  azure account get-access-token --subscription "$subscription" --query expiresOn -o tsv || {
    next="az login, then $again"
    die "Your login has expired: $failure"
  }
  say "Logged in as $user, subscription \"$name\""
  flags=(--only-show-errors --subscription "$subscription")
  group_id=/subscriptions/$subscription/resourceGroups/$conf_RG
}

# check_group: whether the resource group is there; sets `group_exists`.
check_group() {
  local location
  azure_reads group exists --name "$conf_RG" -o tsv || die_of "Asking for the resource group $conf_RG failed"
  group_exists=$answer
  case $group_exists in
    true) ;;
    false) return ;;
    *) die "Whether the resource group $conf_RG exists is not known: az says \"$answer\"." ;;
  esac
  left="As before: the resource group $conf_RG exists, and this run changed nothing in it."
  azure_reads group show --name "$conf_RG" --query '[location, tags.ispmon]' -o tsv ||
    die_of "Reading the resource group $conf_RG failed"
  { IFS= read -r location; IFS= read -r group_tag; } <<<"$answer"
  [ "$location" = "$conf_LOCATION" ] ||
    say "The resource group is in $location; its resources go to $conf_LOCATION."
}

# check_rights: what the deployer may do there. Asked of Azure itself, which knows groups and inheritance.
check_rights() {
  local scope=/subscriptions/$subscription missing
  [ "$group_exists" = false ] || scope=$group_id
  azure_reads rest --method get --url "$scope/providers/Microsoft.Authorization/permissions?api-version=2022-04-01" \
    --query value -o json || die_of 'Asking for your rights failed'
  missing=$(printf '%s' "$answer" | helper rights "$group_exists") || die 'The answer about your rights is not understood.'
  [ -z "$missing" ] ||
    object "You lack rights on $scope: $missing." \
      'have yourself assigned Owner, or Contributor and Role Based Access Control Administrator'
  say 'Rights: sufficient'
}

# check_locks: locks that would stop a deployment in its middle.
check_locks() {
  local kind=ReadOnly
  [ "$action" != destroy ] || kind='ReadOnly CanNotDelete'
  azure_reads lock list --query '[].[level, name, id]' -o tsv || die_of 'Asking for locks failed'
  local level name id
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
      die_of "Asking for the provider $provider failed"
    [ "$answer" = Registered ] || unregistered="$unregistered $provider"
  done
  [ -z "$unregistered" ] || say "To be registered:$unregistered"
}

# check_region: whether the app's plan and runtime are offered there.
check_region() {
  local lowest
  azure_reads functionapp list-flexconsumption-locations --query '[].name' -o tsv ||
    die_of 'Asking for the regions of Flex Consumption failed'
  if ! printf '%s\n' "$answer" | tr -d ' ' | tr '[:upper:]' '[:lower:]' | grep -qx "$conf_LOCATION"; then
    object "The region $conf_LOCATION has no Flex Consumption plan, on which the function runs." \
      "set LOCATION in $env_file to one of: $(printf '%s' "$answer" | tr -d ' ' | tr '[:upper:]\n' '[:lower:] ')"
    return
  fi
  azure_reads functionapp list-flexconsumption-runtimes --location "$conf_LOCATION" --runtime "$conf_RUNTIME_NAME" \
    --query '[0].sku.maximumInstanceCount.lowestMaximumInstanceCount' -o tsv || answer=''
  lowest=$answer
  if [ -z "$lowest" ]; then
    object "The region $conf_LOCATION does not offer the runtime \"$conf_RUNTIME_NAME\"." \
      "set RUNTIME_NAME=node and RUNTIME_VERSION=22 in $env_file (the function is the same binary), or another LOCATION"
  elif [ "$lowest" -gt "${conf_MAX_INSTANCES:-2}" ] 2>/dev/null; then
    object "The region $conf_LOCATION wants at least $lowest instances at most; MAX_INSTANCES is ${conf_MAX_INSTANCES:-2}." \
      "set MAX_INSTANCES=$lowest in $env_file"
  fi
  say "Region: $conf_LOCATION has Flex Consumption and the runtime $conf_RUNTIME_NAME"
}

# check_templates: whether the templates accept the settings; needs no right in Azure.
check_templates() {
  (export_settings true && exec az bicep build-params --file "$here/main.bicepparam" --stdout) \
    >/dev/null 2>"$work/failure" </dev/null || {
    failure=$(cut_failure)
    next="correct the setting that it names in $env_file (or: az bicep install), then $again"
    die "The templates refuse the settings: $failure"
  }
}
