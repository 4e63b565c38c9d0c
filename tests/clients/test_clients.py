"""The clients that generators make of the API's description work, each against a running back end."""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from tests.ai.pictures import png
from tests.clients.conftest import HERE, OPENAPI, Clinic, Json
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.proof

PHOTO = png()

#: States of a photo that has come.
TAKEN = {"checking", "ready"}


class Made(Protocol):
    """A module of the generated package, by its name in it."""

    def __call__(self, name: str) -> ModuleType: ...


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """What `openapi-python-client` makes. A warning is a part that it left out."""
    folder = tmp_path_factory.mktemp("python")
    tools = Path(sys.executable).parent
    subprocess.run(
        [
            str(tools / "openapi-python-client"),
            *("generate", "--path", str(OPENAPI), "--output-path", str(folder), "--overwrite"),
            *("--meta", "none", "--fail-on-warning"),
        ],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},  # it calls ruff
        check=True,
    )
    package = folder.rename(folder.with_name("generated_client"))
    sys.path.insert(0, str(package.parent))
    yield lambda name: importlib.import_module(f"{package.name}.{name}")
    sys.path.remove(str(package.parent))


@pytest.fixture(scope="module")
def app(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `api.d.ts`, which `openapi-typescript` makes, and the app that uses it."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(packages / "node_modules")
    for name in ("phone.mts", "tsconfig.json"):
        shutil.copy(HERE / name, folder / name)
    tool(folder, "openapi-typescript", str(OPENAPI), "--output", "api.d.ts")
    return folder


def tool(folder: Path, name: str, *arguments: str) -> None:
    command = [str(folder / "node_modules" / ".bin" / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def operations(document: Json) -> list[Json]:
    return [each for methods in document["paths"].values() for each in methods.values()]


# --- nothing is left out


def test_the_python_client_has_every_operation(made: Made, document: Json) -> None:
    folder = Path(made("api").__path__[0])
    found = {path.stem for path in folder.glob("*/*.py")} - {"__init__"}
    assert len(found) == len(operations(document))


@pytest.mark.proof
def test_the_python_client_has_every_schema_with_fields(made: Made, document: Json) -> None:
    models = {name.lower() for name in vars(made("models"))}
    for name, schema in document["components"]["schemas"].items():
        if schema.get("properties"):
            assert name.lower() in models


@pytest.mark.proof
def test_the_typescript_client_has_every_operation(app: Path, document: Json) -> None:
    text = (app / "api.d.ts").read_text("utf-8")
    for each in operations(document):
        assert f"\n    {each['operationId']}: {{\n" in text


# --- an app of a few lines


@pytest.mark.proof
def test_an_app_in_typescript_compiles_and_works(app: Path, clinic: Clinic) -> None:
    # given an app that is checked against the types
    tool(app, "tsc", "--project", ".")
    # when it runs
    ran = subprocess.run(
        ["node", str(app / "made" / "phone.mjs")],
        env={
            **os.environ,
            "API_URL": clinic.url,
            "CHW_TOKEN": clinic.chw,
            "DOCTOR_TOKEN": clinic.doctor,
            "PHOTO": base64.b64encode(PHOTO).decode(),
            "PHOTO_SHA256": hashlib.sha256(PHOTO).hexdigest(),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    # then it has synced, sent a photo, seen the job's end, the work list and a refusal
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said.pop("cursor") > 0
    assert said.pop("sent") in TAKEN
    assert said == {
        "accepted": ["ts-case"],
        "state": "done",
        "reason": "waits",
        "code": "token_invalid",
    }


@pytest.mark.proof
def test_an_app_in_python_works(made: Made, clinic: Clinic) -> None:
    models = made("models")

    def client(token: str) -> Any:
        return made("client").AuthenticatedClient(base_url=clinic.url, token=token)

    chw, doctor = client(clinic.chw), client(clinic.doctor)
    # given a red case with a photo
    now = time.time()
    asked = models.FileAsked(
        table="cases",
        record_id="py-case",
        key="front.png",
        type_="image/png",
        bytes_=len(PHOTO),
        sha256=hashlib.sha256(PHOTO).hexdigest(),
    )
    patient = models.PatientsChange.from_dict(
        {
            "id": "py-patient",
            "sync_status": "new",
            "last_modified_at": now,
            "demographics": {"a": 1},
        }
    )
    case = models.CasesChange.from_dict(
        {
            "id": "py-case",
            "patient_id": "py-patient",
            "sync_status": "new",
            "last_modified_at": now,
            "risk_level": "red",
            "image_keys": [asked.key],
        }
    )
    request = models.SyncRequest(
        last_sync_timestamp=0,
        device_id="py-phone",
        changes=models.SyncChanges(patients=[patient], cases=[case]),
        files=[asked],
    )
    # when it is synced and its photo is sent
    synced = made("api.sync.sync").sync(client=chw, body=request, x_client_time=now)
    assert isinstance(synced, models.SyncAnswer)
    assert synced.accepted.cases == ["py-case"]
    [row] = synced.server_updates.cases
    assert row.status == "PENDING_DIAGNOSIS"
    [ticket] = synced.files
    body = made("types").File(payload=io.BytesIO(PHOTO))
    sent = made("api.files.put_file").sync(ticket.id, client=chw, body=body)
    assert isinstance(sent, models.StoredFile)
    assert sent.state in TAKEN
    # then the job comes to its end, and the doctor has it in the list
    [queued] = synced.server_updates.medgemma_queue
    until = time.monotonic() + PATIENCE_SECONDS
    while not (job := made("api.sync.get_job").sync(queued.id, client=chw)).final:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert job.state == "done"
    listed = made("api.review.list_review_cases").sync(client=doctor, limit=50)
    assert "py-case" in {each.id for each in listed.cases}
    shown = made("api.review.get_review_case").sync("py-case", client=doctor)
    assert (type(shown.case), shown.case.id) == (models.ReviewCase, "py-case")
    # and a refusal has a type
    refused = made("api.sync.sync").sync_detailed(client=client("none"), body=request)
    assert (refused.status_code, refused.parsed.error.code) == (401, "token_invalid")
