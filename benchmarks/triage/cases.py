"""Labelled cases from a folder: read, checked, bounded; see the package for the format.

`load` reads everything before anything runs, and names every fault at once (`BadInput`). Messages say
file and field, never a value: even a case that should be de-identified may not be.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from shared.ai.model import Image
from shared.ai.pictures import without_metadata
from shared.errors import ModelRefused
from shared.products.dermadetect.analysis.vocabulary import TRIAGES
from shared.products.dermadetect.intake import age_years, parsed
from shared.products.dermadetect.tables import CATALOG
from shared.records.collection import RecordFault

#: Made up, or real with consent for this use and without what identifies.
SYNTHETIC, CONSENTED = "synthetic", "consented"
ORIGINS = (SYNTHETIC, CONSENTED)
#: Fitzpatrick's types by pairs, as studies of fairness report them.
SKIN_TYPES = ("I-II", "III-IV", "V-VI", "unknown")

#: A server takes 10 MB a request (Vertex AI, dedicated endpoints); base64 makes a third more.
MOST_PHOTO_BYTES = 7_000_000
#: A case's file is a few kB.
_MOST_CASE_BYTES = 1_000_000

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KEYS = {"origin", "seen_on", "patient", "case", "photos", "labels"}
_MAGIC = {b"\xff\xd8": "jpeg", b"\x89PNG": "png", b"RIFF": "webp"}
#: Two days so far apart that an age that depends on the day differs.
_EARLY, _LATE = date(1900, 1, 1), date(2100, 1, 1)


class BadInput(Exception):
    """What the user gave cannot be used; `problems` are lines of file, field and rule."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Wrong(Exception):
    """A field of the file at hand is wrong: its path, and what it must be."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the patient has: every name that counts as right, and codes of the ICD."""

    names: tuple[str, ...]
    icd: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled case; `record` and `patient` hold columns as the store would."""

    id: str
    origin: str
    today: date  #: when it was seen; the age band is counted to this day
    record: Mapping[str, Any]
    patient: Mapping[str, Any]
    photos: tuple[Path, ...]
    triage: str  #: the truth: green, yellow or red
    skin_type: str
    diagnosis: Diagnosis | None
    sha256: str  #: of the file and its photos


def load(folder: Path) -> list[Case]:
    """Every case of the folder, in the order of their names. Raises `BadInput`."""
    if not folder.is_dir():
        raise BadInput([f"{folder}: there is no such folder"])
    files = sorted(folder.glob("*.json"))
    if not files:
        raise BadInput([f"{folder}: holds no case (a case is one .json file)"])
    cases, problems = [], []
    for path in files:
        try:
            cases.append(_case(path))
        except _Wrong as wrong:
            problems.append(f"{path.name}: {wrong}")
    if len({case.origin for case in cases}) > 1:
        problems.append(f"{folder}: origin must be the same in all cases of a folder")
    if problems:
        raise BadInput(problems)
    return cases


def picture(path: Path) -> Image:
    """A photo as the gateway takes it: a data URL. Raises `ModelRefused` when it is no photo."""
    data = path.read_bytes()
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "jpeg")
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return without_metadata(Image(url, hashlib.sha256(data).hexdigest()))


def read_json(path: Path) -> dict[str, Any]:
    """The one object in a file, no key twice. Raises `BadInput` without quoting the content."""
    try:
        return _object(path)
    except _Wrong as wrong:
        raise BadInput([f"{path.name}: {wrong}"]) from None


def _object(path: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    def never(_constant: str) -> Any:
        raise ValueError

    try:
        if path.stat().st_size > _MOST_CASE_BYTES:
            raise _Wrong(f"is larger than {_MOST_CASE_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        found = json.loads(text, object_pairs_hook=once, parse_constant=never)
        json.dumps(found, ensure_ascii=False).encode()  # lone surrogates
    except OSError:
        raise _Wrong("cannot be read") from None
    except (ValueError, RecursionError):
        raise _Wrong("must be JSON in UTF-8, no key twice, no NaN") from None
    if not isinstance(found, dict):
        raise _Wrong("must hold one JSON object")
    return found


def _case(path: Path) -> Case:
    if not _ID.fullmatch(path.stem):
        raise _Wrong("the name must be 1 to 128 of A-Z, a-z, 0-9, _ and -")
    raw = _object(path)
    _only(raw, "", _KEYS)
    labels = _mapping(raw, "labels", required=True)
    _only(labels, "labels.", {"triage", "diagnosis", "skin_type"})
    patient = _columns("patients", _mapping(raw, "patient"), "patient")
    # patient_id is the server's business here; a phone always sends it
    record = _columns("cases", _mapping(raw, "case", required=True), "case")
    photos = _photos(path.parent, raw.get("photos", []))
    digest = hashlib.sha256(path.read_bytes())
    for photo in photos:
        digest.update(hashlib.sha256(photo.read_bytes()).digest())
    return Case(
        id=path.stem,
        origin=_word(raw, "origin", ORIGINS),
        today=_seen_on(raw, parsed(patient.get("demographics"))),
        record={**record, "id": path.stem},
        patient=patient,
        photos=photos,
        triage=_word(labels, "triage", TRIAGES, "labels."),
        skin_type=_word(labels, "skin_type", SKIN_TYPES, "labels."),
        diagnosis=_diagnosis(labels),
        sha256=digest.hexdigest(),
    )


def _only(found: Mapping[str, Any], above: str, known: set[str]) -> None:
    # the unknown key itself is not quoted: it may be a name that slipped in
    if not found.keys() <= known:
        raise _Wrong(f"{above}* must be among {', '.join(sorted(known))}")


def _mapping(raw: Mapping[str, Any], name: str, *, required: bool = False) -> dict[str, Any]:
    found = raw.get(name, None if required else {})
    if not isinstance(found, dict):
        raise _Wrong(f"{name} must be an object")
    return found


def _word(
    raw: Mapping[str, Any], name: str, vocabulary: Sequence[str], above: str = ""
) -> str:  # fmt: skip
    found = raw.get(name)
    if not isinstance(found, str) or found not in vocabulary:
        raise _Wrong(f"{above}{name} must be one of {', '.join(vocabulary)}")
    return found


def _columns(table: str, raw: dict[str, Any], name: str) -> dict[str, Any]:
    """The columns as a push would store them."""
    try:
        found = CATALOG.by_name[table].coerce(raw)
    except RecordFault as fault:
        raise _Wrong(f"{name}.{fault.field}: {fault.message}") from None
    if found.unknown or found.sent:
        raise _Wrong(f"{name}.* must be columns that a phone may write")
    return dict(found.values)


def _seen_on(raw: Mapping[str, Any], demographics: object) -> date:
    given = raw.get("seen_on")
    if given is None:
        if age_years(demographics, _EARLY) != age_years(demographics, _LATE):
            raise _Wrong("seen_on is needed with a birth date; better give the age alone")
        return _LATE
    try:
        return date.fromisoformat(given)
    except (TypeError, ValueError):
        raise _Wrong("seen_on must be a date like 2026-03-01") from None


def _photos(folder: Path, names: object) -> tuple[Path, ...]:
    if not isinstance(names, list):
        raise _Wrong("photos must be a list of file names")
    found = []
    for index, name in enumerate(names):
        where = f"photos[{index}]"
        if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
            raise _Wrong(f"{where} must be the name of a file beside the case")
        path = folder / name
        if not path.is_file():
            raise _Wrong(f"{where} is not there")
        if path.stat().st_size > MOST_PHOTO_BYTES:
            raise _Wrong(f"{where} is larger than {MOST_PHOTO_BYTES} bytes; make it smaller")
        try:
            picture(path)
        except ModelRefused:
            raise _Wrong(f"{where} must be a whole JPEG, PNG or WebP") from None
        found.append(path)
    return tuple(found)


def _diagnosis(labels: Mapping[str, Any]) -> Diagnosis | None:
    raw = labels.get("diagnosis")
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise _Wrong("labels.diagnosis must be an object with names, icd or both")
    _only(raw, "labels.diagnosis.", {"names", "icd"})
    names, icd = (_texts(raw, name) for name in ("names", "icd"))
    if not names and not icd:
        raise _Wrong("labels.diagnosis needs at least one of names or icd")
    return Diagnosis(names, icd)


def _texts(raw: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = raw.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise _Wrong(f"labels.diagnosis.{name} must be a list of texts")
    return tuple(found)
