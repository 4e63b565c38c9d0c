"""benchmarks/load.py: what it makes of samples, and that its client speaks to a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import load, processes, profile
from benchmarks.load_client import Phone

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.95, 10), (0.9, 9), (1.0, 10)]
)
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert load.percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == value


def test_memory_is_told_by_quarters() -> None:
    memory = [(float(second), float(second // 25)) for second in range(101)]
    assert load.quarterly(memory) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="too few"):
        load.quarterly(memory[:5])


def test_a_phone_sends_its_patient_once_and_its_cases_with_new_ids() -> None:
    import orjson

    phone = Phone("amina", "token")
    first, second, idle = (orjson.loads(phone.body(new)) for new in (3, 3, 0))
    assert len(first["changes"]["patients"]) == 1
    assert "patients" not in second["changes"]
    assert idle["changes"] == {}
    ids = [case["id"] for body in (first, second) for case in body["changes"]["cases"]]
    assert len(set(ids)) == 6


@pytest.mark.skipif(not processes.READABLE, reason="needs Linux's /proc")
def test_syncs_of_a_real_server_are_measured() -> None:
    with load.server(load.SQLITE) as to:
        found = load.press(to, phones=6, seconds=60, connections=3, requests=30)
    assert found.syncs == 30
    assert found.errors == {}
    assert found.cpu > 0
    assert found.memory[-1][1] > 10


def test_frames_are_known_by_their_file_and_package() -> None:
    assert profile._own("push (shared/sync/push.py:31)") == "shared/sync/push.py push"
    where = str(Path("/srv/app/functions/sync.py"))
    assert profile._own(f"sync ({where}:9)") == "functions/sync.py sync"
    assert profile._own("wait (threading.py:320)") == ""
    assert profile._package("wait (threading.py:320)") == "Python"
    assert profile._package("call (grpc/_channel.py:1)") == "grpc"
    assert profile._package("x (google/api_core/retry.py:1)") == "google/api_core"
    assert profile._package("y (shared/sync/push.py:1)") == "shared/sync/push.py"
