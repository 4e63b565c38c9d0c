"""What syncs and a doctor's screen ask of the record store: exact counts, at the port and at the client.

    python -m benchmarks.counts sqlite           # a line of JSON: {"port": {situation: counts}}
    python -m benchmarks.counts firestore        # also "client"; needs FIRESTORE_EMULATOR_HOST

`sync` and `review` run as deployed behind Flask's client; each kind of situation has a team of its own, so
that none sees what another wrote. docs/capacity.md has the formulas of some of these
(`tests/infra/test_capacity.py`); here are the further kinds, both dialects, and the calls.

At the port: `reads` and `commits` are calls, `queries` are listings, `documents` are what Firestore
would bill as read, `writes` as written or deleted. At the client: `rpcs`, documents read (the minutes
that Firestore reads again included: they are the situation's own) and writes. What the adapter sends
to the emulator alone, its turnstile, is left out.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from shared.records.store import Change, Document, Key, Query, RecordStore, Snapshot, Write
from tests.infra.operations import Counting

Json = dict[str, Any]


class Port(Counting):
    """Counts calls too."""

    def __init__(self, inner: RecordStore) -> None:
        super().__init__(inner)
        self.calls: Counter[str] = Counter()

    def taken(self) -> dict[str, int]:
        billed, calls = super().taken(), self.calls
        self.calls = Counter()
        return {
            "reads": calls["reads"],
            "queries": calls["queries"],
            "documents": billed["reads"],
            "commits": calls["commits"],
            "writes": billed["writes"] + billed["deletes"],
        }

    def read(
        self, keys: Sequence[Key], fields: Sequence[str] | None = None, read_at: int | None = None
    ) -> Snapshot:
        self.calls["reads"] += 1
        return super().read(keys, fields, read_at)

    def commit(self, writes: Sequence[Write]) -> int:
        self.calls["commits"] += 1
        return super().commit(writes)

    def changes(self, *arguments: Any, **named: Any) -> Iterator[Change]:
        self.calls["queries"] += 1
        return super().changes(*arguments, **named)

    def query(self, query: Query) -> Iterator[Document]:
        self.calls["queries"] += 1
        return super().query(query)

    def count(self, query: Query) -> int:
        self.calls["queries"] += 1
        return super().count(query)


class Client:
    """In front of the client library's generated API: counts what crosses the wire."""

    def __init__(self, store: Any) -> None:
        self._api, self._turnstile = store._api, store._turnstile
        self.counts: Counter[str] = Counter()

    def taken(self) -> dict[str, int]:
        """What was counted since the last time."""
        found = {name: self.counts[name] for name in ("rpcs", "documents", "writes")}
        self.counts = Counter()
        return found

    def commit(self, request: Any, **more: Any) -> Any:
        plain = type(request).pb(request)
        own = [each for each in plain.writes if each.delete != self._turnstile]
        if own:
            self.counts += Counter(rpcs=1, writes=len(own))
        return self._api.commit(request=request, **more)

    def batch_get_documents(self, **named: Any) -> Iterator[Any]:
        self.counts["rpcs"] += 1
        for answer in self._api.batch_get_documents(**named):
            self.counts["documents"] += 1
            yield answer

    def run_aggregation_query(self, **named: Any) -> Any:
        self.counts += Counter(rpcs=1, documents=1)  # up to a thousand are counted for one
        return self._api.run_aggregation_query(**named)

    def run_query(self, **named: Any) -> _Stream:
        self.counts["rpcs"] += 1
        return _Stream(self._api.run_query(**named), self.counts)


class _Stream:
    """An answer to a query; Firestore bills at least one document."""

    def __init__(self, inner: Any, counts: Counter[str]) -> None:
        self._inner, self._counts, self._seen = inner, counts, 0

    def __iter__(self) -> Iterator[Any]:
        for answer in self._inner:
            self._seen += bool(answer.document.name)
            yield answer

    def cancel(self) -> None:
        self._counts["documents"] += max(self._seen, 1)
        self._inner.cancel()


class Desk:
    """The sync function with phones of both dialects; counts what a step does."""

    def __init__(self) -> None:
        from functions_framework import create_app

        from shared import wiring
        from shared.adapters.file_keys import FileKeys

        self._wiring = wiring
        inner = wiring.store()
        self._port = Port(inner)
        self._client: Client | None = None
        if wiring.settings().record_store == "firestore":
            self._client = Client(inner)
            inner._api = self._client  # type: ignore[attr-defined]
        wiring.store = lambda: self._port  # type: ignore[assignment]
        self._http = create_app("sync", "main.py", "http").test_client()  # type: ignore[no-untyped-call]
        self._keys = FileKeys(wiring.settings().data_path / "keys")
        self.found: dict[str, dict[str, dict[str, int]]] = {"port": {}}
        if self._client:
            self.found["client"] = {}

    def count(self, situation: str, step: Callable[[], Any]) -> None:
        """Do `step`, and keep what it cost."""
        settle()
        self._taken()
        step()
        for where, counts in self._taken().items():
            self.found[where][situation] = counts

    def _taken(self) -> dict[str, dict[str, int]]:
        taken = {"port": self._port.taken()}
        return taken | ({"client": self._client.taken()} if self._client else {})

    def doctor(self, team: str) -> tuple[Callable[[str], Json], Callable[[str], Any]]:
        """A new doctor of a team: what asks the function `review`, and what signs a case."""
        from functions_framework import create_app

        from infra.local.phone import wall_ms
        from shared.access.membership import Caller
        from shared.products.dermadetect import product
        from shared.products.dermadetect.review import Signature

        os.environ["FUNCTION_TARGET"] = "review"
        http = create_app("review", "main.py", "http").test_client()  # type: ignore[no-untyped-call]
        user, headers = self.person(team, "doctor")
        port = self._port

        def ask(path: str) -> Json:
            said = http.get(f"/api/v1/review{path}", headers=headers)
            assert said.status_code == 200, said.text
            return dict(said.json)

        def sign(case_id: str) -> None:
            key = Key("cases", case_id)
            seen = port.read([key]).documents[key].version
            signature = Signature(case_id, "Scabies", None, None, None, None)
            review, caller = product.review(self._wiring.parts()), Caller(user, "doctor", "screen")
            review.diagnose(caller, case_id, signature, seen, wall_ms())

        return ask, sign

    def person(self, team: str, role: str = "chw") -> tuple[str, dict[str, str]]:
        """A new member of a team, and the headers of a request of hers."""
        from infra.local.phone import wall_ms
        from shared.access import membership
        from shared.accounts import tokens

        user = f"u{uuid.uuid4().hex[:10]}"
        membership.grant(self._port, user, team, role, wall_ms())
        policy = self._wiring.token_policy()
        now_s = wall_ms() / 1000
        token = tokens.issue(self._keys.current(), policy, user_id=user, role=role, now_s=now_s)
        return user, {"Authorization": f"Bearer {token}"}

    def phone(self, team: str) -> Any:
        """A phone of a new member that speaks the batch dialect."""
        from infra.local.phone import Phone

        user, headers = self.person(team)

        def send(body: Json, _: Any) -> Json:
            said = self._http.post("/api/sync", json=body, headers=headers)
            assert said.status_code == 200, said.text
            return dict(said.json or {})

        return Phone(send, user, f"{user}-phone")

    def melon(self, team: str) -> _Melon:
        """A phone of a new member that speaks WatermelonDB's dialect."""
        user, headers = self.person(team)
        return _Melon(self._http, user, headers)


class _Melon:
    """What `synchronize()` asks: a pull, then a push with the pull's time."""

    def __init__(self, http: Any, user: str, headers: dict[str, str]) -> None:
        self._http, self._headers = http, headers
        self.user, self.since = user, 0

    def pull(self) -> None:
        said = self._http.get("/api/v1/sync", query_string=self._asked(), headers=self._headers)
        assert said.status_code == 200, said.text
        self.since = said.json["timestamp"]

    def push(self, changes: Json, status: int = 200) -> None:
        said = self._http.post(
            "/api/v1/sync", query_string=self._asked(), json=changes, headers=self._headers
        )
        assert said.status_code == status, said.text

    def _asked(self) -> dict[str, Any]:
        return {
            "last_pulled_at": self.since or "null",
            "schema_version": 1,
            "migration": "null",
            "device_id": f"{self.user}-phone",
        }


def settle() -> None:
    """Let the millisecond of the last commit pass: a record of it would come twice."""
    began = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= began + 1:
        pass


# --- the batch dialect


def batch(desk: Desk) -> None:
    """Count the kinds of sync of the batch dialect."""
    phone = _ready(desk)
    desk.count("batch: nothing new", phone.sync)
    for size in (1, 10, 500):
        phone = _ready(desk)
        _save(phone, size)
        desk.count(f"batch: push {size} new", phone.sync)
    phone = _ready(desk)
    _save(phone, 10, risk_level="red", triage_data={})
    desk.count("batch: push 10 new, red", phone.sync)
    phone = _ready(desk)
    _save(phone, 10)
    body = phone.request()
    phone.send(body, phone)
    desk.count("batch: push 10 new again", lambda: phone.send(body, phone))
    phone = _ready(desk)
    _known(phone, 10)
    _save(phone, 10, triage_data={"note": "edited"})
    desk.count("batch: push 10 updates", phone.sync)

    team, phone = _team(), None
    phone, other = _ready(desk, team), desk.phone(team)
    _known(phone, 10)
    other.sync()
    now = phone.now()
    for each, at in ((phone, now), (other, now + 5)):
        for row in [row for (table, _), row in list(each.rows.items()) if table == "cases"]:
            each.save("cases", row["id"], at=at, triage_data={"by": each.user})
    other.sync()
    desk.count("batch: push 10 that lost", phone.sync)

    team = _team()
    phone, newcomer = _ready(desk, team), desk.phone(team)
    for _ in range(2):
        _save(phone, 500, stem=uuid.uuid4().hex[:6])
        phone.sync()
    desk.count("batch: first pull of 1,000", newcomer.sync)


def _ready(desk: Desk, team: str | None = None) -> Any:
    """A phone that has synced a patient and has heard of it."""
    phone = desk.phone(team or _team())
    phone.save("patients", f"{phone.user}-p", demographics={"age": 30})
    phone.sync()
    for _ in range(2):
        settle()
        phone.sync()
    return phone


def _known(phone: Any, size: int) -> None:
    _save(phone, size)
    for _ in range(2):
        phone.sync()
        settle()


def _save(phone: Any, size: int, stem: str = "c", **fields: Any) -> None:
    fields = {"risk_level": "green", **fields}
    for at in range(size):
        name = f"{phone.user}-{stem}{at}"
        phone.save("cases", name, patient_id=f"{phone.user}-p", **fields)


def _team() -> str:
    return f"team-{uuid.uuid4().hex[:10]}"


# --- WatermelonDB's dialect


def watermelon(desk: Desk) -> None:
    """Count the kinds of pull and push of WatermelonDB's dialect."""
    melon = _pulled(desk)
    desk.count("watermelon: pull, nothing new", melon.pull)
    for size in (1, 10, 500):
        melon = _pulled(desk)
        body = _created(_rows(melon, size))
        desk.count(f"watermelon: push {size} new", partial(melon.push, body))
    melon = _pulled(desk)
    body = _created(_rows(melon, 10))
    melon.push(body)
    desk.count("watermelon: push 10 new again", lambda: melon.push(body))
    melon = _pulled(desk)
    rows = _rows(melon, 10)
    melon.push(_created(rows))
    settle()
    melon.pull()
    edited = [{**row, "triage_data": '{"note":"edited"}'} for row in rows]
    desk.count("watermelon: push 10 updates", lambda: melon.push(_updated(edited)))

    team = _team()
    melon, other = _pulled(desk, team), _pulled(desk, team)
    rows = _rows(melon, 10)
    melon.push(_created(rows))
    for each in (melon, other):
        settle()
        each.pull()
    other.push(_updated([{**row, "triage_data": '{"by":"other"}'} for row in rows]))
    mine = _updated([{**row, "triage_data": '{"by":"me"}'} for row in rows])
    desk.count("watermelon: push 10 stale (409)", lambda: melon.push(mine, 409))

    team = _team()
    melon, newcomer = _pulled(desk, team), desk.melon(team)
    for _ in range(2):
        melon.push(_created(_rows(melon, 500)))
        settle()
        melon.pull()
    desk.count("watermelon: first pull of 1,000", newcomer.pull)


def _pulled(desk: Desk, team: str | None = None) -> _Melon:
    melon = desk.melon(team or _team())
    melon.pull()
    melon.push({"patients": {"created": [_patient(melon)], "updated": [], "deleted": []}})
    for _ in range(2):
        settle()
        melon.pull()
    return melon


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _patient(melon: _Melon) -> Json:
    about = json.dumps({"age": 30})
    return {"id": f"{melon.user}-p", "last_modified_at": _now_ms(), "demographics": about}


def _rows(melon: _Melon, size: int) -> list[Json]:
    stem = uuid.uuid4().hex[:6]
    return [
        {
            "id": f"{melon.user}-{stem}{at}",
            "patient_id": f"{melon.user}-p",
            "risk_level": "green",
            "last_modified_at": _now_ms(),
            "triage_data": "{}",
        }
        for at in range(size)
    ]


def _created(rows: list[Json]) -> Json:
    return {"cases": {"created": rows, "updated": [], "deleted": []}}


def _updated(rows: list[Json]) -> Json:
    return {"cases": {"created": [], "updated": rows, "deleted": []}}


# --- a doctor's screen


def screen(desk: Desk) -> None:
    """Count what a doctor's screen asks of a team with 20 red cases, before and after they are signed."""
    team = _team()
    phone = _ready(desk, team)
    _save(phone, 20, risk_level="red", triage_data={})
    phone.sync()
    ask, sign = desk.doctor(team)
    first = f"/cases/{phone.user}-c0"
    since = ask("/cases")["timestamp"]
    for path, name in (
        ("/cases?limit=20", "list of 20"),
        (f"/cases?since={since}", "list, nothing new"),
        (
            f"/cases?worker={phone.user}&first_day=2000-01-01",
            "list of a worker and of some days, 20",
        ),
        ("/cases?mine=1", "list of what is in hand, none"),
        ("/totals", "totals of 20"),
        (first, "one of 20 cases of a patient"),
        (f"{first}/patient-cases", "19 other cases of a patient"),
    ):
        desk.count(f"review: {name}", partial(ask, path))
    for at in range(20):
        sign(f"{phone.user}-c{at}")
    desk.count("review: numbers of 12 weeks, 20 signed", partial(ask, "/numbers"))
    desk.count("review: her own numbers, 20 signed", partial(ask, "/numbers?own=1"))
    desk.count("batch: pull 20 diagnoses of the phone's own cases", phone.sync)


def count() -> dict[str, dict[str, dict[str, int]]]:
    """Every situation: {"port" | "client": {situation: counts}}."""
    desk = Desk()
    batch(desk)
    watermelon(desk)
    screen(desk)
    return desk.found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DATA_FOLDER=folder,
            FUNCTION_TARGET="sync",
            LOG_LEVEL="ERROR",
            RECORD_STORE=sys.argv[1],
            GOOGLE_CLOUD_PROJECT=f"counts-{uuid.uuid4().hex[:8]}",
        )
        print(json.dumps(count()))
