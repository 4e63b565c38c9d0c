"""The console's frame: sessions, forms, headers and refusals, whatever the pages in it are."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, urlencode

import pyotp
import pytest

from shared import wiring
from shared.console import cookies
from shared.console.look import calm
from shared.console.page import HOME, Response
from shared.console.visit import LONGEST_BACK, Visit, inside
from shared.console.words import chosen
from shared.errors import StoreUnavailable
from tests.api.conftest import StartApi
from tests.console.browser_in_process import Browser, Seen
from tests.console.clinic import OWN, PASSWORD, Clinic
from tests.stores import Interrupted

MINUTE = 60_000
LOGIN = f"{HOME}/login"
WRONG = "not the pass phrase"


class Clock:
    """The server's clock, moved by hand."""

    def __init__(self) -> None:
        self.now_ms = wiring.clock_ms()

    def __call__(self) -> int:
        return self.now_ms


def begins(seen: Seen) -> bool:
    """Whether somebody stands before the log-in."""
    return bool(seen.forms("log-in"))


# --- log-in


def test_who_logs_in_begins_with_the_list(house: Clinic) -> None:
    doctor, browser = house.person("doctor"), house.browser()
    assert begins(browser.open())
    seen = browser.act("log-in", email=doctor.email, password=PASSWORD)
    assert (seen.status, seen.where) == (200, f"{HOME}/cases")
    assert f"{doctor.user} N." in seen.text
    assert not seen.forms("log-in")
    # and is led on from the log-in
    assert browser.open(LOGIN).where == seen.where


@pytest.mark.parametrize("field", ["email", "password"])
def test_a_wrong_log_in_says_the_same_whether_there_is_an_account(
    house: Clinic, field: str
) -> None:
    doctor, browser = house.person("doctor"), house.browser()
    browser.open(LOGIN)
    wrong = {"email": doctor.email, "password": PASSWORD, field: "somebody-else@example.org"}
    seen = browser.act("log-in", **wrong)
    assert seen.status == 401
    assert "The address or the password is wrong." in seen.text
    assert browser.cookie("__Host-session") is None
    again = seen.form("log-in").fields
    assert again["email"] == wrong["email"]
    assert not again["password"]  # what was typed there is in no page
    assert wrong["password"] not in seen.html


def test_wrong_passwords_are_slowed_down(house: Clinic) -> None:
    doctor, browser = house.person("doctor"), house.browser()
    browser.open(LOGIN)
    seen = [browser.act("log-in", email=doctor.email, password=WRONG) for _ in range(12)][-1]
    assert seen.status == 429
    assert "Too many tries" in seen.text
    assert int(seen.response.headers["Retry-After"]) >= 1
    # the right one has to wait, too
    assert begins(browser.act("log-in", email=doctor.email, password=PASSWORD))


def test_log_ins_of_an_address_are_counted_whatever_cookie_is_shown(start_api: StartApi) -> None:
    house = Clinic(start_api(rate_limits="log-ins=3/600"))
    for cookie in (None, "x" * 64):
        browser = house.browser(address=f"198.51.100.{20 + (cookie is None)}")
        if cookie:
            browser.client.set_cookie("__Host-session", cookie)
        browser.open(LOGIN)
        tries = [
            browser.act("log-in", email=f"a{number}{bool(cookie)}@b.org", password=WRONG)
            for number in range(4)
        ]
        assert [each.status for each in tries] == [401, 401, 401, 429], cookie
    # nor does a session give more of them
    browser = house.logged_in("doctor", address="198.51.100.30")
    form = browser.seen.form("choose").fields["token"] if browser.seen else ""
    fields = {"act": "log-in", "token": form, "email": "a@b.org", "password": WRONG}
    assert [browser.post(LOGIN, fields).status for _ in range(4)][-1] == 429


def test_a_second_factor_is_asked_for_and_taken_once(house: Clinic) -> None:
    doctor, browser = house.person("doctor"), house.browser()
    now_ms = wiring.clock_ms()
    token = house.token(doctor.user, "doctor")
    said = house.api.ask("POST", "/api/v1/auth/totp", {"password": PASSWORD}, token=token)
    secret = said.get_json()["secret"]
    code = pyotp.TOTP(secret).at(now_ms // 1000 - 30)
    said = house.api.ask("POST", "/api/v1/auth/totp/confirm", {"otp": code}, token=token)
    assert said.status_code == 200, said.text
    seen = browser.log_in(doctor.email, PASSWORD, f"{LOGIN}?next=/console/unread")
    # the password is not asked for again, nor does it stand on the page
    assert "authenticator" in seen.text
    assert not {"email", "password"} & seen.form("second-step").names
    assert PASSWORD not in seen.html
    assert not browser.cookie("__Host-session")
    wrong = browser.act("second-step", otp="000000")
    assert "This code is wrong" in wrong.text
    right = pyotp.TOTP(secret).at(wiring.clock_ms() // 1000)
    seen = browser.act("second-step", otp=f" {right} ")
    assert seen.where == f"{HOME}/unread", seen.text
    # the step is done once, and the code is spent
    assert "Log in again" in browser_again(house, wrong, right).text
    other = house.browser()
    other.log_in(doctor.email, PASSWORD)
    assert "This code is wrong" in other.act("second-step", otp=right).text


def test_what_was_done_in_one_tab_is_not_said_in_another(house: Clinic) -> None:
    """openemr #12951: the frame spoke of one patient, the page of another."""
    browser = house.logged_in("doctor")
    seen = browser.open(f"{HOME}/account")
    sent = {**seen.form("profile").fields, "name": "Neema"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.ask(f"{HOME}/account", "POST", urlencode(sent), headers)
    assert answer.status == 303
    # another tab loads before this one has followed
    assert "are kept" not in browser.open(f"{HOME}/unread").text
    assert "are kept" in browser.open(f"{HOME}/account").text
    assert "are kept" not in browser.open(f"{HOME}/account").text


def browser_again(house: Clinic, page: Seen, otp: str) -> Seen:
    """A second step of another browser's that is sent once more."""
    browser = house.browser()
    token = browser.open(LOGIN).form("log-in").fields["token"]
    ticket = page.form("second-step").fields["ticket"]
    sent = {"act": "second-step", "token": token, "ticket": ticket, "otp": otp}
    return browser.post(LOGIN, sent)


def test_who_must_set_up_a_second_factor_gets_nowhere_else(start_api: StartApi) -> None:
    house = Clinic(start_api(totp_roles="doctor"))
    browser = house.logged_in("doctor")
    for page in house.frame.pages:
        if page.open or page.sets_up:
            continue
        seen = browser.ask(house.example(page))
        assert seen.status == 303, page.path
        assert seen.response.headers["Location"] == f"{HOME}/account/second-factor", page.path


def test_a_closed_account_is_told_so_and_its_browser_is_out(house: Clinic) -> None:
    doctor, browser = house.person("doctor"), house.logged_in("doctor")
    wiring.accounts().administration.disable(doctor.user, wiring.clock_ms())
    assert begins(browser.open(f"{HOME}/cases"))
    assert browser.cookie("__Host-session") is None
    assert "closed" in browser.log_in(doctor.email, PASSWORD).text


# --- where a log-in leads

#: What somebody may put into a link to the log-in.
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "/console//evil.example",
    "/console/..//evil.example",
    "/console/../docs",
    "/console/%2e%2e/docs",
    "/console/./x",
    "/console\\..\\docs",
    "/console/%5cevil",
    "/console/x\r\nSet-Cookie: a=b",
    "/console/x%0d%0aSet-Cookie:%20a=b\n",
    "/consolex/cases",
    "/api/v1/auth/me",
    "javascript:alert(1)",
    " /console/cases",
    "/console/cases\t",
    "/console/cases\x00",
    "/console/é",
    "/console/cases?a= b",
    "/console/" + "a" * LONGEST_BACK,
]


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_log_in_and_a_language_lead_nowhere_else(house: Clinic, where: str) -> None:
    assert not inside(where)
    doctor, browser = house.person("doctor"), house.browser()
    named = where if len(where) <= LONGEST_BACK else "/console/" + "a" * 3000
    browser.open(f"{LOGIN}?next={quote(named[:1900])}")
    seen = browser.act("log-in", email=doctor.email, password=PASSWORD)
    ours = {f"{HOME}/cases"} | {named[:1900] for _ in [0] if inside(named[:1900])}
    assert {each.headers["Location"] for each in seen.passed} <= ours
    for back in (where, where[:1900]):
        fields = {**seen.form("choose").fields, "language": "fr", "back": back}
        led = browser.ask(f"{HOME}/language", "POST", fields).response
        assert led.status_code in (303, 400)
        location = led.headers.get("Location", HOME)
        assert location == HOME or inside(location), location
        assert "a=b" not in str(led.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("where", ["/console/cases", "/console/cases?risk=red&page=a%2Fb"])
def test_a_log_in_leads_back_to_the_page_that_was_wanted(house: Clinic, where: str) -> None:
    doctor, browser = house.person("doctor"), house.browser()
    assert inside(where)
    seen = browser.open(where)
    assert begins(seen)
    seen = browser.act("log-in", email=doctor.email, password=PASSWORD)
    assert [each.headers["Location"] for each in seen.passed] == [where]


def test_a_page_with_a_very_long_query_still_leads_to_the_log_in(house: Clinic) -> None:
    seen = house.browser().open(f"{HOME}/cases?page={'%2F' * 700}")
    assert seen.status == 200
    assert begins(seen)


def test_a_part_of_a_page_leads_back_to_the_whole(house: Clinic) -> None:
    asked = {"HX-Request": "true", "HX-Current-URL": "http://localhost/console/cases?risk=red"}
    seen = house.browser().ask(f"{HOME}/cases?page=x", headers=asked)
    assert seen.status == 204
    assert seen.response.headers["HX-Redirect"] == (
        f"{LOGIN}?next={quote('/console/cases?risk=red', safe='')}"
    )
    evil = {**asked, "HX-Current-URL": "https://evil.example//x"}
    seen = house.browser().ask(f"{HOME}/cases", headers=evil)
    assert seen.response.headers["HX-Redirect"] == LOGIN


# --- sessions


def test_a_session_without_a_click_ends(house: Clinic) -> None:
    clock = Clock()
    browser = house.logged_in("doctor", clock_ms=clock)
    for _ in range(3):
        clock.now_ms += 29 * MINUTE
        assert browser.open(f"{HOME}/cases").where == f"{HOME}/cases"
    clock.now_ms += 31 * MINUTE
    seen = browser.open(f"{HOME}/cases")
    assert begins(seen)
    assert "You were logged out" in seen.text
    assert browser.cookie("__Host-session") is None


def test_a_session_ends_however_much_it_is_used(house: Clinic) -> None:
    clock = Clock()
    browser = house.logged_in("doctor", clock_ms=clock)
    until = clock.now_ms + 12 * 60 * MINUTE
    while clock.now_ms + 20 * MINUTE < until:
        clock.now_ms += 20 * MINUTE
        assert browser.open(f"{HOME}/cases").where == f"{HOME}/cases"
    clock.now_ms = until
    assert begins(browser.open(f"{HOME}/cases"))


def test_a_clock_that_asks_does_not_keep_a_session_alive(house: Clinic) -> None:
    clock = Clock()
    browser = house.logged_in("doctor", clock_ms=clock)
    [shown] = [page for page in house.frame.pages if page.path == "cases"]
    browser.routes = replace(
        browser.frame,
        packages=[
            replace(each, pages=[replace(p, quiet=p is shown) for p in each.pages])
            for each in browser.frame.packages
        ],
    ).routes()
    for _ in range(2):
        clock.now_ms += 14 * MINUTE
        assert browser.open(f"{HOME}/cases").where == f"{HOME}/cases"
    clock.now_ms += 3 * MINUTE
    assert begins(browser.open(f"{HOME}/cases"))


def test_who_logs_out_is_out_and_the_old_cookie_is_worth_nothing(house: Clinic) -> None:
    browser = house.logged_in("doctor")
    kept = str(browser.cookie("__Host-session"))
    seen = browser.act("log-out")
    assert begins(seen)
    assert "You are logged out." in seen.text
    assert "You are logged out." not in browser.open(LOGIN).text  # said once
    assert browser.cookie("__Host-session") is None
    browser.client.set_cookie("__Host-session", kept)
    assert begins(browser.open(f"{HOME}/cases"))


def test_log_out_everywhere_ends_the_browsers_session(house: Clinic) -> None:
    doctor, browser = house.person("doctor"), house.logged_in("doctor")
    assert browser.open(f"{HOME}/cases").status == 200
    token = house.token(doctor.user, "doctor")
    said = house.api.ask("POST", "/api/v1/auth/sessions/end", {"password": PASSWORD}, token=token)
    assert said.status_code == 200, said.text
    assert begins(browser.open(f"{HOME}/cases"))


def test_another_password_ends_the_browsers_session(house: Clinic) -> None:
    doctor, browser = house.person("doctor"), house.logged_in("doctor")
    administration = wiring.accounts().administration
    administration.reset(doctor.email, f"{PASSWORD} two", wiring.clock_ms())
    assert begins(browser.open(f"{HOME}/cases"))


def test_a_cookie_that_is_none_is_a_stranger(house: Clinic) -> None:
    for value in ("", "x", "x" * 64, "x" * 5000, "é", "a=b", '"'):
        browser = house.browser()
        browser.client.set_cookie("__Host-session", value)
        for path in (f"{HOME}/cases", LOGIN, HOME):
            assert begins(browser.open(path)), value


# --- forms


def language(browser: Browser, **headers: str | None) -> Seen:
    """The plainest form, sent with other headers."""
    assert browser.seen is not None
    fields = {**browser.seen.form("choose").fields, "language": "sw"}
    sent = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost", **headers}
    told = {name: value for name, value in sent.items() if value is not None}
    return browser.ask(f"{HOME}/language", "POST", fields, told)


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": None}, True),
        ({"Origin": None}, True),
        ({"Sec-Fetch-Site": None, "Origin": None}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://localhost.evil.example"}, False),
        ({"Origin": "http://localhost:8080"}, False),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_a_form_is_taken_from_a_page_of_ours_alone(
    house: Clinic, headers: dict[str, str | None], taken: bool, known: bool
) -> None:
    browser = house.logged_in("doctor") if known else house.browser()
    browser.open()
    language(browser, **headers)
    assert (browser.cookie("__Host-language") == "sw") is taken


def test_a_form_needs_the_token_of_its_own_session(house: Clinic) -> None:
    browser, other = house.logged_in("doctor"), house.logged_in("supervisor")
    stranger = house.browser()
    stranger.open(LOGIN)
    tokens = [
        str(each.seen and each.seen.form("choose").fields["token"]) for each in (other, stranger)
    ]
    own = str(browser.seen and browser.seen.form("choose").fields["token"])
    for token in (None, "", "x", "é", own[:-4] + "AAAA", own[4:], *tokens):
        fields = {"act": "log-out"} | ({} if token is None else {"token": token})
        seen = browser.post(f"{HOME}/logout", fields)
        assert browser.cookie("__Host-session"), token
        assert not begins(seen), token
    # and each page has another one, so that its length under gzip tells nothing
    assert own != browser.open(f"{HOME}/cases").form("choose").fields["token"]
    assert begins(browser.post(f"{HOME}/logout", {"act": "log-out", "token": own}))


def test_a_strangers_form_is_tied_to_the_browser(house: Clinic) -> None:
    doctor = house.person("doctor")
    one, two = house.browser(), house.browser()
    for each in (one, two):
        each.open(LOGIN)
    assert one.seen is not None
    seen = two.post(
        LOGIN, {**one.seen.form("log-in").fields, "email": doctor.email, "password": PASSWORD}
    )
    assert seen.status == 403
    assert "Load it again" in seen.text
    assert two.cookie("__Host-session") is None


@pytest.mark.parametrize(
    ("body", "kind", "statuses"),
    [
        (b"", "application/x-www-form-urlencoded", {403}),
        (b"%", "application/x-www-form-urlencoded", {403}),
        (b"a=%ff%fe", "application/x-www-form-urlencoded", {400}),
        ("é=1".encode(), "application/x-www-form-urlencoded", {400}),
        (b"a=1&" * 300, "application/x-www-form-urlencoded", {400}),
        (b"a=" + b"x" * 40_000_000, "application/x-www-form-urlencoded", {413}),
        (b"email[]=1&act[]=2&token[x]=3", "application/x-www-form-urlencoded", {403}),
        (b'{"act":"log-in"}', "application/json", {400}),
        (b"--x\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x", {400}),
        (b"act=log-in", "text/plain", {400}),
        (b"act=log-in", "", {400}),
        (gzip.compress(b"a" * 50_000_000, mtime=0), "gzip", {400, 413}),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str | bytes) else "",
)
def test_a_form_that_is_none_is_refused_in_words(
    house: Clinic, body: bytes, kind: str, statuses: set[int]
) -> None:
    for browser in (house.browser(), house.logged_in("doctor")):
        headers = {"Content-Type": kind}
        if kind == "gzip":
            headers = {
                "Content-Encoding": "gzip",
                "Content-Type": "application/x-www-form-urlencoded",
            }
        seen = browser.ask(LOGIN, "POST", body, headers)
        assert seen.status in statuses, (seen.status, seen.text)
        assert seen.response.mimetype == "text/html"


def test_a_form_or_a_query_that_nobody_knows_is_refused_in_words(house: Clinic) -> None:
    browser = house.logged_in("doctor")
    assert browser.seen is not None
    token = browser.seen.form("choose").fields["token"]
    assert (
        browser.post(f"{HOME}/language", {"act": "no-such", "token": token}).where
        == f"{HOME}/cases"
    )
    seen = browser.post(LOGIN, {"act": "no-such", "token": token})
    assert seen.status == 404
    for query in ("x=1", "risk=" + "a" * 100, "%00=1", "page=" + "a" * 9000, "a" * 20_000):
        seen = browser.ask(f"{HOME}/cases?{query}")
        assert seen.status in (400, 404, 414), (query[:20], seen.status)
        assert seen.response.mimetype == "text/html"
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert browser.ask(f"{HOME}/cases", method).status == 405


# --- what browsers are told

COOKIE = re.compile(
    r"(__Host-\w+)=[^;]*; (?:Expires=[^;]*; Max-Age=\d+; |Max-Age=\d+; )?"
    r"Secure; HttpOnly; Path=/; SameSite=Strict"
)


def answers(house: Clinic) -> Iterator[tuple[str, Seen]]:
    """Every page of every role, and every way of being refused."""
    strange = house.browser()
    doctor = house.logged_in("doctor")
    for name, browser in (("nobody", strange), ("doctor", doctor)):
        for page in house.frame.pages:
            yield f"{name} {page.path}", browser.ask(house.example(page))
        for path in (HOME, f"{HOME}/nothing", f"{HOME}/cases?x=1", f"{HOME}/cases/none", LOGIN):
            for method in ("GET", "HEAD", "POST", "DELETE"):
                yield f"{name} {method} {path}", browser.ask(path, method)
        yield f"{name} static", browser.ask(f"{HOME}/static/x/none.css")
    assert strange.seen is None
    strange.open(LOGIN)
    yield "wrong", strange.act("log-in", email="a@b.org", password=WRONG)
    yield "part", strange.ask(f"{HOME}/cases", headers={"HX-Request": "true"})


def test_every_answer_tells_browsers_the_same(house: Clinic) -> None:
    for name, seen in answers(house):
        said = seen.response.headers
        assert seen.status < 500, name
        [policy] = said.getlist("Content-Security-Policy")
        assert "unsafe" not in policy, name
        assert "*" not in policy, name
        parts = dict(each.strip().partition(" ")[::2] for each in policy.split(";"))
        assert parts["default-src"] == parts["frame-ancestors"] == parts["base-uri"] == "'none'", (
            name
        )
        assert parts["script-src"] == parts["style-src"] == parts["form-action"] == "'self'", name
        assert said.getlist("Cache-Control") == ["no-store"], name
        assert said.getlist("X-Content-Type-Options") == ["nosniff"], name
        assert said.getlist("Referrer-Policy") == ["same-origin"], name
        assert said.getlist("Cross-Origin-Opener-Policy") == ["same-origin"], name
        assert said.getlist("X-Request-Id"), name
        assert "Access-Control-Allow-Origin" not in said, name
        for cookie in said.getlist("Set-Cookie"):
            assert COOKIE.fullmatch(cookie), (name, cookie)
        if seen.response.mimetype == "text/html" and seen.html:
            check_markup(name, seen)


def check_markup(name: str, seen: Seen) -> None:
    """What the policy forbids is not there, and every form carries a token."""
    assert seen.html.startswith("<!doctype html>"), name
    for tag, said in seen.parsed.tags:
        assert not [each for each in said if each.startswith("on") or each == "style"], (
            name,
            tag,
            said,
        )
        assert tag != "style", name
        assert tag != "script" or str(said.get("src")).startswith(f"{HOME}/static/"), name
        assert not str(said.get("href", "")).strip().lower().startswith("javascript:"), name
    for form in seen.forms():
        assert form.fields.get("token"), (name, form)
        assert form.act, (name, form)
    assert all(link.startswith((HOME, "#", "?")) for link in seen.parsed.links), (
        name,
        seen.parsed.links,
    )


def test_a_head_is_a_get_without_its_page(house: Clinic) -> None:
    browser = house.logged_in("doctor")
    whole, head = browser.ask(f"{HOME}/cases"), browser.ask(f"{HOME}/cases", "HEAD")
    assert head.status == whole.status == 200
    assert not head.response.get_data()
    assert head.response.headers["Content-Type"] == whole.response.headers["Content-Type"]


def test_a_page_is_compressed_for_those_who_read_that(house: Clinic) -> None:
    browser = house.logged_in("doctor")
    packed = browser.ask(f"{HOME}/cases", headers={"Accept-Encoding": "gzip"})
    assert packed.response.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.response.headers["Vary"]
    assert "</html>" in packed.html
    assert "Content-Encoding" not in browser.ask(f"{HOME}/cases").response.headers


# --- static files


def test_static_files_are_kept_a_year_and_never_old(house: Clinic) -> None:
    browser = house.browser()
    page = browser.open(LOGIN)
    named = re.findall(rf'(?:href|src)="({HOME}/static/[0-9a-f]+/[\w.]+)"', page.html)
    assert {each.rpartition("/")[2] for each in named} >= {"console.css", "console.js", "htmx.js"}
    for path in named:
        plain = browser.ask(path)
        packed = browser.ask(path, headers={"Accept-Encoding": "gzip"})
        assert plain.status == packed.status == 200
        assert packed.html == plain.html
        assert packed.response.headers["Content-Encoding"] == "gzip"
        assert plain.response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Accept-Encoding" in plain.response.headers["Vary"]
        assert plain.response.headers["X-Content-Type-Options"] == "nosniff"
        assert not plain.response.headers.getlist("Set-Cookie")
        kind = plain.response.mimetype
        assert (
            kind
            == {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[
                path.rpartition(".")[2]
            ]
        )
        # a page of another release asks with another tag: it gets what there is, and keeps it not
        stale = re.sub(r"/static/[0-9a-f]+/", "/static/0123456789abcdef/", path)
        old = browser.ask(stale)
        assert (old.status, old.response.headers["Cache-Control"]) == (200, "no-store")
    for path in ("x/none.css", "x/..%2fframe.py", "x/%2e%2e", "x/login.html", "x/"):
        assert browser.ask(f"{HOME}/static/{path}").status == 404, path


# --- languages


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "fr", "fr"),
        (None, "fr-CA,en;q=0.8", "fr"),
        (None, "en;q=0.1, sw;q=0.9", "sw"),
        (None, "de, ar;q=0.5", "ar"),
        (None, "ar-EG", "ar"),
        (None, "zz", "en"),
        (None, "*", "en"),
        (None, ";;;,,,===", "en"),
        (None, "x" * 100_000, "en"),
        ("sw", "fr", "sw"),
        ("de", "fr", "fr"),
        ("../en", "fr", "fr"),
    ],
)
def test_a_language_is_the_chosen_one_or_the_best_accepted(
    wanted: str | None, accepted: str, language: str
) -> None:
    assert chosen(wanted, accepted) == language


def test_a_browser_remembers_its_language_and_its_direction(house: Clinic) -> None:
    browser = house.browser()
    browser.open(f"{LOGIN}?next=/console/cases")
    for code in ("en", "fr", "sw", "hi", "ar"):
        seen = browser.act("choose", language=code)
        assert seen.where == f"{LOGIN}?next=/console/cases"  # back where one was
        direction = "rtl" if code == "ar" else "ltr"
        assert f'<html lang="{code}" dir="{direction}">' in seen.html
    kept = [h for each in seen.passed for h in each.headers.getlist("Set-Cookie")]
    assert any("__Host-language" in each and "Max-Age=31536000" in each for each in kept)
    seen = browser.post(f"{HOME}/language", {**seen.form("choose").fields, "language": "ru"})
    assert seen.status == 200  # a language that this product's pages do not speak
    assert browser.cookie("__Host-language") == "ar"


def test_what_the_page_before_says_is_ours_alone(house: Clinic) -> None:
    secret = wiring.page_secret()
    browser = house.browser()
    forged = ['["You won",{}]', '["%(a)999999999s",{"a":"x"}]', "x", "é", ""]
    for text in [
        *forged,
        cookies.signed(b"another secret", forged[0]),
        cookies.form_token(secret, "x"),
    ]:
        browser.client.set_cookie("__Host-said", text)
        seen = browser.ask(LOGIN)
        assert seen.status == 200
        assert "You won" not in seen.text
        assert 'role="status"' not in seen.html
    assert cookies.unsigned(secret, cookies.signed(secret, "é%()s")) == "é%()s"


# --- rates, and parts that do not answer


def test_a_browser_that_asks_too_often_is_told_to_wait(start_api: StartApi) -> None:
    house = Clinic(start_api(rate_limits="requests=20/600,strangers=10/600"))
    doctor = house.logged_in("doctor")
    asked = [doctor.ask(f"{HOME}/cases") for _ in range(25)]
    assert asked[0].status == 200
    assert asked[-1].status == 429
    assert "Wait" in asked[-1].text
    assert int(asked[-1].response.headers["Retry-After"]) >= 1
    for cookie in (None, "x" * 64):
        stranger = house.browser(address=f"198.51.100.{50 + (cookie is None)}")
        if cookie:
            stranger.client.set_cookie("__Host-session", cookie)
        for path in (LOGIN, f"{HOME}/cases"):
            assert [stranger.ask(path).status for _ in range(12)][-1] == 429


class Switch(Interrupted):
    """A store that can be switched off."""

    off = False

    def read(self, *arguments, **named):  # type: ignore[no-untyped-def]
        self._demand()
        return super().read(*arguments, **named)

    def query(self, query):  # type: ignore[no-untyped-def]
        self._demand()
        return super().query(query)

    def count(self, query):  # type: ignore[no-untyped-def]
        self._demand()
        return super().count(query)

    def commit(self, writes):  # type: ignore[no-untyped-def]
        self._demand()
        return super().commit(writes)

    def _demand(self) -> None:
        if self.off:
            raise StoreUnavailable("The records cannot be reached.")


def test_without_its_store_every_page_says_so(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = start_api()
    store = Switch(wiring.store())
    opened = wiring.store

    def switched() -> Switch:
        return store

    switched.cache_info = opened.cache_info  # type: ignore[attr-defined]
    switched.cache_clear = opened.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(wiring, "store", switched)
    house = Clinic(api)
    browser = house.logged_in("doctor")
    assert browser.seen is not None
    token = browser.seen.form("choose").fields["token"]
    kept = browser.cookie("__Host-session")
    store.off = True
    for page in house.frame.pages:
        seen = browser.ask(house.example(page))
        assert seen.status == 503, page.path
        assert int(seen.response.headers["Retry-After"]) >= 1
        assert "cannot be reached" in seen.text, page.path
        for act in page.acts:
            seen = browser.post(house.example(page), {"act": act, "token": token})
            assert seen.status == 503, (page.path, act)
    assert browser.cookie("__Host-session") == kept  # nobody is logged out by it
    strange = house.browser()
    assert begins(strange.open(LOGIN))
    assert strange.act("log-in", email="a@b.org", password=WRONG).status == 503
    store.off = False
    assert browser.open(f"{HOME}/cases").status == 200


def test_what_breaks_in_a_page_is_no_stack_trace(
    house: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    browser = house.logged_in("doctor")

    def breaks(_visit: Visit, *_asked: object) -> Response:
        raise RuntimeError(f"{OWN} secret")

    browser.routes = replace(
        browser.frame,
        packages=[
            replace(
                each,
                pages=[replace(p, shows=breaks) if p.path == "cases" else p for p in each.pages],
            )
            for each in browser.frame.packages
        ],
    ).routes()
    seen = browser.ask(f"{HOME}/cases")
    assert seen.status == 500
    assert "Something went wrong on our side" in seen.text
    assert f"{OWN} secret" not in seen.html
    assert "Traceback" not in seen.html
    assert seen.response.headers["X-Request-Id"] in seen.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Asha N.", "Asha N."),
        (34, "34"),
        ("नीमा क्षत्रिय", "नीमा क्षत्रिय"),
        ("Nguyễn Thị Ánh", "Nguyễn Thị Ánh"),
        ("مُحَمَّدٌ", "مُحَمَّدٌ"),
        ("👨🏽\u200d👩🏽\u200d👧🏽\u200d👦🏽", "👨🏽\u200d👩🏽\u200d👧🏽\u200d👦🏽"),
        ("Z" + "\u0336" * 100 + "!", "Z" + "\u0336" * 12 + "!"),
    ],
)
def test_marks_upon_marks_have_an_end_and_no_language_is_hurt(text: object, shown: str) -> None:
    assert calm(text) == shown
