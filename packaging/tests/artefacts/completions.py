"""The completions, in the real shells."""

import pathlib
import tempfile

from report import expect

from . import tools

# Fills in the variables that bash sets, and prints the candidates.
BASH = """
source "$1"
function=$(complete -p ispmon-agent | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
COMP_WORDS=(ispmon-agent {0}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
"$function" ispmon-agent "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# A real zsh on a pseudo-terminal, in which Tab is pressed.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT=; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -D -u; LISTMAX=0; stty cols 200; print READY-\\$(( 6 * 7 ))"
line='' output=''
while zpty -r shell line; do [[ $line == *READY-42* ]] && break; done
zpty -w -n shell "ispmon-agent {0}"$'\\t'
zpty -w -n shell $'\\x15'"print DONE-\\$(( 6 * 7 ))"$'\\n'
while zpty -r shell line; do output+=$line; [[ $line == *DONE-42* ]] && break; done
print -r -- $output
"""


def check(rows, _root, dist):
    """Prints the rows."""
    for shell, path in (("bash", "bash-completion/completions/ispmon-agent"), ("zsh", "zsh/vendor-completions"), ("fish", "fish/vendor_completions.d/ispmon-agent.fish")):
        rows.row(f"completions: {shell}", complete, dist, shell, path)


def complete(dist, shell, path):
    tools.need(shell, "dpkg-deb")
    with tempfile.TemporaryDirectory() as folder:
        files = pathlib.Path(tools.extracted(tools.only(dist, "ispmon-agent_*_amd64.deb"), folder))
        path = files / "usr/share" / path

        def after(words):
            if shell == "bash":
                return tools.run("bash", "--norc", "-euc", BASH.format(words or "''"), "bash", path)
            if shell == "zsh":
                return tools.run("zsh", "-fc", ZSH.format(words), "zsh", path, env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "HOME": folder})
            return tools.run("fish", "--no-config", "-c", f"source {path}; complete --do-complete 'ispmon-agent {words}'", env={"PATH": "/usr/bin:/bin", "HOME": folder})

        commands = after("")
        for command in ("run", "outages", "report", "doctor", "journal"):
            expect(command in commands, f"{command} is not offered: {commands}")
        expect("generate" not in commands, f"a hidden command is offered: {commands}")
        flags = after("outages --")
        for flag in ("--json", "--since", "--config"):
            expect(flag in flags, f"{flag} is not offered after outages: {flags}")
        return f"{len(commands.split())} words after the program's name"
