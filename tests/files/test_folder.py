"""The folder's file store: what a crash, a full disk or a stranger in the folder leaves behind."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.adapters.folder import LINKS, FolderFiles
from shared.errors import FileMissing, FilesUnavailable, LinkExpired
from shared.files.store import PIECE_BYTES, InvalidName
from shared.records import killpoints
from tests.patience import PATIENCE_SECONDS

NOW_MS = 1_772_366_400_000
DAY_MS = 86_400_000
SECRET = b"0123456789abcdef0123456789abcdef"
NAME = "originals/t-1/a"
REPOSITORY = Path(__file__).parents[2]


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def files(root: Path, clock: Clock) -> Iterator[FolderFiles]:
    files = FolderFiles(root, SECRET, clock)
    yield files
    files.close()


def whole(files: FolderFiles, name: str = NAME) -> bytes:
    return b"".join(files.read(name))


def drafts(root: Path) -> list[Path]:
    return sorted((root / ".drafts").iterdir())


def place(root: Path, name: str = NAME) -> Path:
    """Where a file lies on the disk."""
    return root / f"{name}="


# --- crashes

#: Puts a file of 3 MiB, and dies on the way if a point is aimed at.
_PUT = """
import sys
from pathlib import Path
from shared.records import killpoints
from shared.adapters.folder import FolderFiles
killpoints.arm(Path(sys.argv[1]))
files = FolderFiles(Path(sys.argv[2]), sys.argv[3].encode())
files.put(sys.argv[4], (bytes([n]) * 2**20 for n in range(3)), "image/jpeg")
print("stored")
"""
_STORED = b"".join(bytes([n]) * 2**20 for n in range(3))


def put_by_another_process(tmp_path: Path, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PUT, str(tmp_path), str(root), SECRET.decode(), NAME],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("point", killpoints.FILE_POINTS)
def test_killed_between_any_two_steps_leaves_all_or_nothing(
    files: FolderFiles, tmp_path: Path, root: Path, clock: Clock, point: str
) -> None:
    # given a process that dies on its way
    killpoints.aim(tmp_path, point)
    died = put_by_another_process(tmp_path, root)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "")
    assert not (tmp_path / "next").exists()
    # then there is all of it or nothing, and a draft that nobody sees
    there = point == "file.linked"
    assert (files.stat(NAME) is not None) is there
    assert [each.name for each in files.list("")] == ([NAME] if there else [])
    assert len(drafts(root)) == 1
    if there:
        assert whole(files) == _STORED
    else:
        with pytest.raises(FileMissing):
            whole(files)
    # and the same again stores it
    assert put_by_another_process(tmp_path, root).stdout == "stored\n"
    assert whole(files) == _STORED
    # and the draft goes a day later, the file does not
    clock.now_ms = int(drafts(root)[0].stat().st_mtime * 1000) + DAY_MS - 60_000
    files.put("derived/a", [b"x"], "image/webp")
    assert len(drafts(root)) == 1
    clock.now_ms += 2 * 3_600_000
    files.put("derived/b", [b"x"], "image/webp")
    assert drafts(root) == []
    assert whole(files) == _STORED


def test_an_aim_that_is_no_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        killpoints.aim(tmp_path, "file.none")


@pytest.mark.parametrize("kept", [0, 1, 511, 512, 513, 512 + 2**20, -1])
def test_a_file_that_was_cut_is_none(files: FolderFiles, root: Path, kept: int) -> None:
    files.put(NAME, [_STORED], "image/jpeg")
    os.truncate(place(root), kept if kept >= 0 else place(root).stat().st_size + kept)
    assert files.stat(NAME) is None
    assert files.list("") == []
    with pytest.raises(FileMissing):
        whole(files)
    with pytest.raises(FilesUnavailable):  # and is not taken for what is being stored
        files.put(NAME, [_STORED], "image/jpeg")


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_a_file_with_one_bit_changed_never_looks_whole(files: FolderFiles, root: Path,
                                                       size: int) -> None:  # fmt: skip
    data = random.Random(size).randbytes(size)
    files.put(NAME, [data], "image/jpeg")
    with place(root).open("r+b") as file:
        file.seek(512)
        file.write(bytes([data[0] ^ 1]))
    got: list[bytes] = []
    with pytest.raises(FilesUnavailable):
        got.extend(files.read(NAME))
    assert sum(map(len, got)) < size


# --- many at once


def _race(root: Path, number: int, gate: object) -> None:
    files = FolderFiles(root, SECRET)
    gate.wait()  # type: ignore[attr-defined]
    for turn in range(20):
        name = f"originals/{turn}/a"
        files.put(name, [bytes([number]) * 50_000], f"image/x-{number}")
        # the first that was there stays, whoever it was
        first = b"".join(files.read(name))
        assert len(set(first)) == 1
        assert len(first) == 50_000
        assert b"".join(files.read(name)) == first
        about = files.stat(name)
        assert about is not None
        assert about.type == f"image/x-{first[0]}"
    files.close()


def test_of_processes_that_store_one_name_the_first_counts_for_all(root: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(4)
    racers = [context.Process(target=_race, args=(root, n, gate)) for n in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(PATIENCE_SECONDS)
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert drafts(root) == []


def test_folders_vanish_under_those_who_store_and_nothing_is_lost(files: FolderFiles,
                                                                  root: Path) -> None:  # fmt: skip
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for turn in range(60):
            name = f"incoming/t/{number}-{turn}"
            files.put(name, [b"x"], "image/jpeg")
            assert whole(files, name) == b"x"
            files.list("incoming/")
            files.delete([name])
            assert files.stat(name) is None

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert files.list("") == []
    assert [path.name for path in root.iterdir()] == [".drafts"]


# --- the disk


def test_a_full_disk_is_unavailable_and_leaves_nothing(files: FolderFiles, root: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(FilesUnavailable) as caught:
            files.put(NAME, [bytes(2**19)] * 4, "image/jpeg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert "originals" not in caught.value.message
    assert drafts(root) == []
    assert files.stat(NAME) is None


def test_a_folder_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("")
    with pytest.raises(FilesUnavailable):
        FolderFiles(tmp_path / "files", SECRET)


def test_a_weak_secret_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        FolderFiles(root, b"short")


def test_nobody_else_on_the_machine_may_read(files: FolderFiles, root: Path) -> None:
    files.put(NAME, [b"x"], "image/jpeg")
    for path in (root, *root.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


# --- strangers in the folder


def test_a_symbolic_link_is_no_file_and_no_folder(files: FolderFiles, root: Path,
                                                  tmp_path: Path) -> None:  # fmt: skip
    # given links to a file and to a folder of somebody else, both of the right form
    other = FolderFiles(tmp_path / "other", SECRET)
    other.put("originals/b", [b"secret"], "image/jpeg")
    other.close()
    outside = tmp_path / "other" / "originals"
    (root / "originals" / "t-1").mkdir(parents=True)
    place(root).symlink_to(outside / "b=")
    (root / "derived").symlink_to(outside)
    # then nothing sees them
    assert files.list("") == []
    for name in (NAME, "derived/b"):
        assert files.stat(name) is None
        with pytest.raises(FileMissing):
            whole(files, name)
        with pytest.raises(FilesUnavailable):  # nor stores through them
            files.put(name, [b"mine"], "image/jpeg")
        files.delete([name])
    # and what they lead to is untouched
    assert (outside / "b=").read_bytes().endswith(b"secret")
    assert [path.name for path in outside.iterdir()] == ["b="]


def test_what_is_no_file_is_not_listed(files: FolderFiles, root: Path) -> None:
    files.put(NAME, [b"x"], "image/jpeg")
    folder = place(root).parent
    (folder / "notes.txt").write_text("x")
    (folder / "odd name=").write_text("x")
    (folder / ".hidden=").write_text("x")
    (folder / "sub=").mkdir()
    os.mkfifo(folder / "pipe=")
    (root / "top=").write_text("x")
    (folder / "json=").write_text('{"type": 1}'.ljust(600))
    assert [each.name for each in files.list("")] == [NAME]
    for name in ("sub", "pipe", "json"):
        assert files.stat(f"originals/t-1/{name}") is None


# --- links


def token(files: FolderFiles, *, seconds: int = 60, file_name: str = "घाव.jpg") -> str:
    link = files.link(
        NAME, media_type="image/png", file_name=file_name, seconds=seconds, now_ms=NOW_MS
    )
    assert link.startswith(LINKS)
    assert set(link) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
    return link.removeprefix(LINKS)


def test_a_link_is_good_until_its_end_and_in_every_process(files: FolderFiles, root: Path,
                                                           clock: Clock) -> None:  # fmt: skip
    files.put(NAME, [b"bytes"], "image/jpeg")
    given = token(files)
    other = FolderFiles(root, SECRET, clock)
    for now_ms in (NOW_MS - DAY_MS, NOW_MS, NOW_MS + 59_999):
        opened = other.open_link(given, now_ms)
        assert opened.file == (NAME, 5, "image/png", NOW_MS)
        assert opened.file_name == "घाव.jpg"
        assert b"".join(opened.pieces) == b"bytes"
    for now_ms in (NOW_MS + 60_000, NOW_MS + DAY_MS):
        with pytest.raises(LinkExpired) as caught:
            other.open_link(given, now_ms)
        assert (caught.value.code, caught.value.status) == ("link_expired", 410)
    other.close()


def test_no_character_of_a_link_can_be_changed(files: FolderFiles) -> None:
    files.put(NAME, [b"bytes"], "image/jpeg")
    given = token(files, file_name="a.jpg")
    changed = [
        given[:at] + other + given[at + 1 :]
        for at in range(len(given))
        for other in ("A" if given[at] != "A" else "B", "-", "", ".")
        if other != given[at]
    ]
    for each in changed:
        with pytest.raises(FileMissing) as caught:
            files.open_link(each, NOW_MS)
        assert (caught.value.code, caught.value.status) == ("link_invalid", 404)


def test_a_link_of_another_making_is_invalid(files: FolderFiles, tmp_path: Path) -> None:
    files.put(NAME, [b"bytes"], "image/jpeg")
    text, _, signature = token(files).partition(".")
    said = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    said[3] += DAY_MS
    longer = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    stranger = FolderFiles(tmp_path / "stranger", b"x" * 32)
    for each in (
        *("", ".", text, f"{text}.", f".{signature}", f"{longer}.{signature}", "é.ü", "\ud800."),
        *(f"{text}.{signature}.", f"{text}.{signature}=", f" {text}.{signature}"),
        token(stranger),
    ):
        with pytest.raises(FileMissing) as caught:
            files.open_link(each, NOW_MS)
        assert caught.value.code == "link_invalid"
    stranger.close()


def test_a_link_to_a_file_that_is_gone_says_so(files: FolderFiles) -> None:
    with pytest.raises(FileMissing) as caught:
        files.open_link(token(files), NOW_MS)
    assert caught.value.code == "file_missing"


def test_a_link_to_no_name_is_never_made(files: FolderFiles) -> None:
    with pytest.raises(InvalidName):
        files.link("../x", media_type="image/png", file_name="x", seconds=1, now_ms=NOW_MS)
