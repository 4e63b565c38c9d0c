"""A patient who was everywhere is erased while the stack runs: no document and no file keeps a word of it.

Each place where a patient's data can stand gets a word of its own: what is left says where it stood.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest
from google.cloud import firestore
from PIL import Image

from infra.local import photos
from infra.local.phone import Json, Phone
from infra.local.table import REPOSITORY
from shared.access import membership
from shared.adapters.sqlite import SqliteStore
from shared.records.store import Key
from tests.e2e.conftest import Deployment
from tests.e2e.test_main_job import until_analysed
from tests.patience import PATIENCE_SECONDS
from tests.sync.clinic import wall_ms

#: Places whose word is somewhere before: the others leave no trace even then.
EVERYWHERE = {
    "column", "diagnosis", "amended", "prescription", "verdict", "edit_chw", "edit_supervisor",
    "file_name0",
    "file_name1", "file_name2", "in_table", "inbox_word", "late", "later", "lost_name", "no_id", "odd_id",
    "photo0_bytes", "photo0_exif", "photo1_bytes", "photo1_exif", "refused", "table", "unreadable",
    "wrong_type",
}  # fmt: skip


class Story:
    """A patient of a team, with words that are nowhere else: `self("name")` is that of the name."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.stem = f"Zuhura{uuid.uuid4().hex[:10]}"
        self.team = f"team-{uuid.uuid4().hex[:6]}"
        self.patient, self.case = f"p-{uuid.uuid4().hex[:6]}", f"c-{uuid.uuid4().hex[:6]}"
        self.users = {
            role: f"{role}-{self.team}" for role in ("chw", "doctor", "admin", "supervisor")
        }
        for role, user in self.users.items():
            deployment.join(user, self.team, role)

    def __call__(self, place: str) -> str:
        return f"{self.stem}-{place}-"

    def ask(self, role: str, method: str, path: str, body: Any = None, **headers: str) -> Json:
        """The answer, whatever its status. `body` may be bytes."""
        parts = urlsplit(self.deployment.stack.url)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        token = self.deployment.token(self.users[role], role)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS
        )
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Authorization": f"Bearer {token}", **named})
            response = connection.getresponse()
            value: Json = json.loads(response.read())
        finally:
            connection.close()
        assert response.status < 500, value
        return value

    def push(self, device: str, **changes: list[Any]) -> Json:
        body = {"last_sync_timestamp": 0, "device_id": device, "changes": changes}
        return self.ask("chw", "POST", "/api/sync", body)

    def admin(self, *words: str) -> str:
        data = str(self.deployment.stack.data)
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli", "--data", data, *words],
            cwd=REPOSITORY,
            env={**os.environ, **self.deployment.stack.environ},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    # --- where a word may stand

    def places(self) -> set[str]:
        """The places whose word is somewhere: in a document, or in a file of the data folder."""
        files = [each for each in self.deployment.stack.data.rglob("*") if each.is_file()]
        texts = (each.read_bytes() for each in files)
        return self.words(*self._documents(), *texts, *self._objects())

    def kept(self) -> set[str]:
        """The places whose word is in a document about the patient: not in what only repeats it."""
        own = ("receipts/", "devices/")
        return self.words(
            *(each for each in self._documents() if not each.decode().startswith(own))
        )

    def words(self, *texts: bytes) -> set[str]:
        """The places whose words are in these texts."""
        found = set()
        for text in texts:
            for needle in self._needles():
                for at in re.finditer(re.escape(needle), text):
                    behind = text[at.end() : at.end() + 80].replace(b"\0", b"")
                    place = re.match(rb"-([a-z_0-9]+)-", behind)
                    found.add(place[1].decode() if place else f"? {behind!r}")
        return found

    def _needles(self) -> Iterator[bytes]:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            yield self.stem.encode(encoding)
        for shift in range(3):  # in base64 as it stands behind 0, 1 or 2 other bytes
            text = base64.b64encode(b"\0" * shift + self.stem.encode())
            yield text[4 if shift else 0 : -4]

    def _documents(self) -> Iterator[bytes]:
        """Every document of every collection that there is, whoever may know of it."""
        if isinstance(self.deployment.store, SqliteStore):
            with closing(sqlite3.connect(self.deployment.stack.data / "records.db")) as database:
                for row in database.execute("SELECT collection, id, data FROM documents"):
                    yield f"{row[0]}/{row[1]} {row[2]}".encode()
            return
        client = firestore.Client(self.deployment.settings.google_cloud_project)
        for collection in client.collections():
            for document in collection.stream():
                yield f"{document.reference.path} {document.to_dict()!r}".encode()

    def _objects(self) -> Iterator[bytes]:
        """The name and the bytes of every object in the bucket, if there is one."""
        settings = self.deployment.settings
        if settings.file_store != "gcs":
            return
        bucket = f"{self.deployment.stack.environ['FILES_ENDPOINT']}/storage/v1/b/{settings.files_bucket}/o"
        with urlopen(bucket) as answer:
            names = [item["name"] for item in json.load(answer).get("items", ())]
        for name in names:
            with urlopen(f"{bucket}/{quote(name, safe='')}?alt=media") as answer:
                yield name.encode() + answer.read()

    # --- what happens

    def photo(self, place: str, seed: int) -> bytes:
        """A photo with the word in its camera's data and in a comment."""
        image = Image.open(io.BytesIO(photos.generated(seed)))
        exif = Image.Exif()
        exif[0x010E] = self(f"{place}_exif")
        out = io.BytesIO()
        image.save(out, "JPEG", quality=88, exif=exif, comment=self(f"{place}_bytes").encode())
        return out.getvalue()

    def goes_to_the_clinic(self) -> Phone:
        """A red case is read with its photo; another photo is under way, and one is refused."""
        phone = self.deployment.phone(self.users["chw"])
        url, token = self.deployment.stack.url, self.deployment.token(self.users["chw"])
        demographics = {
            "name": self("name"),
            "age": 41,
            "sex": "female",
            "village": self("village"),
        }
        phone.save("patients", self.patient, demographics=demographics)
        whole, part, wrong = (self.photo(f"photo{at}", 900 + at) for at in range(3))
        names = [self(f"file_name{at}") for at in range(3)]
        phone.save(
            "cases",
            self.case,
            patient_id=self.patient,
            risk_level="red",
            triage_data={"site": "foot", "note": f"{self('note')} came with her mother"},
            image_keys=names[:1],
        )
        phone.photos.append(photos.announced("cases", self.case, names[0], whole))
        phone.sync()
        photos.send(url, token, phone.tickets[names[0]], whole)
        until_analysed(phone, self.case)
        phone.save("cases", self.case, image_keys=names)
        for name, data in zip(names[1:], (part, wrong), strict=True):
            phone.photos.append(photos.announced("cases", self.case, name, data))
        phone.photos[1]["sha256"] = hashlib.sha256(b"another").hexdigest()
        phone.sync()
        photos.send(url, token, phone.tickets[names[2]], wrong)
        upload = phone.tickets[names[1]]["upload"]["url"]
        half = {"Content_Range": f"bytes 0-{len(part) // 2 - 1}/{len(part)}"}
        self.ask("chw", "PUT", upload, part[: len(part) // 2], **half)
        return phone

    def is_edited_by_two(self, phone: Phone) -> None:
        """What loses is kept in the conflict log and in receipts; a late receipt repeats it."""
        other = self.deployment.phone(self.users["supervisor"])
        other.sync()
        for each in (phone, other):
            answers = {"site": "foot", "note": self(f"edit_{each.user.partition('-')[0]}")}
            each.save("cases", self.case, triage_data=answers)
            each.save("patients", self.patient, demographics={"name": self("lost_name")})
        body = other.request()
        phone.sync()
        other.send(body, other)
        other.send(body, other)

    def is_refused(self) -> list[str]:
        """What cannot be stored is kept as it came; the ids that are none."""
        odd = [self("odd_id") + " of Kito", self("odd_id_of_a_photo") + "/1"]
        name = {"demographics": {"name": self("refused")}}
        at = {"last_modified_at": wall_ms() / 1000}
        self.push("odd", patient=[{"id": self.patient, **name, **at}])
        self.push("odd", **{self("table"): [{"id": self.patient, "name": self("in_table")}]})
        self.push("odd", patients=[{"id": odd[0], **name, **at}])
        self.push("odd", cases=[{"id": "new-1", "patient_id": self.patient, "risk_level": 7,
                                 "triage_data": {"note": self("wrong_type")}, **at}])  # fmt: skip
        self.push("odd", cases=[{"patient_id": self.patient, "note": self("no_id"), **at}])
        self.push("newer", patients=[{"id": self.patient, self("column"): self("of_column"), **at}])
        broken = {
            "id": self.case,
            "patient_id": self.patient,
            "x": "HALF",
            "note": self("unreadable"),
        }
        body = {"last_sync_timestamp": 0, "device_id": "odd-chw", "changes": {"cases": [broken]}}
        self.ask("chw", "POST", "/api/sync", json.dumps(body).replace("HALF", "\\ud83d").encode())
        wrong = {"table": "cases", "record_id": self.case, "key": odd[1], "type": "image/jpeg",
                 "bytes": 5, "sha256": self("sha")}  # fmt: skip
        self.ask("chw", "POST", "/api/sync", {**body, "changes": {}, "files": [wrong]})
        melon = {
            "cases": {
                "created": [],
                "updated": [
                    {"id": self.case, "patient_id": self.patient, "risk_level": [self("melon")]}
                ],
                "deleted": [],
            }
        }
        self.ask(
            "chw",
            "POST",
            "/api/v1/sync?last_pulled_at=0&device_id=melon",
            {"changes": melon},
        )
        # ids in paths and queries, and what is no JSON at all
        self.ask("chw", "GET", f"/api/v1/jobs/{self.case}?page={self('query')}")
        self.ask("doctor", "GET", f"/api/v1/inbox?page={self('page')}")
        self.ask("chw", "POST", "/api/sync", f'{{"changes": {self("no_json")}'.encode())
        return odd

    def comes_late(self) -> None:
        """An edit by somebody who has left waits in the inbox, and is closed with a word."""
        self.users["ex"] = f"ex-{self.team}"
        self.deployment.join(self.users["ex"], self.team)
        phone = self.deployment.phone(self.users["ex"])
        phone.sync()
        membership.revoke(self.deployment.store, self.users["ex"], self.team, wall_ms())
        phone.save("cases", self.case, triage_data={"note": self("late")}, risk_level="red")
        phone.sync()
        entries = self.ask("doctor", "GET", "/api/v1/inbox")["entries"]
        assert [entry for entry in entries if entry["late"]]
        for entry in entries:
            word = {"word": self("inbox_word")}
            self.ask("doctor", "POST", f"/api/v1/inbox/{entry['id']}/close", word)

    def is_seen_by_a_doctor(self, phone: Phone) -> None:
        """Claimed, signed, amended; changed since, and closed with a word."""
        path, key = f"/api/v1/review/cases/{self.case}", Key("cases", self.case)
        self.ask("doctor", "POST", f"{path}/claim", {})
        said: Json = {"diagnosis_text": self("diagnosis"), "prescription": self("prescription"),
                      "verdict": "reject", "verdict_text": self("verdict")}  # fmt: skip
        for name in ("sign", "amend"):
            version = self.deployment.store.read([key]).documents[key].version
            named = {"Idempotency_Key": self(name), "If_Match": f'"{version}"'}
            told = self.ask("doctor", "POST", f"{path}/diagnosis", said, **named)
            assert "id" in told, told
            said = {**said, "diagnosis_text": self("amended"), "amends": told["id"]}
        phone.sync()
        phone.save("cases", self.case, triage_data={"site": "foot", "note": self("later")})
        phone.sync()
        self.ask("doctor", "GET", path)
        case = self.deployment.store.read([key]).documents[key]
        word = {"word": self("closing_word")}
        self.ask("supervisor", "POST", f"{path}/close", word, If_Match=f'"{case.version}"')


@pytest.mark.proof
def test_an_erased_patient_is_in_no_document_and_in_no_file(
    deployment: Deployment, tmp_path: Path
) -> None:
    # given a patient who is everywhere
    story = Story(deployment)
    phone = story.goes_to_the_clinic()
    story.is_edited_by_two(phone)
    odd = story.is_refused()
    story.comes_late()
    story.is_seen_by_a_doctor(phone)
    kept, there = story.kept(), story.places()
    assert there >= EVERYWHERE
    # when all that is stored about her is given out
    story.admin("export", story.patient, "--to", str(tmp_path / "export.json"))
    # then everything of it is there, but what is under an id that is none, and photos that never came
    given = story.words(*(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()))
    assert kept - given == {"odd_id"}
    assert {"photo0_bytes", "photo0_exif"} <= given
    # when everything of hers is erased, while the stack runs
    story.admin("erase", story.patient)
    for name in odd:
        story.admin("erase", name)
    # then nothing of it is in any document or file
    assert story.places() == set()
