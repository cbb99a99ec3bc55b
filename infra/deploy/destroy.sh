# shellcheck shell=bash
# Deletes everything that was deployed.

destroy() {
  local reply kept
  if [ "$group_exists" = false ]; then
    say "The resource group $conf_RG does not exist: there is nothing to delete."
    return
  fi
  if [ -n "$group_tag" ] && [ "$group_tag" != "$conf_PREFIX" ]; then
    preflight_error "The resource group $conf_RG was created with PREFIX=$group_tag, and PREFIX is $conf_PREFIX." \
      "set PREFIX=$group_tag in $env_file, or add --force"
  elif [ -z "$group_tag" ]; then
    preflight_error "The resource group $conf_RG was not created by this script, so it may contain other resources." \
      "delete it yourself, or add --force"
  fi
  azure_retry resource list --resource-group "$conf_RG" --query '[].[type, name]' -o tsv ||
    die_with_failure "Listing the resources in $conf_RG failed"
  say "These resources of $conf_RG will be deleted, with all heartbeats:"
  kept=$answer
  printf '%s\n' "$kept" | sed 's/^/     /'
  if [ "$assume_yes" = no ]; then
    [ -t 0 ] || { next="$rerun --yes"; die 'The deletion must be confirmed, but standard input is not a terminal.'; }
    printf '   Type the name of the resource group to delete it: '
    IFS= read -r reply || reply=''
    [ "$reply" = "$conf_RG" ] || die 'The name does not match; nothing was deleted.'
  fi
  azure_state="The resource group $conf_RG, partly deleted."
  azure_with_timeout 1800 'deleting (some minutes)' group delete --name "$conf_RG" --yes || die_with_failure "Deleting $conf_RG failed"
  azure_state='Nothing.'
  say "Deleted. The workspace can be restored for 14 days: deploying again with the same names restores it with its rows."
}
