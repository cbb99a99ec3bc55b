# shellcheck shell=bash
# Deletes everything that was deployed.

destroy() {
  local reply kept
  if [ "$group_exists" = false ]; then
    say "The resource group $conf_RG does not exist: there is nothing to delete."
    return
  fi
  if [ -n "$group_tag" ] && [ "$group_tag" != "$conf_PREFIX" ]; then
    object "The resource group $conf_RG was created with PREFIX=$group_tag, and PREFIX is $conf_PREFIX." \
      "set PREFIX=$group_tag in $env_file, or add --force"
  elif [ -z "$group_tag" ]; then
    object "The resource group $conf_RG was not created by this script, so it may contain other resources." \
      "delete it yourself, or add --force"
  fi
  azure_reads resource list --resource-group "$conf_RG" --query '[].[type, name]' -o tsv ||
    die_of "Listing the resources in $conf_RG failed"
  say "These resources of $conf_RG will be deleted, with all heartbeats:"
  kept=$answer
  printf '%s\n' "$kept" | sed 's/^/     /'
  if [ "$assume_yes" = no ]; then
    [ -t 0 ] || { next="$again --yes"; die 'There is no terminal to confirm the deletion.'; }
    printf '   Type the name of the resource group to delete it: '
    IFS= read -r reply || reply=''
    [ "$reply" = "$conf_RG" ] || die 'That is not its name; nothing was deleted.'
  fi
  left="A part of the resource group $conf_RG."
  azure_limited 1800 'deleting (some minutes)' group delete --name "$conf_RG" --yes || die_of "Deleting $conf_RG failed"
  left='Nothing.'
  say "Deleted. The workspace can be restored for 14 days: deploying again with the same names brings its rows back."
}
