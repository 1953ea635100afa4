"""The command `modelfetch`: one sub-command a module, imported only when it is called, so that help is quick."""

import importlib
from typing import Final

import click

from modelfetch import __version__

COMMANDS: Final = {
    "pull": ("modelfetch.cli.cmd_pull", "Put the verified files of a model into a folder."),
    "store": ("modelfetch.cli.cmd_store", "List, measure and verify such a folder, and free its room."),
}
"""Name to module (which has a command of that name) and the line for the help."""


class LazyGroup(click.Group):
    """Knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Return the command of this name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start here: modelfetch pull --help",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Say which model you need, get its verified bytes.

    On Kubernetes the operator does it for a resource of kind ModelFetch; `modelfetch pull` does the same on a folder
    of this machine, without any cluster.
    """
