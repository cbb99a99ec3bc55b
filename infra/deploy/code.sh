# shellcheck shell=bash
# The upload of the code. Flex Consumption has two ways.

# upload_code: uploads the package. The outcome that az reports is not reliable, so when it is uncertain, the test
# heartbeats decide.
upload_code() {
  local attempt refusals=0 more=''
  left="The resource group $conf_RG with its resources; the code may be missing or that of an earlier run."
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    say "Uploading the code${more:+ ($more)}"
    azure_limited 420 'uploading' functionapp deployment source config-zip --resource-group "$conf_RG" --name "$app" \
      --src "$package" --build-remote false --timeout 300 -o none
    case $?:$failure in
      0:*) return ;;
      124:*)
        say 'The upload took too long to answer. The test heartbeat shows whether the code arrived.'
        return
        ;;
      *unhealthy* | *'fetch host key'* | *'host status'* | *'Timeout reached'*)
        say 'az could not determine whether the code runs. The test heartbeat shows it.'
        return
        ;;
      *)
        if has_status 50[234] || is_passing "$failure"; then
          refusals=$((refusals + 1))
          more='its service does not answer'
          if [ "$refusals" -ge 3 ]; then
            upload_by_arm
            return
          fi
        elif has_status 403 || has_status 409 || is_awaited; then
          more='roles may need some minutes, or another upload is running'
        else
          die_of 'The upload of the code failed'
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

# is_awaited: whether the last failure of an upload is transient.
is_awaited() {
  case $failure in
    *Forbidden* | *'artially successful'* | *Conflict* | *'nother deployment'*) return 0 ;;
  esac
  return 1
}

# upload_by_arm: uploads the package to the storage account, from which Resource Manager deploys it: the second way.
upload_by_arm() {
  local uri
  say "The upload service refuses (${failure:0:120}). Trying the other way, by Resource Manager."
  azure storage blob upload --auth-mode login --account-name "$storage_account" --container-name "$container" \
    --name ispmon-function.zip --file "$package" --overwrite --no-progress -o none || {
    next="give yourself the role \"Storage Blob Data Contributor\" on the storage account $storage_account, wait some minutes, then $base --code-only"
    die "The package cannot be put into the storage: $failure"
  }
  azure_secret storage blob generate-sas --as-user --auth-mode login --account-name "$storage_account" \
    --container-name "$container" --name ispmon-function.zip --permissions r --expiry "$(tomorrow)" \
    --full-uri -o tsv || die_of 'Creating the URL of the package failed'
  # The URL contains a signature that grants access: pass the body through a pipe, not as a file or an argument.
  uri=$answer
  printf '{"properties":{"packageUri":"%s","remoteBuild":false}}' "$uri" |
    az rest --method put --url "$group_id/providers/Microsoft.Web/sites/$app/extensions/onedeploy?api-version=2024-11-01" \
      --body @- -o none "${flags[@]}" 2>"$work/failure" || {
    failure=$(cut_failure)
    next="wait an hour, then $base --code-only; or another LOCATION"
    die "Both ways of uploading the code failed: $failure"
  }
  say 'Resource Manager has deployed the code.'
}

# tomorrow: prints the time in 24 hours in the format of the storage service; `date` differs between Linux and macOS.
tomorrow() {
  python3 -I -c 'import datetime as d; print((d.datetime.now(d.timezone.utc) + d.timedelta(days=1)).strftime("%Y-%m-%dT%H:%MZ"))'
}
