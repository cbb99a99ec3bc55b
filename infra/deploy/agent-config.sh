# shellcheck shell=bash
# The configuration of the agents.

# write_agent_configs: writes a configuration and a key file for each device, if --agent-config was given.
write_agent_configs() {
  local line
  [ -n "$agent_config" ] || return 0
  step 'Configuration of the agent'
  read_keys
  printf '%s' "$answer" | helper agent-config "$agent_config" "$devices" "$url" >"$work/written" 2>"$work/failure" ||
    die "Writing the agent's configuration to $agent_config failed: $(failure_text)"
  answer=''
  while IFS= read -r line; do say "$line"; done <"$work/written"
}

# show_next_step: prints the commands that configure and start the agent.
show_next_step() {
  local first
  first=$(head -n 1 "$devices" | cut -f 1)
  printf '\n'
  say "URL for heartbeats: $url"
  if [ -n "$agent_config" ] && [ "$device_count" = 1 ]; then
    say 'Start the agent:'
    printf '\n     ispmon-agent run --config %q\n\n' "$agent_config"
    say 'To run the agent on another machine, copy both files to it and set heartbeat.key_file to the path of the key.'
    show_service_steps "$(printf '%q' "$agent_config")" "$(printf '%q' "${agent_config%.toml}.key")"
  elif [ -n "$agent_config" ]; then
    say "Copy its two files to each device, set heartbeat.key_file to the path of the key, and start the agent there:"
    printf '\n     ispmon-agent run --config FILE.toml\n\n'
    show_service_steps FILE.toml FILE.key
  else
    say "To write the configuration of the agent of \"$first\"$([ "$device_count" = 1 ] || printf ' and of the others'), run:"
    printf '\n     %s --code-only --agent-config agent.toml\n\n' "$script"
  fi
}

# show_service_steps FILE KEY: prints the commands that install a configuration and its key for the service on Linux.
# The service runs as its own user, which must be able to read the configuration. systemd passes the key to it, so
# the configuration has no key_file.
show_service_steps() {
  say 'For the service on Linux (from a package or "ispmon-agent install"), run this where both files are:'
  printf '\n     sudo install -m 644 %s /etc/ispmon/agent.toml\n' "$1"
  printf "     sudo sed -i '/^ *key_file *=/d' /etc/ispmon/agent.toml\n"
  printf '     sudo install -m 600 %s /etc/ispmon/heartbeat.key\n' "$2"
  printf '     sudo systemctl restart ispmon-agent\n\n'
}
