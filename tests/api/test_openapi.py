"""The API's description is true: it is current, complete, valid, and real answers keep it."""

from __future__ import annotations

import ast
import copy
import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from shared import errors, wiring
from shared.access.membership import Caller
from shared.api import problems, schema_js
from shared.api.codes import every_code
from shared.api.openapi import document, parts
from shared.api.openapi.document import Described
from shared.api.record_codes import BATCH_ONLY, RECORD_CODES, WATERMELON_ONLY
from shared.errors import Fault
from shared.files.codes import FILE_CODES
from shared.jobs import transfer
from shared.products.dermadetect.examples import EXAMPLES
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.collection import Catalog, Collection, Field, Owner, RecordFault, Type
from shared.records.store import Key
from shared.support import ledger
from shared.sync.dialects import intake
from shared.sync.pull import PAGE_LIFE_MS, Start
from tests.api.conftest import ROOT, Api, StartApi

Json = dict[str, Any]

COMMITTED = ROOT / "infra" / "openapi.json"
DOCUMENT: Json = json.loads(COMMITTED.read_text(encoding="utf-8"))

#: Called by Cloud Scheduler only.
INTERNAL = {"sweeper", "console"}

#: Schemas of what phones send, beside those of records.
SENT = {"SyncRequest", "SyncChanges", "WatermelonPush", "WatermelonChanges", "UndeleteRequest"}


# --- holding an answer against the document


def schema_validator(schema: Json) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": CLOSED["components"]})


def component(name: str) -> Draft202012Validator:
    return schema_validator({"$ref": f"#/components/schemas/{name}"})


def closed(schema: Any) -> Any:
    """The schema with every object closed, so that an undocumented property is noticed."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        # what refines another schema names only some of its properties
        name: value if name in ("if", "then", "else", "allOf") else closed(value)
        for name, value in schema.items()
    }
    if isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


def closed_answers() -> Json:
    """The document with answers closed; what phones send stays open to unknown columns."""
    said = copy.deepcopy(DOCUMENT)
    schemas = said["components"]["schemas"]
    for name, schema in schemas.items():
        if name not in SENT and not name.endswith("Change"):
            schemas[name] = closed(schema)
    for methods in said["paths"].values():
        for operation in methods.values():
            operation["responses"] = closed(operation["responses"])
    return said


CLOSED = closed_answers()


def operation_at(method: str, path: str) -> Json:
    """The operation of a request; any of its path for another method, any at all for no path."""
    for template, methods in CLOSED["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return methods.get(method.lower()) or next(iter(methods.values()))
    return CLOSED["paths"]["/health"]["get"]


def keeps_its_word(method: str, path: str, response: TestResponse) -> Any:
    """Check an answer's status, headers, type and body against the document; returns the body."""
    documented = operation_at(method, path)["responses"]
    assert str(response.status_code) in documented, f"{response.status_code} is not documented"
    said = documented[str(response.status_code)]
    for name, header in said["headers"].items():
        spec = CLOSED["components"]["headers"][header["$ref"].rpartition("/")[2]]
        given = response.headers.get(name)
        if given is None:
            assert not spec["required"], f"{name} is missing"
            continue
        value = int(given) if spec["schema"].get("type") == "integer" else given
        schema_validator(spec["schema"]).validate(value)
    for name in ("ETag", "Link", "Range", "RateLimit", "RateLimit-Policy", "Retry-After"):
        assert name in said["headers"] or name not in response.headers, f"{name} is not documented"
    if response.status_code == 304:
        assert response.data == b""
        return None
    kind = str(response.mimetype)
    body: Any = response.get_data(as_text=True)
    if kind.endswith("json"):
        body = response.get_json()
    schema_validator(said["content"][kind]["schema"]).validate(body)
    if "Link" in said["headers"]:
        assert ("Link" in response.headers) == any(map(body.get, ("next_page", "next_after")))
    return body


Ask = Callable[..., Any]


def asker(api: Api, user: str = "chw1", **more: Any) -> Ask:
    """Sends a body to `POST /api/sync` and holds the answer against the document."""
    token = api.token(user, **more)

    def ask(body: Any, headers: dict[str, str] | None = None) -> Any:
        response = api.ask("POST", "/api/sync", body, token=token, headers=headers)
        return keeps_its_word("POST", "/api/sync", response)

    return ask


@pytest.fixture
def ask(api: Api) -> Ask:
    """Asks as chw1, who is in team1."""
    api.join("chw1")
    return asker(api)


def patient(record_id: str, **columns: Any) -> Json:
    return {"id": record_id, "demographics": {}, "last_modified_at": 1_700_000_000, **columns}


def case(record_id: str, parent: str = "p1", **columns: Any) -> Json:
    return {"id": record_id, "patient_id": parent, "last_modified_at": 1_700_000_000, **columns}


def pushing(**changes: list[Any]) -> Json:
    return {"last_sync_timestamp": 0, "changes": changes}


# --- the document itself


def described() -> Described:
    """What is served; imported late, since a function reads the settings when it is imported."""
    from infra import openapi

    return openapi.described()


@pytest.mark.usefixtures("api")
def test_the_committed_document_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == document.text(described()), (
        "run: python -m infra.openapi > infra/openapi.json"
    )


@pytest.mark.parametrize("product", ["hemoday", "medmind"])
def test_the_committed_document_of_another_product_is_current_and_valid(
    start_api: StartApi, product: str
) -> None:
    api = start_api(product=product)
    path = ROOT / "shared" / "products" / product / "openapi.json"
    made = subprocess.run(  # functions of this process are of another product
        [sys.executable, "-m", "infra.openapi", "--compact"],
        env={**os.environ, "PRODUCT": product, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert path.read_bytes() == made.stdout, "run: make generated"
    said = json.loads(path.read_text(encoding="utf-8"))
    assert api.ask("GET", "/openapi.json").json == said
    OpenAPIV31SpecValidator(said).validate()
    assert api.ask("GET", "/docs").status_code == 200


def test_the_committed_schema_of_phones_is_current() -> None:
    committed = (ROOT / "infra" / "schema.js").read_text(encoding="utf-8")
    assert committed == schema_js.module(CATALOG), (
        "run: python -m infra.schema_js > infra/schema.js"
    )


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_schema_is_valid_json_schema() -> None:
    for name in DOCUMENT["components"]["schemas"]:
        Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_route_is_documented_and_every_operation_is_served(api: Api) -> None:
    served = {
        (route.method, route.path)
        for function, routes in api.routes.items()
        if function not in INTERNAL
        for route in routes
    }
    documented = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert documented == served


def test_every_operation_explains_itself() -> None:
    ids = []
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["description"].endswith(".")
            assert operation["tags"]
    assert len(ids) == len(set(ids))


def under(paths: str) -> set[str]:
    """The schemas that answers of operations at these paths are made of."""
    operations = (item for path, item in DOCUMENT["paths"].items() if path.startswith(paths))
    answers = [
        each["responses"] for item in operations for each in item.values() if "responses" in each
    ]
    found: set[str] = set()
    texts = [json.dumps(answers)]
    while texts:
        named = set(re.findall(r'"#/components/schemas/(\w+)"', texts.pop())) - found
        found |= named
        texts += (json.dumps(DOCUMENT["components"]["schemas"][name]) for name in named)
    return found


def test_every_moment_under_v1_is_given_in_milliseconds() -> None:
    """Those that were given in seconds first have a neighbour, and say that they will go."""
    old = []
    for name in under("/api/v1"):
        columns = DOCUMENT["components"]["schemas"][name].get("properties", {})
        for column, said in columns.items():
            if said.get("deprecated"):
                assert columns[f"{column}_ms"]["minimum"] == record.LEAST_MS, (name, column)
                old.append(f"{name}.{column}")
            else:
                assert "Unix seconds" not in said.get("description", ""), (name, column)
    assert len(old) == 11, sorted(old)


def test_what_phones_send_and_receive_is_described_in_words() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
        if name.endswith("Change"):
            for column, value in schema["properties"].items():
                assert value["description"].endswith((".", "…")), f"{name}.{column}"


def test_every_declared_column_is_in_the_document() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for collection in CATALOG.collections:
        name = "".join(word.capitalize() for word in collection.name.split("_"))
        row = schemas[f"{name}Row"]
        assert set(collection.by_name) < set(row["properties"])
        assert row["required"] == ["id"]
        raw = schemas[f"{name}Raw"]
        assert set(raw["properties"]) == set(row["properties"]) - {"deleted_at", "received_at"}
        if not collection.pushable:
            assert f"{name}Change" not in schemas
            continue
        assert set(collection.client_fields) < set(schemas[f"{name}Change"]["properties"])
        assert set(collection.client_fields) < set(schemas[f"{name}RawChange"]["properties"])


# --- any product: what the schema says of a value is what the server does with it

SAMPLES = Collection(
    "samples",
    "One field of every type.",
    (
        Field("text", Type.STRING, "A text.", max_length=5),
        Field("choice", Type.STRING, "A choice.", choices=("a", "b"), aliases={"c": "a"}),
        Field("needed", Type.STRING, "Who.", required=True, references="samples"),
        Field("number", Type.NUMBER, "A number.", low=-1, high=2.5),
        Field("any_number", Type.NUMBER, "A number."),
        Field("whole", Type.INTEGER, "A whole number.", low=0),
        Field("yes", Type.BOOLEAN, "Yes or no.", default=False),
        Field("json", Type.JSON, "Anything.", default=[]),
        Field("map", Type.MAP, "An object."),
        Field("strings", Type.STRINGS, "Texts."),
        Field("server_time", Type.TIME, "When.", Owner.SERVER),
        Field("server_map", Type.MAP, "What.", Owner.SERVER),
    ),
)
SAMPLER = Catalog("sampler", "group", (SAMPLES,), CATALOG.cascade, CATALOG.roles, CATALOG.may)
SAMPLER_DOCUMENT = document.document(
    Described("Sampler", SAMPLER, routes={}, schemas={}, examples={})
)

#: Values near every edge, and anything else that is JSON. Integers are those that phones can hold.
VALUES = st.sampled_from(
    [None, True, False, 0, 1, -1, 2.5, 2.51, 1.0, 1.5, -0.0, 1e300, 2**53 - 1, 2**53, "", "a", "b",
     "c", "d", "__a__", "____", "___", "12345", "123456", "𝕏𝕏𝕏𝕏𝕏", "x" * 128, "x" * 129, [], {},
     ["a"], [1], ["a"] * 100, ["a"] * 101, ["k" * 1024], ["k" * 1025], {"a": [None]}]
) | st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2.0**53) + 1, 2.0**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.usefixtures("api")
def test_the_document_of_any_product_is_valid() -> None:
    served = document.document(replace(described(), catalog=SAMPLER))
    OpenAPIV31SpecValidator(served).validate()


@settings(max_examples=500, deadline=None)
@given(name=st.sampled_from(SAMPLES.client_fields), value=VALUES)
def test_a_value_fits_its_schema_exactly_if_the_server_takes_it(name: str, value: Any) -> None:
    # `$` of Python's `re` lets a last line break pass; that of JSON Schema (ECMA-262) does not
    assume(not (isinstance(value, str) and value.endswith("\n")))
    raw = {"id": "s1", "last_modified_at": 1, "needed": "s0", name: value}
    schemas = SAMPLER_DOCUMENT["components"]["schemas"]
    fits = Draft202012Validator(schemas["SamplesChange"]).is_valid(raw)
    try:
        SAMPLES.coerce(raw)
        taken = True
    except RecordFault:
        taken = False
    assert fits is taken


# --- the codes


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in our code with the name of what is called.

    What products refuse of files stands in their records, not in answers.
    """
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "products" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else None
                    name = node.func.id if isinstance(node.func, ast.Name) else name
                    if name:
                        yield name, node


def constants(nodes: Iterator[ast.expr]) -> set[str]:
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_code_of_a_refused_record_is_declared() -> None:
    # RecordFault(field, code, message) and Refusal(table, id, field, code, message)
    place = {"RecordFault": 1, "Refusal": 3}
    raised = constants(
        node.args[place[name]]
        for name, node in calls()
        if name in place and len(node.args) > place[name]
    )
    assert raised == set(RECORD_CODES)


def family(fault: type[Fault]) -> set[type[Fault]]:
    return {fault, *(child for item in fault.__subclasses__() for child in family(item))}


def test_every_code_of_an_error_answer_is_declared() -> None:
    # Faults of jobs and models never reach a phone; the parents are never raised themselves, and what is
    # wrong with a file is a result (`FILE_CODES`).
    parents = {errors.RequestFault, errors.AccessFault, errors.StoreFault, errors.FileFault}
    reaching = set().union(*map(family, parents)) - parents - {errors.FileRefused}
    raised = {(fault.__name__, fault.code) for fault in reaching}
    for name, node in calls():
        if name in {fault.__name__ for fault in reaching}:
            for code in constants(word.value for word in node.keywords if word.arg == "code"):
                raised.add((name, code))
    raised |= {("Fault", Fault.code), ("Fault", errors.ConfigurationFault.code)}
    declared = {(fault.__name__, code) for fault, codes in every_code().items() for code in codes}
    assert declared == raised


def test_every_code_of_a_refused_file_is_declared() -> None:
    # tickets.Refused(field, code, message), FileRefused(message, code=…), and what a check makes of it
    raised = constants(
        node.args[1] for name, node in calls() if name == "Refused" and len(node.args) > 1
    )
    for name, node in calls():
        if name in ("FileRefused", "_refused"):
            raised |= constants(word.value for word in node.keywords if word.arg == "code")
            if name == "_refused" and node.args:
                raised |= constants(iter(node.args[:1]))
    raised |= {"upload_lost", "not_processed"}
    assert raised - {"file_exists"} == set(FILE_CODES)


# --- real answers


@pytest.mark.parametrize("path", ["/health", "/ready", "/version", "/openapi.json", "/docs"])
def test_status_operations_keep_their_word(api: Api, path: str) -> None:
    response = api.ask("GET", path)
    assert response.status_code == 200
    keeps_its_word("GET", path, response)


def test_the_served_document_is_the_committed_one(api: Api) -> None:
    assert api.ask("GET", "/openapi.json").data == COMMITTED.read_bytes()


def masked(value: Any) -> Any:
    """A value with its times and its receipt's id blanked."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {
            name: "receipt" if name == "id" and "accepted" in value else masked(item)
            for name, item in value.items()
        }
    is_time = isinstance(value, int | float) and value > 1_600_000_000
    return "time" if is_time else value


def test_a_brief_answer_is_asked_for_over_http(api: Api) -> None:
    api.join("chw1")
    body = {"changes": {"patients": [{"id": "p1", "sync_status": "new", "last_modified_at": 1.5}]}}
    component("SyncRequest").validate(body | {"brief": True})
    said = json.loads(api.ask("POST", "/api/sync", body | {"brief": True}, token=api.token()).data)
    assert said.keys() == {"new_sync_timestamp", "server_updates", "accepted", "receipt"}
    assert said["server_updates"].keys() == said["accepted"].keys() == {"patients"}
    component("BriefSyncAnswer").validate(said)
    assert not component("SyncAnswer").is_valid(said)
    usual = json.loads(api.ask("POST", "/api/sync", body, token=api.token()).data)
    component("SyncAnswer").validate(usual)
    assert not component("BriefSyncAnswer").is_valid(usual)
    assert usual["deleted"].keys() >= {"patients", "cases"}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"last_sync_timestamp": 88164268608.6},
        {"changes": {"patients": [{"id": "p1", "sync_status": "new"}, {"id": "p 2"}], "x": []}},
        {"changes": {"patients": [{"id": f"p{n}", "last_modified_at": 1.5} for n in range(9)]}},
        {"limit": 1},
        {"files": [{}]},
    ],
    ids=["nothing", "future", "refused", "alike", "page", "files"],
)
def test_each_brief_answer_is_as_the_description_says(api: Api, asked: dict[str, Any]) -> None:
    api.join("chw1")
    held = [{"id": f"q{n}", "sync_status": "new", "last_modified_at": 1.5} for n in range(3)]
    api.ask("POST", "/api/sync", {"changes": {"patients": held}}, token=api.token())
    for clock in ("", "soon", str(time.time())):
        headers = {"X-Client-Time": clock} if clock else {}
        body = {"brief": True, **asked}
        given = api.ask("POST", "/api/sync", body, token=api.token(), headers=headers)
        assert given.status_code == 200
        component("BriefSyncAnswer").validate(json.loads(given.data))


def test_the_documented_examples_are_what_really_happens(ask: Ask) -> None:
    examples = EXAMPLES["sync"]
    cursor = None
    for name, request in examples["request"].items():
        example = examples["answer"][name]["value"]
        component("SyncAnswer").validate(example)
        # the examples follow one another: the second begins where the first one ended
        body = (
            request["value"]
            if cursor is None
            else request["value"] | {"last_sync_timestamp": cursor}
        )
        component("SyncRequest").validate(body)
        answer = ask(body)
        assert masked(answer) == masked(example)
        cursor = answer["new_sync_timestamp"]


def test_every_example_keeps_its_schema() -> None:
    for methods in CLOSED["paths"].values():
        for operation in methods.values():
            bodies = [operation.get("requestBody"), operation["responses"]["200"]]
            for media in (body["content"].get("application/json", {}) for body in bodies if body):
                for example in media.get("examples", {}).values():
                    schema_validator(media["schema"]).validate(example["value"])


def test_a_first_sync_keeps_its_word(ask: Ask) -> None:
    answer = ask({})
    assert answer["receipt"] is None
    answer = ask(pushing(patients=[patient("p1")], cases=[case("c1")]))
    assert answer["accepted"] == {"patients": ["p1"], "cases": ["c1"]}


def test_pages_keep_their_word(ask: Ask) -> None:
    ask(pushing(patients=[patient(f"p{n}") for n in range(5)]))
    answer = ask({"limit": 2})
    assert answer["has_more"]
    rows = answer["server_updates"]["patients"]
    while answer["has_more"]:
        answer = ask({"limit": 2, "page": answer["next_page"]})
        rows += answer["server_updates"]["patients"]
    assert [row["id"] for row in rows] == [f"p{n}" for n in range(5)]


def test_a_red_case_keeps_its_word_for_the_health_worker_and_the_doctor(api: Api, ask: Ask) -> None:
    # given a red case on its way
    answer = ask(pushing(patients=[patient("p1")], cases=[case("c1", risk_level="high")]))
    assert answer["server_updates"]["medgemma_queue"][0]["status"] == "queued"
    assert answer["server_updates"]["cases"][0]["status"] == "PENDING_DIAGNOSIS"
    # when it is analysed
    api.run_jobs()
    # then each sees of the analysis what the document says
    api.join("doctor1", role="doctor")
    for person, schema in ((ask, "AiAnalysisBeforeReview"), (asker(api, "doctor1"), "AiAnalysis")):
        answer = person({})
        assert answer["server_updates"]["medgemma_queue"][0]["status"] == "done"
        seen = answer["server_updates"]["cases"][0]["ai_analysis"]
        component(schema).validate(seen)


def test_deletions_keep_their_word(ask: Ask) -> None:
    first = ask(pushing(patients=[patient("p1"), patient("p2")]))
    since = first["new_sync_timestamp"]
    ask({"last_sync_timestamp": since, "changes": {"patients": [{"id": "p1", "sync_status": "deleted"}]},
         "device_id": "other"})  # fmt: skip
    assert ask({"last_sync_timestamp": since})["deleted"]["patients"] == ["p1"]


def test_conflicts_keep_their_word(api: Api, ask: Ask) -> None:
    # reason, who wins, and what the second phone sends after the first one's edit at second 100
    rows = [
        ("older", "server", {"demographics": {"name": "B"}, "last_modified_at": 90}),
        ("equal", "server", {"demographics": {"name": "B"}, "last_modified_at": 100}),
        ("unseen_overwrite", "client", {"demographics": {"name": "B"}, "last_modified_at": 110}),
        ("older", "server", {"sync_status": "deleted", "last_modified_at": 90}),
        ("unseen_overwrite", "client", {"sync_status": "deleted", "last_modified_at": 110}),
    ]
    second = asker(api)
    for number, (reason, winner, sent) in enumerate(rows):
        record_id = f"p{number}"
        edit = patient(record_id, demographics={"name": "A"}, last_modified_at=100)
        ask({**pushing(patients=[edit]), "device_id": "one"})
        lost = {"id": record_id, **sent}
        answer = second({**pushing(patients=[lost]), "device_id": "two"})
        [conflict] = answer["conflicts"]
        assert (conflict["reason"], conflict["winner"]) == (reason, winner)
        assert conflict["theirs"] == {"demographics": {"name": "A"}}
        deleting = sent.get("sync_status") == "deleted"
        assert conflict["yours"] == (
            {"deleted_at": True} if deleting else {"demographics": {"name": "B"}}
        )


def test_an_edit_of_a_deleted_record_keeps_its_word(ask: Ask) -> None:
    ask(pushing(patients=[patient("p1", demographics={"name": "A"})]))
    ask(pushing(patients=[{"id": "p1", "sync_status": "deleted"}]))
    answer = ask(pushing(patients=[patient("p1", last_modified_at=1_700_000_100)]))
    assert [item["code"] for item in answer["rejected"]] == ["deleted"]
    assert [item["reason"] for item in answer["conflicts"]] == ["deleted"]
    assert answer["deleted"]["patients"] == ["p1"]


#: A record of 2.2 MB on the wire of which no part is too long by itself.
HEAVY = case("heavy", triage_data={"text": "x" * 499_000}, image_keys=["𝕏" * 1024] * 100)

#: code, table, record. What is there before: see the test.
REFUSED: list[tuple[str, str, Any]] = [
    ("missing_field", "patients", {"last_modified_at": 1}),
    ("missing_field", "patients", {"id": "a"}),
    ("missing_field", "cases", {"id": "a", "last_modified_at": 1}),
    ("missing_field", "cases", case("a", None)),  # type: ignore[arg-type]
    ("wrong_type", "patients", "a"),
    ("wrong_type", "patients", patient("a", demographics="{}")),
    ("wrong_type", "patients", patient("a", last_modified_at="1")),
    ("wrong_type", "cases", case("a", image_keys=[1])),
    ("invalid_choice", "patients", patient("a", sync_status="created")),
    ("invalid_id", "patients", patient("a b")),
    ("invalid_id", "patients", patient("__a__")),
    ("invalid_id", "cases", case("a", "p 1")),
    ("invalid_id", "patients", patient("a", scope_id="")),
    ("too_long", "cases", case("a", image_keys=["k"] * 101)),
    ("too_long", "cases", case("a", image_keys=["k" * 1025])),
    ("too_long", "patients", patient("a", demographics={"text": "x" * 500_000})),
    ("number_out_of_range", "patients", patient("a", last_modified_at=-1)),
    ("number_out_of_range", "patients", patient("a", demographics={"n": 2**53})),
    ("number_out_of_range", "patients", patient("a", demographics={"n": 10**400})),
    ("number_out_of_range", "patients", patient("a", demographics={"n": float("inf")})),
    ("invalid_text", "patients", patient("a", demographics={"note": "\ud83d"})),
    ("too_deep", "patients", patient("a", mood=json.loads("[" * 21 + "]" * 21))),
    ("invalid_json_record", "patients", b'{"id": "a", "demographics": }'),
    ("time_in_milliseconds", "patients", patient("a", last_modified_at=1_700_000_000_000)),
    ("record_too_large", "cases", HEAVY),
    ("unknown_table", "visits", {"id": "a"}),
    ("read_only_table", "diagnoses", {"id": "a"}),
    ("scope_required", "patients", patient("a")),
    ("unknown_scope", "patients", patient("a", scope_id="team9")),
    ("unknown_parent", "cases", case("a", "nobody")),
    ("parent_deleted", "cases", case("a", "gone")),
    ("deleted", "patients", patient("gone", last_modified_at=1_700_000_100)),
    ("id_unavailable", "patients", patient("foreign")),
    ("moved", "patients", patient("away")),
    ("not_allowed", "patients", patient("a", scope_id="team2")),
]  # fmt: skip


def test_every_code_of_a_refused_record_is_provoked_below() -> None:
    # `unknown_column` is for servers that are strict: see the next test but one.
    provoked = {code for code, _, _ in REFUSED}
    assert provoked == set(RECORD_CODES) - WATERMELON_ONLY - {"unknown_column"}


def test_refused_records_keep_their_word(api: Api, ask: Ask) -> None:
    # given a patient, a deleted one, one of another team
    ask(pushing(patients=[patient("p1"), patient("gone"), patient("away")]))
    ask(pushing(patients=[{"id": "gone", "sync_status": "deleted"}]))
    api.join("chw2", "team3")
    asker(api, "chw2")(pushing(patients=[patient("foreign")]))
    # and one that has moved on
    transfer.move(wiring.store(), CATALOG, Key("patients", "away"), "team3", wiring.clock_ms())
    # and a caller who may write in team1 and only read in team2
    api.join("chw1", "team2", "doctor")
    for code, table, raw in REFUSED:
        # when a record cannot be stored
        record = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        answer = ask(b'{"changes": {"%s": [%s]}}' % (table.encode(), record))
        # then it is named with its code, and nothing else is wrong
        assert [item["code"] for item in answer["rejected"]] == [code], raw
        assert answer["accepted"] == {}


def test_a_strict_server_refuses_columns_that_it_does_not_know(start_api: StartApi) -> None:
    api = start_api(strict_columns=True)
    api.join("chw1")
    answer = asker(api)(pushing(patients=[patient("p1", mood="fine"), patient("p2")]))
    [refused] = answer["rejected"]
    assert (refused["id"], refused["field"], refused["code"]) == ("p1", "mood", "unknown_column")
    assert answer["accepted"] == {"patients": ["p2"]}


def test_what_was_left_out_is_named(api: Api, ask: Ask) -> None:
    late = {"X-Client-Time": "noon"}
    answer = ask(pushing(patients=[patient("p1", mood="fine", changed=7)]), late)
    assert [(item["table"], item["field"], item["code"]) for item in answer["ignored"]] == [
        (None, "X-Client-Time", "invalid_request"),
        ("patients", "mood", "unknown_column"),
        ("patients", "changed", "wrong_type"),
    ]
    assert answer["accepted"] == {"patients": ["p1"]}


def test_one_bad_record_does_not_stop_the_others(ask: Ask) -> None:
    answer = ask(pushing(patients=[patient("p1"), patient("a b"), patient("p2")]))
    assert answer["accepted"] == {"patients": ["p1", "p2"]}
    assert [item["id"] for item in answer["rejected"]] == ["a b"]


def test_the_request_schema_and_the_server_agree(ask: Ask) -> None:
    # Every refusal that a schema can foresee; who belongs where it cannot.
    unforeseen = {
        "record_too_large", "read_only_table", "unknown_table", "scope_required", "unknown_scope",
        "unknown_parent", "parent_deleted", "deleted", "id_unavailable", "moved", "not_allowed",
        "invalid_text", "invalid_json_record", "too_deep",
    }  # fmt: skip
    schema = component("SyncRequest")
    ask(pushing(patients=[patient("p1")]))
    accepted: list[tuple[str, Any]] = [
        ("patients", patient("a1", demographics=None)),
        ("patients", patient("a2", demographics=[1])),
        ("patients", patient("a3", sync_status="new", chw_id=5, colour="unknown column")),
        ("patients", patient("a4", sync_status=None, scope_id=None)),
        ("patients", patient("a5", last_modified_at=0.25)),
        ("patients", patient("a6", last_modified_at=100_000_000_000)),
        ("patients", patient("-" * 128)),
        ("patients", {"id": "a1", "sync_status": "deleted"}),
        ("patients", {"id": "a1", "sync_status": "deleted", "last_modified_at": None}),
        ("patients", {"id": "a1", "sync_status": "synced"}),
        ("cases", case("c1", risk_level=None, image_keys=None, triage_data=None)),
        *(("cases", case("c2", risk_level=risk)) for risk in ("green", "high", "medium", "low")),
        ("cases", case("c3", image_keys=["k" * 1024] * 100)),
        ("cases", {"id": "c1", "last_modified_at": 1_700_000_001, "sync_status": "dirty"}),
    ]
    for table, raw in accepted:
        schema.validate(pushing(**{table: [raw]}))
        assert ask(pushing(**{table: [raw]}))["rejected"] == [], raw
    for code, table, raw in REFUSED:
        # sizes of JSON, and integers inside it, are beyond JSON Schema
        inside = isinstance(raw, dict) and isinstance(raw.get("demographics"), dict)
        sizes = inside and code in ("too_long", "number_out_of_range") and raw["demographics"]
        if code in unforeseen or sizes:
            continue
        if code == "missing_field" and isinstance(raw, dict) and table == "cases":
            raw = {**raw, "sync_status": "new"}
        assert not schema.is_valid(pushing(**{table: [raw]})), raw


#: Bodies that are refused whole, with the code; each is against the schema too.
ENVELOPES: list[tuple[str, Any]] = [
    ("invalid_request", []),
    ("invalid_request", None),
    ("invalid_request", {"changes": []}),
    ("invalid_request", {"changes": {"patients": {}}}),
    ("invalid_request", {"changes": {"visits": 1}}),
    ("invalid_request", {"limit": 0}),
    ("invalid_request", {"limit": "10"}),
    ("invalid_request", {"limit": True}),
    ("invalid_request", {"device_id": ""}),
    ("invalid_request", {"device_id": 7}),
    ("invalid_request", {"scope_id": "__team__"}),
    ("invalid_request", {"page": 2}),
    ("invalid_request", {"page": "x", "changes": {"patients": [{"id": "a"}]}}),
    ("invalid_cursor", {"last_sync_timestamp": "0"}),
    ("invalid_cursor", {"last_sync_timestamp": -1}),
    ("invalid_cursor", {"last_sync_timestamp": False}),
    ("time_in_milliseconds", {"last_sync_timestamp": 1_700_000_000_000}),
]


@pytest.mark.parametrize(("code", "body"), ENVELOPES, ids=lambda value: str(value)[:50])
def test_faults_of_the_body_keep_their_word(ask: Ask, code: str, body: Any) -> None:
    assert not component("SyncRequest").is_valid(body)
    data = b"null" if body is None else body
    assert ask(data)["error"]["code"] == code


def test_faults_of_the_envelope_keep_their_word(api: Api, ask: Ask) -> None:
    expired = api.token("chw1", seconds=-60)
    rows: list[tuple[int, str, Json]] = [
        (401, "token_missing", {"token": None}),
        (401, "token_invalid", {"token": "x.y.z"}),
        (401, "token_expired", {"token": expired}),
        (400, "invalid_json", {"body": b"{"}),
        (400, "invalid_json", {"body": b'{"last_sync_timestamp": NaN}'}),
        (400, "invalid_json", {"body": b'{"device_id": "\\ud800"}'}),
        (400, "invalid_json", {"body": b"[" * 21 + b"]" * 21}),
        (400, "invalid_json", {"body": b"{}", "headers": {"Content-Encoding": "gzip"}}),
        (400, "invalid_cursor", {"body": {"page": "none of ours"}}),
        (415, "unsupported_encoding", {"headers": {"Content-Encoding": "br"}}),
        (410, "page_expired", {"body": {"page": old_page(ask)}}),
    ]
    good = api.token("chw1")
    for status, code, request in rows:
        response = api.ask("POST", "/api/sync", **{"body": {}, "token": good, **request})
        body = keeps_its_word("POST", "/api/sync", response)
        assert (response.status_code, body["error"]["code"]) == (status, code), request
        assert body["error"]["request_id"] == response.headers["X-Request-Id"]


def old_page(ask: Ask) -> str:
    """A page token of a sync that began a little too long ago."""
    ask(pushing(patients=[patient("p1"), patient("p2")]))
    began = wiring.clock_ms() - PAGE_LIFE_MS - 1000
    pull = wiring.puller().start(Caller("chw1", "chw", "unnamed"), Start(0), began, rows=1)
    assert len(list(pull.items)) == 1
    assert pull.next_page is not None
    return pull.next_page


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_body_over_the_cap_keeps_its_word(start_api: StartApi, squeezed: bool) -> None:
    api = start_api(max_body_bytes=2000, max_inflated_bytes=4000)
    body = json.dumps({"device_id": "x" * 5000}).encode()
    headers = {"Content-Encoding": "gzip"} if squeezed else {}
    data = gzip.compress(body) if squeezed else body
    response = api.ask("POST", "/api/sync", data, token=api.token(), headers=headers)
    assert response.status_code == 413
    error = keeps_its_word("POST", "/api/sync", response)["error"]
    assert ("4000" if squeezed else "2000") in error["message"]


def test_an_app_that_is_too_old_is_told_so(start_api: StartApi) -> None:
    api = start_api(min_app_version="1.4.0")
    response = api.ask(
        "POST", "/api/sync", {}, token=api.token(), headers={"X-App-Version": "1.3.9"}
    )
    assert response.status_code == 426
    keeps_its_word("POST", "/api/sync", response)


def test_a_store_that_is_out_of_order_keeps_its_word(start_api: StartApi) -> None:
    api = start_api()
    (api.folder / "records.db").write_text("this is not a database " * 100)
    body = pushing(patients=[patient("p1")])
    for method, path, sent in (
        ("GET", "/ready", None),
        ("POST", "/api/sync", body),
        ("GET", "/api/v1/sync/digest", None),
        ("GET", "/api/v1/devices", None),
        ("GET", "/api/v1/inbox", None),
        ("POST", "/api/v1/inbox/e1/close", None),
        ("POST", "/api/v1/undelete", {"table": "patients", "id": "p1"}),
    ):
        response = api.ask(method, path, sent, token=api.token())
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        assert keeps_its_word(method, path, response)["error"]["code"] == "store_unavailable"


def test_wrong_paths_and_methods_keep_their_word(api: Api) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/", 404),
        ("POST", "/health", 405),
        ("GET", "/api/sync", 405),
        ("DELETE", "/api/sync", 405),
        ("PUT", "/api/v1/sync", 405),
        ("POST", "/api/v1/sync/digest", 405),
        ("GET", "/api/v1/inbox/e1/close", 405),
        ("GET", "/api/v1/inbox/e1", 404),
    ):
        response = api.ask(method, path)
        assert response.status_code == status
        keeps_its_word(method, path, response)


def test_compressed_requests_and_answers_keep_their_word(api: Api, ask: Ask) -> None:
    ask(pushing(patients=[patient(f"p{n}") for n in range(50)]))
    response = api.ask(
        "POST",
        "/api/sync",
        gzip.compress(b"{}", mtime=0),
        token=api.token(),
        headers={"Content-Encoding": "gzip", "Accept-Encoding": "gzip"},
    )
    assert response.headers["Content-Encoding"] == "gzip"
    response.set_data(gzip.decompress(response.data))
    answer = keeps_its_word("POST", "/api/sync", response)
    assert len(answer["server_updates"]["patients"]) == 50


def test_headers_of_the_request_are_as_documented(api: Api, ask: Ask) -> None:
    answer = ask({}, {"X-Client-Time": str(time.time() + 300), "X-App-Version": "1.0"})
    assert 290_000 < answer["clock_offset_ms"] < 310_000
    response = api.ask("GET", "/health", headers={"X-Request-Id": "phone/17"})
    assert response.headers["X-Request-Id"] == "phone/17"


def test_what_is_left_of_a_rate_is_told_as_described(start_api: StartApi) -> None:
    api = start_api(rate_limits="requests=4/86400")
    api.join("chw1")
    token, told = api.token(), []
    for _ in range(5):
        response = api.ask("GET", "/api/v1/sync/digest", token=token)
        keeps_its_word("GET", "/api/v1/sync/digest", response)
        told.append((response.status_code, "RateLimit" in response.headers))
    assert (told[0], *told[3:]) == ((200, False), (200, True), (429, True))


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    assert intake.MAX_ECHOED == parts.LONGEST_ECHOED
    said = json.dumps(DOCUMENT)
    assert f"Of each user the {ledger.MOST_OF_A_USER} phones are kept" in said
    days = str(PAGE_LIFE_MS // 86_400_000)
    assert set(re.findall(r"(?:[Gg]ood for|more than) (\d+) days", said)) == {days}


# --- the WatermelonDB dialect


MELON = "/api/v1/sync"
NOW_MS = 1_700_000_000_000


def melon(api: Api, device: str = "phone") -> Ask:
    """Asks as chw1: pulls without changes, pushes with them; `last` is the cursor."""
    token = api.token("chw1")

    def ask(changes: Any = None, last: object = "null", query: str = "", **headers: str) -> Any:
        path = f"{MELON}?last_pulled_at={last}&device_id={device}{query}"
        method = "GET" if changes is None else "POST"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = api.ask(method, path, changes, token=token, headers=named)
        return keeps_its_word(method, MELON, response)

    return ask


def raw(record_id: str = "p1", **columns: Any) -> Json:
    given = {"demographics": "{}", "chw_id": "", "last_modified_at": NOW_MS, "_status": "created"}
    return {"id": record_id, **given, "_changed": "", **columns}


def raws(*rows: Any, table: str = "patients", kind: str = "created") -> Json:
    return {table: {"created": [], "updated": [], "deleted": [], kind: list(rows)}}


def stored(answer: Json) -> bool:
    """Whether a push was stored whole."""
    return "receipt" in answer and not answer.keys() & {"rejected", "experimentalRejectedIds"}


def test_watermelon_pulls_and_pushes_keep_their_word(api: Api) -> None:
    api.join("chw1")
    one, two = melon(api), melon(api, "second")
    red = raw("c1", patient_id="p1", triage_data='{"a":1}', risk_level="red", image_keys="[]")
    changes = {**raws(raw(), raw("p2")), **raws(red, table="cases")}
    for body in (changes, {"changes": changes}):
        component("WatermelonPush").validate(body)
        assert stored(one(body))
    api.run_jobs()
    for query in ("", "&strategy=replacement", "&created_as_updated=1", "&migration=null"):
        pulled = two(query=query)
        [case] = pulled["changes"]["cases"]["created"] or pulled["changes"]["cases"]["updated"]
        assert json.loads(case["ai_analysis"])
        assert (pulled.get("experimentalStrategy") == "replacement") is ("replacement" in query)
    since = pulled["timestamp"]
    migration = '&migration={"from":1,"tables":["patients"],"columns":[]}'
    assert len(two(last=since, query=migration)["changes"]["patients"]["updated"]) == 2
    assert stored(two(raws("p2", kind="deleted"), since))
    assert one(last=since)["changes"]["patients"]["deleted"] == ["p2"]


def test_pages_of_a_first_watermelon_pull_keep_their_word(api: Api) -> None:
    api.join("chw1")
    melon(api)({"patients": raws(raw(), raw("p2"))["patients"]})
    first = melon(api, "second")(query="&limit=1")
    assert (first["has_more"], first["timestamp"]) == (True, 0)
    last = melon(api, "second")(query=f"&limit=9&page={first['next_page']}")
    assert not last["has_more"]
    assert last["timestamp"] > 0


def test_a_watermelon_push_that_is_overtaken_keeps_its_word(api: Api) -> None:
    api.join("chw1")
    one, two = melon(api), melon(api, "second")
    one(raws(raw()))
    since = one()["timestamp"]
    two(raws(raw(demographics='{"n":2}'), kind="updated"), two()["timestamp"])
    answer = one(raws(raw(demographics='{"n":1}'), kind="updated"), since)
    assert answer["error"]["code"] == "stale_push"
    assert answer["conflicts"] == [{"table": "patients", "id": "p1"}]


#: code, table, record; whether the schema foresees it.
MELON_REFUSED: list[tuple[str, str, Any, bool]] = [
    ("missing_field", "cases", raw("c"), False),
    ("wrong_type", "patients", 5, True),
    ("wrong_type", "patients", raw(last_modified_at="1"), True),
    ("invalid_id", "patients", raw("a b"), True),
    ("invalid_id", "patients", raw(scope_id="a b"), True),
    ("number_out_of_range", "patients", raw(last_modified_at=-1), True),
    ("time_in_seconds", "patients", raw(last_modified_at=NOW_MS // 1000), True),
    ("invalid_json_column", "patients", raw(demographics="{a}"), False),
    ("invalid_json_column", "cases", raw("c", patient_id="p1", image_keys="k"), False),
    ("too_deep", "patients", raw(demographics="[" * 21 + "]" * 21), False),
    ("unknown_table", "visits", raw(), False),
    ("read_only_table", "diagnoses", raw(), False),
]


def test_records_that_watermelon_is_refused_keep_their_word(api: Api) -> None:
    assert {code for code, *_ in MELON_REFUSED} > WATERMELON_ONLY
    assert not {code for code, *_ in MELON_REFUSED} & BATCH_ONLY
    api.join("chw1")
    ask, schema = melon(api), component("WatermelonChanges")
    for code, table, row, foreseen in MELON_REFUSED:
        body = raws(row, table=table)
        assert schema.is_valid(body) is not foreseen, row
        answer = ask(body)
        assert [item["code"] for item in answer["rejected"]] == [code], row
        known = [row["id"]] if isinstance(row, dict) else []
        assert answer["experimentalRejectedIds"] == ({table: known} if known else {})
    for row in (raw(last_modified_at=None), raw(last_modified_at=0), raw(scope_id="")):
        schema.validate(raws(row))
        assert stored(ask(raws(row)))


def test_faults_of_watermelon_s_envelope_keep_their_word(api: Api) -> None:
    api.join("chw1")
    ask = melon(api)
    rows: list[tuple[str, Json]] = [
        ("time_in_seconds", {"last": NOW_MS // 1000}),
        ("time_in_seconds", {"changes": {}, "last": NOW_MS // 1000}),
        ("invalid_cursor", {"last": "yesterday"}),
        ("invalid_request", {"query": "&strategy=other"}),
        ("invalid_request", {"query": "&migration=[]"}),
        ("invalid_request", {"changes": []}),
        ("invalid_request", {"changes": {"patients": []}}),
        ("invalid_json", {"changes": b"{"}),
    ]
    for code, request in rows:
        assert ask(**request)["error"]["code"] == code, request
    assert melon(api, "a+b")()["error"]["field"] == "device_id"
    for method in ("GET", "POST"):
        answer = keeps_its_word(method, MELON, api.ask(method, MELON, {}))
        assert answer["error"]["code"] == "token_missing"


# --- the page


VOID = {"input", "meta"}
#: Their end tag may be left out (HTML living standard, 13.1.2.4).
ENDS_ITSELF = {"dd", "dt", "li", "p"}


class Page(HTMLParser):
    """Reads a page strictly enough to notice broken nesting."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.shown: list[str] = []  #: of the words those that are not folded

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("href", "src"):
                self.links.append(str(value))
        if tag not in VOID and tag not in ENDS_ITSELF:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ENDS_ITSELF:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)
            if "details" not in self.open or "summary" in self.open:
                self.shown.append(data)


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_the_page_shows_every_operation_parameter_schema_and_code(api: Api) -> None:
    text = api.ask("GET", "/docs").get_data(as_text=True)
    page = read(text)
    words = " ".join(page.words)
    for path, methods in DOCUMENT["paths"].items():
        assert path in words
        for method, operation in methods.items():
            assert method.upper() in words
            assert f"op-{operation['operationId']}" in page.ids
            for status in operation["responses"]:
                assert status in words
    for name in DOCUMENT["components"]["schemas"]:
        assert f"schema-{name}" in page.ids
    for header in DOCUMENT["components"]["parameters"].values():
        assert header["name"] in words
    for code in (*RECORD_CODES, *(code for codes in every_code().values() for code in codes)):
        assert code in words, code
    for collection in CATALOG.collections:
        for spec in collection.fields:
            assert spec.name in words


def test_the_page_says_what_each_code_means_where_problem_details_lead(api: Api) -> None:
    page = read(api.ask("GET", "/docs").get_data(as_text=True))
    words = " ".join(page.words)
    for fault, sentences in every_code().items():
        for code, sentence in sentences.items():
            # refused before a description is asked: docs/api.md names them
            if fault in (errors.RequestTimeout, errors.UriTooLong, errors.HeadersTooLarge):
                continue
            place = problems.problem(400, {"error": {"code": code, "message": ""}})["type"]
            assert place.removeprefix("/docs#") in page.ids, code
            assert re.split(r"[`*]", sentence)[0] in words


def test_the_page_is_folded(api: Api) -> None:
    text = api.ask("GET", "/docs").get_data(as_text=True)
    page = read(text)
    operations = [each for methods in DOCUMENT["paths"].values() for each in methods.values()]
    folded = re.findall(r'<details class="item [a-z]*" id="([\w-]+)">', text)
    assert {f"op-{each['operationId']}" for each in operations} < set(folded)
    assert {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]} < set(folded)
    # what is open are titles, and a line for each
    assert "open>" not in text
    assert len(" ".join(page.shown)) < len(" ".join(page.words)) / 5


def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    text = api.ask("GET", "/docs").get_data(as_text=True)
    page = read(text)
    assert set(page.tags).isdisjoint({"link", "img", "iframe", "object"})
    assert not re.search(r"@import|url\(|//[a-z]", text)
    assert "width=device-width" in text
    for link in page.links:
        assert link == "openapi.json" or link.removeprefix("#") in page.ids, link
    assert len(page.ids) == len(set(page.ids))


def test_the_page_escapes_what_it_is_given() -> None:
    said = copy.deepcopy(DOCUMENT)
    nasty = "<script>alert('x')</script> & \"quotes\""
    said["info"]["title"] = said["info"]["description"] = nasty
    said["paths"]["/health"]["get"]["summary"] = nasty
    said["components"]["schemas"]["Receipt"]["description"] = f"`{nasty}`"
    text = document.page(json.dumps(said).encode())
    assert read(text).tags.count("script") == 1
