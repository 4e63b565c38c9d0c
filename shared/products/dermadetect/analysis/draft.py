"""What a model said of one photo, and the one draft that those of several photos make: the worst of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.products.dermadetect.analysis.clean_text import clean
from shared.products.dermadetect.analysis.urgency_heard import worst_urgency
from shared.products.dermadetect.analysis.vocabulary import (
    ABCDE,
    DRAFT_STATUSES,
    LIKELIHOODS,
    MAX_MISSING,
    MAX_OPINIONS,
    MAX_REASONS,
    NOTE_CHARS,
    UNCERTAINTIES,
    URGENCIES,
    YES_NO,
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """One entry of the differential; for doctors only."""

    label: str
    likelihood: str
    supporting: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """What the model made of one photo."""

    verdict: str = "unclear"
    issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model said, every word inside the vocabularies and every text bounded."""

    status: str
    urgency: str
    red_flags: tuple[str, ...] = ()
    differential: tuple[Opinion, ...] = ()
    image_quality: tuple[ImageQuality, ...] = (ImageQuality(),)  #: one per image asked about
    primary_lesion: str = "unclear"
    colours: tuple[str, ...] = ()
    border: str = "unclear"
    distribution: str = "unclear"
    abcde: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(ABCDE, "unclear"))
    missing_information: tuple[str, ...] = ()
    suggested_next_steps: tuple[str, ...] = ()
    uncertainty: str = "high"
    uncertainty_note: str = ""
    confidence: tuple[float | str | None, ...] = (None,)  #: as given, one per image asked about


def merge(drafts: Sequence[Draft]) -> Draft:
    """One draft out of one per image: worst urgency, every flag, best status, likeliest first.

    Raises `ValueError` without a draft.
    """
    if not drafts:
        raise ValueError("nothing to merge")
    if len(drafts) == 1:
        return drafts[0]
    opinions: dict[str, Opinion] = {}
    for opinion in (o for d in drafts for o in d.differential):
        name = opinion.label.casefold()
        known = opinions.get(name)
        opinions[name] = opinion if known is None else _joined(known, opinion)
    likeliest = sorted(opinions.values(), key=lambda o: -LIKELIHOODS.index(o.likelihood))
    return Draft(
        status=min((d.status for d in drafts), key=DRAFT_STATUSES.index),
        urgency=max((d.urgency for d in drafts), key=URGENCIES.index),
        red_flags=_union(d.red_flags for d in drafts),
        differential=tuple(likeliest[:MAX_OPINIONS]),
        image_quality=tuple(q for d in drafts for q in d.image_quality),
        primary_lesion=_first_clear(d.primary_lesion for d in drafts),
        colours=_union(d.colours for d in drafts),
        border=_first_clear(d.border for d in drafts),
        distribution=_first_clear(d.distribution for d in drafts),
        abcde={name: min((d.abcde[name] for d in drafts), key=YES_NO.index) for name in ABCDE},
        missing_information=_union(d.missing_information for d in drafts)[:MAX_MISSING],
        suggested_next_steps=_union(d.suggested_next_steps for d in drafts),
        uncertainty=max((d.uncertainty for d in drafts), key=UNCERTAINTIES.index),
        uncertainty_note=clean(
            " ".join(_union([d.uncertainty_note] for d in drafts if d.uncertainty_note)),
            NOTE_CHARS,
        ),
        confidence=tuple(c for d in drafts for c in d.confidence),
    )


def _joined(one: Opinion, other: Opinion) -> Opinion:
    return Opinion(
        one.label,
        max(one.likelihood, other.likelihood, key=LIKELIHOODS.index),
        _union((one.supporting, other.supporting))[:MAX_REASONS],
        _union((one.against, other.against))[:MAX_REASONS],
    )


def _union(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for words in lists for word in words))


def _first_clear(words: Iterable[str]) -> str:
    return next((word for word in words if word != "unclear"), "unclear")


def raised(draft: Draft, urgency: str | None) -> Draft:
    """The draft, at least as urgent as this."""
    return replace(draft, urgency=worst_urgency(draft.urgency, urgency) or draft.urgency)
