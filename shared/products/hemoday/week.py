"""A family's week, told on a running back end: what `make demo PRODUCT=hemoday` shows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from shared.products.hemoday.recurrence import of_reminder
from shared.products.product import Stage, StagePhone

_HOUR_S = 3600

#: Monday, 2 March 2026, 09:00 UTC, seconds.
_MONDAY_S = datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()

#: A report of one page, with a text in it.
_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R\
/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 58>>stream
BT /F1 18 Tf 60 760 Td (MRI of the heart: T2* 24 ms) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody with an account."""

    name: str
    token: str


def week(stage: Stage) -> None:
    """Two parents and a grandmother. Raises what `stage.expect` raises."""
    mother, family = _begin(stage)
    hers, his, father, granny, shown = _second_phones(stage, mother, family)
    _offline(stage, hers, his, shown)
    _odd_value(stage, his)
    _document(stage, father, granny, his)
    _reminders(stage, his, hers)
    _found_again(stage, mother)
    _others(stage, granny, family)


def _begin(stage: Stage) -> tuple[_Person, str]:
    stage.say("\n2. Anna registers. That makes a family, whose owner she is.")
    mother = _register(stage, "anna", scope_name="The Petrovs")
    [family] = _asked(stage, "GET", "/api/v1/auth/me", mother)["scopes"]
    stage.expect(family["role"] == "owner", "she is not the owner")
    return mother, str(family["scope_id"])


def _second_phones(
    stage: Stage, mother: _Person, family: str
) -> tuple[StagePhone, StagePhone, _Person, _Person, StagePhone]:
    hers = stage.phone(mother.token, "anna")
    hers.save(
        "family_profiles",
        family,
        patient_name="Mira",
        sex="female",
        birth_date="2018-05-14",
        weight_kg=21.5,
        ranges={"718-7": {"low": 95, "high": 105}},
    )
    hers.sync()
    stage.say("\n3. A second phone in a minute: a code of six characters, and everything is there.")
    people = []
    for name, role in (("boris", "member"), ("granny", "viewer")):
        asked = {"scope_id": family, "role": role}
        code = _asked(stage, "POST", "/api/v1/auth/invites", mother, asked)["invite_code"]
        people.append(_register(stage, name, invite_code=code))
        stage.say(f"   {name.title()} ({role}) came in with {code}.")
    father, granny = people
    his, shown = stage.phone(father.token, "boris"), stage.phone(granny.token, "granny")
    for phone in (his, shown):
        phone.sync()
        stage.expect(("family_profiles", family) in phone.rows, "the child is not on the phone")
    return hers, his, father, granny, shown


def _offline(stage: Stage, hers: StagePhone, his: StagePhone, shown: StagePhone) -> None:
    stage.say("\n4. Monday, in the hospital, without a network: Anna notes the transfusion.")
    hers.save(
        "transfusions",
        "monday",
        date=_MONDAY_S,
        volume_ml=310,
        weight_kg=21.5,
        indicators_before=[{"name": "Hb", "value": 9.4, "unit": "g/dL"}],
        indicators_after=[{"name": "гемоглобин", "value": 128, "unit": "г/л"}],
    )
    hers.sync()
    his.sync()
    stage.say("   Both add to it, each offline: she what was given along, he how Mira felt.")
    hers.save("transfusions", "monday", medication="Paracetamol 250 mg")
    his.save("transfusions", "monday", comment="Slept well")
    for phone in (hers, his, hers, shown):
        phone.sync()
    for phone in (hers, his, shown):
        row = phone.rows["transfusions", "monday"]
        both = (row["medication"], row["comment"]) == ("Paracetamol 250 mg", "Slept well")
        stage.expect(both, "an edit was lost")
    stage.say("   All three phones have both.")
    sides = hers.rows["transfusions", "monday"]["indicators"]
    found = {side: sides[side][0]["canonical_value"] for side in ("before", "after")}
    stage.expect(found == {"before": 94, "after": 128}, f"the units were read as {found}")
    stage.say(f"   9.4 g/dL and 128 г/л are {found['before']} and {found['after']} g/L.")


def _odd_value(stage: Stage, his: StagePhone) -> None:
    stage.say("\n5. Tuesday: Boris types the laboratory's report, and 96 g/dL instead of g/L.")
    his.save("blood_tests", "tuesday", date=_MONDAY_S + 24 * _HOUR_S, laboratory="City laboratory")
    his.save(
        "blood_test_results",
        "hb",
        blood_test_id="tuesday",
        name="Haemoglobin",
        value=96,
        unit="g/dL",
    )
    his.sync()
    asked = his.rows["blood_test_results", "hb"]["questions"]["value"]
    stage.say(f"   It is stored, and he is asked: {asked['message']}")
    his.save("blood_test_results", "hb", unit="g/L")
    his.sync()
    stage.expect(not his.rows["blood_test_results", "hb"]["questions"], "it is still asked")
    stage.say("   He corrects the unit, and nothing is asked any more.")


def _document(stage: Stage, father: _Person, granny: _Person, his: StagePhone) -> None:
    stage.say("\n6. Wednesday: a report of the MRI. Boris sends it, the grandmother opens it.")
    his.save("documents", "mri", name="MRI of the heart", category="imaging", pages=["p1.pdf"])
    his.sync()
    status, made = stage.send(father.token, _PDF, "p1.pdf", record_id="mri", key="p1.pdf")
    stage.expect(status == 200 and made["state"] == "ready", f"the document is {made}")
    link = _asked(stage, "GET", made["file_url"], granny)["links"]["original"]
    _, data = stage.ask("GET", link)
    stage.expect(data == _PDF, "it is another document")


def _reminders(stage: Stage, his: StagePhone, hers: StagePhone) -> None:
    stage.say(
        "\n7. Thursday: reminders. Every night at 02:30, in Berlin, where the clock will change."
    )
    zone, first = ZoneInfo("Europe/Berlin"), datetime(2027, 3, 27, 2, 30)
    nightly = {"frequency": "daily", "time_zone": zone.key}
    begins = first.replace(tzinfo=zone).timestamp()
    his.save("reminders", "nightly", title="Deferasirox", remind_at=begins, **nightly)
    soon = his.now() + 1  # what is over as it is made is not told
    his.save("reminders", "now", title="Drink", remind_at=soon, time_zone=zone.key)
    his.sync()
    row = his.rows["reminders", "nightly"]
    stage.expect(row["next_occurrence"] == "2027-03-27T02:30", "it comes at another time")
    rule = of_reminder({**nightly, "remind_at": round(begins * 1000)})
    for each in islice(rule.between(0, 2**50), 3):
        shown = datetime.fromtimestamp(each.at_ms / 1000, zone)
        stage.say(f"   {shown:%d %B, %H:%M}, which is {each.at_ms // 1000} of Unix time")

    def came() -> bool:
        hers.sync()
        return hers.rows["reminders", "now"]["last_due"] is not None

    stage.wait(came, "the reminder")
    at = hers.rows["reminders", "now"]["last_occurrence"]
    hers.save("reminder_actions", "done", reminder_id="now", occurrence=at, action="done")
    hers.sync()
    stage.say("   One that is due now fired; Anna did it, and the other phones fall silent.")


def _found_again(stage: Stage, mother: _Person) -> None:
    stage.say(
        "\n8. Friday, before the doctor: Anna looks for the MRI, with a slip, and opens the report."
    )
    found = _asked(stage, "GET", "/api/v1/search?q=MRI+hart", mother)["entries"]
    stage.expect(found[0]["id"] == "mri", "the MRI was not found")
    days = "first_day=2026-01-01&last_day=2026-03-31"
    _, report = stage.ask("GET", f"/api/v1/report?{days}&language=ru", token=mother.token)
    stage.expect(report[:5] == b"%PDF-", "the report is no PDF")
    stage.say(f"   In Russian, {len(report) // 1000} kB: {stage.keep('report.pdf', report)}")


def _others(stage: Stage, granny: _Person, family: str) -> None:
    stage.say("\n9. The grandmother reads everything and changes nothing; strangers see nothing.")
    phone = stage.phone(granny.token, "granny-2")
    phone.sync()
    phone.save("transfusions", "monday", volume_ml=1)
    said = phone.sync()
    stage.expect(said["rejected"][0]["code"] == "not_allowed", "a viewer could write")
    stranger = _register(stage, "carl", scope_name="Others")
    path = f"/api/v1/timeline?scope={family}"
    status, _ = stage.ask("GET", path, token=stranger.token)
    stage.expect(status == 404, "a stranger was told that there is such a family")


def _register(stage: Stage, name: str, **more: str) -> _Person:
    body = {
        "email": f"{name}@example.org",
        "password": secrets.token_urlsafe(12),
        "name": name.title(),
        **more,
    }
    status, said = stage.ask("POST", "/api/v1/auth/register", body)
    stage.expect(status in (200, 201), f"{name} could not register: {said}")
    return _Person(name, str(said["access_token"]))


def _asked(stage: Stage, method: str, path: str, who: _Person, body: Any = None) -> Any:
    status, said = stage.ask(method, path, body, who.token)
    stage.expect(status in (200, 201), f"{method} {path} was answered {status}")
    return said
