"""A session ends while somebody types: their words are not lost (the complaint of ten other consoles).

Cofoundry #424, BroadleafCommerce #356, openmediavault #1339, humhub #7467, anchor-cms #643, pagekit #508,
grav-plugin-admin #161, enhavo #80, magento2 #5557, webERP #227.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared import wiring
from shared.console.page import HOME
from tests.console.browser_in_process import Browser, Seen
from tests.console.clinic import PASSWORD, Clinic
from tests.console.test_case import CASE, PAGE, stored

SAID = {
    "diagnosis_text": "Tinea corporis <b>& more</b> \N{RIGHT-TO-LEFT OVERRIDE}x",
    "prescription": "Clotrimazole\nfor two weeks",
    "verdict": "agree",
}


@dataclass
class Clock:
    now_ms: int

    def __call__(self) -> int:
        return self.now_ms


def too_late(clinic: Clinic) -> tuple[Browser, Seen]:
    """A doctor signs what took her an hour to write."""
    clock = Clock(wiring.clock_ms())
    browser = clinic.logged_in("doctor", clock_ms=clock)
    browser.open(PAGE)
    clock.now_ms += 3_600_000
    return browser, browser.act("sign", **SAID)


def test_what_was_typed_is_there_after_the_log_in(clinic: Clinic) -> None:
    browser, seen = too_late(clinic)
    assert (seen.status, stored("cases", CASE)["status"]) == (401, "PENDING_DIAGNOSIS")
    assert "You were logged out" in seen.text
    assert "What you typed is kept" in seen.text
    email = clinic.person("doctor").email
    seen = browser.act("log-in", email=email, password="a wrong one, by mistake")
    assert "What you typed is kept" in seen.text
    seen = browser.act("log-in", email=email, password=PASSWORD)
    assert "What you typed before is not sent yet" in seen.text
    seen = browser.act("kept")
    assert seen.where == PAGE
    form = seen.form("sign").fields
    assert {name: form[name] for name in SAID} == SAID
    assert stored("cases", CASE)["status"] == "PENDING_DIAGNOSIS"  # she looks first
    seen = browser.act("sign", **SAID)
    assert seen.status == 200
    assert stored("cases", CASE)["status"] == "DIAGNOSED"


def test_nobody_else_gets_what_was_typed(clinic: Clinic) -> None:
    browser, seen = too_late(clinic)
    other = clinic.person("supervisor")
    seen = browser.act("log-in", seen, email=other.email, password=PASSWORD)
    assert seen.where == PAGE
    assert "Tinea" not in seen.html


def test_a_kept_form_is_one_that_we_sealed(clinic: Clinic) -> None:
    browser, seen = too_late(clinic)
    forged = seen.form("log-in").fields["kept"][:-8] + "AAAAAAAA"
    email = clinic.person("doctor").email
    seen = browser.act("log-in", seen, email=email, password=PASSWORD, kept=forged)
    assert seen.where == PAGE
    assert "Tinea" not in seen.html


def test_passwords_are_never_kept(clinic: Clinic) -> None:
    clock = Clock(wiring.clock_ms())
    browser = clinic.logged_in("doctor", clock_ms=clock)
    browser.open(f"{HOME}/account")
    clock.now_ms += 3_600_000
    seen = browser.act("password", old_password=PASSWORD, new_password="another pass phrase")
    assert seen.status in (200, 401)
    assert not seen.form("log-in").fields.get("kept")
