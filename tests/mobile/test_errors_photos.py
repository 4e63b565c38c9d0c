"""The kit's photos against a server that answers as told; `test_photos.py` has the real one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mobile import BatchPhone
from tests.mobile.test_errors import Answer, Asked, Scripted, batch_answer, error
from tests.mobile.test_errors import batch as batch
from tests.mobile.test_errors import server as server
from tests.tables import table
from tests.test_docs import API, GUIDE

pytestmark = pytest.mark.proof

Json = dict[str, Any]

KIB = 1024
SIZE = 200 * KIB

#: What a server says of a piece: how many bytes are there, or another answer.
Say = Callable[[Asked, int], Answer | None]


class Takes:
    """A server that takes photos. `say` may answer a piece in another way."""

    def __init__(self, server: Scripted, say: Say = lambda _asked, _have: None) -> None:
        self.say = say
        self.have: dict[str, int] = {}
        self.ready: Json = {"state": "ready", "quality": {"verdict": "good", "reasons": []}}
        self.ranges: list[str] = []
        self.tickets = 0
        server.reply = self.reply

    def file(self, name: str, total: int) -> Json:
        have = self.have.setdefault(name, 0)
        known = {"id": name, "bytes": total, "sha256": None}
        if have == total:
            return {**known, **self.ready}
        return {**known, "state": "upload", "upload": {"url": "…", "offset": have}}

    def reply(self, asked: Asked) -> Answer:
        if asked.path == "/api/sync":
            return batch_answer(asked)
        if asked.path == "/api/v1/files":
            self.tickets += 1
            files = [
                {**each, **self.file(each["key"], each["bytes"]), "sha256": each["sha256"]}
                for each in asked.value()["files"]
            ]
            return 200, {"files": files}
        name = asked.path.split("/")[4]
        said = asked.headers["Content-Range"]
        self.ranges.append(said)
        total = int(said.rpartition("/")[2])
        if (other := self.say(asked, self.have[name])) is not None:
            return other
        if found := re.fullmatch(r"bytes (\d+)-(\d+)/\d+", said):
            first, last = int(found[1]), int(found[2])
            assert len(asked.body) == last + 1 - first
            if first <= self.have[name]:
                self.have[name] = max(self.have[name], last + 1)
        file = self.file(name, total)
        return (308 if file["state"] == "upload" else 200), file


@pytest.fixture
def take(batch: BatchPhone, tmp_path: Path) -> Callable[..., None]:
    def taken(key: str = "a.jpg", size: int = SIZE) -> None:
        file = tmp_path / key
        file.write_bytes(key.encode()[:1] * size)
        batch.take("c1", key, file)

    return taken


def sizes(ranges: list[str]) -> list[int]:
    """How long the pieces were; 0 is a question."""
    found = []
    for each in ranges:
        first, dash, last = each.removeprefix("bytes ").partition("/")[0].partition("-")
        found.append(int(last) + 1 - int(first) if dash else 0)
    return found


def test_the_table_says_what_send_says(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    for number, (code, status, said, _) in enumerate(table(GUIDE, "photo error code")):
        if said == "–":
            continue
        name, answer = code.strip("`"), (int(status), error(code.strip("`")))
        takes = Takes(server, lambda _asked, _have, answer=answer: answer)
        take(f"{number}.jpg")
        assert batch.send()["next"] == said.strip("`"), name
        [kept] = batch.photos()
        assert kept["state"] in ("new", "upload")
        # when the fault has passed, the photo goes
        server.reply, takes.say = takes.reply, lambda _asked, _have: None
        assert batch.send()["next"] == "rest"
        assert batch.photos() == []


def test_a_wait_is_kept_and_what_was_sent_stays(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    busy = 503, error("files_unavailable"), {"Retry-After": "400"}
    takes = Takes(server, lambda _asked, have: busy if have else None)
    take()
    said = batch.send()
    assert said["next"] == "retry"
    assert 400 <= said["seconds"] <= 700
    takes.say = lambda _asked, _have: None
    takes.ranges.clear()
    assert batch.send()["next"] == "rest"
    assert takes.ranges[:2] == [f"bytes */{SIZE}", f"bytes {64 * KIB}-{192 * KIB - 1}/{SIZE}"]


def test_an_expired_token_is_refreshed_in_the_middle(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    def say(asked: Asked, have: int) -> Answer | None:
        fresh = asked.headers["Authorization"] == "Bearer second"
        return (401, error("token_expired")) if have and not fresh else None

    takes = Takes(server, say)
    take()
    assert batch.send()["next"] == "rest"
    assert sizes(takes.ranges) == [64 * KIB, 128 * KIB, 128 * KIB, 8 * KIB]
    takes.say = lambda _asked, _have: (401, error("token_invalid"))
    take("b.jpg")
    assert batch.send()["next"] == "log_in"
    assert len(batch.photos()) == 1


def test_an_upload_that_expired_begins_anew_with_a_new_ticket(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    gone = [(410, error("upload_expired"))]

    def say(_asked: Asked, have: int) -> Answer | None:
        if not have or not gone:
            return None
        takes.have["a.jpg"] = 0
        return gone.pop()

    takes = Takes(server, say)
    take()
    assert batch.send()["next"] == "rest"
    assert takes.tickets == 2
    assert sum(sizes(takes.ranges)) == SIZE + 64 * KIB + 128 * KIB


def test_pieces_halve_after_breaks_and_grow_slowly_again(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    cut = 200, b'{"id": "a.j'
    takes = Takes(server, lambda asked, _have: cut if asked.body else None)
    take()
    assert batch.send()["next"] == "retry"
    # the whole of a piece may be lost with a break: three times nothing new, then it waits
    assert sizes(takes.ranges) == [64 * KIB, 0, 32 * KIB, 0, 16 * KIB, 0, 16 * KIB]
    takes.say = lambda _asked, _have: None
    takes.ranges.clear()
    assert batch.send()["next"] == "rest"
    assert sizes(takes.ranges) == [0, *(KIB * size for size in (16, 32, 48, 64, 40))]


def test_a_server_that_keeps_nothing_is_left_alone_for_a_while(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    takes = Takes(server)
    takes.say = lambda _asked, _have: (308, takes.file("a.jpg", SIZE))
    take()
    assert batch.send()["next"] == "retry"
    assert len(takes.ranges) < 30
    assert len(batch.photos()) == 1


def test_a_photo_that_cannot_be_sent_holds_up_no_other(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    def say(asked: Asked, _have: int) -> Answer | None:
        return (500, error("internal")) if "a.jpg" in asked.path else None

    Takes(server, say)
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        take(key)
    said = batch.send()
    assert (said["next"], said["code"]) == ("retry", "internal")
    assert [each["key"] for each in batch.photos()] == ["a.jpg"]
    assert [each["key"] for each in batch.settled()] == ["b.jpg", "c.jpg"]


def test_many_photos_are_asked_for_in_parts(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    takes = Takes(server)
    for number in range(60):
        take(f"{number}.jpg", 10)
    batch.sync()
    [sync] = server.asked
    assert len(sync.value()["files"]) == 50
    assert batch.send()["next"] == "rest"
    assert takes.tickets == 2
    assert len(batch.settled()) == 60


def test_advice_to_take_the_photo_again_reaches_the_user(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    takes = Takes(server)
    quality = {"verdict": "retake", "reasons": ["blurred", "too_dark"]}
    takes.ready = {"state": "ready", "quality": quality}
    take()
    assert batch.send()["next"] == "rest"
    assert [told["quality"] for told in batch.settled()] == [quality]


def test_a_photo_that_a_picker_calls_by_another_type_is_sent_again_as_what_it_is(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    takes = Takes(server)
    takes.ready = {"state": "refused", "code": "wrong_type", "message": "…", "found": "image/heic"}
    take()
    batch.send()
    said = [
        each.value()["files"][0]["type"] for each in server.asked if each.path == "/api/v1/files"
    ]
    assert said[:2] == ["image/jpeg", "image/heic"]
    # and if that is refused too it is kept, and told
    [kept] = batch.photos()
    assert (kept["state"], kept["code"]) == ("refused", "wrong_type")


def test_what_the_server_will_not_take_is_told_with_its_code(
    server: Scripted, batch: BatchPhone, take: Callable[..., None]
) -> None:
    def reply(asked: Asked) -> Answer:
        refused = [
            {**{name: each[name] for name in ("table", "record_id", "key")}, "error": said}
            for each in asked.value()["files"]
            for said in [{"code": each["key"].partition(".")[0], "message": "…"}]
        ]
        return 200, {"files": refused}

    server.reply = reply
    codes = [row[0].strip("`") for row in table(API, "file code")]
    for code in codes:
        take(f"{code}.jpg", 10)
    for _ in range(3):
        batch.send()
    told = {each["code"] for each in batch.settled()}
    later = {"unknown_record", "too_many_at_once"}  # these only need time
    assert told == set(codes) - later
    assert len(batch.settled()) == len(told)
    assert {each["message"] for each in batch.settled()} == {"…"}
    asked = {each["key"] for each in json.loads(server.asked[-1].body)["files"]}
    assert asked == {f"{code}.jpg" for code in later}
    assert {each["code"] for each in batch.photos() if each["state"] == "refused"} == told
