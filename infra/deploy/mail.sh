# shellcheck shell=bash
# The last step: a test mail, which shows whether the receivers get mails.

# explain_passcode: prints how the owner of each address confirms it once.
explain_passcode() {
  printf '\n'
  say 'Azure sends each address a mail with a one-time passcode ("verify your email") the first time it is used.'
  say 'It must be confirmed within 30 minutes; until then the address gets no alert and no test mail. If it has expired:'
  say "Portal, Monitor, Alerts, Action groups, $action_group, Resend. Check the spam folder too; the senders are"
  say 'azure-noreply@microsoft.com, azureemail-noreply@microsoft.com and alerts-noreply@mail.windowsazure.com.'
  [ "$conf_ALERT_OWNERS" = false ] ||
    say "The subscription's owners get the alert mails too, not this test mail, and need no passcode (ALERT_OWNERS=false turns that off)."
  printf '\n'
}

# test_mail: sends a test mail to each address through the action group; fails when Azure refuses.
test_mail() {
  local address number=0
  local actions
  actions=()
  while IFS= read -r address; do
    trim "$address"
    number=$((number + 1))
    actions=("${actions[@]+"${actions[@]}"}" --add-action email "mail-$number" "$trimmed" usecommonalertschema)
  done < <(printf '%s\n' "$conf_ALERT_EMAIL" | tr ',' '\n')
  say "Sending a test mail to $conf_ALERT_EMAIL"
  azure_with_timeout 300 'sending' monitor action-group test-notifications create --resource-group "$conf_RG" \
    --action-group "$action_group" --alert-type logalertv2 "${actions[@]}" -o none
}

# verify_mail: explains the passcode, sends the test mail, asks whether it arrived; sets `mail_result`.
verify_mail() {
  local reply
  explain_passcode
  if can_ask; then
    printf '   Press Enter when the passcode is confirmed (immediately, if it was confirmed earlier). '
    IFS= read -r reply || printf '\n'
  fi
  if ! test_mail; then
    warn "Azure did not send the test mail: ${failure:-no answer within 5 minutes}"
    say "Azure refuses test mails in some kinds of subscription, and allows two in 5 minutes. Try the portal: Monitor, Alerts,"
    say "Action groups, $action_group, Test. Or disconnect a device for ten minutes, which tests everything."
    mail_result='not sent'
    return
  fi
  if ! can_ask; then
    say 'The test mail was sent. If it does not arrive:'
    no_mail_help
    mail_result='sent'
    return
  fi
  if ask "Did the test mail arrive at $conf_ALERT_EMAIL? (It can take a minute or two.)"; then
    mail_result='arrived'
  else
    mail_result='did not arrive'
    no_mail_help
    show_next_step
    next="when the passcode is confirmed, send another test: Portal, Monitor, Alerts, Action groups, $action_group, Test. After a change of ALERT_EMAIL: $script_with_options --infra-only"
    die "$(alarm_state) The test mail did not arrive: $(who_gets_mails)."
  fi
}

# who_gets_mails: prints who gets the mails of the rules until an address is verified.
who_gets_mails() {
  if [ "$conf_ALERT_OWNERS" = false ]; then
    printf 'until it does, possibly nobody gets mails'
  else
    printf "until it does, possibly only the subscription's owners get mails"
  fi
}

no_mail_help() {
  say "1. Spam folder: search for the senders above, and add them to the safe senders."
  say "2. Portal, Monitor, Alerts, Action groups, $action_group: is the address verified? If not: Resend, and confirm."
  say '3. Add an address at another mail provider to ALERT_EMAIL, separated by a comma.'
  say '4. Set ALERT_WEBHOOK (https, common alert schema), which needs no mail.'
}
