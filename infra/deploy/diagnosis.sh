# shellcheck shell=bash
# Diagnosis of failures: reads roles, settings and the daily cap, and prints the cause with its remedy.

# The two roles that the app needs. Ids of built-in roles are the same everywhere.
readonly BLOB_OWNER=b7e6dc6d-f1e8-4753-8033-0f276bb0955b
readonly METRICS_PUBLISHER=3913510d-42f4-4e42-8a64-420c390055eb

# add_unread WHAT: adds to `unread` what could not be read, with the reason: it may be the cause.
add_unread() { unread="${unread:+$unread; }$1 (${failure:0:200})"; }

# lacks_role SCOPE ROLE: whether the app's identity lacks a role in the scope. If that cannot be read, calls
# `add_unread` and returns false. (`az role assignment list` would need a right in the directory as well.)
lacks_role() {
  azure_retry rest --method get --url "$1/providers/Microsoft.Authorization/roleAssignments" \
    --url-parameters api-version=2022-04-01 "\$filter=principalId eq '$principal'" \
    --query 'value[].properties.roleDefinitionId' -o tsv || {
    add_unread "the app's roles"
    return 1
  }
  ! printf '%s\n' "$answer" | grep -q "/$2\$"
}

# app_settings: sets `answer` to names and values of the app settings that affect logs and storage. Never reads the
# values of other settings.
app_settings() {
  azure_retry functionapp config appsettings list --resource-group "$conf_RG" --name "$app" \
    --query "[?starts_with(name, 'AzureFunctionsJobHost__') || name=='AzureWebJobsStorage'].[name, name!='AzureWebJobsStorage' && value || 'set']" -o tsv
}

# diagnose_storage: warns of a missing role or a setting that prevents the app's access to its storage.
diagnose_storage() {
  local scope=$group_id/providers/Microsoft.Storage/storageAccounts/$storage_account saved=$failure unread=''
  if lacks_role "$scope" "$BLOB_OWNER"; then
    warn "The app's identity lacks the role \"Storage Blob Data Owner\" on $storage_account."
  fi
  if ! app_settings; then
    add_unread "the app's settings"
  elif printf '%s\n' "$answer" | grep -q '^AzureWebJobsStorage'; then
    warn "The app has a setting AzureWebJobsStorage, which overrides its identity. Delete it: az functionapp config appsettings delete -g $conf_RG -n $app --setting-names AzureWebJobsStorage"
  fi
  [ -z "$unread" ] || warn "The following could not be read and may be the cause: $unread."
  failure=$saved
}

# diagnose_ingestion: sets `reason` to the cause why a log line of the function does not arrive in the workspace.
diagnose_ingestion() {
  local name value unread=''
  reason=''
  if lacks_role "$group_id/providers/Microsoft.Insights/components/$component" "$METRICS_PUBLISHER"; then
    reason="The app's identity lacks the role \"Monitoring Metrics Publisher\" on $component. Without it, Azure drops all telemetry without an error. To assign it, run $script --infra-only."
    return
  fi
  if app_settings; then
    while IFS=$'\t' read -r name value; do
      case $name in
        AzureFunctionsJobHost__logging__logLevel__*)
          reason="The app setting $name=$value overrides the log level of host.json; delete it."
          return
          ;;
        AzureFunctionsJobHost__logging__applicationInsights__sampling*)
          reason="The app setting $name=$value overrides the sampling of host.json; delete it."
          return
          ;;
      esac
    done <<<"$answer"
  else
    add_unread "the app's settings"
  fi
  if azure_retry monitor log-analytics workspace show --resource-group "$conf_RG" --workspace-name "$workspace" \
    --query workspaceCapping.dataIngestionStatus -o tsv; then
    case $answer in
      OverQuota | ForceOff | SubscriptionSuspended)
        reason="The workspace $workspace accepts no more data today ($answer): raise DAILY_CAP_GB in $env_file, or wait until tomorrow."
        return
        ;;
    esac
  else
    add_unread "the workspace's daily cap"
  fi
  if [ -n "$unread" ]; then
    reason="The following could not be read and may be the cause: $unread. Everything else is correct."
    return
  fi
  reason='Role, log level, sampling and daily cap are correct. A new role assignment can take half an hour to take effect.'
}
