"""Validates calls with the real Azure CLI: its argument parser accepts or refuses each call, and its own code
filters and formats the responses. The effect of a command in Azure is left to the caller."""

import contextlib
import io
import os

from azure.cli.core import get_default_cli
from azure.cli.core.commands import _expand_file_prefixed_files
from azure.cli.core.commands.events import (
    EVENT_INVOKER_POST_LOAD_ARGUMENTS,
    EVENT_INVOKER_PRE_LOAD_ARGUMENTS,
)
from knack.events import EVENT_INVOKER_POST_CMD_TBL_CREATE
from knack.util import CommandResultItem


class Refused(Exception):
    """The parser refused the call; the message is the parser's output."""


def configuration(environment):
    """Returns the caller's variables that az reads as its configuration, or that locate its files."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("AZURE_CORE_", "AZURE_DEFAULTS_", "AZURE_LOGGING_")) or name == "AZURE_CONFIG_DIR"
    }


class AzureCli:
    """One configuration of the CLI. Parsers are cached by command, because creating them takes most of the
    time."""

    def __init__(self, variables):
        self.variables = variables
        with self.configured():
            self.cli = get_default_cli()
        self.parsers = {}

    @contextlib.contextmanager
    def configured(self):
        """The CLI reads its environment variables repeatedly, so they are set for the whole call."""
        before = dict(os.environ)
        os.environ.update(self.variables)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def _parser(self, arguments):
        cli = self.cli
        invocation = cli.invocation_cls(
            cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
        )
        command = invocation._rudimentary_get_command(arguments)
        if command in self.parsers:
            return command, self.parsers[command]
        cli.invocation = invocation
        loader = invocation.commands_loader
        loader.load_command_table(arguments)
        command = invocation._rudimentary_get_command(arguments)
        if command not in loader.command_table:
            raise Refused(f"'{' '.join(arguments)}' is misspelled or not recognized by the system.\n")
        invocation.data["command_string"] = command
        loader.command_table = {command: loader.command_table[command]}
        loader.command_name = command
        cli.raise_event(EVENT_INVOKER_PRE_LOAD_ARGUMENTS, commands_loader=loader)
        loader.load_arguments(command)
        cli.raise_event(EVENT_INVOKER_POST_LOAD_ARGUMENTS, commands_loader=loader)
        cli.raise_event(EVENT_INVOKER_POST_CMD_TBL_CREATE, commands_loader=loader)
        invocation.parser.cli_ctx = cli
        invocation.parser.load_command_table(loader)
        self.parsers[command] = invocation
        return command, invocation

    def parse(self, arguments, standard_input):
        """Returns the command and its parsed arguments; raises Refused."""
        errors = io.StringIO()
        with self.configured(), contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
            try:
                command, invocation = self._parser(arguments)
                self.cli.invocation = invocation
                expanded = [standard_input if argument == "@-" else argument for argument in arguments]
                parsed = invocation.parser.parse_args(_expand_file_prefixed_files(expanded))
            except SystemExit as exit:
                raise Refused(errors.getvalue() or f"exit {exit.code}") from exit
        return command, parsed

    def output(self, parsed, result):
        """Returns what the CLI prints for a result, with the call's --query and --output."""
        query = getattr(parsed, "_jmespath_query", None)
        if query is not None:
            result = query.search(result)
        kind = parsed._output_format
        if result is None or kind == "none":
            return ""
        text = io.StringIO()
        item = CommandResultItem(result, is_query_active=query is not None)
        with self.configured():
            self.cli.output.out(item, formatter=self.cli.output.get_formatter(kind), out_file=text)
        return text.getvalue()
