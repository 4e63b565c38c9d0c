"""Types of fields that several bodies have; `says` adds words, and what only the description promises."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from shared.records import record

#: The range of what counts as milliseconds, the upper end excluded; below, it is seconds.
LEAST_MS, MOST_MS = 100_000_000_000, 100_000_000_000_000


def says(text: str, **schema: Any) -> Meta:
    """What a field means, and keywords of its JSON Schema that nothing is checked by; None drops one."""
    return Meta(description=text, extra_json_schema=schema or None)


def schema(**keywords: Any) -> Meta:
    """Keywords of JSON Schema that nothing is checked by; None drops one that follows from the type."""
    return Meta(extra_json_schema=keywords)


def must(text: str, **rules: Any) -> Meta:
    """Rules of a field, and how a refusal words them after "NAME must be"."""
    return Meta(extra={"must": text}, **rules)


#: `\Z` of Python is what `$` of JSON Schema means: no line break may follow.
Id = Annotated[
    str,
    must(
        "1 to 128 of A-Z a-z 0-9 _ -",
        pattern=rf"^(?!__.*__\Z){record.ID.pattern}\Z",
    ),
]
Count = Annotated[int, Meta(ge=0)]
TextOrNull = Annotated[str | None, schema(anyOf=None, type=["string", "null"])]
CountOrNull = Annotated[int | None, schema(anyOf=None, type=["integer", "null"], minimum=0)]
Seconds = Annotated[
    float, says("Unix seconds; fractions allowed.", minimum=0, maximum=record.MOST_SECONDS)
]

#: The `error` of every refusal.
Error = Annotated[
    dict[str, Any], schema(type=None, **{"$ref": "#/components/schemas/Error/properties/error"})
]
