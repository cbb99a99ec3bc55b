# shellcheck shell=bash
# Calls of the Azure CLI, and what their failures mean.

# What the user has configured for az plays no part here, neither in its files nor in the environment: az prefers
# these variables to all of that. Defaults would be added to calls, and a log would hold the keys that az is told.
export AZURE_CORE_OUTPUT=json AZURE_CORE_NO_COLOR=true AZURE_LOGGING_ENABLE_LOG_FILE=no AZURE_DEFAULTS_GROUP='' \
  AZURE_DEFAULTS_LOCATION='' AZURE_DEFAULTS_SUBSCRIPTION='' AZURE_DEFAULTS_WEB='' AZURE_DEFAULTS_APPSERVICEPLAN=''

# What every call gets: no chatter beside its answer; once known, the subscription, so that somebody who switches
# accounts in another terminal does not change where this goes.
flags=(--only-show-errors)

# azure ARGUMENTS…: one call of az in the chosen subscription. Sets `answer`, and `failure` when it fails.
azure() {
  local status
  az "$@" "${flags[@]}" >"$work/answer" 2>"$work/failure" </dev/null
  status=$?
  take_answer
  return "$status"
}

# azure_limited SECONDS TEXT ARGUMENTS…: the same under a time limit, with a progress line.
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

# azure_secret ARGUMENTS…: the same for an answer that holds keys: it never touches a file.
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

# cut_failure: what az said, without the stack of a crash and without a page of JSON.
cut_failure() {
  grep -v -e '^ *File ' -e '^Traceback' "$work/failure" | tr '\n\t' '  ' | cut -c 1-1500
}

# azure_reads ARGUMENTS…: a call that only reads: tried again when the network or the service fails.
azure_reads() {
  local attempt
  for attempt in 1 2 3 4; do
    azure "$@" && return
    is_passing "$failure" && [ "$attempt" -lt 4 ] || return 1
    sleep $((attempt * 5))
  done
}

# is_passing MESSAGE: whether a failure is of the kind that passes by itself.
is_passing() {
  case $1 in
    *TooManyRequests* | *'(429)'* | *ServiceUnavailable* | *'Service Unavailable'* | *BadGateway* | *'Bad Gateway'* | \
      *GatewayTimeout* | *'Gateway Time'* | *'timed out'* | *'Connection aborted'* | *'Connection reset'* | \
      *'Max retries exceeded'* | *'RemoteDisconnected'* | *'temporarily'* | *InternalServerError*) return 0 ;;
  esac
  return 1
}

# die_of WHAT: ends the script because of the last call: what failed, why, and what helps.
die_of() {
  explain "$failure"
  die "$1: ${failure:-az said nothing.}"
}

# explain MESSAGE: sets `next` for failures that are known.
explain() {
  next=''
  case $1 in
    *AADSTS* | *'az login'* | *'Please run'* | *InteractionRequired* | *'refresh token'* | *'No subscription found'*)
      next="your login has expired: az login, then $again" ;;
    *QueryNotContainKnownTable* | *'requency is not supported'*)
      next="Azure refuses to evaluate this query every minute. Set EVALUATION_MINUTES=5 in $env_file, then $again" ;;
    *'not supported'*)
      [ "$conf_EVALUATION_MINUTES" != 1 ] ||
        next="this may be the evaluation every minute, which is experimental. Set EVALUATION_MINUTES=5 in $env_file, then $again" ;;
    *AuthorizationFailed* | *'does not have authorization'* | *'Authorization failed'*)
      next="you need the role Owner on the resource group $conf_RG, or Contributor and Role Based Access Control Administrator. Have them assigned, run az login, then $again" ;;
    *MissingSubscriptionRegistration* | *'is not registered to use namespace'*)
      next="register the provider that it names: az provider register --wait --namespace NAME, then $again" ;;
    *SubscriptionIsOverQuotaForSku* | *QuotaExceeded* | *'over quota'*)
      next="your subscription has no room for the app in $conf_LOCATION. Set another LOCATION and another RG in $env_file, or ask for quota (Portal, Quotas, Functions), then $again" ;;
    *RequestDisallowedByPolicy*)
      next="a policy of your organisation forbids this. Ask for an exception for $conf_RG, then $again" ;;
    *ScopeLocked*)
      next="remove the lock that it names (az lock delete), then $again" ;;
    *RoleAssignmentUpdateNotPermitted*)
      next="a role assignment of a deleted identity is in the way: Portal, $conf_RG, Access control, remove the entries named \"Identity not found\", then $again" ;;
    *StorageAccountAlreadyTaken*)
      next="somebody else has a storage account of this name. Set another PREFIX in $env_file, then $again" ;;
    *FlagMustBeSetForRestore* | *SoftDeleted*)
      next="a deleted resource of this name can still be restored, and blocks it. Set another PREFIX in $env_file, then $again" ;;
  esac
}
