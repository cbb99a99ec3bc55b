# shellcheck shell=bash
# Why something does not work: what can be read about it, worded as what to do.

# The two roles that the app needs, by the ids that they have everywhere.
readonly BLOB_OWNER=b7e6dc6d-f1e8-4753-8033-0f276bb0955b
readonly METRICS_PUBLISHER=3913510d-42f4-4e42-8a64-420c390055eb

# not_read WHAT: notes in `unread` what could not be read, and why: it is not known to be as it should be.
not_read() { unread="${unread:+$unread; }$1 (${failure:0:200})"; }

# lacks_role SCOPE ROLE: whether the app's identity lacks a role there; no, but noted, when that cannot be read.
# (`az role assignment list` wants a right in the directory besides.)
lacks_role() {
  azure_reads rest --method get --url "$1/providers/Microsoft.Authorization/roleAssignments" \
    --url-parameters api-version=2022-04-01 "\$filter=principalId eq '$principal'" \
    --query 'value[].properties.roleDefinitionId' -o tsv || {
    not_read "the app's roles"
    return 1
  }
  ! printf '%s\n' "$answer" | grep -q "/$2\$"
}

# app_settings: names and values of the app's settings that decide about logs and storage; sets `answer`.
# Values of others are never read.
app_settings() {
  azure_reads functionapp config appsettings list --resource-group "$conf_RG" --name "$app" \
    --query "[?starts_with(name, 'AzureFunctionsJobHost__') || name=='AzureWebJobsStorage'].[name, name!='AzureWebJobsStorage' && value || 'set']" -o tsv
}

# diagnose_storage: warns of what keeps the app from its storage.
diagnose_storage() {
  local scope=$group_id/providers/Microsoft.Storage/storageAccounts/$storage_account saved=$failure unread=''
  if lacks_role "$scope" "$BLOB_OWNER"; then
    warn "The app's identity lacks the role \"Storage Blob Data Owner\" on $storage_account."
  fi
  if ! app_settings; then
    not_read "the app's settings"
  elif printf '%s\n' "$answer" | grep -q '^AzureWebJobsStorage'; then
    warn "The app has a setting AzureWebJobsStorage, which beats its identity: az functionapp config appsettings delete -g $conf_RG -n $app --setting-names AzureWebJobsStorage"
  fi
  [ -z "$unread" ] || warn "Not to be read, and so perhaps the reason: $unread."
  failure=$saved
}

# diagnose_ingestion: why a line that was written does not arrive; sets `reason`.
diagnose_ingestion() {
  local name value unread=''
  reason=''
  if lacks_role "$group_id/providers/Microsoft.Insights/components/$component" "$METRICS_PUBLISHER"; then
    reason="The app's identity lacks the role \"Monitoring Metrics Publisher\" on $component, without which all telemetry is refused silently; $me --infra-only assigns it."
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
    not_read "the app's settings"
  fi
  if azure_reads monitor log-analytics workspace show --resource-group "$conf_RG" --workspace-name "$workspace" \
    --query workspaceCapping.dataIngestionStatus -o tsv; then
    case $answer in
      OverQuota | ForceOff | SubscriptionSuspended)
        reason="The workspace $workspace takes nothing any more today ($answer): raise DAILY_CAP_GB in $env_file, or wait until tomorrow."
        return
        ;;
    esac
  else
    not_read "the workspace's daily cap"
  fi
  if [ -n "$unread" ]; then
    reason="Not to be read, and so perhaps the reason: $unread. What could be read is as it should be."
    return
  fi
  reason='Role, log level, sampling and daily cap are as they should be. A role that was assigned just now can need half an hour to reach everything.'
}
