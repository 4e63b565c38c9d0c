"""Doctors on the running back end: the story of a red case on both profiles, and the guide's calls."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.phone import Json, Phone
from tests import test_docs
from tests.conftest import absent
from tests.e2e.conftest import Deployment, deploy, deployment
from tests.e2e.test_main_job import red_day, until_analysed
from tests.patience import until
from tests.test_docs import Shell, blocks, shell

__all__ = ["deploy", "deployment", "shell"]


def calls(deployment: Deployment, user: str) -> Callable[..., tuple[int, Any]]:
    """Requests of a user's screen."""
    token = deployment.token(user, "doctor")

    def ask(path: str, body: Json | None = None, key: str = "", seen: int = 1) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = f"{deployment.stack.url}/api/v1/review/cases{path}"
        request = urllib.request.Request(url, data)
        request.add_header("Authorization", f"Bearer {token}")
        if key:
            request.add_header("Idempotency-Key", key)
            request.add_header("If-Match", f'"{seen}"')
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return ask


def melon(deployment: Deployment, user: str) -> Json:
    url = f"{deployment.stack.url}/api/v1/sync?last_pulled_at=null&device_id=melon"
    request = urllib.request.Request(url)
    request.add_header("Authorization", f"Bearer {deployment.token(user)}")
    with urllib.request.urlopen(request) as response:
        changes: Json = json.load(response)["changes"]
    return changes


def until_diagnosed(phone: Phone, name: str) -> Json:
    def look() -> Json | None:
        phone.sync()
        row = phone.row("cases", name)
        return row if row is not None and row["status"] == "DIAGNOSED" else None

    return until(look, "the diagnosis") or {}


def test_a_red_case_reaches_a_doctor_and_the_diagnosis_every_phone(deployment: Deployment) -> None:
    # given a health worker whose red case was analysed, and two doctors of the team
    stem = uuid.uuid4().hex[:6]
    team, chw = f"team-{stem}", f"chw-{stem}"
    deployment.join(chw, team)
    for name in ("one", "two"):
        deployment.join(f"{name}-{stem}", team, "doctor")
    phone = deployment.phone(chw)
    (case,) = red_day(phone, stem)
    phone.sync()
    until_analysed(phone, case)
    one, two = (calls(deployment, f"{name}-{stem}") for name in ("one", "two"))
    # when the first doctor finds it, claims it, looks at it and signs
    status, listed = one("")
    assert (status, [(e["id"], e["rank"], e["images"]) for e in listed["cases"]]) == (
        200,
        [(case, 1, 0)],
    )
    assert one(f"/{case}/claim", {})[0] == 200
    status, refused = two(f"/{case}/claim", {})
    assert (status, refused["error"]["code"], refused["by"]) == (409, "claimed", f"one-{stem}")
    status, shown = one(f"/{case}")
    assert shown["case"]["ai_analysis"]["differential"]
    assert shown["patient"]["demographics"]["age"] == 41
    diagnosis = {"diagnosis_text": "Tinea", "prescription": "Cream", "verdict": "agree"}
    status, signed = one(f"/{case}/diagnosis", diagnosis, f"key-{stem}", shown["version"])
    assert (status, signed["doctor_id"]) == (200, f"one-{stem}")
    assert one(f"/{case}/diagnosis", diagnosis, f"key-{stem}") == (200, signed)
    # then the second comes too late
    status, refused = two(f"/{case}/diagnosis", diagnosis, f"key-{stem}")
    assert (status, refused["error"]["code"]) == (409, "already_diagnosed")
    assert (refused["by"], refused["at"]) == (f"one-{stem}", signed["signed_at"])
    # and phones of both dialects hold the diagnosis, and the analysis whole
    row = until_diagnosed(phone, case)
    assert row["ai_analysis"]["differential"]
    found = phone.row("diagnoses", signed["id"])
    assert found is not None
    assert (found["diagnosis_text"], found["prescription"]) == ("Tinea", "Cream")
    changes = melon(deployment, chw)
    assert [item["id"] for item in changes["diagnoses"]["created"]] == [signed["id"]]
    assert [item["status"] for item in changes["cases"]["created"]] == ["DIAGNOSED"]
    assert one("")[1]["cases"] == []


# --- the guide


def said(answer: Any) -> str:
    """What a call of the guide shows, in a word."""
    if "error" in answer:
        return str(answer["error"]["code"])
    if "signed_at" in answer:
        return "amended" if answer["amends"] else str(answer["status"])
    if "claimed_until" in answer:
        return str(answer["claimed_by"])
    if "case" in answer:
        return str(answer["case"]["id"])
    if "weeks" in answer:
        return f"{len(answer['weeks'])} weeks"
    if "waiting" in answer:
        return f"{answer['waiting']} waiting"
    return ",".join(entry["id"] for entry in answer["cases"])


@pytest.mark.proof
def test_every_call_of_the_guide_works_as_pasted(shell: Shell) -> None:
    if shutil.which("curl") is None:
        absent("curl is not installed")
    (_, prepare), *shown = blocks(test_docs.REVIEW, "sh")
    tokens = "\n".join(line for line in prepare.splitlines() if line.startswith(("CHW=", "TOKEN=")))
    shell(prepare)
    words = []
    for text, script in shown:
        (stated,) = [word for word in ("200", "409") if f"nswers {word}" in text]
        printed, statuses = shell(f"{tokens}\n{script}")
        assert statuses.split() == [stated] * script.count("curl "), text
        words.append(said(json.loads(printed)))
    assert words == [
        *("case-7", "case-7", "1 waiting", "dr-otieno", "case-7", ""),
        *("DIAGNOSED", "already_diagnosed", "amended", "12 weeks", "4 weeks"),
    ]


@pytest.mark.parametrize("setting", ["CLAIM_MINUTES", "UNREAD_HOURS"])
def test_the_guide_names_the_defaults(setting: str) -> None:
    from shared.products.dermadetect.settings import DermaDetectSettings

    word = {"CLAIM_MINUTES": "minutes", "UNREAD_HOURS": "hours"}[setting]
    assert f"{getattr(DermaDetectSettings(), setting.lower())} {word}" in test_docs.text(
        test_docs.REVIEW
    )
