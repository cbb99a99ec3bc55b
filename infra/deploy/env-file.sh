# shellcheck shell=bash
# The .env file: read, never executed. Quotes, comments, `export` and blanks around the "=" mean what they mean to
# the agent, which reads the same file; what a shell would expand or run is refused with its line number, and so is a
# line that names one of our variables and cannot be read. All other lines are for others.

# The variables that are taken from the file; all others are left to those whom they concern.
readonly VARIABLES='SUBSCRIPTION RG LOCATION PREFIX HEARTBEAT_DEVICE HEARTBEAT_DEVICE_2 HEARTBEAT_DEVICE_3
HEARTBEAT_DEVICE_4 HEARTBEAT_DEVICE_5 HEARTBEAT_DEVICE_6 HEARTBEAT_DEVICE_7 HEARTBEAT_DEVICE_8 DEVICES_FILE
ALERT_EMAIL ALERT_WEBHOOK ALERT_OWNERS SILENCE_MINUTES EVALUATION_MINUTES REMINDER_MINUTES DAILY_REMINDER_HOUR
REPORT_MINUTES RULES_ENABLED RUNTIME_NAME RUNTIME_VERSION MAX_INSTANCES DAILY_CAP_GB BUDGET_AMOUNT BUDGET_START'

# refuse_line TEXT: ends the script because of the current line.
refuse_line() { die "$env_file, line $line_number: $1" 78; }

# read_env_file FILE: sets conf_NAME, and line_NAME to where it stands, for each variable that the file has. A later
# line replaces an earlier one. Sets `strangers` to the variables of others, a line each: number, a tab, name.
read_env_file() {
  local line name rest bom=$'\xef\xbb\xbf'
  env_file=$1
  line_number=0
  strangers=''
  for name in $VARIABLES; do
    unset "$name"
    eval "conf_$name='' line_$name=''"
  done
  refuse_other_encodings
  while IFS= read -r line || [ -n "$line" ]; do
    line_number=$((line_number + 1))
    [ "$line_number" = 1 ] && line=${line#"$bom"}
    line=${line%$'\r'}
    trim "$line"
    line=$trimmed
    case $line in
      '' | '#'*) continue ;;
      export[[:blank:]]*)
        trim "${line#export}"
        line=$trimmed
        # `export NAME` says nothing about its value.
        case $line in *[!A-Za-z0-9_[:blank:]]*) ;; *) continue ;; esac
        ;;
    esac
    trim "${line%%=*}"
    name=$trimmed
    rest=${line#*=}
    case $line in *=*) ;; *) name='' ;; esac
    case $name in
      '' | [0-9]* | *[!A-Za-z0-9_]*)
        refuse_ours "$line"
        continue
        ;;
    esac
    is_ours "$name" || {
      strangers="$strangers$line_number"$'\t'"$name"$'\n'
      continue
    }
    read_value "$rest"
    case $value in
      *[[:cntrl:]]*) refuse_line "the value of $name has a control character in it." ;;
    esac
    printf -v "conf_$name" '%s' "$value"
    printf -v "line_$name" '%s' "$line_number"
  done <"$env_file"
}

# is_ours NAME: whether a variable is one of ours.
is_ours() {
  case " $(printf '%s' "$VARIABLES" | tr '\n' ' ') " in *" $1 "*) return 0 ;; esac
  return 1
}

# refuse_ours LINE: refuses a line that assigns nothing and names one of our variables where a name would stand: before
# the first "=" or ":". One behind a "$" is a use of the variable.
refuse_ours() {
  local before=${1%%[=:]*} word
  before=$(printf '%s' "$before" | sed -e 's/\$[{]*[A-Za-z0-9_]*/ /g' -e 's/[^A-Za-z0-9_]/ /g')
  # shellcheck disable=SC2086 # Nothing but words is left of it.
  for word in $before; do
    is_ours "$word" && refuse_line "this names $word and cannot be read. Write $word=VALUE."
  done
  return 0
}

# refuse_other_encodings: ends the script when the file is not UTF-8, of which ASCII is a part.
refuse_other_encodings() {
  local number
  [ -r "$env_file" ] || {
    next="make it readable for you (ls -l $env_file shows whose it is; it may have been copied with sudo), then $again"
    die "$env_file cannot be read: you have no permission." 78
  }
  if LC_ALL=C tr -d '\000' <"$env_file" | cmp -s - "$env_file"; then :; else
    die "$env_file holds bytes of zero: it was saved as UTF-16 or is no text. Save it as UTF-8." 78
  fi
  number=$(python3 -I -S -c '
import sys
for number, line in enumerate(sys.stdin.buffer.read().split(b"\n"), 1):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        print(number)
        break' <"$env_file")
  [ -z "$number" ] || die "$env_file, line $number: this is no UTF-8 text, perhaps Windows-1252 or Latin-1. Save the file as UTF-8." 78
}

# trim TEXT: sets `trimmed` to TEXT without blanks at both ends.
trim() {
  trimmed=${1#"${1%%[![:space:]]*}"}
  trimmed=${trimmed%"${trimmed##*[![:space:]]}"}
}

# read_value TEXT: sets `value` to what stands behind the "=".
read_value() {
  local text=$1
  value=''
  case $text in
    [[:blank:]]*)
      trim "$text"
      text=$trimmed
      # Behind a blank, "#" begins a comment.
      case $text in '' | '#'*) return ;; esac
      ;;
  esac
  case $text in
    "'"*)
      text=${text#"'"}
      case $text in
        *"'"*) ;;
        *) refuse_line 'the quote is never closed. Close it on the same line.' ;;
      esac
      value=${text%%"'"*}
      nothing_follows "${text#*"'"}"
      ;;
    '"'*) read_double_quoted "${text#\"}" ;;
    *)
      value=${text%%[[:blank:]]#*}
      trim "$value"
      value=$trimmed
      case $value in
        *\$* | *'`'*) refuse_expansion ;;
      esac
      ;;
  esac
}

# read_double_quoted TEXT: what a double quote begins. As in a shell, \" \\ \$ and \` are escapes.
read_double_quoted() {
  local text=$1 character
  while [ -n "$text" ]; do
    character=${text%"${text#?}"}
    text=${text#?}
    case $character in
      '"')
        nothing_follows "$text"
        return
        ;;
      \\)
        [ -n "$text" ] || break
        character=${text%"${text#?}"}
        text=${text#?}
        case $character in
          '"' | \\ | '$' | '`') value=$value$character ;;
          *) value=$value\\$character ;;
        esac
        ;;
      '$' | '`') refuse_expansion ;;
      *) value=$value$character ;;
    esac
  done
  refuse_line 'the quote is never closed. Close it on the same line.'
}

refuse_expansion() {
  # shellcheck disable=SC2016 # These characters are meant.
  refuse_line 'the value has a "$" or "`", and this file is read without being executed. Write out what is meant, or put it between single quotes.'
}

# nothing_follows TEXT: refuses what stands behind a closing quote, unless it is a comment.
nothing_follows() {
  case $1 in
    '') return ;;
    [[:blank:]]*)
      trim "$1"
      case $trimmed in '' | '#'*) return ;; esac
      ;;
  esac
  refuse_line 'something follows the closing quote. Put all of the value between the quotes.'
}
