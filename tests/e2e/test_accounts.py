"""From an invite to a log-out, on the whole back end as a user starts it, on both profiles."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.accounts.keys import RingKeys
from tests.e2e.conftest import PROFILES, Deployment
from tests.patience import PATIENCE_SECONDS

PASSWORD = "correct horse battery"


@pytest.fixture(params=PROFILES)
def deployment(request: pytest.FixtureRequest, deploy: Callable[[str], Deployment]) -> Deployment:
    return deploy(request.param)


def test_a_health_worker_from_invite_to_log_out(deployment: Deployment) -> None:
    url = deployment.stack.url

    def ask(word: str, body: Any = None, token: str | None = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        method = "GET" if body is None else "POST"
        where = f"{url}/api/v1/auth/{word}"
        answer = requests.request(
            method, where, json=body, headers=headers, timeout=PATIENCE_SECONDS
        )
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["error"]["code"]

    # given a supervisor with a token, who makes a code
    deployment.join("story-boss", "story-team", "supervisor")
    boss = deployment.token("story-boss", "supervisor")
    code = ask("invites", {"scope_id": "story-team", "role": "chw"}, boss)["invite_code"]

    # when a health worker registers with it, and logs in
    who = {"email": "Amina@Story.example", "password": PASSWORD, "device_id": "story-phone"}
    ask("register", {**who, "email": "x@story.example"}, status=403)
    ask("register", {**who, "invite_code": code})
    assert ask("register", {**who, "invite_code": code}, status=403) == "invite_invalid"
    assert ask("login", {**who, "password": "wrong password"}, status=401) == "credentials_wrong"
    first = ask("login", who)

    # then she syncs with the token, and what she sends is her team's
    patient = {"id": "story-1", "last_modified_at": 1_772_323_200, "demographics": {"age": 5}}
    push = {"changes": {"patients": [patient]}}
    headers = {"Authorization": f"Bearer {first['access_token']}"}
    synced = requests.post(
        f"{url}/api/sync", json=push, headers=headers, timeout=PATIENCE_SECONDS
    ).json()
    assert synced["accepted"] == {"patients": ["story-1"]}
    seen = deployment.phone("story-boss")
    seen.sync()
    assert "story-1" in str(seen.rows)

    # she refreshes, the answer is lost, the phone asks again and goes on with what it gets
    lost = ask("refresh", {"refresh_token": first["refresh_token"]})
    again = ask("refresh", {"refresh_token": first["refresh_token"]})
    assert again["refresh_token"] == lost["refresh_token"]
    last = ask("refresh", {"refresh_token": again["refresh_token"]})
    headers = {"Authorization": f"Bearer {last['access_token']}"}
    assert requests.post(f"{url}/api/sync", json={}, headers=headers, timeout=PATIENCE_SECONDS).ok

    # after the log-out nothing of the session is good at this desk
    ask("logout", {"refresh_token": last["refresh_token"]})
    assert ask("refresh", {"refresh_token": last["refresh_token"]}, status=401) == "session_ended"
    assert ask("me", token=last["access_token"], status=401) == "session_ended"

    # a rotation later the next key is published, and everybody's tokens go on working
    keys = deployment.keys
    ring, version = keys.load()
    keys.save(ring.rotated(time.time()), version)
    assert RingKeys(keys, time.time).current().kid == ring.keys[-1].kid
    published = requests.get(f"{url}/.well-known/jwks.json", timeout=PATIENCE_SECONDS)
    assert published.headers["Cache-Control"] == "public, max-age=300"
    headers = {"Authorization": f"Bearer {ask('login', who)['access_token']}"}
    assert requests.post(f"{url}/api/sync", json={}, headers=headers, timeout=PATIENCE_SECONDS).ok

    # and no log knows a secret
    logs = "".join(Path(path).read_text() for path in deployment.stack.logs.glob("*.log"))
    assert "/api/v1/auth/login" in logs
    for secret in (PASSWORD, code, "story.example", first["refresh_token"], last["access_token"]):
        assert secret.lower() not in logs.lower()
