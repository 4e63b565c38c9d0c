"""One's own account in the console, as somebody's browser without script sees it."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pyotp
import pytest

from shared import wiring
from shared.access.audit import OPERATOR
from shared.accounts.forgotten import Letter
from shared.accounts.forgotten import Wording as OfTheApi
from shared.accounts.passkeys import PasskeyHost
from shared.console.page import HOME
from shared.console.pages import forgotten
from shared.records.store import Query
from tests.accounts.authenticator import Authenticator
from tests.console.browser_in_process import Browser, Seen
from tests.console.clinic import OWN, PASSWORD, Clinic

ACCOUNT, FACTOR = f"{HOME}/account", f"{HOME}/account/second-factor"
SESSIONS, TRAIL = f"{HOME}/account/sessions", f"{HOME}/account/trail"
FORGOT = f"{HOME}/forgot"
OTHER = "another quite long pass phrase"


def doctor(house: Clinic) -> Browser:
    return house.logged_in("doctor")


def user_of(house: Clinic) -> str:
    return house.person("doctor").user


# --- who I am


def test_a_page_says_who_i_am_and_takes_another_name(house: Clinic) -> None:
    browser = doctor(house)
    seen = browser.open(ACCOUNT)
    assert house.person("doctor").email in seen.text
    assert OWN in seen.text
    seen = browser.act("profile", name="Dr. Neema <b>Mushi</b>", phone="+255 700 000001")
    assert "are kept" in seen.text
    assert seen.form("profile").fields["name"] == "Dr. Neema <b>Mushi</b>"
    assert seen.form("profile").fields["phone"] == "+255700000001"
    assert "<b>Mushi" not in seen.html
    seen = browser.act("profile", name=" ", phone="")
    assert seen.form("profile").fields["name"] == ""


def test_what_is_no_number_is_said_and_what_was_typed_stays(house: Clinic) -> None:
    browser = doctor(house)
    browser.open(ACCOUNT)
    seen = browser.act("profile", name="Neema", phone="call me")
    assert seen.status == 400
    assert seen.form("profile").fields["phone"] == "call me"


def test_a_team_is_joined_by_a_code_and_left(house: Clinic) -> None:
    browser = doctor(house)
    code, _ = wiring.accounts().invites.make(OPERATOR, "hilltop", "chw", 1, 1, wiring.clock_ms())
    browser.open(ACCOUNT)
    seen = browser.act("join", invite_code="WRONG2")
    assert seen.status == 403
    assert "admits nobody" in seen.text
    seen = browser.act("join", invite_code=code.lower())
    assert "hilltop" in seen.text
    [form] = [each for each in seen.forms("leave") if each.fields["scope_id"] == "hilltop"]
    seen = browser.post(ACCOUNT, form.fields)
    assert "You left the team." in seen.text
    assert "hilltop" not in seen.text


def test_another_password_ends_other_browsers_and_keeps_this_one(house: Clinic) -> None:
    here, there = doctor(house), doctor(house)
    here.open(ACCOUNT)
    assert here.act("password", old_password="wrong", new_password=OTHER).status == 401
    assert here.act("password", old_password=PASSWORD, new_password="short").status == 400
    seen = here.act("password", old_password=PASSWORD, new_password=OTHER)
    assert "Your password is changed." in seen.text
    assert there.open(ACCOUNT).forms("log-in")
    assert house.browser().log_in(house.person("doctor").email, OTHER).forms("choose")


# --- the second factor


def code_of(seen: Seen) -> tuple[str, str]:
    """The secret that a page shows, and a code of it."""
    secret = seen.form("confirm").fields["secret"]
    return secret, pyotp.TOTP(secret).now()


def recovery_codes(seen: Seen) -> list[str]:
    return re.findall(r"<li><code>([^<]+)</code></li>", seen.html)


def test_a_second_factor_is_set_up_used_and_removed(house: Clinic) -> None:
    browser, email = doctor(house), house.person("doctor").email
    # a wrong password shows no secret
    browser.open(FACTOR)
    seen = browser.act("begin", password="wrong")
    assert (seen.status, seen.forms("confirm")) == (401, [])
    # the secret is drawn and written
    seen = browser.act("begin", password=PASSWORD)
    secret, code = code_of(seen)
    assert "<svg" in seen.html
    assert " style=" not in seen.html
    assert secret in seen.text.replace(" ", "")
    # a wrong code shows the same secret again
    seen = browser.act("confirm", otp="000000" if code != "000000" else "111111")
    assert seen.status == 401
    assert code_of(seen)[0] == secret
    # the right one shows recovery codes, once
    seen = browser.act("confirm", otp=code)
    codes = recovery_codes(seen)
    assert len(codes) == 10
    assert codes[0] not in browser.open(FACTOR).html
    # a log-in asks for one; a recovery code does, once
    other = house.browser()
    other.log_in(email, PASSWORD)
    other.act("second-step", otp=codes[0])
    assert other.cookie("__Host-session")
    # and removed with password and code
    browser.open(FACTOR)
    assert browser.act("remove", password=PASSWORD, otp=codes[0]).status == 401
    seen = browser.act("remove", password=PASSWORD, otp=codes[1])
    assert "is removed" in seen.text
    assert not seen.forms("remove")


def test_who_must_have_one_comes_here_and_goes_on_afterwards(
    house: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = house.frame.accounts()
    issuer = replace(services.login.issuer, factor_roles=frozenset({"doctor"}))
    asking = replace(
        services,
        login=replace(services.login, issuer=issuer),
        sessions=replace(services.sessions, issuer=issuer),
    )
    browser = house.browser()
    browser.frame = replace(browser.frame, accounts=lambda: asking)
    browser.routes = browser.frame.routes()
    person = house.person("doctor")
    seen = browser.log_in(person.email, PASSWORD)
    assert "Your role needs a second factor" in seen.text
    assert browser.open(ACCOUNT).forms("begin")  # led back
    seen = browser.act("begin", password=PASSWORD)
    seen = browser.act("confirm", otp=code_of(seen)[1])
    assert len(recovery_codes(seen)) == 10
    assert "aria-current" not in seen.html or "menu" in seen.html
    assert browser.open(ACCOUNT).forms("profile")


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "https://evil.example.org", "otpauth://hotp/x", "x" * 5000]
)
def test_nothing_is_drawn_that_is_no_secret_of_an_app(house: Clinic, uri: str) -> None:
    browser = doctor(house)
    seen = browser.open(FACTOR)
    sent = {"act": "confirm", "token": seen.form("begin").fields["token"], "otp": "123456"}
    seen = browser.post(FACTOR, {**sent, "secret": "ABCD", "uri": uri})
    assert seen.status in (400, 401)
    assert "qr-code" not in seen.html


# --- passkeys (in a browser: browser/test_passkeys.py)


def test_no_passkey_is_offered_where_none_is_taken(house: Clinic) -> None:
    browser, email = doctor(house), house.person("doctor").email
    browser.open(FACTOR)
    seen = browser.act("confirm", otp=code_of(browser.act("begin", password=PASSWORD))[1])
    [code, *_] = recovery_codes(seen)
    seen = browser.open(FACTOR)
    assert "asskey" not in seen.text
    sent = {"token": seen.form("remove").fields["token"], "password": PASSWORD, "otp": code}
    assert browser.post(FACTOR, {"act": "begin-passkey", **sent}).status == 403
    assert "data-passkey" not in house.browser().log_in(email, PASSWORD).html


def test_a_passkey_is_added_named_and_removed(house: Clinic) -> None:
    origin = "https://care.example.org"
    services, host = house.frame.accounts(), PasskeyHost("care.example.org", origin, "Care")
    taking = replace(
        services,
        login=replace(services.login, host=host),
        second_factor=replace(services.second_factor, host=host),
    )
    key, email = Authenticator(origin), house.person("doctor").email
    browsers = house.browser(), house.browser()
    for each in browsers:
        each.frame = replace(each.frame, accounts=lambda: taking)
        each.routes = each.frame.routes()
    browser, other = browsers
    browser.log_in(email, PASSWORD)
    # first the app: its codes are good on phones, too, and everywhere
    assert not browser.open(FACTOR).forms("begin-passkey")
    seen = browser.act("confirm", otp=code_of(browser.act("begin", password=PASSWORD))[1])
    codes = recovery_codes(seen)
    browser.open(FACTOR)
    assert browser.act("begin-passkey", password="wrong", otp=codes[0]).status == 401
    seen = browser.act("begin-passkey", password=PASSWORD, otp=codes[0])
    answer = key.make(asked(seen))
    seen = browser.act("add-passkey", answer=answer, name="My <b>laptop</b>")
    assert "is added" in seen.text
    assert "My <b>laptop</b>" in seen.text
    # a page of it that is sent again adds nothing
    seen = other.log_in(email, PASSWORD)
    assert "second-step" in {each.act for each in seen.forms()}
    crooked = other.post(seen.where, {**seen.form("second-step").fields, "answer": "x" * 30_000})
    assert crooked.status == 400
    seen = other.log_in(email, PASSWORD)
    wrong = replace(key, origin="https://evil.example").show(asked(seen))
    seen = other.act("second-step", answer=wrong)
    assert "was not accepted" in seen.text
    assert seen.forms("log-in")
    seen = other.log_in(email, PASSWORD)
    seen = other.act("second-step", answer=key.show(asked(seen)))
    assert seen.where == f"{HOME}/cases", seen.text
    trail = other.open(TRAIL).text
    assert "added a passkey" in trail
    other.open(FACTOR)
    assert other.act("remove-passkey", password=PASSWORD, otp=codes[1]).status == 400
    [name] = re.findall(r'name="passkey" value="([^"]+)"', other.open(FACTOR).html)
    seen = other.act("remove-passkey", passkey=name, password=PASSWORD, otp=codes[1])
    assert "The passkey is removed." in seen.text
    assert not seen.forms("remove-passkey")


def asked(seen: Seen) -> str:
    """What a page asks a browser for."""
    [found] = re.findall(r'data-passkey="([^"]*)"', seen.html)
    return html.unescape(found)


# --- sessions and the trail


def test_a_session_is_ended_with_the_password(house: Clinic) -> None:
    here, there = doctor(house), doctor(house)
    seen = here.open(SESSIONS)
    assert "this browser" in seen.text
    [other] = re.findall(r'name="session" value="([^"]+)"', seen.html)
    assert here.act("end", password=PASSWORD).status == 400  # none is chosen
    assert here.act("end", password="wrong", session=other).status == 401
    assert there.open(ACCOUNT).forms("profile")
    seen = here.act("end", password=PASSWORD, session=other)
    assert "This session is over." in seen.text
    assert there.open(ACCOUNT).forms("log-in")
    assert here.open(ACCOUNT).forms("profile")


def test_nobody_ends_somebody_elses_session(house: Clinic) -> None:
    here, other = doctor(house), house.logged_in("supervisor")
    [mine] = wiring.store().query(
        Query("sessions", where=(("live_of", "==", house.person("supervisor").user),))
    )
    seen = here.open(SESSIONS)
    token = seen.form("end").fields["token"]
    said = {"act": "end", "token": token, "password": PASSWORD, "session": mine.key.id}
    assert here.post(SESSIONS, said).status == 404
    assert other.open(ACCOUNT).forms("profile")


def test_logging_out_everywhere_ends_this_browser_too(house: Clinic) -> None:
    here, there = doctor(house), doctor(house)
    here.open(SESSIONS)
    assert here.act("end-all", password=PASSWORD).forms("log-in")
    assert there.open(ACCOUNT).forms("log-in")


def test_a_page_shows_what_i_did_and_nothing_of_others(clinic: Clinic) -> None:
    browser = clinic.logged_in("doctor")
    clinic.logged_in("supervisor")
    seen = browser.open(TRAIL)
    assert seen.status == 200
    assert re.search(r'data-label="What">\s*logged in', seen.html)
    assert "supervisor" not in seen.text
    assert browser.open(f"{TRAIL}?page=nonsense").status == 400


# --- a forgotten password


def with_mail(house: Clinic, letters: list[Letter | None]) -> Browser:
    services = house.frame.accounts()
    mailing = replace(services.forgotten, post=letters.append, address="https://care.example.org")
    browser = house.browser()
    browser.frame = replace(browser.frame, accounts=lambda: replace(services, forgotten=mailing))
    browser.routes = browser.frame.routes()
    return browser


def test_the_log_in_leads_to_a_page_that_says_that_no_mail_is_sent(house: Clinic) -> None:
    browser = house.browser()
    seen = browser.open(f"{HOME}/login")
    assert FORGOT in seen.parsed.links
    seen = browser.open(FORGOT)
    assert "sends no mail" in seen.text
    assert "Ask an admin of your team" in seen.text
    assert not seen.forms("ask")


def test_a_password_is_set_by_the_code_of_a_mail(house: Clinic) -> None:
    letters: list[Letter | None] = []
    person = house.person("doctor")
    logged_in, browser = doctor(house), with_mail(house, letters)
    said = []
    for email in (person.email, "nobody@example.org"):
        browser.open(FORGOT)
        said.append(browser.act("ask", email=email).text)
    assert said[0] == said[1]
    assert letters[1] is None
    assert letters[0] is not None
    [code] = re.findall(r"^[\w-]{43}$", letters[0].text, re.M)
    assert f"https://care.example.org{HOME}/reset#{code}" in letters[0].text
    seen = browser.act("reset", code="x" * 43, new_password=OTHER)
    assert seen.status == 403
    assert "Ask for another mail" in seen.text
    seen = browser.act("reset", code=code, new_password="short")
    assert seen.status == 400
    assert seen.form("reset").fields["code"] == code
    assert 'value="short"' not in seen.html
    seen = browser.act("reset", code=code, new_password=OTHER)
    assert seen.forms("log-in")
    assert "Your password is changed." in seen.text
    assert logged_in.open(ACCOUNT).forms("log-in")
    assert house.browser().log_in(person.email, OTHER).forms("choose")


def test_the_mail_of_the_console_is_that_of_the_api() -> None:
    assert OfTheApi() == OfTheApi(forgotten.SUBJECT, forgotten.TEXT)
