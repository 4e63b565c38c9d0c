"""Photos and the analysis: a red case waits for its photos, but not for ever, and late ones count."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.ai.embedding import Embedding
from shared.ai.model import ChatRequest, Completion, Image
from shared.jobs.transfer import move
from shared.products.dermadetect.tables import catalog
from shared.products.dermadetect.triage import ZeroShot
from shared.products.dermadetect.waiting_for_photos import PHOTOS_WAIT_MS
from shared.records.store import Key
from shared.support.undelete import undelete
from shared.sync.retention import Purger
from tests.ai.studio import Studio
from tests.ai.studio import studio as studio
from tests.files.conftest import DAY_MS, photo
from tests.scripted import ScriptedModel
from tests.sync.clinic import pass_millisecond

ONE, TWO = photo(11), photo(12)


class Watched(ScriptedModel):
    """The scripted model, and what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[ChatRequest] = []

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        self.questions.append(question)
        return super().ask(question, timeout_seconds)


def watched(studio: Studio) -> Watched:
    model = Watched()
    studio.asked = model
    return model


def provenance(studio: Studio, case: str = "c1") -> dict[str, object]:
    return dict(studio.fields("cases", case)["ai_analysis"]["provenance"])


def test_a_red_case_is_read_as_soon_as_its_last_photo_is_there(studio: Studio) -> None:
    # given a red case that names two photos
    model = watched(studio)
    studio.case("a.jpg", "b.jpg")
    assert studio.job()["state"] == "awaiting_files"
    assert studio.runner().run_due("analyse", 60).states == {}
    # when one of them comes, it still waits
    studio.send(ONE)
    assert (studio.job()["state"], studio.bells.rung) == ("awaiting_files", [])
    # when the other one comes, the bell rings and the model sees both, as derivatives
    studio.send(TWO, "b.jpg")
    (bell,) = studio.bells.rung
    assert studio.runner().run(bell.job_id) == "done"
    assert len(model.questions) == 2
    for asked in model.questions:
        (image,) = asked.images
        data = base64.b64decode(image.url.partition("base64,")[2])
        assert data[:2] == b"\xff\xd8"
        assert b"Amina" not in data
    said = provenance(studio)
    assert (said["images_missing"], len(said["image_sha256"])) == (0, 2)


def test_a_case_without_photos_waits_for_nothing(studio: Studio) -> None:
    studio.case()
    assert studio.job()["state"] == "queued"


def test_a_case_whose_photos_are_overdue_is_read_with_what_is_there_and_says_so(
    studio: Studio,
) -> None:
    studio.case("a.jpg", "b.jpg")
    studio.send(ONE)
    studio.time += PHOTOS_WAIT_MS - 1
    assert studio.runner().run_due("analyse", 60).states == {}
    studio.time += 1
    (state,) = studio.runner().run_due("analyse", 60).states.values()
    assert state == "done"
    said = provenance(studio)
    assert (said["images_missing"], len(said["image_sha256"])) == (1, 1)


def test_a_doctor_sees_the_case_while_it_waits_for_its_photos(studio: Studio) -> None:
    studio.case("a.jpg")
    studio.time += 60_000
    studio.runner().tell_late(studio.time)
    analysis = studio.fields("cases", "c1")["ai_analysis"]
    assert (analysis["status"], analysis["triage_final"]) == ("unavailable", "red")


def test_late_photos_make_the_case_be_read_once_more(studio: Studio) -> None:
    # given a case that was read without its photo
    studio.case("a.jpg")
    studio.time += PHOTOS_WAIT_MS
    studio.runner().run_due("analyse", 60)
    first = studio.fields("cases", "c1")["_job"]
    # when the photo comes
    studio.send(ONE)
    again = studio.fields("cases", "c1")["_job"]
    assert again.startswith(f"{first}~")
    assert studio.job()["state"] == "queued"
    assert studio.runner().run(again) == "done"
    assert provenance(studio)["images_missing"] == 0
    # then an edit that changes nothing of what was looked at asks nobody again
    phone = studio.phone()
    phone.save("patients", "p2", demographics={"age": 30, "sex": "f"})
    phone.sync()
    phone.save("cases", "c1", patient_id="p2")
    phone.sync()
    assert studio.fields("cases", "c1")["patient_id"] == "p2"
    assert studio.fields("cases", "c1")["_job"] == again


def test_the_reading_that_was_under_way_without_the_photo_is_stale(studio: Studio) -> None:
    studio.case("a.jpg")
    studio.time += PHOTOS_WAIT_MS

    class Slow(ScriptedModel):
        def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
            studio.send(ONE)  # it comes while the model thinks
            studio.asked = ScriptedModel()
            return super().ask(question, timeout_seconds)

    studio.asked = Slow()
    first = studio.fields("cases", "c1")["_job"]
    assert studio.runner().run(first) == "stale"
    assert studio.runner().run(studio.fields("cases", "c1")["_job"]) == "done"
    assert provenance(studio)["images_missing"] == 0


class Measuring:
    """An embedder that places everything at one point, and keeps what it was shown."""

    name = "measuring"

    def __init__(self) -> None:
        self.shown: list[Image] = []

    def embed(
        self, texts: Sequence[str], images: Sequence[Image], timeout_seconds: float
    ) -> list[Embedding]:
        self.shown += images
        return [Embedding((1.0, 0.0), 0.0, 0.0)] * (len(texts) + len(images))


def test_the_second_look_sees_the_small_photo_when_the_phone_sent_no_score(
    studio: Studio,
) -> None:
    embedder = Measuring()
    studio.second_look = ZeroShot(embedder)
    studio.case("a.jpg")
    found = studio.send(ONE)
    assert studio.runner().run(studio.fields("cases", "c1")["_job"]) == "done"
    derived = studio.blob(found).fields["derived"]
    assert [image.sha256 for image in embedder.shown] == [derived["448"]["sha256"]]
    analysis = studio.fields("cases", "c1")["ai_analysis"]
    assert analysis["second_look"]["status"] == "ok"
    assert analysis["provenance"]["image_sha256"] == [derived["896"]["sha256"]]


def test_an_edit_of_answers_does_not_make_ready_photos_be_waited_for(studio: Studio) -> None:
    studio.case("a.jpg")
    studio.send(ONE)
    phone = studio.phone()
    phone.sync()
    phone.save("cases", "c1", triage_data={"site": "face"})
    phone.sync()
    assert studio.job()["state"] == "queued"


def test_a_photo_more_in_the_list_is_waited_for_again(studio: Studio) -> None:
    studio.case("a.jpg")
    studio.send(ONE)
    phone = studio.phone()
    phone.sync()
    phone.save("cases", "c1", image_keys=["b.jpg", "a.jpg"])
    phone.sync()
    assert studio.job()["state"] == "awaiting_files"
    second = studio.send(TWO, "b.jpg")
    assert studio.job()["state"] == "queued"
    assert studio.fields("cases", "c1")["image_urls"][0] == f"/api/v1/files/{second['id']}"


def test_a_photo_stays_in_the_case_when_a_colleague_s_phone_sends_an_older_list(
    studio: Studio,
) -> None:
    # given a photo that is ready, and a colleague who knows nothing of it (dhis2-android-sdk#17,
    # kobocat#432)
    studio.join("chw3")
    studio.case("a.jpg")
    found = studio.send(ONE)
    urls = [f"/api/v1/files/{found['id']}"]
    # when the colleague's phone sends the row with other photos, or with none
    colleague = studio.phone("chw3")
    colleague.sync()
    for keys in (["b.jpg"], [], None):
        colleague.save("cases", "c1", image_keys=keys)
        colleague.sync()
        # then it is shown all the same
        assert studio.fields("cases", "c1")["image_urls"] == urls


def test_a_photo_that_no_row_ever_named_is_shown_after_those_that_one_names(studio: Studio) -> None:
    studio.case("z.jpg", "b.jpg", "z.jpg")
    sent = {key: studio.send(photo(seed), key) for seed, key in enumerate(("y.jpg", "b.jpg"), 30)}
    sent["a.jpg"], sent["z.jpg"] = studio.send(ONE), studio.send(TWO, "z.jpg")
    shown = [f"/api/v1/files/{sent[key]['id']}" for key in ("z.jpg", "b.jpg", "a.jpg", "y.jpg")]
    assert studio.fields("cases", "c1")["image_urls"] == shown  # each once; the others by key


def test_a_photo_that_no_row_ever_named_is_shown(studio: Studio) -> None:
    studio.case()
    found = studio.send(ONE, "late.jpg")
    assert studio.fields("cases", "c1")["image_urls"] == [f"/api/v1/files/{found['id']}"]


COMPOSED, DECOMPOSED = "plaie-épaule.jpg", "plaie-e\u0301paule.jpg"


@pytest.mark.parametrize(
    ("named", "sent"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)], ids=["NFD", "NFC"]
)
def test_keys_that_are_spelt_differently_name_the_same_photo(
    studio: Studio, named: str, sent: str
) -> None:
    # given a case whose row spells its photo otherwise than the phone that sends it (cryptomator/ios#439)
    assert named != sent
    studio.case(named)
    assert studio.job()["state"] == "awaiting_files"
    # when it comes, nobody waits for another one
    found = studio.send(ONE, sent)
    assert studio.job()["state"] == "queued"
    assert studio.fields("cases", "c1")["image_urls"] == [f"/api/v1/files/{found['id']}"]
    # then the other phone hears that it is here, by the spelling that it asked with
    again = studio.ask(ONE, named)
    assert (again["id"], again["state"], again["key"]) == (found["id"], "ready", named)
    assert len(studio.documents("files")) == 1
    assert studio.ask(TWO, named)["error"]["code"] == "key_in_use"


def test_photos_may_come_before_the_case_turns_red(studio: Studio) -> None:
    studio.case("a.jpg", risk="green")
    studio.send(ONE)
    phone = studio.phone()
    phone.sync()
    phone.save("cases", "c1", risk_level="red")
    phone.sync()
    assert studio.job()["state"] == "queued"


def test_the_wait_is_a_setting(studio: Studio) -> None:
    turns = catalog(0).by_name["cases"].effects
    assert turns.keywords == {"photos_wait_ms": 0}  # type: ignore[attr-defined]


def test_moving_a_patient_takes_the_photos_along(studio: Studio) -> None:
    studio.join("chw2", "team2")
    studio.case("a.jpg")
    found = studio.send(ONE)
    move(studio.store, catalog(0), Key("patients", "p1"), "team2", studio.time)
    for _ in range(3):
        studio.runner().run_due("transfer", 120)
        pass_millisecond()
    assert studio.fields("files", found["id"])["scope_id"] == "team2"
    other = studio.phone("chw2")
    other.sync()
    row = other.row("cases", "c1")
    assert row is not None
    assert row["image_urls"] == [f"/api/v1/files/{found['id']}"]


def test_undeleting_a_case_brings_its_photos_back(studio: Studio) -> None:
    studio.join("boss", role="supervisor")
    studio.case("a.jpg")
    found = studio.send(ONE)
    phone = studio.phone()
    phone.sync()
    phone.delete("cases", "c1")
    phone.sync()
    boss = replace(studio.caller, user_id="boss", role="supervisor")
    undelete(studio.store, catalog(0), boss, Key("cases", "c1"), studio.time)
    assert studio.uploads.look(studio.caller, found["id"]).value()["state"] == "ready"


def test_a_photo_that_is_ready_while_its_case_is_deleted_counts_after_undelete(
    studio: Studio,
) -> None:
    studio.case("a.jpg")
    progress = studio.piece(studio.ask(ONE), ONE)
    phone = studio.phone()
    phone.sync()
    phone.delete("cases", "c1")
    phone.sync()
    studio.check(progress)
    assert list(studio.fields("cases", "c1")["_photos"]) == ["a.jpg"]
    assert studio.job()["state"] == "awaiting_files"


def test_purging_a_case_removes_its_photos_for_good(studio: Studio) -> None:
    # given two cases that show the same photo
    studio.case("a.jpg")
    studio.case("a.jpg", name="c2")
    studio.send(ONE)
    studio.send(ONE, name="c2")
    phone = studio.phone()

    def purge(name: str) -> None:
        phone.sync()
        phone.delete("cases", name)
        phone.sync()
        studio.time += 181 * DAY_MS
        tombstone = studio.get("cases", name)
        assert tombstone is not None
        assert Purger(studio.store, catalog(0), keep_days=0).blank(tombstone) == 1
        studio.cleaner.clean(studio.time)

    # when one is purged, the photo stays; when the other one is, no byte is left
    purge("c1")
    assert len(studio.objects()) == 3
    purge("c2")
    assert studio.objects() == []
    assert studio.documents("files") == studio.documents("blobs") == []


def test_a_photo_of_a_purged_case_is_checked_without_harm(studio: Studio) -> None:
    studio.case("a.jpg")
    progress = studio.piece(studio.ask(ONE), ONE)
    phone = studio.phone()
    phone.sync()
    phone.delete("cases", "c1")
    phone.sync()
    tombstone = studio.get("cases", "c1")
    assert tombstone is not None
    Purger(studio.store, catalog(0), keep_days=0).blank(tombstone)
    assert studio.check(progress) == "done"
    case = studio.get("cases", "c1")
    assert case is not None
    assert "_photos" not in case.fields
    studio.time += DAY_MS
    studio.cleaner.clean(studio.time)
    assert studio.objects() == []
