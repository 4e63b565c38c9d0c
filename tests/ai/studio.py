"""The studio of the files engine's suite, with DermaDetect's cases and the analysis of their photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.local.phone import wall_ms
from shared.adapters.folder import FolderFiles
from shared.ai.conversation import Terms
from shared.ai.model import Model
from shared.files.checking import Check
from shared.files.file import CHECK
from shared.files.reading import Photos
from shared.files.store import FileStore
from shared.jobs.runner import Runner, Task
from shared.products.dermadetect.analyse import Analyse
from shared.products.dermadetect.gateway import Gateway
from shared.products.dermadetect.photo_limits import PHOTO_LIMITS
from shared.products.dermadetect.photos import ATTACHMENTS
from shared.products.dermadetect.tables import ANALYSE, CATALOG, QUEUE
from shared.products.dermadetect.triage import ZeroShot
from shared.records.store import RecordStore
from tests import stores
from tests.files import conftest as files_suite
from tests.scripted import ScriptedModel


class Studio(files_suite.Studio):
    """Red cases, which wait for their photos; `asked` is the model, `second_look` the other one."""

    catalog, attachments = CATALOG, ATTACHMENTS
    member, kind = "chw", ANALYSE
    child, queue = "cases", QUEUE

    def __init__(self, store: RecordStore, files: FileStore) -> None:
        super().__init__(store, files)
        self.asked: Model = ScriptedModel()
        self.second_look = ZeroShot(None)

    def tasks(self, store: RecordStore, terms: Terms) -> Mapping[str, Task]:
        gateway = Gateway(terms)
        photos = Photos(store, lambda: self.files, most_bytes=1_000_000)
        return {
            CHECK: Check(
                store, lambda: self.files, self.attachments, PHOTO_LIMITS, lambda: self.bells
            ),
            ANALYSE: Analyse(
                store,
                lambda: gateway,
                longest_seconds=0.0,
                clock=self.now_ms,
                photos=photos.of,
                second_look=lambda: self.second_look,
            ),
        }

    def runner(self) -> Runner:
        return self.worker(self.asked)

    def case(self, *keys: str, name: str = "c1", risk: str = "red", **more: Any) -> None:
        """A case arrives from the phone of chw1, naming these photos."""
        phone = self.phone()
        if self.get("patients", "p1") is None:
            phone.save("patients", "p1", at=1000, demographics={"age": 30, "sex": "f"})
        fields = {"triage_data": {"site": "arm"}, "risk_level": risk, "image_keys": list(keys)}
        phone.save("cases", name, at=1000, patient_id="p1", **fields, **more)
        phone.sync()


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
