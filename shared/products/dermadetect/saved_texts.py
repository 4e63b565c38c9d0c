"""Short texts that a doctor writes once and puts into diagnoses: her own, nobody else sees them.

All of a user's are one document, `saved_texts/{user_id}`, of bounded size. It ends with her account
(`Catalog.of_users`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.access import membership
from shared.access.membership import Caller
from shared.errors import InvalidRequest, NotFound
from shared.products.dermadetect.tables import SAVED_TEXTS as COLLECTION
from shared.records import record
from shared.records.insist import insist
from shared.records.store import ABSENT, Document, Key, RecordStore, StoredCollection, put, verify

STORED = (StoredCollection(COLLECTION),)

#: Texts of a doctor, characters of a text and of its name: with four bytes each they fill 0.8 MB at worst,
#: and a document holds 1 MiB.
MOST, TEXT_CHARS, NAME_CHARS = 50, 4000, 80

_ATTEMPTS = 8


class SavedTexts:
    """Reads and changes the caller's own. Threads may share it; everything may be called again."""

    def __init__(self, store: RecordStore, wait: Callable[[float], None] = time.sleep) -> None:
        self._store, self._wait = store, wait

    def of(self, caller: Caller) -> list[dict[str, Any]]:
        """`id`, `name` and `text` of each, by name. Raises `StoreUnavailable`."""
        _, found = self._read(caller)
        return _listed(_texts(found))

    def save(self, caller: Caller, text_id: str, name: str, text: str) -> dict[str, Any]:
        """Add one, or change the one of this id.

        Raises `InvalidRequest` (empty, or there are `MOST`), `Contended` and `StoreUnavailable`.
        """
        name, text = " ".join(name.split()), text.strip()
        if not record.valid_id(text_id):
            raise InvalidRequest("This is no id.", field="id")
        for field, value, most in (("name", name, NAME_CHARS), ("text", text, TEXT_CHARS)):
            if not 0 < len(value) <= most:
                raise InvalidRequest(f"{field} must have 1 to {most} characters.", field=field)
        said = {"name": name, "text": text}

        def changed(texts: dict[str, Any]) -> dict[str, Any]:
            if text_id not in texts and len(texts) >= MOST:
                raise InvalidRequest(f"{MOST} texts are kept. Remove one first.", field="name")
            return {**texts, text_id: said}

        self._change(caller, changed)
        return {"id": text_id, **said}

    def remove(self, caller: Caller, text_id: str) -> None:
        """Remove one. Raises `NotFound`, `Contended` and `StoreUnavailable`."""

        def changed(texts: dict[str, Any]) -> dict[str, Any]:
            if text_id not in texts:
                raise NotFound("There is no such text.")
            return {name: each for name, each in texts.items() if name != text_id}

        self._change(caller, changed)

    def _change(self, caller: Caller, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        def step() -> None:
            held, found = self._read(caller)
            texts = changed(_texts(found))
            expect = ABSENT if found is None else found.version
            whole = put(Key(COLLECTION, caller.user_id), {"texts": texts}, expect)
            # an account that ends at this moment must not leave them behind
            self._store.commit([whole, verify(membership.key(caller.user_id), held)])

        busy = "Your texts are being changed from elsewhere right now. Try again."
        insist(step, _ATTEMPTS, busy=busy, wait=self._wait)

    def _read(self, caller: Caller) -> tuple[int, Document | None]:
        """The version of the caller's memberships, and the texts."""
        own, key = membership.key(caller.user_id), Key(COLLECTION, caller.user_id)
        documents = self._store.read([own, key]).documents
        members = membership.parse(caller.user_id, documents.get(own))
        return members.version, documents.get(key)


def _texts(found: Document | None) -> dict[str, Any]:
    return {} if found is None else dict(found.fields["texts"])


def _listed(texts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = [
        {"id": name, "name": each["name"], "text": each["text"]} for name, each in texts.items()
    ]
    return sorted(rows, key=lambda row: (row["name"].casefold(), row["id"]))
