# shellcheck shell=bash
# The resource group and the two deployments of the templates into it.

# create_group: registers the providers, and creates the resource group if it does not exist.
create_group() {
  local provider
  for provider in $unregistered; do
    say "Registering $provider"
    azure provider register --namespace "$provider" --wait || {
      is_forbidden "$failure" || die_with_failure "Registering the provider $provider failed"
      next="this needs a permission on the subscription. Ask an administrator to run: az provider register --wait --namespace $provider, then $rerun"
      die "Registering the provider $provider failed: $failure"
    }
    azure_state="The providers are registered; nothing else was created."
  done
  [ "$group_exists" = false ] || return 0
  say "Creating the resource group $conf_RG in $conf_LOCATION"
  azure group create --name "$conf_RG" --location "$conf_LOCATION" --tags "ispmon=$conf_PREFIX" -o none || {
    is_forbidden "$failure" || die_with_failure "Creating the resource group $conf_RG failed"
    next="ask an administrator to create it, and to make you its Owner: az group create -n $conf_RG -l $conf_LOCATION --tags ispmon=$conf_PREFIX, then $rerun"
    die "Creating the resource group $conf_RG failed: $failure"
  }
  azure_state="The resource group $conf_RG is created and empty."
}

# deploy_templates NAME RULES TEXT: executes one deployment; waits while another one runs. RULES is true or false.
deploy_templates() {
  local name=$1 rules=$2 text=$3 attempt status
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12; do
    (
      export_settings "$rules"
      exec az deployment group create --resource-group "$conf_RG" --name "$name" --parameters "$here/main.bicepparam" \
        --query properties.outputs -o json "${flags[@]}" >"$work/answer" 2>"$work/failure" </dev/null
    ) &
    wait_for_child 3600 "$text"
    status=$?
    read_answer
    [ "$status" != 0 ] || return 0
    case $failure in
      *DeploymentActive* | *'AnotherOperationInProgress'* | *'another operation'*)
        say 'Another deployment is still running, possibly from an earlier run. Waiting for it.'
        sleep 60
        ;;
      *)
        # Retry a transient fault; also a new identity that has not reached all of Azure yet.
        case $failure in *PrincipalNotFound*) ;; *) is_transient "$failure" || return 1 ;; esac
        [ "$attempt" -lt 4 ] || return 1
        sleep 20
        ;;
    esac
  done
  return 1
}

# deploy_resources: deploys everything but the rules; sets the variables of `parse_outputs`.
deploy_resources() {
  say 'Deploying the resources and roles (about 3 minutes)'
  azure_state="The resource group $conf_RG with some of its resources; this run deployed no alert rules."
  deploy_templates "$conf_PREFIX-resources" false 'deploying' || die_with_failure 'The deployment of the resources failed'
  parse_outputs
  azure_state="The resource group $conf_RG with its resources, which cost nothing while unused; alert rules exist only from earlier runs."
}

# deploy_rules: deploys everything again, with the rules; sets the variables of `parse_outputs`.
deploy_rules() {
  say 'Deploying the alert rules (about a minute)'
  deploy_templates "$conf_PREFIX-rules" true 'deploying' || {
    azure_state="The function accepts heartbeats; the alert rules are missing or outdated."
    die_with_failure 'The deployment of the alert rules failed'
  }
  parse_outputs
  azure_state="Everything is deployed."
}

# has_rules: whether an earlier run has deployed the rules.
has_rules() {
  azure_retry deployment group show --resource-group "$conf_RG" --name "$conf_PREFIX-rules" --query id -o tsv && return
  rules_were_never_deployed
}

# rules_were_never_deployed: returns 1 if the last call failed because the deployment does not exist; ends the script for
# any other failure.
rules_were_never_deployed() {
  case $failure in *NotFound* | *'could not be found'*) return 1 ;; esac
  die_with_failure 'Reading the deployment of the alert rules failed'
}

# read_outputs: reads the names of an earlier run's resources, for actions that deploy no templates.
read_outputs() {
  [ "$group_exists" = true ] || { next="run $script without this option first"; die "The resource group $conf_RG does not exist: nothing was deployed yet."; }
  azure_retry deployment group show --resource-group "$conf_RG" --name "$conf_PREFIX-resources" \
    --query properties.outputs -o json || {
    next="$script --infra-only, then $rerun"
    die "Reading the names of the resources failed: $failure"
  }
  parse_outputs
  if azure_retry deployment group show --resource-group "$conf_RG" --name "$conf_PREFIX-rules" \
    --query properties.outputs -o json; then
    parse_outputs
  else
    rules_were_never_deployed || true
  fi
}

# parse_outputs: reads the outputs of the templates from `answer`.
parse_outputs() {
  local name value
  app='' url='' storage_account='' container='' workspace='' workspace_id='' component='' action_group='' principal='' rule_names=''
  while IFS=$'\t' read -r name value; do
    case $name in
      functionAppName) app=$value ;;
      functionUrl) url=$value ;;
      storageAccountName) storage_account=$value ;;
      deploymentContainer) container=$value ;;
      workspaceName) workspace=$value ;;
      workspaceId) workspace_id=$value ;;
      componentName) component=$value ;;
      actionGroupName) action_group=$value ;;
      identityPrincipalId) principal=$value ;;
      ruleNames) rule_names=$value ;;
    esac
  done < <(printf '%s' "$answer" | python3 -I -X utf8 -c '
import json, sys
for name, output in json.load(sys.stdin).items():
    value = output["value"]
    print(name, " ".join(value) if isinstance(value, list) else value, sep="\t")' 2>/dev/null)
  [ -n "$app" ] && [ -n "$url" ] && [ -n "$workspace_id" ] ||
    die 'The outputs of the deployment do not contain the function app and the workspace.'
  case $url in
    https://* | http://127.0.0.1:*) ;;
    *) die "The URL of the function is $url, but keys are sent only over https." ;;
  esac
}
