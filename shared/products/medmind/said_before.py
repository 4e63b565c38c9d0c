"""Has she said this before? Earlier symptoms of the circle that are like a new one.

Each symptom's row holds where its words are placed (`_vector`), so that it goes with the row. The newest
`_MOST` of the circle are compared one by one: 500 take 4 ms (docs/decisions/0025-voice.md).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from shared.ai.embedding import Embedder
from shared.ai.letters import Letters
from shared.errors import ModelFault
from shared.products.medmind.voice_tables import SYMPTOMS
from shared.records import record
from shared.records.store import Query, RecordStore

log = logging.getLogger(__name__)

#: Where the words of a symptom are placed, and by whom. Never sent to phones.
VECTOR, PLACED_BY = "_vector", "_placed_by"

#: From which likeness (cosine) on two are alike, by who placed them: 20 pairs, see the decision.
_ALIKE = {"letters-1": 0.6, "use-multilingual-3": 0.7}

#: Earlier symptoms that are compared, and that are named.
_MOST, _NAMED = 500, 5

_SECONDS = 5.0


class WordPlace(NamedTuple):
    """Where a text is placed."""

    vector: tuple[float, ...]
    by: str


def places(texts: Sequence[str], embedder: Embedder | None) -> list[WordPlace]:
    """Where texts are placed: by the deployment's model if it is one of sentences, else by letters."""
    chosen: Embedder = Letters() if embedder is None or embedder.name not in _ALIKE else embedder
    try:
        found = chosen.embed(texts, (), _SECONDS)
    except ModelFault as fault:
        log.warning("placed by letters", extra={"fault": fault.code})
        chosen = Letters()
        found = chosen.embed(texts, (), _SECONDS)
    return [WordPlace(each.vector, chosen.name) for each in found]


def columns(store: RecordStore, scope: str, place: WordPlace, at_ms: int) -> dict[str, Any]:
    """The columns of a symptom that is placed there: its place, and the earlier ones that are like it."""
    query = Query(
        SYMPTOMS,
        ((record.SCOPE, "==", scope),),
        (("at", "desc"),),
        _MOST,
        ("at", VECTOR, PLACED_BY, record.DELETED),
    )
    alike = []
    for each in store.query(query):
        have = each.fields
        if have.get(record.DELETED) or have.get(PLACED_BY) != place.by or int(have["at"]) >= at_ms:
            continue
        likeness = sum(a * b for a, b in zip(place.vector, have[VECTOR], strict=False))
        if likeness >= _ALIKE[place.by]:
            alike.append((likeness, int(have["at"]), each.key.id))
    nearest = sorted(alike, reverse=True)[:_NAMED]
    named = [{"at": at, "id": name} for _, at, name in sorted(nearest, key=lambda each: -each[1])]
    return {
        VECTOR: list(place.vector),
        PLACED_BY: place.by,
        "said_before": orjson.dumps(named, option=orjson.OPT_SORT_KEYS).decode() if named else None,
    }
