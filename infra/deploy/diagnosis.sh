# shellcheck shell=bash
# Why something does not work: what can be read about it, worded as what to do.

# roles_of_app SCOPE: the names of the roles that the app's identity has there; sets `answer`.
roles_of_app() {
  azure_reads role assignment list --scope "$1" --include-inherited \
    --query "[?principalId=='$principal'].roleDefinitionName" -o tsv
}

# app_settings: names and values of the app's settings that decide about logs and storage; sets `answer`.
# Values of others are never read.
app_settings() {
  azure_reads functionapp config appsettings list --resource-group "$conf_RG" --name "$app" \
    --query "[?starts_with(name, 'AzureFunctionsJobHost__') || name=='AzureWebJobsStorage'].[name, name!='AzureWebJobsStorage' && value || 'set']" -o tsv
}

# diagnose_storage: warns of what keeps the app from its storage.
diagnose_storage() {
  local scope=$group_id/providers/Microsoft.Storage/storageAccounts/$storage_account saved=$failure
  if roles_of_app "$scope" && ! printf '%s\n' "$answer" | grep -qx 'Storage Blob Data Owner'; then
    warn "The app's identity lacks the role \"Storage Blob Data Owner\" on $storage_account."
  fi
  if app_settings && printf '%s\n' "$answer" | grep -q '^AzureWebJobsStorage'; then
    warn "The app has a setting AzureWebJobsStorage, which beats its identity: az functionapp config appsettings delete -g $conf_RG -n $app --setting-names AzureWebJobsStorage"
  fi
  failure=$saved
}

# diagnose_ingestion: why a line that was written does not arrive; sets `reason`.
diagnose_ingestion() {
  local name value
  reason=''
  if roles_of_app "$group_id/providers/Microsoft.Insights/components/$component" &&
    ! printf '%s\n' "$answer" | grep -qx 'Monitoring Metrics Publisher'; then
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
  fi
  if azure_reads monitor log-analytics workspace show --resource-group "$conf_RG" --workspace-name "$workspace" \
    --query workspaceCapping.dataIngestionStatus -o tsv; then
    case $answer in
      OverQuota | ForceOff | SubscriptionSuspended)
        reason="The workspace $workspace takes nothing any more today ($answer): raise DAILY_CAP_GB in $env_file, or wait until tomorrow."
        return
        ;;
    esac
  fi
  reason='Role, log level, sampling and daily cap are as they should be. A role that was assigned just now can need half an hour to reach everything.'
}
