"""Types of fields that several bodies have; `says` adds words, and what only the description promises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.records import record

#: Where keywords wait that go before those of the type: msgspec's own would win.
SAID = "said"

#: Where a field's words for a refusal wait: what it must be, which field is named, what is not there.
MUST, AT, NOTHING = "must", "at", "nothing"


def says(text: str, **schema: Any) -> Meta:
    """What a field means, and keywords of its JSON Schema that nothing is checked by; None drops one."""
    return Meta(description=text, extra_json_schema={SAID: schema})


def schema(**keywords: Any) -> Meta:
    """Keywords of JSON Schema that nothing is checked by; None drops one that follows from the type."""
    return Meta(extra_json_schema={SAID: keywords})


def must(text: str, *, at: str | None = None, **rules: Any) -> Meta:
    """Rules of a field, and how a refusal words them after "NAME must be"; `at`: the field it names."""
    return Meta(extra={MUST: text} if at is None else {MUST: text, AT: at}, **rules)


def one_of(choices: Sequence[str]) -> Meta:
    """One of some words."""
    return Meta(
        pattern=rf"^({'|'.join(map(re.escape, choices))})\Z",
        extra={MUST: f"one of {', '.join(choices)}"},
        extra_json_schema={SAID: {"enum": list(choices), "pattern": None}},
    )


def names(text: str) -> Meta:
    """A segment of a path that names something. One that cannot is answered 404 with this text."""
    return Meta(extra={NOTHING: text})


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
_ID = rf"(?!__.*__\Z){record.ID.pattern}\Z"
_WORDS = "1 to 128 of A-Z a-z 0-9 _ -"
Id = Annotated[str, must(_WORDS, pattern=f"^{_ID}")]
#: An id in a query; an empty one is none.
IdOrEmpty = Annotated[
    str, must(_WORDS, pattern=rf"^(\Z|{_ID})"), schema(pattern=f"^{_ID}", default=None)
]
#: How many entries a page may have; lists that have a bound of their own apply it.
Limit = Annotated[int, must("a whole number from 1", ge=1, le=999_999_999), schema(maximum=None)]
Count = Annotated[int, Meta(ge=0)]
TextOrNull = Annotated[str | None, schema(**NULL)]
CountOrNull = Annotated[Count | None, schema(**NULL)]
Moment = Annotated[
    int, says("Unix milliseconds.", minimum=record.LEAST_MS, exclusiveMaximum=record.MOST_MS)
]
MomentOrNull = Annotated[Moment | None, schema(**NULL)]
Seconds = Annotated[
    float, says("Unix seconds; fractions allowed.", minimum=0, maximum=record.MOST_SECONDS)
]

#: The `error` of every refusal.
Error = Annotated[dict[str, Any], schema(type=None, **{"$ref": REF.format(name="ErrorDetail")})]
