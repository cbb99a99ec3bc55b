# shellcheck shell=bash
# Parser of the .env file, which is never executed. It treats quotes, comments, `export` and blanks around the "=" like
# the agent, which reads the same file. It refuses, with the line number, values that a shell would expand or run, and
# lines that name a setting and cannot be parsed. All other lines are ignored.

# The variables that are read from the file; all others are ignored.
readonly VARIABLES='SUBSCRIPTION RG LOCATION PREFIX HEARTBEAT_DEVICE HEARTBEAT_DEVICE_2 HEARTBEAT_DEVICE_3
HEARTBEAT_DEVICE_4 HEARTBEAT_DEVICE_5 HEARTBEAT_DEVICE_6 HEARTBEAT_DEVICE_7 HEARTBEAT_DEVICE_8 DEVICES_FILE
ALERT_EMAIL ALERT_WEBHOOK ALERT_OWNERS SILENCE_MINUTES EVALUATION_MINUTES REMINDER_MINUTES DAILY_REMINDER_HOUR
REPORT_MINUTES RULES_ENABLED RUNTIME_NAME RUNTIME_VERSION MAX_INSTANCES DAILY_CAP_GB BUDGET_AMOUNT BUDGET_START'

# refuse_line TEXT: ends the script because of the current line.
refuse_line() { die "$env_file, line $line_number: $1" 78; }

# read_env_file FILE: sets conf_NAME, and line_NAME to its line number, for each variable in the file. A later line
# overrides an earlier one. Sets `unknown_variables` to the other variables, one per line: line number, a tab, name.
read_env_file() {
  local line name rest bom=$'\xef\xbb\xbf'
  env_file=$1
  line_number=0
  unknown_variables=''
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
        # `export NAME` assigns no value.
        case $line in *[!A-Za-z0-9_[:blank:]]*) ;; *) continue ;; esac
        ;;
    esac
    trim "${line%%=*}"
    name=$trimmed
    rest=${line#*=}
    case $line in *=*) ;; *) name='' ;; esac
    case $name in
      '' | [0-9]* | *[!A-Za-z0-9_]*)
        refuse_unparsed_setting "$line"
        continue
        ;;
    esac
    is_setting "$name" || {
      unknown_variables="$unknown_variables$line_number"$'\t'"$name"$'\n'
      continue
    }
    read_value "$rest"
    case $value in
      *[[:cntrl:]]*) refuse_line "the value of $name contains a control character." ;;
    esac
    printf -v "conf_$name" '%s' "$value"
    printf -v "line_$name" '%s' "$line_number"
  done <"$env_file"
}

# is_setting NAME: whether a variable is a setting of this script.
is_setting() {
  case " $(printf '%s' "$VARIABLES" | tr '\n' ' ') " in *" $1 "*) return 0 ;; esac
  return 1
}

# refuse_unparsed_setting LINE: refuses a line that assigns nothing and has the name of a setting before its first "="
# or ":". A name after a "$" is a use of the variable.
refuse_unparsed_setting() {
  local before=${1%%[=:]*} word
  before=$(printf '%s' "$before" | sed -e 's/\$[{]*[A-Za-z0-9_]*/ /g' -e 's/[^A-Za-z0-9_]/ /g')
  # shellcheck disable=SC2086 # It contains only words.
  for word in $before; do
    is_setting "$word" && refuse_line "this line names $word and cannot be parsed. Write $word=VALUE."
  done
  return 0
}

# refuse_other_encodings: ends the script when the file is neither UTF-8 nor ASCII.
refuse_other_encodings() {
  local number
  [ -r "$env_file" ] || {
    next="give yourself read permission (ls -l $env_file shows the owner; the file may have been copied with sudo), then $rerun"
    die "$env_file cannot be read: permission denied." 78
  }
  if LC_ALL=C tr -d '\000' <"$env_file" | cmp -s - "$env_file"; then :; else
    die "$env_file contains zero bytes: it was saved as UTF-16 or is not text. Save it as UTF-8." 78
  fi
  number=$(python3 -I -S -c '
import sys
for number, line in enumerate(sys.stdin.buffer.read().split(b"\n"), 1):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        print(number)
        break' <"$env_file")
  [ -z "$number" ] || die "$env_file, line $number: this is not UTF-8 text, perhaps Windows-1252 or Latin-1. Save the file as UTF-8." 78
}

# trim TEXT: sets `trimmed` to TEXT without blanks at both ends.
trim() {
  trimmed=${1#"${1%%[![:space:]]*}"}
  trimmed=${trimmed%"${trimmed##*[![:space:]]}"}
}

# read_value TEXT: sets `value` from the text after the "=".
read_value() {
  local text=$1
  value=''
  case $text in
    [[:blank:]]*)
      trim "$text"
      text=$trimmed
      # After a blank, "#" begins a comment.
      case $text in '' | '#'*) return ;; esac
      ;;
  esac
  case $text in
    "'"*)
      text=${text#"'"}
      case $text in
        *"'"*) ;;
        *) refuse_line 'the quote is not closed. Close it on the same line.' ;;
      esac
      value=${text%%"'"*}
      refuse_text_after_quote "${text#*"'"}"
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

# read_double_quoted TEXT: sets `value` from the text after a double quote. As in a shell, \" \\ \$ and \` are escapes.
read_double_quoted() {
  local text=$1 character
  while [ -n "$text" ]; do
    character=${text%"${text#?}"}
    text=${text#?}
    case $character in
      '"')
        refuse_text_after_quote "$text"
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
  refuse_line 'the quote is not closed. Close it on the same line.'
}

refuse_expansion() {
  # shellcheck disable=SC2016 # These characters are literal.
  refuse_line 'the value contains "$" or "`", but this file is not executed by a shell. Write the value itself, or put it in single quotes.'
}

# refuse_text_after_quote TEXT: refuses text after a closing quote, unless it is a comment.
refuse_text_after_quote() {
  case $1 in
    '') return ;;
    [[:blank:]]*)
      trim "$1"
      case $trimmed in '' | '#'*) return ;; esac
      ;;
  esac
  refuse_line 'there is text after the closing quote. Put the whole value between the quotes.'
}
