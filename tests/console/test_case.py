"""A case on one page: what a doctor sees, what she does with it, and that nothing she typed is lost."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from shared import wiring
from shared.console.page import HOME
from shared.files.file import REFUSALS
from shared.files.quality import REASONS
from shared.jobs.job import STATES
from shared.products.dermadetect import emergency
from shared.products.dermadetect.analysis.vocabulary import (
    DRAFT_STATUSES,
    NEXT_STEPS,
    RED_FLAGS,
    STATUSES,
    URGENCIES,
)
from shared.products.dermadetect.pages import case_words
from shared.products.dermadetect.pages.case_answers import form_of
from shared.products.dermadetect.signal import RANKS
from shared.records.store import Key, patch
from tests.console.browser_in_process import Browser, Seen
from tests.console.clinic import OTHER, OWN, Clinic

CASE = f"{OWN}-red"
PAGE = f"{HOME}/cases/{CASE}"
SAID = {"diagnosis_text": "Tinea corporis", "prescription": "Clotrimazole"}
AGREES = {**SAID, "verdict": "agree"}


def sign(browser: Browser, **fields: str) -> Seen:
    """Sign what the open page shows."""
    return browser.act("sign", **{**AGREES, **fields})


def stored(table: str, name: str) -> dict[str, Any]:
    key = Key(table, name)
    return dict(wiring.store().read([key]).documents[key].fields)


def review(case: str = CASE) -> dict[str, Any]:
    return stored("reviews", case)


def answers(clinic: Clinic, **said: Any) -> None:
    """The health worker corrects the case."""
    phone = clinic.phone(f"{OWN}-chw")
    phone.sync()
    row = phone.row("cases", CASE)
    assert row is not None
    phone.save("cases", CASE, triage_data={**row["triage_data"], **said})
    assert phone.sync()["accepted"]["cases"] == [CASE]


def colleague(clinic: Clinic) -> Browser:
    """Another doctor of the team."""
    administration = wiring.accounts().administration
    email = f"{OWN}-second@example.org"
    administration.create(
        email, "a rather long pass phrase", wiring.clock_ms(), user_id="doc2", name="Dr. Two"
    )
    clinic.api.join("doc2", OWN, "doctor")
    browser = clinic.browser()
    browser.log_in(email, "a rather long pass phrase")
    return browser


# --- what is seen


def test_a_doctor_sees_all_that_is_known(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    seen = doctor.open(PAGE)
    assert seen.status == 200
    for words in (
        f"{OWN} patient 1",
        "21 years, female",
        f"{OWN} village",
        "Waits for a diagnosis",
        "⚑ Bleeding",
        "Duration days 60",
        f"{OWN} diagnosis",  # of the patient's other case
        "Same site",
        f"{OWN}-chw N.",
        "TEST ANSWER WITHOUT ANY CLINICAL VALUE",
        "It saw 1 photo: 1",
        "Urgent: within 72 hours",
        "The analysis is done.",
        "Read by the AI",
    ):
        assert words in seen.text, words
    assert len(seen.response.get_data()) < 60_000


def test_photos_are_found_by_links_of_this_moment(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    seen = doctor.open(PAGE)
    sources = [said["src"] for tag, said in seen.parsed.tags if tag == "img"]
    (file,) = {str(src).split("/")[3] for src in sources if f"{HOME}/photos/" in str(src)} - {
        clinic.photos[OWN][1]
    }
    for variant in ("small", "large", "original"):
        led = doctor.ask(f"{HOME}/photos/{file}/{variant}").response
        assert (led.status_code, led.headers["Location"][:20]) == (303, "/api/v1/files/links/")
    for path, status in ((f"{file}/huge", 404), ("0" * 32 + "/small", 404), ("x/small", 404)):
        assert doctor.ask(f"{HOME}/photos/{path}").status == status
    # of another team nothing is to be had
    assert clinic.logged_in("doctor", OTHER).ask(f"{HOME}/photos/{file}/small").status == 404
    assert clinic.logged_in("chw").ask(f"{HOME}/photos/{file}/small").status == 403


def test_without_script_an_earlier_photo_is_put_beside(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    links = [link for link in doctor.open(PAGE).parsed.links if "beside=" in link]
    seen = doctor.open(links[0].partition("#")[0])
    shown = [said for tag, said in seen.parsed.tags if "data-viewer" in said]
    assert [each["data-viewer"] for each in shown] == ["current", "beside"]
    # what is no photo of this patient is not
    other = clinic.photos[OTHER][0]
    seen = doctor.open(f"{PAGE}?beside={other}&photo={other}")
    assert other not in [said.get("src", "") for tag, said in seen.parsed.tags if tag == "img"]
    assert len([1 for _, said in seen.parsed.tags if "data-viewer" in said]) == 1


def test_photos_that_are_missing_or_refused_are_named(clinic: Clinic) -> None:
    phone = clinic.phone(f"{OWN}-chw")
    phone.sync()
    phone.save("cases", CASE, image_keys=[f"{CASE}.jpg", "late-1", "late-2"])
    from infra.local import photos

    data = b"\xff\xd8\xff" + b"x" * 2000
    phone.photos = [photos.announced("cases", CASE, "broken", data)]
    phone.sync()
    ticket = phone.tickets["broken"]
    clinic.api.ask(
        "PUT",
        ticket["upload"]["url"],
        data,
        token=clinic.token(f"{OWN}-chw"),
        headers={
            "Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}",
            "Content-Type": "image/jpeg",
        },
    )
    seen = clinic.logged_in("doctor").open(PAGE)
    assert "2 photos are still on their way." in seen.text
    assert re.search(r"Refused photos broken ?: It is", seen.text), seen.text


def test_conflicts_stand_in_two_columns(clinic: Clinic) -> None:
    seen = clinic.logged_in("doctor").open(f"{HOME}/cases/{OWN}-green")
    assert "Values that lost" in seen.text
    assert re.search(r"What Won Lost Answers \{.*\"pain\":7.*\} \{.*\"pain\":2.*\}", seen.text)


# --- signing


def test_a_signature_reaches_the_phone_and_is_signed_once(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    page = doctor.open(PAGE)
    seen = sign(doctor)
    assert "Signed. The phones get it with their next sync." in seen.text
    assert (review()["verdict"], review()["signed_by"]) == ("agree", f"{OWN}-doctor")
    # the same form again, as by a double click or a reload
    again = doctor.act("sign", page, **AGREES)
    assert again.status == 200
    assert [step["step"] for step in review()["history"]] == ["signed"]
    phone = clinic.phone(f"{OWN}-chw")
    phone.sync()
    texts = {
        row["diagnosis_text"] for (table, _), row in phone.rows.items() if table == "diagnoses"
    }
    assert "Tinea corporis" in texts
    # the key of one page with another text is refused, and the text is kept with another key
    refused = doctor.act("sign", page, **{**AGREES, "diagnosis_text": "Psoriasis"})
    form = refused.form("sign")
    assert (refused.status, form.fields["diagnosis_text"]) == (409, "Psoriasis")
    assert form.fields["key"] != page.form("sign").fields["key"]


def test_a_case_that_changed_is_shown_with_what_changed_beside_what_was_typed(
    clinic: Clinic,
) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(PAGE)
    answers(clinic, fever="39.5", swelling="some")
    seen = sign(doctor, verdict="edit", verdict_text="Deeper than that")
    # then nothing is signed, what is new is named and marked, what was typed is there
    assert seen.status == 412
    assert review_or_nothing() is None
    assert "This changed since you looked" in seen.text
    assert "2 answers are new or others" in seen.text
    assert re.search(r"Fever 39\.5 ⚑ Fever New", seen.text)
    fields = seen.form("sign").fields
    assert {name: fields[name] for name in (*SAID, "verdict", "verdict_text")} == {
        **SAID,
        "verdict": "edit",
        "verdict_text": "Deeper than that",
    }
    # and she signs knowingly
    assert "Signed." in doctor.act("sign").text
    assert review()["verdict_text"] == "Deeper than that"


def review_or_nothing(case: str = CASE) -> dict[str, Any] | None:
    return (
        None
        if Key("reviews", case) not in wiring.store().read([Key("reviews", case)]).documents
        else review(case)
    )


def test_who_was_slower_sees_the_other_diagnosis_and_may_amend_it(clinic: Clinic) -> None:
    doctor, other = clinic.logged_in("doctor"), colleague(clinic)
    doctor.open(PAGE)
    other.open(PAGE)
    sign(other, diagnosis_text="Psoriasis of the foot")
    seen = sign(doctor)
    assert seen.status in (409, 412)
    assert "Psoriasis of the foot" in seen.text
    assert "Another diagnosis counts now" in seen.text
    fields = seen.form("sign").fields
    assert fields["diagnosis_text"] == "Tinea corporis"
    assert fields["amends"] == review()["diagnosis_id"]
    assert "Signed." in doctor.act("sign").text
    assert [step["step"] for step in review()["history"]] == ["signed", "amended"]


def test_a_diagnosis_is_amended_from_its_own_words(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    seen = doctor.open(f"{HOME}/cases/{OWN}-signed")
    fields = seen.form("sign").fields
    assert fields["diagnosis_text"] == f"{OWN} diagnosis"
    seen = doctor.act("sign", diagnosis_text="Scabies", verdict="reject", verdict_text="Burrows")
    assert "Rejects the AI : Burrows" in seen.text.replace(": Burrows", " : Burrows")
    assert "1 earlier version" in seen.text


@pytest.mark.parametrize("verdict", ["edit", "reject"])
def test_a_verdict_against_the_ai_needs_its_reason(clinic: Clinic, verdict: str) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(PAGE)
    seen = sign(doctor, verdict=verdict, verdict_text="  ")
    assert seen.status == 400
    assert "Say why you do not agree with the AI." in seen.text
    assert seen.form("sign").fields["diagnosis_text"] == "Tinea corporis"
    assert review_or_nothing() is None


def test_what_is_missing_or_made_up_is_refused_and_the_text_is_kept(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(PAGE)
    for wrong in (
        {"diagnosis_text": " "},
        {"diagnosis_text": "x" * 10_001},
        {"verdict": "perhaps"},
        {"version": ""},
        {"version": "1"},
        {"version": '"\r\nX: y'},
        {"key": "a b"},
        {"key": ""},
        {"amends": "d0"},
        {"seen": "%%%"},
        {"seen": "bm90IGpzb24="},
    ):
        seen = sign(doctor, **{"prescription": "kept", **wrong})
        if "seen" in wrong:  # only words are made of it
            assert seen.status == 412 or "Signed." in seen.text
            break
        assert 400 <= seen.status < 500, wrong
        assert seen.form("sign").fields["prescription"] == "kept"


# --- taken back


def test_a_signature_is_taken_back_and_stands_in_the_form_again(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(PAGE)
    signed = sign(doctor)
    seen = doctor.act("take-back")
    assert "The signature is taken back." in seen.text
    assert "Waits for a diagnosis" in seen.text
    assert {name: seen.form("sign").fields[name] for name in AGREES} == AGREES
    # sent twice it is taken back once
    assert doctor.act("take-back", signed).status == 200
    assert [step["step"] for step in review()["history"]] == ["signed", "withdrawn"]
    # and she can sign from this page
    assert "Signed." in doctor.act("sign", seen).text


def test_too_late_or_by_another_nothing_is_taken_back(clinic: Clinic) -> None:
    doctor, other = clinic.logged_in("doctor"), colleague(clinic)
    doctor.open(PAGE)
    signed = sign(doctor)
    seen = other.open(PAGE)
    assert not seen.forms("take-back")
    fields = {**signed.form("take-back").fields, "token": seen.form("sign").fields["token"]}
    assert other.post(PAGE, fields).status == 403
    # a minute later
    earlier = review()["signed_at"] - 60_000
    wiring.store().commit([patch(Key("reviews", CASE), {"signed_at": earlier}, None)])
    seen = doctor.act("take-back", signed)
    assert seen.status == 409
    assert "It is too late to take this diagnosis back. Amend it." in seen.text
    assert review()["diagnosis_id"] == signed.form("take-back").fields["diagnosis_id"]


# --- who has it


def test_a_case_is_claimed_released_and_given(clinic: Clinic) -> None:
    doctor, boss = clinic.logged_in("doctor"), clinic.logged_in("supervisor")
    doctor.open(PAGE)
    assert "In hand: you" in doctor.act("claim").text
    assert "Keep it longer" in doctor.act("claim").text
    assert "The case is free for others." in doctor.act("release").text
    # a supervisor gives it to a doctor and signs nothing himself
    seen = boss.open(PAGE)
    assert not seen.forms("sign")
    assert seen.forms("assign")
    boss.act("assign", doctor_id=f"{OWN}-doctor")
    assert review()["claimed_by"] == f"{OWN}-doctor"
    assert boss.act("assign", boss.open(PAGE), doctor_id=f"{OTHER}-doctor").status == 400
    # another doctor is told
    other = colleague(clinic)
    seen = other.open(PAGE)
    assert "Another doctor has this case in hand" in seen.text
    refused = sign(other)
    assert refused.status == 409
    assert refused.form("sign").fields["diagnosis_text"] == "Tinea corporis"


def test_what_changed_since_it_was_signed_is_named_until_somebody_looked(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(PAGE)
    sign(doctor)
    answers(clinic, fever="39.5")
    seen = doctor.open(PAGE)
    assert "This changed since it was signed" in seen.text
    assert re.search(r"since it was signed .*Answers", seen.text)
    # with a word it leaves the list; a stale page does not
    answers(clinic, fever="40")
    assert doctor.act("close", seen, word="seen").status == 412
    doctor.open(PAGE)
    assert "The case is off the list." in doctor.act("close", word="seen").text
    assert "_waits" not in {k for k, v in stored("cases", CASE).items() if v}


def test_a_deleted_case_is_closed(clinic: Clinic) -> None:
    phone = clinic.phone(f"{OWN}-chw")
    phone.sync()
    phone.delete("cases", CASE)
    phone.sync()
    doctor = clinic.logged_in("doctor")
    seen = doctor.open(PAGE)
    assert "This case was deleted while it waited" in seen.text
    assert not seen.forms("sign")
    assert "off the list" in doctor.act("close", word="registered twice").text
    assert doctor.open(PAGE).status == 404


# --- who may


def test_only_the_team_s_reviewers_see_a_case(clinic: Clinic) -> None:
    for role in ("chw", "member"):
        assert clinic.logged_in(role).open(PAGE).status == 403
    stranger = clinic.logged_in("doctor", OTHER)
    seen = stranger.open(PAGE)
    assert seen.status == 404
    assert OWN not in seen.html.replace(PAGE, "")
    # nor do its forms do anything
    own = stranger.open(f"{HOME}/cases/{OTHER}-red").form("sign").fields
    for act in ("sign", "claim", "release", "close", "take-back", "assign", "insert", "nothing"):
        fields = {
            "token": own["token"],
            "act": act,
            "word": "x",
            "doctor_id": "x",
            "diagnosis_id": "x",
        }
        assert stranger.post(PAGE, {**own, **fields}).status == 404
    for name in ("nobody", "__x__", "%2e%2e", "a%2Fb", "%00", "x" * 300):
        assert stranger.open(f"{HOME}/cases/{name}").status in (400, 404), name
    assert review_or_nothing() is None


# --- hostile texts

HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> ‮evil‬ 👩🏽‍⚕️ {{7*7}} {% raw %} %(x)s "
    + "W" * 600
)


def test_whatever_a_patient_is_called_the_page_holds(clinic: Clinic) -> None:
    phone = clinic.phone(f"{OWN}-chw")
    phone.sync()
    deep: Any = HOSTILE
    for _ in range(6):
        deep = {HOSTILE[:60]: [deep, {"answer": HOSTILE}]}
    about = {
        "name": HOSTILE,
        "age": HOSTILE,
        "sex": HOSTILE,
        "village": HOSTILE,
        HOSTILE[:200]: HOSTILE,
    }
    phone.save("patients", "hostile", demographics=about)
    phone.save(
        "cases",
        "hostile",
        patient_id="hostile",
        risk_level=HOSTILE,
        triage_data={
            HOSTILE[:150]: HOSTILE,
            "bleeding": "qwe blub",
            "site": HOSTILE,
            "group": deep,
            "none": None,
            "empty": [],
            "many": {f"q{number}": number for number in range(500)},
        },
        image_keys=[],
    )
    answer = phone.sync()
    assert answer["accepted"]["cases"] == ["hostile"], answer["rejected"]
    clinic.api.run_jobs()
    doctor = clinic.logged_in("doctor")
    where = f"{HOME}/cases/hostile"
    seen = doctor.open(where)
    assert seen.status == 200
    assert "Look: this was not understood" in seen.text
    assert "There is more than is shown here." in seen.text
    sign(doctor, diagnosis_text=HOSTILE, prescription=HOSTILE, verdict="edit", verdict_text=HOSTILE)
    for page in (seen, doctor.open(where)):
        harmless(page)
        assert "{{7*7}}" in page.text
    doctor.open(f"{HOME}/texts")
    harmless(doctor.act("save", name=HOSTILE[:80], text=HOSTILE))


def harmless(page: Seen) -> None:
    """Nothing on a page runs but the console's own files."""
    for tag, said in page.parsed.tags:
        assert tag not in ("iframe", "object", "embed", "style")
        if tag == "script":
            assert str(said["src"]).startswith(f"{HOME}/static/")
        for name in said:
            assert not name.startswith("on"), (tag, name)
            assert name != "style"
        if tag == "img":
            assert str(said["src"]).startswith(HOME)


# --- texts of her own


def test_texts_are_kept_changed_inserted_and_removed(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(f"{HOME}/texts")
    seen = doctor.act("save", name="Ringworm", text="Cream, twice a day.\nFour weeks.")
    assert "The text is kept." in seen.text
    (link,) = [link for link in seen.parsed.links if "texts?id=" in link]
    doctor.open(link)
    seen = doctor.act("save", text="Cream, once a day.")
    assert "Cream, once a day." in seen.text
    # inserted without script: what was typed stays
    page = doctor.open(PAGE)
    fields = page.form("sign").fields | {"diagnosis_text": "Tinea.", "prescription": "None"}
    saved = next(
        str(said["value"])
        for tag, said in page.parsed.tags
        if tag == "option" and "data-text" in said
    )
    seen = doctor.post(PAGE, fields | {"act": "insert", "saved": saved})
    kept = seen.form("sign").fields
    assert (kept["diagnosis_text"], kept["prescription"]) == ("Tinea.\nCream, once a day.", "None")
    # nobody else has it
    other = colleague(clinic)
    assert "Ringworm" not in other.open(f"{HOME}/texts").text
    assert "Ringworm" not in other.open(PAGE).text
    doctor.open(f"{HOME}/texts")
    assert "You keep no texts yet." in doctor.act("remove").text


def test_a_text_that_cannot_be_kept_stays_in_the_form(clinic: Clinic) -> None:
    doctor = clinic.logged_in("doctor")
    doctor.open(f"{HOME}/texts")
    seen = doctor.act("save", name="n" * 81, text="typed")
    assert seen.status == 400
    assert seen.form("save").fields["text"] == "typed"
    assert clinic.logged_in("supervisor").open(f"{HOME}/texts").status == 403


# --- words


def test_every_code_of_a_case_has_words() -> None:
    assert set(case_words.FLAGS) == set(RED_FLAGS)
    assert set(case_words.RISKS) == set(RANKS)
    assert set(case_words.READINGS) == {*STATUSES, *DRAFT_STATUSES}
    assert set(case_words.URGENCIES) == set(URGENCIES)
    assert set(case_words.STEPS) == set(NEXT_STEPS)
    assert set(case_words.JOBS) == set(STATES)
    assert set(case_words.RETAKE) == set(REASONS)
    assert set(case_words.REFUSED_PHOTOS) == set(REFUSALS)
    together = {row.why for row in emergency.ROWS if len(row.flags) > 1}
    assert together <= set(case_words.EMERGENCIES)


#: A form → its groups as they are shown: title, whether it is ours, labels.
GROUPED: list[tuple[dict[str, Any], list[tuple[str, bool, list[str]]]]] = [
    # flat: what may be dangerous first, of that what is flagged
    (
        {"bleeding": "no", "duration_days": 9, "fever": "yes", "name_of_herb": "neem", "site": "hand"},
        [
            ("Signs of danger", True, ["Fever", "Bleeding"]),
            ("The skin problem", True, ["Duration days", "Site"]),
            ("Other answers", True, ["Name of herb"]),
        ],
    ),
    # groups in keys: ODK and KoboToolbox, REDCap
    ({"signs/fever": "yes", "signs/bleeding": "no"}, [("Signs", False, ["Fever", "Bleeding"])]),
    ({"symptoms___fever": "1", "note": "x"}, [
        ("Other answers", True, ["Note"]), ("Symptoms", False, ["Fever"])]),
    # groups in groups stay as the form has them
    ({"danger": {"fever": "yes", "rash": "no"}}, [("Danger", False, ["Fever", "Rash"])]),
    ({"/": 1, "___": 2, "": 3}, [("Other answers", True, ["/", "", ""])]),
    ({}, []),
]  # fmt: skip


@pytest.mark.parametrize(("form", "groups"), GROUPED)
def test_answers_are_grouped(
    form: dict[str, Any], groups: list[tuple[str, bool, list[str]]]
) -> None:
    found = form_of(form, {"flags": ["fever"], "look": []}, date(2026, 3, 1)).groups
    assert [(each.title, each.ours, [a.label for a in each.answers]) for each in found] == groups
