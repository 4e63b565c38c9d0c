"""What all commands share: an example, `--data`, the product's words, how they refuse and print lists.

Help texts and examples take what differs between products from the one that the settings name: `{person}`
and `{PERSON}` (whose data can be erased), `{people}` (the table they are in), `{role}` (of newcomers).

Exit codes: 0 done; 1 refused, with a stable code and a sentence on standard error; 2 wrong use.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from infra.local.environment import use_stack
from infra.local.installed import demand_installed
from shared import settings, wiring
from shared.errors import DISK_FULL, ConfigurationFault, Fault
from shared.products.known import variables

#: The command of an installed package (pyproject.toml).
CONSOLE_SCRIPT = "care-server"

#: Where a context keeps the folder of `--data`.
_FOLDER = "infra.cli.folder"


class CommandRefused(click.ClickException):
    """Something cannot be done now, or not with these values."""

    exit_code = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print code and sentence."""
        click.echo(f"{self.code}: {self.message}", file, err=file is None)


class OperatorCommand(click.Command):
    """A command with an example. Unless `stored` is false, it works on a store that is there."""

    def __init__(self, *arguments: Any, example: str, stored: bool = True, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._example, self._stored = example, stored
        self.params.append(data_option())

    @property
    def example(self) -> str:
        """The example, in the product's words."""
        return _worded(self._example)

    @property
    def help(self) -> str | None:
        """The help text, in the product's words."""
        return None if self._help is None else _worded(self._help)

    @help.setter
    def help(self, text: str | None) -> None:
        self._help = text

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the example, in the words by which the command was called."""
        program = ctx.find_root().info_name
        example = self.example
        if program == CONSOLE_SCRIPT:
            example = example.replace("python -m infra.cli", program)
        with formatter.section("Example"):
            formatter.write(f"{'':{formatter.current_indent}}{example}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run it on the chosen stores; faults that we know become exit code 1."""
        _warn_of_misspelt_settings()
        with _refusing():
            if self._stored:
                _choose_store(ctx)
                demand_installed(wiring.settings())
            return super().invoke(ctx)


class WordedArgument(click.Argument):
    """An argument that is named by a word of the product."""

    def make_metavar(self, ctx: click.Context) -> str:
        """The name as people read it."""
        return _worded(super().make_metavar(ctx))


class Group(click.Group):
    """Commands of one subject."""

    command_class = OperatorCommand
    group_class = type


def data_option() -> click.Option:
    """`--data FOLDER`, before or after the name of a command."""

    def keep(ctx: click.Context, _: click.Parameter, folder: Path | None) -> None:
        if folder is not None:
            ctx.meta[_FOLDER] = folder

    return click.Option(
        ["--data"],
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        expose_value=False,
        callback=keep,
        help="Data folder of a local stack, whose stores are used; else the settings name them.",
    )


def folder_of(ctx: click.Context) -> Path | None:
    """The folder that `--data` names."""
    folder: Path | None = ctx.meta.get(_FOLDER)
    return folder


as_json = click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")


def show(rows: Iterable[Mapping[str, Any]], line: str, nothing: str, as_json: bool) -> None:
    """Print rows under a heading, each by the format `line`, or all as JSON; `nothing` without rows."""
    found = list(rows)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if found:
        click.echo(line.format_map({name: name.upper().replace("_", " ") for name in found[0]}))
    for row in found:
        click.echo(line.format_map({name: _word(value) for name, value in row.items()}).rstrip())
    if not found:
        click.echo(nothing)


def iso(ms: float) -> str:
    """A moment as text, UTC, in seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))


def _word(value: Any) -> Any:
    if value is None or value == "":
        return "-"
    if isinstance(value, Mapping):
        return " ".join(f"{name}:{each}" for name, each in value.items()) or "-"
    return value


def _worded(text: str) -> str:
    """A text in the words of the product that the settings name; neutral ones if they name none."""
    try:
        catalog, role = wiring.catalog(), wiring.product().accounts.newcomer
    except ConfigurationFault:
        person, people, role = "person", "people", "member"
    else:
        person, people = catalog.person_word, catalog.people or catalog.collections[0].name
    return text.format(person=person, PERSON=person.upper(), people=people, role=role)


def given_line() -> str:
    """The line that was piped into standard input; empty at a terminal."""
    return "" if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


def _warn_of_misspelt_settings() -> None:
    """Name variables on standard error that look like settings and are none."""
    for variable, meant in settings.misspelt(variables()).items():
        click.echo(f"warning: {variable} is no setting. Did you mean {meant}?", err=True)


def _choose_store(ctx: click.Context) -> None:
    folder = folder_of(ctx)
    if folder is not None and folder.is_dir():
        use_stack(folder)
        return
    if folder is None:
        chosen = wiring.settings()
        folder = Path(chosen.data_folder)
        if chosen.record_store != "sqlite" or folder.is_dir():
            return
    raise click.UsageError(
        f"There is no data folder {folder}. Name that of a stack with --data, or start one first.",
        ctx,
    )


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()  # or what a full disk did not take is lost without a word at the end
    except Fault as fault:
        raise CommandRefused(fault.code, fault.message) from fault
    except OSError as error:
        if error.errno in DISK_FULL:
            raise CommandRefused("disk_full", "The disk is full.") from error
        if error.filename is None:
            raise
        raise CommandRefused("file_unusable", f"{error.filename}: {error.strerror}.") from error
