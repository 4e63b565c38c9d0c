"""No secret and nothing of patients gets into a log line or an error answer, at any level of logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared import telemetry, wiring
from shared.records.store import Query
from tests.api.conftest import Api, StartApi

Json = dict[str, Any]

PASSWORD, OTHER_PASSWORD = "correct horse battery", "wrong donkey battery"
EMAIL, NAME = "amina.k@story.example", "Amina Kito-Worker"
PATIENT, NOTE = "Asha Storypatient", "wound on the left foot of Asha"


class Lines(logging.Handler):
    """Every log line of the process, as production writes it, and its raw message beside it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(telemetry.JsonFormatter("test"))
        self.lines: list[str] = []

    def emit(self, entry: logging.LogRecord) -> None:
        self.lines += [self.format(entry), entry.getMessage()]


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Lines of every logger, libraries included, down to DEBUG."""
    handler = Lines()
    loggers = [logging.getLogger(), logging.getLogger("shared")]
    before = [(each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.addHandler(handler)
    loggers[0].setLevel(logging.DEBUG)
    yield handler.lines
    for each, (level, propagate) in zip(loggers, before, strict=True):
        each.removeHandler(handler)
        each.level, each.propagate = level, propagate


class Story:
    """Asks, and collects the secrets that are told and the refusals that are given."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.secrets = {PASSWORD, OTHER_PASSWORD, EMAIL, NAME, PATIENT, NOTE}
        self.refusals: list[str] = []

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Json:
        if token:
            self.secrets.add(token)
        response = self.api.ask(method, path, body, token=token)
        self._keep(response)
        said = response.get_json(silent=True) or {}
        for name in ("access_token", "refresh_token", "invite_code"):
            if name in said:
                self.secrets.add(said[name])
        return dict(said)

    def _keep(self, response: TestResponse) -> None:
        if response.status_code >= 400:
            self.refusals.append(response.text)


def play(api: Api) -> Story:
    """The main story, with a refusal of each kind."""
    story, auth = Story(api), "/api/v1/auth"
    ask = story.ask
    api.join("boss", "team1", "supervisor")
    boss = api.token("boss", "supervisor")

    # comes in, by a code
    offer = {"scope_id": "team1", "role": "chw", "max_uses": 2}
    code = ask("POST", f"{auth}/invites", offer, boss)["invite_code"]
    who = {"email": EMAIL, "password": PASSWORD, "name": NAME, "device_id": "phone"}
    for body in (
        {**who, "invite_code": code, "password": "short"},
        {**who, "email": f"{EMAIL}@{EMAIL}", "invite_code": code},
        {**who, "invite_code": code, "name": NAME * 30},
        {**who, "invite_code": "ZZZZ22"},
        who,
    ):
        assert "error" in ask("POST", f"{auth}/register", body)
    first = ask("POST", f"{auth}/register", {**who, "invite_code": code})
    ask("POST", f"{auth}/register", {**who, "invite_code": code})
    for password in (OTHER_PASSWORD, PASSWORD):
        ask("POST", f"{auth}/login", {**who, "password": password})
    for _ in range(64):  # on a slow machine the next try comes after the wait that was asked for
        said = ask("POST", f"{auth}/login", {**who, "password": OTHER_PASSWORD})
        if said["error"]["code"] == "too_many_tries":
            break
    fresh = ask("POST", f"{auth}/refresh", {"refresh_token": first["refresh_token"]})
    token = fresh["access_token"]
    ask("GET", f"{auth}/me", token=token)
    ask("GET", f"{auth}/members?scope_id=team1", token=boss)
    ask("GET", f"{auth}/members?scope_id=team1", token=token)
    ask("POST", f"{auth}/join", {"invite_code": code}, token)

    # works: good records and refused ones, lost edits, both dialects
    when = wiring.clock_ms() / 1000
    patient = {"id": "p1", "last_modified_at": when, "demographics": {"name": PATIENT}}
    case = {"id": "c1", "last_modified_at": when, "patient_id": "p1", "risk_level": "red"}
    case |= {"triage_data": {"note": NOTE}}
    ask("POST", "/api/sync", {"changes": {"patients": [patient], "cases": [case]}}, token)
    older = {**patient, "last_modified_at": when - 9, "demographics": {"name": f"{PATIENT} older"}}
    bad = {**case, "id": "c2", "risk_level": NOTE}
    alien = {**case, "id": "c3", "patient_id": "nobody"}
    rows = {"patients": [older, {PATIENT: 1}], "cases": [bad, alien, case], PATIENT: [patient]}
    ask("POST", "/api/sync", {"changes": rows, "device_id": "phone"}, token)
    ask("POST", "/api/sync", {"changes": rows, "device_id": "tablet"}, boss)
    melon = {"created": [{**patient, "demographics": NOTE}], "updated": [], "deleted": []}
    ask(
        "POST", "/api/v1/sync?last_pulled_at=1700000000000", {"changes": {"patients": melon}}, token
    )
    ask("POST", "/api/v1/sync?last_pulled_at=1", {"changes": PATIENT}, token)
    ask("GET", "/api/v1/sync?last_pulled_at=null", token=token)
    api.run_jobs()
    wiring.sweeper().sweep()
    bodies: tuple[Any, ...] = (
        f'{{"changes": {{"patients": "{PATIENT}"}}}}'.encode(),
        f'{{"changes": "{PATIENT}", '.encode(),
        {"device_id": PATIENT},
        {"scope_id": PATIENT, "changes": {"patients": [patient]}},
        {"page": PATIENT},
        {"last_sync_timestamp": PATIENT},
    )
    for body in bodies:
        assert "error" in ask("POST", "/api/sync", body, token)
    ask("POST", "/api/v1/undelete", {"table": PATIENT, "id": NOTE}, boss)
    for path in ("inbox", "devices", "sync/digest"):
        ask("GET", f"/api/v1/{path}", token=boss)
    for wrong in (token[:-3], f"{token}x", "a.b.c", PASSWORD):
        assert "error" in ask("POST", "/api/sync", {}, wrong)

    # ends: another password, a token used twice, a log-out
    body = {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}
    ask("POST", f"{auth}/password", {**body, "old_password": OTHER_PASSWORD}, token)
    ask("POST", f"{auth}/password", body, token)
    last = ask("POST", f"{auth}/refresh", {"refresh_token": fresh["refresh_token"]})
    ask("POST", f"{auth}/refresh", {"refresh_token": first["refresh_token"]})
    ask("POST", f"{auth}/logout", {"refresh_token": last.get("refresh_token", "x")})
    ask("GET", f"{auth}/me", token=token)

    # the store breaks in the middle of a request: nothing of it is told either
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{PATIENT} {PASSWORD} {token}")

    kept = wiring.pusher().push
    wiring.pusher().push = broken  # type: ignore[method-assign]
    crashed = ask("POST", "/api/sync", {"changes": {"patients": [patient]}}, token)
    wiring.pusher().push = kept  # type: ignore[method-assign]
    assert crashed["error"]["code"] == "internal"
    return story


def test_no_secret_and_nothing_of_patients_is_logged_or_told(
    start_api: StartApi, lines: list[str]
) -> None:
    api = start_api(log_level="DEBUG")
    story = play(api)
    # the story was a good one

    codes = ("invite_invalid", "credentials_wrong", "too_many_tries", "refresh_reused", "internal",
             "invalid_json", "password_length", "email_taken", "token_invalid")  # fmt: skip
    told = "\n".join(story.refusals)
    assert not [code for code in codes if code not in told]
    assert len(lines) > 100
    stored = str([each.fields for each in wiring.store().query(Query("patients"))])
    assert PATIENT in stored
    assert len(story.secrets) > 14
    # and nobody wrote it down
    for secret in story.secrets:
        for line in (*lines, *story.refusals):
            assert secret.lower() not in line.lower(), line
