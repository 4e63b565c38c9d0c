"""What answers tell browsers: keep nothing, run nothing, and let in only the origins that were named."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from infra.local import table
from shared.errors import ConfigurationFault
from shared.settings import load
from tests.api.conftest import Api, StartApi, routes

OURS = "https://review.example.org"
OTHER = "http://localhost:3000"

#: Method, path, body, whether with a token: each function, and each way an answer is made.
ANSWERS = [
    ("GET", "/health", None, False),
    ("GET", "/openapi.json", None, False),
    ("GET", "/docs", None, False),
    ("GET", "/nothing", None, False),
    ("DELETE", "/api/sync", None, False),
    ("POST", "/api/sync", {}, False),
    ("POST", "/api/sync", {}, True),
    ("POST", "/api/sync", b"{", True),
    ("GET", "/api/v1/sync?last_pulled_at=null&schema_version=1&migration=null", None, True),
    ("GET", "/api/v1/devices", None, True),
    ("GET", "/api/v1/auth/me", None, True),
    ("POST", "/api/v1/auth/login", {"email": "a@b.org", "password": "no such password"}, False),
    ("OPTIONS", "/api/sync", None, False),
]


def each(api: Api, headers: dict[str, str] | None = None) -> Iterator[tuple[str, TestResponse]]:
    api.join("chw1")
    for method, path, body, known in ANSWERS:
        token = api.token() if known else None
        yield path, api.ask(method, path, body, token=token, headers=headers)


def test_every_answer_is_kept_nowhere_and_can_do_nothing(api: Api) -> None:
    for path, response in each(api):
        said = response.headers
        assert said.getlist("Cache-Control") == ["no-store"], path
        assert said.getlist("X-Content-Type-Options") == ["nosniff"], path
        assert said.getlist("Referrer-Policy") == ["no-referrer"], path
        [policy] = said.getlist("Content-Security-Policy")
        assert policy.startswith("default-src 'none'"), path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert "Strict-Transport-Security" not in said, path


def test_only_public_keys_may_be_kept(api: Api) -> None:
    found = api.ask("GET", "/.well-known/jwks.json")
    assert found.headers["Cache-Control"] == "public, max-age=300"
    assert '"d"' not in found.text


def test_the_page_for_people_names_its_style_and_script_and_needs_nothing_else(api: Api) -> None:
    page = api.ask("GET", "/docs")
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";")
    )
    named = {}
    for tag in ("style", "script"):
        [part] = re.findall(rf"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        named[f"{tag}-src"] = f"'sha256-{digest}'"
    assert policy == {
        "default-src": "'none'",
        **named,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    # what this policy forbids is not there, nor a script that writes markup
    assert not re.search(
        r"<(script |img|iframe|form|base|link|object)\b| style=| on\w+=|innerHTML|eval", page.text
    )


def test_behind_tls_browsers_are_told_to_stay_there(start_api: StartApi) -> None:
    for path, response in each(start_api(hsts_seconds=31_536_000)):
        assert response.headers["Strict-Transport-Security"] == (
            "max-age=31536000; includeSubDomains"
        ), path


# --- other origins


def preflight(origin: str | None) -> dict[str, str]:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    return asks if origin is None else {**asks, "Origin": origin}


def cross(response: TestResponse) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name.lower().startswith("access-control-")
    }


def test_nobody_is_let_in_by_default(api: Api) -> None:
    for origin in (OURS, "null", "*"):
        for path, response in each(api, {"Origin": origin}):
            assert cross(response) == {}, path
        assert api.ask("OPTIONS", "/api/sync", headers=preflight(origin)).status_code == 405


#: What browsers or others may send as an origin; none of it is one of those that were named.
FOREIGN = [
    "https://evil.example",
    "null",
    "*",
    "",
    "https://review.example.org.evil.example",
    "https://evil-review.example.org",
    "https://REVIEW.example.org",
    "https://review.example.org:443",
    "https://review.example.org/",
    "http://review.example.org",
    "https://review.example.org, http://localhost:3000",
    "https://review.example.org,http://localhost:3000",
]


def test_a_named_origin_gets_in_and_no_other(start_api: StartApi) -> None:
    api = start_api(cors_origins=f"{OURS}, {OTHER}")
    for origin in (OURS, OTHER):
        for path, response in each(api, {"Origin": origin}):
            assert cross(response) == {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": (
                    "ETag, Link, Range, RateLimit, RateLimit-Policy, Retry-After, Upgrade, "
                    "X-Request-Id"
                ),
            }, path
            assert "Origin" in response.headers["Vary"], path
    for origin in FOREIGN:
        for path, response in each(api, {"Origin": origin}):
            assert cross(response) == {}, (origin, path)
            assert "Origin" in response.headers["Vary"], path


def test_a_preflight_of_a_named_origin_is_answered(start_api: StartApi) -> None:
    api = start_api(cors_origins=OURS)
    response = api.ask("OPTIONS", "/api/sync", headers=preflight(OURS))
    assert response.status_code == 204
    assert response.data == b""
    said = cross(response)
    assert said["Access-Control-Allow-Origin"] == OURS
    served = [name for name, row in table.load().items() if row.trigger == "http"]
    methods = {route.method for name in served for route in routes(name)}
    assert methods == set(said["Access-Control-Allow-Methods"].split(", "))
    assert "Authorization" in said["Access-Control-Allow-Headers"].split(", ")
    assert "*" not in str(said)
    # there are no cookies, and no browser shall think so
    assert "Access-Control-Allow-Credentials" not in said
    for origin in [*FOREIGN, None]:
        refused = api.ask("OPTIONS", "/api/sync", headers=preflight(origin))
        assert (refused.status_code, cross(refused)) == (405, {}), origin
    # a path that does not exist has no preflight, and an OPTIONS that is none stays what it was
    assert api.ask("OPTIONS", "/nothing", headers=preflight(OURS)).status_code == 404
    assert api.ask("OPTIONS", "/api/sync", headers={"Origin": OURS}).status_code == 405


@pytest.mark.parametrize(
    "text",
    ["*", "https://*.example.org", "null", "example.org", "http://example.org", "https://a.org/",
     "https://a.org/app", f"{OURS},*", "https://A.org", "https://a.org https://b.org"],
)  # fmt: skip
def test_a_vague_origin_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationFault) as stopped:
        load({"CORS_ORIGINS": text})
    assert stopped.value.field == "CORS_ORIGINS"


def test_exact_origins_are_taken() -> None:
    assert load({"CORS_ORIGINS": f" {OURS} , {OTHER},"}).origins == (OURS, OTHER)
    assert load({}).origins == ()
