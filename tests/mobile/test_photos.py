"""The kit's photos against the running back end, over a network that breaks, on both profiles."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from shared.files.file import file_key
from tests.e2e.conftest import Deployment
from tests.files.conftest import photo as picture
from tests.mobile import BatchPhone, KitPhone, Phone, SyncFailed
from tests.mobile.conftest import Make, MakeBatch, new, stored
from tests.mobile.cutting import CuttingProxy
from tests.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.proof

SIZE = 800_000
CUT_AFTER = 100_000

#: How many times the app calls again at most.
MOST_CALLS = 40

Json = dict[str, Any]
Original = Callable[[str, str], bytes]


@pytest.fixture(params=["loki", pytest.param("emulator", marks=pytest.mark.soak)])
def stage(request: pytest.FixtureRequest) -> str:
    """Both profiles."""
    return str(request.param)


def shot(folder: Path, seed: int, size: int = SIZE) -> Path:
    """A photo on the phone, of exactly so many bytes: phones write things behind a picture's end."""
    data = picture(seed, (400, 300))
    file = folder / f"{seed}.jpg"
    file.write_bytes(data + random.Random(seed).randbytes(size - len(data)))
    return file


def red_case(phone: Phone, *keys: str) -> str:
    """A red case that names these photos, saved and synced."""
    patient, case = new(), new("c")
    if isinstance(phone, KitPhone):
        listed = "[" + ",".join(f'"{key}"' for key in keys) + "]"
        phone.create("patients", patient, demographics="{}")
        phone.create(
            "cases", case, patient_id=patient, triage_data="{}", risk_level="red", image_keys=listed
        )
    else:
        phone.save("patients", patient, demographics={})
        phone.save(
            "cases", case, patient_id=patient, triage_data={}, risk_level="red", image_keys=[*keys]
        )
    phone.sync()
    return case


def send_all(phone: Phone) -> Json:
    """The app calls until nothing is left to do; it does not wait as long as it is told."""
    for _ in range(MOST_CALLS):
        said = phone.send()
        if said["next"] != "retry":
            return said
        time.sleep(0.05)
    raise AssertionError(f"not sent after {MOST_CALLS} calls: {said}")


Original = Callable[[str, str], bytes]


@pytest.fixture
def original(deployment: Deployment, team: str) -> Original:
    """What a link of the server gives for a photo: (case, key) → bytes."""

    def fetch(case: str, key: str) -> bytes:
        url, token = deployment.stack.url, deployment.token(f"amina-{team}")
        file = requests.get(
            f"{url}/api/v1/files/{file_key('cases', case, key).id}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE_SECONDS,
        ).json()
        assert file["state"] == "ready"
        answer = requests.get(urljoin(url, file["links"]["original"]), timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.content

    return fetch


def analysis(deployment: Deployment, phone: BatchPhone, case: str) -> Json:
    """The analysis that a sync brings, as the server holds it."""

    def came() -> bool:
        phone.sync()
        row = phone.row("cases", case)
        assert row is not None
        return (row["ai_analysis"] or {}).get("status") not in (None, "unavailable")

    until(came, "the analysis", 0.2)
    found = stored(deployment, "cases", case)["ai_analysis"]
    assert isinstance(found, dict)
    return found


def test_a_photo_gets_through_a_line_that_breaks_every_100_kilobytes(
    batch: MakeBatch, original: Original, line: CuttingProxy, tmp_path: Path
) -> None:
    phone = batch("amina")
    case = red_case(phone, "a.jpg")
    file = shot(tmp_path, 1)
    phone.take(case, "a.jpg", file)
    phone.settings(url=line.url)
    line.cut_after = CUT_AFTER
    assert send_all(phone)["next"] == "rest"
    assert hashlib.sha256(original(case, "a.jpg")).digest() == (
        hashlib.sha256(file.read_bytes()).digest()
    )
    assert line.breaks >= SIZE // CUT_AFTER - 1
    assert line.body_bytes <= 1.1 * SIZE
    [told] = phone.settled()
    assert (told["state"], told["key"]) == ("ready", "a.jpg")
    assert told["quality"]["verdict"] in ("good", "retake")
    assert phone.photos() == []
    # the case knows where it is
    phone.sync()
    row = phone.row("cases", case)
    assert row is not None
    assert row["image_urls"] == [f"/api/v1/files/{told['id']}"]


def test_a_server_that_dies_in_the_middle_goes_on_where_it_was(
    batch: MakeBatch, deployment: Deployment, original: Original, line: CuttingProxy, tmp_path: Path
) -> None:
    phone = batch("amina")
    case = red_case(phone, "a.jpg")
    file = shot(tmp_path, 2)
    phone.take(case, "a.jpg", file)
    phone.settings(url=line.url)

    def die() -> None:
        line.down = True
        deployment.stack.kill()

    line.at = (SIZE // 2, die)
    said = phone.send()
    assert said["next"] == "retry"
    [kept] = phone.photos()
    assert kept["state"] == "upload"
    deployment.stack.start()
    line.down = False
    assert send_all(phone)["next"] == "rest"
    assert original(case, "a.jpg") == file.read_bytes()
    # a piece that was under way when it died may be gone: at most one
    assert line.body_bytes <= SIZE + 512 * 1024


def test_a_lost_last_answer_is_asked_for(
    batch: MakeBatch, deployment: Deployment, line: CuttingProxy, tmp_path: Path
) -> None:
    phone = batch("amina")
    case = red_case(phone, "a.jpg")
    size = 60_000  # a single piece: the last
    phone.take(case, "a.jpg", shot(tmp_path, 3, size))
    phone.settings(url=line.url)
    line.lose_answer = "PUT /content"
    assert send_all(phone)["next"] == "rest"
    assert line.lose_answer == ""
    assert line.body_bytes < size + 2000  # the ticket's question, and the photo once
    assert [told["state"] for told in phone.settled()] == ["ready"]
    # "PUT" once with all, once to ask
    assert sum(each.startswith("PUT") for each in line.requests) == 2


def test_a_hash_that_is_wrong_once_is_computed_anew(
    batch: MakeBatch, original: Original, tmp_path: Path
) -> None:
    phone = batch("amina")
    case = red_case(phone, "a.jpg")
    file = shot(tmp_path, 4, 150_000)
    phone.settings(wrongHashes={str(file): 1})
    phone.take(case, "a.jpg", file)
    assert send_all(phone)["next"] == "rest"
    assert [told["state"] for told in phone.settled()] == ["ready"]
    assert original(case, "a.jpg") == file.read_bytes()


def test_a_hash_that_stays_wrong_is_told_and_holds_up_no_other_photo(
    batch: MakeBatch, original: Original, tmp_path: Path
) -> None:
    phone = batch("amina")
    case = red_case(phone, "a.jpg", "b.jpg")
    file = shot(tmp_path, 5, 150_000)
    phone.settings(wrongHashes={str(file): 2})
    phone.take(case, "a.jpg", file)
    phone.take(case, "b.jpg", shot(tmp_path, 6, 150_000))
    assert send_all(phone)["next"] == "rest"
    told = {each["key"]: each for each in phone.settled()}
    assert told["b.jpg"]["state"] == "ready"
    assert (told["a.jpg"]["state"], told["a.jpg"]["code"]) == ("refused", "wrong_hash")
    # it stays on the phone; the user may have it sent once more
    [kept] = phone.photos()
    phone.do("again", photo=kept)
    assert send_all(phone)["next"] == "rest"
    assert original(case, "a.jpg") == file.read_bytes()
    assert phone.photos() == []


def test_what_is_no_photo_is_told_at_once(batch: MakeBatch, tmp_path: Path) -> None:
    phone = batch("amina")
    case = red_case(phone, "a.jpg", "b.jpg")
    file, gone = tmp_path / "text.jpg", tmp_path / "gone.jpg"
    for each in (file, gone):
        each.write_bytes(b"no photo at all" * 100)
    phone.take(case, "b.jpg", gone)
    phone.take(case, "a.jpg", file)
    gone.unlink()  # by a cleaner of storage, before it was sent
    assert send_all(phone)["next"] == "rest"
    told = {each["key"]: each["code"] for each in phone.settled()}
    assert told == {"a.jpg": "wrong_type", "b.jpg": "unreadable"}
    assert send_all(phone)["next"] == "rest"
    assert len(phone.settled()) == 2  # told once


def test_the_analysis_of_a_red_case_waits_for_both_photos(
    batch: MakeBatch, deployment: Deployment, tmp_path: Path
) -> None:
    phone = batch("amina")
    patient, case = new(), new("c")
    phone.save("patients", patient, demographics={})
    phone.save(
        "cases", case, patient_id=patient, triage_data={}, risk_level="red",
        image_keys=["a.jpg", "b.jpg"],
    )  # fmt: skip
    for at, key in enumerate(("a.jpg", "b.jpg")):
        phone.take(case, key, shot(tmp_path, 10 + at, 120_000))
    # records and the questions for tickets go together
    phone.sync()
    assert [each["state"] for each in phone.photos()] == ["upload", "upload"]
    job = stored(deployment, "jobs", str(stored(deployment, "cases", case)["_job"]))
    assert job["state"] == "awaiting_files"
    assert send_all(phone)["next"] == "rest"
    found = analysis(deployment, phone, case)
    assert found["provenance"]["images_missing"] == 0
    assert len(found["provenance"]["image_sha256"]) == 2


def test_the_most_urgent_case_s_photos_go_first_and_records_before_them(
    batch: MakeBatch, tmp_path: Path
) -> None:
    phone = batch("amina")
    patient = new()
    phone.save("patients", patient, demographics={})
    cases = {}
    for at, risk in enumerate(("green", "yellow", "red")):
        cases[risk] = new("c")
        phone.save(
            "cases", cases[risk], patient_id=patient, triage_data={}, risk_level=risk,
            image_keys=["a.jpg"],
        )  # fmt: skip
        phone.take(cases[risk], "a.jpg", shot(tmp_path, 20 + at, 90_000))
    # nothing is known of the records yet: the photos wait, and the records lose nothing by it
    assert phone.send()["next"] == "retry"
    assert {each["state"] for each in phone.photos()} == {"new"}
    phone.sync()
    assert send_all(phone)["next"] == "rest"
    assert [told["record_id"] for told in phone.settled()] == [
        cases[risk] for risk in ("red", "yellow", "green")
    ]


def test_the_power_may_fail_at_any_step_of_an_upload(
    batch: MakeBatch, original: Original, tmp_path: Path
) -> None:
    phone = batch("amina")
    case = red_case(phone, *(f"{step}.jpg" for step in range(1, 40)))
    for step in range(1, 40):
        file = shot(tmp_path, 100 + step, 150_000)
        phone.take(case, f"{step}.jpg", file)
        phone.settings(cutAt=step)
        try:
            phone.send()
        except Exception as error:
            assert "power cut" in str(error)  # noqa: PT017
        else:
            break
        phone.settings(cutAt=0)
        assert send_all(phone)["next"] == "rest"
        assert phone.photos() == []
        assert original(case, f"{step}.jpg") == file.read_bytes()
        assert {each["state"] for each in phone.settled()} == {"ready"}
    assert 10 < step < 39


def test_a_watermelon_phone_sends_photos_over_a_line_that_breaks(
    phone: Make, original: Original, line: CuttingProxy, tmp_path: Path
) -> None:
    melon = phone("amina")
    case = red_case(melon, "a/b.jpg", "b.jpg")
    files = {key: shot(tmp_path, 30 + at, 300_000) for at, key in enumerate(("a/b.jpg", "b.jpg"))}
    for key, file in files.items():
        melon.take(case, key, file)
    melon.settings(url=line.url)
    line.cut_after = CUT_AFTER
    assert send_all(melon)["next"] == "rest"
    for key, file in files.items():
        assert original(case, key) == file.read_bytes()
    assert line.body_bytes <= 1.1 * 600_000
    assert melon.photos() == []
    assert melon.do("storage", name="kit/photos") is None


class TestKilled:
    @pytest.fixture
    def stage(self) -> str:
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
