# shellcheck shell=bash
# The configuration of the agents.

# write_agent_configs: a configuration and a key file for each device, readable by their owner only.
# One device: FILE and FILE's name with .key. Several: the device's key name is put before the ending.
write_agent_configs() {
  local device key stem=${agent_config%.toml} file
  while IFS=$'\t' read -r device key <&3; do
    file=$agent_config
    [ "$device_count" = 1 ] || file=$stem-$key.toml
    read_key "$key"
    printf '%s' "$answer" | helper agent-config "$file" "$device" "$url" 2>"$work/failure" ||
      die "The configuration $file cannot be written: $(cut_failure)"
    answer=''
    say "Agent of \"$device\": $file, its key in ${file%.toml}.key"
  done 3<"$devices"
}

# show_next_step: what to type for the agent.
show_next_step() {
  local first
  first=$(head -n 1 "$devices" | cut -f 1)
  printf '\n'
  say "Heartbeats go to  $url"
  if [ -n "$agent_config" ] && [ "$device_count" = 1 ]; then
    say 'Start the agent:'
    printf '\n     ispmon-agent run --config %q\n\n' "$agent_config"
    say 'On another machine: copy both files there, and set heartbeat.key_file to where the key is.'
  elif [ -n "$agent_config" ]; then
    say "Copy each device's two files to it, set heartbeat.key_file to where the key is, and start the agent there:"
    printf '\n     ispmon-agent run --config FILE\n\n'
  else
    say "Get the configuration of the agent of \"$first\"$([ "$device_count" = 1 ] || printf ' and the others'):"
    printf '\n     %s --code-only --agent-config agent.toml\n\n' "$me"
  fi
}
