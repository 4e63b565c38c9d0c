"""Every page × everybody × whose data: opened exactly as the page's right says, and no byte of others'.

New pages are covered by being declared; a page about a thing needs an example in `clinic.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared import wiring
from shared.console.page import HOME, Page
from shared.products.dermadetect.rights import ROLES
from shared.records.store import Query
from tests.console.browser_in_process import Browser, Form, Seen
from tests.console.clinic import OTHER, OWN, Clinic, names_of
from tests.security.test_wall import Log

#: Role and team of everybody; without a role: a member of nothing.
PEOPLE = (*((role, team) for team in (OWN, OTHER) for role in ROLES), ("", ""))

#: What a stranger must not change. What notes who asks, and how often, may: trail, throttles, sessions.
KEPT = (
    *(
        "patients",
        "cases",
        "diagnoses",
        "conflicts",
        "quarantine",
        "medgemma_queue",
        "files",
        "jobs",
    ),
    *("memberships", "invites", "devices", "accounts", "scopes", "hooks", "api_keys", "templates"),
)


@pytest.fixture
def log() -> Iterator[Log]:
    handler = Log()
    root = logging.getLogger("shared")
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


def about_things(page: Page) -> bool:
    return "{" in page.path


def of_others(seen: Seen, team: str, asked: str) -> list[str]:
    """What an answer tells of a team beyond what its request named."""
    names = asked.replace("?", "/").replace("&", "/").replace("=", "/").split("/")
    named = {each for each in names if team in each}
    found = []
    for text in names_of(seen, team):
        rest = text
        for each in sorted(named, key=len, reverse=True):
            rest = rest.replace(each, "")
        if team in rest:
            found.append(text)
    return found


def test_every_page_opens_for_whom_its_right_says(clinics: Clinic, log: Log) -> None:
    nobody = clinics.browser()
    browsers = {who: clinics.logged_in(*(who if who[0] else ("", OWN))) for who in PEOPLE}
    wrong: list[str] = []
    for page in clinics.frame.pages:
        path = clinics.example(page)
        seen = nobody.open(path)
        if not page.open and not seen.forms("log-in"):
            wrong.append(f"nobody opens {page.path}: {seen.status}")
        wrong += [f"nobody reads {page.path}: {text}" for text in of_others(seen, OWN, path)]
        for (role, team), browser in browsers.items():
            log.lines.clear()
            seen = browser.ask(path)
            may = page.right is None or bool(role and clinics.frame.may(role, page.right))
            who = f"{role or 'nobody'} of {team or 'nothing'}"
            if not page.open and (seen.status == 403) is may and page.right is not None:
                wrong.append(f"{who} at {page.path}: {seen.status}, may is {may}")
            if seen.status >= 500:
                wrong.append(f"{who} at {page.path}: {seen.status}")
            if team == OWN and may and page.right is not None and seen.status not in (200, 303):
                wrong.append(f"{who} at {page.path} of their own: {seen.status} {seen.text[:300]}")
            if team != OWN:
                wrong += [f"{who} reads {page.path}: {text}" for text in of_others(seen, OWN, path)]
                if about_things(page) and page.right is not None and seen.status == 200:
                    wrong.append(f"{who} opens {page.path} of {OWN}")
            for line in log.lines:
                texts = [
                    f"{each} {word}" for each in (OWN, OTHER) for word in ("patient", "note", "di")
                ]
                wrong += [f"log of {page.path}: {line}" for text in texts if text in line]
    assert not wrong, "\n".join(wrong)


def kept(team: str) -> dict[str, Any]:
    """What is stored about a team."""
    return {
        f"{name}/{entry.key.id}": entry.fields
        for name in KEPT
        for entry in wiring.store().query(Query(name))
        if team in str(entry.key.id) + str(entry.fields)
    }


def filled(form: Form, token: str) -> dict[str, str]:
    """A form as somebody would send it: what is empty gets something."""
    some = {name: form.fields.get(name) or "1" for name in form.names}
    return {**some, "token": token, "act": form.act}


def forms_of(clinic: Clinic) -> Iterator[tuple[str, Form]]:
    """Every form that people of the team see on any page, each once, but for those of everybody."""
    known = set()
    for role in ROLES:
        browser = clinic.logged_in(role)
        for page in clinic.frame.pages:
            if page.open:
                continue
            path = clinic.example(page)
            seen = browser.ask(path)
            if seen.status != 200 or seen.response.mimetype != "text/html":
                continue
            for form in seen.forms():
                where = form.action or path
                if where in (f"{HOME}/language", f"{HOME}/logout"):
                    continue
                fields = tuple(sorted((n, v) for n, v in form.fields.items() if n != "token"))
                if (where, fields) not in known:
                    known.add((where, fields))
                    yield where, form


def test_no_form_of_a_team_does_anything_for_somebody_elses(clinic: Clinic) -> None:
    forms = list(forms_of(clinic))
    others = [clinic.logged_in(role, OTHER) for role in ROLES] + [clinic.logged_in("")]
    before = kept(OWN)
    assert len(before) > 20
    wrong: list[str] = []
    for browser in others:
        token = _token(browser)
        for where, form in forms:
            sent = filled(form, token)
            seen = browser.post(where, sent)
            asked = where + "/" + "/".join(sent.values())
            if seen.status >= 500:
                wrong.append(f"{where} {form.act}: {seen.status}")
            wrong += [f"{where} {form.act} tells {text}" for text in of_others(seen, OWN, asked)]
            if not browser.cookie("__Host-session"):
                wrong.append(f"{where} {form.act} logs out")
            after = kept(OWN)
            for name in before.keys() | after.keys():
                if before.get(name) != after.get(name) and OTHER not in name:
                    wrong.append(f"{where} {form.act} {sent} changes {name}: {after.get(name)}")
            before = after
    assert not wrong, "\n".join(wrong[:20])


def test_no_form_of_a_page_does_anything_for_a_lesser_role(clinic: Clinic) -> None:
    """A page's own acts are refused where the page is, whatever they would do."""
    browsers = {role: clinic.logged_in(role) for role in ROLES}
    for page in clinic.frame.pages:
        for role, browser in browsers.items():
            if page.right is None or clinic.frame.may(role, page.right):
                continue
            for act in page.acts:
                sent = {"act": act, "token": _token(browser)}
                seen = browser.post(clinic.example(page), sent)
                assert seen.status == 403, (role, page.path, act)


def _token(browser: Browser) -> str:
    if browser.seen is None or not browser.seen.forms("choose"):
        browser.open()
    assert browser.seen is not None
    return browser.seen.form("choose").fields["token"]
