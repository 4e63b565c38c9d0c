"""The demo's day: what two phones write, and who looks at it in a browser.

In the morning three patients and five cases, one of them red. In the evening what a doctor's list is good
for: an emergency, a red case with photos, a yellow one, answers that nobody can read; then a patient whom
two phones changed, a case that the server refuses, a record that was deleted.

    python -m infra.local.day URL DATA

puts all of it into a back end that runs (screenshots and tests in a browser look at it).
"""

from __future__ import annotations

import io
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from infra.cli.members import grant
from infra.local import photos
from infra.local.environment import use_stack
from infra.local.phone import Phone, over_http
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
    from shared import wiring

    administration = wiring.accounts().administration
    for user, name, role in PEOPLE:
        now_ms = wiring.clock_ms()
        administration.create(address(user), PASSWORD, now_ms, user_id=user, name=name)
        grant(user, TEAM, role)


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


def whole(url: str, data: Path) -> None:
    """All of it, into the stack that runs at `url` with its data in a folder."""
    use_stack(data)
    for user in ("amina", "joseph"):
        grant(user, TEAM, "chw")
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
    people()


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
