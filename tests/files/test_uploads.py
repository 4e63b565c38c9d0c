"""Uploads: every way in which a bad network can deliver a photo, and what is refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.access.membership import Caller
from shared.errors import (
    FilesUnavailable,
    InvalidRequest,
    NotFound,
    UploadExpired,
    UploadIncomplete,
)
from shared.files.file import REFUSALS
from shared.files.tickets import MOST_ASKED, MOST_REFUSED, Tickets
from shared.files.uploads import LEAST_PIECE, ByteRange, parse_range
from shared.records.store import RecordStore, Write
from tests import stores
from tests.files.conftest import DAY_MS, KEEP_MS, Json, Studio, photo
from tests.files.generated import encoded
from tests.files.generated import photo as lesion

PHOTO = photo(1)


def test_a_photo_sent_whole_becomes_ready_with_its_derivatives(studio: Studio) -> None:
    studio.note("a.jpg")
    found = studio.send(PHOTO)
    assert (found["state"], found["width"], found["height"]) == ("ready", 960, 720)
    assert found["quality"]["verdict"] in ("good", "retake")
    blob = studio.blob(found)
    stem = f"{blob.key.id}/{blob.fields['upload']}"
    sealed = f"originals/{stem}/original"
    assert b"".join(studio.files.read(sealed)) == PHOTO
    for edge in (896, 448):
        small = b"".join(studio.files.read(f"derived/{stem}/{edge}"))
        assert b"Amina" not in small
        assert hashlib.sha256(small).hexdigest() == blob.fields["derived"][str(edge)]["sha256"]
    assert studio.fields("notes", "c1")["picture_urls"] == [f"/api/v1/files/{found['id']}"]


def test_a_cut_every_100_kb_costs_less_than_a_tenth_more(studio: Studio) -> None:
    data = photo(2, (2600, 2000), 92)
    assert len(data) > 800_000
    studio.note("a.jpg")
    ticket = studio.ask(data)
    sent = offset = 0
    progress = None
    while offset < len(data):
        # Every connection breaks somewhere about its 100,000th byte, in the middle of anything.
        cut = 100_000 - len(data) % 777
        progress = studio.piece(ticket, data, offset, cut=cut)
        sent += min(cut, len(data) - offset)
        offset = progress.received
    assert progress is not None
    assert studio.check(progress) == "done"
    assert studio.uploads.look(studio.caller, ticket["id"]).value()["state"] == "ready"
    assert sent <= 1.1 * len(data)


@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # an example costs a second: too dear to shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_pieces_cut_repeated_overlapping_and_out_of_order_give_the_photo(
    studio: Studio, data: st.DataObject
) -> None:
    body = PHOTO + os.urandom(60_000)  # JPEG readers pass over what follows the end
    key = hashlib.sha256(body).hexdigest()[:20]
    if studio.get("notes", "c1") is None:
        studio.note("a.jpg")
    ticket = studio.ask(body, key)
    progress = studio.uploads.look(studio.caller, ticket["id"])
    for _ in range(30):
        first = data.draw(st.integers(0, len(body) - 1))
        last = data.draw(st.integers(first, len(body) - 1))
        cut = data.draw(st.one_of(st.none(), st.integers(0, len(body))))
        before = progress.received
        progress = studio.piece(ticket, body, first, last, cut=cut)
        assert progress.received >= before
    while progress.received < len(body):
        progress = studio.piece(ticket, body, progress.received)
    assert studio.check(progress) == "done"
    found = studio.uploads.look(studio.caller, ticket["id"]).value()
    assert (found["state"], found["sha256"]) == ("ready", hashlib.sha256(body).hexdigest())


def test_an_overlap_is_passed_over(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    assert studio.piece(ticket, PHOTO, 0, 29_999).received == 30_000
    assert studio.piece(ticket, PHOTO, 10_000, 39_999).received == 40_000
    assert studio.check(studio.piece(ticket, PHOTO, 20_000)) == "done"
    assert studio.uploads.look(studio.caller, ticket["id"]).value()["state"] == "ready"


def test_a_question_says_how_far_an_upload_is(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    studio.piece(ticket, PHOTO, 0, 19_999)
    span = parse_range(f"bytes */{len(PHOTO)}", 0)
    assert span is not None
    progress = studio.uploads.receive(studio.caller, ticket["id"], span, iter(()), studio.time)
    assert progress.received == 20_000
    assert studio.ask(PHOTO)["upload"]["offset"] == 20_000


def test_what_broke_off_early_is_not_kept_as_an_object_of_its_own(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    assert studio.piece(ticket, PHOTO, cut=LEAST_PIECE - 1).received == 0
    assert studio.objects() == []
    assert studio.piece(ticket, PHOTO, cut=LEAST_PIECE).received == LEAST_PIECE


def test_a_repeated_end_is_answered_like_the_first(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    first, again = studio.piece(ticket, PHOTO), studio.piece(ticket, PHOTO)
    assert first.job_id == again.job_id
    studio.check(first)
    assert studio.piece(ticket, PHOTO).value()["state"] == "ready"
    assert (
        studio.uploads.complete(studio.caller, ticket["id"], studio.time).value()["state"]
        == "ready"
    )
    assert len(studio.jobs("images")) == 1


class Race:
    """Two phones send the same photo in turns that a test chooses: at every commit of the first."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act, self.done = act, False

    def __call__(self, writes: Sequence[Write]) -> None:
        if not self.done and any(write.key.collection == "blobs" for write in writes):
            self.done = True
            self.act()


@pytest.mark.parametrize("last", [29_999, None])
def test_two_phones_that_send_one_photo_at_once_make_one(studio: Studio, last: int | None) -> None:
    # given two phones of the team with the same photo under two keys
    studio.join("member2")
    other = Caller("member2", "member", "member2-phone")
    studio.note("a.jpg", "b.jpg")
    mine, theirs = studio.ask(PHOTO), studio.ask(PHOTO, "b.jpg", caller=other)
    # when the second one's piece gets in just before the first one's is stored
    racing = stores.Interrupted(
        studio.store, before=Race(lambda: studio.piece(theirs, PHOTO, 0, last, caller=other))
    )
    progress = studio.with_parts(racing).piece(mine, PHOTO, 0, 39_999)
    assert progress.received == (30_000 if last else len(PHOTO))
    assert len(studio.objects()) == len(studio.blob(mine).fields["pieces"])
    if last:
        progress = studio.piece(theirs, PHOTO, 30_000, caller=other)
    assert studio.check(progress) == "done"
    # then both files show one blob, whose bytes are stored once
    assert [each.fields["state"] for each in studio.documents("files")] == ["ready"] * 2
    assert len(studio.documents("blobs")) == 1
    assert sum(name.startswith("originals/") for name in studio.objects()) == 1


def test_a_photo_that_the_team_has_is_sent_by_nobody_again(studio: Studio) -> None:
    studio.note("a.jpg", "b.jpg")
    studio.send(PHOTO)
    again = studio.ask(PHOTO, "b.jpg")
    assert again["state"] == "ready"
    assert "upload" not in again
    urls = studio.fields("notes", "c1")["picture_urls"]
    assert urls[1] == f"/api/v1/files/{again['id']}"


def test_another_team_learns_nothing_of_a_photo(studio: Studio) -> None:
    studio.note("a.jpg")
    ready = studio.send(PHOTO)
    studio.join("member9", "team9")
    stranger = Caller("member9", "member", "phone9")
    phone = studio.phone("member9")
    phone.save("notebooks", "p9", at=1000)
    phone.save("notes", "c9", at=1000, notebook_id="p9")
    phone.sync()
    assert studio.ask(PHOTO, "x.jpg", "c9", caller=stranger)["state"] == "upload"
    assert studio.ask(PHOTO, "x.jpg", "c1", caller=stranger)["error"]["code"] == "unknown_record"
    for call in (
        lambda: studio.uploads.look(stranger, ready["id"]),
        lambda: studio.piece(ready, PHOTO, caller=stranger),
        lambda: studio.uploads.complete(stranger, ready["id"], studio.time),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_file_of_another_hash_is_refused_and_may_be_sent_again(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    wrong = bytes(reversed(PHOTO))
    studio.check(studio.piece(ticket, wrong))
    found = studio.uploads.look(studio.caller, ticket["id"]).value()
    assert (found["state"], found["code"]) == ("refused", "wrong_hash")
    assert not any(name.startswith(("originals", "derived")) for name in studio.objects())
    assert studio.ask(PHOTO)["upload"]["offset"] == 0
    assert studio.send(PHOTO)["state"] == "ready"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<html><script>alert(1)</script></html>" * 300, "wrong_type"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>' * 300, "wrong_type"),
        (b"PK\x03\x04" + bytes(9000), "wrong_type"),
        (PHOTO[: PHOTO.index(b"\xff\xda")].ljust(9000, b"\x00"), "broken_file"),
        (b"\xff\xd8\xff\xe0" + bytes(9000), "broken_file"),
    ],
    ids=["html", "svg", "zip", "the head of a photo", "no photo"],
)
def test_what_is_no_photo_is_refused_for_good_and_nothing_of_it_is_shown(
    studio: Studio, content: bytes, code: str
) -> None:
    studio.note("a.jpg")
    found = studio.send(content)
    assert (found["state"], found["code"]) == ("refused", code)
    assert studio.ask(content)["state"] == "refused"
    assert not any(name.startswith(("originals", "derived")) for name in studio.objects())
    studio.time += 2 * 3_600_000
    studio.cleaner.clean(studio.time)
    assert studio.objects() == []
    # the summary does not wait for a photo that will not come
    assert studio.job()["state"] == "queued"


def test_a_photo_that_breaks_off_is_kept_and_says_so(studio: Studio) -> None:
    studio.note("a.jpg", "b.jpg")
    half = studio.send(PHOTO[: len(PHOTO) // 2])
    assert (half["state"], half["incomplete"]) == ("ready", True)
    assert (half["quality"]["verdict"], half["quality"]["reasons"][0]) == ("retake", "incomplete")
    assert studio.fields("notes", "c1")["picture_urls"] == [f"/api/v1/files/{half['id']}"]
    whole = studio.send(PHOTO[:-2], "b.jpg")
    assert (whole["state"], whole["incomplete"]) == ("ready", False)


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"table": "notebooks"}, "unknown_table", "table"),
        ({"table": ["notes"]}, "unknown_table", "table"),
        ({"record_id": "../../etc"}, "invalid_id", "record_id"),
        ({"record_id": "nobody"}, "unknown_record", "record_id"),
        ({"key": ""}, "wrong_type", "key"),
        ({"key": "x" * 1025}, "wrong_type", "key"),
        ({"key": "nul\0"}, "wrong_type", "key"),
        ({"name": 5}, "wrong_type", "name"),
        ({"type": "image/svg+xml"}, "type_not_allowed", "type"),
        ({"type": None}, "type_not_allowed", "type"),
        ({"bytes": 0}, "empty_file", "bytes"),
        ({"bytes": -1}, "wrong_type", "bytes"),
        ({"bytes": True}, "wrong_type", "bytes"),
        ({"bytes": 11 * 2**20}, "file_too_large", "bytes"),
        ({"sha256": "A" * 64}, "invalid_sha256", "sha256"),
        ({"sha256": None}, "invalid_sha256", "sha256"),
    ],
)
def test_a_crooked_ask_is_answered_by_itself(
    studio: Studio, wrong: dict[str, object], code: str, field: str
) -> None:
    studio.note("a.jpg")
    good = {
        "table": "notes",
        "record_id": "c1",
        "key": "a.jpg",
        "type": "image/jpeg",
        "bytes": len(PHOTO),
        "sha256": hashlib.sha256(PHOTO).hexdigest(),
    }
    answers = studio.asks([{**good, **wrong}, "no object", good])
    assert (answers[0]["error"]["code"], answers[0]["error"]["field"]) == (code, field)
    assert answers[1]["error"]["code"] == "wrong_type"
    assert answers[2]["state"] == "upload"


#: No photo.
OTHER = b"PK" * 5000


def announced(data: bytes = PHOTO, **more: object) -> Json:
    """A photo of the note c1 as a phone announces it."""
    sha256 = hashlib.sha256(data).hexdigest()
    asked = {"table": "notes", "record_id": "c1", "key": "a.jpg", "name": "Wunde links"}
    return {**asked, "type": "image/jpeg", "bytes": len(data), "sha256": sha256, **more}


@pytest.mark.parametrize(
    "said",
    ["image/jpg", "IMAGE/JPEG", " image/jpeg ", "Image/Jpg", "image/jpeg; charset=binary"],
)
def test_a_type_is_understood_as_phones_write_it(studio: Studio, said: str) -> None:
    # element-hq/riot-android#3435, FullScreenImage-Cordova-Plugin#20
    studio.note("a.jpg")
    found = studio.send(PHOTO, type=said)
    assert (found["state"], found["type"]) == ("ready", "image/jpeg")
    # and it is the same photo for a phone that says it otherwise
    assert studio.ask(PHOTO)["state"] == "ready"


@pytest.mark.parametrize("said", ["image/heif", "image/heic", "IMAGE/HEIF", "image/heic-sequence"])
def test_heic_is_taken_under_each_of_its_names(studio: Studio, said: str) -> None:
    # uppy#1604, react-native-image-crop-picker#792
    studio.note("a.heic")
    data = encoded(lesion(size=(320, 240)), "image/heic")
    found = studio.send(data, "a.heic", type=said)
    assert (found["state"], found["type"]) == ("ready", "image/heic")


def test_a_heic_that_is_called_a_jpeg_is_refused_and_taken_under_the_type_that_it_has(
    studio: Studio,
) -> None:
    # react-native-image-picker#2009
    studio.note("a.jpg")
    data = encoded(lesion(size=(320, 240)), "image/heic")
    found = studio.send(data)
    assert (found["state"], found["code"], found["found"]) == (
        "refused",
        "wrong_type",
        "image/heic",
    )
    assert studio.send(data, type=found["found"])["state"] == "ready"
    assert "found" not in studio.send(OTHER, "b.jpg")


def test_the_name_of_a_file_says_nothing_of_what_it_is(studio: Studio) -> None:
    studio.note("photo.HEIC")
    (ticket,) = studio.asks([announced(key="photo.HEIC", name="photo.png")])
    studio.check(studio.piece(ticket, PHOTO))
    found = studio.ask(PHOTO, "photo.HEIC")
    assert (found["state"], found["name"]) == ("ready", "photo.png")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"bytes": 0}, "empty_file"),  # MediaPlugin#66, nextcloud/android#1295, getodk#54
        ({"bytes": 11 * 2**20}, "file_too_large"),
        ({"type": "image/gif"}, "type_not_allowed"),
        ({"type": None}, "type_not_allowed"),
        ({"sha256": "F" * 64}, "invalid_sha256"),
        ({"bytes": "many", "sha256": 5}, "wrong_type"),
    ],
)
def test_a_photo_that_is_refused_unseen_is_told_to_its_record(
    studio: Studio, said: Json, code: str
) -> None:
    # given a red note that waits for its photo
    studio.note("a.jpg")
    # when the photo cannot be taken
    (answer,) = studio.asks([announced(**said)])
    assert answer["error"]["code"] == code
    # then the note does not wait for it, and whoever asks hears what became of it and why
    assert studio.job()["state"] == "queued"
    found = studio.uploads.look(studio.caller, answer["id"]).value()
    assert (found["state"], found["code"], found["key"]) == ("refused", code, "a.jpg")
    assert found["name"] == "Wunde links"
    assert found["message"] == REFUSALS[code]
    # and asking again changes nothing
    before = studio.get("files", answer["id"])
    assert studio.asks([announced(**said)])[0]["id"] == answer["id"]
    assert studio.get("files", answer["id"]) == before
    # and the photo that was made good is taken
    assert studio.send(PHOTO)["state"] == "ready"


def test_a_refusal_does_not_take_the_place_of_a_photo(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    assert "id" not in studio.ask(PHOTO, bytes=0)
    studio.check(studio.piece(ticket, PHOTO))
    assert "id" not in studio.ask(PHOTO, bytes=0)
    assert studio.fields("files", ticket["id"])["state"] == "ready"


def test_a_refusal_is_kept_only_by_whom_the_record_may_be_written(studio: Studio) -> None:
    studio.note("a.jpg")
    studio.join("doc", role="doctor")
    studio.join("other", "team2")
    for user, role in (("doc", "doctor"), ("other", "member")):
        caller = Caller(user, role, "x")
        assert "id" not in studio.ask(PHOTO, caller=caller, bytes=0)
    assert studio.ask(PHOTO, bytes=0, record_id="nowhere").keys() == {
        "table",
        "record_id",
        "key",
        "error",
    }
    assert studio.documents("files") == []


def test_a_refused_photo_says_its_name_and_why(studio: Studio) -> None:
    studio.note("a.jpg")
    (ticket,) = studio.asks([announced(OTHER)])
    studio.check(studio.piece(ticket, OTHER))
    found = studio.uploads.look(studio.caller, ticket["id"]).value()
    assert (found["key"], found["name"], found["code"]) == ("a.jpg", "Wunde links", "wrong_type")
    assert "no photo" in found["message"]
    assert studio.ask(OTHER)["message"] == found["message"]


def test_a_photo_that_is_announced_twice_counts_where_it_makes_sense(studio: Studio) -> None:
    studio.note("a.jpg")
    refused, ticket = studio.asks([announced(bytes=0), announced()])
    assert (refused["error"]["code"], ticket["state"]) == ("empty_file", "upload")
    assert studio.job()["state"] == "awaiting_files"


@pytest.mark.parametrize("files", [{}, "x", 5, True, {"0": {}}, 1.5])
def test_a_list_along_with_a_sync_that_is_none_is_left_out_and_noted(
    studio: Studio, files: object
) -> None:
    assert studio.tickets.announced(files) == ([], "files_no_list")


def test_nonsense_among_announced_photos_holds_up_no_other(studio: Studio) -> None:
    studio.note("a.jpg", "b.jpg")
    good = announced()
    deep: list[object] = []
    for _ in range(50):
        deep = [deep]
    nonsense = [
        None, 5, "a.jpg", [], [good], {}, deep, float("inf"),
        {**good, "table": []}, {**good, "record_id": {}}, {**good, "key": 7},
        {**good, "key": "\ud800"}, {**good, "key": "b.jpg", "type": ["image/jpeg"]},
        {**good, "bytes": float("nan")}, {**good, "sha256": None}, {"key": "\udfff"},
    ]  # fmt: skip
    found = studio.tickets.announced([*nonsense, good])
    assert found is not None
    assert found.note is None
    answers = studio.tickets.ask(studio.caller, found.asks, studio.time).answers
    assert len(answers) == len(nonsense) + 1
    assert all(each["error"]["code"] and each["error"]["message"] for each in answers[:-1])
    assert [each["error"].get("field") for each in answers[8:11]] == ["table", "record_id", "key"]
    assert (answers[-1]["state"], answers[-1]["key"]) == ("upload", "a.jpg")
    orjson.dumps(answers)


def test_an_announcement_that_is_too_long_is_answered_as_far_as_it_goes(studio: Studio) -> None:
    studio.note()
    many = [announced(key=f"{number}.jpg") for number in range(MOST_ASKED + 10)]
    found = studio.tickets.announced([*many, *[5] * 100_000])
    assert found is not None
    assert found.note == "too_many_at_once"
    answers = studio.tickets.ask(studio.caller, found.asks, studio.time).answers
    assert [each.get("state") for each in answers[:MOST_ASKED]] == ["upload"] * MOST_ASKED
    assert answers[MOST_ASKED]["error"]["code"] == "too_many_at_once"
    assert answers[MOST_ASKED]["key"] == f"{MOST_ASKED}.jpg"
    assert len(answers) == 10 * MOST_ASKED


def test_a_sync_that_announces_nothing_asks_nothing(studio: Studio) -> None:
    assert studio.tickets.announced(None) is None
    assert studio.tickets.announced([]) == ([], None)


def test_a_list_that_is_none_or_too_long_is_refused_whole(studio: Studio) -> None:
    for files in ({}, [{}] * 51):
        with pytest.raises(InvalidRequest) as caught:
            studio.asks(files)
        assert (caught.value.code, caught.value.field) == ("invalid_request", "files")


def test_a_record_may_have_so_many_files(studio: Studio) -> None:
    studio.note("a.jpg")
    for start in (0, 50):
        asked = [
            {
                "table": "notes",
                "record_id": "c1",
                "key": f"{number}.jpg",
                "type": "image/jpeg",
                "bytes": 9,
                "sha256": f"{number:064x}",
            }
            for number in range(start, start + 50)
        ]
        assert {each["state"] for each in studio.asks(asked)} == {"upload"}
    assert studio.ask(PHOTO)["error"]["code"] == "too_many_files"


def test_a_refused_file_takes_no_place_of_another(studio: Studio) -> None:
    studio.note("a.jpg")
    studio.tickets._attachments = {"notes": replace(studio.attachments["notes"], most=2)}
    # refused before a byte came, and for what its bytes are
    assert studio.ask(PHOTO, "typed.exe", type="text/plain")["error"]["code"] == "type_not_allowed"
    broken = b"no photo" * 2000
    assert studio.send(broken, "broken.jpg")["state"] == "refused"
    assert studio.send(photo(2), "b.jpg")["state"] == "ready"
    assert studio.send(photo(3), "c.jpg")["state"] == "ready"
    # those that are ready fill the record; one that was refused does not slip in under its own key
    for key in ("d.jpg", "typed.exe"):
        assert studio.ask(PHOTO, key)["error"]["code"] == "too_many_files"
    # what was refused says so still
    assert studio.ask(broken, "broken.jpg")["state"] == "refused"
    assert studio.ask(broken, "again.jpg")["state"] == "refused"


def test_a_table_may_say_how_large_its_files_are(studio: Studio) -> None:
    studio.note("a.jpg")
    for most, size, code in ((20 << 20, 15 << 20, None), (1 << 20, 2 << 20, "file_too_large")):
        own = replace(studio.attachments["notes"], most_bytes=most)
        studio.tickets._attachments = {"notes": own}
        said = studio.ask(PHOTO, f"{most}.jpg", bytes=size, sha256=f"{most:064x}")
        assert said.get("error", {}).get("code") == code


def test_refused_files_of_a_record_have_a_bound(studio: Studio) -> None:
    studio.note("a.jpg")
    studio.tickets._attachments = {"notes": replace(studio.attachments["notes"], most=1)}
    for number in range(MOST_REFUSED + 3):
        said = studio.ask(PHOTO, f"{number}.exe", type="text/plain")
        assert ("id" in said) == (number < MOST_REFUSED + 1), number
    assert studio.ask(PHOTO, "0.exe")["state"] == "upload"


def test_a_new_photo_under_the_key_of_a_ready_one_is_refused(studio: Studio) -> None:
    studio.note("a.jpg")
    studio.send(PHOTO)
    assert studio.ask(photo(3))["error"]["code"] == "key_in_use"


def test_a_photo_that_never_came_may_be_replaced_under_its_key(studio: Studio) -> None:
    studio.note("a.jpg")
    studio.piece(studio.ask(PHOTO), PHOTO, 0, 19_999)
    assert studio.send(photo(3))["state"] == "ready"


def test_a_doctor_looks_and_does_not_send(studio: Studio) -> None:
    studio.join("doc", role="doctor")
    doctor = Caller("doc", "doctor", "desk")
    studio.note("a.jpg")
    found = studio.send(PHOTO)
    assert studio.uploads.look(doctor, found["id"]).value()["state"] == "ready"
    assert studio.ask(PHOTO, "b.jpg", caller=doctor)["error"]["code"] == "not_allowed"


def test_who_does_not_write_a_table_adds_no_files_to_its_records(studio: Studio) -> None:
    studio.note("a.jpg")
    of_bosses = tuple(
        replace(each, writers=frozenset({"supervisor"})) for each in studio.catalog.collections
    )
    strict = Tickets(
        studio.store,
        studio.attachments,
        replace(studio.catalog, collections=of_bosses),
        most_bytes=10 * 2**20,
        keep_ms=KEEP_MS,
    )
    studio.tickets = strict
    assert studio.ask(PHOTO)["error"]["code"] == "not_allowed"
    studio.join("boss", role="supervisor")
    boss = Caller("boss", "supervisor", "desk")
    assert "error" not in studio.ask(PHOTO, caller=boss)


def test_an_upload_that_rests_too_long_is_gone_and_a_new_ticket_opens_it(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    studio.piece(ticket, PHOTO, 0, 29_999)
    studio.time += KEEP_MS + 1
    with pytest.raises(UploadExpired):
        studio.piece(ticket, PHOTO, 30_000)
    studio.cleaner.clean(studio.time)
    assert studio.objects() == []
    with pytest.raises(UploadExpired):
        studio.piece(ticket, PHOTO)
    assert studio.ask(PHOTO)["upload"]["offset"] == 0
    assert studio.send(PHOTO)["state"] == "ready"


def test_a_piece_of_an_upload_that_was_opened_anew_meanwhile_is_not_mixed_in(
    studio: Studio,
) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)

    def anew() -> None:
        studio.time += KEEP_MS + 1
        studio.cleaner.clean(studio.time)
        studio.ask(PHOTO)

    racing = stores.Interrupted(studio.store, before=Race(anew))
    progress = studio.with_parts(racing).piece(ticket, PHOTO, 0, 29_999)
    assert progress.received == 0
    assert studio.objects() == []
    assert studio.send(PHOTO)["state"] == "ready"


@pytest.mark.parametrize(
    ("text", "length", "span"),
    [
        ("bytes 0-9/10", 10, ByteRange(0, 9, 10)),
        ("bytes */10", 0, ByteRange(0, -1, 10)),
        (None, 10, ByteRange(0, 9, 10)),
        (None, None, None),
        (None, 0, None),
    ],
)
def test_ranges(text: str | None, length: int | None, span: ByteRange | None) -> None:
    assert parse_range(text, length) == span


@pytest.mark.parametrize(
    "text",
    ["bytes 5-4/10", "bytes 0-10/10", "bytes 0-9", "0-9/10", "bytes -1-9/10", "bytes 0-9/*", ""],
)
def test_crooked_ranges_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_range(text, 10)
    assert (caught.value.code, caught.value.field) == ("invalid_range", "Content-Range")


def test_another_total_than_announced_is_refused(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    with pytest.raises(InvalidRequest) as caught:
        studio.piece(ticket, PHOTO + b"more")
    assert caught.value.code == "wrong_size"


def test_completing_what_is_not_whole_says_what_is_missing(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    studio.piece(ticket, PHOTO, 0, 19_999)
    with pytest.raises(UploadIncomplete) as caught:
        studio.uploads.complete(studio.caller, ticket["id"], studio.time)
    assert caught.value.body("r")["offset"] == 20_000


def test_a_file_that_went_to_the_file_store_itself_is_checked_like_any_other(
    studio: Studio,
) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)
    blob = studio.blob(ticket)
    name = f"incoming/{blob.key.id}/{blob.fields['upload']}/direct"
    studio.files.put(name, [PHOTO], "image/jpeg")
    progress = studio.uploads.complete(studio.caller, ticket["id"], studio.time)
    assert studio.check(progress) == "done"
    assert studio.uploads.look(studio.caller, ticket["id"]).value()["state"] == "ready"


@pytest.mark.parametrize("name", ["x" * 32, "..", "", "a/b", "A" * 32])
def test_no_id_of_a_file_leads_anywhere_else(studio: Studio, name: str) -> None:
    with pytest.raises(NotFound):
        studio.uploads.look(studio.caller, name)


def test_a_deleted_record_shows_no_photos_until_it_is_brought_back(studio: Studio) -> None:
    studio.note("a.jpg")
    found = studio.send(PHOTO)
    phone = studio.phone()
    phone.sync()
    phone.delete("notes", "c1")
    phone.sync()
    with pytest.raises(NotFound):
        studio.uploads.look(studio.caller, found["id"])
    assert studio.ask(PHOTO)["error"]["code"] == "deleted"


class Killed(Exception):
    """The process died here."""


class Steps:
    """Dies at the n-th step, before or after it, of store and file store alike."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def killed_at(studio: Studio, step: int) -> tuple[Studio, Steps]:
    steps = Steps(step)
    store: RecordStore = stores.Interrupted(studio.store, before=steps, after=steps)

    class Files:
        def __getattr__(self, name: str) -> object:
            inner = getattr(studio.files, name)
            if name not in ("put", "delete"):
                return inner

            def act(*given: object, **named: object) -> object:
                steps()
                done = inner(*given, **named)
                steps()
                return done

            return act

    return studio.with_parts(store, Files()), steps  # type: ignore[arg-type]


def test_killed_between_any_two_steps_the_photo_arrives_once(studio: Studio) -> None:
    deaths = 0
    for step in range(200):
        name, data = f"k{step}", photo(1000 + step, (420, 320))
        studio.note("a.jpg", name=name)
        mortal, steps = killed_at(studio, step)
        mortal.time = studio.time
        try:
            ticket = mortal.ask(data, "a.jpg", name)
            half = len(data) // 2
            mortal.piece(ticket, data, 0, half)
            mortal.check(mortal.piece(ticket, data, half + 1))
            mortal.time += 2 * 3_600_000
            mortal.cleaner.clean(mortal.time)
        except Killed:
            deaths += 1
        # the phone comes back, and sweeper and cleaner with the time
        studio.time += 700_000
        found = studio.send(data, "a.jpg", name)
        if found["state"] == "checking":
            studio.runner().run_due("images", 120)
            found = studio.uploads.look(studio.caller, found["id"]).value()
        assert found["state"] == "ready", step
        if steps.left >= 0:
            break
    assert deaths > 12
    studio.time += 3 * DAY_MS
    for _ in range(8):
        studio.cleaner.clean(studio.time)
    blobs = studio.documents("blobs")
    lives = {f"{each.key.id}/{each.fields['upload']}" for each in blobs}
    assert {name.split("/", 1)[1].rsplit("/", 1)[0] for name in studio.objects()} == lives
    assert not any(name.startswith("incoming/") for name in studio.objects())


def test_cleaning_waits_for_a_file_store_that_is_down(studio: Studio) -> None:
    studio.note("a.jpg")
    studio.piece(studio.ask(PHOTO), PHOTO, 0, 29_999)
    studio.time += KEEP_MS + 1

    class Down:
        def __getattr__(self, name: str) -> object:
            raise FilesUnavailable("The file store does not answer.")

    assert studio.with_parts(files=Down()).cleaner.clean(studio.time) == 0  # type: ignore[arg-type]
    studio.time += 3 * DAY_MS
    for _ in range(4):
        studio.cleaner.clean(studio.time)
    assert studio.objects() == []


def test_a_body_that_goes_on_is_taken_only_as_far_as_it_was_announced(studio: Studio) -> None:
    studio.note("a.jpg")
    ticket = studio.ask(PHOTO)

    def longer() -> Iterator[bytes]:
        yield PHOTO + b"more"
        yield from [bytes(4096)] * 100

    span = ByteRange(0, len(PHOTO) - 1, len(PHOTO))
    progress = studio.uploads.receive(studio.caller, ticket["id"], span, longer(), studio.time)
    assert studio.check(progress) == "done"
