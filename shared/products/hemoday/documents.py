"""Files of documents: PDFs and photos, a page or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.files.file import DOCUMENT_TYPES, PHOTO_TYPES, Attachment, Settled, plain_key
from shared.records.collection import Effects

#: Columns of a document: its pages as the phone names them, and where they are.
PAGES, URL, URLS = "pages", "file_url", "file_urls"

#: Files of a document that are settled: key → file id, "" for one that will not come. Never sent to phones.
FILES = "_files"


def urls(keys: Sequence[str], files: Mapping[str, str]) -> dict[str, Any]:
    """Where a document's files are: its pages in their order, then those that it does not name."""
    ready = {plain_key(key): file for key, file in sorted(files.items()) if file}
    named = [ready.pop(key) for key in map(plain_key, keys) if key in ready]
    found = [f"/api/v1/files/{file}" for file in (*named, *ready.values())]
    return {URL: found[0] if found else None, URLS: found or None}


def _settled(turn: Settled) -> Effects:
    document = turn.record.fields
    files = {**(document.get(FILES) or {}), **turn.files}
    from shared.products.hemoday.reading import due

    jobs = due(turn.store, turn.record, turn.files, turn.now_ms)
    return Effects({FILES: files, **urls(document.get(PAGES) or (), files)}, jobs)


ATTACHMENTS = {"documents": Attachment((*PHOTO_TYPES, *DOCUMENT_TYPES), _settled)}
