"""The file store port: bytes under a name, written once, never changed.

Two adapters keep the same contract (`tests/contracts/test_files.py`): a folder and Google Cloud Storage.
Names are ours alone, never made of what a phone says: `incoming/…` while a file is on its way,
`originals/…` when it was checked, `derived/…` for what was made of it.

Promises of every adapter:

- `put` stores all of it or nothing; a name that is there already stays as it is.
- What was put is read back whole, from any process, as soon as `put` has returned.
- Deleting what is not there is no error.
- Nothing that is not a valid name reaches the disk or the network (`InvalidName`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

#: Names: segments of letters, digits, `_` and `-`, with dots inside, joined by `/`. A segment has at
#: most 128 characters, since file systems stop at 255 bytes and an adapter may add to it.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){1,5}")
_PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._/-]*)?")
_MOST_NAME = 300

#: A media type without parameters (RFC 6838 4.2).
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")

#: Longest life of a link, seconds: what Cloud Storage signs for.
MOST_LINK_SECONDS = 7 * 86_400

#: Largest piece of a file that `read` gives, bytes.
PIECE_BYTES = 2**20


class InvalidName(ValueError):
    """A programming error: a name or media type that was not made by us."""


def checked(name: str) -> str:
    """The name itself. Raises `InvalidName`."""
    if len(name) > _MOST_NAME or _NAME.fullmatch(name) is None or ".." in name:
        raise InvalidName("not a file's name")
    return name


def checked_prefix(prefix: str) -> str:
    """The beginning of names itself, empty for all. Raises `InvalidName`."""
    if _PREFIX.fullmatch(prefix) is None or ".." in prefix or "//" in prefix:
        raise InvalidName("not the beginning of files' names")
    return prefix


def checked_type(media_type: str) -> str:
    """The media type itself. Raises `InvalidName`."""
    if _TYPE.fullmatch(media_type) is None:
        raise InvalidName("not a media type")
    return media_type


def checked_seconds(seconds: int) -> int:
    """A link's life itself. Raises `ValueError`."""
    if not 1 <= seconds <= MOST_LINK_SECONDS:
        raise ValueError("a link lives from 1 second to 7 days")
    return seconds


def is_name(name: str) -> bool:
    """Whether a name that was found is one of ours."""
    try:
        checked(name)
    except InvalidName:
        return False
    return True


class Stored(NamedTuple):
    """A file that is there. `size` in bytes, `type` its media type, `written_ms` in Unix ms."""

    name: str
    size: int
    type: str
    written_ms: int


class FileStore(Protocol):
    """Where files are. Safe to share between threads.

    Every method raises `FilesUnavailable` when the store does not answer in time; the same call may
    simply be made again.
    """

    def put(self, name: str, data: Iterable[bytes], media_type: str) -> None:
        """Store a file, unless the name is there already. Memory stays flat."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """The file in pieces of at most 1 MiB. Raises `FileMissing`, at the latest at the first piece."""
        ...

    def stat(self, name: str) -> Stored | None:
        """What is known of a file without reading it; None if it is not there."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Remove files, as far as they are there."""
        ...

    def list(self, prefix: str, *, behind: str = "", limit: int = 1000) -> list[Stored]:
        """Files whose name begins with `prefix`, by name, those after the name `behind`.

        What lies there under names that are not ours is not listed.
        """
        ...

    def link(self, name: str, *, media_type: str, file_name: str, seconds: int, now_ms: int) -> str:
        """A link that lets anybody download this file, for so many seconds (at most 7 days).

        The answer to it carries `media_type`, and `file_name` as an attachment; both come from us.
        A link that starts with `/` is answered by the `files` function of the same host.
        """
        ...

    def session(self, name: str, media_type: str, size: int, origin: str = "") -> str | None:
        """A resumable session (Content-Range, 308) that takes exactly this file, or None.

        The link is a secret: whoever has it may write. None: this store takes files through us only.
        Raises `FileRefused` (`file_exists`) where the name is known to be there already.
        """
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
