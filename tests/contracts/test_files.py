"""The contract of the file store (`shared/files/store.py`), kept by a folder and by Cloud Storage.

Each test has a store of its own: a folder, or a bucket of the emulator. `open_files()` opens it once
more, as another process would.
"""

from __future__ import annotations

import hashlib
import random
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path

import pytest

from infra.local.emulators import make_bucket
from shared.adapters.folder import LINKS, FolderFiles
from shared.adapters.gcs import GcsFiles
from shared.errors import FileMissing
from shared.files.disposition import attachment
from shared.files.store import PIECE_BYTES, FileStore, InvalidName, Stored
from tests.patience import PATIENCE_SECONDS

NOW_MS = 1_772_366_400_000
SECRET = b"0123456789abcdef0123456789abcdef"
MIB = 2**20

Opener = Callable[[], FileStore]


@pytest.fixture(params=["folder", "gcs"])
def open_files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    opened: list[FileStore] = []
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    endpoint = ""
    if request.param == "gcs":
        endpoint = request.getfixturevalue("storage_emulator")
        make_bucket(endpoint.removeprefix("http://"), bucket)

    def open_one() -> FileStore:
        if endpoint:
            opened.append(GcsFiles("test", bucket, endpoint=endpoint))
        else:
            opened.append(FolderFiles(tmp_path / "files", SECRET))
        return opened[-1]

    yield open_one
    for files in opened:
        files.close()


@pytest.fixture
def files(open_files: Opener) -> FileStore:
    return open_files()


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def whole(files: FileStore, name: str) -> bytes:
    return b"".join(files.read(name))


def names(found: list[Stored]) -> list[str]:
    return [each.name for each in found]


# --- what is put is there, whole


@pytest.mark.parametrize(
    "size",
    [0, 1, 511, 512, 513, MIB - 1, MIB, MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB + 7],
)
def test_what_was_put_is_read_back_by_another_process(open_files: Opener, size: int) -> None:
    data = noise(size)
    open_files().put("originals/t/a", [data], "image/jpeg")
    pieces = list(open_files().read("originals/t/a"))
    assert hashlib.sha256(b"".join(pieces)).digest() == hashlib.sha256(data).digest()
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    about = open_files().stat("originals/t/a")
    assert about is not None
    assert about[:3] == ("originals/t/a", size, "image/jpeg")


def test_pieces_may_come_in_any_sizes(files: FileStore) -> None:
    parts = [noise(size, size) for size in (0, 1, 3 * MIB, 0, 7, 2 * MIB + 5, 0)]
    files.put("derived/a", iter(parts), "image/webp")
    assert whole(files, "derived/a") == b"".join(parts)


def test_bytes_are_not_touched(files: FileStore) -> None:
    awkward = b"\r\n--==\r\n\r\x00\xff\n" + bytes(range(256)) + b"\x1f\x8b\x08\r\n\n"
    files.put("derived/a", [awkward], "application/json")
    assert whole(files, "derived/a") == awkward


def test_when_it_was_written_is_known(files: FileStore) -> None:
    for name in ("derived/a", "derived/b"):
        files.put(name, [b"x"], "image/webp")
    first, second = files.list("derived/")
    assert first == files.stat("derived/a")
    # a moment of this century, in milliseconds, and never back in time
    assert 1_700_000_000_000 < first.written_ms <= second.written_ms < 4_000_000_000_000


def test_a_name_that_is_there_stays_as_it_is(open_files: Opener) -> None:
    open_files().put("originals/a", [b"first"], "image/jpeg")
    about = open_files().stat("originals/a")
    for again in (b"second", b"first", b""):
        open_files().put("originals/a", [again], "image/png")
    assert whole(open_files(), "originals/a") == b"first"
    assert open_files().stat("originals/a") == about


def test_of_puts_side_by_side_one_is_there_whole(open_files: Opener) -> None:
    candidates = [noise(2 * MIB + seed, seed) for seed in range(6)]

    def put(data: bytes) -> None:
        open_files().put("originals/a", [data], f"image/x-{len(data)}")

    with ThreadPoolExecutor(len(candidates)) as pool:
        list(pool.map(put, candidates))
    found = whole(open_files(), "originals/a")
    assert found in candidates
    about = open_files().stat("originals/a")
    assert about is not None
    assert (about.size, about.type) == (len(found), f"image/x-{len(found)}")


def test_a_store_is_shared_by_threads(files: FileStore) -> None:
    def work(number: int) -> bool:
        name, data = f"derived/{number % 5}/{number}", noise(200_000, number)
        files.put(name, [data], "image/webp")
        listed = names(files.list(f"derived/{number % 5}/"))
        return whole(files, name) == data and name in listed and listed == sorted(listed)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
    assert len(files.list("derived/")) == 40


class Hung(Exception):
    """The phone that sends a file is gone."""


@pytest.mark.parametrize("fault", [Hung("gone"), ConnectionResetError("gone"), ValueError("no")])
@pytest.mark.parametrize("sent", [0, 10, 5 * MIB])
def test_a_file_whose_giver_fails_is_not_there(files: FileStore, fault: Exception,
                                               sent: int) -> None:  # fmt: skip
    def broken() -> Iterator[bytes]:
        yield noise(sent)
        raise fault

    with pytest.raises(type(fault)) as caught:
        files.put("incoming/a", broken(), "image/jpeg")
    assert caught.value is fault
    assert files.stat("incoming/a") is None
    assert files.list("") == []
    with pytest.raises(FileMissing):
        whole(files, "incoming/a")
    # and the name is as free as before
    files.put("incoming/a", [b"whole"], "image/jpeg")
    assert whole(files, "incoming/a") == b"whole"


def test_a_name_is_file_and_folder_at_once(files: FileStore) -> None:
    for name in ("derived/a", "derived/a/b", "derived/a/b/c"):
        files.put(name, [name.encode()], "image/webp")
    assert [whole(files, name) for name in names(files.list("derived/a"))] == [
        b"derived/a",
        b"derived/a/b",
        b"derived/a/b/c",
    ]
    files.delete(["derived/a/b"])
    assert names(files.list("")) == ["derived/a", "derived/a/b/c"]


# --- what is not there


def test_what_is_not_there_is_missing(files: FileStore) -> None:
    assert files.stat("originals/none") is None
    pieces = files.read("originals/none")
    with pytest.raises(FileMissing) as caught:
        next(pieces)
    assert caught.value.code == "file_missing"
    assert files.list("originals/") == []


def test_deleted_is_gone_for_everybody_and_again_is_no_error(open_files: Opener) -> None:
    for name in ("incoming/a", "incoming/b", "incoming/c"):
        open_files().put(name, [b"x"], "image/jpeg")
    open_files().delete(iter(["incoming/a", "incoming/none", "incoming/c"]))
    open_files().delete(["incoming/a", "incoming/c"])
    open_files().delete([])
    assert names(open_files().list("")) == ["incoming/b"]
    assert open_files().stat("incoming/a") is None
    # a name that was deleted may be written again
    open_files().put("incoming/a", [b"again"], "image/png")
    assert whole(open_files(), "incoming/a") == b"again"


# --- names


#: not of our making: no folder, leaving the folder, hidden, absolute, other systems' ways, too long
ODD = [
    "", "a", "/a/b", "a/b/", "a//b", "../a", "a/../b", "a/..", "a/.b", "./a", ".drafts/a", "a/b..c",
    "a/b\\c", "a/b\x00", "a/b\n", "a/b c", "a/é", "a/b?", "a/b#c", "a/%2e%2e/b", "a/b=", "C:/a",
    "a/b/c/d/e/f/g", "a/" + "b" * 129, "a/" + "/".join(["b" * 100] * 4), "\ud800/a",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_reaches_nothing(files: FileStore, name: str) -> None:
    for act in (
        lambda: files.put(name, [b"x"], "image/jpeg"),
        lambda: files.read(name),
        lambda: files.stat(name),
        lambda: files.delete(["originals/a", name]),
        lambda: files.link(name, media_type="image/jpeg", file_name="a", seconds=9, now_ms=NOW_MS),
        lambda: files.session(name, "image/jpeg", 5),
        lambda: files.list("", behind=name or "/"),
    ):
        with pytest.raises(InvalidName):
            act()
    assert files.list("") == []


def test_an_odd_name_among_others_keeps_all_of_them(files: FileStore) -> None:
    files.put("originals/a", [b"x"], "image/jpeg")
    with pytest.raises(InvalidName):
        files.delete(["originals/a", "../a"])
    assert files.stat("originals/a") is not None


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", ".", "a//", "a\\", "a b", "*", "\x00"])
def test_an_odd_beginning_of_names_is_refused(files: FileStore, prefix: str) -> None:
    with pytest.raises(InvalidName):
        files.list(prefix)


@pytest.mark.parametrize(
    "media_type", ["", "image", "image/", "/jpeg", "image/jpeg; charset=x", "a/b\r\nX: y", "a/b c"]
)
def test_an_odd_media_type_is_refused(files: FileStore, media_type: str) -> None:
    for act in (
        lambda: files.put("originals/a", [b"x"], media_type),
        lambda: files.link("a/b", media_type=media_type, file_name="a", seconds=9, now_ms=NOW_MS),
        lambda: files.session("originals/a", media_type, 5),
    ):
        with pytest.raises(InvalidName):
            act()
    assert files.list("") == []


@pytest.mark.parametrize("name", ["_-/-_", "a/b.c.d", "A/a", "0/1/2/3/4/5", "a/" + "b" * 128])
def test_every_name_of_ours_is_taken(files: FileStore, name: str) -> None:
    files.put(name, [b"x"], "image/jpeg")
    assert names(files.list("")) == [name]
    assert whole(files, name) == b"x"
    files.delete([name])
    assert files.list("") == []


# --- lists


def test_lists_are_in_the_order_of_whole_names(files: FileStore) -> None:
    # characters before and after `/`, files beside folders of the same beginning
    given = ["a/b", "a-/b", "a./b", "a0/b", "a_/b", "a/b-", "a/b.c", "a/b/c", "a/b0", "aa/b", "A/b"]
    for name in given:
        files.put(name, [name.encode()], "image/webp")
    assert names(files.list("")) == sorted(given)
    for prefix in ("a", "a/", "a/b", "a/b/", "a-", "A/", "z", "a/b/c", "a/b/cd"):
        assert names(files.list(prefix)) == sorted(n for n in given if n.startswith(prefix)), prefix
    for behind in (*given, "a/a", "zz/z", "a/b/b"):
        assert names(files.list("a", behind=behind)) == sorted(
            n for n in given if n.startswith("a") and n > behind
        ), behind


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_together_are_the_list(files: FileStore, limit: int) -> None:
    given = [f"incoming/{number // 3}/{number}" for number in range(7)]
    for name in given:
        files.put(name, [name.encode()], "image/webp")
    found: list[Stored] = []
    while page := files.list("incoming/", behind=found[-1].name if found else "", limit=limit):
        assert len(page) <= limit
        found += page
    assert names(found) == sorted(given)
    assert [(each.size, each.type) for each in found] == [(len(n), "image/webp") for n in given]


# --- links


def test_a_link_leads_to_this_file_as_an_attachment(files: FileStore) -> None:
    data = noise(MIB + 3)
    files.put("originals/a", [data], "image/jpeg")
    link = files.link(
        "originals/a", media_type="image/jpeg", file_name="wound.jpg", seconds=60, now_ms=NOW_MS
    )
    if isinstance(files, FolderFiles):
        assert link.startswith(LINKS)
        opened = files.open_link(link.removeprefix(LINKS), NOW_MS)
        found, media_type, disposition = (
            b"".join(opened.pieces),
            opened.file.type,
            attachment(opened.file_name),
        )
    else:
        with urllib.request.urlopen(link, timeout=PATIENCE_SECONDS) as answer:
            found, headers = answer.read(), answer.headers
        media_type, disposition = headers["Content-Type"], headers["Content-Disposition"]
    assert found == data
    assert media_type == "image/jpeg"
    said = Message()
    said["Content-Disposition"] = disposition
    assert said.get_content_disposition() == "attachment"
    assert said.get_filename() == "wound.jpg"


@pytest.mark.parametrize("seconds", [0, -1, 7 * 86_400 + 1])
def test_a_link_lives_from_a_second_to_seven_days(files: FileStore, seconds: int) -> None:
    for good in (1, 7 * 86_400):
        assert files.link(
            "originals/a", media_type="a/b", file_name="a", seconds=good, now_ms=NOW_MS
        )
    with pytest.raises(ValueError, match="7 days"):
        files.link("originals/a", media_type="a/b", file_name="a", seconds=seconds, now_ms=NOW_MS)


# --- sessions


def test_a_session_takes_a_file_in_parts_or_there_is_none(files: FileStore) -> None:
    data = noise(512 * 1024 + 77)
    address = files.session("incoming/a", "image/jpeg", len(data), "https://app.example")
    if address is None:
        assert isinstance(files, FolderFiles)
        return
    assert files.stat("incoming/a") is None
    cut = 256 * 1024
    for start, end, status in ((0, cut, 308), (cut, len(data), 200)):
        request = urllib.request.Request(
            address,
            data[start:end],
            {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"},
            method="PUT",
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                got = answer.status
        except urllib.error.HTTPError as error:
            got = error.code
        assert got == status
    assert whole(files, "incoming/a") == data
    about = files.stat("incoming/a")
    assert about is not None
    assert (about.size, about.type) == (len(data), "image/jpeg")
