"""Encrypted back-ups of a whole data folder, for a server of one's own (docs/self-hosting.md).

What encrypts is loaded by the command that needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from infra.cli.backup import begin_epoch, note
from infra.cli.backup import group as group
from infra.cli.command import folder_of, iso
from infra.local.environment import use_stack
from shared import wiring
from shared.errors import InvalidRequest

_identity = click.option(
    "--identity",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The file with the secret half of the key.",
)


@group.command("key", stored=False, example="python -m infra.cli backup key > key.txt")
def key() -> None:
    """Make the key of back-ups, on another machine than the server's.

    The secret half, which opens them, is printed on standard output; the recipient, for whom they are
    made, on standard error.
    """
    from infra.local import archive

    identity, recipient = archive.make_key()
    click.echo(recipient, err=True)
    click.echo(identity)


@group.command(
    "create",
    example="python -m infra.cli --data .data backup create backups --recipient age1… --keep 14",
)
@click.argument("to", metavar="FOLDER", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--recipient",
    "recipients",
    metavar="AGE1",
    multiple=True,
    required=True,
    help="For whom it is encrypted, from `key`; may be repeated.",
)
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    help="Then remove all but the newest N of FOLDER.",
)
def create(to: Path, recipients: tuple[str, ...], keep: int | None) -> None:
    """Write one encrypted file into FOLDER: records, photos, keys, settings.

    The server goes on meanwhile. `-` instead of a folder is standard output.
    """
    from infra.local import archive

    chosen, now_ms = wiring.settings(), wiring.clock_ms()
    if chosen.record_store != "sqlite":
        raise InvalidRequest("The records are not in a data folder.", code="unsupported")
    data, release = Path(chosen.data_folder), chosen.release
    note("back-up")
    if str(to) == "-":
        archive.write(data, sys.stdout.buffer, recipients, release, now_ms)
        return
    with archive.in_folder(to, now_ms) as file:
        count = archive.write(data, file, recipients, release, now_ms)
    gone = archive.keep_newest(to, keep) if keep is not None else []
    click.echo(f"{count} files backed up, {len(gone)} older back-ups removed")


@group.command(
    "check",
    stored=False,
    example="python -m infra.cli backup check backup.tar.age --identity key.txt",
)
@click.argument("file", type=click.Path(path_type=Path))
@_identity
def check(file: Path, identity: Path) -> None:
    """Open a back-up and look whether all of it is there and sound; nothing is changed.

    It is unpacked beside FILE for that time, for its owner only.
    """
    from infra.local import archive

    with file.open("rb") as source:
        found = archive.check(source, file.absolute().parent, _secret(identity))
    made = iso(found["made_ms"])
    click.echo(f"sound: {found['documents']} documents, {found['files']} files, made at {made}")


@group.command(
    "restore",
    stored=False,
    example="python -m infra.cli --data .data backup restore backup.tar.age --identity key.txt",
)
@click.argument("file", type=click.Path(path_type=Path))
@_identity
@click.pass_context
def restore(ctx: click.Context, file: Path, identity: Path) -> None:
    """Make the data folder of a back-up, and begin a new epoch in it.

    The data folder, which `--data` or DATA_FOLDER names, must not exist, or be empty. Phones then offer
    again what the back-up lacks.
    """
    from infra.local import archive

    data = folder_of(ctx) or Path(wiring.settings().data_folder)
    with file.open("rb") as source:
        archive.restore(source, data, _secret(identity))
    use_stack(data)
    note("bring-back")
    begin_epoch()
    click.echo(f"{data} is restored, and a new epoch has begun")


def _secret(identity: Path) -> str:
    lines = identity.read_text("utf-8").splitlines()
    return next((line for line in lines if line.startswith("AGE-SECRET-KEY-")), "")
