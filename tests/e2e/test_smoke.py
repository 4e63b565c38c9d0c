"""The smoke test's red case, on the whole back end: it ends with an analysis, or says how far it came."""

from __future__ import annotations

import pytest

from infra.ci import smoke
from tests.e2e.conftest import Deployment


def test_a_red_case_goes_all_the_way_and_back(deployment: Deployment) -> None:
    deployment.join("smoke", "smoke-team")
    said = smoke.red_case(deployment.stack.url, deployment.token("smoke"), 60, 0.1)
    assert said.startswith("smoke-")
    assert said.endswith(": ok")


def test_a_case_that_nobody_reads_is_said_to_be_waiting(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given bells that ring nobody: what is pushed stays where it is
    deployment.join("smoke", "smoke-team")
    real = smoke.sync

    def unread(sync_url: str, token: str, since: int = 0, changes: object = None) -> object:
        got = real(sync_url, token, since, changes)
        for row in got["server_updates"].get("cases", ()):
            row.pop("ai_analysis", None)
        return got

    monkeypatch.setattr(smoke, "sync", unread)
    with pytest.raises(SystemExit, match=r"has no analysis after 1 s, it is PENDING_DIAGNOSIS"):
        smoke.red_case(deployment.stack.url, deployment.token("smoke"), 1, 0.1)
