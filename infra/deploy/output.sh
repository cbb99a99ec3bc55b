# shellcheck shell=bash
# Output for the user: steps, notes, questions, and `die`, which ends the script after a failure.

# What exists in Azure, and the next command for the user; `die` prints both.
azure_state='Nothing was created or changed.'
next=''

# step TEXT: prints the heading of a step.
step() { printf '\n== %s\n' "$*"; }

# say TEXT: prints a line about the current step.
say() { printf '   %s\n' "$*"; }

# warn TEXT: prints a warning that needs action by the user, now or later.
warn() { printf '   WARNING: %s\n' "$*" >&2; }

# die TEXT [STATUS]: ends the script; prints what failed, what exists in Azure, and the next command.
die() {
  printf '\ndeploy.sh: %s\n' "$1" >&2
  printf '  In Azure: %s\n' "$azure_state" >&2
  printf '  Next: %s\n' "${next:-correct this, then run: $rerun}" >&2
  exit "${2:-1}"
}

# without_stack_trace: filters Python stack traces out of a program's output and keeps their last line, the error.
without_stack_trace() { awk '/^Traceback/ { stack = 1; next } stack && /^ / { next } { stack = 0; print }'; }

# can_ask: whether the user can answer a question.
can_ask() { [ "$assume_yes" = no ] && [ -t 0 ]; }

# ask QUESTION: repeats the question until the answer is yes or no; returns 1 for no and at the end of the input.
ask() {
  local reply
  while :; do
    printf '   %s [y/n] ' "$1"
    IFS= read -r reply || { printf '\n'; return 1; }
    case $reply in
      y | Y | yes | Yes | YES) return 0 ;;
      n | N | no | No | NO) return 1 ;;
    esac
  done
}

# progress TEXT: rewrites the last line of a terminal; prints nothing when stdout is no terminal.
progress() {
  [ -t 1 ] && printf '\r   %-70s' "$1"
  return 0
}

# end_progress: clears what `progress` wrote.
end_progress() {
  [ -t 1 ] && printf '\r%-74s\r' ''
  return 0
}

# with_timeout SECONDS TEXT COMMAND…: runs a command with a time limit and a progress line.
with_timeout() {
  local limit=$1 text=$2
  shift 2
  "$@" &
  wait_for_child "$limit" "$text"
}

# wait_for_child SECONDS TEXT: waits for the newest child with a progress line; stops it after SECONDS and returns 124.
# macOS has no `timeout`.
wait_for_child() {
  local limit=$1 text=$2 waited=0 status
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    if [ "$waited" -ge "$limit" ]; then
      kill "$child" 2>/dev/null
      wait "$child" 2>/dev/null
      child=''
      end_progress
      return 124
    fi
    progress "$text (${waited} s)"
    sleep 1
    waited=$((waited + 1))
  done
  wait "$child"
  status=$?
  child=''
  end_progress
  return "$status"
}
