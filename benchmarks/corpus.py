"""What phones send in a benchmark: patients, and cases of about 1 kB, the same in every run.

A case is what DermaDetect's app makes of a consultation: the answers of the triage, two names of
photos, a green or yellow triage. A `form` is a case as long forms fill it: twenty answers, a score of
the model with all its digits, a note of seventy words. Red cases are left out here, because each also
stores a job and a row of the queue (`operations` counts those). One patient has ten cases. Everything is
invented and follows from the number of the case, so that two programs that push "500 cases" push the
same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

import orjson

#: Cases of one patient.
CASES_A_PATIENT = 10

#: When the first edit was made: 1 March 2026, ms. Each later edit of a record is a minute younger.
WRITTEN_MS = 1_772_323_200_000
_EDIT_MS = 60_000

_SITES = ("forearm", "scalp", "lower leg", "back", "neck", "hand", "shoulder", "abdomen")
_QUESTIONS = ("family_history", "animals_at_home", "new_soap", "worse_at_night", "seen_before")
_NOTES = (
    "itching mild scaling dry patches started after work in the field mother says it comes back "
    "each rainy season no new soap used ointment from the market for two weeks little better edges "
    "clear centre pale skin around normal sleeps well eats well siblings too"
)
_WORDS = _NOTES.split()
#: The twenty questions of a long form. Those about red flags are answered with no.
_RED_FLAGS = ("fever", "bleeding", "pus", "severe_pain")
_FORM = (
    *("itching", "scaling", "dry_skin", "worse_at_night", "worse_in_sun", "after_food", "new_soap"),
    *("animals_at_home", "family_history", "others_affected", "treated_before", "seen_before"),
    *("works_in_field", "wears_gloves", "shares_bed", "uses_ointment"),
)

Row = dict[str, Any]


def patients(prefix: str, cases: int) -> list[Row]:
    """The patients of the first `cases` cases, as rows of the WatermelonDB dialect."""
    return [_patient(prefix, number) for number in range(-(-cases // CASES_A_PATIENT))]


def cases(prefix: str, count: int, *, first: int = 0, edit: int = 0) -> list[Row]:
    """`count` cases from number `first`, as rows of the WatermelonDB dialect (times in ms).

    `edit` 0 is how they were written first; other numbers are other content, -1 an older edit.
    """
    return [_case(prefix, number, edit, _triage) for number in range(first, first + count)]


def forms(prefix: str, count: int, *, first: int = 0, edit: int = 0) -> list[Row]:
    """Cases with a long form, of about 1 kB; else as `cases`, with the same ids and patients."""
    return [_case(prefix, number, edit, _form) for number in range(first, first + count)]


def _patient(prefix: str, number: int) -> Row:
    random = Random(f"patient {number}")
    about = {
        "name": f"{random.choice('ABDFHJKMNRSTZ')}. {random.choice('ABDFHJKMNRSTZ')}.",
        "age": random.randint(2, 80),
        "sex": random.choice(("female", "male")),
        "village": random.choice(("Kito", "Pande", "Mlima", "Ziwa")),
        "phone_in_household": random.random() < 0.6,
    }
    return {
        "id": f"{prefix}-patient-{number:06d}",
        "demographics": orjson.dumps(about).decode(),
        "last_modified_at": WRITTEN_MS,
    }


def _triage(random: Random) -> dict[str, Any]:
    return {
        "site": random.choice(_SITES),
        "duration_days": random.randint(2, 200),
        "itching": random.choice(("none", "mild", "moderate")),
        "scaling": random.random() < 0.5,
        "treated_before": random.random() < 0.4,
        "temperature_c": round(random.uniform(36.1, 37.2), 1),
        "others_in_household": random.randint(0, 4),
        "questions": [
            {"question": question, "answer": random.choice(("no", "unknown", "sometimes"))}
            for question in _QUESTIONS
        ],
        "notes": " ".join(random.choices(_WORDS, k=36)),
        "app": {"model": "on-device-4", "score": round(random.uniform(0.02, 0.48), 4)},
    }


def _form(random: Random) -> dict[str, Any]:
    return {
        **{question: random.choice(("yes", "no", "unsure")) for question in _FORM},
        **dict.fromkeys(_RED_FLAGS, "no"),
        "score": random.uniform(0.02, 0.48),
        "note": " ".join(random.choices(_WORDS, k=70)),
    }


def _case(prefix: str, number: int, edit: int, filled: Callable[[Random], dict[str, Any]]) -> Row:
    random = Random(f"case {number} {edit}")
    triage = filled(random)
    case_id = f"{prefix}-case-{number:06d}"
    return {
        "id": case_id,
        "patient_id": f"{prefix}-patient-{number // CASES_A_PATIENT:06d}",
        "triage_data": orjson.dumps(triage).decode(),
        "risk_level": random.choice(("green", "yellow")),
        "image_keys": orjson.dumps([f"{case_id}-photo-{at}" for at in (1, 2)]).decode(),
        "last_modified_at": WRITTEN_MS + edit * _EDIT_MS + number,
    }


# --- the same records in each dialect


def watermelon(
    cases: Sequence[Row], patients: Sequence[Row] = (), *, kind: str = "created"
) -> bytes:
    """A push of the WatermelonDB dialect; `kind` is the list that the rows stand in."""
    tables = {"patients": patients, "cases": cases}
    return orjson.dumps(
        {
            table: {"created": [], "updated": [], "deleted": [], kind: rows}
            for table, rows in tables.items()
            if rows
        }
    )


def batch(
    cases: Sequence[Row],
    patients: Sequence[Row] = (),
    *,
    state: str = "new",
    cursor_ms: int = 0,
    device: str = "phone",
    limit: int | None = None,
) -> bytes:
    """A request of the batch dialect: the same rows with times in seconds."""
    body: dict[str, Any] = {"last_sync_timestamp": cursor_ms / 1000, "device_id": device}
    if limit is not None:
        body["limit"] = limit
    if cases or patients:
        body["changes"] = {
            "patients": [_in_batch(row, state) for row in patients],
            "cases": [_in_batch(row, state) for row in cases],
        }
    return orjson.dumps(body)


def _in_batch(row: Row, state: str) -> Row:
    changed = {
        **row,
        "sync_status": state,
        "last_modified_at": row["last_modified_at"] / 1000,
    }
    for name in ("triage_data", "demographics"):
        if name in row:
            changed[name] = orjson.Fragment(row[name])
    if "image_keys" in row:
        changed["image_keys"] = orjson.loads(row["image_keys"])
    return changed


def plain(row: Row) -> Row:
    """A case as a peer without our columns stores it: JSON columns opened."""
    return {
        name: orjson.loads(value) if name in ("triage_data", "image_keys") else value
        for name, value in row.items()
    }


def parts(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """The rows in parts of at most `size`."""
    return (rows[at : at + size] for at in range(0, len(rows), size))


def mean_bytes(rows: Iterable[Row]) -> float:
    """Mean size of a row as JSON."""
    sizes = [len(orjson.dumps(row)) for row in rows]
    return sum(sizes) / len(sizes)
