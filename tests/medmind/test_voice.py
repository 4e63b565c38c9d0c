"""What is said to a device, from its pieces to the answer: any order, any repetition, never a dose."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from typing import Any

import pytest

from shared import wiring
from shared.ai.speech import Audio, Transcript
from shared.errors import Contended, ModelBusy, ModelMisconfigured, StoreUnavailable
from shared.jobs.runner import Runner
from shared.privacy.erasure import erase
from shared.products.medmind import voice as voices
from shared.products.medmind.alert_tables import ALERT, ALERTS
from shared.products.medmind.tables import EVENTS
from shared.products.medmind.voice_tables import (
    CONVERSATIONS,
    INTERACTIONS,
    QUESTIONS,
    SYMPTOMS,
    VOICE,
)
from shared.records.store import Document, Key, Query, Write
from tests.api.conftest import StartApi
from tests.medmind.test_device import Table
from tests.medmind.test_device import table as table_fixture
from tests.stores import Interrupted

table = table_fixture


def wave(seconds: float = 0.5, loud: int = 9000) -> bytes:
    """A tone of 8,000 samples a second."""
    count = int(8000 * seconds)
    samples = b"".join(struct.pack("<h", loud if i // 20 % 2 else -loud) for i in range(count))
    sizes = (16, 1, 1, 8000, 16000, 2, 16)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", *sizes)
    head += struct.pack("<4sI", b"data", len(samples))
    return head + samples


class Ears:
    """A transcriber that hears what it is told to, or fails."""

    def __init__(self, *said: str | Exception) -> None:
        self.said, self.heard = list(said), list[Audio]()

    def transcribe(self, audio: Audio, timeout_seconds: float) -> Transcript:
        self.heard.append(audio)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return Transcript(said, "ears", 1)


class Bedside:
    """A device that speaks and listens."""

    def __init__(self, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table, self._patch = table, monkeypatch

    def hears(self, *said: str | Exception) -> Ears:
        ears = Ears(*said)
        object.__setattr__(wiring.parts(), "transcriber", lambda: ears)
        return ears

    def at(self, now_ms: int) -> None:
        """Set the clock of the product and of its jobs; tokens go by the real one."""
        object.__setattr__(wiring.parts(), "clock_ms", lambda: now_ms)
        wiring.runner.cache_clear()
        with self._patch.context() as meanwhile:
            meanwhile.setattr(wiring, "clock_ms", lambda: now_ms)
            wiring.runner()

    def at_breakfast(self) -> None:
        """Ten minutes after the next dose of metformin is due."""
        doses = self.table.schedule()["doses"]
        first = next(each for each in doses if each["id"].startswith("demo-metformin"))
        self.at(first["due_at"] + 600_000)

    def send(
        self,
        data: bytes,
        name: str = "u1",
        part: int = 0,
        *,
        last: bool = True,
        type: str = "audio/wav",
        **more: str,
    ) -> Any:
        query = f"utterance={name}&part={part}&last={str(last).lower()}&type={type}"
        query += "".join(f"&{key}={value}" for key, value in more.items())
        path = f"/devices/{self.table.device}/voice?{query}"
        said = self.table.api.ask("POST", path, data, token=self.table.token)
        value: Any = said.json
        return value if said.status_code == 200 else (said.status_code, value["error"]["code"])

    def type(self, text: str, name: str = "u1", **more: Any) -> Any:
        self.send(text.encode(), name, type="text/plain", **more)
        self.work()
        return self.answer(name)

    def work(self) -> dict[str, str]:
        runner: Runner = wiring.runner()
        states = runner.run_due(VOICE, 300).states
        runner.run_due(ALERT, 60)
        return states

    def answer(self, name: str = "u1", token: str | None = None) -> Any:
        path = f"/devices/{self.table.device}/voice/{name}"
        return self.table.ask("GET", path, None, token or self.table.token)

    def rows(self, name: str) -> list[Document]:
        return list(wiring.store().query(Query(name)))

    def alerts(self) -> list[tuple[str, str]]:
        found = sorted(
            (str(each.fields["kind"]), str(each.fields["severity"])) for each in self.rows(ALERTS)
        )
        return [each for each in found if each[0] in ("danger_words", "call_for_help")]

    def bytes_there(self) -> list[str]:
        return [each.name for each in wiring.files().list("incoming/")]


@pytest.fixture
def bedside(table: Table, monkeypatch: pytest.MonkeyPatch) -> Bedside:
    return Bedside(table, monkeypatch)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_pieces_may_come_in_any_order_and_twice(bedside: Bedside, order: tuple[int, ...]) -> None:
    whole = wave()
    pieces = [whole[:1000], whole[1000:3000], whole[3000:]]
    ears = bedside.hears("what is next")
    for at, part in enumerate(order):
        for _ in range(2):
            said = bedside.send(pieces[part], part=part, last=part == 2)
        missing = sorted(set(range(max(order[: at + 1]))) - set(order[: at + 1]))
        assert said["state"] == ("received" if at == 2 else "open")
        assert said["missing"] == missing
    assert bedside.work() == {
        f"{VOICE}~{voices.utterance_key(bedside.table.device, 'u1').id}": "done"
    }
    assert [each.data for each in ears.heard] == [whole]
    assert bedside.answer()["state"] == "answered"
    assert bedside.answer()["say"].startswith("Next is ")
    assert bedside.send(pieces[0])["state"] == "answered"  # a repetition that was on its way
    assert bedside.bytes_there() == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"data": b""}, "invalid_request"),
        ({"data": b"x", "type": "video/mp4"}, "invalid_request"),
        ({"data": b"x", "part": 99}, "invalid_request"),
        ({"data": b"x", "part": "one"}, "invalid_request"),
        ({"data": b"x" * (voices.PIECE_BYTES + 1)}, "request_too_large"),
        ({"data": b"x", "name": "../u"}, "invalid_request"),
    ],
)
def test_what_cannot_be_taken_is_said_and_leaves_nothing(
    bedside: Bedside, sent: dict[str, Any], code: str
) -> None:
    status, said = bedside.send(**sent)
    assert 400 <= status < 500
    assert said == code
    assert bedside.rows(voices.UTTERANCES) == []
    assert bedside.bytes_there() == []


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("after", [False, True])
def test_a_piece_whose_answer_was_lost_is_sent_again(
    bedside: Bedside, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    whole, store = wave(), wiring.store()
    bedside.hears("what is next")
    commit, count = store.commit, itertools.count()

    def failing(writes: Any) -> int:
        mine = next(count) == number
        version = 0 if mine and not after else commit(writes)
        if mine:
            raise StoreUnavailable("gone")
        return version

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(store, "commit", failing)
        bedside.send(whole[:1000], part=0, last=False)
        bedside.send(whole[1000:], part=1)
    for part, piece in enumerate((whole[:1000], whole[1000:])):
        bedside.send(piece, part=part, last=part == 1)
    bedside.work()
    assert bedside.answer()["state"] == "answered"
    assert len(bedside.rows(INTERACTIONS)) == 1
    assert bedside.bytes_there() == []


def test_erasing_the_patient_erases_what_was_said(bedside: Bedside) -> None:
    bedside.type("I fell beside the Blue sofa")
    bedside.type("is it a Blue pill that I should have today", "u2")
    store, catalog = wiring.store(), wiring.catalog()
    named = next(each.key.id for each in bedside.rows("patients"))

    def follow() -> None:
        for kind in wiring.runner().kinds:
            wiring.runner().run_due(kind, 600)

    erase(store, catalog, named, wiring.clock_ms(), follow)
    for table in (CONVERSATIONS, INTERACTIONS, SYMPTOMS, QUESTIONS):
        assert "Blue" not in str([each.fields for each in bedside.rows(table)])
        assert all(each.fields.get("deleted_at") for each in bedside.rows(table))


def test_a_piece_that_differs_is_refused_and_the_utterance_goes_on(bedside: Bedside) -> None:
    whole = wave()
    bedside.hears("what is next")
    bedside.send(whole[:1000], part=0, last=False)
    said = bedside.send(b"other bytes", part=0, last=False)
    assert (said["state"], said["code"]) == ("open", "piece_differs")
    bedside.send(whole[1000:], part=1, last=True)
    assert bedside.send(b"more", part=2, last=False)["state"] == "received"
    bedside.work()
    assert bedside.answer()["state"] == "answered"


def test_a_recording_that_is_none_or_too_long_is_refused(bedside: Bedside) -> None:
    said = bedside.send(b"this is no wave at all")
    assert (said["state"], said["code"]) == ("refused", "wrong_type")
    bedside.hears("nobody gets here")
    bedside.send(wave(61), name="u2", last=True)
    bedside.work()
    said = bedside.answer("u2")
    assert (said["state"], said["code"]) == ("not_understood", "too_long")
    assert bedside.alerts() == [("call_for_help", "urgent")]  # somebody spoke for a minute
    wiring.sweeper().sweep()
    assert bedside.bytes_there() == []


def test_others_do_not_hear_what_was_said(bedside: Bedside) -> None:
    bedside.type("I took my metformin")
    assert bedside.answer(token=bedside.table.daughter)["state"] == "answered"
    stranger = bedside.table.api.token("carl")
    assert bedside.answer(token=stranger) == 404
    path = f"/devices/{bedside.table.device}/voice?utterance=u9&part=0&last=true&type=text/plain"
    assert (
        bedside.table.api.ask("POST", path, b"hello", token=bedside.table.daughter).status_code
        == 404
    )


def test_a_danger_escalates_in_the_commit_of_its_text_and_no_model_is_asked(
    bedside: Bedside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_task: str = "") -> Any:
        raise AssertionError("a model is asked about an emergency")

    object.__setattr__(wiring.parts(), "terms", nobody)
    bedside.hears("I have such a pain in my chest")
    bedside.send(wave())
    bedside.work()
    said = bedside.answer()
    assert said["say"].startswith("This may be an emergency. Call the emergency number now")
    assert bedside.alerts() == [("danger_words", "emergency")]
    [row] = bedside.rows(INTERACTIONS)
    assert row.fields["danger"] == ["chest_pain"]
    [symptom] = bedside.rows(SYMPTOMS)
    assert symptom.fields["quote"] == "I have such a pain in my chest"


def test_what_was_typed_escalates_as_well(bedside: Bedside) -> None:
    said = bedside.type("не могу дышать", language="ru")
    assert said["language"] == "ru"
    assert "скорую" in said["say"]
    assert bedside.alerts() == [("danger_words", "emergency")]


@pytest.mark.parametrize(
    ("fault", "times"),
    [(Contended("others"), 5), (StoreUnavailable("no answer"), 1)],
    ids=["contended", "unanswered"],
)
def test_a_danger_does_not_wait_for_another_attempt_while_others_write(
    bedside: Bedside, fault: Exception, times: int
) -> None:
    left = [fault] * times

    def others(writes: Sequence[Write]) -> None:
        if left and any(each.key.collection == CONVERSATIONS for each in writes):
            raise left.pop()

    inner = wiring.store()
    object.__setattr__(wiring.parts(), "store", lambda: Interrupted(inner, before=others))
    bedside.send(b"my chest hurts", type="text/plain")
    assert set(bedside.work().values()) == {"done"}
    assert left == []
    assert bedside.alerts() == [("danger_words", "emergency")]


def test_what_was_typed_is_looked_through_though_every_attempt_failed(bedside: Bedside) -> None:
    def others(writes: Sequence[Write]) -> None:
        if any(each.key.collection == CONVERSATIONS for each in writes):
            raise Contended("others")

    inner = wiring.store()
    object.__setattr__(wiring.parts(), "store", lambda: Interrupted(inner, before=others))
    bedside.send(b"my chest hurts", type="text/plain")
    later, states = wiring.clock_ms(), set[str]()
    for _ in range(5):
        states |= set(bedside.work().values())
        later += 120_000
        bedside.at(later)
    assert states == {"queued", "parked"}
    assert ("danger_words", "emergency") in bedside.alerts()


@pytest.mark.parametrize("fault", [ModelBusy("down"), ModelMisconfigured("no key")])
def test_when_nobody_hears_it_a_carer_is_told_at_the_second_attempt(
    bedside: Bedside, fault: Exception
) -> None:
    bedside.hears(fault)
    bedside.send(wave())
    later = wiring.clock_ms()
    for attempt in range(2):
        assert set(bedside.work().values()) == {"queued"}
        assert bedside.alerts() == ([("call_for_help", "urgent")] if attempt else [])
        later += 120_000
        bedside.at(later)
    assert bedside.answer()["state"] == "received"  # it is tried on
    bedside.hears("I fell")
    bedside.work()
    assert bedside.alerts() == [("call_for_help", "urgent"), ("danger_words", "emergency")]


def test_a_recording_without_a_word_is_told_to_a_carer(bedside: Bedside) -> None:
    ears = bedside.hears("")
    bedside.send(wave())
    bedside.send(wave(loud=20), name="u2")  # not even a sound
    bedside.work()
    assert len(ears.heard) == 1
    for name in ("u1", "u2"):
        assert bedside.answer(name)["state"] == "not_understood"
    assert bedside.alerts() == [("call_for_help", "urgent")] * 2


def test_a_claim_asks_and_changes_no_dose(bedside: Bedside) -> None:
    bedside.at_breakfast()
    before = {each.key.id: each.fields["state"] for each in bedside.rows("dose_occurrences")}
    said = bedside.type("I took my metformin")
    assert said["say"].startswith("Did you take Metformin 500 mg that was due at ")
    assert said["asks"]["kind"] == "taken"
    assert not said["asks"]["confirmed"]
    yes = bedside.type("yes", "u2", answers="u1")
    assert yes["asks"] == {**said["asks"], "confirmed": True}
    assert bedside.type("yes", "u3")["asks"] is None  # to nothing
    assert bedside.rows(EVENTS) == []
    assert {
        each.key.id: each.fields["state"] for each in bedside.rows("dose_occurrences")
    } == before
    event = {
        "id": "e1",
        "dose_id": said["asks"]["dose_id"],
        "kind": "taken",
        "at": wiring.clock_ms(),
    }
    assert bedside.table.tell(event)["taken"] == ["e1"]  # this does


def test_silence_goes_at_once_and_a_setting_keeps_it_for_hours(
    start_api: StartApi, bedside: Bedside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_AUDIO_HOURS", "2")
    wiring.runner.cache_clear()
    bedside.hears("what is next")
    bedside.send(wave())
    bedside.work()
    assert len(bedside.bytes_there()) == 1
    now = wiring.clock_ms()
    assert voices.forgotten(wiring.store(), wiring.files, now + 3_600_000) == 0
    assert voices.forgotten(wiring.store(), wiring.files, now + 2 * 3_600_000 + 60_000) == 1
    assert bedside.bytes_there() == []
    assert bedside.answer()["say"].startswith("Next is ")


def test_an_utterance_that_was_never_complete_goes_after_a_day(bedside: Bedside) -> None:
    bedside.send(wave()[:500], last=False)
    now = wiring.clock_ms()
    assert voices.forgotten(wiring.store(), wiring.files, now + 86_400_000 + 60_000) == 1
    assert bedside.bytes_there() == []
    assert bedside.answer()["state"] == "expired"
    assert bedside.send(wave()[500:], part=1)["state"] == "expired"
    assert bedside.bytes_there() == []


def test_texts_are_forgotten_when_the_setting_says(
    bedside: Bedside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_TEXT_DAYS", "1")
    wiring.runner.cache_clear()
    bedside.hears("what is next")
    bedside.type("what is next")
    [row] = bedside.rows(INTERACTIONS)
    assert row.fields["heard"] == "what is next"
    voices.forgotten(wiring.store(), wiring.files, wiring.clock_ms() + 86_500_000)
    [row] = bedside.rows(INTERACTIONS)
    assert "heard" not in row.fields
    assert row.fields["said"]


def test_a_question_is_answered_from_the_plan_or_a_carer_is_asked(bedside: Bedside) -> None:
    said = bedside.type("Should I take two of the white ones because I feel weak")
    assert said["say"] == "I have asked your caregivers. They will answer you."
    assert bedside.alerts() == [("call_for_help", "notice")]
    assert bedside.rows(QUESTIONS) == []
    assert Key(INTERACTIONS, voices.utterance_key(bedside.table.device, "u1").id) in [
        each.key for each in bedside.rows(INTERACTIONS)
    ]
