"""A workplace that takes photos: the files engine on each store, with files in a folder."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from PIL import Image, ImageFilter

from infra.local.phone import wall_ms
from shared.access.membership import Caller
from shared.adapters.folder import FolderFiles
from shared.ai.conversation import Terms
from shared.files.checking import Check
from shared.files.cleaning import Cleaner
from shared.files.file import CHECK, Attachment
from shared.files.store import FileStore
from shared.files.tickets import Tickets
from shared.files.uploads import ByteRange, Progress, Uploads
from shared.jobs.runner import Runner, Task
from shared.records.bell import Bell
from shared.records.store import Document, Query, RecordStore
from tests import stores
from tests.api.conftest import api, start_api  # noqa: F401  fixtures
from tests.jobs.conftest import Workplace
from tests.neutral.tables import ATTACHMENTS, PHOTO_LIMITS

Json = dict[str, Any]

DAY_MS = 86_400_000
KEEP_MS = 7 * DAY_MS


def photo(seed: int = 0, size: tuple[int, int] = (960, 720), quality: int = 85) -> bytes:
    """A JPEG of a lesion on textured skin, another one for each seed."""
    dice = random.Random(seed)
    skin = Image.effect_noise(size, 40).convert("RGB")
    tone = tuple(dice.randrange(90, 220) for _ in range(3))
    skin = Image.blend(skin, Image.new("RGB", size, tone), 0.6)
    spot = Image.new("L", size, 0)
    middle = (size[0] // 3, size[1] // 3, 2 * size[0] // 3, 2 * size[1] // 3)
    spot.paste(255, middle)
    spot = spot.filter(ImageFilter.GaussianBlur(8))
    skin.paste(Image.new("RGB", size, (70, 30, 35)), (0, 0), spot)
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Camera-of-Amina"
    skin.save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


class Bells:
    """A doorbell that remembers."""

    def __init__(self) -> None:
        self.rung: list[Bell] = []

    def ring(self, bell: Bell) -> None:
        self.rung.append(bell)

    def close(self) -> None:
        """Nothing to give back."""


class Studio(Workplace):
    """A workplace with the files engine."""

    attachments: Mapping[str, Attachment] = ATTACHMENTS

    def __init__(self, store: RecordStore, files: FileStore) -> None:
        super().__init__(store)
        self.files = files
        self.bells = Bells()
        self.tickets = Tickets(
            store, self.attachments, self.catalog, most_bytes=10 * 2**20, keep_ms=KEEP_MS
        )
        self.uploads = Uploads(store, files, self.catalog, keep_ms=KEEP_MS, link_seconds=900)
        self.cleaner = Cleaner(store, lambda: files)
        self.caller = Caller(f"{self.member}1", self.member, f"{self.member}1-phone")

    def with_parts(self, store: RecordStore | None = None, files: FileStore | None = None) -> Self:
        """The same with another store or file store in front."""
        other = type(self)(store or self.store, files or self.files)
        other.time, other.bells = self.time, self.bells
        return other

    def tasks(self, store: RecordStore, terms: Terms) -> Mapping[str, Task]:
        check = Check(store, lambda: self.files, self.attachments, PHOTO_LIMITS, lambda: self.bells)
        return {CHECK: check, **super().tasks(store, terms)}

    def runner(self) -> Runner:
        return self.worker()

    def note(self, *keys: str, name: str = "c1", mark: str = "red", **more: Any) -> None:
        """A note arrives from the phone of member1, naming these pictures."""
        phone = self.phone()
        if self.get("notebooks", "p1") is None:
            phone.save("notebooks", "p1", at=1000, cover={"age": 30, "sex": "f"})
        fields = {"body": {"site": "arm"}, "mark": mark, "picture_keys": list(keys)}
        phone.save("notes", name, at=1000, notebook_id="p1", **fields, **more)
        phone.sync()

    def ask(
        self,
        data: bytes,
        key: str = "a.jpg",
        name: str = "c1",
        caller: Caller | None = None,
        **more: Any,
    ) -> Json:
        """The answer to one ask."""
        asked = {
            "table": self.child,
            "record_id": name,
            "key": key,
            "type": "image/jpeg",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            **more,
        }
        return self.asks([asked], caller)[0]

    def asks(self, files: Any, caller: Caller | None = None) -> list[Json]:
        found = self.tickets.ask(caller or self.caller, self.tickets.parse(files), self.time)
        self.bells.rung += found.bells
        return found.answers

    def piece(
        self,
        ticket: Json,
        data: bytes,
        first: int = 0,
        last: int | None = None,
        *,
        cut: int | None = None,
        caller: Caller | None = None,
    ) -> Progress:
        """Send a piece; `cut`: the connection breaks after so many bytes of it."""
        last = len(data) - 1 if last is None else last
        sent = data[first : last + 1][:cut]
        blocks = iter([sent[at : at + 4096] for at in range(0, len(sent), 4096)])
        span = ByteRange(first, last, len(data))
        return self.uploads.receive(caller or self.caller, ticket["id"], span, blocks, self.time)

    def check(self, progress: Progress) -> str:
        """Run the check that waits."""
        assert progress.job_id is not None
        return self.runner().run(progress.job_id)

    def send(self, data: bytes, key: str = "a.jpg", name: str = "c1", **more: Any) -> Json:
        """Ask, send whole, check; what became of it."""
        ticket = self.ask(data, key, name, **more)
        if ticket.get("state") == "upload":
            self.check(self.piece(ticket, data))
        return self.uploads.look(self.caller, ticket["id"]).value()

    def job(self, name: str = "c1") -> Json:
        """The job that a record waits for."""
        return self.fields("jobs", self.fields(self.child, name)["_job"])

    def blob(self, ticket: Json) -> Document:
        """The blob behind a file."""
        found = self.get("blobs", self.fields("files", ticket["id"])["blob"])
        assert found is not None
        return found

    def objects(self) -> list[str]:
        """Names of all objects in the file store."""
        return [
            each.name
            for folder in ("incoming", "originals", "derived")
            for each in self.files.list(f"{folder}/")
        ]

    def documents(self, collection: str) -> list[Document]:
        return list(self.store.query(Query(collection)))


@pytest.fixture(params=stores.BOTH)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Studio]:
    """A studio with one team, team1, and its member member1."""
    store = stores.fresh(request.param, request, tmp_path)
    files = FolderFiles(tmp_path / "files", b"f" * 32, wall_ms)
    made = Studio(store, files)
    made.join("member1")
    yield made
    files.close()
    store.close()
