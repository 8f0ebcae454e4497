"""``sessiontail help``: what ``--help`` says, asked for as a command."""

from __future__ import annotations

import click

from sessiontail.cli.mistakes import no_such_command

__all__ = ["command"]


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands that begin so."""
    above = ctx.find_root()
    assert isinstance(above.command, click.Group)
    return [name for name in above.command.list_commands(above) if name.startswith(incomplete)]


@click.command(
    options_metavar="",
    epilog="""\
\b
Examples:
  sessiontail help         all commands
  sessiontail help tail    one of them; the same as sessiontail tail --help

\b
Exit codes: 0 shown, 2 no such command.
""",
)
@click.argument("name", metavar="[COMMAND]", required=False, shell_complete=_complete)
@click.pass_context
def command(ctx: click.Context, name: str | None) -> int:
    """Show how sessiontail, or one of its commands, is used."""
    above = ctx.parent
    assert above is not None
    group = above.command
    assert isinstance(group, click.Group)
    if name is None:
        click.echo(above.get_help())
        return 0
    asked = group.get_command(above, name)
    if asked is None:
        raise no_such_command(name, group.list_commands(above), above)
    with click.Context(asked, info_name=name, parent=above) as of_it:
        click.echo(asked.get_help(of_it))
    return 0
