"""Records as FHIR resources, by a product's mapping.

All of a team as NDJSON, a file a resource type, as in HL7's FHIR Bulk Data Access; or one family of records
as a Bundle.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import IO, Any, Protocol

import orjson

from shared.access.membership import Caller
from shared.export.rows import batches
from shared.records.collection import Catalog
from shared.records.store import Document, RecordStore

Resource = dict[str, Any]


class FhirMapping(Protocol):
    """A product's mapping. Records come with parents before children; it may remember what it told."""

    def resources(self, document: Document) -> Iterator[Resource]:
        """What a record is in FHIR; None in a field stands for what is not known."""
        ...


def export(
    store: RecordStore,
    catalog: Catalog,
    scopes: Sequence[str],
    mapper: FhirMapping,
    file_of: Callable[[str], IO[bytes]],
    by: Caller,
    clock_ms: Callable[[], int],
) -> dict[str, int]:
    """Write the records of teams to the files of their resource types; returns resources by type.

    Raises as `told` does; what was written until then is a part.
    """
    counts: dict[str, int] = {}
    for scope in scopes:
        for resource in chain.from_iterable(told(store, catalog, scope, mapper, by, clock_ms)):
            kind = resource["resourceType"]
            file_of(kind).write(orjson.dumps(resource) + b"\n")
            counts[kind] = counts.get(kind, 0) + 1
    return dict(sorted(counts.items()))


def told(
    store: RecordStore,
    catalog: Catalog,
    scope: str,
    mapper: FhirMapping,
    by: Caller,
    clock_ms: Callable[[], int],
    holds: Callable[[Document], bool] = lambda _document: True,
) -> Iterator[list[Resource]]:
    """The resources of a team, batch by batch; each record is noted in the audit trail before it is told.

    Raises `StoreUnavailable`.
    """
    read_at = store.read(()).read_at
    for table in catalog.collections:
        for batch in batches(store, table.name, scope, read_at, by, clock_ms, holds):
            yield list(resources(mapper, batch))


def resources(mapper: FhirMapping, documents: Iterable[Document]) -> Iterator[Resource]:
    """The resources of records, without what is not known: FHIR has no null."""
    for document in documents:
        for each in mapper.resources(document):
            yield {name: value for name, value in each.items() if value is not None}


def bundle(mapper: FhirMapping, documents: Iterable[Document]) -> Resource:
    """Records that hang together, parents first, as one Bundle."""
    entries = [
        {
            "fullUrl": uuid.uuid5(uuid.NAMESPACE_URL, f"{each['resourceType']}/{each['id']}").urn,
            "resource": each,
        }
        for each in resources(mapper, documents)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


# --- what mappings are made of


def made(document: Document, kind: str, **fields: Any) -> Resource:
    """A resource of a record; its id is the record's, if it is not given another."""
    meta = {"lastUpdated": moment(document.version // 1000), **(fields.pop("meta", None) or {})}
    name = fields.pop("id", None) or fhir_id(document.key.id)
    return {"resourceType": kind, "id": name, "meta": meta, **fields}


def fhir_id(name: str, part: str = "") -> str:
    """An id as FHIR allows it (64 of A-Z a-z 0-9 - .): ours, if it is one, else its hash."""
    whole = f"{name}.{part}" if part else name
    if len(whole) <= 64 and "_" not in whole:
        return whole
    return hashlib.sha256(whole.encode()).hexdigest()


def reference(kind: str, name: Any) -> Resource | None:
    """A reference to a resource by its record's id; None to nothing."""
    return {"reference": f"{kind}/{fhir_id(str(name))}"} if name else None


def concept(text: str | None, system: str, code: str) -> Resource:
    """A code of a system, and how people say it."""
    coded: Resource = {"coding": [{"system": system, "code": code}]}
    return {**coded, "text": text} if text else coded


def moment(ms: Any) -> str | None:
    """A time in Unix ms as FHIR writes it; None if it is none."""
    if not isinstance(ms, int):
        return None
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return None
