"""Admins' pages: accounts of their own teams, stuck jobs, the trail, settings; nothing of other teams."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared import wiring
from shared.access import audit
from shared.access.audit import COLLECTION, Sealer
from shared.console.page import HOME
from shared.jobs import job as jobs
from shared.records.store import Query, delete
from tests.console.browser_in_process import Browser, Seen
from tests.console.clinic import OTHER, OWN, PASSWORD, Clinic

USERS, JOBS = f"{HOME}/users", f"{HOME}/jobs"
AUDIT, SERVICE = f"{HOME}/audit", f"{HOME}/service"


def admin(clinic: Clinic) -> Browser:
    return clinic.logged_in("admin")


def page_of(role: str, team: str = OWN) -> str:
    return f"{USERS}/{team}-{role}"


def do(browser: Browser, role: str, deed: str, password: str = PASSWORD) -> Seen:
    browser.open(page_of(role))
    return browser.act("do", deed=deed, password=password)


# --- accounts


def test_an_admin_sees_the_accounts_of_the_team_and_finds_one(clinic: Clinic) -> None:
    browser = admin(clinic)
    seen = browser.open(USERS)
    assert f"{OWN}-doctor@example.org" in seen.text
    assert OTHER not in seen.text
    seen = browser.open(f"{USERS}?search=Chw")
    assert f"{OWN}-chw@example.org" in seen.text
    assert f"{OWN}-doctor@" not in seen.text
    assert "Nobody fits" in browser.open(f"{USERS}?search=nobody-is-called-so").text
    assert browser.open(f"{USERS}?scope={OTHER}").status == 404


def test_an_account_is_closed_and_opened_again(clinic: Clinic) -> None:
    browser, theirs = admin(clinic), clinic.logged_in("doctor")
    assert do(browser, "doctor", "disable", "wrong").status == 401
    assert theirs.open(f"{HOME}/account").forms("profile")
    assert "The account is closed." in do(browser, "doctor", "disable").text
    assert theirs.open(f"{HOME}/account").forms("log-in")
    assert clinic.browser().log_in(clinic.person("doctor").email, PASSWORD).status == 401
    assert "open again" in do(browser, "doctor", "enable").text
    assert clinic.logged_in("doctor").cookie("__Host-session")


def test_another_password_is_shown_once_and_works(clinic: Clinic) -> None:
    browser, theirs = admin(clinic), clinic.logged_in("doctor")
    seen = do(browser, "doctor", "reset")
    [made] = re.findall(r'class="figure"><code dir="ltr">([\w-]{16})</code>', seen.html)
    assert made not in browser.open(page_of("doctor")).html
    assert theirs.open(f"{HOME}/account").forms("log-in")
    other = clinic.browser()
    other.log_in(clinic.person("doctor").email, made)
    assert other.cookie("__Host-session")
    stored = [str(each.fields) for each in wiring.store().query(Query("accounts"))]
    assert made not in str(stored)


def test_sessions_of_somebody_are_ended(clinic: Clinic) -> None:
    browser, theirs = admin(clinic), clinic.logged_in("doctor")
    assert "are over" in do(browser, "doctor", "end-sessions").text
    assert theirs.open(f"{HOME}/account").forms("log-in")
    assert clinic.logged_in("doctor").cookie("__Host-session")


def test_what_an_admin_did_stands_in_the_trail_of_the_team(clinic: Clinic) -> None:
    browser = admin(clinic)
    do(browser, "doctor", "disable")
    [entry] = wiring.store().query(
        Query(COLLECTION, where=(("scope_id", "==", OWN), ("sealed", "==", False)))
    ) and [
        each
        for each in wiring.store().query(Query(COLLECTION))
        if each.fields["action"] == "disable-user"
    ]
    assert entry.fields["scope_id"] == OWN
    assert entry.fields["user_id"] == f"{OWN}-admin"
    assert entry.fields["ids"] == {"accounts": [f"{OWN}-doctor"]}
    assert "closed somebody" in browser.open(AUDIT).text


def test_the_trail_says_everything_in_words(clinic: Clinic) -> None:
    """A reader of the trail met "deleted" and "rotate-keys" where others had a sentence."""
    assert set(audit.RIGHTS) - set(clinic.frame.actions) == set()
    for role in ("doctor", "supervisor", "admin"):
        browser = clinic.logged_in(role)
        for page in clinic.frame.pages:
            browser.ask(clinic.example(page))
    said = {each.fields["action"] for each in wiring.store().query(Query(COLLECTION))}
    assert len(said) > 8
    assert said - set(clinic.frame.actions) == set()


def test_sessions_of_somebody_are_shown_to_who_may_end_them(clinic: Clinic) -> None:
    clinic.logged_in("doctor")
    seen = admin(clinic).open(page_of("doctor"))
    assert "Where this person is logged in" in seen.text
    assert "a browser" in seen.text
    assert "are over" in do(admin(clinic), "doctor", "end-sessions").text
    assert "Nowhere." in admin(clinic).open(page_of("doctor")).text
    # of somebody who is in another team, too, devices are nobody's business here
    clinic.logged_in("doctor")
    clinic.api.join(f"{OWN}-doctor", OTHER, "chw")
    seen = admin(clinic).open(page_of("doctor"))
    assert "a browser" not in seen.text
    assert clinic.logged_in("supervisor").open(page_of("doctor")).status == 403


def test_nobody_is_changed_who_is_in_another_team_too(clinic: Clinic) -> None:
    clinic.api.join(f"{OWN}-doctor", OTHER, "chw")
    for team in (OWN, OTHER):
        browser = clinic.logged_in("admin", team)
        seen = browser.open(page_of("doctor"))
        assert "only an operator" in seen.text
        assert not seen.forms("do")
        token = seen.form("choose").fields["token"]
        for deed in ("disable", "enable", "reset", "end-sessions"):
            said = {"act": "do", "token": token, "deed": deed, "password": PASSWORD}
            assert browser.post(page_of("doctor"), said).status == 403
    assert clinic.logged_in("doctor").cookie("__Host-session")
    # and no page tells one team which other one it is
    assert OTHER not in admin(clinic).open(page_of("doctor")).text


def test_an_admin_of_both_teams_may(clinic: Clinic) -> None:
    clinic.api.join(f"{OWN}-doctor", OTHER, "chw")
    clinic.api.join(f"{OWN}-admin", OTHER, "admin")
    assert "The account is closed." in do(admin(clinic), "doctor", "disable").text


def test_nobody_closes_their_own_account_here(clinic: Clinic) -> None:
    browser = admin(clinic)
    seen = browser.open(page_of("admin"))
    assert "your own account" in seen.text
    assert not seen.forms("do")


def test_an_account_of_another_team_is_not_there(clinic: Clinic) -> None:
    browser = admin(clinic)
    assert browser.open(page_of("doctor", OTHER)).status == 404
    assert browser.open(f"{USERS}/nobody-at-all").status == 404
    assert browser.open(f"{USERS}/a b").status in (400, 404)


def test_a_deed_that_is_none_is_refused(clinic: Clinic) -> None:
    browser = admin(clinic)
    browser.open(page_of("doctor"))
    assert browser.act("do", deed="../../delete", password=PASSWORD).status == 400
    assert browser.act("do", password=PASSWORD).status == 400


def test_an_admin_who_left_meanwhile_changes_nothing(clinic: Clinic) -> None:
    browser = admin(clinic)
    browser.open(page_of("doctor"))
    from shared.access import membership

    membership.revoke(wiring.store(), f"{OWN}-admin", OWN, wiring.clock_ms())
    assert browser.act("do", deed="disable", password=PASSWORD).status == 403
    assert clinic.logged_in("doctor").cookie("__Host-session")


# --- jobs


def stuck(team: str, state: str, name: str = "stuck", **more: Any) -> str:
    made = jobs.create(
        f"{team}-{name}", "analyse", "cases", f"{team}-red", team, wiring.clock_ms(), state=state
    )
    ended = {"due_at": None} if state in jobs.FINAL else {}
    history = [{"state": state, "at": wiring.clock_ms(), "fault": "model_busy"}]
    fields = {**made.fields, **ended, "history": history, **more}
    wiring.store().commit([made._replace(fields=fields)])
    return made.key.id


def test_a_stuck_job_is_shown_with_why_and_queued_again(clinic: Clinic) -> None:
    browser = admin(clinic)
    assert "Everything runs." in browser.open(JOBS).text
    name = stuck(OWN, jobs.PARKED)
    stuck(OTHER, jobs.FAILED)
    seen = browser.open(JOBS)
    assert "model_busy" in seen.text
    assert OTHER not in seen.text
    seen = browser.act("redrive")
    assert "queued again" in seen.text
    key = jobs.key(name)
    assert wiring.store().read([key]).documents[key].fields["state"] == jobs.QUEUED
    assert "queued a job again" in browser.open(AUDIT).text


def test_a_job_that_waits_for_long_is_late(clinic: Clinic) -> None:
    old = wiring.clock_ms() - 2 * 3_600_000
    stuck(OWN, jobs.QUEUED, "fresh")
    stuck(OWN, jobs.QUEUED, "old", created_at=old)
    seen = admin(clinic).open(JOBS)
    assert seen.text.count("Late") == 1
    assert not seen.forms("redrive")


@pytest.mark.parametrize(("team", "status"), [(OTHER, 404), ("nobody", 404)])
def test_a_job_of_another_team_is_not_there(clinic: Clinic, team: str, status: int) -> None:
    browser = admin(clinic)
    name = stuck(team, jobs.FAILED) if team == OTHER else "nobody-stuck"
    stuck(OWN, jobs.FAILED)
    seen = browser.open(JOBS)
    form = seen.form("redrive").fields
    assert browser.post(JOBS, {**form, "id": name}).status == status
    if team == OTHER:
        key = jobs.key(name)
        assert wiring.store().read([key]).documents[key].fields["state"] == jobs.FAILED


# --- the trail


def test_the_trail_is_filtered_by_who_what_and_day(clinic: Clinic) -> None:
    browser = admin(clinic)
    seen = browser.open(f"{AUDIT}?user={OWN}-chw&action=push")
    assert "sent records from a phone" in seen.text
    assert rows(seen) == rows_with(seen, f"{OWN}-chw")
    assert "Nothing fits" in browser.open(f"{AUDIT}?day=2001-01-01").text
    today = wiring.clock_ms() // 86_400_000 * 86_400
    import time

    day = time.strftime("%Y-%m-%d", time.gmtime(today))
    assert rows(browser.open(f"{AUDIT}?day={day}"))
    assert browser.open(f"{AUDIT}?day=yesterday").status == 400
    assert browser.open(f"{AUDIT}?scope={OTHER}").status == 404


def rows(seen: Seen) -> list[str]:
    return re.findall(r"<tr>\n<td>.*?</tr>", seen.html, re.S)


def rows_with(seen: Seen, word: str) -> list[str]:
    return [row for row in rows(seen) if word in row]


def test_a_long_trail_has_pages(clinic: Clinic) -> None:
    from shared.access import audit
    from shared.access.membership import Caller

    for number in range(60):
        who = Caller(f"{OWN}-n{number}", "chw", "phone")
        entry = audit.right(who, "join", number + 1, OWN)
        wiring.store().commit([entry])
    browser = admin(clinic)
    seen, names = browser.open(AUDIT), set()
    for _ in range(5):
        names |= set(re.findall(rf"{OWN}-n\d+", seen.html))
        more = [each for each in seen.parsed.links if "page=" in each]
        if not more:
            break
        seen = browser.open(more[0])
    assert len(names) == 60


def test_a_whole_trail_is_called_whole_and_a_cut_one_is_not(clinic: Clinic) -> None:
    browser = admin(clinic)
    Sealer(wiring.store()).seal(wiring.clock_ms())
    browser.open(AUDIT)
    seen = browser.act("check")
    assert "The trail is whole" in seen.text
    [first] = wiring.store().query(
        Query(
            COLLECTION,
            where=(("scope_id", "==", OWN), ("number", ">", 0)),
            order=(("number", "asc"),),
            limit=1,
        )
    )
    wiring.store().commit([delete(first.key)])
    seen = browser.act("check")
    assert "The trail is damaged" in seen.text
    assert "missing" in seen.text


# --- settings


def test_settings_show_what_concerns_teams_and_no_secret(clinic: Clinic) -> None:
    seen = admin(clinic).open(SERVICE)
    assert "RETENTION_DAYS" in seen.text
    assert "180" in seen.text
    assert "PAGE_SECRET" in seen.text
    for name in ("DATA_FOLDER", "HOOK_NETWORKS", "GOOGLE_CLOUD_PROJECT", "TRUSTED_PROXIES"):
        assert name not in seen.text
    assert str(wiring.settings().data_folder) not in seen.html
    for secret in (wiring.page_secret(), wiring.accounts_secret()):
        assert secret.decode() not in seen.html


def test_keys_are_shown_since_when_they_sign_and_nothing_private(clinic: Clinic) -> None:
    wiring.signing_keys().current()
    ring, _ = wiring.key_store().load()
    seen = admin(clinic).open(SERVICE)
    for key in ring.keys:
        assert key.kid in seen.text
        assert key.pem.splitlines()[1] not in seen.html
