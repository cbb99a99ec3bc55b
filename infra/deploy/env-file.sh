# shellcheck shell=bash
# The .env file: read, never executed. Quotes, comments, `export` and blanks around the "=" mean what they mean to
# the agent, which reads the same file; whatever a shell would expand or run is refused with its line number.

# The variables that are taken from the file; all others are left to those whom they concern.
readonly VARIABLES='SUBSCRIPTION RG LOCATION PREFIX HEARTBEAT_DEVICE HEARTBEAT_DEVICE_2 HEARTBEAT_DEVICE_3
HEARTBEAT_DEVICE_4 HEARTBEAT_DEVICE_5 HEARTBEAT_DEVICE_6 HEARTBEAT_DEVICE_7 HEARTBEAT_DEVICE_8 DEVICES_FILE
ALERT_EMAIL ALERT_WEBHOOK ALERT_OWNERS SILENCE_MINUTES EVALUATION_MINUTES REMINDER_MINUTES DAILY_REMINDER_HOUR
REPORT_MINUTES RULES_ENABLED RUNTIME_NAME RUNTIME_VERSION MAX_INSTANCES DAILY_CAP_GB BUDGET_AMOUNT BUDGET_START'

# refuse_line TEXT: ends the script because of the current line.
refuse_line() { die "$env_file, line $line_number: $1" 78; }

# read_env_file FILE: sets conf_NAME, and line_NAME to where it stands, for each variable that the file has. A later
# line replaces an earlier one.
read_env_file() {
  local line name rest bom=$'\xef\xbb\xbf'
  env_file=$1
  line_number=0
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
    case $line in
      *=*) ;;
      *) refuse_line 'this is no NAME=VALUE, no comment and no blank line.' ;;
    esac
    trim "${line%%=*}"
    name=$trimmed
    rest=${line#*=}
    case $name in
      '' | [0-9]* | *[!A-Za-z0-9_]*) refuse_line "\"$name\" is no name of a variable. Write NAME=VALUE." ;;
    esac
    case " $(printf '%s' "$VARIABLES" | tr '\n' ' ') " in
      *" $name "*) ;;
      *) continue ;;
    esac
    read_value "$rest"
    case $value in
      *[[:cntrl:]]*) refuse_line "the value of $name has a control character in it." ;;
    esac
    printf -v "conf_$name" '%s' "$value"
    printf -v "line_$name" '%s' "$line_number"
  done <"$env_file"
}

# refuse_other_encodings: ends the script when the file is not UTF-8, of which ASCII is a part.
refuse_other_encodings() {
  local number
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
        *"'"* | *'"'*) refuse_line 'a quote stands within the value. Put all of the value between quotes.' ;;
        *\\*) refuse_line 'a backslash stands within the value. Put the value between single quotes.' ;;
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
