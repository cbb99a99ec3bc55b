# shellcheck shell=bash
# The last step: a test mail, which proves that the receivers get mails.

# explain_passcode: prints how the owner of each address confirms it once.
explain_passcode() {
  printf '\n'
  say 'Azure sends each address a mail with a one-time passcode ("verify your email") the first time it is used.'
  say 'It must be confirmed within 30 minutes, else that address gets no alert and no test mail. Passcode expired?'
  say "Portal, Monitor, Alerts, Action groups, $action_group: Resend. Look into the spam folder too; senders are"
  say 'azure-noreply@microsoft.com, azureemail-noreply@microsoft.com and alerts-noreply@mail.windowsazure.com.'
  [ "$conf_ALERT_OWNERS" = false ] ||
    say "Until then the subscription's owners are mailed, who need no passcode (ALERT_OWNERS=false turns that off)."
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
  azure_limited 300 'sending' monitor action-group test-notifications create --resource-group "$conf_RG" \
    --action-group "$action_group" --alert-type logalertv2 "${actions[@]}" -o none
}

# prove_mail: explains the passcode, sends the test mail, asks whether it arrived; sets `mail_proof`.
prove_mail() {
  local reply
  explain_passcode
  if can_ask; then
    printf '   Press Enter when the passcode is confirmed (at once, if it was confirmed earlier). '
    IFS= read -r reply || printf '\n'
  fi
  if ! test_mail; then
    warn "Azure did not send the test mail: ${failure:-no answer within 5 minutes}"
    say "Some kinds of subscription refuse it, and it allows two tests in 5 minutes. Try the portal: Monitor, Alerts,"
    say "Action groups, $action_group, Test. Or stop a device for ten minutes, which is the better test."
    mail_proof='not sent'
    return
  fi
  if ! can_ask; then
    say 'The test mail is on its way. See whether it arrived; if not:'
    no_mail_help
    mail_proof='sent'
    return
  fi
  if ask "Did the test mail arrive at $conf_ALERT_EMAIL? (It can take a minute or two.)"; then
    mail_proof='arrived'
  else
    mail_proof='did not arrive'
    no_mail_help
    show_next_step
    next="once the passcode is confirmed: Portal, Monitor, Alerts, Action groups, $action_group, Test. After a change of ALERT_EMAIL: $base --infra-only"
    die "$(alarm) But the test mail did not arrive, so $(who_is_mailed)."
  fi
}

# who_is_mailed: prints who gets the alarm's mails until an address is verified.
who_is_mailed() {
  if [ "$conf_ALERT_OWNERS" = false ]; then
    printf 'its mails may not reach anyone yet'
  else
    printf "until it does, perhaps only the subscription's owners are mailed"
  fi
}

no_mail_help() {
  say "1. Spam folder: look for the senders above, and put them on the list of safe senders."
  say "2. Portal, Monitor, Alerts, Action groups, $action_group: is the address verified? If not: Resend, and confirm."
  say '3. Try an address of another provider as second entry of ALERT_EMAIL, separated by a comma.'
  say '4. Set ALERT_WEBHOOK (https, common alert schema), which needs no mail at all.'
}
