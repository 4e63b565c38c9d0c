"""Types of fields that several bodies have; `says` adds words, and what only the description promises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.records import record

#: Where keywords wait that go before those of the type: msgspec's own would win.
SAID = "said"


def says(text: str, **schema: Any) -> Meta:
    """What a field means, and keywords of its JSON Schema that nothing is checked by; None drops one."""
    return Meta(description=text, extra_json_schema={SAID: schema})


def schema(**keywords: Any) -> Meta:
    """Keywords of JSON Schema that nothing is checked by; None drops one that follows from the type."""
    return Meta(extra_json_schema={SAID: keywords})


def must(text: str, **rules: Any) -> Meta:
    """Rules of a field, and how a refusal words them after "NAME must be"."""
    return Meta(extra={"must": text}, **rules)


def either(*kinds: type[Struct] | None) -> dict[str, Any]:
    """The schema of a value that is one of several types; None is anything."""
    return {
        "anyOf": [
            {} if kind is None else {"$ref": REF.format(name=kind.__name__)} for kind in kinds
        ]
    }


def bullets(pairs: Iterable[tuple[str, str]]) -> str:
    """Codes with their sentences, as a list."""
    return "\n".join(f"- `{code}`: {sentence}" for code, sentence in pairs)


#: Where a named schema is.
REF = "#/components/schemas/{name}"

#: Null beside a type is one schema with both, not a choice of two.
NULL = {"null": True}

#: `\Z` of Python is what `$` of JSON Schema means: no line break may follow.
Id = Annotated[
    str, must("1 to 128 of A-Z a-z 0-9 _ -", pattern=rf"^(?!__.*__\Z){record.ID.pattern}\Z")
]
Count = Annotated[int, Meta(ge=0)]
TextOrNull = Annotated[str | None, schema(**NULL)]
CountOrNull = Annotated[Count | None, schema(**NULL)]
Seconds = Annotated[
    float, says("Unix seconds; fractions allowed.", minimum=0, maximum=record.MOST_SECONDS)
]

#: The `error` of every refusal.
Error = Annotated[
    dict[str, Any], schema(type=None, **{"$ref": "#/components/schemas/Error/properties/error"})
]
