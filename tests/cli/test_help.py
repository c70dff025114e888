"""Every command tells what it does, with an example that can be typed."""

import shlex
from collections.abc import Iterator

import click
import pytest

from cvbatch.cli.main import cvbatch


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and all below it, each with its context on a terminal of 80 columns."""
    yield command, context
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, click.Context(below, context, name, terminal_width=80))


ALL = [
    pytest.param(command, context, id=context.command_path)
    for command, context in commands(cvbatch, click.Context(cvbatch, info_name="cvbatch", terminal_width=80))
]
LEAVES = [each for each in ALL if not isinstance(each.values[0], click.Group)]


def examples(command: click.Command) -> list[str]:
    """The lines of a help text that can be typed, without remarks behind them."""
    lines = [line.strip().partition("  ")[0] for line in (command.help or "").splitlines()]
    return [line for line in lines if line.startswith("cvbatch ")]


def arguments_of(example: str) -> list[str]:
    """What the command gets from the shell."""
    words = shlex.split(example)
    return words[1 : next((at for at, word in enumerate(words) if word in (">", ">>", "&")), len(words))]


def parse(group: click.Group, arguments: list[str], parent: click.Context | None, name: str) -> click.Command:
    """The command that a line means, whose arguments it takes; nothing is run."""
    context = group.make_context(name, list(arguments), parent)
    # What a group has not used up itself is kept where click 8 and its successors look for it.
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    found, command, rest = group.resolve_command(context, rest)
    assert found is not None
    assert command is not None
    if isinstance(command, click.Group):
        return parse(command, rest, context, found)
    command.make_context(found, rest, context)
    return command


@pytest.mark.parametrize(("command", "context"), ALL)
def test_help_fits_a_terminal(command, context):
    lines = command.get_help(context).splitlines()
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(("command", "context"), ALL)
def test_a_summary_comes_first_and_every_option_is_explained(command, context):
    summary = (command.help or "").split("\n\n")[0]
    assert summary.endswith(".")
    unexplained = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
    assert unexplained == []


@pytest.mark.parametrize(("command", "context"), LEAVES)
def test_an_example_is_there_and_parses(command, context):
    found = [line for line in examples(command) if line.startswith(context.command_path)]
    assert found, f"{context.command_path} has no example"
    for line in found:
        assert parse(cvbatch, arguments_of(line), None, "cvbatch") is command


def test_examples_of_the_main_help_parse():
    for line in examples(cvbatch):
        parse(cvbatch, arguments_of(line), None, "cvbatch")


def test_every_command_is_in_the_list():
    listed = cvbatch.get_help(click.Context(cvbatch, info_name="cvbatch", terminal_width=80))
    assert [name for name in cvbatch.commands if f"\n  {name} " not in listed] == []
