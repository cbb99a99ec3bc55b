# shellcheck shell=bash
# Calls of the Azure CLI, and remedies for their failures.

# These variables override the user's configuration of az, both files and environment. Otherwise az would add
# default groups and locations to calls, and a log file would contain the keys that az receives.
export AZURE_CORE_OUTPUT=json AZURE_CORE_NO_COLOR=true AZURE_LOGGING_ENABLE_LOG_FILE=no AZURE_DEFAULTS_GROUP='' \
  AZURE_DEFAULTS_LOCATION='' AZURE_DEFAULTS_SUBSCRIPTION='' AZURE_DEFAULTS_WEB='' AZURE_DEFAULTS_APPSERVICEPLAN=''

# Options of every call: show errors only; after the login check also the subscription, so that switching accounts in
# another terminal does not redirect the calls.
flags=(--only-show-errors)

# API of the last call, for the remedy of a failed login.
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
  read_answer
  return "$status"
}

# azure_with_timeout SECONDS TEXT ARGUMENTS…: the same with a time limit and a progress line.
azure_with_timeout() {
  local limit=$1 text=$2 status
  shift 2
  with_timeout "$limit" "$text" azure_in_background "$@"
  status=$?
  read_answer
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
  failure=$(failure_text)
  return "$status"
}

read_answer() {
  answer=$(cat "$work/answer")
  failure=$(failure_text)
}

# failure_text: prints the error output of az or another program on one line, without stack trace, at most 1,500
# characters.
failure_text() {
  without_stack_trace <"$work/failure" | tr '\n\t' '  ' | cut -c 1-1500
}

# azure_retry ARGUMENTS…: a call that can be repeated: it is retried when the network or the service fails.
azure_retry() {
  local attempt
  for attempt in 1 2 3 4; do
    azure "$@" && return
    is_transient "$failure" && [ "$attempt" -lt 4 ] || return 1
    sleep $((attempt * 5))
  done
}

# is_transient MESSAGE: whether a failure is transient.
is_transient() {
  case $1 in
    *TooManyRequests* | *'(429)'* | *ServiceUnavailable* | *'Service Unavailable'* | *BadGateway* | *'Bad Gateway'* | \
      *GatewayTimeout* | *'Gateway Time'* | *'timed out'* | *'Connection aborted'* | *'Connection reset'* | \
      *'Max retries exceeded'* | *'RemoteDisconnected'* | *'temporarily'* | *InternalServerError*) return 0 ;;
  esac
  return 1
}

# die_with_failure WHAT: ends the script because the last call failed; prints what failed, why, and the remedy.
die_with_failure() {
  set_remedy "$failure"
  die "$1: ${failure:-az printed no error message.}"
}

# is_forbidden MESSAGE: whether a failure means that the caller lacks a right.
is_forbidden() {
  case $1 in
    *AuthorizationFailed* | *'does not have authorization'* | *'Authorization failed'*) return 0 ;;
  esac
  return 1
}

# set_remedy MESSAGE: sets `next` to the remedy of a known failure, else to nothing.
set_remedy() {
  next=''
  set_login_remedy "$1"
  [ -z "$next" ] || return 0
  if is_forbidden "$1"; then
    set_permission_remedy "$1"
    return
  fi
  case $1 in
    *QueryNotContainKnownTable* | *'requency is not supported'*)
      next="Azure refuses to evaluate this query every minute. Set EVALUATION_MINUTES=5 in $env_file, then $rerun" ;;
    *'misspelled or not recognized'* | *'unrecognized arguments'*)
      next="this Azure CLI is too old: run az upgrade, or install the newest (https://aka.ms/azure-cli), then $rerun" ;;
    *MissingSubscriptionRegistration* | *SubscriptionNotRegistered* | *'is not registered to use namespace'*)
      next="register the provider named in the error: az provider register --wait --namespace NAME, then $rerun" ;;
    *DeploymentQuotaExceeded*)
      next="the deployment history of $conf_RG is full (800 entries). Delete old entries (az deployment group delete), then $rerun" ;;
    *SubscriptionIsOverQuotaForSku* | *QuotaExceeded* | *'over quota'*)
      next="the quota of your subscription does not allow the app in $conf_LOCATION. Set another LOCATION and another RG in $env_file, or request more quota (Portal, Quotas, Functions), then $rerun" ;;
    *RequestDisallowedByAzure*)
      next="this kind of subscription (for instance free or student) may use only certain regions, and $conf_LOCATION is not one of them. Portal, Policy, Assignments, \"Allowed resource deployment regions\" lists them. Set LOCATION to one of them and another RG in $env_file, then $rerun" ;;
    *RequestDisallowedByPolicy*)
      next="a policy of your organisation forbids this. Ask for an exception for $conf_RG (az policy assignment list shows the policies), then $rerun" ;;
    *InvalidResourceLocation*)
      next="Azure cannot move resources: set LOCATION in $env_file back to the region named in the error, or set another RG, then $rerun" ;;
    *LocationNotAvailableForResourceType*)
      next="set LOCATION in $env_file to one of the regions named in the error, and another RG, then $rerun" ;;
    *ResourceGroupBeingDeleted*)
      next="wait for the deletion (az group wait --deleted --name $conf_RG), then $rerun" ;;
    *ReadOnlyDisabledSubscription* | *'subscription is disabled'* | *DisabledSubscription*)
      next="Azure has disabled the subscription, for instance because its free credit is used up. Portal, Subscriptions shows why. When it is enabled again: $rerun" ;;
    *ScopeLocked*)
      next="remove the lock named in the error (az lock delete), then $rerun" ;;
    *RoleAssignmentUpdateNotPermitted*)
      next="a role assignment of a deleted identity still exists: Portal, $conf_RG, Access control, remove the entries named \"Identity not found\", then $rerun" ;;
    *StorageAccountAlreadyTaken*)
      next="another subscription has a storage account of this name. Set another PREFIX and another RG in $env_file, then $rerun" ;;
    *FlagMustBeSetForRestore* | *SoftDeleted* | *'is not unique'*)
      next="the name of a deleted resource stays reserved while it can be restored (a workspace: 14 days). Set another PREFIX and another RG in $env_file (or set RG and LOCATION back, which restores the resource), then $rerun" ;;
    *'not supported'*)
      [ "$conf_EVALUATION_MINUTES" != 1 ] ||
        next="this may be the evaluation every minute, which is experimental. Set EVALUATION_MINUTES=5 in $env_file, then $rerun" ;;
  esac
}

# set_login_remedy MESSAGE: sets `next` for a failed login, by its error code.
set_login_remedy() {
  case $1 in
    *AADSTS500011* | *AADSTS650052* | *AADSTS65001[!0-9]*)
      next="your organisation's directory does not contain the API named in the error. An administrator can add it (that of Log Analytics: az ad sp create --id ca7f3f0b-7d91-482c-8e09-c5d840d0eac5), then $rerun" ;;
    *AADSTS50076* | *AADSTS50079* | *AADSTS50158* | *AADSTS5300[0-9]*)
      next="your organisation requires another authentication factor: az login --scope $audience/.default, then $rerun" ;;
    *AADSTS50020* | *AADSTS90002* | *InvalidAuthenticationTokenTenant* | *'wrong issuer'*)
      next="the login is for another organisation: az login --tenant TENANT, then $rerun" ;;
    *AADSTS700016* | *AADSTS7000112* | *AADSTS7000215* | *AADSTS7000222*)
      next="the service principal or its secret is invalid or expired: az login with a new one, then $rerun" ;;
    *AADSTS70043* | *AADSTS700082* | *AADSTS700084* | *AADSTS50173* | *AADSTS50078* | *InteractionRequired* | \
      *'refresh token'* | *'No subscription found'*)
      next="your login has expired: az login, then $rerun" ;;
    *AADSTS*)
      next="look up the AADSTS code at https://login.microsoftonline.com/error; often az login is enough, then $rerun" ;;
    *'az login'*) next="az login, then $rerun" ;;
  esac
}

# set_permission_remedy MESSAGE: sets `next` for a missing permission, on the whole subscription or on the group.
set_permission_remedy() {
  local scope=${1#*"over scope '"}
  case ${scope%%"'"*} in
    /subscriptions/*/*) ;;
    /subscriptions/*)
      next="this needs a permission on the whole subscription, not only on the resource group: ask an administrator to do it or to assign the permission to you, run az login, then $rerun"
      return
      ;;
  esac
  next="you need the role Owner on the resource group $conf_RG, or Contributor and Role Based Access Control Administrator. Have them assigned, run az login, then $rerun"
}
