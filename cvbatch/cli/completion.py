"""``cvbatch completion``."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, options and paths on the Tab key.

    \b
    Examples, each for good:
      cvbatch completion bash >> ~/.bashrc
      cvbatch completion zsh >> ~/.zshrc
      cvbatch completion fish > ~/.config/fish/completions/cvbatch.fish

    Then start a new shell. With zsh, ~/.zshrc must have loaded compinit before: autoload -U compinit; compinit. bash
    has to be 4.4 or newer, which that of macOS is not. The script asks the cvbatch that is typed, and stays right
    when that is updated.
    """
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    assert maker is not None
    made = maker(context.find_root().command, {}, "cvbatch", "_CVBATCH_COMPLETE")
    # Not ``source``, which looks whether the bash of this machine is new enough; the script may be for another one.
    click.echo(made.source_template % made.source_vars())
