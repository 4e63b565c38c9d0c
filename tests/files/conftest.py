"""A clinic that takes photos: the files engine on each store, with files in a folder."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

from infra.local.phone import wall_ms
from shared.access.membership import Caller
from shared.adapters.folder import FolderFiles
from shared.ai.conversation import Terms
from shared.ai.model import Model
from shared.files.checking import Check
from shared.files.cleaning import Cleaner
from shared.files.file import CHECK
from shared.files.reading import Photos
from shared.files.store import FileStore
from shared.files.tickets import Tickets
from shared.files.uploads import ByteRange, Progress, Uploads
from shared.jobs.cascade import KIND, Cascade
from shared.jobs.job import RetryPolicy
from shared.jobs.restore import KIND as RESTORE
from shared.jobs.restore import Restore
from shared.jobs.runner import Runner, Task
from shared.jobs.transfer import KIND as TRANSFER
from shared.jobs.transfer import Transfer
from shared.products.dermadetect.analyse import Analyse
from shared.products.dermadetect.gateway import Gateway
from shared.products.dermadetect.photos import ATTACHMENTS
from shared.products.dermadetect.rights import RIGHTS
from shared.products.dermadetect.tables import ANALYSE, CATALOG
from shared.products.dermadetect.triage import ZeroShot
from shared.records.bell import Bell
from shared.records.store import Document, Query, RecordStore
from tests import stores
from tests.api.conftest import api, start_api  # noqa: F401  fixtures
from tests.scripted import ScriptedModel
from tests.sync.clinic import Clinic

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


class Studio(Clinic):
    """A clinic with the files engine. `on` gives the same with another store or file store in front."""

    def __init__(self, store: RecordStore, files: FileStore) -> None:
        super().__init__(store)
        self.files = files
        self.time = wall_ms()
        self.now_ms = lambda: self.time
        self.bells = Bells()
        self.model: Model = ScriptedModel()
        self.second_look = ZeroShot(None)
        self.tickets = Tickets(store, ATTACHMENTS, RIGHTS, most_bytes=10 * 2**20, keep_ms=KEEP_MS)
        self.uploads = Uploads(store, files, RIGHTS, keep_ms=KEEP_MS, link_seconds=900)
        self.cleaner = Cleaner(store, lambda: files)
        self.chw = Caller("chw1", "chw", "chw1-phone")

    def with_parts(
        self, store: RecordStore | None = None, files: FileStore | None = None
    ) -> Studio:
        other = Studio(store or self.store, files or self.files)
        other.time, other.bells = self.time, self.bells
        return other

    def runner(self) -> Runner:
        gateway = Gateway(Terms(self.model, 1024, 30))
        photos = Photos(self.store, lambda: self.files, most_bytes=1_000_000)
        tasks: dict[str, Task] = {
            CHECK: Check(self.store, lambda: self.files, ATTACHMENTS, lambda: self.bells),
            ANALYSE: Analyse(
                self.store,
                lambda: gateway,
                longest_seconds=0.0,
                clock=self.now_ms,
                photos=photos.of,
                second_look=lambda: self.second_look,
            ),
            KIND: Cascade(self.store, CATALOG, self.now_ms),
            RESTORE: Restore(self.store, CATALOG, self.now_ms),
            TRANSFER: Transfer(self.store, CATALOG, self.now_ms),
        }
        policy = RetryPolicy(3, 20.0, 3600.0)
        return Runner(self.store, tasks, policy=policy, lease_ms=600_000, clock=self.now_ms)

    def case(self, *keys: str, name: str = "c1", risk: str = "red", **more: Any) -> None:
        """A case arrives from the phone of chw1, naming these photos."""
        phone = self.phone()
        if self.get("patients", "p1") is None:
            phone.save("patients", "p1", at=1000, demographics={"age": 30, "sex": "f"})
        fields = {"triage_data": {"site": "arm"}, "risk_level": risk, "image_keys": list(keys)}
        phone.save("cases", name, at=1000, patient_id="p1", **fields, **more)
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
            "table": "cases",
            "record_id": name,
            "key": key,
            "type": "image/jpeg",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            **more,
        }
        return self.asks([asked], caller)[0]

    def asks(self, files: Any, caller: Caller | None = None) -> list[Json]:
        found = self.tickets.ask(caller or self.chw, self.tickets.parse(files), self.time)
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
        return self.uploads.receive(caller or self.chw, ticket["id"], span, blocks, self.time)

    def check(self, progress: Progress) -> str:
        """Run the check that waits."""
        assert progress.job_id is not None
        return self.runner().run(progress.job_id)

    def send(self, data: bytes, key: str = "a.jpg", name: str = "c1", **more: Any) -> Json:
        """Ask, send whole, check; what became of it."""
        ticket = self.ask(data, key, name, **more)
        if ticket.get("state") == "upload":
            self.check(self.piece(ticket, data))
        return self.uploads.look(self.chw, ticket["id"]).value()

    def job(self, case: str = "c1") -> Json:
        """The job that the case waits for."""
        return self.fields("jobs", self.fields("cases", case)["_job"])

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
    """A studio with one team, team1, and its health worker chw1."""
    store = stores.fresh(request.param, request, tmp_path)
    files = FolderFiles(tmp_path / "files", b"f" * 32, wall_ms)
    made = Studio(store, files)
    made.join("chw1")
    yield made
    files.close()
    store.close()
