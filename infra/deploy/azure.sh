# shellcheck shell=bash
# Calls of the Azure CLI, and advice for their failures.

# These variables override the user's configuration of az, both files and environment. Otherwise az would add
# default groups and locations to calls, and a log file would contain the keys that az receives.
export AZURE_CORE_OUTPUT=json AZURE_CORE_NO_COLOR=true AZURE_LOGGING_ENABLE_LOG_FILE=no AZURE_DEFAULTS_GROUP='' \
  AZURE_DEFAULTS_LOCATION='' AZURE_DEFAULTS_SUBSCRIPTION='' AZURE_DEFAULTS_WEB='' AZURE_DEFAULTS_APPSERVICEPLAN=''

# Options of every call: errors only besides the answer; once known, the subscription, so that switching accounts
# in another terminal does not redirect the calls.
flags=(--only-show-errors)

# API of the last call, for the advice about logins.
audience=''

# azure ARGUMENTS…: calls az in the chosen subscription. Sets `answer`, and `failure` when it fails.
azure() {
  local status
  case $* in
    *https://api.loganalytics.io*) audience=https://api.loganalytics.io ;;
    *) audience=https://management.core.windows.net/ ;;
  esac
  az "$@" "${flags[@]}" >"$work/answer" 2>"$work/failure" </dev/null
  status=$?
  take_answer
  return "$status"
}

# azure_limited SECONDS TEXT ARGUMENTS…: the same with a time limit and a progress line.
azure_limited() {
  local limit=$1 text=$2 status
  shift 2
  limited "$limit" "$text" azure_in_background "$@"
  status=$?
  take_answer
  return "$status"
}

azure_in_background() {
  exec az "$@" "${flags[@]}" >"$work/answer" 2>"$work/failure" </dev/null
}

# azure_secret ARGUMENTS…: the same for an answer that contains keys: it is never written to a file.
azure_secret() {
  local status
  answer=$(az "$@" "${flags[@]}" 2>"$work/failure" </dev/null)
  status=$?
  failure=$(cut_failure)
  return "$status"
}

take_answer() {
  answer=$(cat "$work/answer")
  failure=$(cut_failure)
}

# cut_failure: prints the error output of az or another program on one line, without stack trace, at most 1,500
# characters.
cut_failure() {
  without_stack <"$work/failure" | tr '\n\t' '  ' | cut -c 1-1500
}

# azure_reads ARGUMENTS…: a read-only call, which is retried when the network or the service fails.
azure_reads() {
  local attempt
  for attempt in 1 2 3 4; do
    azure "$@" && return
    is_passing "$failure" && [ "$attempt" -lt 4 ] || return 1
    sleep $((attempt * 5))
  done
}

# is_passing MESSAGE: whether a failure is transient.
is_passing() {
  case $1 in
    *TooManyRequests* | *'(429)'* | *ServiceUnavailable* | *'Service Unavailable'* | *BadGateway* | *'Bad Gateway'* | \
      *GatewayTimeout* | *'Gateway Time'* | *'timed out'* | *'Connection aborted'* | *'Connection reset'* | \
      *'Max retries exceeded'* | *'RemoteDisconnected'* | *'temporarily'* | *InternalServerError*) return 0 ;;
  esac
  return 1
}

# die_of WHAT: ends the script because the last call failed; prints what failed, why, and the remedy.
die_of() {
  explain "$failure"
  die "$1: ${failure:-az printed no message.}"
}

# is_forbidden MESSAGE: whether a failure means that the caller lacks a right.
is_forbidden() {
  case $1 in
    *AuthorizationFailed* | *'does not have authorization'* | *'Authorization failed'*) return 0 ;;
  esac
  return 1
}

# explain MESSAGE: sets `next` to the remedy of a known failure, else to nothing.
explain() {
  next=''
  explain_login "$1"
  [ -z "$next" ] || return 0
  if is_forbidden "$1"; then
    explain_right "$1"
    return
  fi
  case $1 in
    *QueryNotContainKnownTable* | *'requency is not supported'*)
      next="Azure refuses to evaluate this query every minute. Set EVALUATION_MINUTES=5 in $env_file, then $again" ;;
    *'misspelled or not recognized'* | *'unrecognized arguments'*)
      next="your Azure CLI is too old for this: az upgrade (or install the newest, https://aka.ms/azure-cli), then $again" ;;
    *MissingSubscriptionRegistration* | *SubscriptionNotRegistered* | *'is not registered to use namespace'*)
      next="register the provider that it names: az provider register --wait --namespace NAME, then $again" ;;
    *DeploymentQuotaExceeded*)
      next="the deployment history of $conf_RG is full (800 entries). Delete old ones (az deployment group delete), then $again" ;;
    *SubscriptionIsOverQuotaForSku* | *QuotaExceeded* | *'over quota'*)
      next="your subscription has no room for the app in $conf_LOCATION. Set another LOCATION and another RG in $env_file, or ask for quota (Portal, Quotas, Functions), then $again" ;;
    *RequestDisallowedByAzure*)
      next="this kind of subscription (free or for students, for instance) may use some regions only, and $conf_LOCATION is none of them. Portal, Policy, Assignments, \"Allowed resource deployment regions\" lists them. Set LOCATION to one of them and another RG in $env_file, then $again" ;;
    *RequestDisallowedByPolicy*)
      next="a policy of your organisation forbids this. Ask for an exception for $conf_RG (az policy assignment list shows the policies), then $again" ;;
    *InvalidResourceLocation*)
      next="Azure moves nothing: set LOCATION in $env_file back to the region that it names, or set another RG, then $again" ;;
    *LocationNotAvailableForResourceType*)
      next="set LOCATION in $env_file to one of the regions that it names, and another RG, then $again" ;;
    *ResourceGroupBeingDeleted*)
      next="wait until the deletion has ended (az group wait --deleted --name $conf_RG), then $again" ;;
    *ReadOnlyDisabledSubscription* | *'subscription is disabled'* | *DisabledSubscription*)
      next="Azure has disabled the subscription, for instance because its free credit is used up. Portal, Subscriptions shows why. When it is enabled again: $again" ;;
    *ScopeLocked*)
      next="remove the lock that it names (az lock delete), then $again" ;;
    *RoleAssignmentUpdateNotPermitted*)
      next="a role assignment of a deleted identity is in the way: Portal, $conf_RG, Access control, remove the entries named \"Identity not found\", then $again" ;;
    *StorageAccountAlreadyTaken*)
      next="another subscription has a storage account of this name. Set another PREFIX and another RG in $env_file, then $again" ;;
    *FlagMustBeSetForRestore* | *SoftDeleted* | *'is not unique'*)
      next="a deleted resource of this name can still be restored, 14 days for a workspace, and blocks it. Set another PREFIX and another RG in $env_file (or RG and LOCATION back to what they were, which restores it), then $again" ;;
    *'not supported'*)
      [ "$conf_EVALUATION_MINUTES" != 1 ] ||
        next="this may be the evaluation every minute, which is experimental. Set EVALUATION_MINUTES=5 in $env_file, then $again" ;;
  esac
}

# explain_login MESSAGE: sets `next` for failed logins, by the number of the error.
explain_login() {
  case $1 in
    *AADSTS500011* | *AADSTS650052* | *AADSTS65001[!0-9]*)
      next="your organisation's directory does not contain the API that is named. An administrator can add it (that of Log Analytics: az ad sp create --id ca7f3f0b-7d91-482c-8e09-c5d840d0eac5), then $again" ;;
    *AADSTS50076* | *AADSTS50079* | *AADSTS50158* | *AADSTS5300[0-9]*)
      next="your organisation requires another authentication factor: az login --scope $audience/.default, then $again" ;;
    *AADSTS50020* | *AADSTS90002* | *InvalidAuthenticationTokenTenant* | *'wrong issuer'*)
      next="the login is for another organisation: az login --tenant TENANT, then $again" ;;
    *AADSTS700016* | *AADSTS7000112* | *AADSTS7000215* | *AADSTS7000222*)
      next="the service principal or its secret is wrong or too old: az login with a new one, then $again" ;;
    *AADSTS70043* | *AADSTS700082* | *AADSTS700084* | *AADSTS50173* | *AADSTS50078* | *InteractionRequired* | \
      *'refresh token'* | *'No subscription found'*)
      next="your login has expired: az login, then $again" ;;
    *AADSTS*)
      next="see what the number behind AADSTS means (https://login.microsoftonline.com/error); often az login helps, then $again" ;;
    *'az login'*) next="az login, then $again" ;;
  esac
}

# explain_right MESSAGE: sets `next` for a missing right, on the whole subscription or on the group.
explain_right() {
  local scope=${1#*"over scope '"}
  case ${scope%%"'"*} in
    /subscriptions/*/*) ;;
    /subscriptions/*)
      next="this is a right on the whole subscription, beyond the resource group: an administrator who has it must do this, or assign it to you. Then az login, and $again"
      return
      ;;
  esac
  next="you need the role Owner on the resource group $conf_RG, or Contributor and Role Based Access Control Administrator. Have them assigned, run az login, then $again"
}
