"""The kit's photos against the running back end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dermadetect.phone import SyncFailed
from tests.dermadetect.phone.conftest import Make
from tests.dermadetect.phone.cutting import CuttingProxy
from tests.dermadetect.phone.test_photos import original as original
from tests.dermadetect.phone.test_photos import red_case, send_all, shot

pytestmark = pytest.mark.proof

Original = Callable[[str, str], bytes]


def test_a_photo_of_a_red_case_gets_through_a_line_that_breaks(
    phone: Make, original: Original, line: CuttingProxy, tmp_path: Path
) -> None:
    one = phone("amina")
    case = red_case(one, "k1")
    file = shot(tmp_path, 1, 200_000)
    one.settings(url=line.url)
    line.cut_after = 60_000
    one.take(case, "k1", file)
    assert send_all(one)["next"] == "rest"
    assert original(case, "k1") == file.read_bytes()
    assert line.breaks >= 2
    assert [each["state"] for each in one.settled()] == ["ready"]
    assert one.photos() == []


class TestKilled:
    @pytest.fixture
    def adapter(self) -> str:
        return "sqlite"

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("request_number", [1, 2, 4])
    def test_an_app_that_is_killed_sends_the_rest(
        self, phone: Make, original: Original, tmp_path: Path, when: str, request_number: int
    ) -> None:
        one = phone("amina")
        case = red_case(one, "k1")
        file = shot(tmp_path, 2, 800_000)
        one.take(case, "k1", file)
        one.do("dieAt", request=request_number, when=when)
        with pytest.raises(SyncFailed, match="ended"):
            one.send()
        again = phone("amina")
        time.sleep(1)  # the server keeps first what came
        assert send_all(again)["next"] == "rest"
        assert original(case, "k1") == file.read_bytes()
