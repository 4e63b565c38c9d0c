"""The evaluation harness counts right: against numbers worked by hand, published, and of the service.

Every share of the golden set's report can be checked with a pencil: `tests/benchmarks/golden.py` holds
its table in full.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.triage.cases import Diagnosis, load
from benchmarks.triage.measures import (
    AI,
    FINAL,
    OPINIONS,
    PHONE,
    RULES,
    WITHOUT_MODEL,
    Share,
    by_skin_type,
    measure,
    percentile,
    wilson,
)
from benchmarks.triage.reading import names_condition, rank
from benchmarks.triage.report import Report, show
from shared.adapters.sqlite import SqliteStore
from shared.products.dermadetect.intake import parsed
from shared.products.dermadetect.tables import CATALOG, PENDING
from shared.records.collection import Turn
from tests.ai.workplace import Workplace
from tests.benchmarks.golden import (
    EXPECTED,
    GOLDEN,
    R,
    counts,
    evaluated,
    put,
    raw_cases,
    script,
)

# --- statistics


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # R's prop.test(32, 32, correct = FALSE)
        (32, 32, 0.8928, 1.0000),
        # by hand, z = 1.959964: (7 + 1.9207 ± 1.959964 · √(7/8 + 0.9604)) / (8 + 3.8415)
        (7, 8, 0.5291, 0.9776),
        (0, 0, 0.0, 1.0),
    ],
)
def test_intervals_are_the_published_ones(hits: int, n: int, low: float, high: float) -> None:
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_never_leaves_what_is_possible() -> None:
    for n in range(1, 60):
        for hits in range(n + 1):
            low, high = wilson(hits, n)
            assert 0 <= low <= hits / n <= high <= 1
    with pytest.raises(ValueError, match="hits"):
        wilson(3, 2)


@pytest.mark.parametrize(
    ("values", "percent", "value"),
    [([], 50, None), ([7], 95, 7), ([1, 2, 3, 4], 50, 2), (list(range(1, 101)), 95, 95)],
)
def test_percentiles_are_values_that_were_measured(
    values: list[int], percent: int, value: int | None
) -> None:
    assert percentile(values, percent) == value


def test_small_numbers_are_called_small_and_missing_ones_missing() -> None:
    assert show(Share(7, 8)) == "87.5 % (7/8, 52.9 %–97.8 %) small"
    assert show(Share(29, 29)).endswith("small")
    assert not show(Share(30, 30)).endswith("small")
    assert show(Share(0, 0)) == "no cases"


# --- conditions


@pytest.mark.parametrize(
    ("label", "right"),
    [
        ("Psoriasis", True),
        ("  psoriasis vulgaris. ", True),
        ("Plaque disease (psoriasis)", True),
        ("Psoriasis (chronic)", True),
        ("PSORIÁSIS", True),
        ("Skin disease L40.0", True),
        ("Skin disease L41", False),
        ("Skin disease L400", False),
        ("Skin disease M71.2", False),
        ("Not psoriasis", False),
        ("Psoriasis-like eczema", False),
        ("", False),
    ],
)
def test_a_condition_is_named_as_a_whole_or_by_its_code(label: str, right: bool) -> None:
    assert (
        names_condition(label, Diagnosis(("Psoriasis", "Psoriasis vulgaris"), ("L40", "M7")))
        is right
    )


def test_the_likeliest_come_first_whatever_the_model_wrote_first() -> None:
    entries = [{"label": "A", "likelihood": "low"}, {"label": "B", "likelihood": "high"}]
    assert rank(entries, Diagnosis(("a",), ())) == 2
    assert rank(entries, Diagnosis(("b",), ())) == 1
    assert rank(entries, Diagnosis(("c",), ())) is None
    assert rank(entries, None) is None


# --- the golden set


def test_every_case_of_the_golden_set_reads_as_worked_by_hand() -> None:
    found = {
        case.id: (
            case.triage,
            reading.phone,
            reading.rules,
            reading.ai,
            reading.final,
            reading.rank if case.diagnosis else "-",
            reading.contract,
        )
        for case, reading in evaluated()
    }
    assert found == EXPECTED


def test_the_golden_report_is_the_one_worked_by_hand() -> None:
    found = measure(evaluated())
    assert (found.cases, found.triages) == (24, {"green": 8, "yellow": 8, "red": 8})
    assert {name: tuple(map(counts, said)) for name, said in found.opinions.items()} == {
        # red sensitivity, specificity, over-triage, under-triage
        AI.name: ((3, 8), (12, 16), (5, 16), (7, 16)),
        RULES.name: ((4, 8), (15, 16), None, None),
        PHONE.name: ((3, 8), (14, 16), (3, 16), (8, 16)),
        WITHOUT_MODEL.name: ((6, 8), (13, 16), (4, 16), (5, 16)),
        FINAL.name: ((7, 8), (11, 16), (7, 16), (2, 16)),
    }
    assert counts(found.top_1) == (9, 23)
    assert counts(found.top_3) == (16, 23)
    assert counts(found.valid_first) == (20, 22)
    assert counts(found.valid_repaired) == (21, 22)
    assert found.statuses == {
        "insufficient_image": 2,
        "ok": 19,
        "parse_failed": 1,
        "unavailable": 2,
    }
    assert found.no_answer == {"contract_broken": 1, "model_busy": 1, "model_refused": 1}
    assert (found.no_opinion, found.phone_silent, found.read_in_service) == (4, 1, 8)
    assert counts(found.caught) == (1, 2)  # r02, not r04
    assert counts(found.alarms) == (2, 13)  # y11, g23
    assert found.missed_red == ("r04",)
    assert found.confusion == {
        FINAL.name: {
            "green": {"green": 4, "yellow": 2, "red": 2, "none": 0},
            "yellow": {"green": 1, "yellow": 4, "red": 3, "none": 0},
            "red": {"green": 0, "yellow": 1, "red": 7, "none": 0},
        },
        AI.name: {
            "green": {"green": 5, "yellow": 1, "red": 1, "none": 1},
            "yellow": {"green": 1, "yellow": 5, "red": 1, "none": 1},
            "red": {"green": 2, "yellow": 1, "red": 3, "none": 2},
        },
    }
    # 24 cases, a second photo, two repairs; r02 shows two photos, g19 one
    assert (found.cost.answered, found.cost.calls) == (22, 27)
    assert (found.cost.photos_shown, found.cost.photos_skipped) == (3, 0)


def test_the_golden_groups_are_those_worked_by_hand() -> None:
    groups = by_skin_type(evaluated())
    assert {
        name: (
            found.cases,
            counts(found.opinions[AI.name].red_sensitivity),
            counts(found.opinions[FINAL.name].red_sensitivity),
            counts(found.opinions[FINAL.name].specificity),
            counts(found.top_3),
        )
        for name, found in groups.items()
    } == {
        "I-II": (8, (2, 3), (3, 3), (4, 5), (7, 8)),
        "III-IV": (8, (1, 3), (2, 3), (4, 5), (6, 8)),
        "V-VI": (6, (0, 2), (2, 2), (3, 4), (2, 6)),
        "unknown": (2, (0, 0), (0, 0), (0, 2), (1, 1)),
    }


def test_a_worse_model_is_seen_and_cannot_lower_the_final_triage() -> None:
    # given a model that calls everything green
    pairs = evaluated(script(GOLDEN / "always-green.json"))
    found = measure(pairs)
    # then alone it finds no red case, and the final triage is what phone and rules say
    assert counts(found.opinions[AI.name].red_sensitivity) == (0, 8)
    assert found.opinions[FINAL.name] == found.opinions[WITHOUT_MODEL.name]
    assert counts(found.opinions[FINAL.name].red_sensitivity) == (6, 8)
    assert all(reading.final == WITHOUT_MODEL.colour(reading) for _, reading in pairs)
    assert counts(found.caught) == (0, 2)


def test_where_the_phone_sees_nothing_a_worse_model_leaves_the_rules_alone(tmp_path: Path) -> None:
    for name, raw in raw_cases().items():
        raw["case"]["risk_level"] = "green"
        put(tmp_path, name, raw)
    found = measure(evaluated(script(GOLDEN / "always-green.json"), load(tmp_path))).opinions
    assert counts(found[AI.name].red_sensitivity) == (0, 8)
    assert (
        counts(found[FINAL.name].red_sensitivity)
        == counts(found[RULES.name].red_sensitivity)
        == (4, 8)
    )


def test_silence_counts_against_the_model_wherever_it_belongs(tmp_path: Path) -> None:
    busy = tmp_path / "script.json"
    busy.write_text('{"otherwise": {"busy": null}}')
    found = measure(evaluated(script(busy)))
    assert tuple(map(counts, found.opinions[AI.name])) == ((0, 8), (0, 16), (16, 16), (16, 16))
    assert counts(found.top_3) == (0, 23)
    assert counts(found.valid_first) == (0, 0)
    assert found.no_answer == {"model_busy": 24}
    assert found.opinions[FINAL.name] == found.opinions[WITHOUT_MODEL.name]


def test_what_the_server_has_read_is_what_the_product_says() -> None:
    # 2026-03-01; no case has a birth date
    for case, reading in evaluated():
        turn = Turn(
            "cases", case.id, "team", "chw1", case.record, None, case.patient, 1772323200000
        )
        effects = CATALOG.by_name["cases"].effects
        assert effects is not None
        sent = effects(turn).fields.get("status") == PENDING
        # what has no colour is read, too
        assert sent == (R in (reading.phone, reading.rules) or reading.phone is None), case.id


def test_a_case_reads_as_it_does_in_service(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "records.db")
    place = Workplace(store)
    place.join("chw1")
    chosen, read = script(), dict.fromkeys(EXPECTED, 0)
    for case, reading in evaluated():
        if R not in (reading.phone, reading.rules):
            continue
        # given the case from a phone, when its job has run with the same model
        phone = place.phone()
        columns = {**case.record, "triage_data": parsed(case.record["triage_data"])}
        patient = {"demographics": parsed(case.patient["demographics"])}
        del columns["id"]
        phone.save("patients", f"p-{case.id}", at=1000, **patient)
        phone.save("cases", case.id, at=1000, patient_id=f"p-{case.id}", **columns)
        phone.sync()
        [job] = (job for job in place.jobs() if job.subject_id == case.id)
        place.worker(chosen.model(case.id)).run(job.id)
        # then the stored analysis says what the harness counted
        stored = place.fields("cases", case.id)["ai_analysis"]
        assert (
            stored["status"],
            stored["triage_device"],
            stored["triage_rules"],
            stored["triage_ai"],
            stored["triage_final"],
            rank(stored["differential"], case.diagnosis),
        ) == (
            reading.status,
            reading.phone,
            reading.rules,
            reading.ai,
            reading.final,
            reading.rank,
        ), case.id
        read[case.id] += 1
    assert sum(read.values()) == 8
    store.close()


def test_the_opinions_stand_in_the_report_in_their_order() -> None:
    text = Report(evaluated(), {}).as_markdown()
    places = [text.index(f"\n| {who.name} | ") for who in OPINIONS]
    assert places == sorted(places)
    assert "| truth red | 0 | 1 | 7 |" in text
    assert "Red cases that the final triage missed: r04." in text
