"""What people report of assistants that listen, tried on ours: each test names the report that it is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from shared.access import membership
from shared.access.membership import Caller
from shared.adapters.folder import FolderFiles
from shared.ai.speech import Audio, Transcript, spoken
from shared.api.web import ask
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.medmind import voice
from shared.products.medmind.danger import found
from shared.products.medmind.hearing import Hear
from shared.products.medmind.understanding import by_words
from shared.products.medmind.voice_tables import INTERACTIONS, VOICE
from shared.products.product import Parts
from shared.records.store import Query, RecordStore
from shared.settings import Settings
from tests.medmind.test_device import table as table_fixture
from tests.medmind.test_voice import Bedside, wave
from tests.medmind.test_voice import bedside as bedside_fixture
from tests.stores import BOTH, fresh

table, bedside = table_fixture, bedside_fixture


def test_a_call_from_between_bed_and_dresser_is_a_danger() -> None:
    """ambianic-edge#361: seniors fall where nothing is within reach, and can only call."""
    for text in ("help", "Help me!", "I fell down next to the bed", "somebody help"):
        assert found(text)


def test_what_television_says_moves_nothing(bedside: Bedside) -> None:
    """home-assistant-voice-pe#560: it triggers from random conversations and the television."""
    said = bedside.type("and now the weather for tomorrow with sun in the south and some clouds")
    assert said["asks"] is None
    assert [each.fields["intent"] for each in bedside.rows(INTERACTIONS)] == ["other"]


def test_a_command_that_is_not_understood_is_not_met_with_silence(bedside: Bedside) -> None:
    """aiyprojects-raspbian#42: silence when nothing matched; a reviewer asks for an answer all the same."""
    assert bedside.type("flurble the wub")["say"]
    bedside.hears("")
    bedside.send(wave(), "u2")
    bedside.work()
    assert bedside.answer("u2")["say"].startswith("I did not understand you.")


@pytest.mark.parametrize("heard", ["Thank you for watching!", "you", "[BLANK_AUDIO]", " "])
def test_silence_that_whisper_fills_is_not_a_sentence_of_hers(heard: str) -> None:
    """whisperIME#57, OpenAI-Unity#65, WhisperAttack#4, EnviousWispr#452."""
    assert spoken(heard) == ""


def test_a_trailing_thank_you_does_not_hide_what_was_said() -> None:
    """EnviousWispr#452: "Thank you." is appended to a real sentence."""
    assert by_words("I took my pill. Thank you.").intent == "dose_taken"
    assert found("I fell. Thank you for watching.")


@pytest.mark.parametrize("heard", ["what is on", "what s", "is full", "what s all"])
def test_pieces_of_a_command_do_nothing_by_chance(bedside: Bedside, heard: str) -> None:
    """homey#654: "lights on" is heard as "What is on", "What s", "is full"."""
    assert bedside.type(heard)["asks"] is None


def test_a_short_word_alone_confirms_nothing(bedside: Bedside) -> None:
    """VoiceAttack-profiles#83: short commands fire unintentionally."""
    for number, word in enumerate(("yes", "ok", "yeah", "no")):
        said = bedside.type(word, f"u{number}")
        assert said["asks"] is None
        assert said["say"] == "I have asked your caregivers. They will answer you."


def test_a_switch_to_another_language_is_still_understood(bedside: Bedside) -> None:
    """homey#498: recognition got worse after the language was switched."""
    said = bedside.type("j'ai pris mon comprimé", language="fr-CA")
    assert said["language"] == "fr"
    assert found("मुझे chest pain है")


def test_a_phantom_sentence_of_another_language_moves_nothing(bedside: Bedside) -> None:
    """vexa#617: in silent gaps sentences of film credits appear in Japanese and Turkish."""
    for number, text in enumerate(("ご視聴ありがとうございました", "Abone olmayı unutmayın")):
        said = bedside.type(text, f"u{number}")
        assert said["asks"] is None
        assert bedside.alerts() == [("call_for_help", "notice")] * (number + 1)


def test_an_engine_that_hears_well_at_times_is_never_taken_at_its_word(bedside: Bedside) -> None:
    """homey#920: flawless for minutes, then not even the number of words: so a claim only asks."""
    bedside.at_breakfast()
    bedside.hears("I took my pill")
    bedside.send(wave())
    bedside.work()
    assert bedside.answer()["asks"]["confirmed"] is False
    assert bedside.rows("dose_events") == []


class Ears:
    """Hears one sentence."""

    def transcribe(self, audio: Audio, timeout_seconds: float) -> Transcript:
        return Transcript("I have such a pain in my chest", "ears", 1)


@pytest.mark.parametrize("kind", BOTH)
def test_from_pieces_to_an_alert_on_both_stores(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store: RecordStore = fresh(kind, request, tmp_path)
    clock = itertools.count(1_790_000_000_000, 10)
    files = FolderFiles(tmp_path / "files", b"x" * 32, lambda: next(clock))
    rung: list[Any] = []

    def nothing(*_: object) -> Any:
        raise AssertionError("it is not asked for")

    def ring(bells: Sequence[Any]) -> None:
        rung.extend(bells)

    parts = Parts(
        Settings(),
        lambda: next(clock),
        lambda: store,
        lambda: files,
        *(nothing,) * (len(Parts.__dataclass_fields__) - 4),
    )
    object.__setattr__(parts, "transcriber", lambda: Ears())
    object.__setattr__(parts, "ring", ring)
    membership.grant(store, "table-1", "team1", "device", 1)
    data, caller = wave(), Caller("table-1", "device", "table-1")
    for part, piece in ((1, data[900:]), (0, data[:900])):
        path = f"/devices/table-1/voice?utterance=u1&part={part}&last={str(part == 1).lower()}"
        built = EnvironBuilder(
            path="/devices/table-1/voice",
            query_string=path.partition("?")[2],
            method="POST",
            data=piece,
        )
        said = ask(Request(built.get_environ()), voice.routes(parts), parts.settings, caller)
        assert said.status_code == 200, said.data
    assert [each.kind for each in rung] == [VOICE]
    tasks = {VOICE: Hear(parts, audio_hours=0, text_days=0)}
    runner = Runner(store, tasks, policy=RetryPolicy(), lease_ms=60_000, clock=lambda: next(clock))
    assert set(runner.run_due(VOICE, 60).states.values()) == {"done"}
    [row] = store.query(Query(INTERACTIONS))
    assert (row.fields["state"], row.fields["danger"]) == ("answered", ["chest_pain"])
    assert [each.fields["severity"] for each in store.query(Query("alert_news"))] == ["emergency"]
    assert files.list("incoming/") == []
    assert voice.forgotten(store, lambda: files, next(clock) + 86_400_000) == 1
