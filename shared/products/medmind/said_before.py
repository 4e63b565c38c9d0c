"""Has she said this before? Earlier symptoms of the circle that are like a new one.

Each symptom's row holds where its words are placed, in a field of whoever placed them, so that it goes with
the row; the store finds what is near (`shared.records.store.Near`; docs/decisions/0025-voice.md).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from shared.ai.embedding import Embedder
from shared.ai.letters import PLACES, Letters
from shared.errors import ModelFault
from shared.products.medmind.voice_tables import SYMPTOMS
from shared.records import record
from shared.records.store import NEAR, Near, Query, RecordStore, StoredCollection

log = logging.getLogger(__name__)

#: By who places words: the field of the places, never sent to phones; and from which likeness (cosine) on
#: two are alike: 20 pairs, see the decision.
_PLACES = {"letters-1": (f"{NEAR}letters", 0.6), "use-multilingual-3": (f"{NEAR}sentences", 0.7)}

STORED = (
    StoredCollection(
        SYMPTOMS,
        (
            (record.SCOPE, "__name__", f"{NEAR}letters {PLACES}"),
            (record.SCOPE, "__name__", f"{NEAR}sentences 512"),
        ),
    ),
)

#: Near ones that are read (some are deleted, or of later), and earlier ones that are named.
_MOST, _NAMED = 50, 5

_SECONDS = 5.0


class WordPlace(NamedTuple):
    """Where a text is placed."""

    vector: tuple[float, ...]
    by: str


def places(texts: Sequence[str], embedder: Embedder | None) -> list[WordPlace]:
    """Where texts are placed: by the deployment's model if it is one of sentences, else by letters."""
    chosen: Embedder = Letters() if embedder is None or embedder.name not in _PLACES else embedder
    try:
        found = chosen.embed(texts, (), _SECONDS)
    except ModelFault as fault:
        log.warning("placed by letters", extra={"fault": fault.code})
        chosen = Letters()
        found = chosen.embed(texts, (), _SECONDS)
    return [WordPlace(each.vector, chosen.name) for each in found]


def columns(store: RecordStore, scope: str, place: WordPlace, at_ms: int) -> dict[str, Any]:
    """The columns of a symptom that is placed there: its place, and the earlier ones that are like it."""
    field, least = _PLACES[place.by]
    if not any(place.vector):  # no letter in it
        return {"said_before": None}
    near = Near(field, place.vector, least)
    of_circle = ((record.SCOPE, "==", scope),)
    found = store.query(
        Query(SYMPTOMS, of_circle, limit=_MOST, fields=("at", record.DELETED), near=near)
    )
    earlier = [
        (int(each.fields["at"]), each.key.id)
        for each in found
        if not each.fields.get(record.DELETED) and int(each.fields["at"]) < at_ms
    ]
    named = [{"at": at, "id": name} for at, name in sorted(earlier[:_NAMED], reverse=True)]
    return {
        field: list(place.vector),
        "said_before": orjson.dumps(named, option=orjson.OPT_SORT_KEYS).decode() if named else None,
    }
