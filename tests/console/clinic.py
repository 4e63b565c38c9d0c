"""Two teams with accounts of every role, and all that pages show: made by phones, doctors and jobs.

Every text, id, user and address of a team holds the team's name, so that a page that shows a byte of
another team's data is found by reading it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from infra.local import photos
from infra.local.phone import Json, Phone
from shared import wiring
from shared.console.frame import Frame
from shared.console.page import HOME, Page
from shared.products.dermadetect.rights import ROLES
from tests.api.conftest import Api
from tests.console.browser_in_process import Browser, Seen

PASSWORD = "a rather long pass phrase"

#: The team that is looked at, and the other one. No other word of a page or of ours holds them.
OWN, OTHER = "kitoteam", "pandeteam"
TEAMS = (OWN, OTHER)


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    user: str
    email: str
    team: str
    role: str


@dataclass(frozen=True)
class Known:
    """What a clinic remembers of its data."""

    people: dict[str, Person] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)  #: by user
    photos: dict[str, list[str]] = field(default_factory=dict)  #: ids of files, by team


class Clinic:
    """The functions in this process, with people and data."""

    def __init__(self, api: Api, known: Known | None = None) -> None:
        self.api = api
        self.frame: Frame = importlib.import_module("functions.console").FRAME
        self.known = known or Known()
        self.people, self.tokens = self.known.people, self.known.tokens
        self.photos = self.known.photos

    # --- people

    def person(self, role: str, team: str = OWN) -> Person:
        """Whoever has a role in a team; made when first asked for. Without a role: a member of nothing."""
        name = f"{team}-{role}" if role else "stranger"
        if name not in self.people:
            email = f"{name}@example.org"
            now_ms = wiring.clock_ms()
            administration = wiring.accounts().administration
            administration.create(email, PASSWORD, now_ms, user_id=name, name=f"{name} N.")
            if role:
                self.api.join(name, team, role)
            self.people[name] = Person(name, email, team if role else "", role)
        return self.people[name]

    def browser(self, **more: Any) -> Browser:
        """Nobody's browser."""
        return Browser(self.frame, **more)

    def logged_in(self, role: str, team: str = OWN, **more: Any) -> Browser:
        """The browser of whoever has a role in a team."""
        person, browser = self.person(role, team), self.browser(**more)
        seen = browser.log_in(person.email, PASSWORD)
        assert browser.cookie("__Host-session"), seen.text
        return browser

    # --- phones

    def phone(self, user: str, device: str = "") -> Phone:
        """A phone that syncs with the function in this process."""

        def send(body: Json, _phone: Phone) -> Json:
            said = self.api.ask("POST", "/api/sync", body, token=self.token(user))
            assert said.status_code == 200, said.text
            return dict(said.get_json())

        return Phone(send, user, device or f"{user}-phone")

    def token(self, user: str, role: str = "chw") -> str:
        """An access token of a user."""
        if user not in self.tokens:
            self.tokens[user] = self.api.token(user, role)
        return self.tokens[user]

    def photo(self, phone: Phone, case: str, key: str, seed: int = 7, **fields: Any) -> str:
        """A photo of a case arrives: its file's id."""
        data = _photo(seed)
        phone.photos = [photos.announced("cases", case, key, data)]
        phone.sync()
        phone.photos = []
        ticket = phone.tickets[key]
        said = self.api.ask(
            "PUT",
            ticket["upload"]["url"],
            data,
            token=self.token(phone.user),
            headers={
                "Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}",
                "Content-Type": "image/jpeg",
            },
        )
        assert said.status_code == 200, said.text
        return str(ticket["id"])

    # --- data

    def fill(self, team: str = OWN) -> None:
        """A day of a team: cases of every colour, photos, an analysis, a diagnosis, what went wrong."""
        chw = self.person("chw", team).user
        mate = f"{team}-mate"
        self.api.join(mate, team, "chw")
        for role in ROLES:
            self.person(role, team)
        phone = self.phone(chw)
        now = wiring.clock_ms() / 1000
        for number, sex in ((1, "female"), (2, "male"), (3, "female")):
            about = {
                "name": f"{team} patient {number}",
                "age": 20 + number,
                "sex": sex,
                "village": f"{team} village",
            }
            phone.save("patients", f"{team}-p{number}", at=now - 9000, demographics=about)
        note = f"{team} note"
        for name, patient, risk, answers in (
            ("signed", 1, "red", {"site": "foot", "bleeding": True}),
            ("red", 1, "red", {"site": "foot", "bleeding": True, "duration_days": 60}),
            ("emergency", 2, "red", {"site": "trunk", "breathing_difficulty": True}),
            ("yellow", 3, "yellow", {"site": "neck", "duration_days": 20}),
            ("green", 3, "green", {"site": "hand", "duration_days": 2}),
        ):
            phone.save(
                "cases",
                f"{team}-{name}",
                at=now - 8000,
                patient_id=f"{team}-p{patient}",
                risk_level=risk,
                triage_data={**answers, "note": note},
                image_keys=[f"{team}-{name}.jpg"] if name in ("red", "signed") else [],
            )
        phone.save("patients", f"{team}-gone", at=now - 9000, demographics={"name": note})
        phone.sync()
        for name in ("red", "signed"):
            seed = sum(map(len, self.photos.values()))
            file = self.photo(phone, f"{team}-{name}", f"{team}-{name}.jpg", seed)
            self.photos.setdefault(team, []).append(file)
        phone.delete("patients", f"{team}-gone")
        phone.sync()
        self.api.run_jobs()
        # refused: a case of a patient that nobody knows
        phone.save("cases", f"{team}-lost", patient_id=f"{team}-nobody", risk_level="red")
        phone.sync()
        # a conflict: two phones, one answer each
        other = self.phone(mate)
        other.sync()
        row = {"site": "hand", "note": note}
        phone.save("cases", f"{team}-green", triage_data={**row, "pain": 7})
        phone.sync()
        other.save("cases", f"{team}-green", at=now - 60, triage_data={**row, "pain": 2})
        other.sync()
        self._sign(team)

    def _sign(self, team: str) -> None:
        doctor = self.person("doctor", team).user
        token = self.token(doctor, "doctor")
        where = f"/api/v1/review/cases/{team}-signed"
        seen = self.api.ask("GET", where, token=token).get_json()
        said = self.api.ask(
            "POST",
            f"{where}/diagnosis",
            {"diagnosis_text": f"{team} diagnosis", "prescription": f"{team} tablets"}
            | ({"verdict": "agree"} if seen["case"]["ai_analysis"] else {}),
            token=token,
            headers={"If-Match": f'"{seen["version"]}"', "Idempotency-Key": f"{team}-1"},
        )
        assert said.status_code == 200, said.text

    # --- pages

    def example(self, page: Page, team: str = OWN) -> str:
        """The path of a page about a thing of a team."""
        path = page.path
        for name in _names(page):
            value = self._thing(page, name, team)
            path = path.replace(f"{{{name}}}", value)
        return f"{HOME}/{path}"

    def _thing(self, page: Page, name: str, team: str) -> str:
        first = page.path.partition("/")[0]
        ask = EXAMPLES.get(f"{first}/{{{name}}}")
        assert ask is not None, (
            f"the page {page.path} asks for {name}: say in tests/console/clinic.py what one is"
        )
        return ask(self, team) if callable(ask) else ask.format(team=team)


@cache
def _photo(seed: int) -> bytes:
    return photos.generated(seed, (640, 480))


def _names(page: Page) -> Iterator[str]:
    for part in page.path.split("/"):
        if part.startswith("{"):
            yield part.strip("{}")


#: What pages are about: by the first part of their path and a name in it.
EXAMPLES: dict[str, Any] = {
    "photos/{id}": lambda clinic, team: clinic.photos.get(team, ["f" * 32])[0],
    "photos/{variant}": "large",
    "cases/{id}": "{team}-red",
    "patients/{id}": "{team}-p1",
    "users/{id}": "{team}-chw",
}


def names_of(seen: Seen, team: str) -> list[str]:
    """What an answer tells of a team."""
    said = [seen.html, *(str(each.headers) for each in (*seen.passed, seen.response))]
    return [text[max(0, at - 80) : at + 80] for text in said for at in _places(text, team)]


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)
