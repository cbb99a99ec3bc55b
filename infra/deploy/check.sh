# shellcheck shell=bash
# Verification of a deployment: at its end, and as `--check`.

# read_rules: reads the deployed rules into a file.
read_rules() {
  azure_retry rest --method get \
    --url "$group_id/providers/Microsoft.Insights/scheduledQueryRules?api-version=2026-03-01" \
    --query value -o json || die_with_failure 'Reading the alert rules failed'
  printf '%s' "$answer" >"$work/rules.json"
}

# compare_rules: prints the differences between the deployed and the expected rules, one per line.
compare_rules() {
  PREFIX=$conf_PREFIX ACTION_GROUP=$action_group EVALUATION_MINUTES=$conf_EVALUATION_MINUTES \
    SILENCE_MINUTES=$conf_SILENCE_MINUTES RULE_NAMES=$rule_names \
    helper rules "$here/main.snapshot.json" "$devices" <"$work/rules.json" ||
    printf 'The rules could not be parsed.\n'
}

# verify_rules: ends the script when a rule differs from the snapshot.
verify_rules() {
  local wrong what remedy
  [ -n "$rule_names" ] || die 'The outputs of the deployment contain no alert rule.'
  read_rules
  wrong=$(compare_rules)
  [ -z "$wrong" ] || {
    next="$script_with_options --infra-only; if that does not correct it, another user or program changes these rules"
    die "The deployed rules differ from the templates: $(printf '%s' "$wrong" | tr '\n' ';')"
  }
  say "Rules verified: $rule_names"
  while IFS=$'\t' read -r what remedy; do
    warn "$what. $remedy"
  done < <(obsolete_resources)
}

# is_prefix TEXT: whether this is the prefix of the settings; Azure's names are case-insensitive.
is_prefix() {
  [ "$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]')" = "$(printf '%s' "$conf_PREFIX" | tr '[:upper:]' '[:lower:]')" ]
}

# active_rules: prints the names of the enabled rules about devices. Call `read_rules` first.
active_rules() {
  helper rules --list "$conf_PREFIX" <"$work/rules.json" |
    awk -F '\t' -v prefix="$conf_PREFIX" 'tolower($2) == tolower(prefix) && $3 == "true" && $1 !~ /-daily-cap$/ { print $1 }' |
    tr '\n' ' ' | sed 's/ $//'
}

# obsolete_resources: prints the resources of earlier deployments that the settings no longer contain, each with a tab
# and the command that deletes it: a deployment deletes nothing. Call `read_rules` first.
obsolete_resources() {
  local name prefix enabled id
  while IFS=$'\t' read -r name prefix enabled id; do
    case " $rule_names " in *" $name "*) continue ;; esac
    case $name in *-daily-cap) [ "$conf_DAILY_CAP_GB" = -1 ] || continue ;; esac
    if is_prefix "$prefix"; then
      printf 'The rule %s is left from an earlier deployment with more devices or other settings; it costs money and still sends mails about its devices\t' "$name"
    else
      printf 'The rule %s belongs to a deployment with PREFIX=%s; if that deployment is no longer needed, delete it, because it still sends mails\t' "$name" "$prefix"
    fi
    printf 'az resource delete --ids %s\n' "$id"
  done < <(helper rules --list "$conf_PREFIX" <"$work/rules.json")
  [ "${conf_BUDGET_AMOUNT:-0}" = 0 ] || return 0
  id=$group_id/providers/Microsoft.Consumption/budgets/$conf_PREFIX-budget
  # A user who may not read budgets has created none.
  azure rest --method get --url "$id?api-version=2023-05-01" --query name -o tsv || return 0
  printf 'The budget %s-budget is left from an earlier deployment; it still sends mails\taz rest --method delete --url "%s?api-version=2023-05-01"\n' "$conf_PREFIX" "$id"
}

# disable_rules: disables the rules of an earlier run, because of RULES_ENABLED=false.
disable_rules() {
  local name prefix enabled id disabled=''
  read_rules
  while IFS=$'\t' read -r name prefix enabled id <&3; do
    [ "$enabled" = true ] || continue
    is_prefix "$prefix" || continue
    case $name in *-daily-cap) continue ;; esac
    azure_retry rest --method patch --url "$id?api-version=2026-03-01" --body '{"properties":{"enabled":false}}' -o none ||
      die_with_failure "Disabling the rule $name failed"
    disabled="$disabled $name"
  done 3< <(helper rules --list "$conf_PREFIX" <"$work/rules.json")
  [ -z "$disabled" ] || { step 'Alert rules'; say "Disabled:$disabled"; }
}

# alarm_state: prints whether a rule about silence is active, and if not, the command that activates it.
alarm_state() {
  local active
  if [ "$conf_RULES_ENABLED" = false ]; then
    printf '%s' "The alert rules are disabled (RULES_ENABLED=false): no mail is sent when a device is silent. To enable them, set RULES_ENABLED=true, then run $script --infra-only."
    return
  fi
  azure_retry rest --method get --url "$group_id/providers/Microsoft.Insights/scheduledQueryRules?api-version=2026-03-01" \
    --query value -o json || { printf '%s' "Whether the alert rules are active could not be read. Run $script --check."; return; }
  printf '%s' "$answer" >"$work/rules.json"
  active=$(active_rules)
  case " $active " in
    *"-device-silent "*) printf 'The alert rules are active.' ;;
    *) printf '%s' "No alert rule about silence is active: no mail is sent when a device is silent. To deploy the rules, run $script." ;;
  esac
}

# row RESULT TEXT [ACTION]: prints and counts one result of the check.
row() {
  printf '%-4s  %s\n' "$1" "$2"
  case $1 in
    FAIL) failed=$((failed + 1)) ;;
    WARN) warned=$((warned + 1)) ;;
  esac
  [ -z "${3:-}" ] || printf '      -> %s\n' "$3"
}

# check: prints a row for each subject, and returns 1 when one failed.
check() {
  failed=0
  warned=0
  printf '\n'
  check_rules
  check_rule_health
  check_settings_of_app
  check_action_group
  check_devices
  check_machines
  check_raw_row
  printf '\nSUMMARY: %s failed, %s warnings\n' "$failed" "$warned"
  [ "$failed" = 0 ]
}

check_rules() {
  local wrong line active what remedy
  read_rules
  active=$(active_rules)
  if [ "$conf_RULES_ENABLED" = false ]; then
    if [ -z "$active" ]; then
      row FAIL 'No alert rule is active, because RULES_ENABLED=false' "set RULES_ENABLED=true in $env_file, then $script --infra-only"
    else
      row WARN "RULES_ENABLED=false, but these rules are active: $active" "to disable them, run $script --infra-only"
    fi
    return
  fi
  if [ -z "$rule_names" ]; then
    row FAIL 'No alert rule was deployed' "$script"
    return
  fi
  wrong=$(compare_rules)
  if [ -z "$wrong" ]; then
    row PASS "Rules: as in the templates ($rule_names)"
  else
    while IFS= read -r line; do row FAIL "Rule $line" "$script --infra-only"; done <<<"$wrong"
  fi
  while IFS=$'\t' read -r what remedy; do
    case $what in *PREFIX=*) row WARN "$what" "$remedy" ;; *) row FAIL "$what" "$remedy" ;; esac
  done < <(obsolete_resources)
}

check_rule_health() {
  local name state known=' '
  if ! azure_retry rest --method get \
    --url "$group_id/providers/Microsoft.ResourceHealth/availabilityStatuses?api-version=2022-10-01" \
    --query "value[?contains(id, 'scheduledQueryRules') || contains(id, 'scheduledqueryrules')].[id, properties.availabilityState]" -o tsv; then
    row WARN 'Rule health: cannot be read'
    return
  fi
  if [ -z "$answer" ]; then
    row WARN 'Rule health: not known yet; Azure reports it some time after the first evaluation'
    return
  fi
  while IFS=$'\t' read -r name state; do
    name=$(printf '%s' "$name" | sed -e 's|.*/scheduled[qQ]uery[rR]ules/||' -e 's|/.*||')
    known="$known$name "
    case $state in
      Available) row PASS "Rule health: $name is available" ;;
      Unknown) row WARN "Rule health: $name is unknown" ;;
      *) row FAIL "Rule health: $name is $state" "Portal, Monitor, Alerts, Alert rules, $name, Resource health" ;;
    esac
  done <<<"$answer"
  # Azure returns some ids in lower case.
  known=$(printf '%s' "$known" | tr '[:upper:]' '[:lower:]')
  for name in $rule_names; do
    case $known in
      *" $(printf '%s' "$name" | tr '[:upper:]' '[:lower:]') "*) ;;
      *) row WARN "Rule health: $name is not known yet" ;;
    esac
  done
}

check_settings_of_app() {
  local name value found=no
  if ! app_settings; then
    row WARN "App settings: cannot be read: $failure"
    return
  fi
  while IFS=$'\t' read -r name value; do
    case $name in
      AzureFunctionsJobHost__*)
        found=yes
        row WARN "App setting $name=$value overrides host.json" \
          "az functionapp config appsettings delete -g $conf_RG -n $app --setting-names $name"
        ;;
      AzureWebJobsStorage)
        found=yes
        row FAIL 'App setting AzureWebJobsStorage: a connection string overrides the identity' \
          "az functionapp config appsettings delete -g $conf_RG -n $app --setting-names $name"
        ;;
    esac
  done <<<"$answer"
  [ "$found" = yes ] || row PASS 'App settings: nothing overrides host.json or the identity'
}

check_action_group() {
  local enabled addresses address
  if ! azure_retry monitor action-group show --resource-group "$conf_RG" --name "$action_group" \
    --query "[to_string(enabled), join(',', emailReceivers[].emailAddress)]" -o tsv; then
    row FAIL "Action group $action_group: cannot be read: $failure" "$script --infra-only"
    return
  fi
  { IFS= read -r enabled; IFS= read -r addresses; } <<<"$answer"
  [ "$enabled" = true ] || row FAIL "Action group $action_group is disabled" "$script --infra-only"
  while IFS= read -r address; do
    trim "$address"
    case ",$addresses," in
      *",$trimmed,"*) row PASS "Action group: sends mails to $trimmed (only the portal shows whether the address is verified)" ;;
      *) row FAIL "Action group: sends no mails to $trimmed" "$script --infra-only" ;;
    esac
  done < <(printf '%s\n' "$conf_ALERT_EMAIL" | tr ',' '\n')
}

check_devices() {
  local device seen
  query last-seen
  case $? in
    0 | 2) ;;
    *)
      set_remedy "$failure"
      row FAIL "Heartbeats: cannot be queried: $failure" "$next"
      return
      ;;
  esac
  printf '%s\n' "$answer" >"$work/seen.tsv"
  while IFS=$'\t' read -r device seen; do
    case $seen in
      never) row WARN "Device \"$device\": never seen" "run $script --code-only --agent-config agent.toml, and start the agent with that file" ;;
      *) row PASS "Device \"$device\": last heartbeat $seen" ;;
    esac
  done < <(helper device-activity --report "$devices" "$work/seen.tsv")
}

check_machines() {
  local device
  query two-machines-one-name || { row WARN "Two machines with one name: cannot be queried: $failure"; return; }
  if [ -z "$answer" ]; then
    row PASS 'Two machines with one name: none in the last day'
    return
  fi
  while IFS=$'\t' read -r device _; do
    row FAIL "Two machines send heartbeats as \"$device\": if one fails, no mail comes" 'give each machine its own name'
  done <<<"$answer"
}

# check_raw_row: whether the queries can parse the rows. They search each row for the beginning of the JSON.
check_raw_row() {
  local begin start
  query raw-row || { row WARN "Raw row: cannot be queried: $failure"; return; }
  IFS=$'\t' read -r begin start <<<"$answer"
  case $begin in
    '') row WARN 'Raw row: no heartbeat in the last day' ;;
    0) row PASS "Raw row begins with $start" ;;
    -*) row FAIL "Raw row begins with $start" 'the function does not write such rows, and the queries of the rules cannot parse them' ;;
    *) row PASS "Raw row begins with $start: Azure adds text before the JSON, which all queries skip" ;;
  esac
}
