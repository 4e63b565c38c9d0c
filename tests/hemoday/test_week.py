"""The family's week that `make demo PRODUCT=hemoday` tells ends as it should, on both profiles."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.local.stage import OnStack
from shared import wiring
from shared.products.hemoday.week import week
from tests.api.conftest import StartApi

PROFILES = ("local", "emulator")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_week_ends_well(
    profile: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    start_api: StartApi,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if profile == "emulator":
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("pubsub_emulator")
    start_api(product="hemoday")
    environ = {"PRODUCT": "hemoday", "GOOGLE_CLOUD_PROJECT": f"week-{uuid.uuid4().hex[:8]}"}
    with Stack(
        profile=profile, data=tmp_path / "stack", sweep_seconds=1.0, environ=environ
    ) as stack:
        week(OnStack(stack.url))
    assert wiring.product().name == "hemoday"
    told = capsys.readouterr().out
    assert "All three phones have both." in told
