"""Files in a folder: the embedded profile's file store.

    files/originals/ab/cd=     one file: a block of 512 bytes that says what it is, then its bytes
    files/.drafts/…            files on their way in

A file is one file of the disk, so that its bytes and what is known of them appear together: it is
written as a draft, brought to the disk, then linked to its name, which fails if the name is there.
A crash leaves a draft, which nothing ever lists or reads; a `put` removes those that are a day old.
The `=` keeps the file `a/b` and the folder of `a/b/c` apart.

No step follows a symbolic link below the folder. The file system must know hard links (all usual
ones of Linux and macOS do), and tell upper case from lower.

Links are signed with HMAC-SHA256 and end by themselves; the `files` function of the same host
answers them with what `open_link` gives.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import secrets
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from shared.errors import FileMissing, FilesUnavailable, LinkExpired
from shared.files.store import (
    PIECE_BYTES,
    Stored,
    checked,
    checked_prefix,
    checked_seconds,
    checked_type,
    is_name,
)
from shared.records.killpoints import reach

#: Where links lead; the token follows.
LINKS = "/api/v1/files/links/"

#: Size of the block before a file's bytes; holds a media type of any length.
_HEAD_BYTES = 512

#: End of a file's name on the disk: a character that no name has.
_MARK = "="

_DRAFTS = ".drafts"

#: Age from which a draft cannot be anybody's work any more, and time between two looks, ms.
_OLD_DRAFT_MS = 86_400_000
_LOOK_EVERY_MS = 3_600_000

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: How often a folder that was removed as empty just before it was used is made again.
_ATTEMPTS = 10


class Opened(NamedTuple):
    """What a link leads to: the file, its `type` as the link says it, the name to save it under."""

    file: Stored
    file_name: str
    pieces: Iterator[bytes]


class _Head(NamedTuple):
    """What the block before the bytes says."""

    type: str
    size: int
    crc32: int
    written_ms: int

    def block(self) -> bytes:
        return json.dumps({"file": 1, **self._asdict()}).encode().ljust(_HEAD_BYTES)


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


class FolderFiles:
    """See `FileStore`. `secret` signs links and is the same in every process; `clock` is Unix ms."""

    def __init__(self, folder: Path, secret: bytes, clock: Callable[[], int] = _clock_ms) -> None:
        if len(secret) < 32:
            raise ValueError("the secret of links needs at least 32 bytes")
        self._secret = secret
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_ms: int | None = None
        with _faults():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / _DRAFTS).mkdir(mode=0o700, exist_ok=True)
            self._root = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
            self._drafts = os.open(_DRAFTS, _FOLDER, dir_fd=self._root)
            os.fsync(self._root)

    # --- the port

    def put(self, name: str, data: Iterable[bytes], media_type: str) -> None:
        """See `FileStore`."""
        checked(name)
        checked_type(media_type)
        self._remove_old_drafts()
        if self.stat(name) is not None:
            return
        draft = secrets.token_hex(16)
        with _faults():
            descriptor = os.open(draft, _NEW, 0o600, dir_fd=self._drafts)
        try:
            try:
                self._write(descriptor, data, media_type)
            finally:
                os.close(descriptor)
            reach("file.drafted")
            with _faults():
                named = self._name(draft, name)
            reach("file.linked")
        finally:
            with _faults(), suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=self._drafts)
        if not named and self.stat(name) is None:
            raise FilesUnavailable("Something that is no file is in the place of a file.")

    def read(self, name: str) -> Iterator[bytes]:
        """See `FileStore`."""
        return self._read(checked(name))

    def stat(self, name: str) -> Stored | None:
        """See `FileStore`."""
        with self._open(checked(name)) as opened:
            if opened is None:
                return None
            head = opened[1]
            return Stored(name, head.size, head.type, head.written_ms)

    def delete(self, names: Iterable[str]) -> None:
        """See `FileStore`."""
        for name in [checked(name) for name in names]:
            with _faults(), suppress(FileNotFoundError, NotADirectoryError), ExitStack() as folders:
                *segments, last = name.split("/")
                path = self._walk(folders, segments)
                os.unlink(last + _MARK, dir_fd=path[-1])
                os.fsync(path[-1])
                # folders that are empty now, from the inside out; one that is in use stays
                with suppress(OSError):
                    for parent, segment in zip(
                        reversed(path[:-1]), reversed(segments), strict=True
                    ):
                        os.rmdir(segment, dir_fd=parent)

    def list(self, prefix: str, *, behind: str = "", limit: int = 1000) -> list[Stored]:
        """See `FileStore`."""
        checked_prefix(prefix)
        if behind:
            checked(behind)
        with _faults():
            found = (self.stat(name) for name in self._names(self._root, "", prefix, behind))
            return list(islice((each for each in found if each is not None), limit))

    def link(self, name: str, *, media_type: str, file_name: str, seconds: int, now_ms: int) -> str:
        """See `FileStore`."""
        ends_ms = now_ms + checked_seconds(seconds) * 1000
        said = [checked(name), checked_type(media_type), file_name, ends_ms]
        text = _text(json.dumps(said).encode())
        return f"{LINKS}{text}.{self._sign(text)}"

    def session(self, name: str, media_type: str, size: int, origin: str = "") -> str | None:
        """See `FileStore`: files come through us only."""
        checked(name)
        checked_type(media_type)
        return None

    def close(self) -> None:
        """See `FileStore`."""
        for descriptor in (self._root, self._drafts):
            if descriptor >= 0:
                os.close(descriptor)
        self._root = self._drafts = -1

    # --- links

    def open_link(self, token: str, now_ms: int) -> Opened:
        """What the end of one of our links leads to.

        Raises `FileMissing`: `link_invalid` for a token that we did not sign, `file_missing` for a
        file that is gone; `LinkExpired`.
        """
        text, _, signature = token.partition(".")
        # compared as bytes: text that is not ASCII cannot be compared in constant time
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(text).encode()):
            raise FileMissing("This is no link of ours.", code="link_invalid")
        name, media_type, file_name, ends_ms = json.loads(base64.urlsafe_b64decode(_padded(text)))
        if now_ms >= ends_ms:
            raise LinkExpired("This link has ended; ask for a new one.")
        about = self.stat(name)
        if about is None:
            raise FileMissing("The file of this link was deleted.")
        return Opened(about._replace(type=media_type), file_name, self.read(name))

    def _sign(self, text: str) -> str:
        data = b"file link\n" + text.encode("utf-8", "replace")
        return _text(hmac.new(self._secret, data, hashlib.sha256).digest())

    # --- writing

    def _write(self, descriptor: int, data: Iterable[bytes], media_type: str) -> None:
        """The draft's block and bytes, on the disk when this returns."""
        size, crc32 = 0, 0
        with _faults():
            _write_all(descriptor, bytes(_HEAD_BYTES))
        for piece in data:  # what the giver raises is the giver's own fault
            with _faults():
                _write_all(descriptor, piece)
            size, crc32 = size + len(piece), zlib.crc32(piece, crc32)
        reach("file.drafting")
        with _faults():
            # last, so that a draft that was cut is none even if it were found
            block = _Head(media_type, size, crc32, self._clock()).block()
            os.pwrite(descriptor, block, 0)
            os.fsync(descriptor)

    def _name(self, draft: str, name: str) -> bool:
        """Give a draft its name; False if something has that name already."""
        *segments, last = name.split("/")
        for _ in range(_ATTEMPTS):
            with ExitStack() as folders:
                try:
                    path = self._walk(folders, segments, make=True)
                    os.link(
                        draft,
                        last + _MARK,
                        src_dir_fd=self._drafts,
                        dst_dir_fd=path[-1],
                        follow_symlinks=False,
                    )
                except (FileExistsError, NotADirectoryError):
                    return False
                except FileNotFoundError:
                    continue  # the folder was removed as empty meanwhile
                os.fsync(path[-1])
                return True
        raise FilesUnavailable("A folder of the file store vanishes again and again.")

    def _walk(
        self, folders: ExitStack, segments: Sequence[str], *, make: bool = False
    ) -> Sequence[int]:
        """Descriptors of the root and of each folder below it, closed by `folders`."""
        path = [self._root]
        for segment in segments:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(segment, 0o700, dir_fd=path[-1])
                # even if it is there: whoever made it may have died before this
                os.fsync(path[-1])
            path.append(os.open(segment, _FOLDER, dir_fd=path[-1]))
            folders.callback(os.close, path[-1])
        return path

    def _remove_old_drafts(self) -> None:
        now_ms = self._clock()
        with self._lock:
            if self._looked_ms is not None and now_ms - self._looked_ms < _LOOK_EVERY_MS:
                return
            self._looked_ms = now_ms
        with _faults():
            for draft, _ in _entries(self._drafts):
                with suppress(FileNotFoundError):
                    about = os.stat(draft, dir_fd=self._drafts, follow_symlinks=False)
                    if now_ms - about.st_mtime_ns // 1_000_000 > _OLD_DRAFT_MS:
                        os.unlink(draft, dir_fd=self._drafts)

    # --- reading

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[int, _Head] | None]:
        """A file at its first byte, and what is known of it; None if there is none."""
        *segments, last = name.split("/")
        with ExitStack() as opened:
            try:
                with _faults(no_file=_NoFile):
                    path = self._walk(opened, segments)
                    descriptor = os.open(last + _MARK, _FILE, dir_fd=path[-1])
                    opened.callback(os.close, descriptor)
                    head = _head(descriptor)
            except _NoFile:
                yield None
                return
            yield None if head is None else (descriptor, head)

    def _read(self, name: str) -> Iterator[bytes]:
        with self._open(name) as opened:
            if opened is None:
                raise FileMissing("There is no file under this name.")
            descriptor, head = opened
            left, crc32 = head.size, 0
            while left:
                with _faults():
                    piece = os.read(descriptor, min(PIECE_BYTES, left))
                left, crc32 = left - len(piece), zlib.crc32(piece, crc32)
                # before the last piece is given: what is damaged never looks whole
                if not piece or (not left and crc32 != head.crc32):
                    raise FilesUnavailable("A file is damaged on the disk.")
                yield piece

    def _names(self, folder: int, path: str, prefix: str, behind: str) -> Iterator[str]:
        """Names below a folder, in the order of whole names, without walking where none can be."""
        entries = []
        for name, is_folder in _entries(folder):
            if name.endswith(_MARK):
                entries.append(path + name.removesuffix(_MARK))
            elif is_folder:
                entries.append(f"{path}{name}/")
        for entry_path in sorted(entries):
            if not entry_path.endswith("/"):
                if entry_path.startswith(prefix) and entry_path > behind and is_name(entry_path):
                    yield entry_path
            elif _may_hold(entry_path, prefix, behind):
                try:
                    inner = os.open(entry_path[len(path) : -1], _FOLDER, dir_fd=folder)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # removed meanwhile
                try:
                    yield from self._names(inner, entry_path, prefix, behind)
                finally:
                    os.close(inner)


def _may_hold(path: str, prefix: str, behind: str) -> bool:
    """Whether a folder can hold names with that beginning that come after `behind`."""
    if path == f"{_DRAFTS}/":
        return False
    if not (path.startswith(prefix) or prefix.startswith(path)):
        return False
    return path > behind or behind.startswith(path)


def _head(descriptor: int) -> _Head | None:
    """What the block says; None if this is no file that we wrote whole."""
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        return None
    try:
        said = json.loads(os.read(descriptor, _HEAD_BYTES))
        head = _Head(said["type"], said["size"], said["crc32"], said["written_ms"])
    except (ValueError, KeyError, TypeError):
        return None
    return head if about.st_size == _HEAD_BYTES + head.size else None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _entries(folder: int) -> Iterator[tuple[str, bool]]:
    """Names in a folder, and whether each is a folder. With a descriptor of its own, since the place
    in a directory belongs to the descriptor and threads share ours."""
    try:
        own = os.open(".", _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return  # removed meanwhile
    try:
        with os.scandir(own) as found:
            for entry in found:
                yield entry.name, entry.is_dir(follow_symlinks=False)
    finally:
        os.close(own)


class _NoFile(Exception):
    """Nothing is there, or something that is no file: a link, a socket."""


#: What opening says then: nothing, no folder on the way, a symbolic link, a socket.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)


@contextmanager
def _faults(*, no_file: type[Exception] | None = None) -> Iterator[None]:
    """The disk's faults as ours: full, broken, not ours to write. Messages name no file."""
    try:
        yield
    except OSError as error:
        if no_file is not None and error.errno in _NO_FILE:
            raise no_file from error
        raise FilesUnavailable(
            f"The folder of files cannot be used: {os.strerror(error.errno or errno.EIO)}."
        ) from error
