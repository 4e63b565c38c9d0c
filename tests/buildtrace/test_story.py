"""The week that `make demo PRODUCT=buildtrace` tells ends as it should: on both profiles, one result."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.local.stage import OnStack
from shared.products.buildtrace.story import story
from shared.products.buildtrace.tables import COMPARISONS
from shared.records.store import Key
from tests.api.conftest import StartApi
from tests.e2e.conftest import Deployment


def told(profile: str, folder: Path) -> str:
    """The result of the comparison that the story makes."""
    environ = {"PRODUCT": "buildtrace", "GOOGLE_CLOUD_PROJECT": f"site-{uuid.uuid4().hex[:8]}"}
    with Stack(profile=profile, data=folder, sweep_seconds=1.0, environ=environ) as stack:
        story(OnStack(stack.url))
        key = Key(COMPARISONS, "whats-new")
        deployment = Deployment(stack)
        found = deployment.store.read([key]).documents[key]
        deployment.store.close()
    return str(found.fields["result"])


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
    result = told(profile, tmp_path / profile)
    assert "“11 000” to “11 050”" in capsys.readouterr().out
    # functions over Pub/Sub find what the one process of a desk finds
    assert len(result) == 64
    assert profile == "local" or told("local", tmp_path / "local") == result
