"""The example app in Chromium against the running back end: a day, and what goes wrong in it.

Pages, database, files and network are the browser's own; nothing is replaced.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Route, expect

from infra.local import photos
from shared.accounts import tokens
from shared.files.file import file_key
from shared.records.store import Query
from tests.console.browser.conftest import axe as axe
from tests.console.browser.conftest import chromium as chromium
from tests.console.browser.look import found_by_axe, sideways
from tests.e2e.conftest import PROFILES, Deployment
from tests.mobile.handset import Handset, build, served
from tests.patience import PATIENCE_SECONDS, until
from tests.sync.clinic import wall_ms

pytestmark = pytest.mark.proof

PASSWORD = "correct horse battery"

#: axe's script is not of the page, whose policy lets in no other.
SEEN_BY_AXE = {"bypass_csp": True}

PHOTO = photos.generated(7, (1200, 900))


@dataclass
class Clinic:
    """A back end with the app before it, a team of its own, and what it holds."""

    profile: str
    deployment: Deployment
    url: str
    browser: Browser
    team: str
    phones: list[Handset]

    def worker(self, name: str) -> str:
        """An account of a health worker: its e-mail address."""
        boss, email = f"boss-{self.team}", f"{name}-{self.team}@example.org"
        self.deployment.join(boss, self.team, "supervisor")
        asked = {"scope_id": self.team, "role": "chw"}
        token = self.deployment.token(boss, "supervisor")
        code = self.post("auth/invites", asked, token)["invite_code"]
        self.post("auth/register", {"email": email, "password": PASSWORD, "invite_code": code})
        return email

    def phone(self, email: str, **more: Any) -> Handset:
        """A phone of somebody who has just logged in."""
        phone = self.new_phone(**more)
        phone.log_in(email, PASSWORD)
        return phone

    def new_phone(self, **more: Any) -> Handset:
        """A phone before its first log-in."""
        self.phones.append(Handset(self.browser, self.url, **more))
        return self.phones[-1]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What the server has of the team, people's data as a value."""
        query = Query(table, where=(("scope_id", "==", self.team),))
        found = list(self.deployment.store.query(query))
        about = [json.loads(each.fields.get("demographics") or "{}") for each in found]
        return [
            {**each.fields, "id": each.key.id, "demographics": value}
            for each, value in zip(found, about, strict=True)
        ]

    def has_photo(self, case: str) -> bool:
        """The server has the case's photo, whole."""
        file = file_key("cases", case, f"{case}.1.jpg").id
        answer = self._ask("GET", f"files/{file}", self.doctor())
        return answer.ok and answer.json()["state"] == "ready"

    def doctor(self) -> str:
        name = f"doctor-{self.team}"
        self.deployment.join(name, self.team, "doctor")
        return self.deployment.token(name, "doctor")

    def sign(self, case: str, text: str) -> None:
        """A doctor signs, over the API."""
        token = self.doctor()
        version = self._ask("GET", f"review/cases/{case}", token).json()["version"]
        said = {"diagnosis_text": text, "prescription": "Clean it, cover it.", "verdict": "agree"}
        headers = {"If-Match": f'"{version}"', "Idempotency-Key": uuid.uuid4().hex}
        self.post(f"review/cases/{case}/diagnosis", said, token, **headers)

    def post(self, path: str, body: object, token: str = "", **more: str) -> dict[str, Any]:
        answer = self._ask("POST", path, token, body, **more)
        assert answer.ok, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def _ask(
        self, method: str, path: str, token: str, body: object = None, **more: str
    ) -> requests.Response:
        url = f"{self.deployment.stack.url}/api/v1/{path}"
        headers = {**more, **({"Authorization": f"Bearer {token}"} if token else {})}
        return requests.request(method, url, json=body, headers=headers, timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def address(example: Path, deploy: Callable[[str], Deployment]) -> Iterator[Callable[[str], str]]:
    """The app's address before each profile's back end, started once."""
    with ExitStack() as running:
        known: dict[str, str] = {}

        def serve(profile: str) -> str:
            if profile not in known:
                known[profile] = running.enter_context(served(example, deploy(profile).stack.url))
            return known[profile]

        yield serve


@pytest.fixture(params=["local", pytest.param("emulator", marks=pytest.mark.soak)])
def clinic(
    request: pytest.FixtureRequest,
    chromium: Browser,
    address: Callable[[str], str],
    deploy: Callable[[str], Deployment],
) -> Iterator[Clinic]:
    """At the end no phone has complained."""
    profile = str(request.param)
    team = f"team-{uuid.uuid4().hex[:8]}"
    made = Clinic(profile, deploy(profile), address(profile), chromium, team, [])
    yield made
    said = [line for phone in made.phones for line in phone.said]
    for phone in made.phones:
        phone.close()
    assert said == []


def keeps_out(clinic: Clinic, phone: Handset, axe: str) -> list[str]:
    """What keeps people out of a screen, light and dark. Screens are the same before both back ends."""
    wrong: list[str] = []
    if clinic.profile != PROFILES[0]:
        return wrong
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(24, 34, 39)")):
        phone.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(phone.page.get_by_role("banner")).to_have_css("background-color", ground)
        where = f"{phone.page.title()} {scheme}"
        wrong += [f"{where}: {each}" for each in found_by_axe(phone.page, axe)]
        wrong += [f"{where}: sideways: {each}" for each in sideways(phone.page)]
    return wrong


def test_a_day_without_a_network_and_with_one(clinic: Clinic, axe: str) -> None:
    phone = clinic.phone(clinic.worker("amina"), **SEEN_BY_AXE)
    wrong = keeps_out(clinic, phone, axe)
    # given no network
    phone.context.set_offline(True)
    phone.sees("No network.")
    # when somebody is registered, photographed and found red
    phone.register("Asha N.")
    wrong += keeps_out(clinic, phone, axe)
    phone.fill_in_a_red_case(PHOTO)
    phone.sees("Red: it is read at once, and a doctor sees it first.")
    wrong += keeps_out(clinic, phone, axe)
    case = phone.save_case()
    wrong += keeps_out(clinic, phone, axe)
    # then it is there after the app was killed, still without a network
    phone.kill()
    phone.sees_title("Foot")
    phone.sees("Sent: not yet")
    expect(phone.page.locator("[role=img]")).to_be_visible()
    assert clinic.rows("patients") == clinic.rows("cases") == []
    # and with a network it is sent by itself, read by the model, once each
    phone.context.set_offline(False)
    phone.sees("Read by the AI")
    assert [row["demographics"]["name"] for row in clinic.rows("patients")] == ["Asha N."]
    assert [row["id"] for row in clinic.rows("cases")] == [case]
    until(lambda: clinic.has_photo(case), "the photo")
    wrong += keeps_out(clinic, phone, axe)
    # and what the doctor signs is on the same phone
    clinic.sign(case, "Ulcer of the foot")
    phone.sync()
    phone.tab("Cases")
    phone.page.get_by_text("Asha N.").click()
    phone.sees("Ulcer of the foot")
    phone.sees("Clean it, cover it.")
    phone.tab("Sync")
    wrong += keeps_out(clinic, phone, axe)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_two_phones_and_one_patient(clinic: Clinic, axe: str) -> None:
    # given two health workers who both have her
    first, second = (
        clinic.phone(clinic.worker(name), **SEEN_BY_AXE) for name in ("amina", "joseph")
    )
    first.register("Asha N.")
    first.sync()
    second.sync()
    # when both change where she lives, one of them without a network
    first.context.set_offline(True)
    for phone, village in ((first, "Pande"), (second, "Moshi")):
        phone.page.goto(f"{clinic.url}#/")
        phone.page.get_by_text("Asha N.").click()
        phone.follow("Edit")
        phone.fill("Village", village)
        phone.press("Save")
        phone.sees_title("Asha N.")
    second.sync()
    first.context.set_offline(False)
    # then the one that comes later sees both, and hers stands until she decides
    first.tab("Sync")
    first.sees("Changed by two people")
    assert not keeps_out(clinic, first, axe)
    theirs = first.page.get_by_role("radio", name="Somebody else")
    expect(theirs).to_contain_text("Moshi")
    expect(first.page.get_by_role("radio", name="This phone")).to_contain_text("Pande")
    theirs.click()
    first.page.get_by_role("button", name="Keep what is marked").click()
    first.sync()
    expect(first.page.get_by_text("Changed by two people")).to_have_count(0)
    until(lambda: clinic.rows("patients")[0]["demographics"]["village"] == "Moshi", "her decision")


def test_a_network_that_goes_in_the_middle_of_anything(clinic: Clinic) -> None:
    # given a line that drops two requests of three: before the server has them, or after
    dice = random.Random(clinic.profile)
    phone = clinic.phone(clinic.worker("amina"), service_workers="block")
    dropped = 0

    def drop(route: Route) -> None:
        nonlocal dropped
        if dropped == 15 or dice.random() > 2 / 3:
            route.continue_()
            return
        dropped += 1
        if dice.random() < 0.5:
            route.fetch()
        route.abort()

    phone.context.route("**/api/**", drop)
    phone.register("Asha N.")
    phone.fill_in_a_red_case(PHOTO)
    case = phone.save_case()
    # when she presses the button whenever it can be pressed
    phone.tab("Sync")

    def is_there() -> bool:
        phone.page.get_by_role("button", name="now").click()
        return clinic.has_photo(case) and "Everything is sent" in phone.page.inner_text("header")

    # what the server has, the phone may not have heard of: she presses until it says so
    until(is_there, "the photo, and the phone's knowing of it")
    # then everything has come, once
    assert dropped > 5
    assert len(clinic.rows("patients")) == len(clinic.rows("cases")) == 1
    phone.is_complete()


def test_an_app_that_is_killed_between_two_steps(clinic: Clinic) -> None:
    phone = clinic.phone(clinic.worker("amina"))
    # in the middle of a form
    phone.page.goto(f"{clinic.url}#/register")
    phone.fill("Name", "Asha N.")
    phone.kill()
    phone.fill("Age in years", "34")
    phone.press("Save")
    phone.sees_title("Asha N.")
    # as soon as it says that she is saved
    phone.kill()
    phone.fill_in_a_red_case(PHOTO)
    # with a photo that has no case yet
    phone.kill()
    expect(phone.page.locator("[role=img]")).to_be_visible()
    case = phone.save_case()
    # while it sends
    for kind in ("**/api/v1/sync*", "**/api/v1/files*", "**/content"):
        phone.kill()
        with phone.page.expect_request(kind):
            pass
    phone.kill()
    until(lambda: clinic.has_photo(case), "the photo")
    assert len(clinic.rows("patients")) == len(clinic.rows("cases")) == 1


def test_a_clock_that_stands_at_1970(clinic: Clinic) -> None:
    phone = clinic.phone(clinic.worker("amina"))
    phone.page.clock.set_system_time(60_000)
    phone.register("Asha N.")
    phone.fill_in_a_red_case()
    phone.save_case()
    phone.tab("Sync")
    expect(phone.page.get_by_role("banner")).to_contain_text("Date or time of this phone is wrong")
    until(lambda: len(clinic.rows("cases")) == 1, "the case")
    # so few milliseconds since 1970 look like seconds to the server, which tells app makers so
    phone.said[:] = [line for line in phone.said if "time_in_seconds" not in line]


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    body = token.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return said


def test_three_weeks_away_with_an_expired_token(clinic: Clinic) -> None:
    email = clinic.worker("amina")
    phone = clinic.phone(email)
    phone.is_complete()
    key = f"tokens/{email}"
    kept = phone.page.evaluate("(key) => JSON.parse(localStorage.getItem(key))", key)
    deployment = clinic.deployment
    old = tokens.issue(
        deployment.keys.current(),
        deployment.policy,
        user_id=claims(kept["access"])["chw_id"],
        role="chw",
        now_s=wall_ms() / 1000 - 21 * 86_400,
    )

    def away(refresh: str) -> None:
        value = f'{{"access": "{old}", "refresh": "{refresh}"}}'
        phone.page.evaluate("([key, value]) => localStorage.setItem(key, value)", [key, value])
        phone.kill()

    # the other token renews it
    away(kept["refresh"])
    phone.register("Asha N.")
    until(lambda: len(clinic.rows("patients")) == 1, "the patient")
    # when that has ended, too, she logs in, and all that she wrote is sent
    away("ended")
    phone.sees_title("Log in again")
    phone.page.goto(f"{clinic.url}#/register")
    phone.log_in(email, PASSWORD)
    phone.register("Juma O.", "8")
    until(lambda: len(clinic.rows("patients")) == 2, "both patients")


@pytest.mark.parametrize("clinic", [PROFILES[0]], indirect=True)  # of the browser alone
def test_a_storage_that_is_full_loses_nothing(clinic: Clinic) -> None:
    # given a phone with little room from the start: how much there is, a browser asks now and then
    phone = clinic.new_phone()
    devtools = phone.context.new_cdp_session(phone.open())
    room = {"origin": phone.url}
    devtools.send("Storage.overrideQuotaForOrigin", {**room, "quotaSize": 5_000_000})
    phone.log_in(clinic.worker("amina"), PASSWORD)
    phone.register("Asha N.")
    phone.is_complete()
    # when there is none left, a photo is not taken, and says so; the form stays
    devtools.send("Storage.overrideQuotaForOrigin", {**room, "quotaSize": 1})
    phone.follow("New case")
    phone.choose("Foot", "Bleeding")
    phone.give_photo(PHOTO)
    expect(phone.page.get_by_role("alert")).to_contain_text("There is no room for this photo")
    phone.save_case()
    # a record that is not on the disk is kept in memory, and says so; it is sent
    full = phone.page.get_by_role("alert").get_by_text("The phone’s storage is full.")
    phone.tab("Sync")

    def is_full() -> bool:
        phone.page.get_by_role("button", name="now").click()
        return full.count() > 0

    until(is_full, "the browser's look at the disk", every_seconds=1)
    phone.register("Juma O.", "8")
    expect(full).to_be_visible()
    until(lambda: len(clinic.rows("patients")) == 2, "both patients")
    # with room it is on the disk, too
    devtools.send("Storage.overrideQuotaForOrigin", room)
    phone.sync()
    expect(full).to_have_count(0)
    phone.kill()
    phone.tab("Patients")
    phone.sees("Juma O.")
