"""The week that `make demo PRODUCT=buildtrace` tells ends as it should, on both profiles."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.local.stage import OnStack
from shared import wiring
from shared.products.buildtrace.story import story
from tests.api.conftest import StartApi


@pytest.mark.parametrize("profile", ["local", "emulator"])
def test_the_story_ends_well(
    profile: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    start_api: StartApi,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if profile == "emulator":
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("pubsub_emulator")
    start_api(product="buildtrace")
    environ = {"PRODUCT": "buildtrace", "GOOGLE_CLOUD_PROJECT": f"site-{uuid.uuid4().hex[:8]}"}
    with Stack(
        profile=profile, data=tmp_path / "stack", sweep_seconds=1.0, environ=environ
    ) as stack:
        story(OnStack(stack.url))
    assert wiring.product().name == "buildtrace"
    assert "“11 000” to “11 050”" in capsys.readouterr().out
