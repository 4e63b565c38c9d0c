"""Whatever JSON comes, the answer is documented and the books balance: nothing is lost, nothing twice.

One seed is fixed, one is new in every run and printed; `HOSTILE_SEED=n` repeats it.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from shared import wiring
from shared.products.dermadetect.tables import CATALOG
from shared.records.store import Query
from tests.api.conftest import Api, api, start_api
from tests.api.test_openapi import DOCUMENT, keeps_its_word
from tests.conftest import SEED as TEST_SEED
from tests.e2e.conftest import Deployment
from tests.hostile.conftest import Attacker, Json, tried

__all__ = ["api", "start_api"]

FIXED = 20_261_121
CHANCE = int(os.environ.get("HOSTILE_SEED") or TEST_SEED)

SEEDS = pytest.mark.parametrize(
    "number", [FIXED, pytest.param(CHANCE, marks=pytest.mark.proof)], ids=["fixed", "random"]
)

CAREFUL = settings(
    max_examples=120,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)

TABLES = [item.name for item in CATALOG.collections]


# --- what is sent

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["", "..", "__x__", "a/b", "\x00", "known", "p1", "red", "team1", "synced"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

columns = sorted({spec.name for item in CATALOG.collections for spec in item.fields})

#: Records good enough to be stored now and then, with up to two columns that are anything.
records = st.builds(
    lambda good, odd: {**good, **odd},
    st.fixed_dictionaries(
        {
            "id": st.from_regex(r"[a-z]{1,3}", fullmatch=True),
            "last_modified_at": st.integers(0, 2_000_000_000),
            "patient_id": st.sampled_from(["known", "known", "a", "b"]),
        },
        optional={
            "sync_status": st.sampled_from(["new", "dirty", "synced", "deleted", None]),
            "demographics": st.dictionaries(texts, values, max_size=3),
            "risk_level": st.sampled_from(["red", "yellow", "green", "high"]),
        },
    ),
    st.dictionaries(
        st.sampled_from([*columns, "id", "last_modified_at", "sync_status", "scope_id"]) | texts,
        values,
        max_size=2,
    ),
)


def echoed(row: Any) -> str:
    """The id by which an answer names a record that was sent."""
    name = row.get("id") if isinstance(row, dict) else None
    return name[:128] if isinstance(name, str) else ""


def apart(rows: list[Any]) -> list[Any]:
    """The rows without a second one of any id: which of two counts is another test's."""
    seen: dict[str, Any] = {}
    return [row for row in rows if not echoed(row) or seen.setdefault(echoed(row), row) is row]


rows = st.lists(records | records | records | values, max_size=6).map(apart)
changes = st.dictionaries(st.sampled_from(TABLES[:2]) | st.sampled_from(TABLES) | texts, rows)
odd_parts = st.dictionaries(
    st.sampled_from(["last_sync_timestamp", "device_id", "scope_id", "limit", "page"]),
    st.integers(1, 5) | scalars,
    max_size=1,
)
envelopes = st.builds(
    lambda sent, odd: {**odd, "changes": sent}, changes, st.just({}) | st.just({}) | odd_parts
)

#: Good in every part, before the mutations.
SKELETON: Json = {
    "last_sync_timestamp": 0,
    "device_id": "phone",
    "scope_id": "team1",
    "limit": 100,
    "changes": {
        "patients": [
            {"id": "a", "demographics": {"age": 4, "l": [1, {"b": 2}]}, "last_modified_at": 1.5},
            {"id": "b", "sync_status": "deleted"},
        ],
        "cases": [
            {
                "id": "c",
                "patient_id": "a",
                "risk_level": "red",
                "triage_data": {"x": 1},
                "image_keys": ["k"],
                "last_modified_at": 1_700_000_000,
            },
            {"id": "d", "patient_id": "known", "risk_level": "low", "last_modified_at": 5},
        ],
    },
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a value, but the whole."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in inside:
        yield (*path, name)
        if isinstance(child, dict | list):
            yield from places(child, (*path, name))


PLACES = list(places(SKELETON))


@st.composite
def mutants(draw: st.DrawFn) -> Json:
    """The skeleton with one to three places taken away, replaced or added to."""
    body = copy.deepcopy(SKELETON)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        try:
            around: Any = body
            for name in path[:-1]:
                around = around[name]
            how = draw(st.sampled_from(["replace", "remove", "add"]))
            if how == "remove":
                del around[path[-1]]
            elif how == "add" and isinstance(around, dict):
                around[draw(texts)] = draw(values)
            else:
                around[path[-1]] = draw(values)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier mutation took the place away
    found = body.get("changes")
    if isinstance(found, dict):
        body["changes"] = {
            name: apart(rows) if isinstance(rows, list) else rows for name, rows in found.items()
        }
    return body


BODIES: dict[str, st.SearchStrategy[Any]] = {
    "any value": values,
    "any changes": values.map(lambda value: {"changes": value}),
    "any records": envelopes,
    "mutants": mutants(),
}


# --- what must hold


def check_books(body: Json, answer: Json, quarantine: Counter[str], sent_as: bytes) -> None:
    """Each record that was sent has one verdict, and the refused ones are kept."""
    texts = {text for text in quarantine if text.startswith('"{')}  # of records that cannot be read
    unread = {json.loads(text) for text in texts if json.loads(text).encode() in sent_as}
    known = {item.name for item in CATALOG.collections}
    for table, sent in (body.get("changes") or {}).items():
        judged = [
            row
            for row in sent or ()
            if not (table in known and isinstance(row, dict) and row.get("sync_status") == "synced")
        ]
        accepted = Counter(answer["accepted"].get(table, []))
        refused = Counter(item["id"] for item in answer["rejected"] if item["table"] == table[:128])
        assert accepted + refused == Counter(map(echoed, judged)), table
        assert not set(accepted) & set(refused)
        # an edit of a deleted record is kept in the conflict log
        deleted = {item["id"] for item in answer["rejected"] if item["code"] == "deleted"}
        for row in judged:
            if echoed(row) in refused and echoed(row) not in deleted:
                # an exact copy, for people to look at; repeats are kept once
                text = orjson.dumps(row).decode()
                assert quarantine[text] or any(orjson.loads(t) == row for t in unread), row
    assert set(answer["accepted"]) <= set(body.get("changes") or {})
    tables = {table[:128] for table in body.get("changes") or {}}
    assert {item["table"] for item in answer["rejected"]} <= tables


def run(number: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    print(f"HOSTILE_SEED={number}")

    def each(value: Any) -> None:
        check(value)

    few = settings(CAREFUL, max_examples=CAREFUL.max_examples // 3)
    seed(number)((few if number == FIXED else CAREFUL)(given(strategy)(each)))()


@SEEDS
@pytest.mark.parametrize("kind", BODIES)
def test_every_body_has_a_documented_answer_and_the_books_balance(
    api: Api, kind: str, number: int
) -> None:
    api.join("chw1")
    good = {"id": "known", "last_modified_at": 1}
    api.ask("POST", "/api/sync", {"changes": {"patients": [good]}}, token=api.token())
    verdicts: Counter[str] = Counter()
    asked = itertools.count()

    def check(body: Any) -> None:
        # of each member only so much is kept a day (`shared/sync/quota.py`)
        user = f"chw{next(asked) // 40 + 2}"
        api.join(user)
        token = api.token(user)
        data = json.dumps(body).encode()
        response = api.ask("POST", "/api/sync", data, token=token)
        tried(response.status_code)
        answer = keeps_its_word("POST", "/api/sync", response)
        assert response.status_code in (200, 400), answer
        # what the server reads, it reads as we meant it: integers beyond 64 bits become floats
        if response.status_code == 200 and isinstance(body, dict):
            read = orjson.loads(data)
            kept = Counter(
                document.fields["raw"] for document in wiring.store().query(Query("quarantine"))
            )
            check_books(read, answer, kept, data)
            verdicts["accepted"] += sum(map(len, answer["accepted"].values()))
            verdicts["rejected"] += len(answer["rejected"])
        # sent again, it is answered alike
        again = api.ask("POST", "/api/sync", data, token=token)
        assert again.status_code == response.status_code
        if response.status_code == 200:
            repeated = again.get_json()
            for name in ("accepted", "rejected", "receipt"):
                assert repeated[name] == answer[name], name

    run(number, BODIES[kind], check)
    if kind in ("any records", "mutants"):
        # else the fuzz says nothing
        assert verdicts["accepted"] > 10, verdicts
        assert verdicts["rejected"] > 10, verdicts


@SEEDS
def test_every_sequence_of_bytes_has_a_documented_answer(api: Api, number: int) -> None:
    api.join("chw1")
    token = api.token()
    whole = json.dumps(SKELETON).encode()
    cut = st.integers(0, len(whole) - 1).map(lambda place: whole[:place])
    flipped = st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)).map(
        lambda pair: whole[: pair[0]] + bytes([pair[1]]) + whole[pair[0] + 1 :]
    )

    def check(case: tuple[bytes, str]) -> None:
        data, encoding = case
        headers = {"Content-Encoding": encoding} if encoding else {}
        response = api.ask("POST", "/api/sync", data, token=token, headers=headers)
        tried(response.status_code)
        keeps_its_word("POST", "/api/sync", response)
        assert response.status_code in (200, 400)

    kinds = st.binary(max_size=40) | cut | flipped
    run(number, st.tuples(kinds, st.sampled_from(["", "", "gzip"])), check)


# --- the document's own view of its users, over sockets


@pytest.fixture(scope="session")
def local(deploy: Callable[[str], Deployment]) -> Attacker:
    deployment = deploy("local")
    deployment.join("fuzz-chw", "fuzz-team")
    deployment.join("fuzz-supervisor", "fuzz-team", "supervisor")
    return Attacker(deployment, "fuzz-chw")


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
OPERATIONS = {
    f"{found.method.upper()} {found.path}": found
    for found in (
        result.ok()
        for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
        if isinstance(result, Ok)
    )
}


#: Requests of an operation, without and with a token: few in every run, many in long ones.
COUNTS = pytest.mark.parametrize(
    "most", [8, pytest.param(400, marks=pytest.mark.soak)], ids=["short", "long"]
)


def test_accounts_are_among_the_operations() -> None:
    assert len([name for name in OPERATIONS if "/api/v1/auth/" in name]) >= 11


@pytest.mark.proof
@COUNTS
@pytest.mark.parametrize("number", [CHANCE], ids=["random"])
@pytest.mark.parametrize("known", ["chw", "supervisor", ""], ids=["chw", "supervisor", "without"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_the_document_lets_people_send_is_answered_as_it_says(
    local: Attacker, name: str, known: str, number: int, most: int
) -> None:
    operation = OPERATIONS[name]
    method, path = name.split(" ")
    private = DOCUMENT["paths"][path][method.lower()].get("security") != []
    modes = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    strategies = [operation.as_strategy(mode) for mode in modes[: 2 if private else 1]]
    token = local.deployment.token(f"fuzz-{known}", known) if known else "x"
    given_headers = {"Authorization": f"Bearer {token}"}

    def check(case: schemathesis.Case[Any]) -> None:
        if any("\n" in unquote(str(value)) for value in case.path_parameters.values()):
            return  # the framework itself answers 404 to a path with a line break
        response = case.call(base_url=local.deployment.stack.url, headers=given_headers)
        tried(response.status_code)
        case.validate_response(response, checks=CHECKS)
        assert response.status_code < 500
        if private and not known:
            assert response.status_code == 401

    print(f"HOSTILE_SEED={number}")
    count = settings(CAREFUL, max_examples=most if private and known else most // 6)

    def each(case: schemathesis.Case[Any]) -> None:
        check(case)

    seed(number)(count(given(st.one_of(strategies))(each)))()
