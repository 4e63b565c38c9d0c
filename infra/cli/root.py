"""`python -m infra.cli`: what operators do by hand. A module a subject; this one puts them together.

Every command may be repeated without harm. Nothing of records is printed but ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from infra.cli import (
    archive,
    audit,
    backup,
    hooks,
    invites,
    jobs,
    keys,
    local,
    members,
    migrate,
    phones,
    privacy,
    records,
    users,
)
from infra.cli.command import CONSOLE_SCRIPT, data_option
from shared.settings import VERSION

#: Headings of the help text, and the commands below each.
SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "This machine": (local.run, local.token, local.seed_command),
    "People": (
        members.grant_command,
        members.revoke_command,
        members.members_command,
        members.scopes_command,
        users.group,
        invites.group,
    ),
    "Records, phones, jobs": (
        records.group,
        phones.devices_command,
        phones.inbox_command,
        jobs.group,
        hooks.group,
    ),
    "People who ask for their data": (privacy.export_command, privacy.erase_command),
    "Trust": (audit.group, keys.group),
    "The store": (archive.group, backup.epoch_command, migrate.group),
}


class Sectioned(click.Group):
    """Commands under headings."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print each heading with its commands."""
        width = max(len(name) for name in self.commands)
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                limit = formatter.width - width - 6
                formatter.write_dl(
                    [(f"{each.name:<{width}}", each.get_short_help_str(limit)) for each in commands]
                )


cli = Sectioned(
    "infra.cli",
    params=[data_option()],
    help="What operators do by hand. Works on the stores that the settings name, or of `--data FOLDER`.\n\n"
    "Exit codes: 0 done; 1 refused, with a code and a sentence; 2 wrong use.",
    commands=[each for commands in SECTIONS.values() for each in commands],
)
click.version_option(VERSION, message="%(prog)s %(version)s")(cli)


def console() -> int:
    """The command as `pip install` makes it."""
    return main(name=CONSOLE_SCRIPT)


def main(
    words: Sequence[str] | None = None,
    command: click.Command = cli,
    name: str = "python -m infra.cli",
) -> int:
    """Run one command, of `sys.argv` if no words are given; the exit code."""
    try:
        command.main(words, prog_name=name)
    except SystemExit as ended:
        return int(ended.code or 0)
