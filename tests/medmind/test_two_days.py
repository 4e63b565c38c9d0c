"""The two days that `make demo PRODUCT=medmind` tells end as they should, on both profiles."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path

import pytest

from infra.local.phone import wall_ms
from infra.local.stack import Stack
from infra.local.stage import OnStack
from shared.products.medmind.two_days import _next_change, two_days
from tests.api.conftest import StartApi

PROFILES = ("local", "emulator")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_two_days_end_well(
    profile: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    start_api: StartApi,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if profile == "emulator":
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("pubsub_emulator")
    start_api(product="medmind")
    clock = tmp_path / "clock"
    clock.write_text("0", "ascii")
    environ = {
        "PRODUCT": "medmind",
        "GOOGLE_CLOUD_PROJECT": f"days-{uuid.uuid4().hex[:8]}",
        "CLOCK_FILE": str(clock),
    }
    with Stack(
        profile=profile, data=tmp_path / "stack", sweep_seconds=1.0, environ=environ
    ) as stack:
        two_days(OnStack(stack.url, clock))
    told = capsys.readouterr().out
    assert "Sent twice, counted once." in told
    assert "/console" in told


def test_the_days_are_those_around_a_change_of_the_clock() -> None:
    assert _next_change(wall_ms()).weekday() == 6
    at_ms = 1_772_323_200_000  # 1 March 2026
    assert _next_change(at_ms) == date(2026, 3, 29)
    assert _next_change(at_ms + 29 * 86_400_000) == date(2026, 10, 25)
