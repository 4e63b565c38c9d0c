"""The demo's day: what two phones write, and who looks at it in a browser.

In the morning three patients and five cases, one of them red. In the evening what a doctor's list is good
for: an emergency, a red case with photos, a yellow one, answers that nobody can read; then a patient whom
two phones changed, a case that the server refuses, a record that was deleted.

    python -m infra.local.day URL DATA

puts all of it into a back end that runs (screenshots and tests in a browser look at it). `weeks` is what
went before, for pages that count: a back end whose clock can be moved lives through it in a minute.
"""

from __future__ import annotations

import io
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from random import Random
from typing import Any

from infra.cli.members import grant
from infra.local import photos
from infra.local.environment import use_stack
from infra.local.phone import Phone, over_http, wall_ms
from infra.local.token import token_for

TEAM = "kito-team"

#: Of accounts on this machine that live as long as the demo.
PASSWORD = "one day in Kito village"  # noqa: S105

#: User, name, role.
PEOPLE = (
    ("doctor", "Dr. Neema Mushi", "doctor"),
    ("halima", "Halima Juma", "supervisor"),
    ("omari", "Omari Said", "admin"),
)

#: Health workers: user, name, telephone number (of the range for drama, Ofcom's; nobody answers).
WORKERS = (
    ("amina", "Amina Hassan", "+44 7700 900011"),
    ("joseph", "Joseph Mtui", "+44 7700 900012"),
)

#: The photo of the red case, by its name on the phone.
KEY = "case-red-photo-1"
PHOTOS = {KEY: photos.generated(7)}

#: Case of the evening → its photos' seeds. The foot was photographed in the morning already.
_PHOTOS = {"case-foot": (7, 8), "case-baby": (12,), "case-neck": (15,)}


def address(user: str) -> str:
    """What somebody logs in with."""
    return f"{user}@kito.example"


def people() -> None:
    """The accounts, in the stores that this process uses."""
    for user, name, role in PEOPLE:
        _account(user, name)
        grant(user, TEAM, role)


def workers() -> None:
    """The accounts of those who carry the phones."""
    for user, name, number in WORKERS:
        _account(user, name, number)
        grant(user, TEAM, "chw")


def _account(user: str, name: str, number: str | None = None) -> None:
    from shared import wiring

    wiring.accounts().administration.create(
        address(user), PASSWORD, wiring.clock_ms(), user_id=user, name=name, phone=number
    )


def morning(phone: Phone) -> None:
    """Patients and cases, on the phone, with the photo of the red one."""
    began = time.time() - 3600
    people = (
        ("patient-1", {"name": "Asha N.", "age": 34, "sex": "female"}),
        ("patient-2", {"name": "Juma O.", "age": 8, "sex": "male"}),
        ("patient-3", {"name": "Rehema S.", "age": 61, "sex": "female"}),
    )
    for name, demographics in people:
        phone.save("patients", name, at=began, demographics=demographics)
    cases = (
        ("case-1", "patient-1", "green", {"site": "forearm", "duration_days": 5}),
        ("case-2", "patient-1", "yellow", {"site": "neck", "duration_days": 20}),
        ("case-3", "patient-2", "green", {"site": "scalp", "duration_days": 14}),
        ("case-4", "patient-3", "green", {"site": "hand", "duration_days": 2}),
        ("case-red", "patient-3", "red", {"site": "foot", "duration_days": 60, "bleeding": True}),
    )
    for name, patient, risk, triage in cases:
        phone.save(
            "cases",
            name,
            at=began,
            patient_id=patient,
            risk_level=risk,
            triage_data=triage,
            image_keys=[KEY] if name == "case-red" else [],
        )
    phone.photos = [photos.announced("cases", "case-red", KEY, PHOTOS[KEY])]


def evening(phone: Phone) -> dict[str, list[bytes]]:
    """Patients and cases, on the phone; their photos by case, with keys as `key` says."""
    began = time.time() - 2400
    for name, about in (
        ("patient-3", {"name": "Rehema S.", "age": 61, "sex": "female", "village": "Kito"}),
        ("patient-4", {"name": "Baraka M.", "age": 0.5, "sex": "male", "village": "Pande"}),
        ("patient-5", {"name": "Zawadi K.", "age": 27, "sex": "female", "village": "Kito"}),
    ):
        phone.save("patients", name, at=began, demographics=about)
    cases = (
        (
            "case-foot",
            "patient-3",
            "red",
            {"site": "foot", "duration_days": 61, "bleeding": True, "fever": "yes", "pain": 7},
        ),
        (
            "case-baby",
            "patient-4",
            "red",
            {"site": "trunk", "breathing_difficulty": True, "rash": "all over since yesterday"},
        ),
        ("case-neck", "patient-5", "yellow", {"site": "neck", "duration_days": 20, "itch": True}),
        (
            "case-arm",
            "patient-5",
            "green",
            {"site": "forearm", "bleeding": "perhaps, she is not sure"},
        ),
    )
    taken = {name: [photos.generated(seed) for seed in seeds] for name, seeds in _PHOTOS.items()}
    for number, (name, patient, risk, answers) in enumerate(cases):
        phone.save(
            "cases",
            name,
            at=began + 60 * number,
            patient_id=patient,
            risk_level=risk,
            triage_data=answers,
            image_keys=[key(name, each) for each, _ in enumerate(taken.get(name, ()))],
        )
    phone.photos = [
        photos.announced("cases", name, key(name, number), data)
        for name, each in taken.items()
        for number, data in enumerate(each)
    ]
    return taken


def send_photos(phone: Phone, url: str, token: str, taken: dict[str, list[bytes]]) -> None:
    """After the sync that announced them."""
    for name, each in taken.items():
        for number, data in enumerate(each):
            ticket = phone.tickets[key(name, number)]
            if ticket["state"] == "upload":  # the server may have it from the morning, checked
                photos.send(url, token, ticket, data)
    phone.photos = []


def trouble(phone: Phone, other: Phone) -> None:
    """What supervisors look at: values that lost, a record that was refused, one that was deleted."""
    about = {"name": "Zawadi K.", "sex": "female", "village": "Kito"}
    other.sync()
    phone.save("patients", "patient-5", demographics={**about, "age": 28})
    phone.sync()
    other.save("patients", "patient-5", at=time.time() - 300, demographics={**about, "age": 72})
    other.sync()
    other.save("cases", "case-nobody", patient_id="patient-nobody", risk_level="yellow")
    other.sync()
    phone.save("patients", "patient-6", demographics={"name": "Written twice"})
    phone.sync()
    phone.delete("patients", "patient-6")
    phone.sync()


def weeks(url: str, data: Path, clock: Path, before: int = 7) -> None:
    """So many weeks before this one: cases and photos arrive on Mondays, most are signed hours later.

    `clock` is the back end's CLOCK_FILE. Ends with a clock that is right.
    """
    use_stack(data)
    workers()
    people()
    chance = Random(4)  # noqa: S311  numbers to look at
    for week in range(before, 0, -1):
        name, first_hours = f"week-{week}", chance.randint(2, 9)

        def later(hours: int, week: int = week) -> int:
            ahead_ms = -week * 7 * 86_400_000 + hours * 3_600_000
            clock.write_text(str(ahead_ms), "ascii")
            return ahead_ms

        _arrive(url, name, chance, later(0))
        waiting = _waiting(url, name)
        for hours, cases in (
            (first_hours, waiting[: 2 * len(waiting) // 3]),
            (chance.randint(18, 40), waiting[2 * len(waiting) // 3 :]),
        ):
            later(hours)
            for case in cases:
                sign(url, case, chance.choice(["agree", "agree", "agree", "edit"]))
    clock.write_text("0", "ascii")


#: Cases of a week, those of them that are red, and photos.
_CASES, _RED, _PHOTOS_A_WEEK = (12, 17), 10, 6


def _arrive(url: str, week: str, chance: Random, ahead_ms: int) -> None:
    send = over_http(url, token_for("amina"))
    phone = Phone(send, "amina", "aminas-phone", clock=lambda: wall_ms() + ahead_ms)
    at = phone.now()
    taken: dict[str, list[bytes]] = {}
    for number in range(chance.randint(*_CASES)):
        name, red = f"{week}-{number}", number < _RED
        about = {"name": f"{chance.choice('ABCDEFGHJK')}. {week}", "age": chance.randint(2, 70)}
        phone.save("patients", name, at=at, demographics=about)
        phone.save(
            "cases",
            name,
            at=at,
            patient_id=name,
            risk_level="red" if red else chance.choice(["yellow", "green"]),
            triage_data={"site": chance.choice(["hand", "leg"]), "bleeding": red},
            image_keys=[key(name, 0)] if number < _PHOTOS_A_WEEK else [],
        )
        if number < _PHOTOS_A_WEEK:
            small = chance.random() < 0.3
            taken[name] = [photos.generated(number, *([(300, 200)] if small else []))]
    phone.photos = [
        photos.announced("cases", name, key(name, 0), each[0]) for name, each in taken.items()
    ]
    phone.sync()
    send_photos(phone, url, token_for("amina"), taken)
    end = time.monotonic() + 60
    while time.monotonic() < end:  # until the model has read the red ones
        phone.sync()
        red_ones = [phone.row("cases", f"{week}-{number}") or {} for number in range(_RED)]
        if all(each.get("ai_analysis") for each in red_ones):
            return
        time.sleep(0.2)
    raise TimeoutError("the red cases were not read")


def _waiting(url: str, week: str) -> list[str]:
    """Cases of a week that wait, the most urgent first."""
    cases = _review(url, "?limit=50")["cases"]
    return [each["id"] for each in cases if each["id"].startswith(week)]


def sign(url: str, case: str, verdict: str = "agree") -> None:
    """The doctor signs a case."""
    seen = _review(url, f"/{case}")
    body = {"diagnosis_text": "Tinea corporis", "prescription": "Clotrimazole, twice a day"}
    if seen["case"].get("ai_analysis"):
        body |= {"verdict": verdict}
        body |= {"verdict_text": "Too urgent"} if verdict == "edit" else {}
    headers = {"Idempotency-Key": case, "If-Match": f'"{seen["version"]}"'}
    _review(url, f"/{case}/diagnosis", body, **headers)


def _review(url: str, path: str, body: object = None, **headers: str) -> Any:
    """What the review API answers the doctor."""
    sent = {"Authorization": f"Bearer {token_for('doctor', role='doctor')}", **headers}
    data = None if body is None else json.dumps(body).encode()
    where = f"{url}/api/v1/review/cases{path}"
    request = urllib.request.Request(where, data=data, headers=sent)  # noqa: S310  our own server
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.loads(response.read())


def whole(url: str, data: Path) -> None:
    """All of the day, into the stack that runs at `url` with its data in a folder.

    The accounts are made, unless `weeks` did.
    """
    use_stack(data)
    if not _are_there():
        workers()
        people()
    amina, joseph = (
        Phone(over_http(url, token_for(user)), user, f"{user}s-phone")
        for user in ("amina", "joseph")
    )
    morning(amina)
    amina.sync()
    photos.send(url, token_for("amina"), amina.tickets[KEY], PHOTOS[KEY])
    taken = evening(amina)
    amina.sync()
    send_photos(amina, url, token_for("amina"), taken)
    trouble(amina, joseph)


def _are_there() -> bool:
    from shared import wiring
    from shared.accounts import account

    return bool(account.find(wiring.store(), address(PEOPLE[0][0])).version)


def page(url: str, path: str, user: str) -> str:
    """A page of the console, as a browser without script gets it after a log-in.

    Cookies are carried by hand: what Python brings sends none of ours without TLS.
    """
    jar: dict[str, str] = {}
    shown = _ask(f"{url}/console/login", jar)
    found = re.search(r'name="token" value="([^"]+)"', shown)
    token = found[1] if found else ""
    fields = {"act": "log-in", "token": token, "email": address(user), "password": PASSWORD}
    _ask(f"{url}/console/login", jar, urllib.parse.urlencode(fields).encode())
    return _ask(f"{url}{path}", jar)


def _ask(where: str, jar: dict[str, str], body: bytes | None = None) -> str:
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
    request = urllib.request.Request(where, data=body, headers=sent)  # noqa: S310  our own server
    try:
        with _OPENER.open(request, timeout=30) as response:
            headers, said = response.headers, io.BytesIO(response.read())
    except urllib.error.HTTPError as refused:  # a redirect too: it is not followed
        headers, said = refused.headers, io.BytesIO(refused.read())
    for line in headers.get_all("Set-Cookie") or ():
        name, _, value = line.partition(";")[0].partition("=")
        jar[name] = value
    return said.getvalue().decode()


class _OpenStay(urllib.request.HTTPRedirectHandler):
    """Follows nothing."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_OpenStay)


def key(case: str, number: int) -> str:
    """What the phone calls a case's photo."""
    return f"{case}-{number + 1}.jpg"


if __name__ == "__main__":
    whole(sys.argv[1], Path(sys.argv[2]))
