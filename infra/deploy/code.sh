# shellcheck shell=bash
# Deploys the code: through the upload service of Flex Consumption, or through Resource Manager.

# upload_code: uploads the package. The outcome that az reports is not reliable, so when it is uncertain, the test
# heartbeats decide.
upload_code() {
  local attempt refusals=0 reason=''
  azure_state="The resource group $conf_RG with its resources; the code may be missing or outdated."
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    say "Uploading the code${reason:+ ($reason)}"
    azure_with_timeout 420 'uploading' functionapp deployment source config-zip --resource-group "$conf_RG" --name "$app" \
      --src "$package" --build-remote false --timeout 300 -o none
    case $?:$failure in
      0:*) return ;;
      124:*)
        say 'The upload did not finish within 7 minutes. The test heartbeat will show whether the code was deployed.'
        return
        ;;
      *unhealthy* | *'fetch host key'* | *'host status'* | *'Timeout reached'*)
        say 'az could not determine whether the code runs. The test heartbeat will show it.'
        return
        ;;
      *)
        if has_status 50[234] || is_transient "$failure"; then
          refusals=$((refusals + 1))
          reason='the upload service does not answer'
          if [ "$refusals" -ge 3 ]; then
            upload_by_arm
            return
          fi
        elif has_status 403 || has_status 409 || is_transient_upload_failure; then
          reason='the roles may not have taken effect yet, or another upload is running'
        else
          die_with_failure 'The upload of the code failed'
        fi
        ;;
    esac
    sleep 30
  done
  upload_by_arm
}

# has_status PATTERN: whether the last failure contains this HTTP status, not only as a part of a longer number.
has_status() {
  local pattern="(^|[^0-9A-Fa-f-])$1([^0-9A-Fa-f-]|\$)"
  [[ $failure =~ $pattern ]]
}

# is_transient_upload_failure: whether the last failure of an upload is transient.
is_transient_upload_failure() {
  case $failure in
    *Forbidden* | *'artially successful'* | *Conflict* | *'nother deployment'*) return 0 ;;
  esac
  return 1
}

# upload_by_arm: uploads the package to the storage account, from which Resource Manager deploys it.
upload_by_arm() {
  local uri
  say "The upload service refused the package (${failure:0:120}). Deploying it through Resource Manager instead."
  azure storage blob upload --auth-mode login --account-name "$storage_account" --container-name "$container" \
    --name ispmon-function.zip --file "$package" --overwrite --no-progress -o none || {
    next="assign yourself the role \"Storage Blob Data Contributor\" on the storage account $storage_account, wait a few minutes, then $script_with_options --code-only"
    die "Uploading the package to the storage account $storage_account failed: $failure"
  }
  azure_secret storage blob generate-sas --as-user --auth-mode login --account-name "$storage_account" \
    --container-name "$container" --name ispmon-function.zip --permissions r --expiry "$(tomorrow)" \
    --full-uri -o tsv || die_with_failure 'Creating the URL of the package failed'
  # The URL contains a signature that grants access: pass the body through a pipe, not as a file or an argument.
  uri=$answer
  printf '{"properties":{"packageUri":"%s","remoteBuild":false}}' "$uri" |
    az rest --method put --url "$group_id/providers/Microsoft.Web/sites/$app/extensions/onedeploy?api-version=2024-11-01" \
      --body @- -o none "${flags[@]}" 2>"$work/failure" || {
    failure=$(failure_text)
    next="wait an hour, then $script_with_options --code-only; or set another LOCATION and another RG in $env_file"
    die "Deploying the code failed through the upload service and through Resource Manager: $failure"
  }
  say 'Resource Manager has deployed the code.'
}

# tomorrow: prints the time in 24 hours in the format of the storage service; `date` differs between Linux and macOS.
tomorrow() {
  python3 -I -c 'import datetime as d; print((d.datetime.now(d.timezone.utc) + d.timedelta(days=1)).strftime("%Y-%m-%dT%H:%MZ"))'
}
