# shellcheck shell=bash
# What the user reads: steps, notes, questions, and the one way in which the script ends early.

# What exists in Azure at this moment, and what to type next; `die` prints both.
left='Nothing was created or changed.'
next=''

# step TEXT: announces a step.
step() { printf '\n== %s\n' "$*"; }

# say TEXT: one line about the current step.
say() { printf '   %s\n' "$*"; }

# warn TEXT: something that the user should act on, now or later.
warn() { printf '   WARNING: %s\n' "$*" >&2; }

# die TEXT [STATUS]: ends the script: what happened, what was left behind, what to type next.
die() {
  printf '\ndeploy.sh: %s\n' "$1" >&2
  printf '  Left behind: %s\n' "$left" >&2
  printf '  Next: %s\n' "${next:-mend this, then run it again: $again}" >&2
  exit "${2:-1}"
}

# without_stack: what a program says, without the stack of a crash: only its last line is for the user.
without_stack() { awk '/^Traceback/ { stack = 1; next } stack && /^ / { next } { stack = 0; print }'; }

# can_ask: whether somebody can answer a question.
can_ask() { [ "$assume_yes" = no ] && [ -t 0 ]; }

# ask QUESTION: asks until the answer is yes or no; fails for no, and for the end of the input.
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

# progress TEXT: rewrites the last line of a terminal; elsewhere it prints nothing.
progress() {
  [ -t 1 ] && printf '\r   %-70s' "$1"
  return 0
}

# end_progress: clears what `progress` wrote.
end_progress() {
  [ -t 1 ] && printf '\r%-74s\r' ''
  return 0
}

# limited SECONDS TEXT COMMAND…: runs a command in the background and watches it.
limited() {
  local limit=$1 text=$2
  shift 2
  "$@" &
  watch_child "$limit" "$text"
}

# watch_child SECONDS TEXT: waits for the newest child with a progress line, stops it after SECONDS and then
# returns 124. macOS has no `timeout`.
watch_child() {
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
