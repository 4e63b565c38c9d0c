"""A case as its page tells it: what the API answers, put into the order in which a doctor looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from shared.files.file import plain_key
from shared.products.dermadetect import emergency
from shared.products.dermadetect.pages.case_words import TIMELINE

Json = Mapping[str, Any]

#: Photos that somebody announces within so long are one step, ms.
_TOGETHER_MS = 10 * 60_000


class PhotosByState(NamedTuple):
    """Photos by what became of them. `missing`: the row names them, and no phone has announced them."""

    ready: Sequence[Json]
    refused: Sequence[Json]
    coming: Sequence[Json]
    missing: int


class Earlier(NamedTuple):
    """Photos of another case of the patient; `same`: of the same site."""

    case: Json
    photos: Sequence[str]
    same: bool


class TimelineStep(NamedTuple):
    """One line of the timeline. `what` is a message; `who` a user's id."""

    at: int
    what: str
    who: str = ""
    whom: str = ""
    text: str = ""


class Lost(NamedTuple):
    """A conflict: what won and what lost, by column."""

    entry: Json
    rows: Sequence[tuple[str, Any, Any]]  #: column, what won, what lost


def photos_of(case: Json) -> PhotosByState:
    """The photos of a case."""
    known = case["photos"]
    keys = {plain_key(each["key"]) for each in known}
    named = {plain_key(key) for key in case["case"].get("image_keys") or ()}
    return PhotosByState(
        [each for each in known if each["url"]],
        [each for each in known if each["state"] == "refused"],
        [each for each in known if not each["url"] and each["state"] != "refused"],
        len(named - keys),
    )


def earlier_of(case: Json, site: str | None) -> list[Earlier]:
    """Other cases of the patient that have photos: those of the same site first."""
    found = []
    for other in case["patient_cases"]:
        photos = [url.rpartition("/")[2] for url in other["image_urls"]]
        same = site is not None and _plain(other["site"]) == _plain(site)
        if photos:
            found.append(Earlier(other, photos, same))
    return sorted(found, key=lambda each: not each.same)


def _plain(site: str | None) -> frozenset[str]:
    """The words of a site, whatever their order."""
    return frozenset((site or "").casefold().replace(",", " ").split())


def together(flags: Sequence[str]) -> list[emergency.EmergencyRule]:
    """The rules by which flags are an emergency."""
    return [row for row in emergency.ROWS if set(row.flags) <= set(flags)]


def flags_of(case: Json) -> list[str]:
    """Red flags of a case: by rule, then by the readings."""
    said = (case["case"].get("rules") or {}).get("flags") or ()
    read = (case["case"].get("ai_analysis") or {}).get("red_flags") or ()
    return list(dict.fromkeys([*said, *read]))


def readings_of(case: Json) -> list[Json]:
    """Every reading, the latest first; the one that is shown if none is kept."""
    if case["readings"]:
        return list(case["readings"])
    shown = case["case"].get("ai_analysis")
    if not shown:
        return []
    at = (shown.get("provenance") or {}).get("read_at")
    return [{"at": at, "job_id": "", "analysis": shown}]


def judged(case: Json) -> bool:
    """Whether there is a reading that a doctor can agree with or not."""
    return any(each["analysis"].get("differential") for each in readings_of(case))


def conflicts_of(case: Json) -> list[Lost]:
    """Values that won and lost, side by side."""
    return [Lost(entry, list(_sides(entry))) for entry in reversed(case["conflicts"])]


def _sides(entry: Json) -> Iterator[tuple[str, Any, Any]]:
    yours, theirs = entry["yours"], entry["theirs"]
    won, lost = (theirs, yours) if entry["winner"] == "server" else (yours, theirs)
    for name in dict.fromkeys([*yours, *theirs]):
        if not name.startswith("_"):
            yield name, won.get(name), lost.get(name)


def _announced(photos: Sequence[Json]) -> Iterator[TimelineStep]:
    """Photos by who announced them together: within ten minutes."""
    open_at: dict[str, list[int]] = {}
    for each in sorted(photos, key=lambda photo: photo["at"] or 0):
        at, who = each["at"] or 0, str(each["user_id"] or "")
        first, count = open_at.get(who) or (at, 0)
        if at - first > _TOGETHER_MS:
            yield TimelineStep(first, TIMELINE["photo"], who, text=str(count))
            first, count = at, 0
        open_at[who] = [first, count + 1]
    for who, (first, count) in open_at.items():
        yield TimelineStep(first, TIMELINE["photo"], who, text=str(count))


def timeline_of(case: Json) -> list[TimelineStep]:
    """What happened, the latest first."""
    have, review = case["case"], case["review"]
    steps = [
        TimelineStep(
            have.get("created_at") or 0, TIMELINE["created"], str(have.get("chw_id") or "")
        )
    ]
    steps += [
        TimelineStep(
            int(each["at"]),
            TIMELINE.get(each["step"], each["step"]),
            str(each.get("by") or ""),
            str(each.get("doctor_id") or "") if each["step"] == "assigned" else "",
            str(each.get("word") or ""),
        )
        for each in review["history"]
    ]
    steps += [
        TimelineStep(
            each["at"] or 0, TIMELINE["reading"], text=each["analysis"]["provenance"]["model"]
        )
        for each in case["readings"]
    ]
    steps += _announced(case["photos"])
    if review["read_at"]:
        steps.append(TimelineStep(review["read_at"], TIMELINE["read"]))
    if case["deleted_at"]:
        steps.append(
            TimelineStep(case["deleted_at"], TIMELINE["deleted"], str(case["deleted_by"] or ""))
        )
    return sorted(steps, key=lambda step: -step.at)
