"""Routes: what is decoded and refused by their types, and that handlers take what their routes declare."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from flask import Request, Response
from msgspec import Meta, Struct, structs
from werkzeug.test import EnvironBuilder

from shared.access.membership import Caller
from shared.api.fields import Count, Id, IdOrEmpty, Limit, must, names, one_of
from shared.api.links import next_link
from shared.api.openapi import typed
from shared.api.routes import Route, arguments, decode, find
from shared.api.web import Call, answer, serve
from shared.errors import InvalidRequest, NotFound, Unauthenticated
from shared.settings import Settings
from tests.api.conftest import Api
from tests.api.test_openapi import keeps_its_word


class Everything(Struct):
    """A body with a field of every kind."""

    text: Annotated[str, Meta(min_length=1, max_length=5)]
    id: Id
    whole: Annotated[int, Meta(ge=1, le=3)] | None = None
    choice: Literal["a", "b"] = "a"
    yes: bool = False
    items: Annotated[list[Any], Meta(max_length=2)] = []


class Strict(Struct, forbid_unknown_fields=True):
    """A body that takes nothing else."""

    word: str = ""


GOOD = {"text": "t", "id": "i"}

#: field at fault, what is sent, what the message says beside the field's name.
REFUSED: list[tuple[str | None, Any, str]] = [
    (None, None, "must be an object"),
    (None, [GOOD], "must be an object"),
    ("text", {"id": "i"}, "a text of up to 5"),
    ("text", {**GOOD, "text": None}, "a text"),
    ("text", {**GOOD, "text": 1}, "a text"),
    ("text", {**GOOD, "text": ""}, "a text"),
    ("text", {**GOOD, "text": "secret"}, "up to 5 characters"),
    ("text", {"text": 1, "id": 1}, "a text"),
    ("id", {**GOOD, "id": "a b"}, "1 to 128 of"),
    ("id", {**GOOD, "id": "a\n"}, "1 to 128 of"),
    ("id", {**GOOD, "id": "__secret__"}, "1 to 128 of"),
    ("whole", {**GOOD, "whole": True}, "a whole number from 1 to 3"),
    ("whole", {**GOOD, "whole": 1.0}, "a whole number from 1 to 3"),
    ("whole", {**GOOD, "whole": 4}, "a whole number from 1 to 3"),
    ("choice", {**GOOD, "choice": "secret"}, "one of a, b"),
    ("choice", {**GOOD, "choice": None}, "one of a, b"),
    ("yes", {**GOOD, "yes": 1}, "true or false"),
    ("yes", {**GOOD, "yes": None}, "true or false"),
    ("items", {**GOOD, "items": {}}, "documented type"),
    ("items", {**GOOD, "items": [1, 2, 3]}, "documented type"),
]


@pytest.mark.parametrize(("field", "body", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_body_of_another_shape_is_refused_by_its_field_without_its_value(
    field: str | None, body: Any, words: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, Everything)
    assert (caught.value.code, caught.value.field) == ("invalid_request", field)
    assert words in caught.value.message
    assert caught.value.message.startswith(field or "The body")
    assert "secret" not in caught.value.message


def test_a_body_becomes_its_type_and_what_is_not_declared_is_dropped() -> None:
    assert decode({**GOOD, "other": 1}, Everything) == Everything("t", "i")
    assert decode({**GOOD, "whole": None, "yes": True}, Everything).yes


def test_an_unknown_field_is_refused_where_none_may_be_and_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode({"secret": 1}, Strict)
    assert (caught.value.field, caught.value.message) == (
        None,
        "There is an unknown field. Known are: word.",
    )


class Nullable(Struct):
    """A body that must say something, and be it null."""

    word: Annotated[str | None, must("a word, or null")]
    other: Annotated[str, must("a text", at="word")] = ""


def test_null_is_said_and_absence_is_not() -> None:
    assert decode({"word": None}, Nullable).word is None
    with pytest.raises(InvalidRequest) as caught:
        decode({}, Nullable)
    assert (caught.value.field, caught.value.message) == ("word", "word must be a word, or null.")


def test_a_field_may_name_another_one_at_fault() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode({"word": "w", "other": 1}, Nullable)
    assert (caught.value.field, caught.value.message) == ("word", "other must be a text.")


class Asked(Struct):
    """Arguments of a path and its query."""

    id: Annotated[Id, names("There is no such thing.")]
    limit: Limit = 7
    after: IdOrEmpty = ""
    colour: Annotated[str, one_of(("red", "a.b"))] = "red"


def test_arguments_are_texts_that_become_their_types() -> None:
    given = {"id": "i", "limit": "3", "after": "", "colour": "a.b"}
    assert decode(given, Asked, strict=False) == Asked("i", 3, "", "a.b")
    assert decode({"id": "i"}, Asked, strict=False) == Asked("i")


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", text) for text in ("0", "-1", "x", "", " 3", "1.5", "٣", "1000000000", "9" * 30)]
    + [("after", "a b"), ("after", "__a__"), ("after", "\n")]
    + [("colour", text) for text in ("", "axb", "red\n", "redder", "green")],
)
def test_an_argument_of_another_type_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode({"id": "i", name: value}, Asked, strict=False)
    assert caught.value.field == name


def test_a_segment_that_can_name_nothing_is_not_found_before_the_body_is_read() -> None:
    def handler(call: Call, asked: Asked, body: Strict) -> Response:
        raise AssertionError

    with pytest.raises(NotFound):
        decode({"id": "a b"}, Asked, strict=False)
    route = Route("POST", "/{id}", handler, takes=Strict, asks=Asked)
    sent = Request(EnvironBuilder("/a%20b", method="POST", data=b"{").get_environ())
    response = serve(sent, (route,), Settings(), amina)
    assert response.get_json()["error"]["message"] == "There is no such thing."
    assert response.status_code == 404


# --- what a query has that nobody knows


def test_a_part_of_a_query_that_is_not_known_is_named_without_its_value() -> None:
    asked = Route("GET", "/{id}", nothing, asks=Asked)
    for name in ("Limit", "limits", "_", "", "id", "x" * 99, "a\nb"):
        with pytest.raises(InvalidRequest) as caught:
            arguments(asked, {"id": "i"}, {"limit": "3", name: "secret"})
        assert caught.value.field == name[:64]
        assert caught.value.message.endswith("Known are: limit, after, colour.")
    with pytest.raises(InvalidRequest, match="Known are: none"):
        arguments(Route("GET", "/", nothing), {}, {"limit": "3"})
    assert arguments(Route("GET", "/", nothing), {}, {}) is None


def test_every_route_of_every_function_refuses_a_part_of_a_query_that_it_does_not_know(
    api: Api,
) -> None:
    api.join("chw1")
    head = {"Authorization": f"Bearer {api.token()}"}
    refused = 0
    for function, routes in api.routes.items():
        if function == "console":  # answers in pages: tests/console/test_frame.py
            continue
        for route in routes:
            path = re.sub(r"{\w+}", "0" * 32, route.path)
            client = api.client(function)
            for query in ("surprise=secret-4711", "_=secret-4711"):
                response = client.open(f"{path}?{query}", method=route.method, headers=head)
                assert response.status_code == 400, (route.method, path)
                error = response.get_json()["error"]
                assert (error["code"], error["field"]) == (
                    "invalid_request",
                    query.partition("=")[0],
                )
                fields = () if route.asks is None else structs.fields(route.asks)
                known = [each.name for each in fields if f"{{{each.name}}}" not in route.path]
                assert error["message"].endswith(f"Known are: {', '.join(known) or 'none'}.")
                assert "secret" not in response.get_data(as_text=True)
                if function != "sweeper":
                    keeps_its_word(route.method, path, response)
                refused += 1
    assert refused > 80


def test_who_asks_comes_before_what_is_asked(api: Api) -> None:
    for routes in api.routes.values():
        for route in routes:
            if route.secured and route.path != "/":
                path = re.sub(r"{\w+}", "0" * 32, route.path)
                response = api.ask(route.method, f"{path}?surprise=1")
                assert response.status_code == 401, path


# --- the next page


class Listed(Struct):
    """A page."""

    next_after: str | None


@pytest.mark.parametrize(
    ("method", "url", "value", "link"),
    [
        ("GET", "/a?limit=3", {"next_page": "t/=+"}, "/a?limit=3&page=t%2F%3D%2B"),
        ("GET", "/a?page=old&limit=3", {"next_page": "new"}, "/a?page=new&limit=3"),
        ("GET", "/%3Ea%0A?x=%22%3E%0D%0A%26", {"next_page": "t"}, "/%3Ea%0A?x=%22%3E%0D%0A%26&page=t"),
        ("HEAD", "/a", Listed("id"), "/a?after=id"),
        ("GET", "/a", Listed(None), None),
        ("GET", "/a", {"next_page": None}, None),
        ("GET", "/a", {}, None),
        ("GET", "/a", [], None),
        ("POST", "/a", {"next_page": "t"}, None),
    ],
)  # fmt: skip
def test_a_next_page_is_linked_where_its_address_asks_for_it(
    method: str, url: str, value: Any, link: str | None
) -> None:
    asked = Request(EnvironBuilder(url, method=method).get_environ())
    assert next_link(asked, value) == (None if link is None else f'<{link}>; rel="next"')


# --- paths


def nothing(_: Call) -> Response:
    """Nothing."""
    return answer({})


PATHS = (
    Route("GET", "/a", nothing),
    Route("POST", "/a/{id}", nothing),
    Route("DELETE", "/a/{id}", nothing),
    Route("GET", "/a/{id}/b", nothing),
)

#: path, method, index of the route, allowed methods.
FOUND: list[tuple[str, str, int | None, tuple[str, ...]]] = [
    ("/a", "GET", 0, ()),
    ("/a", "HEAD", 0, ()),
    ("/a", "POST", None, ("GET",)),
    ("/a/x", "POST", 1, ()),
    ("/a/x", "PUT", None, ("DELETE", "POST")),
    ("/a/x/b", "GET", 3, ()),
    ("/a/", "GET", None, ()),
    ("/a//b", "GET", None, ()),
    ("//a", "GET", None, ()),
    ("/A", "GET", None, ()),
    ("/a/x/", "POST", None, ()),
    ("/", "GET", None, ()),
]


@pytest.mark.parametrize(("path", "method", "index", "allowed"), FOUND)
def test_a_path_is_matched_letter_by_letter(
    path: str, method: str, index: int | None, allowed: tuple[str, ...]
) -> None:
    found = find(PATHS, path, method)
    assert found.route is (None if index is None else PATHS[index])
    assert found.allowed == allowed


# --- who asks, before what is asked


def request(**more: Any) -> Request:
    return Request(EnvironBuilder("/", method="POST", **more).get_environ())


def taking(call: Call, body: Strict) -> Response:
    """Takes a word."""
    return answer({"user": call.caller.user_id, "word": body.word})


def nobody(_: Call) -> Caller:
    raise Unauthenticated("Who?", code="token_missing")


def amina(_: Call) -> Caller:
    return Caller("amina", "chw", "phone")


def served(route: Route, who: Callable[[Call], Caller] | None, **more: Any) -> Response:
    return serve(request(**more), (route,), Settings(), who)


def test_who_asks_is_known_before_the_body_is_read() -> None:
    route = Route("POST", "/", taking, takes=Strict)
    for data in (b"{", b"[]", b'{"x": 1}', b'{"word": "w"}'):
        assert served(route, nobody, data=data).status_code == 401
    assert served(route, amina, data=b"[]").status_code == 400
    assert served(route, amina, data=b'{"word": "w"}').get_json() == {"user": "amina", "word": "w"}


def test_a_handler_that_wants_a_caller_whom_nobody_asked_for_is_no_way_in() -> None:
    route = Route("POST", "/", taking, takes=Strict)
    assert served(route, None, data=b"{}").status_code == 500


def test_a_body_may_be_left_out_only_where_the_route_says_so() -> None:
    for needed, status in ((True, 400), (False, 200)):
        route = Route("POST", "/", taking, takes=Strict, body_needed=needed)
        assert served(route, amina).status_code == status


# --- the description


class Shown(Struct):
    """What is shown."""

    count: Count
    nested: Strict | None = None


def described(call: Call, body: Strict) -> Response:
    """Do it.

    In two
    lines.
    """
    return taking(call, body)


def test_a_route_says_what_its_types_say() -> None:
    route = Route("POST", "/", described, takes=Strict, gives=Shown, faults=("busy",), name="doIt")
    said = typed.operation(route, "tag", {})
    assert (said["operationId"], said["summary"], said["description"]) == (
        "doIt",
        "Do it",
        "In two lines.",
    )
    assert said["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Strict")
    assert said["responses"]["200"]["description"] == "What is shown."
    assert {"400", "401", "413", "415", "503"} < said["responses"].keys()
    schemas = typed.schemas([route])
    assert schemas["Strict"]["additionalProperties"] is False
    assert schemas["Shown"]["required"] == ["count"]
    assert schemas["Shown"]["properties"]["count"] == {"type": "integer", "minimum": 0}


def test_every_handler_takes_the_body_that_its_route_declares(api: Api) -> None:
    checked = 0
    for function, routes in api.routes.items():
        if function == "console":  # its routes are made of pages
            continue
        for route in routes:
            given = list(inspect.signature(route.handler, eval_str=True).parameters.values())
            declared = [
                kind
                for kind in (route.asks, route.takes)
                if isinstance(kind, type) and issubclass(kind, Struct)
            ]
            assert [each.annotation for each in given[1:]] == declared, route.path
            checked += len(declared)
    assert checked > 40
